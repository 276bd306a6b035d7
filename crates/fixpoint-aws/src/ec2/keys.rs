//! Key pairs.

use serde::{Deserialize, Serialize};

use super::operation::operations;
use super::wire::{base64_text, secret, set};
use super::{Done, Filter, Tag, TagSpecification};
use crate::Secret;

/// Makes a key pair. Has no client token, but its name is unique in the region.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyPair {
    /// At most 255 characters.
    pub key_name: String,
    /// `ed25519` or `rsa`.
    pub key_type: Option<String>,
    /// Tags of the `key-pair`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new key pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreatedKeyPair {
    /// `key-...`
    pub key_pair_id: String,
    /// Its name.
    pub key_name: String,
    /// Of the public key.
    pub key_fingerprint: String,
    /// The private key, in PEM. This answer is the only place where it ever is.
    #[serde(deserialize_with = "secret")]
    pub key_material: Secret<String>,
}

/// Brings a public key of ours.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyPair {
    /// At most 255 characters.
    pub key_name: String,
    /// As in `authorized_keys`; the wire's base64 is put on for you.
    #[serde(serialize_with = "base64_text")]
    pub public_key_material: String,
    /// Tags of the `key-pair`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The key pair just brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImportedKeyPair {
    /// `key-...`
    pub key_pair_id: String,
    /// Its name.
    pub key_name: String,
    /// Of the public key.
    pub key_fingerprint: String,
}

/// Lists key pairs; AWS does not page them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyPairs {
    /// These only; all must exist.
    #[serde(rename = "KeyName")]
    pub key_names: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
}

/// Key pairs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyPairs {
    /// The key pairs.
    #[serde(rename = "keySet", deserialize_with = "set")]
    pub key_pairs: Vec<KeyPair>,
}

/// What AWS keeps of a key pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyPair {
    /// `key-...`
    pub key_pair_id: String,
    /// Its name.
    pub key_name: String,
    /// `ed25519` or `rsa`.
    pub key_type: String,
    /// Of the public key.
    pub key_fingerprint: String,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Deletes a key pair; one that is not there is no error.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteKeyPair {
    /// By name, ...
    pub key_name: Option<String>,
    /// ... or by id.
    pub key_pair_id: Option<String>,
}

operations! {
    CreateKeyPair => CreatedKeyPair,
    ImportKeyPair => ImportedKeyPair,
    DescribeKeyPairs => KeyPairs,
    DeleteKeyPair => Done,
}
