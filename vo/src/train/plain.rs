//! What [`super::fused`] computes in one pass on a processor, by burn's own operations: for all other devices, and to be
//! compared with.

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::{AvgPoolOptions, PadMode};
use burn::tensor::{Int, Tensor, TensorData};

use super::losses::Padding;

/// What is closer to the plane of the camera, in units of the point's depth in the target, is not seen.
pub(super) const NEAREST: f32 = 1e-3;

/// Keep quotients finite where nothing is seen (Wang et al., 2004, with `K1` = 0.01 and `K2` = 0.03).
pub(super) const C1: f32 = 1e-4;
pub(super) const C2: f32 = 9e-4;

/// Where the pixels of a target are seen: all tensors are `[batch, 1, height, width]`.
pub(super) struct Projected {
    /// The pixels themselves, x and y.
    pub(super) from: [Tensor<4>; 2],
    /// Where the source sees them; far outside where they are not before it.
    pub(super) to: [Tensor<4>; 2],
    /// Their depth in the source, over that in the target.
    pub(super) depth: Tensor<4>,
}

/// `K (R K^-1 p + r t)` for each pixel `p` of inverse depth `r`; the rest is as in [`super::losses::view_synthesis`].
pub(super) fn projected(
    inverse_depth: &Tensor<4>,
    source_from_target: &Tensor<2>,
    camera: &Tensor<2>,
) -> Projected {
    let [_, _, height, width] = inverse_depth.dims();
    let grid = |value: &dyn Fn(usize) -> usize| -> Tensor<4> {
        let values: Vec<f32> = (0..height * width).map(|index| value(index) as f32).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, height, width]), &inverse_depth.device())
    };
    let of = |table: &Tensor<2>, column: usize| -> Tensor<4> {
        table.clone().narrow(1, column, 1).reshape([table.dims()[0], 1, 1, 1])
    };
    let (x, y) = (grid(&|index| index % width), grid(&|index| index / width));
    let [fx, fy, cx, cy] = [0, 1, 2, 3].map(|column| of(camera, column));
    let ray = [(x.clone() - cx.clone()) / fx.clone(), (y.clone() - cy.clone()) / fy.clone()];
    let [moved_x, moved_y, depth] = [0, 1, 2].map(|row| {
        let entry = |column: usize| of(source_from_target, 4 * row + column);
        let turned = ray[0].clone() * entry(0) + ray[1].clone() * entry(1) + entry(2);
        turned + inverse_depth.clone() * entry(3)
    });
    let before = depth.clone().clamp_min(NEAREST);
    let to = [moved_x / before.clone() * fx + cx, moved_y / before * fy + cy];
    Projected { from: [x, y], to, depth }
}

/// See [`super::fused::synthesise`].
pub(super) fn synthesise(
    source: Tensor<4>,
    inverse_depth: &Tensor<4>,
    transform: &Tensor<2>,
    camera: &Tensor<2>,
    padding: Padding,
) -> Tensor<4> {
    let [batch, channels, height, width] = source.dims();
    let Projected { to, depth, .. } = projected(inverse_depth, transform, camera);
    let is_before =
        depth.clone().greater_elem(NEAREST).float() * inverse_depth.clone().greater_elem(0.0).float();
    let ends = [width, height].map(|length| (length - 1) as f32);
    let within = |place: &Tensor<4>, end: f32| {
        place.clone().greater_equal_elem(0.0).float() * place.clone().lower_equal_elem(end).float()
    };
    let is_seen = within(&to[0], ends[0]) * within(&to[1], ends[1]) * is_before.clone();
    let beyond = match padding {
        Padding::Border => 0.0,
        // What is far outside is as black as what is a little more than a pixel outside.
        Padding::Zeros => 2.0,
    };
    let [x, y] = [0, 1].map(|axis| to[axis].clone().clamp(-beyond, ends[axis] + beyond));
    let [left, top] = [&x, &y].map(|place| place.clone().detach().floor());
    let (right_share, below_share) = (x - left.clone(), y - top.clone());
    let plane = source.reshape([batch, channels, height * width]);
    let mut image = Tensor::zeros([batch, channels, height, width], &plane.device());
    for (column, row) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (x, y) = (left.clone() + column, top.clone() + row);
        let presence = within(&x, ends[0]) * within(&y, ends[1]);
        let place = y.clamp(0.0, ends[1]) * width as f32 + x.clamp(0.0, ends[0]);
        let place: Tensor<3, Int> = place.int().reshape([batch, 1, height * width]);
        let tap = plane.clone().gather(2, place.repeat_dim(1, channels));
        let share = |of: &Tensor<4>, second: f32| match second > 0.0 {
            true => of.clone(),
            false => -of.clone() + 1.0,
        };
        let weight = share(&right_share, column) * share(&below_share, row) * presence;
        image = image + tap.reshape([batch, channels, height, width]) * weight;
    }
    let depth = depth / inverse_depth.clone().clamp_min(f32::MIN_POSITIVE);
    Tensor::cat(vec![image * is_before.clone(), depth * is_before, is_seen], 1)
}

