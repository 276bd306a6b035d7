//! Which span of which trace shows a piece of evidence best, and how it is told.
//!
//! Not here: how much it matters. The surprise: evidence is of a path, and the path may have been
//! taken many times; it is shown where it happened first, a slow call where it was slowest.

use super::{
    Call, Duration, Finding, Place, What,
    evidence::{Evidence, Evidences, Sign},
    rank::{self, Weighed},
    tail::Tail,
};
use crate::{
    compare::{
        label::{Label, Names},
        profile::{
            self, Lines, NOWHERE, Profile, is_deepest_open, is_origin,
            paths::{ABOVE_ALL, EDGE, PathId},
        },
        tree::{At, Tree},
    },
    model::{Status, Trace, UnixNanos},
    semconv,
};

/// Some traces, and which spans are on which path.
pub(super) struct Places<'a> {
    traces: &'a [Trace],
    trees: Vec<Tree<'a>>,
    paths: Vec<Vec<PathId>>,
    /// The log lines of each trace, by span.
    lines: Vec<Lines<'a>>,
    /// Spans by path, as trace and place in it.
    spans: Vec<Vec<(u32, u32)>>,
}

/// A finding and where it stands, for putting findings together.
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) trace: usize,
    /// The span that shows it; none above all.
    pub(super) at: Option<At>,
    /// All spans from the top to it.
    pub(super) line: Vec<At>,
    /// When it began to be other than usual.
    pub(super) time: UnixNanos,
    /// The span before a missing call.
    pub(super) after: Option<At>,
}

impl<'a> Places<'a> {
    /// The profile of some traces, and their spans by path.
    pub(super) fn of(traces: &'a [Trace]) -> (Profile, Self) {
        let mut profile = Profile::default();
        let mut places = Self {
            traces,
            trees: Vec::new(),
            paths: Vec::new(),
            lines: Vec::new(),
            spans: Vec::new(),
        };
        for trace in traces {
            let mut names = std::mem::take(profile.names_mut());
            let tree = Tree::new(trace, &mut names);
            *profile.names_mut() = names;
            let paths = profile.place(&tree, &trace.logs);
            places.lines.push(Lines::of(&tree, &trace.logs));
            places.trees.push(tree);
            places.paths.push(paths);
        }
        places.spans.resize(profile.paths().len(), Vec::new());
        for (trace, paths) in places.paths.iter().enumerate() {
            for (at, &path) in paths.iter().enumerate().filter(|&(_, &path)| path != NOWHERE) {
                places.spans[path as usize].push((trace as u32, at as u32));
            }
        }
        (profile, places)
    }

    /// From the first start to the last moment known, on average. Not from the roots: one that only
    /// sets off what follows is long over when that ends.
    pub(super) fn mean_duration(&self) -> f64 {
        let duration = |(tree, trace): (&Tree<'_>, &Trace)| {
            let first = tree.tops().iter().map(|&top| tree.span(top).start).min().unwrap_or(0);
            profile::latest(tree, &trace.logs).saturating_sub(first) as f64
        };
        let sum: f64 = self.trees.iter().zip(self.traces).map(duration).sum();
        sum / self.traces.len().max(1) as f64
    }
}

/// Makes findings of evidence that counts.
pub(super) fn find(
    places: &Places<'_>,
    evidences: &Evidences<'_>,
    weighed: Vec<Weighed>,
) -> Vec<Found> {
    let mut names = evidences.here.names().clone();
    weighed
        .into_iter()
        .filter_map(|weighed| Finder { places, evidences, names: &mut names }.find(&weighed))
        .collect()
}

/// A place that shows something: the trace, the span, and the span before, for what comes after it.
struct Shown {
    trace: usize,
    at: Option<At>,
    after: Option<At>,
    /// The first of calls that are too many.
    first: Option<At>,
    /// How many calls there are, for numbers of calls; or how long it took.
    number: u64,
}

struct Finder<'a, 'b> {
    places: &'a Places<'b>,
    evidences: &'a Evidences<'a>,
    names: &'a mut Names,
}

impl Finder<'_, '_> {
    fn find(&mut self, weighed: &Weighed) -> Option<Found> {
        let Weighed { evidence, score, hurdle, suspect } = weighed;
        let shown = self.show(evidence)?;
        let what = self.what(evidence, &shown)?;
        let tree = &self.places.trees[shown.trace];
        let label = self.told(evidence);
        let mut path = self.path_to(evidence.path);
        if let Some(label) = label {
            path.push(label);
        }
        let last = path.last().cloned()?;
        let span = shown.at.map(|at| tree.span(at));
        let service = match shown.at {
            Some(at) => tree.span(at).service().to_owned(),
            None => last.service.clone(),
        };
        let trace = &self.places.traces[shown.trace];
        let finding = Finding {
            what,
            service,
            operation: last.operation,
            suspect: self.evidences.here.names().text(*suspect).to_owned(),
            path,
            trace_id: trace.spans.first()?.trace_id,
            span_id: span.map(|span| span.span_id),
            good: evidence.good,
            here: evidence.here,
            bits: evidence.bits,
            score: *score,
            stands: score >= hurdle,
            because: Vec::new(),
            consequences: Vec::new(),
        };
        let up = |&at: &At| tree.parent(at);
        let mut line: Vec<At> = std::iter::successors(shown.at, up).collect();
        line.reverse();
        let ended = |at: At| tree.span(at).end.unwrap_or_else(|| tree.span(at).start);
        // What a span comes to is known when it ends.
        let time = match (shown.after.or(shown.at), shown.first) {
            (_, Some(first)) => tree.span(first).start,
            (Some(at), None) => ended(at),
            (None, None) => trace.spans.first()?.start,
        };
        Some(Found { finding, trace: shown.trace, at: shown.at, line, time, after: shown.after })
    }

