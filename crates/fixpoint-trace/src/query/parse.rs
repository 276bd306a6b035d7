//! Reads a query from its text.
//!
//! ```text
//! query       = [ alternative { "or" alternative } ]
//! alternative = condition { "and" condition }
//! condition   = field op value | field ( "exists" | "missing" ) | name | "error" | "open"
//!             | "has" group | "missing" group [ "after" ( name | group ) ]
//! group       = "(" condition { "and" condition } ")"
//! ```
//!
//! Not here: what a query means (`matches.rs`). The surprise: words of the language and names of
//! fields may be written in any case, names of attributes may not.

use std::{ops::Range, str::FromStr};

use super::{
    Alternative, Condition, Field, Length, Literal, Op, Query, SpanFilter, TraceCondition,
    error::{QueryError, named, near, one_of},
    fields::{self, Subject},
    lex::{self, Placed, Token},
};

/// How long a query may be, in bytes. A person writes less; a program should not write more.
pub const MAX_LENGTH: usize = 4096;
/// How many conditions it may have.
pub const MAX_CONDITIONS: usize = 64;

const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 4] = ["unset", "ok", "error", "open"];

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(QueryError::new(
                text,
                text.floor_char_boundary(MAX_LENGTH)..text.len(),
                format!("the query has {} bytes", text.len()),
                format!("at most {MAX_LENGTH}"),
                "look for a part of a long text: `db.query.text ~ \"orders\"`",
            ));
        }
        let tokens = lex::tokens(text)?;
        Parser { text, tokens, next: 0, conditions: 0 }.query()
    }
}

/// A condition, by what it is about.
enum Parsed {
    Span(Condition),
    Trace(TraceCondition),
}

struct Parser<'a> {
    text: &'a str,
    /// Ends with [`Token::End`].
    tokens: Vec<Placed>,
    next: usize,
    conditions: usize,
}

type Result<T, E = QueryError> = std::result::Result<T, E>;

impl<'a> Parser<'a> {
    fn query(mut self) -> Result<Query> {
        let mut query = Query::default();
        if self.peek().token == Token::End {
            return Ok(query);
        }
        loop {
            query.any.push(self.alternative()?);
            if !self.takes("or") {
                return match self.peek().token {
                    Token::End => Ok(query),
                    _ => Err(self.stray()),
                };
            }
        }
    }

    fn alternative(&mut self) -> Result<Alternative> {
        let mut alternative = Alternative::default();
        loop {
            match self.condition()? {
                Parsed::Span(condition) => alternative.span.push(condition),
                Parsed::Trace(condition) => alternative.trace.push(condition),
            }
            if !self.takes("and") {
                return Ok(alternative);
            }
        }
    }

