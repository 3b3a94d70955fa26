//! Rigid motion in three dimensions.

use std::ops::Mul;

use nalgebra::{
    Isometry3, Matrix3, Matrix3x4, Matrix4, Matrix6, Quaternion, Rotation3, Translation3, UnitQuaternion,
    Vector3, Vector6,
};

/// A rigid motion: rotation, then translation. Acts on points by `pose * point` and composes by `a * b`
/// (`b` first), so that `world_from_camera * camera_from_body` is `world_from_body`.
///
/// Tangent vectors are ordered `(translation, rotation)`: metres, then radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Se3 {
    /// The rotation.
    pub rotation: UnitQuaternion<f64>,
    /// The translation.
    pub translation: Vector3<f64>,
}

/// Below this angle the closed forms lose digits and series take over.
const SMALL_ANGLE: f64 = 1e-4;

impl Se3 {
    /// The motion that moves nothing.
    pub fn identity() -> Self {
        Self { rotation: UnitQuaternion::identity(), translation: Vector3::zeros() }
    }

    /// A motion from its parts.
    pub fn new(rotation: UnitQuaternion<f64>, translation: Vector3<f64>) -> Self {
        Self { rotation, translation }
    }

    /// A motion from a rotation matrix, which is projected to the nearest rotation, and a translation.
    ///
    /// The nearest rotation is found by singular value decomposition, so the seven printed digits of a dataset's
    /// matrix do no harm.
    pub fn from_rotation_matrix(rotation: &Matrix3<f64>, translation: Vector3<f64>) -> Self {
        let svd = rotation.svd(true, true);
        let (u, v_t) = (svd.u.unwrap_or_else(Matrix3::identity), svd.v_t.unwrap_or_else(Matrix3::identity));
        let sign = Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, (u * v_t).determinant().signum()));
        let nearest = Rotation3::from_matrix_unchecked(u * sign * v_t);
        Self::new(UnitQuaternion::from_rotation_matrix(&nearest), translation)
    }

    /// A motion from a quaternion `(x, y, z, w)` of any length but 0, as TUM files order it; `None` for length 0.
    pub fn from_xyzw(translation: Vector3<f64>, xyzw: [f64; 4]) -> Option<Self> {
        let [x, y, z, w] = xyzw;
        UnitQuaternion::try_new(Quaternion::new(w, x, y, z), 1e-9)
            .map(|rotation| Self::new(rotation, translation))
    }

    /// The quaternion as `(x, y, z, w)`.
    pub fn xyzw(&self) -> [f64; 4] {
        let q = self.rotation.quaternion();
        [q.i, q.j, q.k, q.w]
    }

    /// The exponential map: `tangent` is `(rho, phi)`, the motion of following that twist for unit time.
    pub fn exp(tangent: &Vector6<f64>) -> Self {
        let (rho, phi) = (tangent.fixed_rows::<3>(0).into_owned(), tangent.fixed_rows::<3>(3).into_owned());
        Self::new(UnitQuaternion::from_scaled_axis(phi), left_jacobian(&phi) * rho)
    }

    /// The logarithm: the tangent `(rho, phi)` whose [`exp`](Self::exp) this is, with `|phi| <= pi`.
    pub fn log(&self) -> Vector6<f64> {
        let phi = self.rotation.scaled_axis();
        let rho = left_jacobian_inverse(&phi) * self.translation;
        Vector6::new(rho.x, rho.y, rho.z, phi.x, phi.y, phi.z)
    }

    /// The motion back.
    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.inverse();
        Self::new(rotation, -(rotation * self.translation))
    }

    /// The adjoint: `T exp(x) T^-1 = exp(Ad x)`.
    pub fn adjoint(&self) -> Matrix6<f64> {
        let r = self.rotation_matrix();
        let mut adjoint = Matrix6::zeros();
        adjoint.fixed_view_mut::<3, 3>(0, 0).copy_from(&r);
        adjoint.fixed_view_mut::<3, 3>(0, 3).copy_from(&(skew(&self.translation) * r));
        adjoint.fixed_view_mut::<3, 3>(3, 3).copy_from(&r);
        adjoint
    }

    /// The rotation as a matrix.
    pub fn rotation_matrix(&self) -> Matrix3<f64> {
        self.rotation.to_rotation_matrix().into_inner()
    }

    /// The rotation's angle in radians, in `[0, pi]`.
    pub fn angle_rad(&self) -> f64 {
        self.rotation.angle()
    }

    /// `[R | t]`, the twelve numbers of a KITTI pose row.
    pub fn to_matrix3x4(&self) -> Matrix3x4<f64> {
        let mut matrix = Matrix3x4::zeros();
        matrix.fixed_view_mut::<3, 3>(0, 0).copy_from(&self.rotation_matrix());
        matrix.set_column(3, &self.translation);
        matrix
    }

    /// The homogeneous matrix.
    pub fn to_matrix4(&self) -> Matrix4<f64> {
        Isometry3::from_parts(Translation3::from(self.translation), self.rotation).to_homogeneous()
    }

    /// The motion a fraction `t` of the way from `self` to `other`: straight line and shortest turn, apart.
    pub fn interpolate(&self, other: &Self, t: f64) -> Self {
        let rotation = self.rotation.try_slerp(&other.rotation, t, 1e-12).unwrap_or(self.rotation);
        Self::new(rotation, self.translation.lerp(&other.translation, t))
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.rotation.coords.iter().chain(self.translation.iter()).all(|v| v.is_finite())
    }
}

