//! Which children of a pair of spans stand for the same work.
//!
//! Not here: how spans of a pair differ. The surprise: order decides last. A child with no like of
//! its label is paired wherever it stands; of those of a label, the same content comes first, then
//! the same request, and what is left goes by how much of it is alike.
//!
//! 1. Wrappers are looked through: a span that the other side lacks, above some that it has.
//! 2. Labels that occur once on both sides are pairs; those in order cut the lists into segments.
//! 3. Like siblings: longest common subsequences, first of what they did, then of who they are.
//! 4. What is left: by plain name, by the shape of what is below, and at the top by being alone.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::{
    fields,
    lcs::{common, rising},
    order,
    sheet::Sheet,
};
use crate::compare::{
    label::{Label, Names},
    tree::At,
};

/// A child of one span or of both, in the order in which a tree of both shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) a: Option<At>,
    pub(super) b: Option<At>,
    /// It stands in another order.
    pub(super) moved: bool,
    /// It was looked through: those below stand beside it.
    pub(super) wrapper: bool,
}

/// Wrappers in wrappers, at the most.
const WRAPPERS: usize = 8;

/// More pairs of like siblings than this are not weighed one by one, but taken in order.
const WEIGHED: usize = 1 << 10;

/// More spans than this below a span are not compared to find that only its name is new.
const SHAPED: usize = 1 << 12;

/// Pairs the spans of two lists, each by start.
pub(super) fn pair(
    a: &mut Sheet<'_>,
    b: &mut Sheet<'_>,
    names: &mut Names,
    lists: [Vec<At>; 2],
    top: bool,
) -> Vec<Item> {
    if let ([x], [y]) = (&lists[0][..], &lists[1][..])
        && a.tree.label(*x) == b.tree.label(*y)
    {
        return vec![Item { a: Some(*x), b: Some(*y), moved: false, wrapper: false }];
    }
    if lists[0].is_empty() && lists[1].is_empty() {
        return Vec::new();
    }
    let (lists, wrappers) = look_through(a, b, lists);
    let mut pairing =
        Pairing { partner: vec![None; lists[0].len()], taken: vec![false; lists[1].len()], lists };
    pairing.by_label(a, b);
    pairing.left(|side, at| {
        let sheet = if side == 0 { &*a } else { &*b };
        Some((sheet.plain_name(at, names), sheet.tree.label(at).service, sheet.span(at).kind))
    });
    pairing.left(|side, at| {
        let sheet = if side == 0 { &*a } else { &*b };
        let size = sheet.tree.below(at).len();
        (2..=SHAPED).contains(&size).then(|| sheet.shape(at))
    });
    if top {
        pairing.left(|side, at| {
            let sheet = if side == 0 { &*a } else { &*b };
            (!sheet.tree.below(at).is_empty()).then_some(())
        });
    }
    pairing.merged(a, b, &wrappers)
}

/// Puts in the place of each wrapper what is below it, and says which those were.
fn look_through(
    a: &Sheet<'_>,
    b: &Sheet<'_>,
    mut lists: [Vec<At>; 2],
) -> ([Vec<At>; 2], [Vec<At>; 2]) {
    let sheets = [a, b];
    let mut wrappers = [Vec::new(), Vec::new()];
    let mut more: HashMap<Label, i64> = HashMap::new();
    for (side, sign) in [(0, 1), (1, -1)] {
        for &at in &lists[side] {
            *more.entry(sheets[side].tree.label(at)).or_default() += sign;
        }
    }
    for _ in 0..WRAPPERS {
        let mut changed = false;
        for (side, sign) in [(0, 1), (1, -1)] {
            let tree = &sheets[side].tree;
            if !lists[side].iter().any(|&at| more[&tree.label(at)] * sign > 0) {
                continue;
            }
            let mut list = Vec::with_capacity(lists[side].len());
            for &at in &lists[side] {
                let label = tree.label(at);
                let lacking = |label: Label| more.get(&label).copied().unwrap_or(0) * sign < 0;
                let surplus = more[&label] * sign > 0;
                let inner = |at: At| {
                    // Wrappers come in wrappers.
                    let mut inner = at;
                    for _ in 0..WRAPPERS {
                        if tree.children(inner).any(|child| lacking(tree.label(child))) {
                            return true;
                        }
                        let mut children = tree.children(inner);
                        match (children.next(), children.next()) {
                            (Some(only), None) => inner = only,
                            _ => return false,
                        }
                    }
                    false
                };
                if surplus && inner(at) {
                    wrappers[side].push(at);
                    *more.entry(label).or_default() -= sign;
                    for child in tree.children(at) {
                        *more.entry(tree.label(child)).or_default() += sign;
                        list.push(child);
                    }
                    changed = true;
                } else {
                    list.push(at);
                }
            }
            lists[side] = list;
        }
        if !changed {
            break;
        }
    }
    (lists, wrappers)
}

