//! Operations that take most of the time of a training on a processor, in one pass each where burn takes many.
//!
//! They run on the backend `Flex` alone; other devices compute the same by burn's own operations ([`super::plain`]).

mod convolution;
mod dense;
mod depthwise;
mod function;
mod lanes;
mod norm;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

pub(super) use convolution::{Form, convolution};
pub(super) use function::is_known_by_output;
use norm::{Channels, Norm};

use super::device::is_processor;
use super::plain;
use crate::float_kernels::Depthwise;

/// A convolution of each channel by itself, `filter` `[channels, 1, kernel, kernel]`, padded by half its kernel.
pub(super) fn depthwise(input: Tensor<4>, filter: Tensor<4>, stride: usize) -> Tensor<4> {
    if !is_processor(&input.device()) {
        return plain::depthwise(input, filter, stride);
    }
    Tensor::from_dispatch(<Dispatch as FusedOps>::depthwise(
        input.into_dispatch(),
        filter.into_dispatch(),
        stride,
    ))
}

/// Mean and variance of each channel, without gradients.
pub(super) fn statistics(input: Tensor<4>) -> [Tensor<1>; 2] {
    if !is_processor(&input.device()) {
        return plain::statistics(input);
    }
    let [_, channels, ..] = input.dims();
    let both: Tensor<2> =
        Tensor::from_dispatch(<Dispatch as FusedOps>::channel_statistics(input.detach().into_dispatch()));
    [0, 1].map(|part| both.clone().slice([part..part + 1, 0..channels]).reshape([channels]))
}

/// Batch normalisation: each channel less its mean over the root of its variance, times gamma, plus beta; then what
/// is beyond `limits` is cut off. `is_of_batch`: mean and variance are those of `input`; no gradient reaches them otherwise.
pub(super) fn norm(
    input: Tensor<4>,
    [gamma, beta, mean, variance]: [Tensor<1>; 4],
    limits: [f32; 2],
    is_of_batch: bool,
) -> Tensor<4> {
    if !is_processor(&input.device()) {
        return plain::norm(input, [gamma, beta, mean, variance], limits, is_of_batch);
    }
    Tensor::from_dispatch(<Dispatch as FusedOps>::norm(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        mean.detach().into_dispatch(),
        variance.detach().into_dispatch(),
        limits,
        is_of_batch,
    ))
}

