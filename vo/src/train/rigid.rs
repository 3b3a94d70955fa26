//! Rigid motions as tensors: `[batch, 12]`, the rows of `[R | t]`.

use burn::tensor::Tensor;

/// The motion of rotation vectors (axis times angle in radians) and translations, both `[batch, 3]` (Rodrigues' formula).
pub fn from_axis_angle(rotation: &Tensor<2>, translation: &Tensor<2>) -> Tensor<2> {
    let [x, y, z] = columns(rotation);
    // Away from zero, where the angle has no derivative.
    let squared = rotation.clone().square().sum_dim(1) + 1e-12;
    let angle = squared.clone().sqrt();
    let a = angle.clone().sin() / angle.clone();
    let half = angle / 2.0;
    let b = (half.clone().sin() / half).square() / 2.0;
    let cosine = -(b.clone() * squared) + 1.0;
    let product = |p: &Tensor<2>, q: &Tensor<2>| p.clone() * q.clone() * b.clone();
    let [ax, ay, az] = [&x, &y, &z].map(|part| part.clone() * a.clone());
    let (xy, xz, yz) = (product(&x, &y), product(&x, &z), product(&y, &z));
    let [tx, ty, tz] = columns(translation);
    let rows = [
        [cosine.clone() + product(&x, &x), xy.clone() - az.clone(), xz.clone() + ay.clone(), tx],
        [xy + az, cosine.clone() + product(&y, &y), yz.clone() - ax.clone(), ty],
        [xz - ay, yz + ax, cosine + product(&z, &z), tz],
    ];
    Tensor::cat(rows.into_iter().flatten().collect(), 1)
}

/// The motions of Euler angles and translations, both `[batch, 3]`: the rotation is `Rx Ry Rz`, by angles in radians about the
/// axes (SfMLearner's).
pub fn from_euler(angles: &Tensor<2>, translation: &Tensor<2>) -> Tensor<2> {
    let ([sx, sy, sz], [cx, cy, cz]) = (columns(&angles.clone().sin()), columns(&angles.clone().cos()));
    let [tx, ty, tz] = columns(translation);
    let (sxsy, cxsy) = (sx.clone() * sy.clone(), cx.clone() * sy.clone());
    let rows = [
        [cy.clone() * cz.clone(), -(cy.clone() * sz.clone()), sy, tx],
        [
            sxsy.clone() * cz.clone() + cx.clone() * sz.clone(),
            cx.clone() * cz.clone() - sxsy * sz.clone(),
            -(sx.clone() * cy.clone()),
            ty,
        ],
        [sx.clone() * sz.clone() - cxsy.clone() * cz.clone(), cxsy * sz + sx * cz, cx * cy, tz],
    ];
    Tensor::cat(rows.into_iter().flatten().collect(), 1)
}

/// The motions the other way round.
pub fn inverse(motion: &Tensor<2>) -> Tensor<2> {
    let [r00, r01, r02, x, r10, r11, r12, y, r20, r21, r22, z] = columns(motion);
    let turned = |a: &Tensor<2>, b: &Tensor<2>, c: &Tensor<2>| {
        -(a.clone() * x.clone() + b.clone() * y.clone() + c.clone() * z.clone())
    };
    let (tx, ty, tz) = (turned(&r00, &r10, &r20), turned(&r01, &r11, &r21), turned(&r02, &r12, &r22));
    Tensor::cat(vec![r00, r10, r20, tx, r01, r11, r21, ty, r02, r12, r22, tz], 1)
}

fn columns<const N: usize>(of: &Tensor<2>) -> [Tensor<2>; N] {
    std::array::from_fn(|column| of.clone().narrow(1, column, 1))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use geometry::Se3;
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;
    use crate::pose::RotationForm;

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn close(found: &[f32], wanted: &Se3) {
        let wanted = wanted.to_matrix3x4().transpose();
        for (found, wanted) in found.iter().zip(wanted.iter()) {
            assert!((f64::from(*found) - wanted).abs() < 1e-6, "{found} and {wanted}");
        }
    }

    #[test]
    fn motions_are_those_of_geometry() {
        let rotations = [[0.0; 3], [1e-4, -2e-4, 5e-5], [0.3, -0.2, 1.1], [0.0, 0.0, 3.0]];
        let translations = [[0.1, 0.2, 0.3], [1.0, 0.0, -2.0], [0.0; 3], [-0.5, 0.25, 4.0]];
        let device = Device::flex().autodiff();
        let tensor = |of: [[f32; 3]; 4]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(of.concat(), [4, 3]), &device)
        };
        let rotation = tensor(rotations).require_grad();
        let motions = from_axis_angle(&rotation, &tensor(translations));
        let backward = values(inverse(&motions));
        let forward = values(motions.clone());
        for (index, (rotation, translation)) in rotations.into_iter().zip(translations).enumerate() {
            let vector = |of: [f32; 3]| Vector3::from(of.map(f64::from));
            let rotation = UnitQuaternion::from_scaled_axis(vector(rotation));
            let wanted = Se3::new(rotation, vector(translation));
            close(&forward[index * 12..][..12], &wanted);
            close(&backward[index * 12..][..12], &wanted.inverse());
        }
        let by_euler = values(from_euler(&rotation, &tensor(translations)));
        for (index, (angles, translation)) in rotations.into_iter().zip(translations).enumerate() {
            let vector = |of: [f32; 3]| Vector3::from(of.map(f64::from));
            let rotation = RotationForm::Euler.rotation(vector(angles));
            close(&by_euler[index * 12..][..12], &Se3::new(rotation, vector(translation)));
        }
        let gradient = values(rotation.grad(&motions.sum().backward()).unwrap());
        assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    }
}