    /// The span that shows it.
    fn show(&mut self, evidence: &Evidence) -> Option<Shown> {
        if evidence.path == ABOVE_ALL {
            return (0..self.places.traces.len())
                .filter(|&trace| !self.places.trees[trace].is_empty())
                .find_map(|trace| self.shows(evidence, trace, None));
        }
        let spans = &self.places.spans[evidence.path as usize];
        let mut shown: Option<Shown> = None;
        for &(trace, at) in spans {
            let found = self.shows(evidence, trace as usize, Some(at as usize));
            match (&evidence.sign, found) {
                (Sign::Slow { .. }, Some(found)) => {
                    if shown.as_ref().is_none_or(|shown| found.number > shown.number) {
                        shown = Some(found);
                    }
                }
                (_, Some(found)) => return Some(found),
                (_, None) => {}
            }
        }
        shown
    }

    /// Whether a span shows it.
    fn shows(&mut self, evidence: &Evidence, trace: usize, at: Option<At>) -> Option<Shown> {
        let tree = &self.places.trees[trace];
        let paths = &self.places.paths[trace];
        let shown = |number| Some(Shown { trace, at, after: None, first: None, number });
        let below: Vec<At> = match at {
            Some(at) => tree.children(at).collect(),
            None => tree.tops().to_vec(),
        };
        let ended = at.is_none_or(|at| tree.span(at).end.is_some());
        let calls =
            |path: PathId| below.iter().filter(|&&child| paths[child] == path).count() as u32;
        match &evidence.sign {
            Sign::Fewer { call, least, good, .. } => {
                let made = call.map_or(0, calls);
                let after = self.usual_before(*good, &below, paths);
                (ended && profile::paths::rounded(made) < *least).then_some(Shown {
                    trace,
                    at,
                    after,
                    first: None,
                    number: u64::from(made),
                })
            }
            Sign::More { call, least, usual } => {
                let made = calls(*call);
                let alike = below.iter().filter(|&&child| paths[child] == *call);
                let first = alike.copied().nth(*usual as usize);
                (profile::paths::rounded(made) >= *least).then_some(Shown {
                    trace,
                    at,
                    after: None,
                    first,
                    number: u64::from(made),
                })
            }
            Sign::Order { before, then, .. } => {
                let mut last = EDGE;
                let mut after = None;
                for &child in below.iter().filter(|&&child| paths[child] != NOWHERE) {
                    if (last, paths[child]) == (*before, *then) {
                        return Some(Shown { trace, at, after, first: None, number: 0 });
                    }
                    (last, after) = (paths[child], Some(child));
                }
                (ended && (last, EDGE) == (*before, *then)).then_some(Shown {
                    trace,
                    at,
                    after,
                    first: None,
                    number: 0,
                })
            }
            Sign::Failed => at.filter(|&at| is_origin(tree, at)).and_then(|_| shown(0)),
            Sign::Open => {
                let at = at.filter(|&at| is_deepest_open(tree, at))?;
                let now = profile::latest(tree, &self.places.traces[trace].logs);
                shown(tree.duration(at, now))
            }
            Sign::Slow { edge, .. } => {
                let at = at.filter(|&at| tree.span(at).end.is_some())?;
                let is_edge = profile::callee(tree, at).is_some();
                (is_edge == *edge).then(|| tree.self_time(at, 0)).and_then(shown)
            }
            Sign::Value { key, value } => {
                let mut here = None;
                profile::each_value(tree, at?, |name, text| {
                    if name == key {
                        here = Some(text.to_owned());
                    }
                });
                (here == *value).then_some(()).and_then(|()| shown(0))
            }
            Sign::Lines { before, then, .. } => {
                let names = self.places.lines[trace].names(at?, tree, self.names);
                profile::pairs(names).any(|pair| pair == (*before, *then)).then_some(())?;
                shown(0)
            }
        }
    }

    /// The call after which good traces make another one most often, if it was made here.
    fn usual_before(&self, call: PathId, below: &[At], paths: &[PathId]) -> Option<At> {
        let caller = self.evidences.good.path(call).parent;
        let pairs = self.evidences.good.path(caller).calls.iter();
        let mut before: Vec<(u64, PathId)> = pairs
            .filter(|&(&(before, then), _)| then == call && before != call && before != EDGE)
            .map(|(&(before, _), times)| (times, before))
            .collect();
        before.sort_unstable_by_key(|&(times, before)| (std::cmp::Reverse(times), before));
        before.iter().find_map(|&(_, before)| {
            let known = |&&at: &&At| {
                paths[at] != NOWHERE && self.evidences.known[paths[at] as usize] == Some(before)
            };
            below.iter().rfind(known).copied()
        })
    }

