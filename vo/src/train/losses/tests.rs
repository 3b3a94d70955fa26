//! Each loss against its definition, and its gradient against finite differences.

use burn::tensor::{Device, TensorData};
use geometry::{PinholeCamera, Se3};
use nalgebra::{UnitQuaternion, Vector2, Vector3};

use super::super::rigid;
use super::*;

const SIZE: [usize; 2] = [6, 9];
const PIXELS: usize = SIZE[0] * SIZE[1];

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

fn values<const D: usize>(of: Tensor<D>) -> Vec<f32> {
    of.into_data().try_to_vec().unwrap()
}

/// Smooth images, so that differences of neighbours are far from the corners of absolute values.
fn image(channels: usize, phase: f32) -> Vec<f32> {
    let value = |index: usize| {
        let (channel, y, x) = (index / PIXELS, index % PIXELS / SIZE[1], index % SIZE[1]);
        let (x, y, channel) = (x as f32, y as f32, channel as f32);
        0.5 + 0.2 * (0.9 * x + phase + channel).sin() + 0.2 * (0.7 * y - 0.3 * x + 2.0 * phase).cos()
    };
    (0..channels * PIXELS).map(value).collect()
}

/// The gradient of `of` at `at`, by burn, lies between the differences to both sides along every axis: they are the same
/// but for the corners of absolute values and minima.
fn assert_gradient<const D: usize>(at: &[f32], shape: [usize; D], of: impl Fn(Tensor<D>) -> Tensor<1>) {
    const STEP: f32 = 2e-3;
    let variable = tensor(at, shape).require_grad();
    let here = of(variable.clone());
    let found = values(variable.grad(&here.clone().backward()).unwrap());
    let here = f64::from(values(here)[0]);
    let scale = found.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(scale > 0.0 && scale.is_finite(), "no gradient");
    for index in 0..at.len() {
        let slope = |by: f32| {
            let mut moved = at.to_vec();
            moved[index] += by;
            (f64::from(values(of(tensor(&moved, shape)))[0]) - here) / f64::from(by)
        };
        let (left, right) = (slope(-STEP), slope(STEP));
        let (found, slack) = (f64::from(found[index]), 0.02 * f64::from(scale));
        let is_between = found > left.min(right) - slack && found < left.max(right) + slack;
        assert!(is_between, "{index}: {found} and {left} to {right}, scale {scale}");
    }
}

/// Weights that differ from pixel to pixel, so that errors can't cancel.
fn weighted(of: Tensor<4>) -> Tensor<1> {
    let shape = of.dims();
    let count = shape.iter().product();
    let weights: Vec<f32> = (0..count).map(|index| 0.3 + (index as f32 * 1.7).sin()).collect();
    (of * tensor(&weights, shape)).sum()
}

fn motion() -> Vec<f32> {
    let rotation = tensor(&[0.02, -0.03, 0.04], [1, 3]);
    values(rigid::from_axis_angle(&rotation, &tensor(&[0.21, -0.13, 0.08], [1, 3])))
}

const CAMERA: [f32; 4] = [8.0, 7.0, 4.2, 2.6];

fn inverse_depth() -> Vec<f32> {
    image(1, 0.4).into_iter().map(|value| 0.4 + 0.5 * value).collect()
}

fn synthesise(
    source: Tensor<4>,
    inverse_depth: Tensor<4>,
    motion: Tensor<2>,
    camera: Tensor<2>,
    padding: Padding,
) -> Tensor<1> {
    let seen = view_synthesis(source, inverse_depth, motion, camera, padding);
    weighted(seen.image) + weighted(seen.depth)
}

