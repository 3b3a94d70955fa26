//! How targets were followed: tables and plots.

use super::chart::{Chart, Ink, Marks, Series};
use super::html::{Cell, escape, table};
use crate::Figure;
use crate::figure::significant;
use crate::tracking::{MultiObjectReport, OnePassSuite, VotReport, multi_object_rows, vot_rows};

/// What a page shows about trackers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracking {
    pub suites: Vec<OnePassSuite>,
    pub votes: Vec<(String, VotReport)>,
    pub multi_object: Vec<(String, MultiObjectReport)>,
}

impl Tracking {
    /// Success and precision over their thresholds, and the overlap to expect over sequences of a length.
    pub fn charts(&self) -> Vec<Chart> {
        let plot = |title: &str, x: &str, y: &str, series: Vec<Series>| Chart {
            title: title.to_owned(),
            x_label: x.to_owned(),
            y_label: y.to_owned(),
            series,
            marks: Marks::Line,
            equal_axes: false,
            from_zero: true,
        };
        let of_suites = |curve: fn(&OnePassSuite) -> Vec<(f64, f64)>, score: fn(&OnePassSuite) -> f64| {
            let named =
                self.suites.iter().map(|suite| (labelled(&suite.tracker, score(suite)), curve(suite)));
            inked(named)
        };
        let expected = self.votes.iter().map(|(name, report)| {
            let points = report.expected_overlap.iter().map(|(frames, overlap)| (*frames as f64, *overlap));
            (report.eao.map_or_else(|| name.clone(), |eao| labelled(name, eao)), points.collect())
        });
        vec![
            plot(
                "Success: frames whose overlap is above the threshold",
                "overlap threshold",
                "share of frames",
                of_suites(OnePassSuite::success, |suite| suite.auc),
            ),
            plot(
                "Precision: frames whose centre is at most so far off",
                "centre error [px]",
                "share of frames",
                of_suites(OnePassSuite::precision, |suite| suite.precision_20px),
            ),
            plot("Expected overlap", "length of the sequence [frames]", "overlap", inked(expected)),
        ]
    }

    /// Trackers, their sequences and attributes.
    pub fn tables(&self) -> String {
        let sides_of_suites = [Cell::Text, Cell::Number, Cell::Number, Cell::Number, Cell::Count];
        let sides_of_vot = [Cell::Text, Cell::Number, Cell::Number, Cell::Number, Cell::Count];
        let number = Cell::Number;
        let sides_of_mot = [Cell::Text, number, number, number, Cell::Count, Cell::Count, Cell::Count];
        let trackers = [
            of_trackers(&OnePassSuite::table(&self.suites), &sides_of_suites),
            of_trackers(&vot_rows(&self.votes), &sides_of_vot),
            of_trackers(&multi_object_rows(&self.multi_object), &sides_of_mot),
        ];
        let suites = self.suites.iter().map(suite_tables);
        let votes = self.votes.iter().map(|(name, report)| vot_tables(name, report));
        trackers.into_iter().chain(suites).chain(votes).collect()
    }

    /// Figures of the only tracker, for the head of the page.
    pub fn figures(&self) -> Vec<Figure> {
        match (self.suites.as_slice(), self.votes.as_slice(), self.multi_object.as_slice()) {
            ([suite], [], []) => suite.figures(),
            ([], [(_, report)], []) => report.figures(),
            ([], [], [(_, report)]) => report.figures(),
            _ => Vec::new(),
        }
    }

    /// What was left out or repaired.
    pub fn notes(&self) -> Vec<String> {
        let of_suite = |suite: &OnePassSuite| {
            let sequences = suite.sequences.iter().flat_map(|sequence| {
                let notes = sequence.report.notes().into_iter();
                notes.map(|note| format!("{}, {}: {note}", suite.tracker, sequence.name)).collect::<Vec<_>>()
            });
            sequences.collect::<Vec<_>>()
        };
        self.suites.iter().flat_map(of_suite).collect()
    }
}

/// The name with the score that the plot stands for, as the benchmarks' own plots have it.
fn labelled(name: &str, score: f64) -> String {
    format!("{name} [{}]", significant(score))
}

fn inked(named: impl Iterator<Item = (String, Vec<(f64, f64)>)>) -> Vec<Series> {
    named.zip(0..).map(|((name, points), index)| Series { name, points, ink: Ink::Run(index) }).collect()
}

/// A name, two scores and a count.
const SCORES: [Cell; 4] = [Cell::Text, Cell::Number, Cell::Number, Cell::Count];

fn scores(rows: &[[String; 4]]) -> String {
    of_trackers(rows, &SCORES)
}

/// The table; nothing where it has a header only.
fn of_trackers<const N: usize>(rows: &[[String; N]], columns: &[Cell; N]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    if rows.len() > 1 { table(&rows, columns) } else { String::new() }
}

fn suite_tables(suite: &OnePassSuite) -> String {
    let [sequences, attributes] = suite.tables();
    // The row of all is that of the table of trackers.
    let has_parts = suite.sequences.len() > 1;
    let heading = format!("<h3>{}</h3>\n", escape(&suite.tracker));
    if has_parts { heading + &scores(&sequences) + &scores(&attributes) } else { String::new() }
}

fn vot_tables(name: &str, report: &VotReport) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), significant);
    let header = |first: &str| [first, "accuracy", "failures", "frames"].map(str::to_owned);
    let sequences = report
        .sequences
        .iter()
        .map(|of| [of.name.clone(), number(of.accuracy), significant(of.failures), of.frames.to_string()]);
    let attributes = report.attributes.iter().map(|of| {
        [of.attribute.clone(), number(of.accuracy), significant(of.failures), of.frames.to_string()]
    });
    let attributes: Vec<_> = std::iter::once(header("attribute")).chain(attributes).collect();
    let sequences: Vec<_> = std::iter::once(header("sequence")).chain(sequences).collect();
    format!("<h3>{}</h3>\n{}{}", escape(name), scores(&attributes), scores(&sequences))
}
