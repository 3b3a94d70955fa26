//! The error over snippets of a few frames that SfMLearner introduced (Zhou et al. 2017, `kitti_eval`).

use nalgebra::Vector3;

use crate::AssociatedFrame;

/// What every print of this metric must say.
pub const SNIPPET_PROTOCOL: &str = "snippets of 5 frames, each with its own ground-truth scale, first pose set to the true one, \
     sqrt(sum)/N as SfMLearner computes it (0.447 of an rmse)";

/// One error for each snippet.
///
/// The metric flatters, in three ways: each snippet gets the scale that fits the ground truth best, so scale drift is
/// invisible; the first pose is right by definition and counts as one of `N`; and the sum of squares leaves the root
/// before it is divided, `sqrt(sum) / N` instead of `sqrt(sum / N)`, which at five frames is 0.447 of a root mean
/// square. It is kept because the literature's tables are in it; `rmse_m` is the same without the last flaw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnippetErrors {
    /// `sqrt(sum) / N`, metres.
    pub ate_m: Vec<f64>,
    /// `sqrt(sum / N)`, metres.
    pub rmse_m: Vec<f64>,
}

/// The errors of all snippets of `length` frames in a row that all have an estimate; one starts at every frame.
pub fn snippet_errors(frames: &[AssociatedFrame], length: usize) -> SnippetErrors {
    errors(frames.windows(length.max(1)).filter_map(sum_of_squares), length)
}

/// What the same metric says of a camera that goes on as in the first true step of each snippet, turning included: a model
/// of constant velocity, which an estimate must beat to be worth its name. Of the snippets that have an estimate.
pub fn constant_velocity_errors(frames: &[AssociatedFrame], length: usize) -> SnippetErrors {
    let snippets =
        frames.windows(length.max(2)).filter(|snippet| snippet.iter().all(|f| f.estimate.is_some()));
    let squares = snippets.filter_map(|snippet| sum_of_squares(&gone_on(snippet)));
    errors(squares, length)
}

/// A snippet whose estimates repeat its first true step.
fn gone_on(snippet: &[AssociatedFrame]) -> Vec<AssociatedFrame> {
    let first = snippet[0].ground_truth;
    let step = first.inverse() * snippet[1].ground_truth;
    let poses = std::iter::successors(Some(first), |pose| Some(*pose * step));
    let with = |(frame, pose): (&AssociatedFrame, _)| AssociatedFrame { estimate: Some(pose), ..*frame };
    snippet.iter().zip(poses).map(with).collect()
}

fn errors(squares: impl Iterator<Item = f64>, length: usize) -> SnippetErrors {
    let n = length.max(1) as f64;
    let (ate_m, rmse_m) = squares.map(|sum| (sum.sqrt() / n, (sum / n).sqrt())).unzip();
    SnippetErrors { ate_m, rmse_m }
}

fn sum_of_squares(snippet: &[AssociatedFrame]) -> Option<f64> {
    let first = snippet.first()?;
    let (truth_0, estimate_0) = (first.ground_truth.inverse(), first.estimate?.inverse());
    let truth = snippet.iter().map(|frame| (truth_0 * frame.ground_truth).translation);
    let estimate: Option<Vec<Vector3<f64>>> =
        snippet.iter().map(|frame| frame.estimate.map(|pose| (estimate_0 * pose).translation)).collect();
    let pairs: Vec<_> = truth.zip(estimate?).collect();
    let products: f64 = pairs.iter().map(|(g, e)| g.dot(e)).sum();
    let squares: f64 = pairs.iter().map(|(_, e)| e.norm_squared()).sum();
    // An estimate that stands still stays at the origin whatever its scale.
    let scale = if squares > 0.0 { products / squares } else { 1.0 };
    Some(pairs.iter().map(|(g, e)| (e * scale - g).norm_squared()).sum())
}

#[cfg(test)]
mod tests {
    use geometry::{Se3, Timestamp};
    use nalgebra::UnitQuaternion;

    use super::*;

    fn frame(z: f64, estimate: Option<(f64, f64)>) -> AssociatedFrame {
        let pose = |x, z| Se3::new(UnitQuaternion::identity(), Vector3::new(x, 0.0, z));
        let estimate = estimate.map(|(x, z)| pose(x, z));
        AssociatedFrame { stamp: Timestamp::ZERO, ground_truth: pose(0.0, z), estimate }
    }

    #[test]
    fn scale_is_forgiven() {
        let frames: Vec<_> = (0..7).map(|i| frame(f64::from(i), Some((0.0, f64::from(i) * 0.1)))).collect();
        let errors = snippet_errors(&frames, 5);
        assert_eq!(errors.ate_m.len(), 3);
        assert!(errors.ate_m.iter().all(|e| *e < 1e-12));
    }

    #[test]
    fn standing_still_costs_the_whole_way_and_the_flaw_is_as_told() {
        let frames: Vec<_> = (0..5).map(|i| frame(f64::from(i), Some((0.0, 0.0)))).collect();
        let errors = snippet_errors(&frames, 5);
        assert!((errors.ate_m[0] - 30f64.sqrt() / 5.0).abs() < 1e-12);
        assert!((errors.ate_m[0] / errors.rmse_m[0] - 0.2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_missing_frame_ends_every_snippet_it_is_in() {
        let mut frames: Vec<_> = (0..10).map(|i| frame(f64::from(i), Some((0.1, f64::from(i))))).collect();
        frames[4].estimate = None;
        assert_eq!(snippet_errors(&frames, 5).ate_m.len(), 1);
    }

    #[test]
    fn a_camera_that_goes_on_is_right_until_the_speed_changes() {
        let frames = |place: fn(f64) -> f64| -> Vec<AssociatedFrame> {
            (0..6).map(|i| frame(place(f64::from(i)), Some((0.0, 0.0)))).collect()
        };
        let steady = constant_velocity_errors(&frames(|i| 2.0 * i), 5);
        assert_eq!(steady.ate_m.len(), 2);
        assert!(steady.ate_m.iter().all(|error| *error < 1e-12));
        // Of 0 1 4 9 16, by a line through the origin: 30 * 354 - 100^2 over 30 is left of the sum of squares.
        let faster = constant_velocity_errors(&frames(|i| i * i), 5);
        let wanted = (354.0_f64 - 100.0 * 100.0 / 30.0).sqrt() / 5.0;
        assert!((faster.ate_m[0] - wanted).abs() < 1e-12, "{} and {wanted}", faster.ate_m[0]);
    }
}
