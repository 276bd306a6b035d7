//! Which traces of a segment may match a query, by its index alone.
//!
//! Whoever is not named here does not match; whoever is must be looked at, unless it is sure. Not
//! here: what a query means (`query/matches.rs`). The surprise: only one part of what `and` joins
//! is used, since another part may be true of what lies in some other segment; the conditions on
//! one span are used together, since a span lies in one place.

use super::{
    Segment, SegmentError,
    index::{self, attribute, compose, power, words},
};
use crate::{
    query::{Alternative, Condition, Field, Literal, Op, Query, TraceCondition},
    store::tokens,
};

/// Traces by number, rising, that may match; and of each, whether it surely does.
type Set = Vec<(u32, bool)>;

/// The traces that may match.
#[derive(Debug)]
pub(in super::super) enum Candidates {
    /// The index does not help: all of them.
    All(u32),
    /// These.
    Some(Vec<(u32, bool)>),
}

impl Candidates {
    /// How many there are.
    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::All(traces) => *traces as usize,
            Self::Some(found) => found.len(),
        }
    }

    /// One by its place: the trace's number, and whether it surely matches.
    pub(in super::super) fn get(&self, place: usize) -> Option<(u32, bool)> {
        match self {
            Self::All(traces) => {
                u32::try_from(place).ok().filter(|it| it < traces).map(|it| (it, false))
            }
            Self::Some(found) => found.get(place).copied(),
        }
    }

    /// How many have a lower number.
    pub(in super::super) fn before(&self, ordinal: u32) -> usize {
        match self {
            Self::All(traces) => ordinal.min(*traces) as usize,
            Self::Some(found) => found.partition_point(|it| it.0 < ordinal),
        }
    }
}

impl Segment {
    /// The traces that may match.
    pub(in super::super) fn candidates(&self, query: &Query) -> Result<Candidates, SegmentError> {
        let all = Candidates::All(self.meta.traces);
        let mut found = Set::new();
        for alternative in &query.any {
            let Some(set) = self.alternative(alternative)? else { return Ok(all) };
            found.extend(set);
        }
        Ok(if query.any.is_empty() { all } else { Candidates::Some(set(found)) })
    }

    /// None if the index does not help.
    fn alternative(&self, alternative: &Alternative) -> Result<Option<Set>, SegmentError> {
        let mut found = self.span(&alternative.span)?;
        if found.is_none() {
            for condition in &alternative.trace {
                let set = self.condition(condition)?;
                // The smaller one says more.
                if let Some(set) = set
                    && found.as_ref().is_none_or(|found| set.len() < found.len())
                {
                    found = Some(set);
                }
            }
        }
        let parts = usize::from(!alternative.span.is_empty()) + alternative.trace.len();
        if let (Some(found), true) = (&mut found, parts > 1) {
            found.iter_mut().for_each(|it| it.1 = false);
        }
        Ok(found)
    }

    /// Traces that may have a span which fulfils all conditions.
    fn span(&self, filter: &[Condition]) -> Result<Option<Set>, SegmentError> {
        let text = |wanted: &Field| {
            filter.iter().find_map(|condition| match (&condition.op, &condition.value) {
                (Op::Equal, Literal::Text(text)) if condition.field == *wanted => Some(text),
                _ => None,
            })
        };
        let (service, name) = (text(&Field::Service), text(&Field::Name));
        let longer = filter.iter().find_map(|condition| match (&condition.op, &condition.value) {
            (Op::More | Op::AtLeast, Literal::Duration(nanos))
                if condition.field == Field::Duration =>
            {
                Some(*nanos)
            }
            _ => None,
        });
        let (mut found, mut used) = (None, 0);
        if let (Some(service), Some(name)) = (service, name) {
            used += 2 + usize::from(longer.is_some());
            found = Some(self.operation(service, name, longer)?);
        } else if let Some(service) = service {
            used += 1;
            found = Some(self.exact(index::SERVICE, &[service.as_bytes()])?);
        } else if let Some(name) = name {
            used += 1;
            found = Some(self.exact(index::NAME, &[name.as_bytes()])?);
        }
        // An operation, and how long it took, are in one term: it is one span that has them all.
        let one_term = used == filter.len() || filter.len() == 1;
        for condition in filter {
            let set = match (&condition.field, condition.op, &condition.value) {
                (Field::Status, Op::Equal, Literal::Text(text)) if text == "error" => {
                    Some(self.exact(index::ERROR, &[])?)
                }
                (Field::Attribute(name), Op::Equal, value) => self.attribute(name, value)?,
                _ => None,
            };
            if let Some(set) = set {
                found = Some(match found {
                    Some(found) => both(&found, &set),
                    None => set,
                });
            }
        }
        if let (Some(found), false) = (&mut found, one_term) {
            found.iter_mut().for_each(|it| it.1 = false);
        }
        Ok(found)
    }

