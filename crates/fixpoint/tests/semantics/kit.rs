//! Plans and steps made from closures, and a subscriber that keeps spans as text.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::{self, Debug},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU32, Ordering},
    },
};

use fixpoint::{BoxError, Context, Error, Plan, Report, Scheduler, Step, Steps, async_trait};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};
use tracing_subscriber::{Layer, layer, prelude::*, registry::LookupSpan};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A plan that answers with what the closure makes of how often it was asked, from 1.
pub(crate) struct Asked<F>(F, AtomicU32);

pub(crate) fn plan<F>(answer: F) -> Asked<F>
where
    F: Fn(u32) -> Result<Steps, BoxError> + Send + Sync,
{
    subscribe();
    Asked(answer, AtomicU32::new(0))
}

/// A plan that answers once, and then that nothing is left.
pub(crate) fn once(steps: impl Fn() -> Steps + Send + Sync) -> impl Plan {
    plan(move |nth| Ok(if nth == 1 { steps() } else { Steps::none() }))
}

#[async_trait]
impl<F> Plan for Asked<F>
where
    F: Fn(u32) -> Result<Steps, BoxError> + Send + Sync,
{
    fn name(&self) -> &str {
        "test"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        (self.0)(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

type Working = Pin<Box<dyn Future<Output = Result<Steps, BoxError>> + Send>>;

/// A step that does what the closure does. Its key is its name.
pub(crate) struct Do {
    name: String,
    work: Box<dyn Fn(Context) -> Working + Send + Sync>,
}

pub(crate) fn step<F, W>(name: impl Into<String>, work: F) -> Do
where
    F: Fn(Context) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Steps, BoxError>> + Send + 'static,
{
    subscribe();
    Do { name: name.into(), work: Box::new(move |cx| Box::pin(work(cx))) }
}

/// A step that notes its name and returns what `inner` makes.
pub(crate) fn noting<F>(diary: &Diary, name: impl Into<String>, inner: F) -> Do
where
    F: Fn() -> Steps + Send + Sync + 'static,
{
    let (diary, name) = (diary.clone(), name.into());
    step(name.clone(), move |_| {
        diary.note(&*name);
        let inner = inner();
        async { Ok(inner) }
    })
}

/// A step that does nothing.
pub(crate) fn noop(name: impl Into<String>) -> Do {
    step(name, |_| async { Ok(Steps::none()) })
}

/// A step that fails.
pub(crate) fn failing(name: impl Into<String>, why: &'static str) -> Do {
    step(name, move |_| async move { Err(why.into()) })
}

impl Debug for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[async_trait]
impl Step for Do {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        (self.work)(cx.clone()).await
    }
}

pub(crate) async fn solve(plan: &dyn Plan) -> Result<Report, Error> {
    Scheduler::default().execute(plan, &Context::new()).await
}

/// The spans and log lines made while the guard lives, as text.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// By id, in the order opened: (id, parent, name, fields).
    spans: Vec<(u64, Option<u64>, String, Fields)>,
    logs: Vec<String>,
}

type Fields = HashMap<String, String>;

thread_local! {
    static WATCHING: RefCell<Option<Spans>> = const { RefCell::new(None) };
}

/// Makes the one subscriber of all tests, before any of them makes a span: a span's macro that
/// registers in one test at the very moment another test sets its subscriber may stay dark.
pub(crate) fn subscribe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(ToWatcher).init());
}

/// Ends the watch when dropped.
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHING.set(None);
    }
}

impl Spans {
    /// Keeps what this thread does from now on.
    pub(crate) fn watch() -> (Self, Watch) {
        subscribe();
        let spans = Self::default();
        WATCHING.set(Some(spans.clone()));
        (spans, Watch)
    }

    /// One line a span, two spaces a level.
    pub(crate) fn tree(&self) -> String {
        fn add(kept: &Kept, parent: Option<u64>, depth: usize, out: &mut String) {
            for (id, _, name, _) in kept.spans.iter().filter(|s| s.1 == parent) {
                *out += &format!("{:1$}{name}\n", "", depth * 2);
                add(kept, Some(*id), depth + 1, out);
            }
        }
        let mut out = String::new();
        add(&self.0.lock().unwrap(), None, 0, &mut out);
        out
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().spans.len()
    }

    /// A field of the first span of that name.
    pub(crate) fn field(&self, span: &str, field: &str) -> Option<String> {
        let kept = self.0.lock().unwrap();
        kept.spans.iter().find(|s| s.2 == span).and_then(|s| s.3.get(field).cloned())
    }

    pub(crate) fn logs(&self) -> Vec<String> {
        self.0.lock().unwrap().logs.clone()
    }
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// Hands everything to the thread's watcher; where nobody watches, nothing is enabled.
struct ToWatcher;

impl ToWatcher {
    fn with(keep: impl FnOnce(&mut Kept)) {
        WATCHING.with_borrow(|spans| {
            if let Some(spans) = spans {
                keep(&mut spans.0.lock().unwrap());
            }
        });
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ToWatcher {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: layer::Context<'_, S>) -> bool {
        WATCHING.with_borrow(Option::is_some)
    }

    fn on_new_span(&self, attrs: &span::Attributes<'_>, id: &span::Id, cx: layer::Context<'_, S>) {
        let mut fields = Fields::new();
        attrs.record(&mut Reader(&mut fields));
        let name = fields.remove("otel.name");
        let name = name.unwrap_or_else(|| attrs.metadata().name().to_owned());
        let parent = cx.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        Self::with(|kept| kept.spans.push((id.into_u64(), parent, name, fields)));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, _: layer::Context<'_, S>) {
        Self::with(|kept| {
            // Ids are used again after a span has closed: the newest is meant.
            if let Some(span) = kept.spans.iter_mut().rfind(|s| s.0 == id.into_u64()) {
                values.record(&mut Reader(&mut span.3));
            }
        });
    }

    fn on_event(&self, event: &tracing::Event<'_>, cx: layer::Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        let place = if cx.event_span(event).is_some() { "" } else { " (no span)" };
        let text = fields.remove("message").unwrap_or_default();
        let level = event.metadata().level();
        Self::with(|kept| kept.logs.push(format!("{level} {text}{place}")));
    }
}
