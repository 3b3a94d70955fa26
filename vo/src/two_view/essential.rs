//! The essential matrix by eight points (Hartley 1997).

use geometry::Se3;
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

use super::{Match, Model, proper, with_unit_translation};

pub(super) struct Essential(Matrix3<f64>);

impl Model for Essential {
    const SAMPLE: usize = 8;

    fn fit(sample: &[Match]) -> Option<Self> {
        let mut normal = SMatrix::<f64, 9, 9>::zeros();
        for (a, b) in sample {
            let row = SVector::<f64, 9>::from([
                b.x * a.x,
                b.x * a.y,
                b.x,
                b.y * a.x,
                b.y * a.y,
                b.y,
                a.x,
                a.y,
                1.0,
            ]);
            normal += row * row.transpose();
        }
        let eigen = normal.symmetric_eigen();
        let e = eigen.eigenvectors.column(eigen.eigenvalues.imin());
        let matrix = Matrix3::from_row_slice(e.into_owned().as_slice());
        // The nearest matrix with singular values (1, 1, 0).
        let svd = matrix.svd(true, true);
        let (u, v_t) = (svd.u?, svd.v_t?);
        Some(Self(u * Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, 0.0)) * v_t))
    }

    /// Sampson's distance.
    fn squared_error(&self, (a, b): &Match) -> f64 {
        let (a, b) = (a.push(1.0), b.push(1.0));
        let (in_second, in_first) = (self.0 * a, self.0.transpose() * b);
        let algebraic = b.dot(&in_second);
        algebraic * algebraic / (in_second.xy().norm_squared() + in_first.xy().norm_squared()).max(1e-18)
    }
}

impl Essential {
    /// The four poses `second_from_first` it stands for (Hartley and Zisserman 2004, result 9.19).
    pub(super) fn decompose(&self) -> Vec<Se3> {
        let svd = self.0.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return Vec::new() };
        let (u, v_t) = (proper(u), proper(v_t));
        let w = Matrix3::new(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0);
        // Singular values come sorted: the last column of U spans the left null space.
        let t: Vector3<f64> = u.column(2).into_owned();
        let rotations = [u * w * v_t, u * w.transpose() * v_t];
        let poses = rotations.iter().flat_map(|r| [t, -t].map(|t| with_unit_translation(r, t)));
        poses.flatten().collect()
    }
}
