//! Signatures as Standard Webhooks has them: <https://www.standardwebhooks.com>.
//!
//! Not here: when a request is sent. The surprise: there may be several secrets. Each gives a
//! signature, and a receiver takes any that it knows, so a secret is replaced without a gap.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::WebhookError;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// How many bytes a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What requests are signed with. Not printed: it has no `Debug`.
#[derive(Clone)]
pub(super) struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    pub(super) fn parse(text: &str) -> Result<Self, WebhookError> {
        let keys: Vec<_> = text.split_whitespace().map(key).collect::<Result<_, _>>()?;
        match keys.is_empty() {
            true => Err(WebhookError::Secret("there is none")),
            false => Ok(Self(keys)),
        }
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let head = format!("{id}.{seconds}.");
        let signed = self.0.iter().map(|key| {
            let mac = key.clone().chain_update(&head).chain_update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Result<Hmac<Sha256>, WebhookError> {
    let digits = text.strip_prefix(PREFIX);
    let digits = digits.ok_or(WebhookError::Secret("it does not begin with whsec_"))?;
    let bytes = STANDARD.decode(digits);
    let bytes = bytes.map_err(|_| WebhookError::Secret("what follows whsec_ is not base64"))?;
    if !BYTES.contains(&bytes.len()) {
        return Err(WebhookError::Secret("from 24 to 64 bytes in base64 are wanted"));
    }
    Hmac::new_from_slice(&bytes).map_err(|_| WebhookError::Secret("its length is not possible"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_that_of_the_specifications_libraries() {
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let signed = |secrets: &str| {
            let keys = Keys::parse(secrets).unwrap_or_else(|error| panic!("{error}"));
            keys.sign(id, 1_614_265_330, body)
        };
        assert_eq!(signed(SECRET), expected);
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both = signed(&format!("{other}\n{SECRET}\n"));
        assert_eq!(both.split(' ').nth(1), Some(expected));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_not_repeated() {
        let short = format!("whsec_{}", STANDARD.encode("hunter2"));
        for bad in ["", " \n", "hunter2", "whsec_hunter2!", &short, &format!("{SECRET} hunter2")] {
            let Err(error) = Keys::parse(bad) else { panic!("{bad} is taken") };
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2") && !said.contains(&short[6..]), "{said}");
        }
    }
}
