//! A text without what differs between any two runs: ids, times, addresses, the resource's name.
//!
//! Not for the names of spans ([`label`](crate::compare::label)), in which every number is an id.
//! Here a number says something: `3` nodes are not `5`. The surprise: what stands for an id keeps
//! its surroundings, so that `subnet-*` and `sg-*` still differ.

use std::borrow::Cow;

/// What stands for an id.
const ID: &str = "*";

/// What to take out of texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Plain {
    /// The name of the resource that the trace is of, if it is not that of the other trace too.
    pub(super) own: Option<String>,
}

impl Plain {
    /// Gives the text in pieces, ids as `*`. Measured times go too if it is `prose`.
    fn pieces<'t>(&self, text: &'t str, prose: bool, mut give: impl FnMut(&'t str)) {
        let bytes = text.as_bytes();
        let own = self.own.as_deref().filter(|own| text.contains(own));
        if own.is_none() && !bytes.iter().any(u8::is_ascii_digit) {
            return give(text);
        }
        // What lies between `kept` and `at` is given as it is.
        let (mut kept, mut at) = (0, 0);
        while at < bytes.len() {
            if !in_word(bytes[at]) {
                at += 1;
                continue;
            }
            let found = own.and_then(|own| named(bytes, at, own)).or_else(|| id(bytes, at, prose));
            let length = match found {
                Some(length) => {
                    give(&text[kept..at]);
                    give(ID);
                    kept = at + length;
                    length
                }
                None => word(&bytes[at..]),
            };
            at += length;
        }
        give(&text[kept..]);
    }

    /// The text without ids.
    pub(super) fn text<'t>(&self, text: &'t str, prose: bool) -> Cow<'t, str> {
        let mut plain = String::new();
        let mut whole = false;
        self.pieces(text, prose, |piece| {
            whole = std::ptr::eq(piece, text);
            if !whole {
                plain.push_str(piece);
            }
        });
        if whole { Cow::Borrowed(text) } else { Cow::Owned(plain) }
    }

    /// Feeds a hash with the text without ids.
    pub(super) fn hash(&self, text: &str, hasher: &mut impl std::hash::Hasher) {
        self.pieces(text, false, |piece| hasher.write(piece.as_bytes()));
        hasher.write_u8(0xff);
    }
}

/// Bytes beyond ASCII are taken for letters: no id holds them, and no word is cut in one.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !in_word(byte)).unwrap_or(bytes.len())
}

/// The length of the resource's name, if it begins here and is no part of a longer word.
fn named(bytes: &[u8], at: usize, own: &str) -> Option<usize> {
    // The first letter tells most words apart without a call.
    let begins =
        own.as_bytes().first() == Some(&bytes[at]) && bytes[at..].starts_with(own.as_bytes());
    let ends = || bytes.get(at + own.len()).is_none_or(|&next| !in_word(next));
    (begins && ends()).then_some(own.len())
}

/// Whether two texts are the same, but for a name that the one has where the other has another.
pub(super) fn same_but_for((x, own_x): (&str, &str), (y, own_y): (&str, &str)) -> bool {
    let (x, y) = (x.as_bytes(), y.as_bytes());
    let begins = |text: &[u8], at: usize| at == 0 || !in_word(text[at - 1]);
    let (mut at_x, mut at_y) = (0, 0);
    while at_x < x.len() && at_y < y.len() {
        let word = begins(x, at_x) && begins(y, at_y);
        match word.then(|| (named(x, at_x, own_x), named(y, at_y, own_y))) {
            Some((Some(length_x), Some(length_y))) => {
                at_x += length_x;
                at_y += length_y;
            }
            _ if x[at_x] != y[at_y] => return false,
            _ => {
                at_x += 1;
                at_y += 1;
            }
        }
    }
    at_x == x.len() && at_y == y.len()
}

/// The length of the id that begins here. Most words are none, and are told so by their length,
/// their digits and what follows them.
fn id(bytes: &[u8], at: usize, prose: bool) -> Option<usize> {
    let rest = &bytes[at..];
    let (mut length, mut digits, mut hex) = (0, 0, true);
    for &byte in rest.iter().take_while(|&&byte| in_word(byte)) {
        length += 1;
        digits += usize::from(byte.is_ascii_digit());
        hex &= byte.is_ascii_hexdigit();
    }
    let found = match rest.get(length) {
        Some(b'-') if length == 8 && hex => uuid(rest),
        Some(b'-') if length == 4 && digits == 4 => time(rest),
        Some(b'-' | b'.') if length <= 3 && digits == length => address(bytes, at),
        Some(b':') if length == 2 && hex => fingerprint(rest),
        Some(b'+' | b'/' | b'=') => base64(rest),
        _ => None,
    };
    if found.is_some() {
        return found;
    }
    // Account numbers have twelve digits, times since 1970 ten or more, numbers in host names of
    // AWS nine; sizes seldom have.
    let number = digits == length && length >= 9;
    let mixed = (1..length).contains(&digits) && ((hex && length >= 8) || length >= 16);
    if number || mixed {
        return Some(length);
    }
    (prose && digits > 0).then(|| measured(rest)).flatten()
}

fn matches(bytes: &[u8], shape: &[u8]) -> bool {
    bytes.len() >= shape.len()
        && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'x' => byte.is_ascii_hexdigit(),
            b'9' => byte.is_ascii_digit(),
            exact => byte == exact,
        })
}

