//! Moving an estimate onto the ground truth before errors are taken.

use std::fmt;
use std::str::FromStr;

use geometry::Se3;
use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

/// What alignment may change. Both trajectories are seen from their first common pose before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// Nothing: the first poses coincide, the rest is error. For systems with metric scale.
    #[default]
    None,
    /// One factor for all positions, the least-squares one; the first poses still coincide.
    Scale,
    /// Rotation and translation (6 degrees of freedom).
    Se3,
    /// Rotation, translation and scale (7 degrees of freedom). The usual choice for monocular estimates.
    Sim3,
}

impl Alignment {
    /// The name that commands and files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scale => "scale",
            Self::Se3 => "se3",
            Self::Sim3 => "sim3",
        }
    }
}

impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Alignment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::None, Self::Scale, Self::Se3, Self::Sim3]
            .into_iter()
            .find(|alignment| alignment.name() == name)
            .ok_or_else(|| format!("expected none, scale, se3 or sim3, found `{name}`"))
    }
}

/// `x -> scale * rotation * x + translation`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Factor on lengths.
    pub scale: f64,
    /// The rotation.
    pub rotation: UnitQuaternion<f64>,
    /// The translation, in the ground truth's metres.
    pub translation: Vector3<f64>,
}

impl Similarity {
    /// What moves nothing.
    pub fn identity() -> Self {
        Self { scale: 1.0, rotation: UnitQuaternion::identity(), translation: Vector3::zeros() }
    }

    /// Where a point goes.
    pub fn apply_to_point(&self, point: &Vector3<f64>) -> Vector3<f64> {
        self.rotation * point * self.scale + self.translation
    }

    /// Where a pose goes; its rotation stays a rotation.
    pub fn apply(&self, pose: &Se3) -> Se3 {
        Se3::new(self.rotation * pose.rotation, self.apply_to_point(&pose.translation))
    }
}

/// An alignment found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Takes the estimate to the ground truth.
    pub ground_truth_from_estimate: Similarity,
    /// What the positions could not tell, in words for the reader of the figures.
    pub notes: Vec<String>,
}

/// The alignment of `estimate` to `ground_truth`, pairs of positions, that minimises the sum of squared distances
/// (Umeyama 1991).
///
/// What the positions leave open is settled without failing, and said in the notes: with all positions on one line,
/// the smallest rotation that turns one line into the other; with no motion at all, no rotation and scale 1.
pub fn align(estimate: &[Vector3<f64>], ground_truth: &[Vector3<f64>], alignment: Alignment) -> Fit {
    match alignment {
        Alignment::None => Fit { ground_truth_from_estimate: Similarity::identity(), notes: Vec::new() },
        Alignment::Scale => align_scale(estimate, ground_truth),
        Alignment::Se3 => umeyama(estimate, ground_truth, false),
        Alignment::Sim3 => umeyama(estimate, ground_truth, true),
    }
}

/// Below this spread (root mean square, metres) positions don't move, and no scale can be told from them.
const STATIC_SPREAD_M: f64 = 1e-6;
/// Below this ratio of the covariance's singular values the positions lie on one line.
const COLLINEAR_RATIO: f64 = 1e-9;

fn align_scale(estimate: &[Vector3<f64>], ground_truth: &[Vector3<f64>]) -> Fit {
    let products: f64 = estimate.iter().zip(ground_truth).map(|(e, g)| e.dot(g)).sum();
    let squares: f64 = estimate.iter().map(Vector3::norm_squared).sum();
    let spread = |points: &[Vector3<f64>]| root_mean_square(points, &Vector3::zeros());
    let mut fit = Fit { ground_truth_from_estimate: Similarity::identity(), notes: Vec::new() };
    if let Some(note) = static_note(spread(estimate), spread(ground_truth)) {
        fit.notes.push(note);
        return fit;
    }
    fit.ground_truth_from_estimate.scale = products / squares;
    if products < 0.0 {
        fit.notes.push("the best scale is negative: the estimate goes backwards, and is mirrored".to_owned());
    }
    fit
}

