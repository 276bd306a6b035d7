//! Finds secrets in plain text, by their look and by the names before them.

use std::{borrow::Cow, collections::HashSet, ops::Range, sync::LazyLock};

use regex::{Captures, Regex, RegexBuilder};

use super::{REDACTED, is_secret_name};

static SUSPECT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i) pass | pwd | secret | token | api[_.-]?key | access[_.-]?key | private[\ _.-]?key
        | key[_.-]?material | user[_.-]?data | kube[_.-]?config | credential | authorization
        | signature | cookie | \bsig | eyJ | AKIA | ASIA | IQoJ | F[wQ]oG | gh[opsu]_ | xox[a-z]-
        | fixpoint_[0-9a-f]{16} | ://[^/\s]*@ | [A-Za-z0-9/+]{40}",
    )
});

/// Secrets known by their look.
static LOOK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"-----BEGIN\ [A-Z0-9\ ]*PRIVATE\ KEY[A-Z\ ]*-----
            (?s:.*?) (?: -----END\ [A-Z0-9\ ]*PRIVATE\ KEY[A-Z\ ]*----- | \z )
        | \beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*         # JWT
        | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                                     # AWS access key id
        | \b(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9/+=%_-]{20,}          # AWS session token
        | \bgh[opsu]_[A-Za-z0-9]{36,}                                       # GitHub
        | \bxox[a-z]-[A-Za-z0-9-]{10,}                                      # Slack
        | fixpoint_[0-9a-fA-F]{16,}                                         # our own",
    )
});

/// User and password in a URL.
static USERINFO: LazyLock<Regex> =
    LazyLock::new(|| regex(r#":// [^\s/@:"'<>?\#]* : (?P<value> [^\s/@"'<>?\#]+ ) @"#));

/// `<name>value</`, or cut off in the value.
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"< (?P<key>[A-Za-z0-9_:.-]+) > (?:\s*\n\s*)? (?P<value>[^<\s][^<]*) (?: </ | \z )")
});

/// A line of YAML or a header, or a YAML block: `name: all the rest`.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?m)^ (?P<head> [\ \t]* (?:-\ +)? (?P<key>[A-Za-z0-9_.-]+) :[\ \t]+ )
        (?P<value> [|>][+-]?[\ \t]*(?:\n[\ \t]+.*)* | [^\s"'].* ) $"#,
    )
});

/// `name=value`, `name: value`, `"name": "value"`, also within quoted text and percent-encoded in an
/// address. An ARN is taken whole and has no key: `arn:aws:secretsmanager:...` names a secret and
/// holds none.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i) \barn:[^\s"',<>]+ |
        (?P<head>
            (?P<key>
                [a-z0-9_.-]* (?: pass(?:word|wd|phrase) | secret | token | api[_.-]?key
                    | access[_.-]?key | private[_.-]?key | key[_.-]?material | user[_.-]?data
                    | kube[_.-]?config | credential | authorization | signature | cookie
                ) [a-z0-9_.-]*
                | \b(?:sig|pass|pwd)
            )
            (?: \\*["']? | %2[27] ) \s* (?: => | [:=] | %3[ad] ) \s* (?: Some\( )?
        )
        (?P<value>
            "(?:[^"\\]|\\.)*(?:"|\\?\z)
            | \\+"[^"]*(?:"|\z)
            | '[^']*(?:'|\z)
            | (?: (?:bearer|basic|digest|token|aws4-hmac-sha256) \s+ )? [^\s"'&;,<>(){}\[\]\\]+
        )"#,
    )
});

/// Runs as long as an AWS secret access key, or longer.
static RUN: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z0-9/+_-]{40,} =*"));

/// Whether a closer look is worth it. Nearly all text ends here.
pub(super) fn is_suspect(text: &str) -> bool {
    SUSPECT.is_match(text)
}

pub(super) fn replace(text: &str) -> Cow<'_, str> {
    let named =
        |found: &Captures<'_>| found.name("key").is_some_and(|key| is_secret_name(key.as_str()));
    let mut text = cover(text.into(), &LOOK, |_| true);
    text = cover(text, &USERINFO, |_| true);
    text = cover(text, &ELEMENT, named);
    text = cover(text, &LINE, named);
    text = cover(text, &NAMED, named);
    cover(text, &RUN, |found| has_key_look(&found[0]))
}

/// Puts [`REDACTED`] in the place of each `value` (or whole match) that is a secret; quotes stay.
fn cover<'a>(
    text: Cow<'a, str>,
    pattern: &Regex,
    is_secret: impl Fn(&Captures<'_>) -> bool,
) -> Cow<'a, str> {
    let mut clean = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = pattern.captures_at(&text, at) {
        let whole = found.get_match();
        let value = found.name("value").unwrap_or(whole);
        let body = body(value.as_str());
        let secret = &value.as_str()[body.clone()];
        if secret.is_empty() || secret.starts_with(REDACTED) || !is_secret(&found) {
            // A harmless name may be followed by a bad one, as in `tokens: password=x`.
            at = if value == whole { value.end() } else { value.start() };
        } else {
            clean.push_str(&text[kept..value.start() + body.start]);
            clean.push_str(REDACTED);
            kept = value.start() + body.end;
            at = value.end();
        }
    }
    if kept == 0 {
        return text;
    }
    clean.push_str(&text[kept..]);
    Cow::Owned(clean)
}

/// Where a value is without its quotes, which may be escaped and of which the last may be cut off.
fn body(value: &str) -> Range<usize> {
    let slashes = value.len() - value.trim_start_matches('\\').len();
    let start = match value.as_bytes().get(slashes) {
        Some(b'"' | b'\'') => slashes + 1,
        _ => return 0..value.len(),
    };
    let rest = &value[start..];
    start..start + rest.strip_suffix(&value[..start]).map_or(rest.len(), str::len)
}

/// An AWS secret access key is 40 characters of base64 and has no other mark. Digests, which are
/// as long, are told apart by being hex, paths by their slashes.
fn has_key_look(run: &str) -> bool {
    let count = |is: fn(&u8) -> bool| run.bytes().filter(is).count();
    run.len() == 40
        && run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/' || b == b'+')
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 1
        && count(|b| *b == b'/') <= 3
        && run.bytes().collect::<HashSet<_>>().len() >= 18
}

/// Panics if the pattern is malformed, which the tests would show.
fn regex(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .ignore_whitespace(true)
        .build()
        .expect("the patterns in this file are well-formed")
}
