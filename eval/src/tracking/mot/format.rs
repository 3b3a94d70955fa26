//! Files of the MOTChallenge, and the overlap of everything in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::EvalError;
use crate::tracking::Rectangle;
use crate::tracking::rectangle::{data_rows, numbers, row_error};

/// Boxes with identities, frame by frame.
#[derive(Clone, Debug, PartialEq)]
pub struct MotTracks {
    /// The file they were read from.
    pub path: PathBuf,
    /// For each frame with boxes: identity and box.
    pub frames: BTreeMap<u64, Vec<(u64, Rectangle)>>,
}

/// Column of ground truth that says whether a row counts.
const COUNTS: usize = 6;
const EXPECTED: &str = "frame, identity, x, y, width, height and perhaps more numbers";

impl MotTracks {
    /// Reads ground truth, rows `frame,identity,x,y,width,height,counts,...`. Rows whose seventh number is 0 are left out.
    ///
    /// # Errors
    /// [`EvalError::Read`] where the file can't be read, [`EvalError::Row`] for a row that is something else or repeats an
    /// identity in its frame.
    pub fn read_truth(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        Self::read(path.as_ref(), |row| row.get(COUNTS) != Some(&0.0))
    }

    /// Reads a tracker's results, rows `frame,identity,x,y,width,height,confidence,...`, all of which count.
    ///
    /// # Errors
    /// As [`read_truth`](Self::read_truth).
    pub fn read_estimate(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        Self::read(path.as_ref(), |_| true)
    }

    fn read(path: &Path, counts: impl Fn(&[f64]) -> bool) -> Result<Self, EvalError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        let mut frames: BTreeMap<u64, Vec<(u64, Rectangle)>> = BTreeMap::new();
        for (line, row) in data_rows(&text) {
            let unexpected = |found| row_error(path, line, EXPECTED, found);
            let numbers = numbers(row).map_err(unexpected)?;
            let (frame, identity, rectangle) = parse(&numbers).map_err(unexpected)?;
            if !counts(&numbers) {
                continue;
            }
            let boxes = frames.entry(frame).or_default();
            if boxes.iter().any(|(other, _)| *other == identity) {
                let found = format!("identity {identity} once more in frame {frame}");
                return Err(row_error(path, line, "each identity at most once in a frame", found));
            }
            boxes.push((identity, rectangle));
        }
        Ok(Self { path: path.to_owned(), frames })
    }
}

/// Frame, identity and box, or what is there instead.
fn parse(row: &[f64]) -> Result<(u64, u64, Rectangle), String> {
    let &[frame, identity, x, y, width, height, ..] = row else {
        return Err(format!("{} numbers", row.len()));
    };
    let counted = |name: &str, value: f64| {
        let is_count = value >= 0.0 && value.fract() == 0.0;
        if is_count { Ok(value as u64) } else { Err(format!("{name} {value}")) }
    };
    let rectangle = Rectangle::new(x, y, width, height);
    if !rectangle.is_valid() {
        return Err(format!("a box of {width} x {height} at {x}, {y}"));
    }
    Ok((counted("frame", frame)?, counted("identity", identity)?, rectangle))
}

/// Truth and estimate side by side, identities as indices from 0.
pub(super) struct Matched {
    pub(super) frames: Vec<MatchedFrame>,
    /// Boxes of each identity.
    pub(super) truth_counts: Vec<usize>,
    pub(super) estimate_counts: Vec<usize>,
}

pub(super) struct MatchedFrame {
    /// Identities in this frame.
    pub(super) truth: Vec<usize>,
    pub(super) estimate: Vec<usize>,
    /// Intersection over union, a row for each true box.
    pub(super) overlaps: Vec<Vec<f64>>,
}

impl Matched {
    pub(super) fn new(truth: &MotTracks, estimate: &MotTracks) -> Self {
        let (truth_index, estimate_index) = (indices(truth), indices(estimate));
        let numbers: BTreeSet<u64> = truth.frames.keys().chain(estimate.frames.keys()).copied().collect();
        let boxes = |of: &MotTracks, frame| of.frames.get(&frame).cloned().unwrap_or_default();
        let frame = |number: u64| {
            let (truth, estimate) = (boxes(truth, number), boxes(estimate, number));
            let row = |of: &Rectangle| estimate.iter().map(|(_, other)| of.iou(other)).collect();
            MatchedFrame {
                overlaps: truth.iter().map(|(_, rectangle)| row(rectangle)).collect(),
                truth: truth.iter().map(|(identity, _)| truth_index[identity]).collect(),
                estimate: estimate.iter().map(|(identity, _)| estimate_index[identity]).collect(),
            }
        };
        let frames: Vec<MatchedFrame> = numbers.into_iter().map(frame).collect();
        let truth_counts = counts(truth_index.len(), frames.iter().flat_map(|frame| &frame.truth));
        let estimate_counts = counts(estimate_index.len(), frames.iter().flat_map(|frame| &frame.estimate));
        Self { frames, truth_counts, estimate_counts }
    }

    pub(super) fn truth_boxes(&self) -> usize {
        self.truth_counts.iter().sum()
    }

    pub(super) fn estimate_boxes(&self) -> usize {
        self.estimate_counts.iter().sum()
    }

    /// A number for each pair of identities, 0 at first.
    pub(super) fn pairs(&self) -> Vec<Vec<f64>> {
        vec![vec![0.0; self.estimate_counts.len()]; self.truth_counts.len()]
    }
}

impl MatchedFrame {
    /// Index of the true box, index of the estimated one, and their overlap.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let rows = self.overlaps.iter().enumerate();
        rows.flat_map(|(truth, row)| {
            row.iter().enumerate().map(move |(estimate, iou)| (truth, estimate, *iou))
        })
    }
}

fn indices(tracks: &MotTracks) -> BTreeMap<u64, usize> {
    let identities: BTreeSet<u64> = tracks.frames.values().flatten().map(|(identity, _)| *identity).collect();
    identities.into_iter().zip(0..).collect()
}

fn counts<'a>(identities: usize, seen: impl Iterator<Item = &'a usize>) -> Vec<usize> {
    let mut counts = vec![0; identities];
    seen.for_each(|identity| counts[*identity] += 1);
    counts
}
