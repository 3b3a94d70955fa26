//! VOT's supervised protocol: Kristan et al., "A Novel Performance Evaluation Methodology for Single-Target Trackers",
//! PAMI 2016, with the interval of VOT2018.
//!
//! The tracker is shown the target; where its box no longer touches the target it has failed, and it is shown the target
//! again five frames later.

mod dataset;
mod results;

use std::fmt;

use serde::Serialize;

pub use dataset::{VotDataset, VotSequence};
pub use results::{Answer, VotResults};

use super::Bounds;
use crate::figure::{Side, significant, text_table};
use crate::{EvalError, Figure, figures_table};

/// What a rule of the protocol is set to; the default is VOT2018's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VotProtocol {
    /// Frames from each initialisation on, it included, that accuracy leaves out: they flatter the tracker.
    pub burn_in: usize,
    /// Frames from a failure to the next initialisation.
    pub skip: usize,
    /// Shortest and longest sequence over which the expected overlap is averaged, in frames.
    pub eao_frames: (usize, usize),
}

impl Default for VotProtocol {
    fn default() -> Self {
        Self { burn_in: 10, skip: 5, eao_frames: (100, 356) }
    }
}

impl fmt::Display for VotProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = self.eao_frames;
        write!(
            f,
            "VOT supervised: shown again {} frames after a failure; overlap of polygons in pixels inside the image; accuracy \
             without {} frames from each start; expected overlap over {shortest} to {longest} frames",
            self.skip, self.burn_in
        )
    }
}

/// How well a tracker did on a VOT dataset. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VotReport {
    /// Mean overlap over all frames in which the target was held; `None` where there is no such frame.
    pub accuracy: Option<f64>,
    /// Failures per hundred frames.
    pub robustness: f64,
    /// Failures over all sequences; the mean where they were repeated.
    pub failures: f64,
    /// Expected average overlap; `None` where no sequence is long enough.
    pub eao: Option<f64>,
    /// Frames of all sequences.
    pub frames: usize,
    /// How often each sequence was run.
    pub repetitions: usize,
    /// Each sequence.
    pub sequences: Vec<VotSequenceReport>,
    /// Each attribute, over the frames that have it.
    pub attributes: Vec<VotAttribute>,
    /// Length of a sequence in frames, and the overlap that is expected over one so long.
    pub expected_overlap: Vec<(usize, f64)>,
    /// How all this was measured.
    pub protocol: String,
}

/// One sequence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VotSequenceReport {
    /// Its name.
    pub name: String,
    /// Mean overlap while the target was held.
    pub accuracy: Option<f64>,
    /// Failures; the mean where it was repeated.
    pub failures: f64,
    /// Its frames.
    pub frames: usize,
}

/// The frames that share an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VotAttribute {
    /// The attribute: `occlusion`, `camera_motion`.
    pub attribute: String,
    /// Frames that have it.
    pub frames: usize,
    /// Mean overlap in those of them in which the target was held.
    pub accuracy: Option<f64>,
    /// Failures in them; the mean where sequences were repeated.
    pub failures: f64,
}

/// One run over one sequence, frame by frame.
struct Run {
    /// Overlap where the tracker answered.
    overlaps: Vec<Option<f64>>,
    /// The same for accuracy.
    accuracies: Vec<Option<f64>>,
    /// Frames in which it failed.
    failures: Vec<usize>,
}