impl Mul for Se3 {
    type Output = Self;

    fn mul(self, rhs: Self) -> Self {
        let mut rotation = self.rotation * rhs.rotation;
        rotation.renormalize_fast();
        Self::new(rotation, self.rotation * rhs.translation + self.translation)
    }
}

impl Mul<Vector3<f64>> for Se3 {
    type Output = Vector3<f64>;

    fn mul(self, point: Vector3<f64>) -> Vector3<f64> {
        self.rotation * point + self.translation
    }
}

/// The matrix of the cross product: `skew(a) * b = a x b`.
pub fn skew(v: &Vector3<f64>) -> Matrix3<f64> {
    Matrix3::new(0.0, -v.z, v.y, v.z, 0.0, -v.x, -v.y, v.x, 0.0)
}

/// Left Jacobian of SO(3) (Barfoot 2017, eq. 7.77a).
fn left_jacobian(phi: &Vector3<f64>) -> Matrix3<f64> {
    let angle = phi.norm();
    let hat = skew(phi);
    let (a, b) = if angle < SMALL_ANGLE {
        (0.5 - angle * angle / 24.0, 1.0 / 6.0 - angle * angle / 120.0)
    } else {
        ((1.0 - angle.cos()) / (angle * angle), (angle - angle.sin()) / angle.powi(3))
    };
    Matrix3::identity() + hat * a + hat * hat * b
}

/// Its inverse (Barfoot 2017, eq. 7.76b).
fn left_jacobian_inverse(phi: &Vector3<f64>) -> Matrix3<f64> {
    let angle = phi.norm();
    let hat = skew(phi);
    let c = if angle < SMALL_ANGLE {
        1.0 / 12.0 + angle * angle / 720.0
    } else {
        // The half angle keeps digits up to a half turn.
        let half = angle / 2.0;
        (1.0 - half * half.cos() / half.sin()) / (angle * angle)
    };
    Matrix3::identity() - hat * 0.5 + hat * hat * c
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tangent(max_angle: f64) -> impl Strategy<Value = Vector6<f64>> {
        let range = -max_angle / 1.8..max_angle / 1.8;
        (prop::array::uniform3(-10.0..10.0), prop::array::uniform3(range))
            .prop_map(|(rho, phi)| Vector6::new(rho[0], rho[1], rho[2], phi[0], phi[1], phi[2]))
    }

    proptest! {
        #[test]
        fn log_inverts_exp(x in tangent(3.1)) {
            prop_assert!((Se3::exp(&x).log() - x).norm() < 1e-8);
        }

        #[test]
        fn log_inverts_exp_for_tiny_turns(x in tangent(1e-4)) {
            prop_assert!((Se3::exp(&x).log() - x).norm() < 1e-12);
        }

        #[test]
        fn adjoint_moves_a_twist_across(x in tangent(3.0), y in tangent(1.0)) {
            let pose = Se3::exp(&x);
            let left = pose * Se3::exp(&y) * pose.inverse();
            let right = Se3::exp(&(pose.adjoint() * y));
            prop_assert!((left.to_matrix4() - right.to_matrix4()).norm() < 1e-8);
        }

        #[test]
        fn inverse_undoes(x in tangent(3.0)) {
            let pose = Se3::exp(&x);
            prop_assert!(((pose * pose.inverse()).to_matrix4() - Matrix4::identity()).norm() < 1e-12);
        }
    }

    #[test]
    fn exp_agrees_with_the_matrix_exponential() {
        let x = Vector6::new(0.3, -0.2, 0.5, 0.4, 0.1, -0.7);
        let mut twist = Matrix4::zeros();
        twist.fixed_view_mut::<3, 3>(0, 0).copy_from(&skew(&Vector3::new(x[3], x[4], x[5])));
        twist.fixed_view_mut::<3, 1>(0, 3).copy_from(&Vector3::new(x[0], x[1], x[2]));
        assert!((Se3::exp(&x).to_matrix4() - twist.exp()).norm() < 1e-12);
    }

    #[test]
    fn halfway_is_half_the_turn_and_half_the_way() {
        let turned = Se3::new(UnitQuaternion::from_euler_angles(0.0, 0.0, 1.0), Vector3::new(2.0, 0.0, 0.0));
        let half = Se3::identity().interpolate(&turned, 0.5);
        assert!((half.angle_rad() - 0.5).abs() < 1e-12);
        assert_eq!(half.translation, Vector3::new(1.0, 0.0, 0.0));
    }

    #[test]
    fn a_rounded_rotation_matrix_is_mended() {
        let exact = UnitQuaternion::from_euler_angles(0.1, -0.2, 0.3);
        let rounded = exact.to_rotation_matrix().into_inner().map(|v: f64| (v * 1e6).round() / 1e6);
        let pose = Se3::from_rotation_matrix(&rounded, Vector3::zeros());
        assert!((pose.rotation_matrix().determinant() - 1.0).abs() < 1e-12);
        assert!(pose.rotation.angle_to(&exact) < 1e-5);
    }
}
