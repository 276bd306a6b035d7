//! The sandbox's chance: ids, addresses and delays from one seed.
//!
//! Not for secrets. The surprise: the generator's state is part of the world and is saved with it,
//! so a restarted sandbox never draws an id twice.

use serde::{Deserialize, Serialize};

/// A seeded generator that can be saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn roll<T>(&mut self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        let mut rng = fastrand::Rng::with_seed(self.0);
        let drawn = draw(&mut rng);
        self.0 = rng.get_seed();
        drawn
    }

    /// Draws lower-case hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        self.roll(|rng| (0..digits).map(|_| rng.digit(16)).collect())
    }

    /// Draws an id such as `vpc-0` and sixteen digits.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{}", self.hex(16))
    }

    /// Draws an IAM id such as `AROA` and seventeen capitals.
    pub(super) fn unique(&mut self, prefix: &str) -> String {
        let tail: String = self.roll(|rng| (0..17).map(|_| rng.digit(36)).collect());
        format!("{prefix}{}", tail.to_ascii_uppercase())
    }

    /// Draws a number of milliseconds, both ends included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.roll(|rng| rng.i64(low..=high))
    }

    /// Draws a number from 0 up to 1.
    pub(super) fn share(&mut self) -> f64 {
        self.roll(fastrand::Rng::f64)
    }

    /// Draws bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.roll(|rng| (0..count).map(|_| rng.u8(..)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_generator_goes_on_with_new_ids() {
        let mut dice = Dice::new(7);
        let first = dice.id("vpc");
        let saved = serde_json::to_string(&dice).unwrap();
        let mut again: Dice = serde_json::from_str(&saved).unwrap();
        let second = again.id("vpc");
        assert_ne!(first, second);
        assert_eq!(second, dice.id("vpc"));
        assert_eq!(first.len(), "vpc-".len() + 17);
    }
}