/// Two lists of siblings on their way to pairs. Siblings go by their place in their list.
struct Pairing {
    lists: [Vec<At>; 2],
    partner: Vec<Option<usize>>,
    taken: Vec<bool>,
}

/// A stretch of like siblings between two pairs.
type Gap = [Vec<usize>; 2];

/// What makes two siblings of one label the same; the strongest first.
#[derive(Debug, Clone, Copy)]
enum By {
    /// All that they did.
    Deeds,
    /// Which call they are, and whether it went well: a call and its retry differ.
    Outcome,
    /// Which call they are.
    Identity,
}

impl Pairing {
    fn join(&mut self, x: usize, y: usize) {
        self.partner[x] = Some(y);
        self.taken[y] = true;
    }

    /// Pairs those of a label.
    fn by_label(&mut self, a: &mut Sheet<'_>, b: &mut Sheet<'_>) {
        let labels = [
            self.lists[0].iter().map(|&at| a.tree.label(at)).collect::<Vec<_>>(),
            self.lists[1].iter().map(|&at| b.tree.label(at)).collect(),
        ];
        let groups = grouped(&labels);
        for [x, y] in &groups {
            if let ([x], [y]) = (&x[..], &y[..]) {
                self.join(*x, *y);
            }
        }
        if groups.iter().all(|[x, y]| x.is_empty() || y.is_empty() || x.len() + y.len() == 2) {
            return;
        }
        let segments = self.segments();
        for gap in groups {
            if !gap[0].is_empty() && !gap[1].is_empty() && gap[0].len() + gap[1].len() > 2 {
                self.alike(a, b, gap, &segments);
            }
        }
    }

    /// By place in each list: how many pairs in order stand before it.
    fn segments(&self) -> [Vec<usize>; 2] {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let ranks: Vec<usize> = pairs.iter().map(|&(_, y)| y).collect();
        let mut marks = [vec![false; self.partner.len()], vec![false; self.taken.len()]];
        for at in rising(&ranks) {
            marks[0][pairs[at].0] = true;
            marks[1][pairs[at].1] = true;
        }
        marks.map(|marks| {
            let counted = marks.iter().scan(0, |count, &mark| {
                *count += usize::from(mark);
                Some(*count)
            });
            counted.collect()
        })
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.partner.iter().enumerate().filter_map(|(x, y)| Some((x, (*y)?)))
    }

