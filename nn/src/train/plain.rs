//! What [`super::fused`] computes in one pass on a processor, by burn's own operations: for all other devices, and to be
//! compared with.

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, activation};

use super::fused::Form;
use crate::architecture::{Activation, BATCH_NORM_EPSILON};

/// See [`super::fused::convolution`].
pub(super) fn convolution(input: Tensor<4>, filter: Tensor<4>, bias: Tensor<1>, form: Form) -> Tensor<4> {
    let [.., height, width] = input.dims();
    let [.., kernel] = filter.dims();
    let (steps, padding) = ([form.stride; 2], [kernel / 2; 2]);
    let made = match form.enlarged {
        Some([rows, columns]) => {
            // What the last window leaves of the size that is wanted.
            let left = |of: usize, wanted: usize| wanted + 2 * (kernel / 2) - (of - 1) * form.stride - kernel;
            let left = [left(height, rows), left(width, columns)];
            let options = ConvTransposeOptions::new(steps, padding, left, [1, 1], 1);
            conv_transpose2d(input, filter, Some(bias), options)
        }
        None => conv2d(input, filter, Some(bias), ConvOptions::new(steps, padding, [1, 1], 1)),
    };
    match form.function {
        Some(function) => activate(made, function),
        None => made,
    }
}

/// See [`super::fused::depthwise`].
pub(super) fn depthwise(input: Tensor<4>, filter: Tensor<4>, stride: usize) -> Tensor<4> {
    let [channels, _, _, kernel] = filter.dims();
    conv2d(input, filter, None, ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], channels))
}

/// See [`super::fused::statistics`].
pub(super) fn statistics(input: Tensor<4>) -> [Tensor<1>; 2] {
    let channels = input.dims()[1];
    moments(input.detach()).map(|of| of.reshape([channels]))
}

/// See [`super::fused::norm`].
pub(super) fn norm(
    input: Tensor<4>,
    [gamma, beta, mean, variance]: [Tensor<1>; 4],
    [low, high]: [f32; 2],
    is_of_batch: bool,
) -> Tensor<4> {
    let of_channels = |vector: Tensor<1>| -> Tensor<4> {
        let channels = vector.dims()[0];
        vector.reshape([1, channels, 1, 1])
    };
    let [mean, variance] = match is_of_batch {
        // Anew, because they have a share in the gradient.
        true => moments(input.clone()),
        false => [mean.detach(), variance.detach()].map(of_channels),
    };
    let normal = (input - mean) / (variance + f64::from(BATCH_NORM_EPSILON)).sqrt();
    (normal * of_channels(gamma) + of_channels(beta)).clamp(low, high)
}

/// Mean and variance of each channel, `[1, channels, 1, 1]`.
fn moments(input: Tensor<4>) -> [Tensor<4>; 2] {
    let over_all = |of: Tensor<4>| of.mean_dim(0).mean_dim(2).mean_dim(3);
    let mean = over_all(input.clone());
    [mean.clone(), over_all((input - mean).square())]
}

/// A function of each value.
pub(super) fn activate(x: Tensor<4>, function: Activation) -> Tensor<4> {
    match function {
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Elu => activation::elu(x, 1.0),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::HardSwish => x.clone() * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    }
}
