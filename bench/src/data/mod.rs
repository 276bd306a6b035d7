//! The spans that are sent, before any encoding: two data sets, each the same for the same seed.
//!
//! Not here: formats (`source.rs`) and how ids become fresh (`template.rs`). The surprise: texts
//! are lists of parts, since an id inside a text, a request id or an instance in a JSON body, must
//! be fresh in each round, or an index of ids would look better than it is.

mod provisioning;
mod wide;

/// Which spans to send.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DataSet {
    /// 1 KB: 20 services, traces of 20 to 100 spans, a quarter of the spans with two AWS JSON bodies
    Wide,
    /// 490 bytes: calls of AWS by one service, 120 a trace, each with a request id
    Provisioning,
}

impl DataSet {
    /// At least this many spans, in whole traces.
    pub fn traces(self, spans: usize, seed: u64) -> Vec<Trace> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut traces = Vec::new();
        let mut count = 0;
        while count < spans {
            let trace = match self {
                Self::Wide => wide::trace(&mut rng),
                Self::Provisioning => provisioning::trace(&mut rng),
            };
            count += trace.spans.len();
            traces.push(trace);
        }
        traces
    }
}

/// A trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Its id.
    pub id: [u64; 2],
    /// Its spans; a parent stands before its children.
    pub spans: Vec<Span>,
}

/// A span. Times are nanoseconds after the start of its trace.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its id.
    pub id: u64,
    /// The parent's id; none for the root.
    pub parent: Option<u64>,
    /// The service that made it.
    pub service: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its kind, as OTLP numbers it.
    pub kind: u8,
    /// When it starts.
    pub start: u64,
    /// When it ends.
    pub end: u64,
    /// Its attributes.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Why a span failed: its status, and an event `exception`.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The status's message, and the exception's.
    pub message: Text,
    /// The exception's type.
    pub kind: &'static str,
    /// The exception's stack.
    pub stack: String,
}

/// The value of an attribute.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text.
    Text(Text),
    /// A whole number.
    Int(i64),
    /// A fraction; its last digits are fresh in each round.
    Double(f64),
}

impl<T: Into<Text>> From<T> for Value {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// A text, of which parts may be fresh in each round.
#[derive(Debug, Clone, Default)]
pub struct Text(pub Vec<Part>);

/// A part of a text.
#[derive(Debug, Clone)]
pub enum Part {
    /// The same in each round.
    Plain(String),
    /// So many of the last hex digits of the number, another number in each round.
    Hex(u64, u8),
}

impl Text {
    /// Adds what is the same in each round.
    #[must_use]
    pub fn plain(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Plain(text.into()));
        self
    }

    /// Adds 1 to 16 hex digits that are fresh in each round.
    #[must_use]
    pub fn hex(mut self, rng: &mut fastrand::Rng, digits: u8) -> Self {
        self.0.push(Part::Hex(rng.u64(..), digits));
        self
    }

    /// Adds a fresh UUID.
    #[must_use]
    pub fn uuid(self, rng: &mut fastrand::Rng) -> Self {
        let groups = self.hex(rng, 8).plain("-").hex(rng, 4).plain("-4").hex(rng, 3);
        groups.plain("-a").hex(rng, 3).plain("-").hex(rng, 12)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::default().plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::default().plain(text)
    }
}

/// One of several.
fn pick<T: Copy>(rng: &mut fastrand::Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// A length of time between the two, in nanoseconds; each power of ten is as likely.
fn duration(rng: &mut fastrand::Rng, from_ms: f64, to_ms: f64) -> u64 {
    let ms = from_ms * (to_ms / from_ms).powf(rng.f64());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length of time")]
    let nanos = (ms * 1e6) as u64;
    nanos.max(1)
}
