//! OTB's one-pass evaluation: Wu, Lim, Yang, "Object Tracking Benchmark", PAMI 2015.

use std::fmt;

use serde::Serialize;

use super::Rectangle;
use crate::{EvalError, Figure, figures_table};

/// Steps of the success plot: overlaps above 0, 0.05 .. 1.
const SUCCESS_STEPS: u32 = 20;
/// Steps of the precision plot: errors up to 0, 1 .. 50 px.
const PRECISION_STEPS: u32 = 50;
/// The error that [`OnePassReport::precision_20px`] allows.
const PRECISION_PX: usize = 20;

/// One frame of a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameScore {
    /// Number of the frame, from 0.
    pub frame: usize,
    /// Where the target is.
    pub truth: Rectangle,
    /// Where it was thought to be.
    pub estimate: Rectangle,
    /// Intersection over union of the two.
    pub overlap: f64,
    /// Distance of their centres in pixels.
    pub center_error_px: f64,
}

/// How well one target was followed. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnePassReport {
    /// Area under the success curve: its mean over the 21 thresholds.
    pub auc: f64,
    /// Share of frames whose centre is at most 20 px off.
    pub precision_20px: f64,
    /// Mean overlap.
    pub mean_overlap: f64,
    /// Frames that were measured.
    pub frames: usize,
    /// Frames left out because the truth has no box. The toolkits that score them count a miss in the success plot and a
    /// hit in the precision plot.
    pub frames_without_target: usize,
    /// Frames in which the estimate was no box and the one before was taken.
    pub repeated_frames: usize,
    /// Rows of the estimate behind the last frame of the truth, left out.
    pub surplus_rows: usize,
    /// Threshold and share of frames whose overlap is above it.
    pub success: Vec<(f64, f64)>,
    /// Threshold in pixels and share of frames whose centre error is at most that.
    pub precision: Vec<(f64, f64)>,
    /// Frame by frame; for pictures, not for JSON.
    #[serde(skip)]
    pub scores: Vec<FrameScore>,
}

impl OnePassReport {
    /// How it was measured.
    pub(super) const PROTOCOL: &str = "OTB one-pass: initialised in the first frame, which counts as perfect; an estimate that \
         is not finite or of no size repeats the one before; frames without a target in the truth are left out";

    /// Measures one box per frame against another. The first estimate is not looked at.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where there are fewer estimates than frames, or no frame with a target.
    pub fn measure(truth: &[Rectangle], estimate: &[Rectangle]) -> Result<Self, EvalError> {
        if estimate.len() < truth.len() {
            return Err(EvalError::Protocol {
                expected: "one estimated box for each of the truth",
                found: format!("{} for {}", estimate.len(), truth.len()),
            });
        }
        let surplus_rows = estimate.len() - truth.len();
        let (estimate, repeated_frames) = repaired(truth, estimate);
        let scores: Vec<FrameScore> = scores(truth, &estimate).collect();
        if scores.is_empty() {
            return Err(EvalError::Protocol {
                expected: "a frame with a target in the truth",
                found: format!("none among {}", truth.len()),
            });
        }
        let success = success_curve(&scores);
        let precision = precision_curve(&scores);
        Ok(Self {
            auc: mean(success.iter().map(|point| point.1)),
            precision_20px: precision[PRECISION_PX].1,
            mean_overlap: mean(scores.iter().map(|score| score.overlap)),
            frames: scores.len(),
            frames_without_target: truth.len() - scores.len(),
            repeated_frames,
            surplus_rows,
            success,
            precision,
            scores,
        })
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name: &str, value: f64| {
            Figure::new(name, value, "1").protocol(Self::PROTOCOL).count(self.frames, "frames")
        };
        vec![
            figure("success AUC, 21 thresholds", self.auc),
            figure("precision at 20 px", self.precision_20px),
            figure("mean overlap", self.mean_overlap),
        ]
    }

    /// What was left out or repaired, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let counted = [
            (self.frames_without_target, "frames have no target in the truth and are left out"),
            (self.repeated_frames, "estimates are no boxes and repeat the ones before"),
            (self.surplus_rows, "estimates lie behind the last frame of the truth and are left out"),
        ];
        let told = counted.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, what)| format!("{count} {what}")).collect()
    }
}

impl fmt::Display for OnePassReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&figures_table(&self.figures()))?;
        self.notes().iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

/// Estimates as long as the truth, the first replaced by it and each that is no box by the one before; and how many
/// were replaced for that reason.
fn repaired(truth: &[Rectangle], estimate: &[Rectangle]) -> (Vec<Rectangle>, usize) {
    let mut repaired: Vec<Rectangle> = truth.first().copied().into_iter().collect();
    let mut repeated = 0;
    for &rectangle in estimate.iter().take(truth.len()).skip(1) {
        repeated += usize::from(!rectangle.is_valid());
        let last = repaired.last().copied().unwrap_or(rectangle);
        repaired.push(if rectangle.is_valid() { rectangle } else { last });
    }
    (repaired, repeated)
}

fn scores(truth: &[Rectangle], estimate: &[Rectangle]) -> impl Iterator<Item = FrameScore> {
    let frames = truth.iter().zip(estimate).enumerate().filter(|(_, (truth, _))| truth.is_valid());
    frames.map(|(frame, (truth, estimate))| FrameScore {
        frame,
        truth: *truth,
        estimate: *estimate,
        overlap: truth.iou(estimate),
        center_error_px: truth.center_distance(estimate),
    })
}

