//! The shape of a JSON text: how long its lists are, and its plain values.
//!
//! For answers of calls: "answered with no target group where good ones had one". Not here: which
//! values are usual. The surprise: all elements of a list share one place, and what they hold is
//! put together, so that a shape is as large as the schema and not as the answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::compare::label::without_ids;

/// Deeper than this nothing is looked at. Answers of AWS have what matters above it.
const DEEPEST: usize = 6;
/// More places than this are not told apart.
const MOST_PLACES: usize = 64;
/// Longer texts are taken for prose.
const LONGEST_TEXT: usize = 64;
/// More different values than this in one list's elements are not listed.
const MOST_VALUES: usize = 4;

/// What a text holds, by place: `TargetGroups` → `2 items`, `TargetGroups[].State` → `active`.
/// None if it is no JSON object or list.
pub fn shape(text: &str) -> Option<BTreeMap<String, String>> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut walk = Walk::default();
    let mut json = serde_json::Deserializer::from_str(text);
    walk.deserialize(&mut json).and_then(|()| json.end()).ok()?;
    let together = |values: BTreeSet<String>| {
        if values.len() > MOST_VALUES {
            return "many values".to_owned();
        }
        values.into_iter().collect::<Vec<_>>().join(", ")
    };
    Some(walk.places.into_iter().map(|(place, values)| (place, together(values))).collect())
}

/// Goes through a text as it is parsed: a tree of it would cost more than all the rest.
#[derive(Default)]
struct Walk {
    places: BTreeMap<String, BTreeSet<String>>,
    /// Where it is,
    place: String,
    /// and how deep that lies.
    depth: usize,
}

impl Walk {
    fn say(&mut self, said: &str) {
        if !self.places.contains_key(&self.place) {
            if self.places.len() >= MOST_PLACES {
                return;
            }
            self.places.insert(self.place.clone(), BTreeSet::new());
        }
        if let Some(values) = self.places.get_mut(&self.place)
            // One more than are listed says that there are many.
            && values.len() <= MOST_VALUES
            && !values.contains(said)
        {
            values.insert(said.to_owned());
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.depth > DEEPEST {
            return json.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let here = self.place.len();
        self.depth += 1;
        while fields.next_key_seed(Key(&mut self.place))?.is_some() {
            fields.next_value_seed(&mut *self)?;
            self.place.truncate(here);
        }
        self.depth -= 1;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let here = self.place.len();
        self.depth += 1;
        self.place.push_str("[]");
        let mut length = 0;
        while items.next_element_seed(&mut *self)?.is_some() {
            length += 1;
        }
        self.place.truncate(here);
        self.depth -= 1;
        match length {
            1 => self.say("1 item"),
            n => self.say(&format!("{n} items")),
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.len() > LONGEST_TEXT {
            self.say("a long text");
        } else {
            self.say(&without_ids(text));
        }
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.say(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.say("null");
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.say(&number.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.say(&number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // As JSON writes it.
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a number"))?;
        self.say(&number.to_string());
        Ok(())
    }
}

/// Appends a field's name to its place.
struct Key<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, String)> {
        shape(text).unwrap().into_iter().collect()
    }

    fn named(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(place, value)| (place.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn lists_have_lengths_and_their_elements_one_place() {
        let text = r#"{"TargetGroups":[{"State":"active","Port":80},{"State":"draining"}]}"#;
        let expected = [
            ("TargetGroups", "2 items"),
            ("TargetGroups[].Port", "80"),
            ("TargetGroups[].State", "active, draining"),
        ];
        assert_eq!(of(text), named(&expected));
        assert_eq!(of(r#"{"TargetGroups":[]}"#), named(&[("TargetGroups", "0 items")]));
    }

    #[test]
    fn ids_and_long_texts_are_not_told_apart() {
        let text = r#"{"Id":"i-0abc12345def67890","Ok":true,"Why":null}"#;
        assert_eq!(of(text), named(&[("Id", "*"), ("Ok", "true"), ("Why", "null")]));
        let prose = format!(r#"["{}"]"#, "word ".repeat(40));
        assert_eq!(of(&prose), named(&[("", "1 item"), ("[]", "a long text")]));
    }

    #[test]
    fn what_is_no_json_has_no_shape() {
        assert_eq!(shape("plain"), None);
        assert_eq!(shape(r#"{"cut": ["#), None);
    }

    #[test]
    fn numbers_are_as_json_writes_them_and_texts_with_escapes_are_read() {
        let text = r#"{"a":[1,-2,0.5,1e300,1],"b\"c":"tea\n","":{}}"#;
        assert_eq!(
            of(text),
            named(&[("a", "5 items"), ("a[]", "-2, 0.5, 1, 1e+300"), ("b\"c", "tea\n")])
        );
        assert_eq!(shape("[1] and more"), None);
    }

    #[test]
    fn of_many_places_and_many_values_there_is_an_end() {
        let fields: Vec<_> = (0..100).map(|n| format!(r#""{n}x":[true,false]"#)).collect();
        assert_eq!(of(&format!("{{{}}}", fields.join(","))).len(), MOST_PLACES);
        let items: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let found = of(&format!("[{}]", items.join(",")));
        assert_eq!(found, named(&[("", "100 items"), ("[]", "many values")]));
    }

    #[test]
    fn a_deep_text_has_an_end() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(of(&deep).len() <= DEEPEST + 1);
    }
}
