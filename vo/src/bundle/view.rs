//! Where cameras see points, and how that changes.

use geometry::skew;
use nalgebra::{Matrix2x3, Matrix2x6, Matrix3, Matrix3x6, Vector2, Vector3};

use super::{Point, Pose, Problem, RobustCost, center};
use crate::lens::LensResidual;
use crate::median::median;

/// Points nearer than this to the plane through a camera's centre are not seen by it.
const MIN_DEPTH: f64 = 1e-3;

/// A pose as its observations need it.
pub(super) struct Camera {
    pub(super) rotation: Matrix3<f64>,
    pub(super) translation: Vector3<f64>,
    pub(super) center: Vector3<f64>,
}

impl Camera {
    pub(super) fn new(pose: &Pose) -> Self {
        Self {
            rotation: pose.camera_from_world.rotation_matrix(),
            translation: pose.camera_from_world.translation,
            center: center(&pose.camera_from_world),
        }
    }

    /// The point in this camera's frame, times its inverse depth: finite even at infinity.
    pub(super) fn see(&self, sight: &Sight) -> Vector3<f64> {
        self.rotation * sight.in_world + self.translation * sight.inverse_depth
    }
}

/// Poses and lens as one evaluation of all observations needs them.
pub(crate) struct View<'a> {
    pub(super) points: &'a [Point],
    pub(super) cameras: Vec<Camera>,
    pub(super) lens: LensResidual,
}

impl<'a> View<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        Self {
            points: &problem.points,
            cameras: problem.poses.iter().map(Camera::new).collect(),
            lens: problem.lens,
        }
    }

    pub(super) fn sight(&self, point: &Point) -> Sight {
        Sight::new(&self.cameras[point.host], point, &self.lens)
    }

    /// Predicted minus seen, on the plane `z = 1`; `None` where the point is not in front of the camera.
    pub(super) fn residual(&self, sight: &Sight, pose: usize, seen: &Vector2<f64>) -> Option<Vector2<f64>> {
        let predicted = project_scaled(&self.cameras[pose].see(sight));
        predicted.map(|predicted| predicted - self.lens.correct(seen))
    }

    /// Residuals of a point's observations, each with the index of its pose.
    pub(crate) fn residuals(&self, point: &Point) -> impl Iterator<Item = (usize, Option<Vector2<f64>>)> {
        let sight = self.sight(point);
        point.observations.iter().map(move |(pose, seen)| (*pose, self.residual(&sight, *pose, seen)))
    }

    /// Median error of an observation, on the plane `z = 1`; infinite where nothing is observed.
    pub(crate) fn median_error(&self) -> f64 {
        let errors = self.points.iter().flat_map(|point| self.residuals(point));
        let norm = |residual: Option<Vector2<f64>>| residual.map_or(f64::INFINITY, |r| r.norm());
        median(errors.map(|(_, residual)| norm(residual))).unwrap_or(f64::INFINITY)
    }
}

/// A point as all its observations need it.
pub(super) struct Sight {
    pub(super) inverse_depth: f64,
    /// Position in the world, times the inverse depth.
    pub(super) in_world: Vector3<f64>,
    /// Derivative of that by the inverse depth: the centre of the host.
    pub(super) by_inverse_depth: Vector3<f64>,
    /// Derivative of that by the lens.
    pub(super) by_lens: Vector3<f64>,
}

impl Sight {
    pub(super) fn new(host: &Camera, point: &Point, lens: &LensResidual) -> Self {
        let inverse_depth = point.inverse_depth;
        let ray = lens.correct(&point.ray_in_host).push(1.0);
        Self {
            inverse_depth,
            in_world: host.rotation.tr_mul(&ray) + host.center * inverse_depth,
            by_inverse_depth: host.center,
            by_lens: host.rotation.tr_mul(&LensResidual::derivative(&point.ray_in_host).push(0.0)),
        }
    }
}

pub(super) fn project_scaled(q: &Vector3<f64>) -> Option<Vector2<f64>> {
    (q.z > MIN_DEPTH).then(|| q.xy() / q.z)
}

/// Derivative of the projection to the plane `z = 1` by the point.
pub(super) fn projection_jacobian(predicted: &Vector2<f64>, z: f64) -> Matrix2x3<f64> {
    Matrix2x3::new(1.0, 0.0, -predicted.x, 0.0, 1.0, -predicted.y) / z
}

/// One observation's residual with its derivatives and weight.
pub(super) struct Linearized {
    pub(super) residual: Vector2<f64>,
    pub(super) weight: f64,
    /// By the twist that moves the world under the target; under the host it acts the other way.
    pub(super) by_target: Matrix2x6<f64>,
    pub(super) by_inverse_depth: Vector2<f64>,
    pub(super) by_lens: Vector2<f64>,
}

impl Linearized {
    pub(super) fn new(
        target: &Camera,
        lens: &LensResidual,
        sight: &Sight,
        seen: &Vector2<f64>,
        robust: RobustCost,
    ) -> Option<Self> {
        let q = target.see(sight);
        let predicted = project_scaled(&q)?;
        let residual = predicted - lens.correct(seen);
        let by_world = projection_jacobian(&predicted, q.z) * target.rotation;
        let by_center = projection_jacobian(&predicted, q.z) * target.translation;
        Some(Self {
            residual,
            weight: robust.weight(&residual),
            by_target: by_world * twist_jacobian(sight.inverse_depth, &sight.in_world),
            by_inverse_depth: by_world * sight.by_inverse_depth + by_center,
            by_lens: by_world * sight.by_lens - LensResidual::derivative(seen),
        })
    }
}

/// Derivative of a point scaled by its inverse depth by the twist `(translation, rotation)` that moves it.
pub(super) fn twist_jacobian(inverse_depth: f64, q: &Vector3<f64>) -> Matrix3x6<f64> {
    let mut jacobian = Matrix3x6::zeros();
    jacobian.fixed_view_mut::<3, 3>(0, 0).fill_diagonal(inverse_depth);
    jacobian.fixed_view_mut::<3, 3>(0, 3).copy_from(&-skew(q));
    jacobian
}
