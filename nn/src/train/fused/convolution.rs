//! Convolutions over all channels as operations of burn, with the bias and the function behind them in the same pass.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::{dimensions, function, is_processor, made, plain, sizes};
use crate::architecture::Activation;
use crate::float_kernels::Dense;

/// What a convolution is beside its tensors.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Step between windows.
    pub(crate) stride: usize,
    /// Height and width of the output of a transposed convolution, from each of whose windows a pixel of the input was
    /// made; none for a plain one.
    pub(crate) enlarged: Option<[usize; 2]>,
    /// What is done to each value of the output: one of [`function::is_known_by_output`].
    pub(crate) function: Option<Activation>,
}

/// A convolution with `filter` `[out, in, kernel, kernel]`, or `[in, out, kernel, kernel]` where it is transposed, padded
/// by half its kernel. A number of `bias` is added to each channel, then the function applied.
pub(crate) fn convolution(input: Tensor<4>, filter: Tensor<4>, bias: Tensor<1>, form: Form) -> Tensor<4> {
    if !is_processor(&input.device()) {
        return plain::convolution(input, filter, bias, form);
    }
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolution(
        input.into_dispatch(),
        filter.into_dispatch(),
        bias.into_dispatch(),
        form,
    ))
}

/// What is computed, on tensors without and with gradients.
#[backend_extension(Flex, Autodiff)]
pub trait ConvolutionOps: Backend {
    /// See [`convolution`].
    fn convolution(
        input: FloatTensor<Self>,
        filter: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`ConvolutionOps`], on tensors without.
pub trait ConvolutionGradients: ConvolutionOps {
    /// Of what the function was given, from that of its output, and of the bias.
    fn before_function(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        function: Option<Activation>,
    ) -> [FloatTensor<Self>; 2];

    /// Of the input, whose height and width are `size`.
    fn input_gradient(
        size: [usize; 2],
        filter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;

    /// Of the filter.
    fn filter_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        kernel: usize,
        form: Form,
    ) -> FloatTensor<Self>;
}

impl Form {
    /// The way back, to an input of height and width `size`.
    fn reversed(self, size: [usize; 2]) -> Self {
        let enlarged = if self.enlarged.is_none() { Some(size) } else { None };
        Self { enlarged, function: None, ..self }
    }

    fn carry_out(self, input: &FlexTensor, filter: &FlexTensor, bias: &[f32]) -> FlexTensor {
        let (input, filter) = (input.to_contiguous(), filter.to_contiguous());
        let ([filters, channels, kernel, _], [batch, _, height, width]) = (sizes(&filter), sizes(&input));
        let values = (input.storage(), filter.storage());
        let [height, width] = self.enlarged.unwrap_or([height, width]);
        let of = Dense {
            input: [batch, channels, height, width],
            filters,
            kernel,
            padding: kernel / 2,
            stride: self.stride,
        };
        if self.enlarged.is_some() {
            made(of.transposed(values.0, values.1, bias, self.function), &of.input)
        } else {
            made(of.forward(values.0, values.1, bias, self.function), &of.output())
        }
    }
}

impl ConvolutionOps for Flex {
    fn convolution(input: FlexTensor, filter: FlexTensor, bias: FlexTensor, form: Form) -> FlexTensor {
        form.carry_out(&input, &filter, bias.to_contiguous().storage())
    }
}

impl ConvolutionGradients for Flex {
    fn before_function(
        output: FlexTensor,
        gradient: FlexTensor,
        function: Option<Activation>,
    ) -> [FlexTensor; 2] {
        let (output, mut gradient) = (output.to_contiguous(), gradient.to_contiguous());
        let [_, channels, height, width] = sizes(&output);
        let sums = function::gradient(function, output.storage(), gradient.storage_mut(), height * width);
        let of_channel = |channel| sums.iter().skip(channel).step_by(channels).sum();
        let bias = (0..channels).map(of_channel).collect();
        [gradient, made(bias, &[channels])]
    }

    fn input_gradient(size: [usize; 2], filter: FlexTensor, gradient: FlexTensor, form: Form) -> FlexTensor {
        form.reversed(size).carry_out(&gradient, &filter, &[])
    }

