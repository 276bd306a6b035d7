//! The matrix as a table, its totals, and every answer that was not right.
//!
//! Not here: what is right (`judge.rs`). The surprise: a cell holds one mark for each occurrence, in
//! the order first, later, every, so that one table holds what would be three.

use std::{collections::BTreeMap, fmt::Write as _, io};

use super::{
    judge::{Judged, Verdict},
    plan::{Cell, Column, Occurrence},
    trial::Later,
    usual::Call,
};
use crate::measure::Times;

/// A cell and what came of it.
#[derive(Debug, serde::Serialize)]
pub struct Row {
    /// The injected call.
    pub operation: String,
    /// Only its uses with this parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The fault.
    pub fault: Column,
    /// Which of the calls.
    pub occurrence: Occurrence,
    /// What came of it.
    #[serde(flatten)]
    pub judged: Judged,
}

impl Row {
    /// What came of a cell.
    pub fn new(cell: &Cell, judged: Judged) -> Self {
        Self {
            operation: cell.call.operation.clone(),
            parameter: cell.call.parameter.clone(),
            fault: cell.column,
            occurrence: cell.occurrence,
            judged,
        }
    }

    fn named(&self) -> String {
        named(&self.operation, self.parameter.as_deref())
    }
}

/// All that was found out.
#[derive(Debug)]
pub struct Report<'a> {
    /// The cells.
    pub rows: &'a [Row],
    /// Good runs, made after those that were learnt from.
    pub good: &'a [Judged],
    /// How many were learnt from.
    pub learnt: usize,
    /// The command that gives it.
    pub command: &'a str,
    /// The rows' calls, in their order.
    pub calls: &'a [Call],
}

/// How many of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Cells in which a call was hit.
    pub hit: usize,
    /// Of them, runs that converged without help.
    pub converged: usize,
    /// Of them, runs that failed.
    pub failed: usize,
    /// Of those, first cause right.
    pub first: usize,
    /// Right among the rest.
    pub among: usize,
    /// Something else named.
    pub wrong: usize,
    /// Nothing named.
    pub unexplained: usize,
    /// Said to have converged, and did not make what good runs make.
    pub other_world: usize,
    /// Runs that failed, whose cluster converged in a later one without help.
    pub mended: usize,
    /// Runs that did not end.
    pub hung: usize,
    /// Runs that converged in spite of a fault, of which a cause is told that is not the fault.
    pub misled: usize,
}

impl Totals {
    /// Counts cells.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut totals = Self::default();
        for Row { operation, judged, .. } in rows {
            totals.hit += usize::from(judged.verdict != Verdict::NotHit);
            totals.failed += usize::from(judged.verdict.is_failure());
            match judged.verdict {
                Verdict::NotHit => {}
                Verdict::Converged => totals.converged += 1,
                Verdict::First => totals.first += 1,
                Verdict::Among => totals.among += 1,
                Verdict::Wrong => totals.wrong += 1,
                Verdict::Unexplained => totals.unexplained += 1,
                Verdict::OtherWorld => totals.other_world += 1,
            }
            totals.mended += usize::from(matches!(judged.later, Later::Converged { .. }));
            totals.hung += usize::from(!judged.state.is_final());
            let misled = judged.verdict == Verdict::Converged
                && judged.cause().is_some_and(|cause| !super::judge::is_of(cause, operation));
            totals.misled += usize::from(misled);
        }
        totals
    }

    /// The share of failed runs whose first cause is right, in percent.
    pub fn right(&self) -> f64 {
        if self.failed == 0 { 100.0 } else { 100.0 * self.first as f64 / self.failed as f64 }
    }
}

/// Good runs of which a cause was told.
pub fn false_alarms(good: &[Judged]) -> impl Iterator<Item = &Judged> {
    good.iter().filter(|judged| judged.cause().is_some())
}