    /// Pairs siblings of one label.
    fn alike(
        &mut self,
        a: &mut Sheet<'_>,
        b: &mut Sheet<'_>,
        gap: Gap,
        segments: &[Vec<usize>; 2],
    ) {
        let all = gap.clone();
        let keys_of = |a: &mut Sheet<'_>, b: &mut Sheet<'_>, lists: &[Vec<At>; 2], by: By| {
            let key = |sheet: &mut Sheet<'_>, at| match by {
                By::Deeds => (sheet.did(at), false),
                By::Outcome => (sheet.who(at), sheet.span(at).failed()),
                By::Identity => (sheet.who(at), false),
            };
            [
                gap[0].iter().map(|&x| (x, key(a, lists[0][x]))).collect::<HashMap<_, _>>(),
                gap[1].iter().map(|&y| (y, key(b, lists[1][y]))).collect(),
            ]
        };
        let mut gaps = vec![gap.clone()];
        for by in [By::Deeds, By::Outcome, By::Identity] {
            let keys = keys_of(a, b, &self.lists, by);
            gaps = self.in_order(gaps, |side, at| (keys[side][&at], segments[side][at]));
            gaps = self.in_order(gaps, |side, at| (keys[side][&at], 0));
        }
        for by in [By::Deeds, By::Outcome, By::Identity] {
            let left = self.unpaired(&all);
            if left.iter().any(Vec::is_empty) {
                return;
            }
            let keys = keys_of(a, b, &self.lists, by);
            for [x, y] in grouped(
                &[0, 1].map(|side| left[side].iter().map(|at| keys[side][at]).collect::<Vec<_>>()),
            ) {
                x.into_iter().zip(y).for_each(|(x, y)| self.join(left[0][x], left[1][y]));
            }
        }
        for gap in gaps {
            let left = self.unpaired(&gap);
            self.similar(a, b, left);
        }
        let left = self.unpaired(&all);
        self.similar(a, b, left);
    }

    fn unpaired(&self, gap: &Gap) -> Gap {
        [
            gap[0].iter().copied().filter(|&x| self.partner[x].is_none()).collect(),
            gap[1].iter().copied().filter(|&y| !self.taken[y]).collect(),
        ]
    }

    /// Pairs those of equal keys that stand in order, and leaves what lies between.
    fn in_order<K: Copy + Eq + Hash>(
        &mut self,
        gaps: Vec<Gap>,
        key: impl Fn(usize, usize) -> K,
    ) -> Vec<Gap> {
        let mut left = Vec::new();
        for gap in gaps {
            let keys =
                [0, 1].map(|side| gap[side].iter().map(|&at| key(side, at)).collect::<Vec<_>>());
            let (mut x, mut y) = (0, 0);
            let mut between = |from: (usize, usize), to: (usize, usize)| {
                let gap = [gap[0][from.0..to.0].to_vec(), gap[1][from.1..to.1].to_vec()];
                if !gap[0].is_empty() && !gap[1].is_empty() {
                    left.push(gap);
                }
            };
            for (next_x, next_y) in common(&keys[0], &keys[1]) {
                between((x, y), (next_x, next_y));
                self.join(gap[0][next_x], gap[1][next_y]);
                (x, y) = (next_x + 1, next_y + 1);
            }
            between((x, y), (gap[0].len(), gap[1].len()));
        }
        left
    }

    /// Pairs those that have most in common. Two that share nothing are no pair, unless they are
    /// the only ones.
    fn similar(&mut self, a: &Sheet<'_>, b: &Sheet<'_>, [x, y]: Gap) {
        match (&x[..], &y[..]) {
            ([], _) | (_, []) => return,
            ([x], [y]) => return self.join(*x, *y),
            _ if x.len().saturating_mul(y.len()) > WEIGHED => {
                return x.into_iter().zip(y).for_each(|(x, y)| self.join(x, y));
            }
            _ => {}
        }
        let mut weights = Vec::new();
        for &x in &x {
            for &y in &y {
                let (at_a, at_b) = (self.lists[0][x], self.lists[1][y]);
                let weight =
                    fields::shared((a, at_a), (b, at_b)) + shared_children(a, b, at_a, at_b);
                weights.push((std::cmp::Reverse(weight), x.abs_diff(y), x, y));
            }
        }
        weights.sort_unstable();
        for (std::cmp::Reverse(weight), _, x, y) in weights {
            if weight > 0 && self.partner[x].is_none() && !self.taken[y] {
                self.join(x, y);
            }
        }
    }

    /// Pairs those left for which `key` gives the same, once on each side.
    fn left<K: Copy + Eq + Hash>(&mut self, mut key: impl FnMut(usize, At) -> Option<K>) {
        let all = [(0..self.partner.len()).collect(), (0..self.taken.len()).collect()];
        let left = self.unpaired(&all);
        if left.iter().any(Vec::is_empty) {
            return;
        }
        let mut places = [Vec::new(), Vec::new()];
        let mut keys = [Vec::new(), Vec::new()];
        for side in [0, 1] {
            for &at in &left[side] {
                if let Some(key) = key(side, self.lists[side][at]) {
                    places[side].push(at);
                    keys[side].push(key);
                }
            }
        }
        for [x, y] in grouped(&keys) {
            if let ([x], [y]) = (&x[..], &y[..]) {
                self.join(places[0][*x], places[1][*y]);
            }
        }
    }

    /// Both lists in one.
    fn merged(self, a: &Sheet<'_>, b: &Sheet<'_>, wrappers: &[Vec<At>; 2]) -> Vec<Item> {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let places: Vec<_> =
            pairs.iter().map(|&(x, y)| (self.lists[0][x], self.lists[1][y])).collect();
        let ranks: Vec<usize> = pairs.iter().map(|&(_, y)| y).collect();
        let order = order::order(&places, a, b, &ranks);
        let mut by_b: Vec<Option<usize>> = vec![None; self.taken.len()];
        pairs.iter().enumerate().for_each(|(at, &(_, y))| by_b[y] = Some(at));

        // What stands before each pair in order, and after the last: of `a` alone, and of `b`.
        let mut items = Vec::with_capacity(self.partner.len() + self.taken.len());
        let (mut x, mut y) = (0, 0);
        let spine = pairs.iter().enumerate().filter(|&(at, _)| order.spine[at]);
        let ends = spine.map(|(_, &pair)| pair).chain([(self.partner.len(), self.taken.len())]);
        let mut from = None;
        for (end_x, end_y) in ends {
            let alone = (x..end_x).filter(|&x| self.partner[x].is_none());
            let mut alone = alone.map(|x| self.lists[0][x]).peekable();
            let here = (y..end_y).map(|y| (self.lists[1][y], by_b[y]));
            for (at_b, pair) in here {
                let before = |at_a: &At| {
                    since(a, from.map(|(x, _)| x), *at_a) <= since(b, from.map(|(_, y)| y), at_b)
                };
                while let Some(at_a) = alone.next_if(before) {
                    items.push(Item { a: Some(at_a), b: None, moved: false, wrapper: false });
                }
                let moved = pair.is_some_and(|pair| order.moved[pair]);
                let of_a = pair.map(|pair| places[pair].0);
                items.push(Item { a: of_a, b: Some(at_b), moved, wrapper: false });
            }
            items.extend(alone.map(|at| Item {
                a: Some(at),
                b: None,
                moved: false,
                wrapper: false,
            }));
            if end_x < self.partner.len() && end_y < self.taken.len() {
                let both = (self.lists[0][end_x], self.lists[1][end_y]);
                items.push(Item { a: Some(both.0), b: Some(both.1), moved: false, wrapper: false });
                from = Some(both);
            }
            (x, y) = (end_x + 1, end_y + 1);
        }
        with_wrappers(items, a, b, wrappers)
    }
}