impl VotReport {
    /// Measures results against a dataset.
    ///
    /// # Errors
    /// [`EvalError::Content`] where the results lack a sequence of the dataset, hold another number of frames for one, or
    /// repeat some sequences more often than others.
    pub fn measure(
        dataset: &VotDataset,
        results: &VotResults,
        protocol: &VotProtocol,
    ) -> Result<Self, EvalError> {
        let repetitions = results.repetitions(dataset)?;
        let runs: Vec<Vec<Run>> = dataset
            .sequences
            .iter()
            .map(|sequence| {
                results.of(&sequence.name).iter().map(|run| scored(sequence, run, protocol)).collect()
            })
            .collect();
        let with_runs = || dataset.sequences.iter().zip(&runs);
        let sequences: Vec<_> = with_runs().map(|(sequence, runs)| sequence_report(sequence, runs)).collect();
        let frames = dataset.sequences.iter().map(|sequence| sequence.truth.len()).sum();
        let failures: f64 = sequences.iter().map(|sequence| sequence.failures).sum();
        let expected_overlap = expected_overlap(&runs, protocol.skip);
        Ok(Self {
            accuracy: mean(runs.iter().flat_map(|runs| frame_means(runs)).flatten()),
            robustness: 100.0 * failures / frames as f64,
            failures,
            eao: expected_average_overlap(&expected_overlap, protocol.eao_frames),
            frames,
            repetitions,
            sequences,
            attributes: dataset.attributes().iter().map(|name| attribute_report(name, &with_runs)).collect(),
            expected_overlap,
            protocol: protocol.to_string(),
        })
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name: &str, value: Option<f64>, unit: &str| {
            Figure::new(name, value, unit).protocol(self.protocol.as_str()).count(self.frames, "frames")
        };
        vec![
            figure("expected average overlap", self.eao, "1"),
            figure("accuracy", self.accuracy, "1"),
            figure("robustness", Some(self.robustness), "failures/100 frames"),
            figure("failures", Some(self.failures), "1"),
        ]
    }
}

impl fmt::Display for VotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&figures_table(&self.figures()))
    }
}

/// Trackers side by side as a table for a terminal.
pub fn vot_table(trackers: &[(String, VotReport)]) -> String {
    text_table(&vot_rows(trackers), &[Side::Left, Side::Right, Side::Right, Side::Right, Side::Right])
}

/// A header, then a row for each tracker.
pub(crate) fn vot_rows(trackers: &[(String, VotReport)]) -> Vec<[String; 5]> {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), significant);
    let header = ["tracker", "EAO", "accuracy", "robustness", "failures"].map(str::to_owned);
    let row = |(name, of): &(String, VotReport)| {
        [
            name.clone(),
            number(of.eao),
            number(of.accuracy),
            significant(of.robustness),
            significant(of.failures),
        ]
    };
    std::iter::once(header).chain(trackers.iter().map(row)).collect()
}

/// Overlaps of one run. Accuracy counts one more row and column than the expected overlap, and leaves out the burn-in: so do
/// VOT's tools.
fn scored(sequence: &VotSequence, answers: &[Answer], protocol: &VotProtocol) -> Run {
    let (width, height) = sequence.image_size;
    let inner = Bounds { right: width.saturating_sub(1), bottom: height.saturating_sub(1) };
    let outer = Bounds { right: width, bottom: height };
    let overlap = |frame: usize, bounds: Bounds| match &answers[frame] {
        Answer::Region(region) => Some(region.overlap(&sequence.truth[frame], bounds)),
        _ => None,
    };
    let frames = || 0..answers.len();
    let burnt_in = |frame: usize| {
        let last_frames = frame.saturating_sub(protocol.burn_in.saturating_sub(1))..=frame;
        protocol.burn_in > 0 && answers[last_frames].contains(&Answer::Initialised)
    };
    Run {
        overlaps: frames().map(|frame| overlap(frame, inner)).collect(),
        accuracies: frames().map(|frame| overlap(frame, outer).filter(|_| !burnt_in(frame))).collect(),
        failures: frames().filter(|&frame| answers[frame] == Answer::Failed).collect(),
    }
}

fn sequence_report(sequence: &VotSequence, runs: &[Run]) -> VotSequenceReport {
    let failures: usize = runs.iter().map(|run| run.failures.len()).sum();
    VotSequenceReport {
        name: sequence.name.clone(),
        accuracy: mean(frame_means(runs).into_iter().flatten()),
        failures: failures as f64 / runs.len() as f64,
        frames: sequence.truth.len(),
    }
}

