//! A request that was encoded once and is sent many times, each time with fresh ids and times.
//!
//! Ids are combined with the round's key by exclusive or, so that parents keep their children and
//! traces their spans, no two rounds share an id, and the same seed gives the same ids. Not here:
//! what is encoded (`source.rs`). The surprise: nothing changes its length, so lengths that
//! protobuf writes in front stay right.

/// What all ids and times of one round come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// What ids are combined with.
    pub key: [u64; 2],
    /// When it starts, in nanoseconds since 1970.
    pub start: u64,
    /// Over how many nanoseconds the starts of its traces are spread.
    pub length: u64,
}

impl Round {
    /// The key of a round.
    pub fn key(seed: u64, number: u64) -> [u64; 2] {
        let mut rng = fastrand::Rng::with_seed(seed.rotate_left(32) ^ number);
        [rng.u64(..), rng.u64(..)]
    }

    /// A trace's id in this round.
    pub fn trace_id(&self, id: [u64; 2]) -> [u8; 16] {
        let id = (u128::from(id[0] ^ self.key[0]) << 64) | u128::from(id[1] ^ self.key[1]);
        id.to_be_bytes()
    }

    /// A time in this round, in nanoseconds since 1970.
    pub fn nanos(&self, time: Time) -> u64 {
        let place = (u128::from(self.length) * u128::from(time.place)) >> 32;
        // Less than the length, which has 64 bits.
        self.start + place as u64 + time.after
    }
}

/// A time in a round.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Where in the round the trace starts, in 2^32nds of the round's length.
    pub place: u32,
    /// How many nanoseconds after that.
    pub after: u64,
}

/// What to write over, in each round.
#[derive(Debug, Clone, Copy)]
pub enum Patch {
    /// 8 bytes: half of an id, combined with this half of the key.
    Id(u64, usize),
    /// So many hex digits of an id.
    Hex(u64, usize, u8),
    /// 8 bytes, the last first: a fraction of which the last digits change.
    Double(f64),
    /// 8 bytes, the last first: nanoseconds.
    Nanos(Time),
    /// 16 decimal digits: microseconds, as they are until the year 2286.
    Micros(Time),
}

/// The bits of a fraction that may change without changing more than its sixth digit.
const LAST_DIGITS: u64 = (1 << 32) - 1;

impl Patch {
    fn len(self) -> usize {
        match self {
            Self::Id(..) | Self::Double(_) | Self::Nanos(_) => 8,
            Self::Hex(_, _, digits) => usize::from(digits),
            Self::Micros(_) => 16,
        }
    }

    fn write(self, round: &Round, to: &mut [u8]) {
        match self {
            Self::Id(id, half) => to.copy_from_slice(&(id ^ round.key[half]).to_be_bytes()),
            Self::Double(value) => {
                let bits = value.to_bits() ^ (round.key[0] & LAST_DIGITS);
                to.copy_from_slice(&bits.to_le_bytes());
            }
            Self::Nanos(time) => to.copy_from_slice(&round.nanos(time).to_le_bytes()),
            Self::Hex(id, half, _) => {
                let mut left = id ^ round.key[half];
                for digit in to.iter_mut().rev() {
                    *digit = b"0123456789abcdef"[(left & 15) as usize];
                    left >>= 4;
                }
            }
            Self::Micros(time) => {
                let mut left = round.nanos(time) / 1000;
                for digit in to.iter_mut().rev() {
                    *digit = b'0' + (left % 10) as u8;
                    left /= 10;
                }
            }
        }
    }
}

/// Encoded bytes, and what to write over.
#[derive(Debug, Clone, Default)]
pub struct Template {
    bytes: Vec<u8>,
    patches: Vec<(usize, Patch)>,
}

impl Template {
    /// Adds what stays as it is.
    pub fn push(&mut self, bytes: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(bytes.as_ref());
    }

    /// Adds what is written anew in each round.
    pub fn patch(&mut self, patch: Patch) {
        self.patches.push((self.bytes.len(), patch));
        self.bytes.resize(self.bytes.len() + patch.len(), 0);
    }

    /// Adds another one.
    pub fn append(&mut self, other: &Self) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.patches.extend(other.patches.iter().map(|&(at, patch)| (shift + at, patch)));
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes of a round.
    pub fn render(&self, round: &Round) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for &(at, patch) in &self.patches {
            patch.write(round, &mut bytes[at..at + patch.len()]);
        }
        bytes
    }
}
