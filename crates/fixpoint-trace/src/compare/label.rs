//! What a span is called when it is compared: its service and its name without ids.
//!
//! Not here: where it stands ([`tree`](super::tree)). The surprise: a client span with a name that
//! says nothing (`HTTP GET`) takes the name of what it called as well.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::model::Kind;

/// Numbers a text that occurs again and again. Only the [`Names`] that gave it can tell the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

impl Name {
    /// What all texts are numbered with that there was no room for.
    pub const UNKNOWN: Self = Self(MOST_TEXTS as u32);

    /// Its number, counted from 0 in the order in which texts were first seen.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The same, in the four bytes that it takes.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Texts and their numbers. Traces that are compared must share one.
#[derive(Debug, Clone)]
pub struct Names {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, Name>,
    /// Names as they came, to what they are without ids: most of them come many times.
    plain: HashMap<Box<str>, Name>,
    /// What they take in memory, in bytes, and may take at most.
    weight: usize,
    most: usize,
}

/// How many raw names are remembered. Past it those with ids in them fill memory to no use.
const REMEMBERED: usize = 1 << 14;
/// Longer ones are not remembered.
const LONGEST_REMEMBERED: usize = 256;

/// What a text takes in memory besides its bytes: places in two tables, and its number.
const TEXT_BYTES: usize = 96;

/// More texts than this are ids in disguise. They all have one number then, and no text.
const MOST_TEXTS: usize = 1 << 20;

impl Default for Names {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Names {
    /// None yet, and never more than fit in so many bytes.
    pub fn within(bytes: usize) -> Self {
        let (texts, numbers, plain) = <_>::default();
        Self { texts, numbers, plain, weight: 0, most: bytes }
    }

    /// What they take in memory, in bytes.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// The number of a text.
    pub fn number(&mut self, text: &str) -> Name {
        if let Some(&name) = self.numbers.get(text) {
            return name;
        }
        let weight = 2 * text.len() + TEXT_BYTES;
        if self.texts.len() >= MOST_TEXTS || self.weight.saturating_add(weight) > self.most {
            return Name::UNKNOWN;
        }
        self.weight += weight;
        let name = Name(self.texts.len() as u32);
        self.texts.push(text.into());
        self.numbers.insert(text.into(), name);
        name
    }

    /// The number of a text, if it was ever given one.
    pub fn known(&self, text: &str) -> Option<Name> {
        self.numbers.get(text).copied()
    }

    /// The number of a name without its ids.
    pub fn number_without_ids(&mut self, text: &str) -> Name {
        if let Some(&name) = self.plain.get(text) {
            return name;
        }
        let name = self.number(&without_ids(text));
        let weight = text.len() + TEXT_BYTES / 2;
        if self.plain.len() < REMEMBERED
            && text.len() <= LONGEST_REMEMBERED
            && self.weight.saturating_add(weight) <= self.most
        {
            self.weight += weight;
            self.plain.insert(text.into(), name);
        }
        name
    }

    /// The text of a number.
    pub fn text(&self, name: Name) -> &str {
        self.text_of(name.0)
    }

    /// The text of [`Name::number`].
    pub fn text_of(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }
}

/// What a span is called when it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The service that made it.
    pub service: Name,
    /// Its name, without ids; with what it called, where the name alone says nothing.
    pub name: Name,
    /// Who it is between.
    pub kind: Kind,
}

/// Whether the name of a client span says nothing of what was called: `HTTP GET`, `POST`, `grpc`,
/// `SELECT`.
pub fn says_nothing(name: &str) -> bool {
    const WORDS: [&str; 22] = [
        "http", "https", "grpc", "rpc", "get", "post", "put", "patch", "delete", "head", "options",
        "request", "client", "call", "send", "fetch", "query", "select", "insert", "update", "sql",
        "execute",
    ];
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .all(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// What stands for an id.
const ID: &str = "*";

/// A name without the ids in it, each replaced by `*`: UUIDs, times, AWS ids and ARNs, hexadecimal texts
/// of eight digits or more, and numbers that stand alone. `#12`, as in a line of code, is no id.
pub fn without_ids(name: &str) -> Cow<'_, str> {
    // Without a digit no part of a name is taken for an id.
    if !name.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = arn(rest).or_else(|| time(rest)) {
            plain.push_str(ID);
            rest = &rest[length..];
        } else if first.is_alphanumeric() {
            let (text, length) = word(rest, before);
            plain.push_str(text);
            rest = &rest[length..];
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
        before = plain.chars().next_back();
    }
    if plain == name { Cow::Borrowed(name) } else { Cow::Owned(plain) }
}

/// The length of the time, as RFC 3339 writes it, that a text begins with.
fn time(text: &str) -> Option<usize> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let of_form = bytes.len() >= FORM.len()
        && bytes.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte.eq_ignore_ascii_case(other),
        });
    of_form.then(|| {
        let rest = &text[FORM.len()..];
        let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':' | '+' | '-' | 'Z' | 'z');
        FORM.len() + rest.find(|c| !part(c)).unwrap_or(rest.len())
    })
}