impl Report<'_> {
    /// The report as Markdown, which also reads well on a terminal.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let totals = Totals::of(self.rows);
        writeln!(out, "# The fault matrix\n")?;
        writeln!(
            out,
            "Each call that the creation of a cluster makes (three nodes, Grafana) × each fault of \
             the sandbox: did the run\nconverge without help, or does `why` name the injected call \
             first? Made by\n\n```\n{}\n```\n",
            self.command
        )?;
        writeln!(
            out,
            "Each cell is a creation on a server and a sandbox of its own, which start from the same \
             {} good runs. A cell has\nup to three marks: the fault happens to the **first** such \
             call, to a **later** one (of three or more: the one in\nthe middle), to **every** one.\n",
            self.learnt
        )?;
        out.push_str(LEGEND);
        self.write_totals(out, &totals)?;
        self.write_table(out)?;
        self.write_wrong(out)
    }

    fn write_totals(&self, out: &mut String, totals: &Totals) -> std::fmt::Result {
        let alarms = false_alarms(self.good).count();
        let converged = |j: &&Judged| j.verdict == Verdict::Converged;
        let good = self.good.iter().filter(converged).count();
        let mut times = Times::default();
        let asked = self.rows.iter().map(|row| &row.judged).chain(self.good);
        for judged in asked.filter(|judged| judged.why.is_some()) {
            times.add(std::time::Duration::from_secs_f64(judged.why_ms / 1e3));
        }
        writeln!(out, "## Totals\n")?;
        writeln!(out, "| | | aim |\n| --- | --- | --- |")?;
        writeln!(
            out,
            "| cells in which a call was hit | {} of {} | |",
            totals.hit,
            self.rows.len()
        )?;
        writeln!(out, "| ✓ runs that converged without help | {} | |", totals.converged)?;
        writeln!(out, "| runs that failed | {} | |", totals.failed)?;
        let Totals { first, failed, .. } = totals;
        writeln!(
            out,
            "| ● of them, first cause right | **{first} of {failed}: {:.1} %** | 98 % |",
            totals.right()
        )?;
        writeln!(out, "| ○ right among the rest | {} | |", totals.among)?;
        writeln!(out, "| ✗ something else named | {} | |", totals.wrong)?;
        writeln!(out, "| ? unexplained | {} | 0 |", totals.unexplained)?;
        writeln!(out, "| ! converged, but with other things made | {} | |", totals.other_world)?;
        writeln!(
            out,
            "| failed runs whose cluster converged in a later run | {} | |",
            totals.mended
        )?;
        writeln!(out, "| runs that hung | {} | 0 |", totals.hung)?;
        writeln!(
            out,
            "| converged in spite of the fault, and a cause told that is not it | {} | |",
            totals.misled
        )?;
        writeln!(
            out,
            "| **good runs without fault, with a cause told** | **{alarms} of {good}** | 0 of 200 |"
        )?;
        writeln!(out, "| time to answer `why`, nothing read before | {} | |\n", times.summary())
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let mut cells: BTreeMap<(String, Column), BTreeMap<Occurrence, char>> = BTreeMap::new();
        for row in self.rows {
            let cell = cells.entry((row.named(), row.fault)).or_default();
            cell.insert(row.occurrence, row.judged.verdict.mark());
        }
        let columns: Vec<Column> =
            Column::ALL.into_iter().filter(|c| cells.keys().any(|(_, k)| k == c)).collect();
        writeln!(out, "## Matrix\n")?;
        write!(out, "| call |")?;
        for column in &columns {
            write!(out, " {} |", column.title())?;
        }
        writeln!(out, "\n| --- |{}", " --- |".repeat(columns.len()))?;
        for call in self.calls {
            let name = named(&call.operation, call.parameter.as_deref());
            if !cells.keys().any(|(row, _)| *row == name) {
                continue;
            }
            write!(out, "| {name} |")?;
            for column in &columns {
                let marks = cells.get(&(name.clone(), *column));
                let marks: String = marks.into_iter().flat_map(|cell| cell.values()).collect();
                write!(out, " {marks} |")?;
            }
            writeln!(out)?;
        }
        writeln!(out)
    }

    fn write_wrong(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "## What was not right\n")?;
        let mut none = true;
        for row in self.rows {
            let judged = &row.judged;
            let hung = !judged.state.is_final();
            if matches!(judged.verdict, Verdict::NotHit | Verdict::Converged | Verdict::First)
                && !hung
            {
                continue;
            }
            none = false;
            let (mark, fault) = (judged.verdict.mark(), row.fault.title());
            let occurrence = match row.occurrence {
                Occurrence::First => "first",
                Occurrence::Later => "later",
                Occurrence::Every => "every",
            };
            write!(out, "- {mark} {}, {fault}, {occurrence}: {}", row.named(), judged.state)?;
            match (&judged.why, &judged.refused, &judged.made) {
                (_, _, Some(made)) => writeln!(out, ", with {made:?}")?,
                (Some(why), _, _) => writeln!(out, ". Told: {}", line(&why.sentence))?,
                (None, Some(refused), _) => writeln!(out, ". Not told: {}", line(refused))?,
                (None, None, _) => writeln!(out)?,
            }
            if let Some(error) = &judged.error {
                writeln!(out, "  The run's error: {}", line(error))?;
            }
        }
        for judged in self.good.iter().filter(|judged| judged.verdict != Verdict::Converged) {
            none = false;
            let error = line(judged.error.as_deref().unwrap_or_default());
            writeln!(out, "- a run without fault: {}. {error}", judged.state)?;
        }
        for judged in false_alarms(self.good) {
            none = false;
            let sentence = judged.why.as_ref().map_or("", |why| &why.sentence);
            writeln!(out, "- a good run, of which a cause was told: {}", line(sentence))?;
        }
        if none {
            writeln!(out, "Nothing.")?;
        }
        Ok(())
    }
}

const LEGEND: &str = "\
| mark | |
| --- | --- |
| ✓ | the run converged without help, and made what good runs make |
| ● | it failed, and the first cause is the injected call, or names it in its first piece of evidence as where it comes from |
| ○ | it failed, and the injected call is among the other causes or the consequences |
| ✗ | it failed, and something else is named |
| ? | it failed, and no cause is named |
| ! | it says that it converged, and did not make what good runs make |
| · | no call was hit |

";

fn named(operation: &str, parameter: Option<&str>) -> String {
    match parameter {
        Some(parameter) => format!("{operation} by {parameter}"),
        None => operation.to_owned(),
    }
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes cells as lines of JSON.
///
/// # Errors
/// If they cannot be written.
pub fn json(rows: &[Row], good: &[Judged], mut out: impl io::Write) -> io::Result<()> {
    for row in rows {
        writeln!(out, "{}", serde_json::to_string(row)?)?;
    }
    for judged in good {
        writeln!(out, "{}", serde_json::to_string(judged)?)?;
    }
    out.flush()
}
