//! One call as a handler sees it: its parameters, its region, the time, and an empty answer.
//!
//! Not for the wire: requests are read and answers wrapped in `wire`. The surprise: a handler may
//! change the world before it refuses, and dry runs change it too; the sandbox puts the old world
//! back in both cases.

use sha2::{Digest, Sha256};

use super::clock::Time;
use super::dice::Dice;
use super::iam::Iam;
use super::params::Params;
use super::refusal::Refusal;
use super::world::{Region, Token};
use super::xml::Xml;

/// What a handler answers.
pub(super) type Answer = Result<Xml, Refusal>;

/// Longest time until a new resource shows up in descriptions, in milliseconds.
const LAG: i64 = 2_000;

/// One call.
pub(super) struct Call<'a> {
    /// What the caller sent.
    pub(super) params: &'a Params,
    /// The region's state.
    pub(super) region: &'a mut Region,
    /// Roles and instance profiles, which belong to no region.
    pub(super) iam: &'a mut Iam,
    /// Chance.
    pub(super) dice: &'a mut Dice,
    /// The region's name.
    pub(super) place: &'a str,
    /// World time.
    pub(super) now: Time,
    /// What list elements are called in this protocol.
    pub(super) item: &'static str,
    /// Whether lists are answered empty.
    pub(super) empty: bool,
}

impl Call<'_> {
    /// Starts an answer.
    pub(super) fn xml(&self) -> Xml {
        Xml::new(self.item).without_items(self.empty)
    }

    /// Returns the answer of calls that only succeed.
    pub(super) fn done(&self) -> Answer {
        let mut xml = self.xml();
        xml.text("return", true);
        Ok(xml)
    }

    /// Draws the time from which a new resource is seen.
    pub(super) fn seen_from(&mut self) -> Time {
        self.now.plus(self.dice.between(0, LAG))
    }

    /// Draws a time after now, in milliseconds.
    pub(super) fn after(&mut self, low: i64, high: i64) -> Time {
        self.now.plus(self.dice.between(low, high))
    }

    /// Looks up what was made with the same client token before.
    ///
    /// Refuses the token if it came with other parameters then.
    pub(super) fn made_before(&self, operation: &str) -> Result<Option<String>, Refusal> {
        let Some(token) = self.params.text("ClientToken") else { return Ok(None) };
        if token.len() > 64 {
            return Err(Refusal::invalid("Client token must not be longer than 64 characters"));
        }
        match self.region.tokens.get(&format!("{operation}/{token}")) {
            None => Ok(None),
            Some(known) if known.parameters == self.fingerprint() => Ok(Some(known.made.clone())),
            Some(_) => Err(Refusal::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in \
                 previous request(s).",
            )),
        }
    }

    /// Remembers what was made with this call's client token.
    pub(super) fn remember(&mut self, operation: &str, made: &str) {
        let Some(token) = self.params.text("ClientToken") else { return };
        let entry = Token { parameters: self.fingerprint(), made: made.to_owned() };
        self.region.tokens.insert(format!("{operation}/{token}"), entry);
    }

    /// Hashes the parameters; user data must not lie about in clear.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in self.params.flat() {
            if name != "DryRun" {
                hash.update(name.len().to_be_bytes());
                hash.update(name);
                hash.update(value.len().to_be_bytes());
                hash.update(value);
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