    fn condition(&mut self) -> Result<Parsed> {
        let Placed { token, at } = self.take();
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(self.mistake(
                at,
                "the query has too many conditions",
                format!("at most {MAX_CONDITIONS}"),
                "several names can be one condition if they have a part in common: `name ~ \"Target\"`",
            ));
        }
        match token {
            Token::Text(name) if !self.compares() => {
                Ok(Parsed::Span(Condition::equal(Field::Name, name)))
            }
            Token::Text(name) | Token::Name(name) => self.attribute(name, at),
            Token::Word => self.word(at),
            Token::Open => Err(self.mistake(
                at,
                "parentheses do not group conditions",
                "a condition",
                "they belong to `has(...)` and `missing(...)`; `and` binds tighter than `or`: \
                 `a and c or b and c`",
            )),
            Token::Op(_) | Token::Close | Token::End => Err(self.no_condition(&token, at)),
        }
    }

    /// A condition that begins with a word without quotes.
    fn word(&mut self, at: Range<usize>) -> Result<Parsed> {
        let word = &self.text[at.clone()];
        let lower = word.to_ascii_lowercase();
        if self.peek().token == Token::Open {
            return match lower.as_str() {
                "has" => {
                    let filter = self.group()?;
                    match self.is("after") {
                        true => Err(self.after_has()),
                        false => Ok(Parsed::Trace(TraceCondition::Has(filter))),
                    }
                }
                "missing" => self.missing().map(Parsed::Trace),
                _ => Err(self.no_group(word, at)),
            };
        }
        if self.compares() {
            return match fields::subject(word) {
                Ok(subject) => self.comparison(subject, at),
                Err(it) => Err(self.mistake(at, it.what, it.expected, it.hint)),
            };
        }
        match lower.as_str() {
            "error" => Ok(Parsed::Span(Condition::equal(Field::Status, "error"))),
            "open" => Ok(Parsed::Trace(TraceCondition::Open(true))),
            "trace.open" => Ok(Parsed::Trace(TraceCondition::Open(true))),
            _ => self.bare(word, at),
        }
    }

    /// A word alone: the name of a span, unless it looks like something else.
    fn bare(&self, word: &str, at: Range<usize>) -> Result<Parsed> {
        let end = at.end..at.end;
        if let Some((op, hint)) = self.foreign_op() {
            let at = self.peek().at.clone();
            return Err(self.mistake(at, format!("`{op}` is no comparison"), self.ops(), hint));
        }
        if fields::built_in(word).is_some() {
            let example = match word.to_ascii_lowercase().as_str() {
                "duration" | "trace.duration" => "> 1s",
                "trace.spans" | "trace.errors" => "> 0",
                "kind" => "= server",
                "status" => "= error",
                "log" => "~ \"timeout\"",
                _ => "= \"x\"",
            };
            let hint =
                format!("write `{word} {example}`; a span named so goes in quotes: \"{word}\"");
            return Err(self.mistake(end, format!("`{word}` is not compared"), self.ops(), hint));
        }
        if fields::is_reserved(word) {
            let joins = ["and", "or", "after"].iter().any(|it| it.eq_ignore_ascii_case(word));
            let hint = match word.to_ascii_lowercase().as_str() {
                "not" => {
                    "write `status != error` for other spans, `missing(error)` for none".into()
                }
                _ if joins => {
                    format!("`{word}` stands between two conditions: `error {word} open`")
                }
                "has" | "missing" => format!("write `{word}(\"ELBv2.RegisterTargets\")`"),
                _ => format!("a span named so goes in double quotes: \"{word}\""),
            };
            let what = format!("`{word}` is no condition");
            return Err(self.mistake(at, what, "a condition", hint));
        }
        if let Some((field, value)) = word.split_once(':')
            && fields::built_in(field).is_some()
        {
            let what = "`:` does not compare";
            let at = at.start + field.len()..at.start + field.len() + 1;
            return Err(self.mistake(
                at,
                what,
                self.ops(),
                format!("write `{field} = \"{value}\"`"),
            ));
        }
        match literal(word) {
            Literal::Text(name) => Ok(Parsed::Span(Condition::equal(Field::Name, name))),
            Literal::Duration(_) => {
                let hint = format!("write `duration > {word}`");
                Err(self.mistake(at, "a length of time alone says nothing", "a condition", hint))
            }
            Literal::Number(_) | Literal::Bool(_) => {
                let hint = format!("write `http.response.status_code = {word}`");
                Err(self.mistake(at, "a value alone says nothing", "a condition", hint))
            }
        }
    }

    /// `missing(...)`, and what follows `after`.
    fn missing(&mut self) -> Result<TraceCondition> {
        let what = self.group()?;
        if !self.takes("after") {
            return Ok(TraceCondition::Missing { what, after: None });
        }
        let after = match self.peek().token {
            Token::Open => self.group()?,
            _ => vec![self.of_one_span("after")?],
        };
        Ok(TraceCondition::Missing { what, after: Some(after) })
    }

    /// Conditions in parentheses, all of them on one span.
    fn group(&mut self) -> Result<SpanFilter> {
        let open = self.take().at;
        let mut filter = vec![self.of_one_span("(")?];
        loop {
            let Placed { token, at } = self.peek().clone();
            if self.takes("and") {
                filter.push(self.of_one_span("and")?);
            } else if token == Token::Close {
                self.take();
                return Ok(filter);
            } else if token == Token::End {
                let hint = "write `missing(name = \"x\" and error)`";
                return Err(self.mistake(open, "this `(` is not closed", "`)` after it", hint));
            } else if self.is("or") {
                let hint = "write it twice: `has(\"a\") or has(\"b\")`, \
                            `missing(\"a\") and missing(\"b\")`";
                return Err(self.mistake(at, "no `or` in parentheses", "`and` or `)`", hint));
            } else {
                return Err(self.stray());
            }
        }
    }

    fn of_one_span(&mut self, before: &str) -> Result<Condition> {
        let Placed { token, at } = self.peek().clone();
        if matches!(token, Token::Close | Token::End) {
            let what = format!("nothing stands after `{before}`");
            let hint = "write the name of a span, or conditions: \
                        `missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\"`";
            return Err(self.mistake(at, what, "a condition on a span", hint));
        }
        let from = at.start;
        match self.condition()? {
            Parsed::Span(condition) => Ok(condition),
            Parsed::Trace(_) => {
                let to = self.tokens[self.next - 1].at.end;
                let text = &self.text[from..to];
                Err(self.mistake(
                    from..to,
                    format!("`{text}` is about the whole trace"),
                    "a condition on a span",
                    "put it outside: `missing(\"x\") and trace.duration > 10m`",
                ))
            }
        }
    }

    fn attribute(&mut self, name: String, at: Range<usize>) -> Result<Parsed> {
        if name.is_empty() || !self.compares() {
            let what = if name.is_empty() { "this name is empty" } else { "this is not compared" };
            let at = if name.is_empty() { at } else { at.end..at.end };
            let expected = if name.is_empty() { "a name".to_owned() } else { self.ops() };
            let hint = "backquotes hold an attribute's name: `` `customer name` = \"idg\" ``; \
                        a span's name goes in double quotes";
            return Err(self.mistake(at, what, expected, hint));
        }
        self.comparison(Subject::Span(Field::Attribute(name)), at)
    }

    /// What follows a field.
    fn comparison(&mut self, subject: Subject, field: Range<usize>) -> Result<Parsed> {
        let op_at = self.take().at;
        let op = self.op_at(&op_at);
        let name = self.text[field].to_owned();
        let span = |field, op, value| Ok(Parsed::Span(Condition { field, op, value }));
        match subject {
            Subject::Span(field) => {
                if matches!(op, Op::Exists | Op::Absent) {
                    return span(field, op, Literal::Text(String::new()));
                }
                let value = match &field {
                    Field::Kind => Literal::Text(self.word_of(&name, op, &op_at, "kind", &KINDS)?),
                    Field::Status => {
                        Literal::Text(self.word_of(&name, op, &op_at, "status", &STATUSES)?)
                    }
                    Field::Duration => Literal::Duration(self.length(&name, op, &op_at)?),
                    Field::Attribute(_) => self.value(&name, op, &op_at)?,
                    _ => Literal::Text(self.text_of(&name, op, &op_at)?),
                };
                span(field, op, value)
            }
            Subject::Root => {
                Ok(Parsed::Trace(TraceCondition::Root(op, self.text_of(&name, op, &op_at)?)))
            }
            Subject::TraceDuration => {
                Ok(Parsed::Trace(TraceCondition::Duration(op, self.length(&name, op, &op_at)?)))
            }
            Subject::TraceSpans => {
                Ok(Parsed::Trace(TraceCondition::Spans(op, self.count(&name, op, &op_at)?)))
            }
            Subject::TraceErrors => {
                Ok(Parsed::Trace(TraceCondition::Errors(op, self.count(&name, op, &op_at)?)))
            }
            Subject::TraceOpen => {
                let word = self.word_of(&name, op, &op_at, "answer", &["true", "false"])?;
                Ok(Parsed::Trace(TraceCondition::Open((word == "true") == (op == Op::Equal))))
            }
            Subject::Log => {
                let hint = format!("write `{name} ~ \"timeout\"`, or `{name} !~ \"timeout\"`");
                self.allow(&[Op::Contains, Op::Lacks], &name, op, &op_at, &hint)?;
                Ok(Parsed::Trace(TraceCondition::Log(op, self.text_of(&name, op, &op_at)?)))
            }
        }
    }

    /// One of the words that the field can have.
    fn word_of(
        &mut self,
        name: &str,
        op: Op,
        op_at: &Range<usize>,
        what: &str,
        known: &[&str],
    ) -> Result<String> {
        let hint = format!("write `{name} = {}`", known.get(2).unwrap_or(&known[0]));
        self.allow(&[Op::Equal, Op::NotEqual], name, op, op_at, &hint)?;
        let (word, at) = self.raw(op_at, &one_of(known))?;
        if let Some(found) = known.iter().find(|it| it.eq_ignore_ascii_case(&word)) {
            return Ok((*found).to_owned());
        }
        let hint = match near(&word, known.iter().copied()) {
            Some(meant) => format!("did you mean `{name} {op} {meant}`?"),
            None => hint,
        };
        Err(self.mistake(at, format!("there is no {what} `{word}`"), one_of(known), hint))
    }

    fn length(&mut self, name: &str, op: Op, op_at: &Range<usize>) -> Result<u64> {
        let ordered = [Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::More, Op::AtLeast];
        self.allow(&ordered, name, op, op_at, &format!("write `{name} > 1.5s`"))?;
        let expected = "a length of time, such as `200ms`, `1.5s` or `1h30m`";
        let (word, at) = self.raw(op_at, expected)?;
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

    fn count(&mut self, name: &str, op: Op, op_at: &Range<usize>) -> Result<u64> {
        let ordered = [Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::More, Op::AtLeast];
        let hint = format!("write `{name} > 100`");
        self.allow(&ordered, name, op, op_at, &hint)?;
        let (word, at) = self.raw(op_at, "a number")?;
        word.parse()
            .map_err(|_| self.mistake(at, format!("`{word}` is no count"), "a whole number", hint))
    }

    fn text_of(&mut self, name: &str, op: Op, op_at: &Range<usize>) -> Result<String> {
        let texts = [Op::Equal, Op::NotEqual, Op::Contains, Op::Lacks];
        self.allow(
            &texts,
            name,
            op,
            op_at,
            &format!("write `{name} = \"x\"` or `{name} ~ \"x\"`"),
        )?;
        self.raw(op_at, "a text").map(|(text, _)| text)
    }

    /// The value of an attribute, which can be of any type.
    fn value(&mut self, name: &str, op: Op, op_at: &Range<usize>) -> Result<Literal> {
        let quoted = matches!(self.peek().token, Token::Text(_));
        let (text, at) = self.raw(op_at, "a value")?;
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
    fn raw(&mut self, op_at: &Range<usize>, expected: &str) -> Result<(String, Range<usize>)> {
        let op = self.text[op_at.clone()].to_owned();
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
                    _ if joins => format!("where it is the text that is wanted: {op} \"{word}\""),
                    _ => "a text goes in double quotes: `name = \"create node\"`".to_owned(),
                };
                Err(self.mistake(at, format!("{found} stands after `{op}`"), expected, hint))
            }
        }
    }

    /// Refuses a comparison that the field does not have.
    fn allow(
        &self,
        allowed: &[Op],
        name: &str,
        op: Op,
        at: &Range<usize>,
        hint: &str,
    ) -> Result<()> {
        if allowed.contains(&op) {
            return Ok(());
        }
        let signs: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let signs: Vec<_> = signs.iter().map(String::as_str).collect();
        let what = format!("`{name}` has no `{op}`");
        Err(self.mistake(at.clone(), what, one_of(&signs), hint))
    }

    /// Something stands where `and`, `or` or the end should.
    fn stray(&self) -> QueryError {
        let Placed { token, at } = self.peek().clone();
        let found = self.text[at.clone()].to_owned();
        let before = &self.tokens[self.next - 1];
        let what = format!("{} stands after a whole condition", named(&token, &found));
        let expected = "`and`, `or` or the end";
        let (whole, rest) = self.text.split_at(at.start);
        let joined = format!("conditions are joined: `{} and {rest}`", whole.trim_end());
        let short = ["error", "open"].iter().any(|it| it.eq_ignore_ascii_case(&found));
        let hint = match (&before.token, &token) {
            _ if self.is("after") => {
                return self.after_has();
            }
            (_, Token::Close) => "no `(` was opened for it; `missing(\"x\")` has both".to_owned(),
            (_, Token::Op(_)) => {
                "one comparison a condition: `duration > 1s and duration < 5s`".to_owned()
            }
            (Token::Word, Token::Word) if !short && !self.compares_from(self.next + 1) => {
                let words = self.tokens[self.next..].iter().enumerate();
                let words = words.take_while(|(n, placed)| {
                    let text = &self.text[placed.at.clone()];
                    let joins =
                        ["and", "or", "after"].iter().any(|it| it.eq_ignore_ascii_case(text));
                    placed.token == Token::Word && !joins && !self.compares_from(self.next + n + 1)
                });
                let end = words.last().map_or(at.end, |(_, last)| last.at.end);
                let text = &self.text[before.at.start..end];
                format!("a text of several words goes in double quotes: \"{text}\"")
            }
            _ => joined,
        };
        self.mistake(at, what, expected, hint)
    }

    fn after_has(&self) -> QueryError {
        let at = self.peek().at.clone();
        let hint =
            "write `missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\"`";
        self.mistake(at, "`after` belongs to `missing(...)`", "`and`, `or` or the end", hint)
    }

    fn no_group(&self, word: &str, at: Range<usize>) -> QueryError {
        let meant = near(word, ["has", "missing"]);
        let hint = match (meant, word.to_ascii_lowercase().as_str()) {
            (Some(meant), _) => format!("did you mean `{meant}(...)`?"),
            (None, "not") => "write `missing(error)` for traces in which no span failed".to_owned(),
            (None, "and" | "or") => {
                "parentheses do not group conditions: `a and c or b and c`".to_owned()
            }
            _ => format!("a name with a parenthesis goes in double quotes: \"{word}(...)\""),
        };
        let what = format!("`{word}` takes no parentheses");
        self.mistake(at, what, "`has(...)` or `missing(...)`", hint)
    }

    fn no_condition(&self, token: &Token, at: Range<usize>) -> QueryError {
        let found = named(token, &self.text[at.clone()]);
        let before = self.next.checked_sub(2).map(|n| &self.text[self.tokens[n].at.clone()]);
        let what = match before {
            Some(before) => format!("{found} stands after `{before}`"),
            None => format!("{found} stands at the beginning"),
        };
        let hint = match token {
            Token::Op(op) => format!("a field stands before `{op}`: `service {op} \"api\"`"),
            _ => "write a field and a value, or a span's name: `service = \"api\" and error`"
                .to_owned(),
        };
        self.mistake(at, what, "a condition", hint)
    }

    /// A comparison of another language at the next token, and what it is called here.
    fn foreign_op(&self) -> Option<(&'a str, &'static str)> {
        let text = self.text;
        let next = self.peek();
        let word = &text[next.at.clone()];
        let hint = match word.to_ascii_lowercase().as_str() {
            "is" | "eq" | "equals" | ":" => "write `service = \"api\"`",
            "ne" => "write `service != \"api\"`",
            "contains" | "like" | "matches" | "has" | "includes" => "write `name ~ \"target\"`",
            "gt" => "write `duration > 1s`",
            "lt" => "write `duration < 1s`",
            "not" => "write `status != error`, `name !~ \"x\"` or `customer missing`",
            "in" => "write `service = \"a\" or service = \"b\"`",
            _ => return None,
        };
        (next.token == Token::Word).then_some((word, hint))
    }

    fn ops(&self) -> String {
        "one of `=` `!=` `<` `<=` `>` `>=` `~` `!~` `exists` `missing`".to_owned()
    }

    fn mistake(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> QueryError {
        QueryError::new(self.text, at, what, expected, hint)
    }

    fn peek(&self) -> &Placed {
        // The end is never taken for good.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Placed {
        let placed = self.peek().clone();
        self.next += 1;
        placed
    }

    /// Whether the next token is this word.
    fn is(&self, word: &str) -> bool {
        let next = self.peek();
        next.token == Token::Word && self.text[next.at.clone()].eq_ignore_ascii_case(word)
    }

    /// The same, and takes it if it is.
    fn takes(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.next += usize::from(is);
        is
    }

    /// Whether the next token is a comparison.
    fn compares(&self) -> bool {
        self.compares_from(self.next)
    }

    fn compares_from(&self, next: usize) -> bool {
        let Some(placed) = self.tokens.get(next) else { return false };
        let word = &self.text[placed.at.clone()];
        let group = self.tokens.get(next + 1).is_some_and(|it| it.token == Token::Open);
        match placed.token {
            Token::Op(_) => true,
            Token::Word if word.eq_ignore_ascii_case("exists") => true,
            Token::Word => word.eq_ignore_ascii_case("missing") && !group,
            _ => false,
        }
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
fn literal(word: &str) -> Literal {
    if let Some(answer) = [true, false].iter().find(|it| it.to_string().eq_ignore_ascii_case(word))
    {
        return Literal::Bool(*answer);
    }
    if let Ok(Length(nanos)) = word.parse() {
        return Literal::Duration(nanos);
    }
    number(word).map_or_else(|| Literal::Text(word.to_owned()), Literal::Number)
}

/// A number, if it is one that a float holds exactly: an account's id must not be rounded.
fn number(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits.bytes().all(|c| c.is_ascii_digit());
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || whole && digits.len() > 15 {
        return None;
    }
    word.parse().ok().filter(|number: &f64| number.is_finite())
}