#[test]
fn a_synthesised_view_is_what_the_camera_projects() {
    let source = image(2, 0.0);
    let shape = [1, 2, SIZE[0], SIZE[1]];
    let depth = inverse_depth();
    let seen = view_synthesis(
        tensor(&source, shape),
        tensor(&depth, [1, 1, SIZE[0], SIZE[1]]),
        tensor(&motion(), [1, 12]),
        tensor(&CAMERA, [1, 4]),
        Padding::Zeros,
    );
    let [fx, fy, cx, cy] = CAMERA.map(f64::from);
    let camera = PinholeCamera::new(SIZE[1], SIZE[0], fx, fy, cx, cy).unwrap();
    let rotation = UnitQuaternion::from_scaled_axis(Vector3::new(0.02, -0.03, 0.04));
    let source_from_target = Se3::new(rotation, Vector3::new(0.21, -0.13, 0.08));
    let (found, z, is_seen) = (values(seen.image), values(seen.depth), values(seen.is_seen));
    let mut inside = 0;
    for index in 0..PIXELS {
        let (x, y) = (index % SIZE[1], index / SIZE[1]);
        let ray = camera.unproject(&Vector2::new(x as f64, y as f64)).unwrap();
        let point = source_from_target * (ray / f64::from(depth[index]));
        let pixel = camera.project(&point).unwrap();
        assert!((f64::from(z[index]) - point.z).abs() < 1e-4);
        let is_in = pixel.x >= 0.0 && pixel.y >= 0.0 && pixel.x <= 8.0 && pixel.y <= 5.0;
        assert_eq!(is_seen[index], f32::from(is_in), "{pixel}");
        if is_in {
            inside += 1;
            let (left, top) = (pixel.x.floor(), pixel.y.floor());
            let at = |x: f64, y: f64| {
                let (x, y) = (x.min(8.0) as usize, y.min(5.0) as usize);
                f64::from(source[PIXELS + y * SIZE[1] + x])
            };
            let (fx, fy) = (pixel.x - left, pixel.y - top);
            let row = |y: f64| at(left, y) * (1.0 - fx) + at(left + 1.0, y) * fx;
            let wanted = row(top) * (1.0 - fy) + row(top + 1.0) * fy;
            assert!((f64::from(found[PIXELS + index]) - wanted).abs() < 1e-5);
        }
    }
    assert!(inside > PIXELS / 2 && inside < PIXELS, "{inside} of {PIXELS}");
}

#[test]
fn what_is_behind_the_camera_is_not_seen() {
    let shape = [1, 1, SIZE[0], SIZE[1]];
    let mut back = motion();
    back[11] = -10.0;
    let seen = view_synthesis(
        tensor(&image(1, 0.0), shape),
        tensor(&[0.5; PIXELS], shape),
        tensor(&back, [1, 12]),
        tensor(&CAMERA, [1, 4]),
        Padding::Border,
    );
    assert_eq!(values(seen.is_seen), [0.0; PIXELS]);
    assert_eq!(values(seen.image), [0.0; PIXELS]);
}

#[test]
fn gradients_of_view_synthesis_reach_all_that_decides_it() {
    let (source, depth, motion) = (image(2, 0.0), inverse_depth(), motion());
    let (images, depths) = ([1, 2, SIZE[0], SIZE[1]], [1, 1, SIZE[0], SIZE[1]]);
    // Beyond a border that is continued nothing changes with a small step; black begins with a jump.
    let padding = Padding::Border;
    let parts = || {
        (tensor(&source, images), tensor(&depth, depths), tensor(&motion, [1, 12]), tensor(&CAMERA, [1, 4]))
    };
    assert_gradient(&source, images, |source| {
        let (_, depth, motion, camera) = parts();
        synthesise(source, depth, motion, camera, padding)
    });
    assert_gradient(&depth, depths, |depth| {
        let (source, _, motion, camera) = parts();
        synthesise(source, depth, motion, camera, padding)
    });
    assert_gradient(&motion, [1, 12], |motion| {
        let (source, depth, _, camera) = parts();
        synthesise(source, depth, motion, camera, padding)
    });
    assert_gradient(&CAMERA, [1, 4], |camera| {
        let (source, depth, motion, _) = parts();
        synthesise(source, depth, motion, camera, padding)
    });
}