/// The length of the ARN that a text begins with.
fn arn(text: &str) -> Option<usize> {
    // What quotes or lists it is no part of it.
    let after = |c: char| c.is_whitespace() || "\"',;)]}".contains(c);
    text.starts_with("arn:").then(|| text.find(after).unwrap_or(text.len()))
}

/// What stands for the word that a text begins with, and how much of the text that is.
fn word(text: &str, before: Option<char>) -> (&str, usize) {
    const UUID: [usize; 5] = [8, 4, 4, 4, 12];
    let length = |text: &str| text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let end = length(text);
    let word = &text[..end];
    let mut at = 0;
    let uuid = UUID.iter().enumerate().all(|(part, &digits)| {
        if part > 0 {
            if !text[at..].starts_with('-') {
                return false;
            }
            at += 1;
        }
        let found = length(&text[at..]);
        let hex = found == digits && text[at..at + found].bytes().all(|b| b.is_ascii_hexdigit());
        at += found;
        hex
    });
    if uuid {
        return (ID, at);
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits == word.len() && before != Some('#');
    if number || (hex && digits > 0 && word.len() >= 8) {
        return (ID, end);
    }
    // `i-0abc…`, `subnet-0abc…`: AWS's ids are a short word and 8 or 17 hexadecimal digits.
    let after = text[end..].strip_prefix('-').map(|rest| &rest[..length(rest)]);
    if let Some(id) = after
        && word.bytes().all(|byte| byte.is_ascii_lowercase())
        && [8, 17].contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte.is_ascii_digit())
    {
        return (ID, end + 1 + id.len());
    }
    (word, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_out_of_names() {
        for (name, plain) in [
            ("create_security_group", "create_security_group"),
            ("EC2.RunInstances", "EC2.RunInstances"),
            ("ELBv2.RegisterTargets", "ELBv2.RegisterTargets"),
            ("GET /v1/users/1234/orders", "GET /v1/users/*/orders"),
            ("GET /orders/6f1c0b52-8f2d-4a6e-9d57-0d2f6f3f9a10", "GET /orders/*"),
            ("wait for i-0abc12345def67890", "wait for *"),
            ("delete subnet-0a1b2c3d now", "delete * now"),
            ("tag arn:aws:ec2:eu-west-1:1:vpc/vpc-1 again", "tag * again"),
            ("{ lb: \"arn:aws:elb:x:1:lb/app\", of: 3 }", "{ lb: \"*\", of: * }"),
            ("job d572232a8fed45fa", "job *"),
            ("shard 7", "shard *"),
            ("made at 2026-11-25T22:23:23.852Z, again", "made at *, again"),
            ("2026-11-25T22:23:23+01:00", "*"),
            ("INFO OrderServiceImpl#132", "INFO OrderServiceImpl#132"),
            ("größe 12 µs", "größe * µs"),
            ("hipstershop.CartService/GetCart", "hipstershop.CartService/GetCart"),
            ("defaced", "defaced"),
            ("", ""),
        ] {
            assert_eq!(without_ids(name), plain, "{name}");
        }
    }

    #[test]
    fn ids_are_gone_after_one_pass() {
        for name in ["a-1-2", "9-9f8e7d6c", "x/1/2/3", "i-0abc12345def67890-1"] {
            let plain = without_ids(name).into_owned();
            assert_eq!(without_ids(&plain), plain, "{name}");
        }
    }

    #[test]
    fn names_that_say_nothing() {
        assert!(says_nothing("HTTP GET"));
        assert!(says_nothing("POST"));
        assert!(!says_nothing("GET /users"));
        assert!(!says_nothing("ELBv2.RegisterTargets"));
    }
}
