//! Which detection is which object, as pycocotools decides it.

use super::{DetectionImage, FoundBox, Rectangle, TruthBox, TruthRole};

/// Overlaps from which on a box counts: 0.5, 0.55 .. 0.95.
pub(super) const THRESHOLDS: usize = 10;
/// So many detections of a class count in one image: the best ones.
pub(super) const MAX_DETECTIONS: usize = 100;
/// The slack that pycocotools leaves below an overlap of 1.
const PERFECT: f64 = 1.0 - 1e-10;

/// The overlap of a threshold, in the arithmetic of numpy's `linspace(.5, .95, 10)`.
pub(super) fn threshold(index: usize) -> f64 {
    if index + 1 == THRESHOLDS { 0.95 } else { index as f64 * ((0.95 - 0.5) / 9.0) + 0.5 }
}

/// Objects are counted where their area in square pixels is in this range, both ends included.
pub(super) type AreaRange = (f64, f64);

/// What became of one detection, one bit for each threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub score: f64,
    /// Its place among the detections of its class in its image, from 0.
    pub rank: usize,
    hits: u16,
    ignored: u16,
}

impl Outcome {
    pub fn is_hit(&self, threshold: usize) -> bool {
        self.hits & (1 << threshold) != 0
    }

    /// Whether it counts neither as true nor as false.
    pub fn is_ignored(&self, threshold: usize) -> bool {
        self.ignored & (1 << threshold) != 0
    }
}

/// One class in one image.
pub(super) struct ClassInImage<'a> {
    truth: Vec<&'a TruthBox>,
    /// Best first, at most [`MAX_DETECTIONS`].
    found: Vec<&'a FoundBox>,
    /// `[found, truth]`.
    overlaps: Vec<f64>,
}

impl<'a> ClassInImage<'a> {
    pub fn new(image: &'a DetectionImage, class: usize) -> Self {
        let truth: Vec<_> = image.truth.iter().filter(|truth| truth.class == class).collect();
        let mut found: Vec<_> = image.found.iter().filter(|found| found.class == class).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MAX_DETECTIONS);
        let overlap =
            |found: &&FoundBox| truth.iter().map(|truth| overlap(&found.rectangle, truth)).collect();
        let overlaps: Vec<Vec<f64>> = found.iter().map(overlap).collect();
        Self { overlaps: overlaps.concat(), truth, found }
    }

    /// The number of objects whose area is in range, and what becomes of each detection when only they count.
    pub fn matched(&self, area: AreaRange) -> (usize, Vec<Outcome>) {
        let is_outside = |value: f64| value < area.0 || value > area.1;
        let is_ignored = |truth: &&TruthBox| truth.role != TruthRole::Object || is_outside(truth.area_px);
        let ignored: Vec<bool> = self.truth.iter().map(is_ignored).collect();
        let mut order: Vec<usize> = (0..self.truth.len()).collect();
        order.sort_by_key(|index| ignored[*index]);
        let outcome =
            |(rank, found): (usize, &&FoundBox)| Outcome { score: found.score, rank, hits: 0, ignored: 0 };
        let mut outcomes: Vec<Outcome> = self.found.iter().enumerate().map(outcome).collect();
        for index in 0..THRESHOLDS {
            let pairs = self.pairs(threshold(index), &order, &ignored);
            for ((outcome, pair), found) in outcomes.iter_mut().zip(pairs).zip(&self.found) {
                let is_ignored =
                    pair.map_or_else(|| is_outside(found.rectangle.area()), |truth| ignored[truth]);
                outcome.hits |= u16::from(pair.is_some()) << index;
                outcome.ignored |= u16::from(is_ignored) << index;
            }
        }
        (ignored.iter().filter(|is_ignored| !**is_ignored).count(), outcomes)
    }

    /// For each detection, best first, the free object that it overlaps most, of those that count before the others.
    fn pairs(&self, least: f64, order: &[usize], ignored: &[bool]) -> Vec<Option<usize>> {
        let mut is_taken = vec![false; self.truth.len()];
        let mut pairs = Vec::with_capacity(self.found.len());
        for found in 0..self.found.len() {
            let overlaps = &self.overlaps[found * self.truth.len()..][..self.truth.len()];
            let (mut best, mut pair) = (least.min(PERFECT), None);
            for &truth in order {
                if is_taken[truth] && self.truth[truth].role != TruthRole::Crowd {
                    continue;
                }
                if pair.is_some_and(|pair: usize| !ignored[pair]) && ignored[truth] {
                    break;
                }
                if overlaps[truth] >= best {
                    (best, pair) = (overlaps[truth], Some(truth));
                }
            }
            if let Some(truth) = pair {
                is_taken[truth] = true;
            }
            pairs.push(pair);
        }
        pairs
    }
}

/// Intersection over union; of a crowd, the share of the detection that lies in it.
pub(super) fn overlap(found: &Rectangle, truth: &TruthBox) -> f64 {
    if truth.role != TruthRole::Crowd {
        return found.iou(&truth.rectangle);
    }
    let area = found.area();
    if area > 0.0 { found.common_area(&truth.rectangle) / area } else { 0.0 }
}