fn success_curve(scores: &[FrameScore]) -> Vec<(f64, f64)> {
    let above = |threshold: f64| share(scores, |score| score.overlap > threshold);
    (0..=SUCCESS_STEPS).map(success_threshold).map(|threshold| (threshold, above(threshold))).collect()
}

/// `0:0.05:1` as MATLAB makes it: from both ends towards the middle. The last bits decide frames whose overlap is a
/// threshold.
fn success_threshold(step: u32) -> f64 {
    if step <= SUCCESS_STEPS / 2 {
        0.05 * f64::from(step)
    } else {
        1.0 - 0.05 * f64::from(SUCCESS_STEPS - step)
    }
}

fn precision_curve(scores: &[FrameScore]) -> Vec<(f64, f64)> {
    let within = |threshold: f64| share(scores, |score| score.center_error_px <= threshold);
    (0..=PRECISION_STEPS).map(f64::from).map(|threshold| (threshold, within(threshold))).collect()
}

fn share(scores: &[FrameScore], holds: impl Fn(&FrameScore) -> bool) -> f64 {
    scores.iter().filter(|score| holds(score)).count() as f64 / scores.len() as f64
}

/// 0 of nothing.
pub(super) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Rectangle = Rectangle::new(10.0, 10.0, 40.0, 20.0);
    const NOTHING: Rectangle = Rectangle::new(f64::NAN, f64::NAN, f64::NAN, f64::NAN);

    fn aside(dx: f64) -> Rectangle {
        Rectangle { x: TARGET.x + dx, ..TARGET }
    }

    fn measure(truth: &[Rectangle], estimate: &[Rectangle]) -> OnePassReport {
        OnePassReport::measure(truth, estimate).unwrap()
    }

    #[test]
    fn a_perfect_estimate_misses_only_the_last_threshold() {
        let report = measure(&[TARGET; 3], &[TARGET; 3]);
        // No overlap is above 1.
        assert_eq!((report.auc, report.precision_20px, report.mean_overlap), (20.0 / 21.0, 1.0, 1.0));
    }

    #[test]
    fn overlap_and_distance_are_counted_frame_by_frame() {
        // 10 px aside: 30 of 50 columns are common. 20 px: 20 of 60. 40 px: none.
        let report = measure(&[TARGET; 4], &[TARGET, aside(10.0), aside(20.0), aside(40.0)]);
        let above = |overlap: f64| report.success.iter().filter(|(t, _)| overlap > *t).count() as f64;
        let expected = (above(1.0) + above(0.6) + above(1.0 / 3.0)) / (4.0 * 21.0);
        assert!((report.auc - expected).abs() < 1e-15, "{} {expected}", report.auc);
        assert_eq!((above(1.0), above(1.0 / 3.0)), (20.0, 7.0));
        // Centres are 0, 10, 20 and 40 px off, and 20 is still near enough.
        assert_eq!(report.precision_20px, 0.75);
        assert_eq!((report.precision[19].1, report.precision[40].1), (0.5, 1.0));
    }

    #[test]
    fn thresholds_are_those_of_matlab() {
        assert_eq!(success_threshold(12).to_bits(), 0.6_f64.to_bits());
        assert_eq!(success_threshold(20), 1.0);
        // A tie is not above.
        let half = Rectangle { width: TARGET.width / 2.0, ..TARGET };
        let report = measure(&[TARGET; 2], &[TARGET, half]);
        assert_eq!((report.success[9].1, report.success[10].1), (1.0, 0.5));
    }

    #[test]
    fn the_first_frame_is_given_and_what_is_no_box_repeats() {
        let report =
            measure(&[TARGET; 4], &[NOTHING, aside(10.0), NOTHING, Rectangle::new(1.0, 1.0, 0.0, 5.0)]);
        assert_eq!(report.repeated_frames, 2);
        let errors: Vec<f64> = report.scores.iter().map(|score| score.center_error_px).collect();
        assert_eq!(errors, [0.0, 10.0, 10.0, 10.0]);
    }

    #[test]
    fn frames_without_target_are_left_out_and_counted() {
        let report = measure(&[TARGET, NOTHING, TARGET], &[TARGET, aside(99.0), TARGET]);
        assert_eq!((report.frames, report.frames_without_target, report.precision_20px), (2, 1, 1.0));
        assert_eq!(report.scores[1].frame, 2);
        assert_eq!(report.notes(), ["1 frames have no target in the truth and are left out"]);
        let error = OnePassReport::measure(&[NOTHING; 2], &[TARGET; 2]).unwrap_err().to_string();
        assert_eq!(error, "expected a frame with a target in the truth, found none among 2");
    }

    #[test]
    fn missing_estimates_are_an_error_and_surplus_ones_a_note() {
        let error = OnePassReport::measure(&[TARGET; 3], &[TARGET; 2]).unwrap_err().to_string();
        assert_eq!(error, "expected one estimated box for each of the truth, found 2 for 3");
        let report = measure(&[TARGET; 2], &[TARGET, TARGET, aside(99.0)]);
        assert_eq!((report.frames, report.surplus_rows, report.precision_20px), (2, 1, 1.0));
    }
}