/// What is computed, on tensors without and with gradients.
#[backend_extension(Flex, Autodiff)]
pub trait FusedOps: Backend {
    /// See [`depthwise`].
    fn depthwise(input: FloatTensor<Self>, filter: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;

    /// Mean and variance of each channel, `[2, channels]`.
    fn channel_statistics(input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`norm`].
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        limits: [f32; 2],
        is_of_batch: bool,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`FusedOps`], on tensors without.
pub trait FusedGradients: FusedOps {
    /// Of the input of [`FusedOps::depthwise`], whose height and width are `size`.
    fn depthwise_input(
        size: [usize; 2],
        filter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self>;

    /// Of its filter.
    fn depthwise_filter(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self>;

    /// Of input, gamma and beta of [`FusedOps::norm`].
    fn norm_gradients(normalised: Normalised<Self>, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 3];
}

/// What went into a normalisation.
#[derive(Clone, Debug)]
pub struct Normalised<B: Backend> {
    input: FloatTensor<B>,
    /// Gamma, beta, mean, variance.
    channels: [FloatTensor<B>; 4],
    limits: [f32; 2],
    is_of_batch: bool,
}

fn sizes(tensor: &FlexTensor) -> [usize; 4] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|axis| shape[axis])
}

fn made(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

impl FusedOps for Flex {
    fn depthwise(input: FlexTensor, filter: FlexTensor, stride: usize) -> FlexTensor {
        let (input, filter) = (input.to_contiguous(), filter.to_contiguous());
        let of = Depthwise { input: sizes(&input), kernel: sizes(&filter)[3], stride };
        made(of.forward(input.storage(), filter.storage()), &of.output())
    }

    fn channel_statistics(input: FlexTensor) -> FlexTensor {
        let input = input.to_contiguous();
        let [_, channels, height, width] = sizes(&input);
        let both = norm::statistics(input.storage(), channels, height * width);
        made(both.concat(), &[2, channels])
    }

    fn norm(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        limits: [f32; 2],
        is_of_batch: bool,
    ) -> FlexTensor {
        let normalised = Normalised::<Self> {
            input: input.to_contiguous(),
            channels: [gamma, beta, mean, variance].map(|vector| vector.to_contiguous()),
            limits,
            is_of_batch,
        };
        let output = normalised.norm().forward(normalised.input.storage(), normalised.channels());
        made(output, &sizes(&normalised.input))
    }
}

impl FusedGradients for Flex {
    fn depthwise_input(
        [height, width]: [usize; 2],
        filter: FlexTensor,
        gradient: FlexTensor,
        stride: usize,
    ) -> FlexTensor {
        let (filter, gradient) = (filter.to_contiguous(), gradient.to_contiguous());
        let [batch, channels, ..] = sizes(&gradient);
        let of = Depthwise { input: [batch, channels, height, width], kernel: sizes(&filter)[3], stride };
        made(of.input_gradient(gradient.storage(), filter.storage()), &of.input)
    }

    fn depthwise_filter(input: FlexTensor, gradient: FlexTensor, kernel: usize, stride: usize) -> FlexTensor {
        let (input, gradient) = (input.to_contiguous(), gradient.to_contiguous());
        let of = Depthwise { input: sizes(&input), kernel, stride };
        made(of.filter_gradient(input.storage(), gradient.storage()), &[of.input[1], 1, kernel, kernel])
    }

    fn norm_gradients(normalised: Normalised<Self>, gradient: FlexTensor) -> [FlexTensor; 3] {
        let normalised = Normalised::<Self> {
            input: normalised.input.to_contiguous(),
            channels: normalised.channels.map(|vector| vector.to_contiguous()),
            ..normalised
        };
        let gradient = gradient.to_contiguous();
        let input = normalised.input.storage();
        let found = normalised.norm().gradients(input, normalised.channels(), gradient.storage());
        let shape = sizes(&normalised.input);
        [made(found.input, &shape), made(found.gamma, &shape[1..2]), made(found.beta, &shape[1..2])]
    }
}

impl Normalised<Flex> {
    fn norm(&self) -> Norm {
        let [_, channels, height, width] = sizes(&self.input);
        Norm { channels, pixels: height * width, limits: self.limits, is_of_batch: self.is_of_batch }
    }

    fn channels(&self) -> Channels<'_> {
        let [gamma, beta, mean, variance] = self.channels.each_ref().map(|vector| vector.storage());
        Channels { gamma, beta, mean, variance }
    }
}

/// The gradient of [`FusedOps::depthwise`].
#[derive(Debug)]
struct DepthwiseGradient {
    stride: usize,
}

impl<B: FusedGradients> Backward<B, 2> for DepthwiseGradient {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [input, filter] = ops.state;
        let [of_input, of_filter] = ops.parents;
        let [.., height, width] = dimensions::<B>(&input);
        let [.., kernel] = dimensions::<B>(&filter);
        if let Some(node) = of_filter {
            let found = B::depthwise_filter(input, gradient.clone(), kernel, self.stride);
            gradients.register::<B>(node.id, found);
        }
        if let Some(node) = of_input {
            let found = B::depthwise_input([height, width], filter, gradient, self.stride);
            gradients.register::<B>(node.id, found);
        }
    }
}

fn dimensions<B: Backend>(tensor: &FloatTensor<B>) -> [usize; 4] {
    let shape = tensor.shape();
    std::array::from_fn(|axis| shape[axis])
}

/// The gradient of [`FusedOps::norm`].
#[derive(Debug)]
struct NormGradient;

