//! Key pairs.
//!
//! Not for logging in. The surprise: the private key is made up, is answered once and is kept
//! nowhere; it has the shape of a real one so that redaction has something to prove itself on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::Key;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, filter};
use crate::sandbox::xml::Xml;

use super::tags;

const FILTERS: &[Filter<Key>] = &[
    ("key-name", |key, _| vec![key.name.clone()]),
    ("key-pair-id", |key, _| vec![key.id.clone()]),
    ("fingerprint", |key, _| vec![key.fingerprint.clone()]),
];

pub(super) fn create_key_pair(call: &mut Call<'_>) -> Answer {
    let kind = call.params.text("KeyType").unwrap_or("rsa");
    if !["rsa", "ed25519"].contains(&kind) {
        return Err(Refusal::invalid(format!("Value ({kind}) for parameter KeyType is invalid.")));
    }
    let bytes = call.dice.bytes(if kind == "rsa" { 1_190 } else { 312 });
    let key = new_key(call, kind, &bytes)?;
    let label = if kind == "rsa" { "RSA" } else { "OPENSSH" };
    let mut xml = call.xml();
    write(&mut xml, &key);
    xml.text("keyMaterial", pem(label, &bytes));
    call.region.keys.insert(key.name.clone(), key);
    Ok(xml)
}

pub(super) fn import_key_pair(call: &mut Call<'_>) -> Answer {
    let material = STANDARD.decode(call.params.need("PublicKeyMaterial")?).unwrap_or_default();
    let kind = match material.as_slice() {
        text if text.starts_with(b"ssh-ed25519 ") => "ed25519",
        text if text.starts_with(b"ssh-rsa ") || text.starts_with(b"-----BEGIN") => "rsa",
        _ => {
            let message = "Key is not in valid OpenSSH public key format";
            return Err(Refusal::new("InvalidKey.Format", message));
        }
    };
    let key = new_key(call, kind, &material)?;
    let mut xml = call.xml();
    write(&mut xml, &key);
    call.region.keys.insert(key.name.clone(), key);
    Ok(xml)
}

pub(super) fn describe_key_pairs(call: &mut Call<'_>) -> Answer {
    let (names, ids) = (call.params.texts("KeyName"), call.params.texts("KeyPairId"));
    let seen = || call.region.keys.values().filter(|key| key.seen_from <= call.now);
    let mut missing = names.iter().filter(|name| !seen().any(|key| key.name == **name));
    if let Some(name) = missing.next().filter(|_| !call.empty) {
        return Err(unknown(name));
    }
    let mut missing = ids.iter().filter(|id| !seen().any(|key| key.id == **id));
    if let Some(id) = missing.next().filter(|_| !call.empty) {
        return Err(unknown(id));
    }
    let mut keys = filter(call, seen(), FILTERS)?;
    keys.retain(|key| names.is_empty() || names.contains(&key.name));
    keys.retain(|key| ids.is_empty() || ids.contains(&key.id));
    let mut xml = call.xml();
    xml.list("keySet", keys, |xml, key| {
        write(xml, key);
        xml.text("keyType", &key.kind).text("createTime", key.created.iso());
    });
    Ok(xml)
}

pub(super) fn delete_key_pair(call: &mut Call<'_>) -> Answer {
    let (name, id) = (call.params.text("KeyName"), call.params.text("KeyPairId"));
    if name.is_none() && id.is_none() {
        return Err(Refusal::missing("KeyName"));
    }
    // A key that is not there counts as deleted.
    call.region.keys.retain(|_, key| name != Some(&key.name) && id != Some(&key.id));
    call.done()
}

/// Builds EC2's answer to a key nobody has.
pub(super) fn unknown(name: &str) -> Refusal {
    Refusal::new("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist"))
}

fn new_key(call: &mut Call<'_>, kind: &str, material: &[u8]) -> Result<Key, Refusal> {
    let name = call.params.need("KeyName")?;
    if name.len() > 255 || !name.is_ascii() {
        return Err(Refusal::invalid("Key names have up to 255 ASCII characters"));
    }
    if call.region.keys.contains_key(name) {
        return Err(Refusal::new(
            "InvalidKeyPair.Duplicate",
            format!("The keypair '{name}' already exists."),
        ));
    }
    let given = tags::specified(call.params, "key-pair", &["key-pair"])?;
    let digest = Sha256::digest(material);
    let fingerprint = if kind == "ed25519" {
        STANDARD.encode(digest)
    } else {
        digest.iter().take(20).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
    };
    Ok(Key {
        id: call.dice.id("key"),
        name: name.to_owned(),
        kind: kind.to_owned(),
        fingerprint,
        created: call.now,
        seen_from: call.seen_from(),
        tags: given,
    })
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut pem = format!("-----BEGIN {label} PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + &format!("-----END {label} PRIVATE KEY-----\n")
}

fn write(xml: &mut Xml, key: &Key) {
    xml.text("keyPairId", &key.id)
        .text("keyName", &key.name)
        .text("keyFingerprint", &key.fingerprint);
    tags::write(xml, &key.tags);
}
