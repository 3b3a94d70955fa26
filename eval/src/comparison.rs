//! Several runs against one ground truth.

use std::fmt;

use serde::Serialize;

use crate::OdometryReport;
use crate::figure::{Side, significant, text_table};

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Name of the run.
    pub name: String,
    /// Drift, percent.
    pub t_err_percent: Option<f64>,
    /// Drift, degrees per 100 m.
    pub r_err_deg_per_100m: Option<f64>,
    /// Absolute trajectory error, metres.
    pub ate_rmse_m: f64,
    /// Frames measured.
    pub frames: usize,
    /// Computing time per frame, milliseconds, where it was measured.
    pub cpu_ms: Option<f64>,
    /// How the row was aligned; rows aligned in different ways do not compare.
    pub alignment: String,
}

/// A table of runs in the order they were added.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The runs.
    pub rows: Vec<ComparisonRow>,
}

impl Comparison {
    /// No runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a run, with its computing time per frame where that was measured.
    #[must_use]
    pub fn run(mut self, name: impl Into<String>, report: &OdometryReport, cpu_ms: Option<f64>) -> Self {
        self.rows.push(ComparisonRow {
            name: name.into(),
            t_err_percent: report.t_err_percent,
            r_err_deg_per_100m: report.r_err_deg_per_100m,
            ate_rmse_m: report.ate_rmse_m,
            frames: report.frames,
            cpu_ms,
            alignment: report.alignment.to_string(),
        });
        self
    }

    /// Header and rows as text, each row as long as the header.
    pub(crate) fn cells(&self) -> Vec<[String; COLUMNS]> {
        let header =
            ["run", "t_err %", "r_err deg/100 m", "ATE m", "frames", "cpu ms", "align"].map(str::to_owned);
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), significant);
        let row = |row: &ComparisonRow| {
            [
                row.name.clone(),
                number(row.t_err_percent),
                number(row.r_err_deg_per_100m),
                significant(row.ate_rmse_m),
                row.frames.to_string(),
                number(row.cpu_ms),
                row.alignment.clone(),
            ]
        };
        std::iter::once(header).chain(self.rows.iter().map(row)).collect()
    }
}

pub(crate) const COLUMNS: usize = 7;

/// An aligned table for a terminal.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sides = [Side::Right; COLUMNS];
        (sides[0], sides[COLUMNS - 1]) = (Side::Left, Side::Left);
        f.write_str(&text_table(&self.cells(), &sides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up_and_missing_values_are_dashes() {
        let row = |name: &str, t_err_percent, cpu_ms| ComparisonRow {
            name: name.to_owned(),
            t_err_percent,
            r_err_deg_per_100m: Some(0.2877),
            ate_rmse_m: 10.7295,
            frames: 1591,
            cpu_ms,
            alignment: "sim3".to_owned(),
        };
        let comparison =
            Comparison { rows: vec![row("kestrel", Some(2.5275), Some(11.42)), row("other", None, None)] };
        let text = comparison.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "run      t_err %  r_err deg/100 m  ATE m  frames  cpu ms  align");
        assert_eq!(lines[2], "kestrel    2.527           0.2877  10.73    1591   11.42  sim3");
        assert_eq!(lines[3], "other          –           0.2877  10.73    1591       –  sim3");
    }
}
