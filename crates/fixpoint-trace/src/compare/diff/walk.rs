//! The walk down both trees at once, which finds all differences.
//!
//! Not here: which children belong together ([`pairing`](super::pairing)). The surprise: it is a
//! stack of what is still to be put in rows, so that rows come parents first, and a trace that is
//! a chain of 100,000 spans takes no more of the call stack than one span.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Tolerance,
    answer::{Comparison, Counts, Difference, Kind, Part, Place, Row, Side, Times},
    fields,
    pairing::{Item, pair},
    renames,
    sheet::Sheet,
};
use crate::{
    compare::{label::Names, tree::At},
    model::{SpanId, Trace, Value},
    semconv,
};

/// Of the names above a difference, so many are told: those nearest to it.
const PATH: usize = 32;

/// Compares two traces, `a` being the older.
pub(super) fn compare(a: &Trace, b: &Trace, tolerance: Tolerance) -> Comparison {
    let mut names = Names::default();
    let [own_a, own_b] = own_names(a, b);
    let a = (Sheet::new(a, &mut names, own_a), a);
    let b = (Sheet::new(b, &mut names, own_b), b);
    let mut answer = Comparison { a: side(&a), b: side(&b), ..Comparison::default() };
    let mut walk = Walk {
        whole: a.0.duration().min(b.0.duration()),
        a: a.0,
        b: b.0,
        names,
        tolerance,
        rows: Vec::new(),
        differences: Vec::new(),
        resources: HashSet::new(),
        told: Vec::new(),
    };
    walk.run();
    walk.differences.sort_by_key(|difference| (difference.rows[0], difference.kind));
    answer.renamed = renames::take_out(&walk.a, &walk.b, &mut walk.differences);
    answer.counts = Counts::of(&walk.differences);
    answer.differences = walk.differences;
    answer.rows = walk.rows.iter().map(|row| row.row).collect();
    answer
}