fn uuid(bytes: &[u8]) -> Option<usize> {
    let shape = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    matches(bytes, shape).then_some(shape.len()).filter(|&end| word(&bytes[end..]) == 0)
}

/// `1f:51:ae:28:…`
fn fingerprint(bytes: &[u8]) -> Option<usize> {
    let pairs = bytes.chunks(3).take_while(|chunk| matches(chunk, b"xx:")).count();
    let end = 3 * pairs;
    (pairs >= 5 && matches(&bytes[end..], b"xx")).then_some(end + 2)
}

/// A fingerprint as base64. Only one that is padded is told from a path.
fn base64(bytes: &[u8]) -> Option<usize> {
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || [b'+', b'/'].contains(byte);
    let length = bytes.iter().take_while(letter).count();
    let padding = bytes[length..].iter().take_while(|&&byte| byte == b'=').count();
    (length >= 22 && padding > 0).then_some(length + padding)
}

/// `2026-05-05`, with or without a time of day and a zone.
fn time(bytes: &[u8]) -> Option<usize> {
    if !matches(bytes, b"9999-99-99") {
        return None;
    }
    let mut end = 10;
    for shape in [&b"T99:99"[..], b" 99:99"] {
        if matches(&bytes[end..], shape) {
            end += shape.len();
            if matches(&bytes[end..], b":99") {
                end += 3;
            }
            if matches(&bytes[end..], b".9") {
                end += 1;
                end += bytes[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            }
            break;
        }
    }
    let zone = [&b"Z"[..], b"+99:99", b"-99:99"];
    end += zone.iter().find(|zone| matches(&bytes[end..], zone)).map_or(0, |zone| zone.len());
    Some(end)
}

/// An IPv4 address, or one as host names of AWS have it (`ip-10-0-1-17`). A network (`10.0.1.0/24`)
/// is no address: somebody chose it.
fn address(bytes: &[u8], at: usize) -> Option<usize> {
    let dash = at >= 3 && bytes[..at].ends_with(b"ip-");
    let between = if dash { b'-' } else { b'.' };
    let rest = &bytes[at..];
    let mut end = 0;
    for part in 0..4 {
        if part > 0 {
            if rest.get(end) != Some(&between) {
                return None;
            }
            end += 1;
        }
        let digits = rest[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        end += digits;
    }
    let network = rest.get(end) == Some(&b'/') && rest.get(end + 1).is_some_and(u8::is_ascii_digit);
    (!network && word(&rest[end..]) == 0).then_some(end)
}

/// `132ms`, `132 ms`, `1.32s`: how long something took. Whole seconds are what somebody chose.
fn measured(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let broken = bytes.get(whole) == Some(&b'.') && digits(whole + 1) > 0;
    let number = if broken { whole + 1 + digits(whole + 1) } else { whole };
    if number == 0 {
        return None;
    }
    let from = number + usize::from(bytes.get(number) == Some(&b' '));
    let unit = &bytes[from..from + word(&bytes[from..])];
    let small = [&b"ms"[..], b"us", "µs".as_bytes(), b"ns"].contains(&unit);
    (small || (broken && unit == b"s")).then_some(from + unit.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        Plain { own: Some("idg".into()) }.text(text, false).into_owned()
    }

    #[test]
    fn what_differs_between_any_two_runs_goes() {
        for (text, expected) in [
            ("i-0abc12345def67890", "i-*"),
            ("6f1c0b52-8f2d-4a6e-9d57-0d2f6f3f9a10", "*"),
            ("at 2026-05-05T10:11:12.123Z, gone", "at *, gone"),
            ("2026-05-05", "*"),
            ("arn:aws:iam::123456789012:role/idg-node", "arn:aws:iam::*:role/*-node"),
            ("app/idg-lb/50dc6c495c0c9188", "app/*-lb/*"),
            ("10.0.1.17:8086", "*:8086"),
            ("ip-10-0-1-17.compute.internal", "ip-*.compute.internal"),
            ("AROAEXAMPLE1234567890", "*"),
            ("1f:51:ae:28:bf:89:e9:d8:1f:25:5d:37:2d:7d:b8:ca", "*"),
            ("7tBUqpyzr9YeoQJSNM2+Fh3k/PwBhIZWq82BYSBC3hQ=", "*"),
            ("clusters/idg", "clusters/*"),
            ("größe 1700000000123 µs", "größe * µs"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn what_somebody_chose_stays() {
        for text in [
            "3",
            "nodes: 5",
            "t3.large",
            "10.0.1.0/24",
            "8086",
            "timeout 500ms",
            "influxdb 2.7.11",
            "idgs",
            "widg-1",
            "10485760",
            "",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_name_stands_for_another_only_where_that_stands() {
        let same = |x, y| same_but_for((x, "nodes"), (y, "cluster"));
        assert!(same("cluster nodes-lb", "cluster cluster-lb"));
        assert!(!same("nodes", "nodess"));
        assert!(!same("nodes of nodes", "nodes of cluster."));
    }

    #[test]
    fn how_long_it_took_goes_from_prose() {
        let prose = |text| Plain::default().text(text, true).into_owned();
        assert_eq!(prose("looked 3 times in 12.5s, 40 ms each"), "looked 3 times in *, * each");
        assert_eq!(prose("every 30s"), "every 30s");
    }
}
