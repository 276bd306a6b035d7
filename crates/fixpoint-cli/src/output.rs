//! Where output goes: data to stdout, everything else to stderr; colours only for people.
//!
//! Not here: what is said. The surprise: a reader that goes away (`fixpoint runs | head`) is no
//! error, so a broken pipe counts as written.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

/// The form of data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value, or several one after another.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Not even on a terminal.
    Never,
}

/// Writes what commands have to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The form of data on stdout.
    pub(crate) format: Format,
    /// Colours for stdout.
    pub(crate) out: Paint,
    /// Colours for stderr.
    pub(crate) err: Paint,
}

impl Output {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let paint = |terminal: bool| match color {
            Color::Auto => Paint(terminal && !plain),
            Color::Always => Paint(true),
            Color::Never => Paint(false),
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self { format, out: paint(out), err: paint(err) }
    }

    /// True if data is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// How many columns stdout has: the terminal's, or 80 where there is none.
    pub(crate) fn width(&self) -> usize {
        let terminal = terminal_size::terminal_size_of(io::stdout());
        terminal.map_or(80, |(width, _)| usize::from(width.0)).clamp(60, 200)
    }

    /// Data for people, as lines.
    pub(crate) fn text(&self, text: impl AsRef<str>) -> io::Result<()> {
        write_line(io::stdout().lock(), text.as_ref())
    }

    /// A file's bytes, as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Data for programs, as one indented JSON value.
    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        write_line(io::stdout().lock(), &serde_json::to_string_pretty(value)?)
    }

    /// Data for programs, as one JSON value on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        write_line(io::stdout().lock(), &serde_json::to_string(value)?)
    }

    /// Says something that is not data. Nobody can be told if stderr is gone.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        write_line(io::stderr().lock(), text.as_ref()).ok();
    }
}

fn write_line(mut to: impl Write, text: &str) -> io::Result<()> {
    let written = to.write_all(text.trim_end_matches('\n').as_bytes());
    match written.and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    pub(crate) fn good(self, text: impl AsRef<str>) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn bad(self, text: impl AsRef<str>) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    pub(crate) fn busy(self, text: impl AsRef<str>) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn link(self, text: impl AsRef<str>) -> String {
        self.with(AnsiColor::Cyan.on_default(), text)
    }

    pub(crate) fn bold(self, text: impl AsRef<str>) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: impl AsRef<str>) -> String {
        self.with(Style::new().dimmed(), text)
    }

    fn with(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }
}

/// Lays rows out in columns, two spaces apart. `paint` colours a cell, given its row and column
/// (row 0 is the head) and its text.
pub(crate) fn table(
    head: &[&str],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for (r, row) in all.iter().enumerate() {
        let mut gap = 0;
        for (c, cell) in row.iter().enumerate() {
            // The gap before a cell is written with the cell: no blanks at the end of a line.
            text.push_str(&" ".repeat(if cell.is_empty() { 0 } else { gap }));
            text.push_str(&paint(r, c, cell));
            gap = if cell.is_empty() { gap } else { 0 };
            gap += widths[c] - cell.chars().count() + 2;
        }
        text.push('\n');
    }
    text
}

/// A duration in the unit that suits it, in at most six columns: `84 ms`, `4.2 s`, `12m 03s`.
pub(crate) fn duration(nanos: u64) -> String {
    let millis = nanos as f64 / 1e6;
    match millis {
        _ if millis < 1.0 => format!("{:.0} µs", millis * 1e3),
        _ if millis < 1e3 => format!("{millis:.0} ms"),
        _ if millis < 99_950.0 => format!("{:.1} s", millis / 1e3),
        _ => {
            let seconds = nanos / 1_000_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
                (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
            }
        }
    }
}

/// At most `width` characters, with an ellipsis where something was left out.
pub(crate) fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Breaks a text between words into lines of at most `width` characters.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let used = lines[last].chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            lines[last].push_str(if used > 0 { " " } else { "" });
            lines[last].push_str(word);
        }
    }
    lines
}

/// A text in lines, of which the first begins with `first` and the others with `rest`.
pub(crate) fn indented(text: &str, first: &str, rest: &str, width: usize) -> Vec<String> {
    let wrapped = wrap(text, width.saturating_sub(rest.chars().count()).max(20));
    let begin = |at: usize| if at == 0 { first } else { rest };
    wrapped.iter().enumerate().map(|(at, line)| format!("{}{line}", begin(at))).collect()
}

/// `a, b, b` as `a, b ×2`.
pub(crate) fn counted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let said = counts.iter().map(|(name, count)| match count {
        1 => (*name).to_owned(),
        _ => format!("{name} ×{count}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let rows = [vec!["idg".into(), String::new(), "1".into()], vec!["umbrella".into()]];
        let text = table(&["NAME", "STATE", "GEN"], &rows, |_, _, cell| cell.to_owned());
        assert_eq!(text, "NAME      STATE  GEN\nidg              1\numbrella\n");
    }

    #[test]
    fn durations_take_the_unit_that_suits_them() {
        let said = [900, 84_400_000, 4_249_000_000, 99_960_000_000, 723_000_000_000];
        assert_eq!(said.map(duration), ["1 µs", "84 ms", "4.2 s", "1m 39s", "12m 03s"]);
        assert_eq!(duration(7_260_000_000_000), "2h 01m");
    }

    #[test]
    fn paint_that_is_off_leaves_the_text_alone() {
        assert_eq!(Paint(false).bad("no"), "no");
        assert_ne!(Paint(true).bad("no"), "no");
    }

    #[test]
    fn lines_break_between_words_and_a_long_word_stands_alone() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a bbbbbbbbb c", 4), ["a", "bbbbbbbbb", "c"]);
    }

    #[test]
    fn a_text_too_long_ends_in_an_ellipsis() {
        assert_eq!((truncate("abcdef", 4), truncate("äöü", 3)), ("abc…".into(), "äöü".into()));
    }
}