fn side((sheet, trace): &(Sheet<'_>, &Trace)) -> Side {
    let head = trace.head();
    Side {
        trace_id: head.map(|head| head.trace_id),
        name: head.map(|head| head.name.clone()).unwrap_or_default(),
        service: head.map(|head| head.service().to_owned()).unwrap_or_default(),
        start: sheet.eye.start,
        duration: sheet.duration(),
        spans: trace.spans.len(),
        failed: trace.spans.iter().filter(|span| span.failed()).count(),
        open: trace.spans.iter().filter(|span| span.end.is_none()).count(),
        partial: trace.partial.clone(),
    }
}

/// The names of the resources that the traces are of, if they are two.
fn own_names(a: &Trace, b: &Trace) -> [Option<String>; 2] {
    let own = |trace: &Trace| -> Option<String> {
        let mut spans = trace.spans.iter();
        let resource = spans.find_map(|span| span.attributes.get(semconv::RESOURCE)?.as_str())?;
        resource.rsplit_once('/').map(|(_, name)| name.to_owned()).filter(|name| !name.is_empty())
    };
    let names = [own(a), own(b)];
    if names[0] == names[1] { [None, None] } else { names }
}

/// A row, and what it takes to tell where it is.
struct Placed {
    row: Row,
    a: Option<At>,
    b: Option<At>,
    /// The places of the siblings before it.
    after: [Option<At>; 2],
}

/// What is still to be put in rows.
struct Todo {
    item: Item,
    parent: Option<usize>,
    after: [Option<At>; 2],
    /// The group of calls, made more or less often, that it is a surplus one of.
    group: Option<usize>,
}

/// The same call, with another number of times in each trace.
#[derive(Default)]
struct Again {
    times: Times,
    /// How many of them failed.
    failed: [usize; 2],
    /// How many are without a partner.
    left: usize,
    rows: Vec<usize>,
}

struct Walk<'t> {
    a: Sheet<'t>,
    b: Sheet<'t>,
    names: Names,
    tolerance: Tolerance,
    whole: u64,
    rows: Vec<Placed>,
    differences: Vec<Difference>,
    /// Resources that were compared, by address.
    resources: HashSet<(usize, usize)>,
    /// What was told of resources.
    told: Vec<Vec<super::Change>>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut todo = Vec::new();
        let mut groups = Vec::new();
        let tops = [self.a.tree.tops().to_vec(), self.b.tree.tops().to_vec()];
        self.children(tops, None, &mut todo, &mut groups);
        while let Some(next) = todo.pop() {
            let row = self.put(next.item, next.parent, next.after);
            if let Some(group) = next.group {
                self.again(&mut groups[group], row);
            }
            match (next.item.a, next.item.b) {
                (Some(x), Some(y)) => {
                    self.both(x, y, row, next.item.moved);
                    let below =
                        [self.a.tree.children(x).collect(), self.b.tree.children(y).collect()];
                    self.children(below, Some(row), &mut todo, &mut groups);
                }
                _ if next.item.wrapper => self.tell_alone(row, vec![row], 1, true, None),
                _ => self.below(row, next.item),
            }
        }
    }

    fn put(&mut self, item: Item, parent: Option<usize>, after: [Option<At>; 2]) -> usize {
        let a = item.a.map(|at| self.a.span(at).span_id);
        let b = item.b.map(|at| self.b.span(at).span_id);
        self.rows.push(Placed { row: Row { a, b, parent }, a: item.a, b: item.b, after });
        self.rows.len() - 1
    }

    /// Pairs two lists of siblings and puts them on the stack, last first.
    fn children(
        &mut self,
        lists: [Vec<At>; 2],
        parent: Option<usize>,
        todo: &mut Vec<Todo>,
        groups: &mut Vec<Again>,
    ) {
        let items = pair(&mut self.a, &mut self.b, &mut self.names, lists, parent.is_none());
        let surplus = self.surplus(&items, groups);
        let from = todo.len();
        let mut after = [None, None];
        for (at, item) in items.into_iter().enumerate() {
            todo.push(Todo { item, parent, after, group: surplus.get(&at).copied() });
            after = [item.a.or(after[0]), item.b.or(after[1])];
        }
        todo[from..].reverse();
    }

    /// Which items are calls that only one side has, and the groups of them that are one call.
    fn surplus(&mut self, items: &[Item], groups: &mut Vec<Again>) -> HashMap<usize, usize> {
        let mut of: HashMap<usize, usize> = HashMap::new();
        let alone = |item: &Item| !item.wrapper && item.a.is_some() != item.b.is_some();
        if !items.iter().any(alone) {
            return of;
        }
        let labels: HashSet<_> = items
            .iter()
            .filter(|item| alone(item))
            .filter_map(|item| match (item.a, item.b) {
                (Some(x), _) => Some(self.a.tree.label(x)),
                (_, Some(y)) => Some(self.b.tree.label(y)),
                _ => None,
            })
            .collect();
        // A try that failed may have come less far than the one that did not.
        let mut known: HashMap<(bool, u64), usize> = HashMap::new();
        for (at, item) in items.iter().enumerate().filter(|(_, item)| !item.wrapper) {
            let sides = [
                item.a
                    .map(|x| (&mut self.a, x))
                    .filter(|(a, x)| labels.contains(&a.tree.label(*x))),
                item.b
                    .map(|y| (&mut self.b, y))
                    .filter(|(b, y)| labels.contains(&b.tree.label(*y))),
            ];
            for (side, sheet) in sides.into_iter().enumerate() {
                let Some((sheet, place)) = sheet else { continue };
                let failed = sheet.span(place).failed();
                for (by_who, key) in [(true, sheet.who(place)), (false, sheet.kin(place))] {
                    let group = *known.entry((by_who, key)).or_insert_with(|| {
                        groups.push(Again::default());
                        groups.len() - 1
                    });
                    let again = &mut groups[group];
                    *[&mut again.times.a, &mut again.times.b][side] += 1;
                    again.failed[side] += usize::from(failed);
                    if by_who == failed {
                        of.insert(at, group);
                    }
                }
            }
        }
        of.retain(|&at, _| alone(&items[at]));
        of.values().for_each(|&group| groups[group].left += 1);
        of
    }

    /// Tells a call that was made more or less often, when its last surplus one has its row.
    fn again(&mut self, group: &mut Again, row: usize) {
        group.rows.push(row);
        if group.rows.len() < group.left {
            return;
        }
        let rows = std::mem::take(&mut group.rows);
        let Again { times, failed, .. } = *group;
        if times.a > 0 && times.b > 0 && times.a != times.b {
            let more = usize::from(times.b > times.a);
            let kind = if failed[more] > failed[1 - more] { Kind::Retried } else { Kind::Repeated };
            let first = rows[0];
            let difference = Difference { times: Some(times), rows, ..self.at(kind, first) };
            self.differences.push(difference);
        } else if times.a == times.b {
            // Both sides have it as often, but in ways too unlike to be one.
            for row in rows {
                self.tell_alone(row, vec![row], self.size(row), false, None);
            }
        } else {
            let spans = rows.iter().map(|&row| self.size(row)).sum();
            let many = (rows.len() > 1).then_some(times);
            self.tell_alone(rows[0], rows, spans, false, many);
        }
    }

    /// How many spans a row that one side alone has stands for, with all below.
    fn size(&self, row: usize) -> usize {
        let Placed { a, b, .. } = self.rows[row];
        let of_a = a.map_or(0, |at| self.a.tree.below(at).len() + 1);
        of_a + b.map_or(0, |at| self.b.tree.below(at).len() + 1)
    }

    fn tell_alone(
        &mut self,
        row: usize,
        rows: Vec<usize>,
        spans: usize,
        wrapper: bool,
        times: Option<Times>,
    ) {
        let kind = if self.rows[row].a.is_some() { Kind::Missing } else { Kind::Extra };
        let difference = Difference { rows, spans, wrapper, times, ..self.at(kind, row) };
        self.differences.push(difference);
    }

    /// Puts all that is below a span that one side alone has into rows.
    fn below(&mut self, row: usize, item: Item) {
        let (of_a, at) = match (item.a, item.b) {
            (Some(at), _) => (true, at),
            (_, Some(at)) => (false, at),
            _ => return,
        };
        let range = if of_a { self.a.tree.below(at) } else { self.b.tree.below(at) };
        for place in range {
            let tree = if of_a { &self.a.tree } else { &self.b.tree };
            // The places are those of the rows, one by one.
            let parent = tree.parent(place).map(|parent| row + (parent - at));
            let item = Item {
                a: of_a.then_some(place),
                b: (!of_a).then_some(place),
                moved: false,
                wrapper: false,
            };
            self.put(item, parent, [None, None]);
        }
    }

    /// Compares the spans of a pair.
    fn both(&mut self, x: At, y: At, row: usize, moved: bool) {
        let (a, b) = (self.a.span(x), self.b.span(y));
        let changes = fields::changes((&self.a, x), (&self.b, y));
        let kind = match (a.failed(), b.failed()) {
            (false, true) => Kind::Failed,
            (true, false) => Kind::Recovered,
            _ => Kind::Changed,
        };
        if kind != Kind::Changed || !changes.is_empty() {
            let fails = |sheet: &Sheet<'_>, at| {
                sheet.tree.children(at).any(|child| sheet.span(child).failed())
            };
            let open = |sheet: &Sheet<'_>, at| {
                sheet.tree.children(at).any(|child| sheet.span(child).end.is_none())
            };
            let follows = match kind {
                Kind::Failed => fails(&self.b, y),
                Kind::Recovered => fails(&self.a, x),
                _ => {
                    changes.iter().all(|change| change.part == Part::Status)
                        && changes.iter().all(|change| match change.path.as_str() {
                            "end" => open(&self.a, x) || open(&self.b, y),
                            _ => fails(&self.a, x) && fails(&self.b, y),
                        })
                }
            };
            let difference = Difference { changes, follows, ..self.at(kind, row) };
            self.differences.push(difference);
        }
        if moved {
            let difference = self.at(Kind::Reordered, row);
            self.differences.push(difference);
        }
        self.polls(x, y, row);
        self.time(x, y, row);
        self.resource(x, y, row);
    }

    /// Tells how often a wait looked, where no span of a look does.
    fn polls(&mut self, x: At, y: At, row: usize) {
        let (a, b) = (self.a.span(x), self.b.span(y));
        let polls = |span: &crate::model::Span| match span.attributes.get(semconv::WAIT_POLLS) {
            Some(Value::Int(polls)) => u64::try_from(*polls).ok(),
            _ => None,
        };
        if let (Some(of_a), Some(of_b)) = (polls(a), polls(b))
            && of_a != of_b
            && self.a.tree.below(x).is_empty()
            && self.b.tree.below(y).is_empty()
        {
            let times = Some(Times { a: of_a, b: of_b });
            let difference = Difference { times, ..self.at(Kind::Repeated, row) };
            self.differences.push(difference);
        }
    }

    fn time(&mut self, x: At, y: At, row: usize) {
        if self.a.span(x).end.is_none() || self.b.span(y).end.is_none() {
            return;
        }
        let a = self.a.tree.self_time(x, self.a.now);
        let b = self.b.tree.self_time(y, self.b.now);
        let kind = if a < b { Kind::Slower } else { Kind::Faster };
        if self.tolerance.exceeded(a.min(b), a.max(b), self.whole) {
            let own_time = Some(Times { a, b });
            let difference = Difference { own_time, ..self.at(kind, row) };
            self.differences.push(difference);
        }
    }

    /// Compares what the processes say of themselves, each once.
    fn resource(&mut self, x: At, y: At, row: usize) {
        let (a, b) = (self.a.span(x), self.b.span(y));
        let address = (Arc::as_ptr(&a.resource) as usize, Arc::as_ptr(&b.resource) as usize);
        if address.0 == address.1 || !self.resources.insert(address) {
            return;
        }
        let changes = fields::resources((&self.a.eye, a), (&self.b.eye, b));
        if !changes.is_empty() && !self.told.contains(&changes) {
            self.told.push(changes.clone());
            let difference = Difference { changes, ..self.at(Kind::Changed, row) };
            self.differences.push(difference);
        }
    }

    /// A difference at a row, of which only the kind is known.
    fn at(&self, kind: Kind, row: usize) -> Difference {
        let placed = &self.rows[row];
        let span = match (placed.a, placed.b) {
            (_, Some(at)) => Some(self.b.span(at)),
            (Some(at), None) => Some(self.a.span(at)),
            (None, None) => None,
        };
        let mut path = Vec::new();
        let mut up = placed.row.parent;
        while let Some(above) = up.filter(|_| path.len() < PATH) {
            let above = &self.rows[above];
            let of_b = above.b.map(|at| self.b.span(at));
            let name =
                of_b.or_else(|| above.a.map(|at| self.a.span(at))).map(|span| span.name.clone());
            path.extend(name);
            up = above.row.parent;
        }
        path.reverse();
        let above = placed.row.parent.map(|above| self.rows[above].row);
        let id = |sheet: &Sheet<'_>, at: Option<At>| -> Option<SpanId> {
            at.map(|at| sheet.span(at).span_id)
        };
        Difference {
            kind,
            name: span.map(|span| span.name.clone()).unwrap_or_default(),
            service: span.map(|span| span.service().to_owned()).unwrap_or_default(),
            path,
            a: Place {
                span: placed.row.a,
                parent: above.and_then(|above| above.a),
                after: id(&self.a, placed.after[0]),
            },
            b: Place {
                span: placed.row.b,
                parent: above.and_then(|above| above.b),
                after: id(&self.b, placed.after[1]),
            },
            rows: vec![row],
            spans: 0,
            wrapper: false,
            follows: false,
            times: None,
            own_time: None,
            changes: Vec::new(),
        }
    }
}
