//! What differs between two JSON values, by path.
//!
//! Not here: which texts are the same ([`Eye`]). The surprise: an array counts as a set where it
//! can, since clouds list things in whatever order; what is in both is no change wherever it is.

use std::{collections::HashMap, hash::Hasher};

use serde_json::Value;

use super::{
    lcs::common,
    text::{Plain, same_but_for},
};
use crate::model::UnixNanos;

/// A number this close to the beginning of its trace, in nanoseconds, is a time: 400 days.
const NEAR: u64 = 400 * 86_400 * 1_000_000_000;

/// How values of one trace are looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Eye {
    /// What its texts are without ids.
    pub(super) plain: Plain,
    /// When it began.
    pub(super) start: UnixNanos,
}

impl Eye {
    /// Whether a number is a time of the trace, in seconds or the thousandths of one that are in
    /// use.
    fn is_time(&self, number: i64) -> bool {
        [1_000_000_000, 1_000_000, 1_000, 1].into_iter().any(|unit| {
            let nanos = u64::try_from(number).ok().and_then(|number| number.checked_mul(unit));
            nanos.is_some_and(|nanos| nanos.abs_diff(self.start) < NEAR)
        })
    }

    fn key(&self, value: &Value) -> u64 {
        let mut hasher = super::sheet::hasher();
        match value {
            Value::String(text) => self.plain.hash(text, &mut hasher),
            other => self.plain.hash(&other.to_string(), &mut hasher),
        }
        hasher.finish()
    }
}

/// Whether two texts say the same, but for ids, and the name of the one resource in place of that
/// of the other. A resource may be called by a word that means something else in other places.
pub(super) fn same_text(a: (&Eye, &str), b: (&Eye, &str), prose: bool) -> bool {
    if a.1 == b.1 {
        return true;
    }
    let ids = Plain::default();
    let (x, y) = (ids.text(a.1, prose), ids.text(b.1, prose));
    match (&a.0.plain.own, &b.0.plain.own) {
        (Some(own_a), Some(own_b)) => same_but_for((&x, own_a), (&y, own_b)),
        _ => x == y,
    }
}

/// Whether two values that hold no others say the same.
pub(super) fn same_leaf(a: (&Eye, &Value), b: (&Eye, &Value)) -> bool {
    match (a.1, b.1) {
        (Value::String(x), Value::String(y)) => same_text((a.0, x), (b.0, y), false),
        (Value::Number(x), Value::Number(y)) => {
            x == y
                || matches!((x.as_i64(), y.as_i64()),
                    (Some(x), Some(y)) if a.0.is_time(x) && b.0.is_time(y))
        }
        (x, y) => x == y,
    }
}

/// A value that differs: where, and what each side has, if it has anything there.
pub(super) type Found<'v> = (String, Option<&'v Value>, Option<&'v Value>);