fn attribute_report<'a, I>(name: &str, with_runs: &impl Fn() -> I) -> VotAttribute
where
    I: Iterator<Item = (&'a VotSequence, &'a Vec<Run>)>,
{
    let (mut frames, mut overlaps, mut failures) = (0, Vec::new(), 0.0);
    for (sequence, runs) in with_runs() {
        let has = |frame: usize| sequence.has_attribute(name, frame);
        frames += (0..sequence.truth.len()).filter(|&frame| has(frame)).count();
        let held = frame_means(runs).into_iter().enumerate().filter(|(frame, _)| has(*frame));
        overlaps.extend(held.filter_map(|(_, overlap)| overlap));
        let failed = runs.iter().flat_map(|run| &run.failures).filter(|&&frame| has(frame)).count();
        failures += failed as f64 / runs.len() as f64;
    }
    VotAttribute { attribute: name.to_owned(), frames, accuracy: mean(overlaps.into_iter()), failures }
}

/// The accuracy of each frame, the mean over repetitions.
fn frame_means(runs: &[Run]) -> Vec<Option<f64>> {
    let frames = runs.first().map_or(0, |run| run.accuracies.len());
    (0..frames).map(|frame| mean(runs.iter().filter_map(|run| run.accuracies[frame]))).collect()
}

/// A stretch between two initialisations.
struct Fragment {
    /// Sums of the overlaps behind its first frame: `sums[n]` over `n` of them.
    sums: Vec<f64>,
    /// Whether it ended because the tracker failed: then it goes on for ever with overlap 0.
    failed: bool,
}

impl Fragment {
    fn new(overlaps: &[Option<f64>], failed: bool) -> Self {
        let behind_first = overlaps.iter().skip(1).map(|overlap| overlap.unwrap_or(0.0));
        let summed = behind_first.scan(0.0, |sum, overlap| {
            *sum += overlap;
            Some(*sum)
        });
        Self { sums: std::iter::once(0.0).chain(summed).collect(), failed }
    }

    /// Mean overlap over `frames` frames behind the first, where the fragment has so many.
    fn mean_over(&self, frames: usize) -> Option<f64> {
        let sum = self.sums.get(frames).or(self.sums.last().filter(|_| self.failed))?;
        Some(sum / frames as f64)
    }
}

fn fragments(run: &Run, skip: usize) -> impl Iterator<Item = Fragment> {
    let frames = run.overlaps.len();
    let starts = run.failures.iter().map(move |failure| failure + skip).filter(move |start| *start <= frames);
    let starts: Vec<usize> = std::iter::once(0).chain(starts).collect();
    let ends: Vec<usize> = starts[1..].iter().copied().chain([frames]).collect();
    let last = starts.len() - 1;
    let pieces = starts.into_iter().zip(ends).enumerate().filter(|(_, (start, end))| start < end);
    pieces.map(move |(index, (start, end))| Fragment::new(&run.overlaps[start..end], index < last))
}

/// For each length of a sequence from two frames on, the overlap to expect over one so long.
fn expected_overlap(runs: &[Vec<Run>], skip: usize) -> Vec<(usize, f64)> {
    let all = || runs.iter().flatten();
    let fragments: Vec<Fragment> = all().flat_map(|run| fragments(run, skip)).collect();
    let longest = all().map(|run| run.overlaps.len()).max().unwrap_or(0);
    let over = |behind_first: usize| mean(fragments.iter().filter_map(|of| of.mean_over(behind_first)));
    (2..=longest).filter_map(|frames| Some((frames, over(frames - 1)?))).collect()
}

fn expected_average_overlap(
    expected_overlap: &[(usize, f64)],
    (shortest, longest): (usize, usize),
) -> Option<f64> {
    let inside = expected_overlap.iter().filter(|(frames, _)| (shortest..=longest).contains(frames));
    mean(inside.map(|(_, overlap)| *overlap))
}

/// `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests;
