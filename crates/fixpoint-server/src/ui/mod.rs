//! The pages, as values and templates: data in, HTML out.
//!
//! Not here: routes and stores (`http/pages.rs` has both). The surprise: no page is drawn twice.
//! What is live on a page is drawn anew by the same template and taken over by the browser; only
//! the waterfall is drawn there, from the trace as the API answers it.

mod assets;
mod chart;
mod filters;
mod form;
mod operations;
mod scatter;
mod search;
mod shape;
pub(crate) mod text;
mod views;
mod why;

use askama::Template;
use fixpoint_client::{Hit, Problem, Run, RunState};

pub(crate) use self::assets::asset;
pub(crate) use self::chart::Window;
pub(crate) use self::filters::Filter;
use self::form::Control;
pub(crate) use self::form::Form;
pub(crate) use self::operations::{OperationRow, OperationsPage, Sort};
pub(crate) use self::scatter::Scatter;
pub(crate) use self::search::{Asked, Found, Mistake, TraceRow, TracesPage};
pub(crate) use self::shape::Shape;
pub(crate) use self::views::{ResourceView, RunView, VerbView};
pub(crate) use self::why::WhyView;

/// What every page has around it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chrome {
    /// The document's title, without the product's name.
    pub(crate) title: String,
    /// Which entry of the navigation is the current one.
    pub(crate) section: &'static str,
    /// What the search box holds.
    pub(crate) query: String,
    /// Streams of events after which the page is out of date.
    pub(crate) follow: Vec<String>,
    /// Seconds after which the page is out of date; 0 for never.
    pub(crate) refresh: u32,
}

impl Chrome {
    /// A page that does not change by itself.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Marks an entry of the navigation.
    pub(crate) fn section(self, section: &'static str) -> Self {
        Self { section, ..self }
    }

    /// Has the page drawn anew every `seconds`.
    pub(crate) fn refresh(self, seconds: u32) -> Self {
        Self { refresh: seconds, ..self }
    }

    /// Has the page drawn anew after each event of a run, as long as it goes on.
    pub(crate) fn follow(mut self, run: &Run) -> Self {
        if !run.state.is_final() {
            self.follow.push(format!("/v1/runs/{}/events", run.id));
        }
        self
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// `/`: resources by kind, a form for a new one, and what goes on.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// One section for each kind.
    pub(crate) kinds: Vec<KindSection>,
    /// Runs that go on, and the last that ended.
    pub(crate) runs: Vec<RunView>,
}

/// The resources of one kind.
#[derive(Debug)]
pub(crate) struct KindSection {
    /// The plural name.
    pub(crate) kind: String,
    /// By name.
    pub(crate) resources: Vec<ResourceView>,
    /// True if there are more than these.
    pub(crate) more: bool,
    /// Asks for a new one.
    pub(crate) form: Form,
}

/// `/runs`: the newest runs.
#[derive(Debug, Template)]
#[template(path = "runs.html")]
pub(crate) struct RunsPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// Newest first.
    pub(crate) runs: Vec<RunView>,
    /// The address of the next page.
    pub(crate) next: Option<String>,
    /// The state that the list is narrowed to, if to one.
    pub(crate) state: Option<RunState>,
}

impl RunsPage {
    /// What the list can be narrowed to: address, text, and whether it is.
    fn filters(&self) -> Vec<(String, String, bool)> {
        let one = |state: RunState| {
            (
                format!("/runs?state={state}"),
                state.as_str().replace('_', " "),
                self.state == Some(state),
            )
        };
        let all = ("/runs".to_owned(), "all".to_owned(), self.state.is_none());
        std::iter::once(all).chain(RunState::ALL.map(one)).collect()
    }
}

/// `/runs/{id}`: the plan, what it saw, and the trace.
#[derive(Debug, Template)]
#[template(path = "run.html")]
pub(crate) struct RunPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The run.
    pub(crate) run: RunView,
    /// What can be done to it.
    pub(crate) verbs: Vec<VerbView>,
    /// The last good run of its kind, to compare with.
    pub(crate) good: Option<RunView>,
}

/// `/traces/{a}/diff/{b}`: two traces in one waterfall.
#[derive(Debug, Template)]
#[template(path = "diff.html")]
pub(crate) struct DiffPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The trace to go by.
    pub(crate) a: DiffSide,
    /// The trace looked at.
    pub(crate) b: DiffSide,
}

/// One of two traces that are compared.
#[derive(Debug)]
pub(crate) struct DiffSide {
    /// 32 hex digits.
    pub(crate) trace_id: String,
    /// The run that it is of, if it is of one.
    pub(crate) run: Option<RunView>,
}

impl DiffSide {
    fn goes_on(&self) -> bool {
        self.run.as_ref().is_some_and(RunView::goes_on)
    }
}

/// `/traces/{id}`: the waterfall of any trace.
#[derive(Debug, Template)]
#[template(path = "trace.html")]
pub(crate) struct TracePage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// 32 hex digits.
    pub(crate) trace_id: String,
    /// This page's address.
    pub(crate) base: String,
    /// Whether it is known to have gone wrong.
    pub(crate) went_wrong: bool,
    /// The runs of this trace.
    pub(crate) runs: Vec<RunView>,
    /// The last good run of the kind of the first of them, to compare with.
    pub(crate) good: Option<RunView>,
}