    /// Traces with the operation, or one that took longer.
    fn operation(
        &self,
        service: &str,
        name: &str,
        longer: Option<u64>,
    ) -> Result<Set, SegmentError> {
        let (mut prefix, mut found) = (Vec::new(), Set::new());
        compose(&mut prefix, index::OPERATION, &[service.as_bytes(), name.as_bytes(), &[]]);
        let least = longer.map_or(0, power);
        // A zero within a name makes it look like another one.
        let plain = !service.contains('\0') && !name.contains('\0');
        self.index.prefix(&prefix, |entry| {
            let Some(&[longest]) = entry.term.strip_prefix(prefix.as_slice()) else {
                return Ok(());
            };
            if longest >= least {
                let sure = plain && (longer.is_none() || longest > least);
                found.extend(entry.traces.into_iter().map(|trace| (trace, sure)));
            }
            Ok(())
        })?;
        Ok(set(found))
    }

    /// Traces with the attribute. None if the index does not have such values.
    fn attribute(&self, name: &str, value: &Literal) -> Result<Option<Set>, SegmentError> {
        let text = match value {
            Literal::Text(text) if tokens::finds_equal(name, text) => text.clone(),
            Literal::Bool(value) => value.to_string(),
            Literal::Number(number) => match tokens::whole(*number) {
                Some(number) => number,
                None => return Ok(None),
            },
            Literal::Text(_) | Literal::Duration(_) => return Ok(None),
        };
        if !tokens::is_indexed(name, &text) {
            return Ok(None);
        }
        let mut term = Vec::new();
        attribute(&mut term, name, &text, &tokens::normal(&text));
        let mut found = self.term(&term)?;
        if matches!(value, Literal::Number(_)) {
            found.extend(self.exact(index::NUMBER, &[text.as_bytes(), name.as_bytes()])?);
            found = set(found);
        }
        if self.index.is_ambiguous(name) {
            found.iter_mut().for_each(|it| it.1 = false);
        }
        Ok(Some(found))
    }

    fn exact(&self, kind: u8, parts: &[&[u8]]) -> Result<Set, SegmentError> {
        let mut term = Vec::new();
        compose(&mut term, kind, parts);
        self.term(&term)
    }

    fn term(&self, term: &[u8]) -> Result<Set, SegmentError> {
        let mut found = Set::new();
        self.index.exact(term, |entry| {
            found.extend(entry.traces.into_iter().map(|trace| (trace, entry.sure)));
        })?;
        Ok(set(found))
    }

    /// Traces that may fulfil a condition on the whole. None if the index does not help.
    fn condition(&self, condition: &TraceCondition) -> Result<Option<Set>, SegmentError> {
        match condition {
            TraceCondition::Root(Op::Equal, name) => {
                // Of a trace that goes on elsewhere, another span may be the root.
                let named = self.exact(index::NAME, &[name.as_bytes()])?;
                let root = self.exact(index::ROOT, &[name.as_bytes()])?;
                let is_root = |it: u32| root.binary_search_by_key(&it, |it| it.0).is_ok();
                Ok(Some(named.into_iter().map(|(it, _)| (it, is_root(it))).collect()))
            }
            TraceCondition::Errors(Op::More, 0) | TraceCondition::Errors(Op::AtLeast, 1) => {
                self.exact(index::ERROR, &[]).map(Some)
            }
            TraceCondition::Has(filter) => self.span(filter),
            TraceCondition::Missing { after: Some(after), .. } => {
                let mut found = self.span(after)?;
                if let Some(found) = &mut found {
                    found.iter_mut().for_each(|it| it.1 = false);
                }
                Ok(found)
            }
            TraceCondition::Log(Op::Contains, text) => self.log(text),
            _ => Ok(None),
        }
    }

    /// Traces with a log line that may contain the text.
    fn log(&self, text: &str) -> Result<Option<Set>, SegmentError> {
        let lower = text.to_lowercase();
        let all: Vec<&str> = words(&lower).collect();
        let mut found: Option<Set> = None;
        for (n, word) in all.iter().enumerate() {
            let first = n == 0 && lower.starts_with(word);
            let last = n + 1 == all.len() && lower.ends_with(word);
            let mut of_word = Set::new();
            let mut prefix = vec![index::LOG];
            // A word at the edge of the text may be a part of a longer one.
            if !first {
                prefix.extend_from_slice(word.as_bytes());
            }
            self.index.prefix(&prefix, |entry| {
                let known = &entry.term[1..];
                let fits = match (first, last) {
                    (true, true) => contains(known, word.as_bytes()),
                    (true, false) => known.ends_with(word.as_bytes()),
                    (false, true) => true,
                    (false, false) => known == word.as_bytes(),
                };
                if fits {
                    of_word.extend(entry.traces.into_iter().map(|trace| (trace, false)));
                }
                Ok(())
            })?;
            let of_word = set(of_word);
            found = Some(match found {
                Some(found) => both(&found, &of_word),
                None => of_word,
            });
        }
        Ok(found)
    }
}

/// Each trace once; sure if it is so for one reason.
fn set(mut found: Set) -> Set {
    // Of one term they are so already.
    if !found.is_sorted_by(|a, b| a.0 < b.0) {
        found.sort_unstable_by_key(|&(trace, sure)| (trace, !sure));
        found.dedup_by_key(|it| it.0);
    }
    found
}

fn both(a: &Set, b: &Set) -> Set {
    let in_both = |&(trace, sure): &(u32, bool)| {
        let at = b.binary_search_by_key(&trace, |it| it.0).ok()?;
        Some((trace, sure && b[at].1))
    };
    a.iter().filter_map(in_both).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