fn umeyama(estimate: &[Vector3<f64>], ground_truth: &[Vector3<f64>], with_scale: bool) -> Fit {
    let (mean_e, mean_g) = (mean(estimate), mean(ground_truth));
    let (spread_e, spread_g) = (root_mean_square(estimate, &mean_e), root_mean_square(ground_truth, &mean_g));
    let mut notes = Vec::new();
    let (mut rotation, mut scale) = (UnitQuaternion::identity(), 1.0);
    if let Some(note) = static_note(spread_e, spread_g) {
        notes.push(note);
    } else {
        let covariance = covariance(estimate, &mean_e, ground_truth, &mean_g);
        let turn = best_rotation(&covariance);
        rotation = turn.rotation;
        if turn.collinear {
            notes.push(
                "all positions lie on one line: the turn about it is open, and the smallest rotation is taken".to_owned(),
            );
        }
        if with_scale {
            scale = turn.trace / (spread_e * spread_e);
        }
    }
    let translation = mean_g - rotation * mean_e * scale;
    Fit { ground_truth_from_estimate: Similarity { scale, rotation, translation }, notes }
}

struct Turn {
    rotation: UnitQuaternion<f64>,
    /// Trace of `D S`, eq. 42.
    trace: f64,
    collinear: bool,
}

/// The rotation that maximises the trace of `R^T covariance` (eq. 40), from a covariance that is not 0.
fn best_rotation(covariance: &Matrix3<f64>) -> Turn {
    let svd = covariance.svd(true, true);
    let (u, v_t) = (svd.u.unwrap_or_else(Matrix3::identity), svd.v_t.unwrap_or_else(Matrix3::identity));
    let d = svd.singular_values;
    if d[1] <= COLLINEAR_RATIO * d[0] {
        let (to, from) = (u.column(0).into_owned(), v_t.row(0).transpose());
        return Turn { rotation: smallest_rotation(&from, &to), trace: d[0], collinear: true };
    }
    // Eq. 43: a reflection would fit better where the determinants differ in sign; the least direction pays.
    let sign = (u.determinant() * v_t.determinant()).signum();
    let matrix = u * Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, sign)) * v_t;
    let rotation = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(matrix));
    Turn { rotation, trace: d[0] + d[1] + sign * d[2], collinear: false }
}

fn smallest_rotation(from: &Vector3<f64>, to: &Vector3<f64>) -> UnitQuaternion<f64> {
    UnitQuaternion::rotation_between(from, to).unwrap_or_else(|| {
        // Opposite directions: half a turn about anything square to them.
        let axis = from.cross(&Vector3::ith(from.iamin(), 1.0));
        UnitQuaternion::from_scaled_axis(axis.normalize() * std::f64::consts::PI)
    })
}

fn static_note(spread_estimate: f64, spread_ground_truth: f64) -> Option<String> {
    let who = match (spread_estimate < STATIC_SPREAD_M, spread_ground_truth < STATIC_SPREAD_M) {
        (true, true) => "neither trajectory moves",
        (true, false) => "the estimate does not move",
        (false, true) => "the ground truth does not move",
        (false, false) => return None,
    };
    Some(format!("{who}: rotation and scale can't be told and stay as they are"))
}

fn mean(points: &[Vector3<f64>]) -> Vector3<f64> {
    points.iter().sum::<Vector3<f64>>() / points.len().max(1) as f64
}

fn root_mean_square(points: &[Vector3<f64>], center: &Vector3<f64>) -> f64 {
    let squares: f64 = points.iter().map(|p| (p - center).norm_squared()).sum();
    (squares / points.len().max(1) as f64).sqrt()
}

