//! One camera against a map that is held.

use geometry::Se3;
use nalgebra::{Matrix6, Vector2, Vector3, Vector6};

use super::RobustCost;
use super::view::{project_scaled, projection_jacobian, twist_jacobian};

/// The pose of one camera from points that are held: robust Gauss-Newton from `start`.
///
/// `seen` are points in the world with where the camera sees them on the plane `z = 1`. Returns the pose
/// `camera_from_world` and the information matrix of its left perturbation, for residuals of unit deviation.
pub(crate) fn refine_pose(
    start: &Se3,
    seen: &[(Vector3<f64>, Vector2<f64>)],
    robust: RobustCost,
) -> (Se3, Matrix6<f64>) {
    let mut camera_from_world = *start;
    let mut information = Matrix6::zeros();
    for _ in 0..10 {
        information = Matrix6::zeros();
        let mut gradient = Vector6::zeros();
        for (point, pixel) in seen {
            let q = camera_from_world * *point;
            let Some(predicted) = project_scaled(&q) else { continue };
            let residual = predicted - pixel;
            let by_q = projection_jacobian(&predicted, q.z);
            let jacobian = by_q * twist_jacobian(1.0, &q);
            let weight = robust.weight(&residual);
            information += jacobian.tr_mul(&jacobian) * weight;
            gradient += jacobian.tr_mul(&residual) * weight;
        }
        let Some(step) = information.cholesky().map(|c| -c.solve(&gradient)) else { break };
        camera_from_world = Se3::exp(&step) * camera_from_world;
        if step.norm() < 1e-7 {
            break;
        }
    }
    (camera_from_world, information)
}
