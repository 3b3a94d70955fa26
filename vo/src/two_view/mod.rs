//! The relative pose of two views of an unknown scene, flat or not.
//!
//! A flat scene leaves the essential matrix undetermined and a scene with depth fits no homography, so both are
//! estimated and their decompositions handed on as hypotheses; which one holds is decided by how well all frames in between agree with it.

mod essential;
mod homography;
mod plane;
mod rotation;

use geometry::Se3;
use nalgebra::{Matrix3, Vector2, Vector3};

pub(crate) use plane::PlaneFit;
pub(crate) use rotation::{best_rotation, parallax, rotation_of, turn_error};

/// Where the first and the second view see the same point, on the plane `z = 1`.
pub(crate) type Match = (Vector2<f64>, Vector2<f64>);

/// A model that sample consensus can fit.
trait Model: Sized {
    /// Matches needed for one hypothesis.
    const SAMPLE: usize;
    /// The model through a sample; `None` where the sample is degenerate.
    fn fit(sample: &[Match]) -> Option<Self>;
    /// Squared distance of a match from the model, on the plane `z = 1`.
    fn squared_error(&self, m: &Match) -> f64;
}

/// Rounds of sample consensus: 0.99 sure of a clean sample of eight at 40 % outliers.
const MAX_ROUNDS: usize = 300;
/// Fixed, so that the same frames give the same trajectory.
const SEED: u64 = 0x6b65_7374_7265_6c00;

/// Sample consensus with a truncated squared cost (MSAC, Torr and Zisserman 2000).
fn consensus<M: Model>(matches: &[Match], threshold: f64) -> Option<M> {
    if matches.len() < 2 * M::SAMPLE {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut best: Option<(f64, M)> = None;
    let mut sample = Vec::with_capacity(M::SAMPLE);
    for _ in 0..MAX_ROUNDS {
        sample.clear();
        sample.extend((0..M::SAMPLE).map(|_| matches[random.usize(..matches.len())]));
        let Some(model) = M::fit(&sample) else { continue };
        let cost: f64 = matches.iter().map(|m| model.squared_error(m).min(threshold * threshold)).sum();
        if best.as_ref().is_none_or(|(lowest, _)| cost < *lowest) {
            best = Some((cost, model));
        }
    }
    let (_, model) = best?;
    let inliers: Vec<Match> =
        matches.iter().filter(|m| model.squared_error(m) < threshold * threshold).copied().collect();
    // The model of all inliers is better than that of its sample, where it exists.
    (inliers.len() >= M::SAMPLE).then(|| M::fit(&inliers).unwrap_or(model))
}

/// Relative poses `second_from_first`, of unit translation, that explain the matches; at most five.
///
/// `threshold` is the noise on the plane `z = 1` above which a match is an outlier.
pub(crate) fn hypotheses(matches: &[Match], threshold: f64) -> Vec<Se3> {
    let mut poses = Vec::new();
    if let Some(essential) = consensus::<essential::Essential>(matches, threshold) {
        poses.extend(most_in_front(&essential.decompose(), matches));
    }
    if let Some(homography) = consensus::<homography::Homography>(matches, threshold) {
        poses.extend(most_in_front(&homography.decompose(), matches));
    }
    poses
}

/// The candidates under which nearly as many points lie in front of both views as under the best.
fn most_in_front(candidates: &[Se3], matches: &[Match]) -> Vec<Se3> {
    let in_front = |pose: &Se3| {
        matches
            .iter()
            .filter(|m| triangulate(pose, m).is_some_and(|inverse_depth| inverse_depth > 0.0))
            .count()
    };
    let counts: Vec<usize> = candidates.iter().map(in_front).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let good = candidates.iter().zip(&counts).filter(|(_, count)| **count > 0 && **count * 10 >= most * 8);
    good.map(|(pose, _)| *pose).collect()
}

/// Inverse depth in the first view of the point that fits a match best; `None` where it lies behind the second.
///
/// Linear: the second view's two equations `(R a + rho t) x b = 0` have one unknown, `rho`.
pub(crate) fn triangulate(second_from_first: &Se3, (first, second): &Match) -> Option<f64> {
    let rotated = second_from_first.rotation * first.push(1.0);
    let t = &second_from_first.translation;
    // b_x (r_z + rho t_z) = r_x + rho t_x, the same for y.
    let slope = Vector2::new(t.x - second.x * t.z, t.y - second.y * t.z);
    let target = Vector2::new(second.x * rotated.z - rotated.x, second.y * rotated.z - rotated.y);
    let denominator = slope.norm_squared();
    let inverse_depth = if denominator > 0.0 { slope.dot(&target) / denominator } else { 0.0 };
    (rotated.z + inverse_depth * t.z > 0.0).then_some(inverse_depth)
}

/// The proper rotation among `m` and `-m`.
fn proper(m: Matrix3<f64>) -> Matrix3<f64> {
    if m.determinant() < 0.0 { -m } else { m }
}

/// Unit translation, or none for a scene seen twice from the same place.
fn with_unit_translation(rotation: &Matrix3<f64>, translation: Vector3<f64>) -> Option<Se3> {
    translation.try_normalize(1e-12).map(|t| Se3::from_rotation_matrix(rotation, t))
}

#[cfg(test)]
mod tests {
    use nalgebra::UnitQuaternion;

    use super::*;

    fn matches(pose: &Se3, depth: impl Fn(f64, f64) -> f64, outliers: bool) -> Vec<Match> {
        let grid =
            (0..120).map(|i| Vector2::new(f64::from(i % 12) * 0.09 - 0.5, f64::from(i / 12) * 0.08 - 0.36));
        grid.enumerate()
            .map(|(i, first)| {
                let q = *pose * (first.push(1.0) * depth(first.x, first.y));
                let wild = if outliers && i % 4 == 0 {
                    Vector2::new(0.1, 0.07) * (i % 5) as f64
                } else {
                    Vector2::zeros()
                };
                (first, q.xy() / q.z + wild)
            })
            .collect()
    }

    fn check(depth: impl Fn(f64, f64) -> f64) {
        let truth = Se3::new(
            UnitQuaternion::from_euler_angles(0.02, -0.05, 0.1),
            Vector3::new(0.8, 0.2, 0.3).normalize(),
        );
        let found = hypotheses(&matches(&truth, depth, true), 1e-3);
        let error = |pose: &Se3| (pose.inverse() * truth).log().norm();
        let best = found.iter().map(error).fold(f64::INFINITY, f64::min);
        assert!(best < 1e-3, "nearest of {} hypotheses is off by {best}", found.len());
    }

    #[test]
    fn a_scene_with_depth_gives_its_pose() {
        check(|x, y| 6.0 + 2.0 * (9.0 * x).sin() * (7.0 * y).cos());
    }

    #[test]
    fn flat_ground_seen_from_above_and_aslant_gives_its_pose() {
        check(|_, _| 8.0);
        check(|x, y| 8.0 / (1.0 + 0.3 * x + 0.5 * y));
    }

    #[test]
    fn too_few_matches_give_nothing() {
        assert!(hypotheses(&matches(&Se3::identity(), |_, _| 1.0, false)[..5], 1e-3).is_empty());
    }
}