/// Mean of `(g - mean_g) (e - mean_e)^T`, eq. 38.
fn covariance(
    estimate: &[Vector3<f64>],
    mean_e: &Vector3<f64>,
    ground_truth: &[Vector3<f64>],
    mean_g: &Vector3<f64>,
) -> Matrix3<f64> {
    let outer = estimate.iter().zip(ground_truth).map(|(e, g)| (g - mean_g) * (e - mean_e).transpose());
    outer.sum::<Matrix3<f64>>() / estimate.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wiggle() -> Vec<Vector3<f64>> {
        (0..40)
            .map(f64::from)
            .map(|t| Vector3::new(t, (t * 0.3).sin() * 4.0, (t * 0.11).cos() * 9.0))
            .collect()
    }

    proptest! {
        #[test]
        fn sim3_recovers_a_known_similarity(
            axis in prop::array::uniform3(-1.7..1.7), shift in prop::array::uniform3(-100.0..100.0), scale in 0.05..20.0,
        ) {
            let truth = Similarity {
                scale, rotation: UnitQuaternion::from_scaled_axis(Vector3::from(axis)), translation: Vector3::from(shift),
            };
            let points = wiggle();
            let moved: Vec<_> = points.iter().map(|p| truth.apply_to_point(p)).collect();
            let fit = align(&points, &moved, Alignment::Sim3).ground_truth_from_estimate;
            prop_assert!((fit.scale / scale - 1.0).abs() < 1e-10);
            prop_assert!(fit.rotation.angle_to(&truth.rotation) < 1e-7);
            for (p, q) in points.iter().zip(&moved) {
                prop_assert!((fit.apply_to_point(p) - q).norm() < 1e-8);
            }
        }
    }

    #[test]
    fn a_mirror_image_is_met_by_a_rotation_not_a_reflection() {
        let points = wiggle();
        let mirrored: Vec<_> = points.iter().map(|p| Vector3::new(p.x, p.y, -p.z)).collect();
        let rotation = align(&points, &mirrored, Alignment::Se3).ground_truth_from_estimate.rotation;
        assert!((rotation.to_rotation_matrix().matrix().determinant() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_straight_flight_takes_the_smallest_rotation_and_says_so() {
        let line: Vec<_> = (0..9).map(|t| Vector3::new(0.0, 0.0, f64::from(t))).collect();
        let other: Vec<_> = line.iter().map(|p| Vector3::new(2.0 * p.z, 1.0, 0.0)).collect();
        let fit = align(&line, &other, Alignment::Sim3);
        assert!(fit.notes[0].contains("on one line"), "{:?}", fit.notes);
        let similarity = fit.ground_truth_from_estimate;
        assert!((similarity.scale - 2.0).abs() < 1e-12);
        assert!((similarity.rotation * Vector3::y() - Vector3::y()).norm() < 1e-9);
        assert!((similarity.apply_to_point(&line[4]) - other[4]).norm() < 1e-9);
    }

    #[test]
    fn flying_the_line_backwards_is_half_a_turn() {
        let line: Vec<_> = (0..5).map(|t| Vector3::new(f64::from(t), 0.0, 0.0)).collect();
        let back: Vec<_> = line.iter().map(|p| -p).collect();
        let fit = align(&line, &back, Alignment::Se3).ground_truth_from_estimate;
        assert!((fit.apply_to_point(&line[3]) - back[3]).norm() < 1e-9);
    }

    #[test]
    fn two_points_one_point_and_hovering_do_not_fail() {
        let two = [Vector3::zeros(), Vector3::x()];
        assert!(
            (align(&two, &[Vector3::zeros(), Vector3::y() * 3.0], Alignment::Sim3)
                .ground_truth_from_estimate
                .scale
                - 3.0)
                .abs()
                < 1e-12
        );
        for alignment in [Alignment::Scale, Alignment::Se3, Alignment::Sim3] {
            let hover = align(&[Vector3::zeros(); 5], &[Vector3::zeros(); 5], alignment);
            assert_eq!(hover.ground_truth_from_estimate.scale, 1.0);
            assert!(hover.notes[0].contains("neither trajectory moves"));
            let drifting = align(&wiggle(), &vec![Vector3::zeros(); 40], alignment);
            assert_eq!(drifting.ground_truth_from_estimate.scale, 1.0, "scale 0 would hide all drift");
        }
    }

    #[test]
    fn names_parse_and_print() {
        assert_eq!("sim3".parse(), Ok(Alignment::Sim3));
        assert_eq!(
            "7dof".parse::<Alignment>().unwrap_err(),
            "expected none, scale, se3 or sim3, found `7dof`"
        );
        assert_eq!(Alignment::Scale.to_string(), "scale");
    }
}
