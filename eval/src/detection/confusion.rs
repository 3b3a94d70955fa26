//! What is taken for what, at the one score that a user would choose.

use serde::Serialize;

use super::matching::overlap;
use super::{DetectionImage, FoundBox, Rectangle, TruthRole};

/// From this overlap on, a detection is of an object.
const SAME: f64 = 0.5;

/// Where precision and recall are best together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// Detections of at least this score are kept.
    pub score: f64,
    /// Share of them that are right, with an overlap of at least 0.5.
    pub precision: f64,
    /// Share of objects found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl OperatingPoint {
    /// The best of all, from the score and rightness of detections; `None` where none is right.
    pub(super) fn best(objects: usize, mut detections: Vec<(f64, bool)>) -> Option<Self> {
        detections.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut hits, mut best) = (0_usize, None::<Self>);
        for (index, &(score, is_hit)) in detections.iter().enumerate() {
            hits += usize::from(is_hit);
            // Equal scores are kept or dropped together.
            if detections.get(index + 1).is_some_and(|next| next.0 >= score) {
                continue;
            }
            let f1 = 2.0 * hits as f64 / (index + 1 + objects) as f64;
            if f1 > best.map_or(0.0, |best| best.f1) {
                let (precision, recall) = (hits as f64 / (index + 1) as f64, hits as f64 / objects as f64);
                best = Some(Self { score, precision, recall, f1 });
            }
        }
        best
    }
}

/// Counts of what was taken for what, by detections of at least the operating point's score.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `[truth, found]`: a row for each class and a last one for nothing at all, a column for each class and a last one for
    /// objects that were missed.
    pub counts: Vec<Vec<usize>>,
}

/// What was right and wrong in one image at the operating point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageVerdict {
    /// Index of the image.
    pub image: usize,
    /// Detections of an object of their class.
    pub right: Vec<Rectangle>,
    /// Detections of nothing, or of an object of another class.
    pub wrong: Vec<Rectangle>,
    /// Objects that nothing was found of, or only something of another class.
    pub missed: Vec<Rectangle>,
}

impl ImageVerdict {
    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.wrong.len() + self.missed.len()
    }
}

/// Judges every image by the detections of at least `score`.
pub(super) fn judge(
    classes: &[String],
    images: &[DetectionImage],
    score: f64,
) -> (Confusion, Vec<ImageVerdict>) {
    let size = classes.len() + 1;
    let mut confusion = Confusion { classes: classes.to_vec(), counts: vec![vec![0; size]; size] };
    let of_image = |(index, image): (usize, &DetectionImage)| {
        let mut verdict = ImageVerdict { image: index, ..ImageVerdict::default() };
        for pair in pairs(image, score) {
            let row = pair.truth.map_or(size - 1, |truth| image.truth[truth].class);
            let column = pair.found.map_or(size - 1, |found| found.class);
            confusion.counts[row][column] += 1;
            match (pair.truth, pair.found) {
                (Some(_), Some(found)) if row == column => verdict.right.push(found.rectangle),
                (truth, found) => {
                    verdict.wrong.extend(found.map(|found| found.rectangle));
                    verdict.missed.extend(truth.map(|truth| image.truth[truth].rectangle));
                }
            }
        }
        verdict
    };
    let verdicts = images.iter().enumerate().map(of_image).collect();
    (confusion, verdicts)
}

/// An object and what was found of it, or one without the other.
struct Pair<'a> {
    truth: Option<usize>,
    found: Option<&'a FoundBox>,
}

/// Each detection, best first, with the free object of any class that it overlaps most; then the objects that are left. What
/// lies on nothing but objects that don't count is left out.
fn pairs(image: &DetectionImage, score: f64) -> Vec<Pair<'_>> {
    let mut found: Vec<&FoundBox> = image.found.iter().filter(|found| found.score >= score).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut is_free: Vec<bool> = image.truth.iter().map(|truth| truth.role == TruthRole::Object).collect();
    let mut pairs = Vec::new();
    for found in found {
        let overlap = |truth: usize| overlap(&found.rectangle, &image.truth[truth]);
        let all = (0..image.truth.len()).filter(|truth| overlap(*truth) >= SAME);
        let (free, others): (Vec<usize>, Vec<usize>) = all.partition(|truth| is_free[*truth]);
        let truth = free.into_iter().max_by(|a, b| overlap(*a).total_cmp(&overlap(*b)));
        if let Some(truth) = truth {
            is_free[truth] = false;
        } else if others.iter().any(|truth| image.truth[*truth].role != TruthRole::Object) {
            continue;
        }
        pairs.push(Pair { truth, found: Some(found) });
    }
    let missed = (0..image.truth.len()).filter(|truth| is_free[*truth]);
    pairs.extend(missed.map(|truth| Pair { truth: Some(truth), found: None }));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::TruthBox;

    fn at(x: f64) -> Rectangle {
        Rectangle::new(x, 0.0, 10.0, 10.0)
    }

    #[test]
    fn the_best_score_keeps_equal_scores_together() {
        let best =
            OperatingPoint::best(4, vec![(0.9, true), (0.8, false), (0.8, true), (0.1, false)]).unwrap();
        assert_eq!((best.score, best.recall), (0.8, 0.5));
        assert!((best.precision - 2.0 / 3.0).abs() < 1e-12 && (best.f1 - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!(OperatingPoint::best(4, vec![(0.9, false)]), None);
    }

    #[test]
    fn a_truck_taken_for_a_car_is_two_errors_and_one_count() {
        let optional = TruthBox { role: TruthRole::Optional, ..TruthBox::new(0, at(80.0)) };
        let found = |class, x, score| FoundBox { class, rectangle: at(x), score };
        let image = DetectionImage {
            truth: vec![
                TruthBox::new(0, at(0.0)),
                TruthBox::new(1, at(20.0)),
                TruthBox::new(1, at(40.0)),
                optional,
            ],
            found: vec![
                found(0, 1.0, 0.9),
                found(0, 2.0, 0.8),
                found(0, 21.0, 0.7),
                found(0, 80.0, 0.7),
                found(1, 40.0, 0.1),
            ],
            ..DetectionImage::default()
        };
        let classes = ["car", "truck"].map(str::to_owned);
        let (confusion, verdicts) = judge(&classes, &[image], 0.5);
        assert_eq!(confusion.counts, [[1, 0, 0], [1, 0, 1], [1, 0, 0]]);
        let verdict = &verdicts[0];
        assert_eq!((verdict.right.len(), verdict.wrong.len(), verdict.missed.len()), (1, 2, 2));
        assert_eq!(verdict.errors(), 4);
    }
}
