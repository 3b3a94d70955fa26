//! The homography of a flat scene by four points.

use geometry::Se3;
use nalgebra::{Matrix3, SMatrix, SVector, Vector2, Vector3};

use super::{Match, Model, with_unit_translation};

#[derive(Clone, Debug)]
pub(super) struct Homography {
    second_from_first: Matrix3<f64>,
    first_from_second: Matrix3<f64>,
}

impl Model for Homography {
    const SAMPLE: usize = 4;

    fn fit(sample: &[Match]) -> Option<Self> {
        let mut normal = SMatrix::<f64, 9, 9>::zeros();
        for (a, b) in sample {
            let rows = [
                [a.x, a.y, 1.0, 0.0, 0.0, 0.0, -b.x * a.x, -b.x * a.y, -b.x],
                [0.0, 0.0, 0.0, a.x, a.y, 1.0, -b.y * a.x, -b.y * a.y, -b.y],
            ];
            for row in rows.map(SVector::<f64, 9>::from) {
                normal += row * row.transpose();
            }
        }
        let eigen = normal.symmetric_eigen();
        let h = eigen.eigenvectors.column(eigen.eigenvalues.imin());
        let matrix = Matrix3::from_row_slice(h.into_owned().as_slice());
        let inverse = matrix.try_inverse()?;
        // Points in front of the first view are in front of the second: fixes the sign.
        let (a, _) = sample.first()?;
        let sign = (matrix * a.push(1.0)).z.signum();
        Some(Self { second_from_first: matrix * sign, first_from_second: inverse * sign })
    }

    /// Mean of the squared transfer errors both ways.
    fn squared_error(&self, (a, b): &Match) -> f64 {
        let transfer = |h: &Matrix3<f64>, from: &Vector2<f64>, to: &Vector2<f64>| {
            let q = h * from.push(1.0);
            if q.z > 1e-9 { (q.xy() / q.z - to).norm_squared() } else { f64::INFINITY }
        };
        0.5 * (transfer(&self.second_from_first, a, b) + transfer(&self.first_from_second, b, a))
    }
}

impl Homography {
    /// Where the second view sees what the first one sees at `first`, if it lies on the plane; `None` behind the camera.
    pub(super) fn transfer(&self, first: &Vector2<f64>) -> Option<Vector2<f64>> {
        let q = self.second_from_first * first.push(1.0);
        (q.z > 1e-9).then(|| q.xy() / q.z)
    }

    /// The poses `second_from_first` it stands for: four, in two pairs of opposite normals (Ma, Soatto, Kosecka and Sastry
    /// 2004, section 5.3.3); none for a pure rotation.
    pub(super) fn decompose(&self) -> Vec<Se3> {
        let Some(singular) = self.second_from_first.svd(false, false).singular_values.get(1).copied() else {
            return Vec::new();
        };
        let h = self.second_from_first / singular;
        let Some((v, s)) = sorted_eigen(&(h.transpose() * h)) else { return Vec::new() };
        let spread = s.x - s.z;
        if spread < 1e-6 {
            return Vec::new();
        }
        let (a, b) = ((1.0 - s.z).max(0.0).sqrt(), (s.x - 1.0).max(0.0).sqrt());
        let directions = [1.0, -1.0].map(|sign| (v.column(0) * a + v.column(2) * (b * sign)) / spread.sqrt());
        let poses = directions.iter().flat_map(|u1| pose_of(&h, &v.column(1).into_owned(), u1));
        poses.collect()
    }
}

/// Pose and its twin of opposite translation for one of the two planes' bases.
fn pose_of(h: &Matrix3<f64>, v2: &Vector3<f64>, u: &Vector3<f64>) -> Vec<Se3> {
    let basis = |a: &Vector3<f64>, b: &Vector3<f64>| Matrix3::from_columns(&[*a, *b, a.cross(b)]);
    let (from, to) = (basis(v2, u), basis(&(h * v2), &(h * u)));
    let rotation = to * from.transpose();
    let normal = v2.cross(u);
    let translation = (h - rotation) * normal;
    [translation, -translation].iter().filter_map(|t| with_unit_translation(&rotation, *t)).collect()
}

/// Eigenvectors in columns and eigenvalues, largest first.
fn sorted_eigen(matrix: &Matrix3<f64>) -> Option<(Matrix3<f64>, Vector3<f64>)> {
    let eigen = matrix.symmetric_eigen();
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let columns = order.map(|i| eigen.eigenvectors.column(i).into_owned());
    let finite = eigen.eigenvalues.iter().all(|v| v.is_finite());
    finite.then(|| (Matrix3::from_columns(&columns), Vector3::from(order.map(|i| eigen.eigenvalues[i]))))
}
