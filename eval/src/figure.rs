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

/// Figures as an aligned table for a terminal; protocols, which are long and few, follow as numbered notes.
pub fn figures_table(figures: &[Figure]) -> String {
    let mut protocols: Vec<&str> = Vec::new();
    let mut rows = vec![["figure", "value", "unit", "over", "note"].map(str::to_owned)];
    for figure in figures {
        let note =
            note_number(&mut protocols, &figure.protocol).map_or_else(String::new, |n| format!("[{n}]"));
        rows.push([figure.name.clone(), figure.value_text(), figure.unit.clone(), figure.count_text(), note]);
    }
    let table = text_table(&rows, &[Side::Left, Side::Right, Side::Left, Side::Right, Side::Left]);
    let notes = protocols.iter().enumerate().map(|(index, protocol)| format!("[{}] {protocol}\n", index + 1));
    table + &notes.collect::<String>()
}

/// The number of a protocol among those seen, from 1; none for an empty one.
fn note_number<'a>(protocols: &mut Vec<&'a str>, protocol: &'a str) -> Option<usize> {
    if protocol.is_empty() {
        return None;
    }
    let index = protocols.iter().position(|known| *known == protocol).unwrap_or_else(|| {
        protocols.push(protocol);
        protocols.len() - 1
    });
    Some(index + 1)
}

/// Where the text of a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows, the first one a header, as columns of equal width; each row ends with a newline.
pub(crate) fn text_table(rows: &[impl AsRef<[String]>], sides: &[Side]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row.as_ref()[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.as_ref().iter().zip(&widths).zip(sides).map(|((cell, &width), side)| match side {
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
            Figure::new("median", 9.1, "m").protocol("Sim(3)").count(1591, "frames"),
            Figure::new("drift", None, "%").protocol("no segment of 100 m").count(0, "segments"),
        ];
        let table = figures_table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "figure  value  unit         over  note");
        assert_eq!(lines[2], "ATE     10.73  m     1591 frames  [1]");
        assert_eq!(lines[3], "median  9.100  m     1591 frames  [1]");
        assert_eq!(lines[4], "drift       –  %      0 segments  [2]");
        assert_eq!(lines[5..], ["[1] Sim(3)", "[2] no segment of 100 m"]);
    }

    #[test]
    fn json_keeps_every_field() {
        let figure = Figure::new("ATE", None, "m").protocol("none").count(3, "frames");
        let json = serde_json::to_string(&figure).unwrap();
        assert!(json.contains(r#""value":null"#), "{json}");
        assert_eq!(serde_json::from_str::<Figure>(&json).unwrap(), figure);
    }
}
