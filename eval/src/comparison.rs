//! Several runs against one ground truth.

use std::fmt;

use serde::Serialize;

use crate::OdometryReport;
use crate::figure::{Side, significant, text_table};

/// One run of a comparison. A run that failed has a name and a remark.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Name of the run.
    pub name: String,
    /// Drift, percent.
    pub t_err_percent: Option<f64>,
    /// Drift, degrees per 100 m.
    pub r_err_deg_per_100m: Option<f64>,
    /// Absolute trajectory error, metres.
    pub ate_rmse_m: Option<f64>,
    /// Frames measured.
    pub frames: usize,
    /// Frames that the run was given, where that is known.
    pub frames_given: Option<usize>,
    /// Computing time per frame, milliseconds, where it was measured.
    pub cpu_ms: Option<f64>,
    /// The same with the reading of images and all else that the process did.
    pub whole_cpu_ms: Option<f64>,
    /// How the row was aligned; rows aligned in different ways do not compare.
    pub alignment: Option<String>,
    /// What ran.
    pub version: Option<String>,
    /// Why there are no figures, or what to know about them.
    pub remark: Option<String>,
}

impl ComparisonRow {
    /// The figures of a run.
    pub fn measured(name: impl Into<String>, report: &OdometryReport) -> Self {
        Self {
            name: name.into(),
            t_err_percent: report.t_err_percent,
            r_err_deg_per_100m: report.r_err_deg_per_100m,
            ate_rmse_m: Some(report.ate_rmse_m),
            frames: report.frames,
            alignment: Some(report.alignment.to_string()),
            ..Self::default()
        }
    }

    /// A run without figures, and why.
    pub fn failed(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), remark: Some(why.into()), ..Self::default() }
    }

    fn frames_text(&self) -> Option<String> {
        match self.frames_given {
            Some(given) => Some(format!("{}/{given}", self.frames)),
            None => (self.frames > 0).then(|| self.frames.to_string()),
        }
    }
}

/// A table of runs in the order they were added.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The runs.
    pub rows: Vec<ComparisonRow>,
}

struct Column {
    header: &'static str,
    side: Side,
    cell: fn(&ComparisonRow) -> Option<String>,
}

const fn numbers(header: &'static str, cell: fn(&ComparisonRow) -> Option<String>) -> Column {
    Column { header, side: Side::Right, cell }
}

const fn text(header: &'static str, cell: fn(&ComparisonRow) -> Option<String>) -> Column {
    Column { header, side: Side::Left, cell }
}

const COLUMNS: [Column; 10] = [
    text("run", |row| Some(row.name.clone())),
    numbers("t_err %", |row| row.t_err_percent.map(significant)),
    numbers("r_err deg/100 m", |row| row.r_err_deg_per_100m.map(significant)),
    numbers("ATE m", |row| row.ate_rmse_m.map(significant)),
    numbers("frames", ComparisonRow::frames_text),
    numbers("cpu ms", |row| row.cpu_ms.map(significant)),
    numbers("whole cpu ms", |row| row.whole_cpu_ms.map(significant)),
    text("align", |row| row.alignment.clone()),
    text("version", |row| row.version.clone()),
    text("remark", |row| row.remark.clone()),
];

impl Comparison {
    /// No runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a run, with its computing time per frame where that was measured.
    #[must_use]
    pub fn run(self, name: impl Into<String>, report: &OdometryReport, cpu_ms: Option<f64>) -> Self {
        self.row(ComparisonRow { cpu_ms, ..ComparisonRow::measured(name, report) })
    }

    /// Adds a row.
    #[must_use]
    pub fn row(mut self, row: ComparisonRow) -> Self {
        self.rows.push(row);
        self
    }

    /// Header and rows as text, and on which side of its column each text stands. Columns in which no run has anything to
    /// say are left out.
    pub(crate) fn cells(&self) -> (Vec<Vec<String>>, Vec<Side>) {
        let says = |column: &&Column| self.rows.iter().any(|row| (column.cell)(row).is_some());
        let columns: Vec<&Column> = COLUMNS.iter().filter(says).collect();
        let cell = |row: &ComparisonRow, column: &Column| match (column.cell)(row) {
            Some(text) => text,
            None if column.side == Side::Right => "–".to_owned(),
            None => String::new(),
        };
        let header = columns.iter().map(|column| column.header.to_owned()).collect();
        let row = |row: &ComparisonRow| columns.iter().map(|column| cell(row, column)).collect();
        let rows = std::iter::once(header).chain(self.rows.iter().map(row)).collect();
        (rows, columns.iter().map(|column| column.side).collect())
    }
}

/// An aligned table for a terminal.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, sides) = self.cells();
        f.write_str(&text_table(&rows, &sides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, t_err_percent: Option<f64>, cpu_ms: Option<f64>) -> ComparisonRow {
        ComparisonRow {
            name: name.to_owned(),
            t_err_percent,
            r_err_deg_per_100m: Some(0.2877),
            ate_rmse_m: Some(10.7295),
            frames: 1591,
            cpu_ms,
            alignment: Some("sim3".to_owned()),
            ..ComparisonRow::default()
        }
    }

    #[test]
    fn rows_line_up_and_missing_values_are_dashes() {
        let comparison =
            Comparison { rows: vec![row("kestrel", Some(2.5275), Some(11.42)), row("other", None, None)] };
        let text = comparison.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "run      t_err %  r_err deg/100 m  ATE m  frames  cpu ms  align");
        assert_eq!(lines[2], "kestrel    2.527           0.2877  10.73    1591   11.42  sim3");
        assert_eq!(lines[3], "other          –           0.2877  10.73    1591       –  sim3");
    }

    #[test]
    fn a_failed_run_is_a_row_that_says_why() {
        let given = ComparisonRow { frames_given: Some(1600), ..row("kestrel", Some(2.5275), None) };
        let comparison = Comparison::new().row(given).row(ComparisonRow::failed("other", "not installed"));
        let text = comparison.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "run      t_err %  r_err deg/100 m  ATE m     frames  align  remark");
        assert_eq!(lines[2], "kestrel    2.527           0.2877  10.73  1591/1600  sim3");
        assert_eq!(lines[3], "other          –                –      –          –         not installed");
    }
}
