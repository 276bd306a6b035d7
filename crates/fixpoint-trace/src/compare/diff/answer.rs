//! What a comparison says: plain data, for whoever shows or ranks it.

use serde::Serialize;

use crate::model::{SpanId, TraceId, UnixNanos};

/// Two traces, compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The trace to go by.
    pub a: Side,
    /// The trace looked at.
    pub b: Side,
    /// How many differences there are of each kind.
    pub counts: Counts,
    /// All that differs, in the order of `rows`.
    pub differences: Vec<Difference>,
    /// Names that one trace has where the other has another one, everywhere. No differences.
    pub renamed: Vec<Renamed>,
    /// Both trees in one: parents before children, siblings in the order of `b`, with those of
    /// `a` alone where they would stand.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// The same comparison with the traces swapped.
    #[must_use]
    pub fn turned(mut self) -> Self {
        std::mem::swap(&mut self.a, &mut self.b);
        for row in &mut self.rows {
            std::mem::swap(&mut row.a, &mut row.b);
        }
        for renamed in &mut self.renamed {
            std::mem::swap(&mut renamed.a, &mut renamed.b);
        }
        for difference in &mut self.differences {
            difference.turn();
        }
        self.counts = Counts::of(&self.differences);
        self
    }
}

/// One of the two traces.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// Its id; none if it has no span.
    pub trace_id: Option<TraceId>,
    /// The name of its head.
    pub name: String,
    /// The service that began it.
    pub service: String,
    /// When its first span opened.
    pub start: UnixNanos,
    /// From the first start to the last end that is known, in nanoseconds.
    pub duration: u64,
    /// How many spans it has, how many of them failed, and how many are open.
    pub spans: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many are open: what is missing may still come.
    pub open: usize,
    /// Why it is not all there is, if it is not.
    pub partial: Option<String>,
}

/// How many differences there are of each kind. Those that only follow from others are not
/// counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is explained at its kind")]
pub struct Counts {
    pub missing: usize,
    pub extra: usize,
    pub failed: usize,
    pub recovered: usize,
    pub retried: usize,
    pub repeated: usize,
    pub reordered: usize,
    pub changed: usize,
    pub slower: usize,
    pub faster: usize,
}

impl Counts {
    pub(super) fn of(differences: &[Difference]) -> Self {
        let mut counts = Self::default();
        for difference in differences.iter().filter(|difference| !difference.follows) {
            let count = match difference.kind {
                Kind::Missing => &mut counts.missing,
                Kind::Extra => &mut counts.extra,
                Kind::Failed => &mut counts.failed,
                Kind::Recovered => &mut counts.recovered,
                Kind::Retried => &mut counts.retried,
                Kind::Repeated => &mut counts.repeated,
                Kind::Reordered => &mut counts.reordered,
                Kind::Changed => &mut counts.changed,
                Kind::Slower => &mut counts.slower,
                Kind::Faster => &mut counts.faster,
            };
            *count += 1;
        }
        counts
    }
}

/// What is different, as seen from `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In `a` alone.
    Missing,
    /// In `b` alone.
    Extra,
    /// It went well in `a`, and failed in `b`.
    Failed,
    /// It failed in `a`, and went well in `b`.
    Recovered,
    /// The same call, tried another number of times, since it failed.
    Retried,
    /// The same call, made another number of times.
    Repeated,
    /// Siblings in another order, though one waited for the other in both traces.
    Reordered,
    /// Something that it asked, was answered, said or logged.
    Changed,
    /// Its own time, without that of what it called, is longer in `b`, beyond tolerance.
    Slower,
    /// Its own time is shorter in `b`, beyond tolerance.
    Faster,
}

impl Kind {
    /// The kind, seen from the other trace.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Self::Missing => Self::Extra,
            Self::Extra => Self::Missing,
            Self::Failed => Self::Recovered,
            Self::Recovered => Self::Failed,
            Self::Slower => Self::Faster,
            Self::Faster => Self::Slower,
            Self::Retried | Self::Repeated | Self::Reordered | Self::Changed => self,
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What is different.
    pub kind: Kind,
    /// The span's name, as `b` has it where both do.
    pub name: String,
    /// The service that made it.
    pub service: String,
    /// The names above it, from the top.
    pub path: Vec<String>,
    /// Its place in `a`.
    pub a: Place,
    /// Its place in `b`.
    pub b: Place,
    /// The rows that it is about; the first is its place in both trees in one.
    pub rows: Vec<usize>,
    /// How many spans are missing or extra, with all that is below.
    #[serde(skip_serializing_if = "is_none")]
    pub spans: usize,
    /// It is only a wrapper: what is below it is there in the other trace as well.
    #[serde(skip_serializing_if = "is_false")]
    pub wrapper: bool,
    /// It follows from a difference below it: a step fails because its call does.
    #[serde(skip_serializing_if = "is_false")]
    pub follows: bool,
    /// How often it was called, if that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// How long it took by itself, in nanoseconds, if that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_time: Option<Times>,
    /// What changed in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

impl Difference {
    fn turn(&mut self) {
        self.kind = self.kind.turned();
        std::mem::swap(&mut self.a, &mut self.b);
        for times in [&mut self.times, &mut self.own_time].into_iter().flatten() {
            std::mem::swap(&mut times.a, &mut times.b);
        }
        for change in &mut self.changes {
            std::mem::swap(&mut change.a, &mut change.b);
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A place in one of the trees: of a span, or of one that would stand there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The span; none if it is not there.
    pub span: Option<SpanId>,
    /// The span above it; none at the top.
    pub parent: Option<SpanId>,
    /// The sibling before it; none if it is the first.
    pub after: Option<SpanId>,
}

/// A number in each trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// In `a`.
    pub a: u64,
    /// In `b`.
    pub b: u64,
}

/// Which part of a span changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its name.
    Name,
    /// Whether it ended, and the description of how it failed.
    Status,
    /// What was sent: `fixpoint.request`.
    Request,
    /// What was answered: `fixpoint.response`.
    Response,
    /// Another attribute.
    Attribute,
    /// An event.
    Event,
    /// A log line.
    Log,
    /// What the process said of itself. Told once for all its spans.
    Resource,
}

/// Something of a span that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which part.
    pub part: Part,
    /// Where in it: `TargetGroups[0].Port`, the name of an attribute, the text of a log line.
    pub path: String,
    /// What `a` has; none if it has nothing there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<serde_json::Value>,
    /// What `b` has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<serde_json::Value>,
}

/// A name that `b` has wherever `a` has another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Renamed {
    /// As `a` has it.
    pub a: String,
    /// As `b` has it.
    pub b: String,
}

/// A line of both trees in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The span in `a`.
    pub a: Option<SpanId>,
    /// The span in `b`.
    pub b: Option<SpanId>,
    /// The row above; none at the top.
    pub parent: Option<usize>,
}