/// All that differs, in the order of the document.
pub(super) fn changes<'v>(a: (&Eye, &'v Value), b: (&Eye, &'v Value)) -> Vec<Found<'v>> {
    let mut found = Vec::new();
    let mut todo: Vec<Found<'v>> = vec![(String::new(), Some(a.1), Some(b.1))];
    while let Some((path, x, y)) = todo.pop() {
        let from = todo.len();
        match (x, y) {
            (Some(Value::Object(x)), Some(Value::Object(y))) => {
                let inner = |key: &String| {
                    if path.is_empty() { key.clone() } else { format!("{path}.{key}") }
                };
                todo.extend(x.iter().map(|(key, value)| (inner(key), Some(value), y.get(key))));
                let alone = y.iter().filter(|(key, _)| !x.contains_key(*key));
                todo.extend(alone.map(|(key, value)| (inner(key), None, Some(value))));
            }
            (Some(Value::Array(x)), Some(Value::Array(y))) => {
                for (at, x, y) in elements((a.0, x), (b.0, y)) {
                    todo.push((format!("{path}[{at}]"), x, y));
                }
            }
            (Some(x), Some(y)) if same_leaf((a.0, x), (b.0, y)) => {}
            _ => found.push((path, x, y)),
        }
        todo[from..].reverse();
    }
    found
}

type Element<'v> = (usize, Option<&'v Value>, Option<&'v Value>);

/// The elements of two arrays, those that are alike beside each other.
fn elements<'v>(a: (&Eye, &'v [Value]), b: (&Eye, &'v [Value])) -> Vec<Element<'v>> {
    let keys = |eye: &Eye, list: &[Value]| -> Vec<u64> {
        list.iter().map(|value| eye.key(value)).collect()
    };
    let (keys_a, keys_b) = (keys(a.0, a.1), keys(b.0, b.1));
    let mut partner: Vec<Option<usize>> = vec![None; a.1.len()];
    let mut taken = vec![false; b.1.len()];
    for (x, y) in common(&keys_a, &keys_b) {
        partner[x] = Some(y);
        taken[y] = true;
    }
    let mut elsewhere: HashMap<u64, Vec<usize>> = HashMap::new();
    for y in (0..taken.len()).rev().filter(|&y| !taken[y]) {
        elsewhere.entry(keys_b[y]).or_default().push(y);
    }
    for x in 0..partner.len() {
        if partner[x].is_none() {
            partner[x] = elsewhere.get_mut(&keys_a[x]).and_then(Vec::pop);
            partner[x].into_iter().for_each(|y| taken[y] = true);
        }
    }
    // What is left has no like; the first that changed is beside the first.
    let mut left = (0..taken.len()).filter(|&y| !taken[y]).collect::<Vec<_>>().into_iter();
    let mut found = Vec::with_capacity(a.1.len());
    for (x, partner) in partner.into_iter().enumerate() {
        let y = partner.or_else(|| left.next());
        found.push((y.unwrap_or(x), Some(&a.1[x]), y.map(|y| &b.1[y])));
    }
    found.extend(left.map(|y| (y, None, Some(&b.1[y]))));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(a: Value, b: Value) -> Vec<String> {
        let eye = Eye { start: 1_700_000_000_000_000_000, ..Eye::default() };
        changes((&eye, &a), (&eye, &b)).into_iter().map(|(path, ..)| path).collect()
    }

    #[test]
    fn a_change_is_told_by_its_path() {
        let a = json!({"Groups": [{"Port": 80, "Name": "x"}], "Next": null, "Old": 1});
        let b = json!({"Groups": [{"Port": 81, "Name": "x"}], "Next": null, "New": 1});
        assert_eq!(paths(a, b), ["Groups[0].Port", "Old", "New"]);
    }

    #[test]
    fn ids_times_and_the_order_of_lists_are_no_changes() {
        let a = json!({"Id": "vpc-0a1b2c3d4e5f60718", "At": 1_700_000_001, "Zones": ["a", "b"]});
        let b = json!({"Id": "vpc-0f1e2d3c4b5a60718", "At": 1_700_009_999, "Zones": ["b", "a"]});
        assert_eq!(paths(a, b), [""; 0]);
        assert_eq!(paths(json!(2_147_483_648_i64), json!(4_294_967_296_i64)), [""]);
    }

    #[test]
    fn what_left_a_list_is_what_is_told() {
        let element = |n: u32| json!({"Cidr": format!("10.0.{n}.0/24")});
        let all: Vec<_> = (0..12).map(element).collect();
        let mut fewer = all.clone();
        fewer.remove(2);
        assert_eq!(paths(json!(all), json!(fewer)), ["[2]"]);
    }

    #[test]
    fn a_deep_value_takes_no_stack() {
        let mut a = json!(1);
        let mut b = json!(2);
        for _ in 0..100 {
            (a, b) = (json!([a]), json!([b]));
        }
        assert_eq!(paths(a, b).len(), 1);
    }
}
