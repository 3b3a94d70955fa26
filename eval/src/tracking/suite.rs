//! One tracker over several sequences.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::OnePassReport;
use super::one_pass::mean;
use crate::figure::{Side, significant, text_table};
use crate::{EvalError, Figure};

/// One sequence of a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SequenceReport {
    /// Its name.
    pub name: String,
    /// What makes it hard, as the benchmark abbreviates it: `SV` for scale variation, `OCC` for occlusion.
    pub attributes: Vec<String>,
    /// Its figures.
    #[serde(flatten)]
    pub report: OnePassReport,
}

/// The sequences that share an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttributeScore {
    /// The attribute.
    pub attribute: String,
    /// Number of sequences that have it.
    pub sequences: usize,
    /// Mean of their success AUCs.
    pub auc: f64,
    /// Mean of their precisions at 20 px.
    pub precision_20px: f64,
}

/// How well one tracker followed the targets of several sequences; every sequence weighs the same. As JSON, the fields are
/// the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnePassSuite {
    /// Name of the tracker.
    pub tracker: String,
    /// Mean of the sequences' success AUCs.
    pub auc: f64,
    /// Mean of the sequences' precisions at 20 px.
    pub precision_20px: f64,
    /// CPU time per frame, milliseconds, where that is known.
    pub cpu_ms_per_frame: Option<f64>,
    /// Frames that were measured, over all sequences.
    pub frames: usize,
    /// Each sequence.
    pub sequences: Vec<SequenceReport>,
    /// Each attribute that a sequence has, by name.
    pub attributes: Vec<AttributeScore>,
}

impl OnePassSuite {
    /// Takes the means over sequences.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where there are none.
    pub fn new(tracker: impl Into<String>, sequences: Vec<SequenceReport>) -> Result<Self, EvalError> {
        if sequences.is_empty() {
            return Err(EvalError::Protocol { expected: "at least one sequence", found: "none".to_owned() });
        }
        let reports: Vec<&OnePassReport> = sequences.iter().map(|sequence| &sequence.report).collect();
        Ok(Self {
            tracker: tracker.into(),
            auc: mean_of(&reports, |report| report.auc),
            precision_20px: mean_of(&reports, |report| report.precision_20px),
            cpu_ms_per_frame: None,
            frames: reports.iter().map(|report| report.frames).sum(),
            attributes: by_attribute(&sequences),
            sequences,
        })
    }

    /// The success plot: each threshold with the mean of the sequences' shares of frames above it.
    pub fn success(&self) -> Vec<(f64, f64)> {
        self.mean_curve(|report| &report.success)
    }

    /// The precision plot, as [`success`](Self::success).
    pub fn precision(&self) -> Vec<(f64, f64)> {
        self.mean_curve(|report| &report.precision)
    }

    fn mean_curve(&self, curve: impl Fn(&OnePassReport) -> &[(f64, f64)]) -> Vec<(f64, f64)> {
        let curves: Vec<_> = self.sequences.iter().map(|sequence| curve(&sequence.report)).collect();
        let thresholds = curves.first().copied().unwrap_or_default().iter().map(|point| point.0);
        let share = |index: usize| mean(curves.iter().map(|curve| curve[index].1));
        thresholds.enumerate().map(|(index, threshold)| (threshold, share(index))).collect()
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        if let [sequence] = self.sequences.as_slice() {
            return sequence.report.figures();
        }
        let over = format!("sequences, {} frames", self.frames);
        let figure = |name: &str, value: f64| {
            let protocol = format!("mean over sequences; {}", OnePassReport::PROTOCOL);
            Figure::new(name, value, "1").protocol(protocol).count(self.sequences.len(), over.as_str())
        };
        vec![
            figure("success AUC, 21 thresholds", self.auc),
            figure("precision at 20 px", self.precision_20px),
        ]
    }

    /// The same with the computing time that the tracker left.
    #[must_use]
    pub fn with_cpu_ms(self, cpu_ms_per_frame: Option<f64>) -> Self {
        Self { cpu_ms_per_frame, ..self }
    }

    /// Trackers side by side: a header, then name, AUC, precision at 20 px, CPU time and frames of each.
    pub(crate) fn table(suites: &[Self]) -> Vec<[String; 5]> {
        let with_cpu =
            |[name, auc, precision, count]: [String; 4], cpu: String| [name, auc, precision, cpu, count];
        let of = |suite: &Self| {
            let cpu = suite.cpu_ms_per_frame.map_or_else(|| "–".to_owned(), significant);
            with_cpu(row(&suite.tracker, suite.auc, suite.precision_20px, suite.frames), cpu)
        };
        let header = with_cpu(header("tracker", "frames"), "cpu ms".to_owned());
        std::iter::once(header).chain(suites.iter().map(of)).collect()
    }

    /// The sequences and the attributes: a header, then name, AUC, precision at 20 px and count of each.
    pub(crate) fn tables(&self) -> [Vec<[String; 4]>; 2] {
        let sequences = self.sequences.iter().map(|sequence| {
            let OnePassReport { auc, precision_20px, frames, .. } = sequence.report;
            row(&sequence.name, auc, precision_20px, frames)
        });
        let all = row("all", self.auc, self.precision_20px, self.frames);
        let attributes =
            self.attributes.iter().map(|of| row(&of.attribute, of.auc, of.precision_20px, of.sequences));
        [
            std::iter::once(header("sequence", "frames")).chain(sequences).chain([all]).collect(),
            std::iter::once(header("attribute", "sequences")).chain(attributes).collect(),
        ]
    }