    /// How long hardly any good one takes. What is not known takes no longer than what it is in.
    fn most(&self, path: PathId) -> Option<u64> {
        let up = std::iter::successors(Some(path), |&path| {
            (path != ABOVE_ALL).then(|| self.evidences.here.path(path).parent)
        });
        up.filter_map(|path| self.evidences.known[path as usize])
            .map(|known| &self.evidences.good.path(known).whole)
            .find(|whole| whole.count() > 0)
            .map(|whole| Tail::of(whole).most())
    }

    fn what(&self, evidence: &Evidence, shown: &Shown) -> Option<What> {
        let tree = &self.places.trees[shown.trace];
        let good =
            self.evidences.known[evidence.path as usize].map(|p| self.evidences.good.path(p));
        let text = |line: u32| self.evidences.here.names().text_of(line).to_owned();
        let place = |at: At| Place {
            span_id: tree.span(at).span_id,
            operation: self.evidences.here.names().text(tree.label(at).name).to_owned(),
        };
        Some(match &evidence.sign {
            Sign::Fewer { good, usual, .. } => What::MissingCall {
                after: shown.after.map(place),
                usual: *usual,
                calls: shown.number as u32,
                usual_duration: self.evidences.good.path(*good).whole.quantile(0.5),
            },
            Sign::More { usual, .. } => {
                What::ExtraCall { usual: *usual, calls: shown.number as u32 }
            }
            Sign::Order { usual, .. } => What::Reordered {
                after: shown.after.map(place),
                usual: usual.and_then(|path| self.good_call(path)).map(|call| call.operation),
            },
            Sign::Failed => {
                let span = tree.span(shown.at?);
                let message = match &span.status {
                    Status::Error(message) => message.clone(),
                    _ => String::new(),
                };
                let error = span.attributes.get(semconv::ERROR_TYPE);
                What::Failed { message, error: error.map(|error| error.to_text().into_owned()) }
            }
            Sign::Open => What::NeverEnded {
                usual: good.and_then(|good| good.whole.quantile(0.5)),
                most: self.most(evidence.path),
                open: shown.number,
            },
            Sign::Slow { edge, .. } => {
                let histogram = if *edge { &good?.gap } else { &good?.own };
                let duration = Duration {
                    usual: histogram.quantile(0.5)?,
                    most: histogram.quantile(0.99)?,
                    took: shown.number,
                };
                let callee = edge.then(|| rank::callee(self.evidences, evidence.path)).flatten();
                match callee.map(|callee| self.evidences.here.names().text(callee).to_owned()) {
                    Some(callee) => What::SlowEdge { callee, duration },
                    None => What::Slow(duration),
                }
            }
            Sign::Value { key, value } => {
                let usual = self.evidences.good.names().known(key);
                let usual = usual.and_then(|key| good?.values.get(&key)).and_then(|v| v.usual());
                let (attribute, place) = match key.split_once(' ') {
                    Some((attribute, place)) => (attribute, Some(place.to_owned())),
                    None => (&**key, None),
                };
                What::Changed {
                    attribute: attribute.to_owned(),
                    place,
                    usual: usual.map(|(value, _)| value.clone()),
                    value: value.clone(),
                }
            }
            Sign::Lines { before, then, usual } => What::ChangedLines {
                after: (*before != EDGE).then(|| text(*before)),
                line: (*then != EDGE).then(|| text(*then)),
                usual: usual.map(|line| self.evidences.good.names().text_of(line).to_owned()),
            },
        })
    }

    /// The call that it is about, if that is not the path it was found on.
    fn told(&self, evidence: &Evidence) -> Option<Call> {
        match evidence.sign {
            Sign::Fewer { good, .. } => self.good_call(good),
            Sign::More { call, .. } => self.here_call(call),
            Sign::Order { then, .. } if then != EDGE => self.here_call(then),
            _ => None,
        }
    }

    fn here_call(&self, path: PathId) -> Option<Call> {
        let here = self.evidences.here;
        here.path(path).label.map(|label| call(label, here.names()))
    }

    fn good_call(&self, path: PathId) -> Option<Call> {
        let good = self.evidences.good;
        good.path(path).label.map(|label| call(label, good.names()))
    }

    fn path_to(&self, path: PathId) -> Vec<Call> {
        let up = |&path: &PathId| Some(self.evidences.here.path(path).parent);
        let line = std::iter::successors(Some(path), up).take_while(|&path| path != ABOVE_ALL);
        let mut calls: Vec<Call> = line.filter_map(|path| self.here_call(path)).collect();
        calls.reverse();
        calls
    }
}

fn call(label: Label, names: &Names) -> Call {
    Call {
        service: names.text(label.service).to_owned(),
        operation: names.text(label.name).to_owned(),
    }
}