    fn filter_gradient(input: FlexTensor, gradient: FlexTensor, kernel: usize, form: Form) -> FlexTensor {
        let (input, gradient) = (input.to_contiguous(), gradient.to_contiguous());
        let (large, small) = if form.enlarged.is_some() { (gradient, input) } else { (input, gradient) };
        let [_, filters, ..] = sizes(&small);
        let of = Dense { input: sizes(&large), filters, kernel, padding: kernel / 2, stride: form.stride };
        made(of.filter_gradient(large.storage(), small.storage()), &[filters, of.input[1], kernel, kernel])
    }
}

/// The gradient of [`ConvolutionOps::convolution`].
#[derive(Debug)]
struct ConvolutionGradient {
    form: Form,
}

/// What a convolution read and made.
#[derive(Clone, Debug)]
struct Kept<B: Backend> {
    input: FloatTensor<B>,
    filter: FloatTensor<B>,
    output: FloatTensor<B>,
}

impl<B: ConvolutionGradients> Backward<B, 3> for ConvolutionGradient {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Kept { input, filter, output } = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [gradient, of_bias] = B::before_function(output, gradient, self.form.function);
        let [input_node, filter_node, bias_node] = ops.parents;
        if let Some(node) = bias_node {
            gradients.register::<B>(node.id, of_bias);
        }
        let [.., height, width] = dimensions::<B>(&input);
        if let Some(node) = filter_node {
            let [.., kernel] = dimensions::<B>(&filter);
            let found = B::filter_gradient(input, gradient.clone(), kernel, self.form);
            gradients.register::<B>(node.id, found);
        }
        if let Some(node) = input_node {
            let found = B::input_gradient([height, width], filter, gradient, self.form);
            gradients.register::<B>(node.id, found);
        }
    }
}

impl<B: ConvolutionGradients, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolution(
        input: FloatTensor<Self>,
        filter: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), filter.node(), bias.node()];
        let [input, filter, bias] = [input, filter, bias].map(|tensor| tensor.primitive().clone());
        let output = B::convolution(input.clone(), filter.clone(), bias, form);
        match (ConvolutionGradient { form }).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(Kept { input, filter, output: output.clone() }, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::tests::{assert_close, output_and_gradients, random};
    use super::*;

    #[test]
    fn convolutions_are_those_of_burn() {
        let device = Device::flex().autodiff();
        for (kernel, stride, function) in [
            (3, 1, None),
            (3, 2, Some(Activation::Relu)),
            (5, 1, Some(Activation::Elu)),
            (7, 2, Some(Activation::Sigmoid)),
        ] {
            let filters = 5 * 3 * kernel * kernel;
            let parts = [
                random([2 * 3 * 9 * 14], 1, &device),
                random([filters], 2, &device),
                random([5], 3, &device),
            ];
            let shaped = |parts: &[Tensor<1>]| {
                let filter = parts[1].clone().reshape([5, 3, kernel, kernel]);
                (parts[0].clone().reshape([2, 3, 9, 14]), filter, parts[2].clone())
            };
            let form = Form { stride, enlarged: None, function };
            let fused = output_and_gradients(&parts, |parts| {
                let (input, filter, bias) = shaped(parts);
                convolution(input, filter, bias, form)
            });
            let plain = output_and_gradients(&parts, |parts| {
                let (input, filter, bias) = shaped(parts);
                plain::convolution(input, filter, bias, form)
            });
            assert_close(&fused, &plain);
        }
    }

    #[test]
    fn transposed_convolutions_are_those_of_burn() {
        let device = Device::flex().autodiff();
        for (kernel, function) in [(3, None), (3, Some(Activation::Relu)), (5, None), (7, None)] {
            let parts = [
                random([2 * 3 * 4 * 7], 1, &device),
                random([3 * 5 * kernel * kernel], 2, &device),
                random([5], 3, &device),
            ];
            let shaped = |parts: &[Tensor<1>]| {
                let filter = parts[1].clone().reshape([3, 5, kernel, kernel]);
                (parts[0].clone().reshape([2, 3, 4, 7]), filter, parts[2].clone())
            };
            let form = Form { stride: 2, enlarged: Some([8, 14]), function };
            let fused = output_and_gradients(&parts, |parts| {
                let (input, filter, bias) = shaped(parts);
                convolution(input, filter, bias, form)
            });
            let plain = output_and_gradients(&parts, |parts| {
                let (input, filter, bias) = shaped(parts);
                plain::convolution(input, filter, bias, form)
            });
            assert_close(&fused, &plain);
        }
    }
}
