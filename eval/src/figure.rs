//! A number that says what it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One measured number with all that is needed to compare it with another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The number; `None` where it could not be measured, and then the protocol says why.
    pub value: Option<f64>,
    /// Unit of the value.
    pub unit: String,
    /// How it was measured: alignment, scale, segments, statistic.
    pub protocol: String,
    /// How many things it was measured over.
    pub count: usize,
    /// What those things are: frames, segments, snippets.
    pub counted: String,
}

impl Figure {
    /// A figure without protocol and count yet.
    pub fn new(name: impl Into<String>, value: impl Into<Option<f64>>, unit: impl Into<String>) -> Self {
        let (name, unit) = (name.into(), unit.into());
        Self { name, value: value.into(), unit, protocol: String::new(), count: 0, counted: String::new() }
    }

    /// The same figure, measured this way.
    #[must_use]
    pub fn protocol(self, protocol: impl Into<String>) -> Self {
        Self { protocol: protocol.into(), ..self }
    }

    /// The same figure, measured over `count` of `counted` ("frames").
    #[must_use]
    pub fn count(self, count: usize, counted: impl Into<String>) -> Self {
        Self { count, counted: counted.into(), ..self }
    }

    /// The value with about four digits that mean something, or a dash.
    pub fn value_text(&self) -> String {
        self.value.filter(|v| v.is_finite()).map_or_else(|| "–".to_owned(), significant)
    }

    /// The count with its noun, or nothing where nothing was counted.
    pub fn count_text(&self) -> String {
        if self.counted.is_empty() { String::new() } else { format!("{} {}", self.count, self.counted) }
    }
}

/// `name: value unit (count; protocol)` on one line.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {} ({}; {})",
            self.name,
            self.value_text(),
            self.unit,
            self.count_text(),
            self.protocol
        )
    }
}

/// Figures as an aligned table for a terminal, each with its count and protocol.
pub fn figures_table(figures: &[Figure]) -> String {
    let header = ["figure", "value", "unit", "over", "protocol"].map(str::to_owned);
    let row =
        |f: &Figure| [f.name.clone(), f.value_text(), f.unit.clone(), f.count_text(), f.protocol.clone()];
    let rows: Vec<_> = std::iter::once(header).chain(figures.iter().map(row)).collect();
    text_table(&rows, &[Side::Left, Side::Right, Side::Left, Side::Right, Side::Left])
}

/// Where the text of a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows, the first one a header, as columns of equal width; each row ends with a newline.
pub(crate) fn text_table<const N: usize>(rows: &[[String; N]], sides: &[Side; N]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).zip(sides).map(|((cell, &width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
            text.push_str(&rule.join("  "));
            text.push('\n');
        }
    }
    text
}

/// Four significant digits, no exponent where it can be avoided.
pub(crate) fn significant(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e7 || (magnitude > 0.0 && magnitude < 1e-5) {
        return format!("{value:.3e}");
    }
    let decimals =
        if magnitude > 0.0 { (3.0 - magnitude.log10().floor()).clamp(0.0, 8.0) as usize } else { 0 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_that_mean_something() {
        let texts = [2.606_842, 0.287_712, 1591.0, 16_384.4, 0.000_021_7, 0.0, -17.9187].map(significant);
        assert_eq!(texts, ["2.607", "0.2877", "1591", "16384", "0.00002170", "0", "-17.92"]);
    }

    #[test]
    fn a_table_lines_up_and_shows_what_is_missing() {
        let figures = [
            Figure::new("ATE", 10.7295, "m").protocol("Sim(3)").count(1591, "frames"),
            Figure::new("drift", None, "%").protocol("no segment of 100 m").count(0, "segments"),
        ];
        let table = figures_table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "figure  value  unit         over  protocol");
        assert_eq!(lines[2], "ATE     10.73  m     1591 frames  Sim(3)");
        assert_eq!(lines[3], "drift       –  %      0 segments  no segment of 100 m");
    }

    #[test]
    fn json_keeps_every_field() {
        let figure = Figure::new("ATE", None, "m").protocol("none").count(3, "frames");
        let json = serde_json::to_string(&figure).unwrap();
        assert!(json.contains(r#""value":null"#), "{json}");
        assert_eq!(serde_json::from_str::<Figure>(&json).unwrap(), figure);
    }
}