/// See [`super::fused::dissimilarity`].
pub(super) fn dissimilarity(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    let mean = |of: Tensor<4>| {
        let mut options = AvgPoolOptions::new([3, 3]);
        options.stride = [1, 1];
        avg_pool2d(of.pad((1, 1, 1, 1), PadMode::Reflect), options)
    };
    let y = y.detach();
    let (mx, my) = (mean(x.clone()), mean(y.clone()));
    let vx = mean(x.clone().square()) - mx.clone().square();
    let vy = mean(y.clone().square()) - my.clone().square();
    let covariance = mean(x * y) - mx.clone() * my.clone();
    let numerator = (mx.clone() * my.clone() * 2.0 + C1) * (covariance * 2.0 + C2);
    let denominator = (mx.square() + my.square() + C1) * (vx + vy + C2);
    ((-numerator / denominator + 1.0) / 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::{fused, rigid};
    use super::*;

    fn random<const D: usize>(shape: [usize; D], seed: u64, range: [f32; 2]) -> Tensor<D> {
        let mut random = fastrand::Rng::with_seed(seed);
        let [low, high] = range;
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| low + (high - low) * random.f32()).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
    }

    fn values<const D: usize>(of: Tensor<D>) -> Vec<f32> {
        of.into_data().try_to_vec().unwrap()
    }

    fn assert_close(found: &[f32], wanted: &[f32], what: &str) {
        let scale = wanted.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == wanted.len() && worst < 1e-5 * scale, "{what} differs by {worst} of {scale}");
    }

    /// Output and gradients of all that is given.
    type Found = (Vec<f32>, [Vec<f32>; 4]);

    #[test]
    fn both_synthesise_the_same_view() {
        let shape = [2, 3, 9, 14];
        let source = random(shape, 1, [0.0, 1.0]);
        let inverse_depth = random([2, 1, 9, 14], 2, [0.1, 2.0]);
        // One camera turns and moves a little; the other goes so far back that much is behind it.
        let data = |values: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [2, 3]), &Device::flex().autodiff())
        };
        let motion = rigid::from_axis_angle(
            &data(&[0.02, -0.03, 0.04, 0.1, 0.0, -0.02]),
            &data(&[0.2, -0.1, 0.1, 0.05, 0.1, -0.9]),
        );
        let transform: Tensor<2> =
            Tensor::from_data(TensorData::new(values(motion), [2, 12]), &Device::flex().autodiff())
                .require_grad();
        let camera = random([2, 4], 3, [6.0, 9.0]);
        let gradient = random([2, 5, 9, 14], 4, [-1.0, 1.0]).detach();
        let found = |output: Tensor<4>| -> Found {
            let gradients = (output.clone() * gradient.clone()).sum().backward();
            let of = [
                values(source.grad(&gradients).unwrap()),
                values(inverse_depth.grad(&gradients).unwrap()),
                values(transform.grad(&gradients).unwrap()),
                values(camera.grad(&gradients).unwrap()),
            ];
            (values(output), of)
        };
        for padding in [Padding::Border, Padding::Zeros] {
            let (plain, of_plain) =
                found(synthesise(source.clone(), &inverse_depth, &transform, &camera, padding));
            let (fused, of_fused) = found(fused::synthesise(
                source.clone(),
                inverse_depth.clone(),
                transform.clone(),
                camera.clone(),
                padding,
            ));
            let unseen = fused[4 * 9 * 14..5 * 9 * 14].iter().filter(|&&seen| seen == 0.0).count();
            assert!(unseen > 0 && unseen < 9 * 14, "{unseen}");
            assert_close(&plain, &fused, "the view");
            let names = ["the source", "the inverse depth", "the transform", "the camera"];
            for ((plain, fused), name) in of_plain.iter().zip(&of_fused).zip(names) {
                assert_close(plain, fused, name);
            }
        }
    }

    #[test]
    fn both_find_the_same_dissimilarity() {
        let (x, y) = (random([2, 3, 7, 9], 5, [0.0, 1.0]), random([2, 3, 7, 9], 6, [0.0, 1.0]));
        let gradient = random([2, 3, 7, 9], 7, [-1.0, 1.0]).detach();
        let found = |output: Tensor<4>| {
            let gradients = (output.clone() * gradient.clone()).sum().backward();
            (values(output), values(x.grad(&gradients).unwrap()))
        };
        let (plain, of_plain) = found(dissimilarity(x.clone(), y.clone()));
        let (fused, of_fused) = found(fused::dissimilarity(x.clone(), y.clone()));
        assert_close(&plain, &fused, "the dissimilarity");
        assert_close(&of_plain, &of_fused, "the gradient");
    }
}
