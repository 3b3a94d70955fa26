//! Lens distortion: from ideal to real coordinates on the plane `z = 1`, and back.

use nalgebra::{Matrix2, Vector2};

/// How a lens bends rays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Distortion {
    /// Straight lines stay straight.
    #[default]
    None,
    /// Brown-Conrady, as OpenCV's five-coefficient model: `r' = r (1 + k1 r^2 + k2 r^4 + k3 r^6)` and
    /// tangential terms `p1`, `p2`.
    RadialTangential {
        /// Radial, second order.
        k1: f64,
        /// Radial, fourth order.
        k2: f64,
        /// Tangential, first.
        p1: f64,
        /// Tangential, second.
        p2: f64,
        /// Radial, sixth order.
        k3: f64,
    },
    /// Kannala and Brandt 2006, as OpenCV's fisheye and Kalibr's `equidistant`:
    /// `theta_d = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)`.
    KannalaBrandt {
        /// `k1` to `k4`.
        k: [f64; 4],
    },
}

const MAX_ITERATIONS: usize = 50;
const CONVERGED: f64 = 1e-12;

impl Distortion {
    /// All coefficients are numbers.
    pub fn is_finite(&self) -> bool {
        match *self {
            Self::None => true,
            Self::RadialTangential { k1, k2, p1, p2, k3 } => {
                [k1, k2, p1, p2, k3].iter().all(|v| v.is_finite())
            }
            Self::KannalaBrandt { k } => k.iter().all(|v| v.is_finite()),
        }
    }

    /// Where the lens puts the ray through `ideal` on the plane `z = 1`.
    pub fn distort(&self, ideal: Vector2<f64>) -> Vector2<f64> {
        match *self {
            Self::None => ideal,
            Self::RadialTangential { k1, k2, p1, p2, k3 } => {
                let (x, y) = (ideal.x, ideal.y);
                let r2 = x * x + y * y;
                let radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3));
                Vector2::new(
                    x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                    y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
                )
            }
            Self::KannalaBrandt { k } => {
                let r = ideal.norm();
                if r < 1e-12 { ideal } else { ideal * (fisheye_angle(&k, r.atan()) / r) }
            }
        }
    }

    /// The ideal point that [`distort`](Self::distort) takes to `distorted`; `None` where there is none (a pixel
    /// outside the lens's field, or coefficients that fold the plane).
    pub fn undistort(&self, distorted: Vector2<f64>) -> Option<Vector2<f64>> {
        match *self {
            Self::None => Some(distorted),
            Self::RadialTangential { .. } => self.undistort_by_newton(distorted),
            Self::KannalaBrandt { k } => undistort_fisheye(&k, distorted),
        }
    }

    fn undistort_by_newton(&self, distorted: Vector2<f64>) -> Option<Vector2<f64>> {
        let mut ideal = distorted;
        for _ in 0..MAX_ITERATIONS {
            let residual = self.distort(ideal) - distorted;
            if residual.norm_squared() < CONVERGED * CONVERGED {
                return Some(ideal);
            }
            let jacobian = self.jacobian(ideal);
            // Past the fold of the polynomial the map runs backwards: no real ray ends there.
            if jacobian.determinant() <= 0.0 {
                return None;
            }
            ideal -= jacobian.try_inverse()? * residual;
        }
        None
    }

    fn jacobian(&self, at: Vector2<f64>) -> Matrix2<f64> {
        const STEP: f64 = 1e-7;
        let column = |d: Vector2<f64>| (self.distort(at + d) - self.distort(at - d)) / (2.0 * STEP);
        Matrix2::from_columns(&[column(Vector2::new(STEP, 0.0)), column(Vector2::new(0.0, STEP))])
    }
}

fn fisheye_angle(k: &[f64; 4], theta: f64) -> f64 {
    let t2 = theta * theta;
    theta * (1.0 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))
}

fn undistort_fisheye(k: &[f64; 4], distorted: Vector2<f64>) -> Option<Vector2<f64>> {
    let theta_d = distorted.norm();
    if theta_d < 1e-12 {
        return Some(distorted);
    }
    let mut theta = theta_d;
    for _ in 0..MAX_ITERATIONS {
        let t2 = theta * theta;
        let slope = 1.0 + t2 * (3.0 * k[0] + t2 * (5.0 * k[1] + t2 * (7.0 * k[2] + t2 * 9.0 * k[3])));
        let step = (fisheye_angle(k, theta) - theta_d) / slope;
        theta -= step;
        if step.abs() < CONVERGED {
            // Rays at a right angle to the axis and behind never meet the plane z = 1.
            let in_front = theta > 0.0 && theta < std::f64::consts::FRAC_PI_2 && slope > 0.0;
            return in_front.then(|| distorted * (theta.tan() / theta_d));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // EuRoC cam0 and a TUM VI fisheye.
    const RADTAN: Distortion = Distortion::RadialTangential {
        k1: -0.28340811,
        k2: 0.07395907,
        p1: 0.00019359,
        p2: 1.76187114e-05,
        k3: 0.0,
    };
    const FISHEYE: Distortion = Distortion::KannalaBrandt {
        k: [0.0034823894022493434, 0.0007150348452162257, -0.0020532361418706202, 0.00020293673591811182],
    };

    proptest! {
        #[test]
        fn undistort_inverts_distort(x in -0.7..0.7, y in -0.5..0.5) {
            let ideal = Vector2::new(x, y);
            for lens in [Distortion::None, RADTAN, FISHEYE] {
                let back = lens.undistort(lens.distort(ideal)).unwrap();
                prop_assert!((back - ideal).norm() < 1e-9, "{lens:?}: {ideal} came back as {back}");
            }
        }
    }

    #[test]
    fn a_point_beyond_the_fold_has_no_ray() {
        let barrel = Distortion::RadialTangential { k1: -0.3, k2: 0.0, p1: 0.0, p2: 0.0, k3: 0.0 };
        assert_eq!(barrel.undistort(Vector2::new(2.0, 2.0)), None);
    }
}
