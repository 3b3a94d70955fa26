//! Precision at every recall.

use super::matching::{MAX_DETECTIONS, Outcome, THRESHOLDS};

/// Recalls at which precision is read: 0, 0.01 .. 1.
pub(super) const RECALLS: usize = 101;

/// One class over all images, of objects of some sizes.
pub(super) struct Ranked {
    /// How many there are to be found.
    pub objects: usize,
    /// By falling score; equal scores in the order of the images.
    outcomes: Vec<Outcome>,
}

/// How precise at which recall, at one threshold of overlap.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    /// The best precision with at least the recall 0, 0.01 .. 1; 0 where it is not reached.
    pub precision: Vec<f64>,
    /// Share of objects found by all detections.
    pub recall: f64,
}

impl Ranked {
    pub fn new(objects: usize, mut outcomes: Vec<Outcome>) -> Self {
        outcomes.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { objects, outcomes }
    }

    /// The curve of the best `most` detections of each image; `None` where nothing is to be found.
    pub fn curve(&self, threshold: usize, most: usize) -> Option<Curve> {
        if self.objects == 0 {
            return None;
        }
        let points = self.points(threshold, most);
        let mut precision: Vec<f64> = points.iter().map(|point| point.1).collect();
        for index in (1..precision.len()).rev() {
            precision[index - 1] = precision[index - 1].max(precision[index]);
        }
        let at = |index: usize| {
            let recall = if index + 1 == RECALLS { 1.0 } else { index as f64 * 0.01 };
            let first = points.partition_point(|point| point.0 < recall);
            precision.get(first).copied().unwrap_or(0.0)
        };
        let recall = points.last().map_or(0.0, |point| point.0);
        Some(Curve { precision: (0..RECALLS).map(at).collect(), recall })
    }

    /// Mean over all thresholds of the mean precision of the curve.
    pub fn average_precision(&self) -> Option<f64> {
        mean((0..THRESHOLDS).filter_map(|threshold| self.average_precision_at(threshold)))
    }

    /// Mean precision of the curve at one threshold.
    pub fn average_precision_at(&self, threshold: usize) -> Option<f64> {
        mean(self.curve(threshold, MAX_DETECTIONS)?.precision)
    }

    /// Mean over all thresholds of the share of objects found.
    pub fn average_recall(&self, most: usize) -> Option<f64> {
        mean((0..THRESHOLDS).filter_map(|threshold| Some(self.curve(threshold, most)?.recall)))
    }

    /// Recall and precision after each detection that counts or not.
    fn points(&self, threshold: usize, most: usize) -> Vec<(f64, f64)> {
        let (mut hits, mut errors) = (0_usize, 0_usize);
        let counted = self.outcomes.iter().filter(|outcome| outcome.rank < most);
        let point = |outcome: &Outcome| {
            let counts = !outcome.is_ignored(threshold);
            hits += usize::from(counts && outcome.is_hit(threshold));
            errors += usize::from(counts && !outcome.is_hit(threshold));
            let (hits, errors) = (hits as f64, errors as f64);
            // numpy's spacing(1), as pycocotools adds it against 0 / 0.
            (hits / self.objects as f64, hits / (errors + hits + f64::EPSILON))
        };
        counted.map(point).collect()
    }

    /// Score, and whether it is a hit, of each detection that counts at overlaps from 0.5 on.
    pub fn counted(&self) -> impl Iterator<Item = (f64, bool)> {
        let counted = self.outcomes.iter().filter(|outcome| !outcome.is_ignored(0));
        counted.map(|outcome| (outcome.score, outcome.is_hit(0)))
    }
}

/// `None` for nothing.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) =
        values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