#[test]
fn images_of_a_batch_have_nothing_to_do_with_each_other() {
    let both = [image(1, 0.0), image(1, 1.0)].concat();
    let still = values(rigid::from_axis_angle(&tensor(&[0.0; 3], [1, 3]), &tensor(&[0.0; 3], [1, 3])));
    let seen = |images: &[f32], motions: &[f32]| {
        let batch = motions.len() / 12;
        let shape = [batch, 1, SIZE[0], SIZE[1]];
        let (depth, camera) = (inverse_depth().repeat(batch), CAMERA.repeat(batch));
        let seen = view_synthesis(
            tensor(images, shape),
            tensor(&depth, shape),
            tensor(motions, [batch, 12]),
            tensor(&camera, [batch, 4]),
            Padding::Border,
        );
        values(seen.image)
    };
    let together = seen(&both, &[motion(), still.clone()].concat());
    assert_eq!(together[..PIXELS], seen(&both[..PIXELS], &motion()));
    let unmoved = together[PIXELS..].iter().zip(&both[PIXELS..]);
    assert!(unmoved.into_iter().all(|(seen, image)| (seen - image).abs() < 1e-5), "nothing moves");
}

#[test]
fn similarity_is_that_of_its_definition() {
    let (x, y) = (image(1, 0.0), image(1, 0.8));
    let shape = [1, 1, SIZE[0], SIZE[1]];
    let found = values(dissimilarity(tensor(&x, shape), tensor(&y, shape)));
    let at = |of: &[f32], x: isize, y: isize| {
        let reflect = |place: isize, size: usize| match place {
            -1 => 1,
            place if place == size as isize => size - 2,
            place => place as usize,
        };
        f64::from(of[reflect(y, SIZE[0]) * SIZE[1] + reflect(x, SIZE[1])])
    };
    for (index, found) in found.into_iter().enumerate() {
        let (px, py) = ((index % SIZE[1]) as isize, (index / SIZE[1]) as isize);
        let window: Vec<(f64, f64)> = (-1..=1)
            .flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)))
            .map(|(dx, dy)| (at(&x, px + dx, py + dy), at(&y, px + dx, py + dy)))
            .collect();
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| window.iter().map(of).sum::<f64>() / 9.0;
        let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
        let (vx, vy) = (mean(&|p| p.0 * p.0) - mx * mx, mean(&|p| p.1 * p.1) - my * my);
        let covariance = mean(&|p| p.0 * p.1) - mx * my;
        let ssim = (2.0 * mx * my + 1e-4) * (2.0 * covariance + 9e-4)
            / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
        let wanted = ((1.0 - ssim) / 2.0).clamp(0.0, 1.0);
        assert!((f64::from(found) - wanted).abs() < 1e-5, "{found} and {wanted}");
    }
    assert_gradient(&x, shape, |x| weighted(dissimilarity(x, tensor(&y, shape))));
    assert_gradient(&image(2, 0.0), [2, 1, SIZE[0], SIZE[1]], |x| {
        let y = [y.clone(), image(1, 0.3)].concat();
        weighted(photometric_error(x, tensor(&y, [2, 1, SIZE[0], SIZE[1]]), 0.85))
    });
}

#[test]
fn the_best_source_counts_and_a_still_camera_masks() {
    let shape = [1, 1, 1, 3];
    let (a, b) = (tensor(&[0.1, 0.5, 0.3], shape), tensor(&[0.2, 0.4, 0.3], shape));
    assert_eq!(values(minimum_reprojection(vec![a.clone(), b.clone()])), [0.1, 0.4, 0.3]);
    assert_eq!(values(auto_mask(&a, &b)), [1.0, 0.0, 0.0]);
    assert_gradient(&[0.1, 0.5, 0.35], shape, |a| weighted(minimum_reprojection(vec![a, b.clone()])));
    let mean = masked_mean(a.clone(), tensor(&[1.0, 0.0, 1.0], shape));
    assert!((values(mean)[0] - 0.2).abs() < 1e-6);
    assert_eq!(values(masked_mean(a, tensor(&[0.0; 3], shape))), [0.0]);
}

