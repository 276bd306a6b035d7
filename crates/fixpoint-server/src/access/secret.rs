//! A token's secret: how it is drawn, what it looks like, and what is kept of it.
//!
//! `fixpoint_`, 64 hex digits of 256 random bits, 8 of their CRC-32. The beginning is for scanners
//! that look for secrets in code and logs, our own redaction among them; the checksum lets them,
//! and us, tell a token from noise without asking anybody. The surprise: what is kept is a plain
//! SHA-256. Slow hashes are for passwords, which can be guessed; nobody guesses 256 random bits,
//! and a fast hash costs nothing with each request.

use std::fmt;

use sha2::{Digest, Sha256};

/// What every token begins with.
const PREFIX: &str = "fixpoint_";

/// The bytes of the secret itself.
const BYTES: usize = 32;

/// A secret in clear.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; BYTES]);

impl Secret {
    /// Draws one from the system's generator.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads one; none if it is no token of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        // Only one text stands for a secret.
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let bytes = hex::decode(digits).ok()?;
        let (secret, sum) = bytes.split_first_chunk::<BYTES>()?;
        (sum == crc32fast::hash(secret).to_be_bytes()).then_some(Self(*secret))
    }

    /// The token to send. Whoever calls this answers for where it goes.
    pub(crate) fn reveal(&self) -> String {
        let sum = crc32fast::hash(&self.0).to_be_bytes();
        format!("{PREFIX}{}{}", hex::encode(self.0), hex::encode(sum))
    }

    /// What is kept, in hex.
    pub(crate) fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_not_otherwise() {
        let secret = Secret::random().unwrap();
        let text = secret.reveal();
        assert_eq!(text.len(), PREFIX.len() + 72);
        assert_eq!(Secret::parse(&text), Some(secret));
        let mut mistyped = text.clone();
        let last = if text.ends_with('0') { "1" } else { "0" };
        mistyped.replace_range(text.len() - 1.., last);
        let (_, digits) = text.split_at(PREFIX.len());
        for wrong in [mistyped.as_str(), digits, &text[..40], &format!("{text}00"), "", PREFIX] {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Secret::parse(&format!("{PREFIX}{}", digits.to_uppercase())), None);
    }

    #[test]
    fn two_secrets_differ_and_none_is_shown_in_debug_output() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one, other);
        assert!(!format!("{one:?}").contains(&one.reveal()[9..17]));
    }

    #[test]
    fn our_own_redaction_finds_a_token_wherever_it_is_written() {
        let token = Secret::random().unwrap().reveal();
        for planted in [token.clone(), format!("a {token} b"), format!("https://h/?q={token}&a=b")]
        {
            let clean = fixpoint_trace::redact::text(&planted);
            assert!(!clean.contains(&token[9..]), "{planted} became {clean}");
        }
    }
}
