//! Finding traces, newest first, across tables and segments.
//!
//! Each source offers the traces that may match, newest first; they are looked at in the order of
//! their start until a page is full. Not here: what a query means (`query/`), or which traces a
//! segment offers (its index knows). The surprise: a source dates a trace by what it holds of it,
//! so a trace is put in its place only when it has been looked at, a page is told only as far as no
//! source can offer anything newer, and it begins with traces that lie across its beginning
//! (`split.rs`).

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    State,
    memtable::Memtable,
    read::{Place, Places},
    write::read,
};
use crate::{
    model::{TraceId, UnixNanos},
    query::{Field, Literal, Op, Query},
    store::{
        BoxError, Columns, StoreError, TracePage, TraceQuery, TraceSummary,
        segment::{Candidates, Segment},
        summary::Tally,
        tokens,
    },
};

/// How long a search goes on before it tells what it has; the next page goes on from there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many places of a source are looked up at once.
const AHEAD: usize = 64;

/// Sources, of which a segment is not opened before its newest trace may be the next.
struct Sources<'a> {
    open: Vec<Source<'a>>,
    /// The one whose last trace is the newest comes last.
    waiting: Vec<&'a Segment>,
}

/// Something that offers traces, newest first.
struct Source<'a> {
    offers: Offers<'a>,
    /// What was looked up and not offered yet, the next one last.
    ahead: Vec<Offer>,
    done: bool,
}

enum Offers<'a> {
    Segment {
        segment: &'a Segment,
        candidates: Candidates,
        next: usize,
    },
    Table {
        table: &'a std::sync::RwLock<super::Memtable>,
        among: Option<HashSet<TraceId>>,
        from: Option<Place>,
    },
}

struct Offer {
    place: Place,
    /// The segment's index says that it surely matches.
    sure: bool,
    /// What the segment holds of it.
    summary: Option<TraceSummary>,
}

impl State {
    /// The traces that match, newest first.
    pub(super) fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let failed = |why| StoreError::new("search traces", why);
        let started = Instant::now();
        let query = &query.narrowed();
        let mut sources = self.sources(query).map_err(failed)?;
        let mut seen = HashSet::new();
        // What was found and may still be preceded by something newer.
        let mut found: BTreeMap<Place, TraceSummary> = BTreeMap::new();
        let mut page = TracePage { partial: self.lacking(), ..TracePage::default() };
        let mut last = None;
        let since = query.since.and_then(earliest);
        for place in [bound(query), since].into_iter().flatten() {
            let some = word_of(&query.filter).is_some() || of_failed(&query.filter);
            for id in self.across(place, some).map_err(|why| failed(why.into()))? {
                let offer = Offer { place: (place.0, id), sure: false, summary: None };
                if seen.insert(id) {
                    found.extend(self.look(offer, query, &mut page).map_err(failed)?);
                }
            }
        }
        loop {
            let newest = sources.newest(query).map_err(failed)?;
            while let Some(entry) = found.last_entry()
                && newest.is_none_or(|(place, _)| *entry.key() >= place)
            {
                if page.items.len() == query.limit() {
                    page.next = last;
                    return Ok(page);
                }
                last = Some(*entry.key());
                page.items.push(entry.remove());
            }
            let Some((place, n)) = newest else { return Ok(page) };
            if started.elapsed() > PATIENCE {
                // Everything down to here has been looked at.
                page.next = Some(after(place));
                page.partial = Some("the search took too long; the next page goes on".into());
                return Ok(page);
            }
            let Some(offer) = sources.open[n].ahead.pop() else { continue };
            if seen.insert(offer.place.1) {
                found.extend(self.look(offer, query, &mut page).map_err(failed)?);
            }
        }
    }

    fn sources(&self, query: &TraceQuery) -> Result<Sources<'_>, BoxError> {
        let outside = |segment: &&Segment| {
            let meta = segment.meta();
            query.since.is_some_and(|since| meta.max_start < since)
                || query.until.is_some_and(|until| meta.min_start >= until)
                || query.before.is_some_and(|(before, _)| meta.min_start > before)
        };
        let segments = self.segments.iter().map(|segment| &**segment);
        let mut waiting: Vec<&Segment> = segments.filter(|it| !outside(it)).collect();
        waiting.sort_by_key(|segment| segment.meta().max_start);
        let (mut open, word, bound) = (Vec::new(), word_of(&query.filter), bound(query));
        for table in &self.tables {
            let among = match &word {
                Some(word) => Some(Memtable::find(table, word, false)?),
                None if of_failed(&query.filter) => Some(read(table).failed()),
                None => None,
            };
            open.push(Source::new(Offers::Table { table, among, from: bound }));
        }
        Ok(Sources { open, waiting })
    }

    /// The summary of an offered trace and its place, if it is wanted.
    fn look(
        &self,
        offer: Offer,
        query: &TraceQuery,
        page: &mut TracePage,
    ) -> Result<Option<(Place, TraceSummary)>, BoxError> {
        let id = offer.place.1;
        // What a segment says of a whole trace may not be so of a tenant's part of it.
        let as_it_is = query.tenant.is_none() && (offer.sure || query.filter.any.is_empty());
        let known = match (self.places(id), offer.summary) {
            (Places::One(..), Some(summary)) if as_it_is => Some(summary),
            (Places::One(segment, ordinal), None) if as_it_is => Some(segment.summary(ordinal)?),
            _ => None,
        };
        if let Some(summary) = known {
            let place = (summary.start, id);
            return Ok(query.spans_over(summary.start, id).then_some((place, summary)));
        }
        let needs = query.filter.needs();
        let columns = if needs.attributes || needs.logs { Columns::All } else { Columns::Light };
        let Some(trace) = self.gather(id, columns).into_trace() else { return Ok(None) };
        let start = Tally::of(id, &trace).into_summary().start;
        if !query.spans_over(start, id) {
            return Ok(None);
        }
        let Some(trace) = query.part(trace) else { return Ok(None) };
        if let Some(why) = &trace.partial {
            page.partial = Some(why.clone());
        }
        let matches = query.filter.matches(&trace);
        Ok(matches.then(|| ((start, id), Tally::of(id, &trace).into_summary())))
    }
}