/// How long after its elder sibling, or else the beginning of the trace, a span opened.
fn since(sheet: &Sheet<'_>, elder: Option<At>, at: At) -> u64 {
    let elder = elder.map_or(sheet.eye.start, |elder| sheet.span(elder).start);
    sheet.span(at).start.saturating_sub(elder)
}

/// Puts each wrapper before the first that it wraps.
fn with_wrappers(
    items: Vec<Item>,
    a: &Sheet<'_>,
    b: &Sheet<'_>,
    wrappers: &[Vec<At>; 2],
) -> Vec<Item> {
    if wrappers.iter().all(Vec::is_empty) {
        return items;
    }
    let sets = [0, 1].map(|side| wrappers[side].iter().copied().collect::<HashSet<At>>());
    let mut told = HashSet::new();
    let mut all = Vec::with_capacity(items.len() + wrappers[0].len() + wrappers[1].len());
    for item in items {
        for (side, tree, at) in [(0, &a.tree, item.a), (1, &b.tree, item.b)] {
            let mut above = Vec::new();
            let mut up = at.and_then(|at| tree.parent(at));
            while let Some(wrapper) = up.filter(|up| sets[side].contains(up)) {
                if told.insert((side, wrapper)) {
                    above.push(wrapper);
                }
                up = tree.parent(wrapper);
            }
            all.extend(above.into_iter().rev().map(|at| Item {
                a: (side == 0).then_some(at),
                b: (side == 1).then_some(at),
                moved: false,
                wrapper: true,
            }));
        }
        all.push(item);
    }
    all
}

/// The places of each key in both lists, by where the key first occurs.
fn grouped<K: Copy + Eq + Hash>(keys: &[Vec<K>; 2]) -> Vec<Gap> {
    let mut number: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Gap> = Vec::new();
    for side in [0, 1] {
        for (at, &key) in keys[side].iter().enumerate() {
            let group = *number.entry(key).or_insert_with(|| {
                groups.push(Gap::default());
                groups.len() - 1
            });
            groups[group][side].push(at);
        }
    }
    groups
}

/// How many children of two spans have the same label.
fn shared_children(a: &Sheet<'_>, b: &Sheet<'_>, x: At, y: At) -> usize {
    /// Enough to tell two spans apart.
    const MOST: usize = 64;
    let mut counts: HashMap<Label, usize> = HashMap::new();
    for child in a.tree.children(x).take(MOST) {
        *counts.entry(a.tree.label(child)).or_default() += 1;
    }
    let mut shared = 0;
    for child in b.tree.children(y).take(MOST) {
        if let Some(count) = counts.get_mut(&b.tree.label(child)).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    shared
}