impl<B: FusedGradients> Backward<B, 3> for NormGradient {
    type State = Normalised<B>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let found = B::norm_gradients(ops.state, gradient);
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

impl<B: FusedGradients, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn depthwise(input: FloatTensor<Self>, filter: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        let state = [input.primitive().clone(), filter.primitive().clone()];
        let output = B::depthwise(state[0].clone(), state[1].clone(), stride);
        let step = DepthwiseGradient { stride }.prepare::<C>([input.node(), filter.node()]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }

    fn channel_statistics(input: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::channel_statistics(input.primitive().clone()))
    }

    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        limits: [f32; 2],
        is_of_batch: bool,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), gamma.node(), beta.node()];
        let channels = [gamma, beta, mean, variance].map(|vector| vector.primitive().clone());
        let state = Normalised::<B> { input: input.primitive().clone(), channels, limits, is_of_batch };
        let [gamma, beta, mean, variance] = state.channels.clone();
        let output = B::norm(state.input.clone(), gamma, beta, mean, variance, limits, is_of_batch);
        match NormGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    pub(super) fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
        let mut random = fastrand::Rng::with_seed(seed);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.f32() * 2.0 - 0.7).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    /// The output of `of`, and the gradients of its product with random numbers.
    pub(super) fn output_and_gradients(
        parts: &[Tensor<1>],
        of: impl Fn(&[Tensor<1>]) -> Tensor<4>,
    ) -> Vec<Vec<f32>> {
        let values = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
        let output = of(parts);
        let gradient = random(output.dims(), 9, &output.device()).detach();
        let gradients = (output.clone() * gradient).sum().backward();
        let count = output.shape().num_elements();
        let of_parts = parts.iter().map(|part| values(part.grad(&gradients).unwrap()));
        std::iter::once(values(output.reshape([count]))).chain(of_parts).collect()
    }

    pub(super) fn assert_close(found: &[Vec<f32>], wanted: &[Vec<f32>]) {
        for (part, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert_eq!(found.len(), wanted.len());
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-4, "part {part} differs by {worst}");
        }
    }

    #[test]
    fn depthwise_is_that_of_burn() {
        let device = Device::flex().autodiff();
        let parts = [random([2 * 5 * 9 * 14], 1, &device), random([5 * 9], 2, &device)];
        let shaped = |parts: &[Tensor<1>]| {
            (parts[0].clone().reshape([2, 5, 9, 14]), parts[1].clone().reshape([5, 1, 3, 3]))
        };
        for stride in [1, 2] {
            let fused = output_and_gradients(&parts, |parts| {
                let (input, filter) = shaped(parts);
                depthwise(input, filter, stride)
            });
            let plain = output_and_gradients(&parts, |parts| {
                let (input, filter) = shaped(parts);
                plain::depthwise(input, filter, stride)
            });
            assert_close(&fused, &plain);
        }
    }

    #[test]
    fn norm_is_that_of_its_definition() {
        let device = Device::flex().autodiff();
        let parts = [random([3 * 4 * 5 * 7], 3, &device), random([4], 4, &device), random([4], 5, &device)];
        let limits = [-0.1, 0.6];
        let fixed = [random([4], 6, &device).detach(), (random([4], 7, &device).abs() + 0.2).detach()];
        for is_of_batch in [true, false] {
            let fused = output_and_gradients(&parts, |parts| {
                let input: Tensor<4> = parts[0].clone().reshape([3, 4, 5, 7]);
                let [mean, variance] = if is_of_batch { statistics(input.clone()) } else { fixed.clone() };
                norm(input, [parts[1].clone(), parts[2].clone(), mean, variance], limits, is_of_batch)
            });
            let plain = output_and_gradients(&parts, |parts| {
                let input: Tensor<4> = parts[0].clone().reshape([3, 4, 5, 7]);
                let [mean, variance] = fixed.clone();
                plain::norm(input, [parts[1].clone(), parts[2].clone(), mean, variance], limits, is_of_batch)
            });
            assert_close(&fused, &plain);
        }
        let input: Tensor<4> = parts[0].clone().reshape([3, 4, 5, 7]);
        let [fused, plain] = [statistics(input.clone()), plain::statistics(input)]
            .map(|both| both.map(|of| of.into_data().try_to_vec().unwrap()));
        assert_close(&fused, &plain);
    }
}