/// The least place that is newer.
fn after((start, id): Place) -> Place {
    let next = u128::from_be_bytes(id.to_bytes()).checked_add(1);
    match next.and_then(|next| TraceId::from_bytes(next.to_be_bytes())) {
        Some(id) => (start, id),
        None => (start.saturating_add(1), id),
    }
}

impl Sources<'_> {
    /// The place of the newest offer, and the source that has it.
    fn newest(&mut self, query: &TraceQuery) -> Result<Option<(Place, usize)>, BoxError> {
        let mut newest: Option<(Place, usize)> = None;
        let mut look = 0;
        loop {
            for (n, source) in self.open.iter_mut().enumerate().skip(look) {
                if let Some(at) = source.peek(query)?
                    && newest.is_none_or(|(place, _)| at > place)
                {
                    newest = Some((at, n));
                }
            }
            look = self.open.len();
            let Some(&segment) = self.waiting.last() else { return Ok(newest) };
            if newest.is_some_and(|(place, _)| segment.meta().max_start < place.0) {
                return Ok(newest);
            }
            let candidates = segment.candidates(&query.filter)?;
            let next = match bound(query) {
                Some(bound) => candidates.before(segment.before(bound)?),
                None => candidates.len(),
            };
            self.open.push(Source::new(Offers::Segment { segment, candidates, next }));
            self.waiting.pop();
        }
    }
}

impl<'a> Source<'a> {
    fn new(offers: Offers<'a>) -> Self {
        Self { offers, ahead: Vec::new(), done: false }
    }

    /// The place of the newest that was not taken yet.
    fn peek(&mut self, query: &TraceQuery) -> Result<Option<Place>, BoxError> {
        while self.ahead.is_empty() && !self.done {
            let mut offers = self.offers.next()?;
            self.done = offers.is_empty();
            // A source dates a trace no earlier than it began, so what is older than wanted here
            // is so altogether.
            let older = |offer: &Offer| query.since.is_some_and(|since| offer.place.0 < since);
            self.done |= offers.last().is_some_and(older);
            offers.retain(|offer| !older(offer));
            offers.reverse();
            self.ahead = offers;
        }
        Ok(self.ahead.last().map(|offer| offer.place))
    }
}

impl Offers<'_> {
    /// The next offers, newest first; none at the end.
    fn next(&mut self) -> Result<Vec<Offer>, BoxError> {
        match self {
            Self::Segment { segment, candidates, next } => {
                let from = next.saturating_sub(AHEAD);
                let offered: Vec<(u32, bool)> =
                    (from..*next).rev().filter_map(|n| candidates.get(n)).collect();
                *next = from;
                let ordinals: Vec<u32> = offered.iter().map(|it| it.0).collect();
                let summaries = segment.summaries(&ordinals)?.into_iter().zip(offered);
                let offer = |(summary, (_, sure)): (TraceSummary, (u32, bool))| Offer {
                    place: (summary.start, summary.trace_id),
                    sure,
                    summary: Some(summary),
                };
                Ok(summaries.map(offer).collect())
            }
            Self::Table { table, among, from } => {
                let table = read(table);
                let newest = table
                    .newest(*from)
                    .filter(|(_, id)| among.as_ref().is_none_or(|among| among.contains(id)));
                let places: Vec<Place> = newest.take(AHEAD).collect();
                *from = places.last().copied().or(*from);
                let offer = |place| Offer { place, sure: false, summary: None };
                Ok(places.into_iter().map(offer).collect())
            }
        }
    }
}

/// The least place of a time.
fn earliest(time: UnixNanos) -> Option<Place> {
    Some((time, TraceId::from_bytes(1u128.to_be_bytes())?))
}

/// What is wanted lies before this place.
fn bound(query: &TraceQuery) -> Option<Place> {
    let until = query.until.and_then(earliest);
    [query.before, until].into_iter().flatten().min()
}

/// A word that occurs in every trace that matches, if one can be named.
fn word_of(query: &Query) -> Option<String> {
    let [only] = query.any.as_slice() else { return None };
    only.span.iter().find_map(|condition| {
        match (&condition.field, condition.op, &condition.value) {
            (Field::Attribute(name), Op::Equal, Literal::Text(text))
                if tokens::finds_equal(name, text) =>
            {
                Some(tokens::normal(text).into_owned())
            }
            _ => None,
        }
    })
}

/// Whether only a trace with a span that failed can match.
fn of_failed(query: &Query) -> bool {
    let [only] = query.any.as_slice() else { return false };
    let failed = Literal::Text("error".to_owned());
    only.span.iter().any(|condition| {
        condition.field == Field::Status && condition.op == Op::Equal && condition.value == failed
    })
}