/// `/runs/{id}/why` and `/traces/{id}/why`: the answer alone, which other pages take their panel from.
#[derive(Debug, Template)]
#[template(path = "why_page.html")]
pub(crate) struct WhyPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The address of the page of what it is about.
    pub(crate) base: String,
    /// What it is about, in a few words.
    pub(crate) what: String,
    /// The answer.
    pub(crate) why: WhyView,
}

/// `/{kind}/{name}`: one resource, and what can be done with it.
#[derive(Debug, Template)]
#[template(path = "resource.html")]
pub(crate) struct ResourcePage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The resource.
    pub(crate) resource: ResourceView,
    /// Its runs, newest first.
    pub(crate) runs: Vec<RunView>,
    /// Changes it.
    pub(crate) form: Form,
}

/// `/search`: what an id was found in.
#[derive(Debug, Template)]
#[template(path = "search.html")]
pub(crate) struct SearchPage {
    /// Around it; holds the query.
    pub(crate) chrome: Chrome,
    /// Best first.
    pub(crate) hits: Vec<HitView>,
    /// Where the same text is read as a query, if it is one.
    pub(crate) as_query: Option<String>,
}

/// One thing found, as a line.
#[derive(Debug)]
pub(crate) struct HitView {
    /// "run", "resource" or "trace".
    pub(crate) what: &'static str,
    /// Where it is.
    pub(crate) href: String,
    /// Its name or id.
    pub(crate) name: String,
    /// What else helps to choose.
    pub(crate) about: String,
    /// A word for its state.
    pub(crate) state: &'static str,
}

impl HitView {
    /// The hits for `query` that are worth a line: a thing that bears the very name leads alone,
    /// and the trace of a run that was found says nothing new.
    pub(crate) fn all(hits: &[Hit], query: &str) -> Vec<Self> {
        let trace_of = |hit: &Hit| match hit {
            Hit::Run(run) => run.trace_id.clone(),
            Hit::Trace(trace) => trace.trace_id.clone(),
            Hit::Resource(_) => String::new(),
        };
        let exact = hits.iter().find(|hit| match hit {
            Hit::Run(run) => run.id == query,
            Hit::Trace(trace) => trace.trace_id.eq_ignore_ascii_case(query),
            Hit::Resource(_) => false,
        });
        let mut named = hits.iter().filter(|hit| matches!(hit, Hit::Resource(_)));
        let exact = exact.or_else(|| named.next().filter(|_| named.next().is_none()));
        if let Some(exact) = exact {
            return vec![Self::new(exact, query)];
        }
        let runs = hits.iter().filter(|hit| matches!(hit, Hit::Run(_)));
        let shown: Vec<_> = runs.map(trace_of).collect();
        let fresh = |hit: &&Hit| !matches!(hit, Hit::Trace(_)) || !shown.contains(&trace_of(hit));
        hits.iter().filter(fresh).map(|hit| Self::new(hit, query)).collect()
    }

    /// A hit for `query`. A trace shows the query at once.
    fn new(hit: &Hit, query: &str) -> Self {
        match hit {
            Hit::Run(run) => Self {
                what: "run",
                href: format!("/runs/{}", text::encoded(&run.id)),
                name: run.id.clone(),
                about: format!("{} of {}, {}", run.plan, run.resource, text::stamp(run.created_at)),
                state: run.state.as_str(),
            },
            Hit::Resource(resource) => Self {
                what: "resource",
                href: format!(
                    "/{}/{}",
                    text::encoded(&resource.kind),
                    text::encoded(&resource.name)
                ),
                name: format!("{}/{}", resource.kind, resource.name),
                about: format!("generation {}", resource.generation),
                state: resource.run_state.map_or("", |state| state.as_str()),
            },
            Hit::Trace(trace) => {
                let whole = query.eq_ignore_ascii_case(&trace.trace_id);
                let find =
                    if whole { String::new() } else { format!("?find={}", text::encoded(query)) };
                Self {
                    what: "trace",
                    href: format!("/traces/{}{find}", text::encoded(&trace.trace_id)),
                    name: trace.trace_id.clone(),
                    about: format!(
                        "{}, {} spans, {} failed, {}",
                        trace.name,
                        trace.spans,
                        trace.errors,
                        text::stamp(trace.started_at)
                    ),
                    state: match (trace.open, trace.failed) {
                        (1.., _) => "running",
                        (0, true) => "failed",
                        (0, false) => "",
                    },
                }
            }
        }
    }
}

/// `/sign-in`: for a token to be pasted, or who has been.
#[derive(Debug, Template)]
#[template(path = "sign-in.html")]
pub(crate) struct SignInPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// Whether this server wants anybody to sign in.
    pub(crate) wanted: bool,
    /// Where to go then.
    pub(crate) to: String,
    /// Why the last try did not go well.
    pub(crate) why: Option<String>,
    /// The token that this browser is signed in with, and its role.
    pub(crate) signed_in: Option<(String, String)>,
}

/// A page that leads to another, and is there for a moment only.
#[derive(Debug, Template)]
#[template(path = "once-more.html")]
pub(crate) struct OnceMorePage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The address.
    pub(crate) path: String,
}

/// An error, for people.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// What went wrong.
    pub(crate) problem: Problem,
}

#[cfg(test)]
mod tests;
