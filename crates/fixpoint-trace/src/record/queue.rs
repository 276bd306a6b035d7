//! The queue between recorders and writer: one for the process, in order, bounded by bytes.
//!
//! A mutex around a `Vec` that the writer swaps out whole: the lock is held for a push, and no
//! cheaper structure keeps one order across threads. The surprise: pushing wakes the writer only
//! if it said that it sleeps, so a burst pays for one wake-up, not for one a record.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::{Notify, oneshot};

use crate::model::{Level, Record, Resource, SpanContext, SpanId, UnixNanos, Value};

/// A field of a span or an event: its name as written in the code, and its value.
pub(crate) type Field = (&'static str, Value);

/// What the emitting threads say; whole records are made of it by `assemble.rs`.
#[derive(Debug)]
pub(crate) enum Message {
    Open(Opening),
    Set { context: SpanContext, fields: Vec<Field> },
    Link { context: SpanContext, to: SpanContext },
    Close { context: SpanContext, time: UnixNanos },
    Line(Box<Line>),
    Whole(Box<Record>),
    Flush(oneshot::Sender<()>),
}

/// A span opens.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) context: SpanContext,
    pub(crate) parent: Option<SpanId>,
    /// Its id was given, so it may be a span that was stored before.
    pub(crate) reopens: bool,
    pub(crate) name: &'static str,
    pub(crate) time: UnixNanos,
    pub(crate) fields: Vec<Field>,
    pub(crate) resource: Arc<Resource>,
}

/// A log line was written.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) context: Option<SpanContext>,
    pub(crate) time: UnixNanos,
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) resource: Arc<Resource>,
}

impl Message {
    /// About how many bytes it holds. Whole records are rare and only counted roughly.
    fn size(&self) -> usize {
        let fields = |fields: &[Field]| {
            fields.iter().map(|(_, value)| size_of::<Field>() + heap(value)).sum::<usize>()
        };
        size_of::<Self>()
            + match self {
                Self::Open(opening) => fields(&opening.fields),
                Self::Set { fields: set, .. } => fields(set),
                Self::Line(line) => size_of::<Line>() + line.message.len() + fields(&line.fields),
                Self::Whole(_) => 1024,
                Self::Link { .. } | Self::Close { .. } | Self::Flush(_) => 0,
            }
    }

    /// The end of a span is never dropped: that would leave it open for good.
    fn may_be_dropped(&self) -> bool {
        !matches!(self, Self::Close { .. } | Self::Flush(_))
    }
}

fn heap(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|v| size_of::<Value>() + heap(v)).sum(),
        Value::Map(map) => map.iter().map(|(k, v)| k.len() + size_of::<Value>() + heap(v)).sum(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
    }
}

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    dropped: AtomicU64,
    limit: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
    asleep: bool,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new(), dropped: AtomicU64::new(0), limit }
    }

    pub(crate) fn push(&self, message: Message) {
        let size = message.size();
        let mut waiting = self.lock();
        if waiting.closed || waiting.bytes + size > self.limit && message.may_be_dropped() {
            drop(waiting);
            // A refused flush is told to its caller: the channel closes with the message.
            if message.may_be_dropped() {
                self.lost(1);
            }
            return;
        }
        let wake = std::mem::take(&mut waiting.asleep) || matches!(message, Message::Flush(_));
        waiting.bytes += size;
        waiting.messages.push(message);
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Everything that waits. If nothing does, the next push will complete [`Queue::filled`].
    pub(crate) fn take(&self) -> Vec<Message> {
        let mut waiting = self.lock();
        waiting.asleep = waiting.messages.is_empty();
        waiting.bytes = 0;
        // As much room again spares the emitting threads from growing it.
        let room = Vec::with_capacity(waiting.messages.len());
        std::mem::replace(&mut waiting.messages, room)
    }

    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Everything that waits; what is pushed from now on is dropped.
    pub(crate) fn close(&self) -> Vec<Message> {
        let mut waiting = self.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.messages)
    }

    pub(crate) fn lost(&self, records: u64) {
        self.dropped.fetch_add(records, Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