#[test]
fn smoothness_is_that_of_its_definition() {
    let shape = [1, 1, 2, 3];
    let disparity = [1.0, 2.0, 4.0, 1.5, 3.0, 5.5];
    let colours = [0.1, 0.3, 0.2, 0.1, 0.5, 0.4];
    let found = values(edge_aware_smoothness(&tensor(&disparity, shape), &tensor(&colours, shape)))[0];
    let along = |pairs: &[(usize, usize)]| {
        let one = |&(a, b): &(usize, usize)| {
            (disparity[a] - disparity[b]).abs() * (-(colours[a] - colours[b]).abs()).exp()
        };
        pairs.iter().map(one).sum::<f32>() / pairs.len() as f32
    };
    let wanted = along(&[(0, 1), (1, 2), (3, 4), (4, 5)]) + along(&[(0, 3), (1, 4), (2, 5)]);
    assert!((found - wanted).abs() < 1e-5, "{found} and {wanted}");
    // |dxx| of the rows is 1 and 1; |dxy| is .5 and 1 - .5; there are no two steps down.
    let shape = [1, 1, 3, 3];
    let bump = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let found = values(second_order_smoothness(&tensor(&bump, shape)))[0];
    assert!((found - (2.0 / 3.0 + 2.0 / 3.0 + 2.0)).abs() < 1e-5, "{found}");
    let normalised = values(mean_normalised(tensor(&[1.0, 3.0, 10.0, 30.0], [2, 1, 1, 2])));
    assert!(normalised.iter().zip([0.5, 1.5, 0.5, 1.5]).all(|(a, b)| (a - b).abs() < 1e-5));
    let shape = [1, 1, SIZE[0], SIZE[1]];
    let rough = image(1, 0.9);
    let colours = tensor(&image(1, 0.2), shape);
    assert_gradient(&rough, shape, |d| edge_aware_smoothness(&mean_normalised(d), &colours));
    assert_gradient(&rough, shape, |d| second_order_smoothness(&d));
}

#[test]
fn inconsistency_is_relative() {
    let shape = [1, 1, 1, 3];
    let b = tensor(&[1.0, 4.0, 0.5], shape);
    let found = values(geometric_inconsistency(tensor(&[3.0, 4.0, 0.25], shape), b.clone()));
    assert!(found.iter().zip([0.5, 0.0, 1.0 / 3.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    assert_gradient(&[3.0, 4.5, 0.25], shape, |a| weighted(geometric_inconsistency(a, b.clone())));
}

#[test]
fn sparse_depths_are_compared_where_they_are_known() {
    let shape = [1, 1, 1, 3];
    let known = tensor(&[2.0, 0.0, 1.0], shape);
    let found = values(sparse_depth_error(tensor(&[1.0, 5.0, 4.0], shape), known.clone()))[0];
    let wanted = (2.0_f32.ln() + 4.0_f32.ln()) / 2.0;
    assert!((found - wanted).abs() < 1e-6, "{found} and {wanted}");
    assert_gradient(&[1.0, 5.0, 4.0], shape, |predicted| sparse_depth_error(predicted, known.clone()));
    let nothing = sparse_depth_error(tensor(&[1.0; 3], shape), tensor(&[0.0; 3], shape));
    assert_eq!(values(nothing), [0.0]);
}

#[test]
fn motions_differ_by_squares_of_little_and_by_the_size_of_much() {
    let rows = |values: [f32; 12]| -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 12]), &device())
    };
    // Entries 0 and 3 are of the rotation and of the translation; a camera that stands still, and one that moves by 0.2.
    let error = |entry: usize, length: f32, off: f32| {
        let mut known = [0.0; 12];
        known[11] = length;
        let mut predicted = known;
        predicted[entry] += off;
        values(motion_error(&rows(predicted), &rows(known)))[0]
    };
    for (entry, length, unit) in [(0, 0.0, 0.03), (0, 0.2, 0.03), (3, 0.0, 0.01), (3, 0.2, 0.07)] {
        assert_eq!(error(entry, length, 0.0), 0.0);
        assert!((error(entry, length, 0.02 * unit) / error(entry, length, 0.01 * unit) - 4.0).abs() < 0.01);
        assert!((error(entry, length, 2e3 * unit) / error(entry, length, 1e3 * unit) - 2.0).abs() < 0.01);
        assert!((error(entry, length, unit) - (2.0_f32.sqrt() - 1.0)).abs() < 1e-6, "{entry} {length}");
    }
    let known = rows(motion().try_into().unwrap());
    let off: Vec<f32> =
        motion().iter().enumerate().map(|(index, entry)| entry + 0.01 * index as f32).collect();
    assert_gradient(&off, [1, 12], |predicted| motion_error(&predicted, &known).sum());
}