    /// The worst moment of each sequence that lost its target: the frame after which the target was not touched for the
    /// longest.
    pub fn longest_losses(&self) -> Vec<Loss<'_>> {
        self.sequences.iter().filter_map(longest_loss).collect()
    }
}

/// A stretch of frames in which the estimate did not touch the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss<'a> {
    /// Where.
    pub sequence: &'a SequenceReport,
    /// Index of the first such frame in [`OnePassReport::scores`].
    pub first: usize,
    /// Number of frames.
    pub frames: usize,
}

fn longest_loss(sequence: &SequenceReport) -> Option<Loss<'_>> {
    let mut longest: Option<Loss<'_>> = None;
    let mut current = 0;
    for (index, score) in sequence.report.scores.iter().enumerate() {
        current = if score.overlap > 0.0 { 0 } else { current + 1 };
        if current > longest.map_or(0, |loss| loss.frames) {
            longest = Some(Loss { sequence, first: index + 1 - current, frames: current });
        }
    }
    longest
}

fn by_attribute(sequences: &[SequenceReport]) -> Vec<AttributeScore> {
    let mut groups: BTreeMap<&str, Vec<&OnePassReport>> = BTreeMap::new();
    for sequence in sequences {
        for attribute in &sequence.attributes {
            groups.entry(attribute).or_default().push(&sequence.report);
        }
    }
    let score = |(attribute, reports): (&str, Vec<&OnePassReport>)| AttributeScore {
        attribute: attribute.to_owned(),
        sequences: reports.len(),
        auc: mean_of(&reports, |report| report.auc),
        precision_20px: mean_of(&reports, |report| report.precision_20px),
    };
    groups.into_iter().map(score).collect()
}

fn mean_of(reports: &[&OnePassReport], value: impl Fn(&OnePassReport) -> f64) -> f64 {
    mean(reports.iter().map(|report| value(report)))
}

/// The sequences, then the attributes, as tables.
impl fmt::Display for OnePassSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sequences, attributes] = self.tables();
        f.write_str(&text_table(&sequences, &SIDES))?;
        if self.attributes.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", text_table(&attributes, &SIDES))
    }
}

const SIDES: [Side; 4] = [Side::Left, Side::Right, Side::Right, Side::Right];

/// Trackers side by side as a table for a terminal.
pub fn suites_table(suites: &[OnePassSuite]) -> String {
    text_table(
        &OnePassSuite::table(suites),
        &[Side::Left, Side::Right, Side::Right, Side::Right, Side::Right],
    )
}

fn header(first: &str, last: &str) -> [String; 4] {
    [first, "AUC", "precision 20 px", last].map(str::to_owned)
}

fn row(name: &str, auc: f64, precision_20px: f64, count: usize) -> [String; 4] {
    [name.to_owned(), significant(auc), significant(precision_20px), count.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::Rectangle;

    const TARGET: Rectangle = Rectangle::new(10.0, 10.0, 40.0, 20.0);
    const ELSEWHERE: Rectangle = Rectangle::new(210.0, 10.0, 40.0, 20.0);

    fn sequence(name: &str, attributes: &[&str], estimate: &[Rectangle]) -> SequenceReport {
        let report = OnePassReport::measure(&vec![TARGET; estimate.len()], estimate).unwrap();
        let attributes = attributes.iter().map(|&name| name.to_owned()).collect();
        SequenceReport { name: name.to_owned(), attributes, report }
    }

    fn suite() -> OnePassSuite {
        let held = sequence("held", &["SV"], &[TARGET; 10]);
        let lost = sequence("lost", &["SV", "OCC"], &[TARGET, ELSEWHERE, TARGET, ELSEWHERE, ELSEWHERE]);
        OnePassSuite::new("mine", vec![held, lost]).unwrap()
    }

    #[test]
    fn sequences_weigh_the_same_whatever_their_length() {
        let suite = suite();
        assert_eq!((suite.precision_20px, suite.frames), (0.7, 15));
        assert!((suite.auc - 0.7 * 20.0 / 21.0).abs() < 1e-15);
        assert_eq!((suite.success()[20], suite.precision()[0]), ((1.0, 0.0), (0.0, 0.7)));
    }

    #[test]
    fn attributes_gather_their_sequences() {
        let suite = suite();
        let of =
            |index: usize| (suite.attributes[index].attribute.as_str(), suite.attributes[index].sequences);
        assert_eq!((of(0), of(1)), (("OCC", 1), ("SV", 2)));
        assert_eq!(suite.attributes[0].precision_20px, 0.4);
    }

    #[test]
    fn the_longest_loss_is_found() {
        let suite = suite();
        let losses = suite.longest_losses();
        assert_eq!(losses.len(), 1);
        assert_eq!((losses[0].sequence.name.as_str(), losses[0].first, losses[0].frames), ("lost", 3, 2));
    }

    #[test]
    fn tables_say_it_all() {
        let text = suite().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "sequence     AUC  precision 20 px  frames");
        assert_eq!(lines[3], "lost      0.3810           0.4000       5");
        assert_eq!(lines[4], "all       0.6667           0.7000      15");
        assert_eq!(lines[6], "attribute     AUC  precision 20 px  sequences");
        assert!(OnePassSuite::new("none", Vec::new()).is_err());
    }
}
