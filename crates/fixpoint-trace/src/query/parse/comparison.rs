//! Reads what follows a field: a comparison that it has, and a value of its type.
//!
//! Not here: what a comparison means (`matches.rs`). The surprise: only an attribute can be of any
//! type, so only there do quotes tell the text `"10m"` from ten minutes.

use std::ops::Range;

use super::{Parsed, Parser, Result};
use crate::query::{
    Condition, Field, Length, Literal, Op, TraceCondition,
    error::{named, near, one_of},
    fields::Subject,
    lex::{Placed, Token},
};

const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 4] = ["unset", "ok", "error", "open"];
const ORDERED: [Op; 6] = [Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::More, Op::AtLeast];

const TEXTS: [Op; 4] = [Op::Equal, Op::NotEqual, Op::Contains, Op::Lacks];

/// What stands before a value.
struct Left {
    /// The field, as it is written.
    name: String,
    op: Op,
    /// Where the comparison stands.
    at: Range<usize>,
}

impl Parser<'_> {
    /// What follows a field.
    pub(super) fn comparison(&mut self, subject: Subject, field: Range<usize>) -> Result<Parsed> {
        let at = self.take().at;
        let op = self.op_at(&at);
        let left = Left { name: self.text[field].to_owned(), op, at };
        let span = |field, op, value| Ok(Parsed::Span(Condition { field, op, value }));
        match subject {
            Subject::Span(field) => {
                if matches!(op, Op::Exists | Op::Absent) {
                    return span(field, op, Literal::Text(String::new()));
                }
                let value = match &field {
                    Field::Kind => Literal::Text(self.word_of(&left, "kind", &KINDS)?),
                    Field::Status => Literal::Text(self.word_of(&left, "status", &STATUSES)?),
                    Field::Duration => Literal::Duration(self.length(&left)?),
                    Field::Attribute(_) => self.value(&left)?,
                    _ => Literal::Text(self.text_of(&left)?),
                };
                span(field, op, value)
            }
            Subject::Root => Ok(Parsed::Trace(TraceCondition::Root(op, self.text_of(&left)?))),
            Subject::TraceDuration => {
                Ok(Parsed::Trace(TraceCondition::Duration(op, self.length(&left)?)))
            }
            Subject::TraceSpans => Ok(Parsed::Trace(TraceCondition::Spans(op, self.count(&left)?))),
            Subject::TraceErrors => {
                Ok(Parsed::Trace(TraceCondition::Errors(op, self.count(&left)?)))
            }
            Subject::TraceOpen => {
                let word = self.word_of(&left, "answer", &["true", "false"])?;
                Ok(Parsed::Trace(TraceCondition::Open((word == "true") == (op == Op::Equal))))
            }
            Subject::Log => {
                let hint = format!("write `{0} ~ \"timeout\"`, or `{0} !~ \"timeout\"`", left.name);
                self.allow(&left, &[Op::Contains, Op::Lacks], &hint)?;
                Ok(Parsed::Trace(TraceCondition::Log(op, self.text_of(&left)?)))
            }
        }
    }

    /// One of the words that the field can have.
    fn word_of(&mut self, left: &Left, what: &str, known: &[&str]) -> Result<String> {
        let Left { name, op, .. } = left;
        let hint = format!("write `{name} = {}`", known.get(2).unwrap_or(&known[0]));
        self.allow(left, &[Op::Equal, Op::NotEqual], &hint)?;
        let (word, at) = self.raw(left, &one_of(known))?;
        if let Some(found) = known.iter().find(|it| it.eq_ignore_ascii_case(&word)) {
            return Ok((*found).to_owned());
        }
        let hint = match near(&word, known.iter().copied()) {
            Some(meant) => format!("did you mean `{name} {op} {meant}`?"),
            None => hint,
        };
        Err(self.mistake(at, format!("there is no {what} `{word}`"), one_of(known), hint))
    }

    fn length(&mut self, left: &Left) -> Result<u64> {
        let Left { name, op, .. } = left;
        self.allow(left, &ORDERED, &format!("write `{name} > 1.5s`"))?;
        let expected = "a length of time, such as `200ms`, `1.5s` or `1h30m`";
        let (word, at) = self.raw(left, expected)?;
        word.parse().map(|Length(nanos)| nanos).map_err(|_| {
            let (what, hint) = match word.parse::<f64>() {
                Ok(_) => (
                    format!("`{word}` has no unit"),
                    format!("did you mean `{name} {op} {word}s` or `{name} {op} {word}ms`?"),
                ),
                Err(_) => (
                    format!("`{word}` is no length of time"),
                    format!("units are `ns` `us` `ms` `s` `m` `h` `d`: `{name} {op} 1m30s`"),
                ),
            };
            self.mistake(at, what, expected, hint)
        })
    }

    fn count(&mut self, left: &Left) -> Result<u64> {
        let hint = format!("write `{} > 100`", left.name);
        self.allow(left, &ORDERED, &hint)?;
        let (word, at) = self.raw(left, "a number")?;
        word.parse()
            .map_err(|_| self.mistake(at, format!("`{word}` is no count"), "a whole number", hint))
    }

    fn text_of(&mut self, left: &Left) -> Result<String> {
        let hint = format!("write `{0} = \"x\"` or `{0} ~ \"x\"`", left.name);
        self.allow(left, &TEXTS, &hint)?;
        self.raw(left, "a text").map(|(text, _)| text)
    }

    /// The value of an attribute, which can be of any type.
    fn value(&mut self, left: &Left) -> Result<Literal> {
        let Left { name, op, .. } = left;
        let quoted = matches!(self.peek().token, Token::Text(_));
        let (text, at) = self.raw(left, "a value")?;
        let value = match quoted || matches!(op, Op::Contains | Op::Lacks) {
            true => Literal::Text(text),
            false => literal(&text),
        };
        let ordered = matches!(op, Op::Less | Op::AtMost | Op::More | Op::AtLeast);
        match &value {
            Literal::Text(text) if ordered && text.trim().parse::<f64>().is_err() => {}
            Literal::Bool(_) if ordered => {}
            _ => return Ok(value),
        }
        let what = format!("`{op}` compares numbers and lengths of time");
        let hint = format!("write `{name} {op} 500`, or look for a text with `{name} = \"x\"`");
        Err(self.mistake(at, what, "a number or a length of time", hint))
    }

    /// The text after a comparison, with or without quotes.
    fn raw(&mut self, left: &Left, expected: &str) -> Result<(String, Range<usize>)> {
        let Left { name, op, .. } = left;
        let Placed { token, at } = self.peek().clone();
        let joins = self.is("and") || self.is("or") || self.is("after");
        match token {
            Token::Text(text) => {
                self.take();
                Ok((text, at))
            }
            Token::Word if !joins => {
                self.take();
                Ok((self.text[at.clone()].to_owned(), at))
            }
            _ => {
                let word = &self.text[at.clone()];
                let found = named(&token, word);
                let hint = match token {
                    Token::Name(_) => "a value goes in double quotes: `name = \"x\"`".to_owned(),
                    _ if joins => format!("a text that is such a word: `{name} {op} \"{word}\"`"),
                    _ => "a text goes in double quotes: `name = \"create node\"`".to_owned(),
                };
                Err(self.mistake(at, format!("{found} stands after `{op}`"), expected, hint))
            }
        }
    }

    /// Refuses a comparison that the field does not have.
    fn allow(&self, left: &Left, allowed: &[Op], hint: &str) -> Result<()> {
        let Left { name, op, at } = left;
        if allowed.contains(op) {
            return Ok(());
        }
        let signs: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let signs: Vec<_> = signs.iter().map(String::as_str).collect();
        let what = format!("`{name}` has no `{op}`");
        Err(self.mistake(at.clone(), what, one_of(&signs), hint))
    }

    /// The comparison that was taken from there.
    fn op_at(&self, at: &Range<usize>) -> Op {
        match self.tokens[self.next - 1].token {
            Token::Op(op) => op,
            _ if self.text[at.clone()].eq_ignore_ascii_case("exists") => Op::Exists,
            _ => Op::Absent,
        }
    }
}

/// What a word without quotes stands for, as the value of an attribute.
pub(super) fn literal(word: &str) -> Literal {
    if let Some(answer) = [true, false].iter().find(|it| it.to_string().eq_ignore_ascii_case(word))
    {
        return Literal::Bool(*answer);
    }
    if let Ok(Length(nanos)) = word.parse() {
        return Literal::Duration(nanos);
    }
    number(word).map_or_else(|| Literal::Text(word.to_owned()), Literal::Number)
}

/// A number, if it is one that a float holds exactly: an account's id must not be rounded, nor
/// lose its zeros.
fn number(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits.bytes().all(|c| c.is_ascii_digit());
    let zeros = whole && digits.len() > 1 && digits.starts_with('0');
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || whole && digits.len() > 15 || zeros {
        return None;
    }
    word.parse().ok().filter(|number: &f64| number.is_finite())
}