#[test]
fn what_is_explained_is_the_softmax_of_its_logits() {
    let shape = [1, 2, 1, 3];
    let logits = [0.5, -1.0, 2.0, 0.5, 2.0, -1.0];
    let both: Vec<f64> = (0..3).map(|pixel| f64::from(logits[3 + pixel] - logits[pixel])).collect();
    let wanted: Vec<f64> = both.iter().map(|odds| 1.0 / (1.0 + (-odds).exp())).collect();
    let found = values(explainability(&tensor(&logits, shape)));
    assert!(found.iter().zip(&wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{found:?} {wanted:?}");
    let error = values(explainability_error(&tensor(&logits, shape)))[0];
    let wanted = -wanted.iter().map(|share| share.ln()).sum::<f64>() / 3.0;
    assert!((f64::from(error) - wanted).abs() < 1e-6, "{error} {wanted}");
    assert_gradient(&logits, shape, |logits| weighted(explainability(&logits)));
    assert_gradient(&logits, shape, |logits| explainability_error(&logits));
}

#[test]
fn flows_lead_where_views_are_synthesised_from() {
    let (depths, shape) = (inverse_depth(), [1, 1, SIZE[0], SIZE[1]]);
    let camera = tensor(&CAMERA, [1, 4]);
    let flow = values(rigid_flow(&tensor(&depths, shape), &tensor(&motion(), [1, 12]), &camera));
    // An image that holds its own coordinates says where each pixel was taken from.
    let coordinates = [0, 1].map(|axis| {
        (0..PIXELS)
            .map(|index| if axis == 0 { index % SIZE[1] } else { index / SIZE[1] } as f32)
            .collect::<Vec<_>>()
    });
    let seen = view_synthesis(
        tensor(&coordinates.concat(), [1, 2, SIZE[0], SIZE[1]]),
        tensor(&depths, shape),
        tensor(&motion(), [1, 12]),
        camera.clone(),
        Padding::Zeros,
    );
    let (taken, is_seen) = (values(seen.image), values(seen.is_seen));
    let mut compared = 0;
    for index in (0..PIXELS).filter(|&index| is_seen[index] > 0.0) {
        for axis in 0..2 {
            let place = coordinates[axis][index] + flow[axis * PIXELS + index];
            assert!((place - taken[axis * PIXELS + index]).abs() < 1e-4);
        }
        compared += 1;
    }
    assert!(compared > PIXELS / 2, "only {compared} pixels");
    let of_depth = |depth| weighted(rigid_flow(&depth, &tensor(&motion(), [1, 12]), &camera));
    assert_gradient(&depths, shape, of_depth);
    let of_motion = |motion| weighted(rigid_flow(&tensor(&depths, shape), &motion, &camera));
    assert_gradient(&motion(), [1, 12], of_motion);
}

#[test]
fn what_flows_back_to_where_it_came_from_is_no_error() {
    let shape = [1, 2, 1, 4];
    let forward = tensor(&[4.0, 4.0, 4.0, 200.0, 1.0, 1.0, 1.0, 0.0], shape);
    // There and back; a pixel aside; something else; far, where a little is forgiven more.
    let back = [-4.0, -3.0, 4.0, -195.0, -1.0, -1.5, 1.0, 0.0];
    let found = values(forward_backward_error(&forward, &tensor(&back, shape)));
    assert_eq!(found, [0.0, 0.75, 0.0, 2.5]);
    let back = [-4.3, -3.0, 4.0, -195.0, -0.8, -1.5, 1.0, 0.7];
    assert_gradient(&back, shape, |back| weighted(forward_backward_error(&forward, &back)));
}
