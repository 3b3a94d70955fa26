//! Convolutions of a plan, packed for a kernel.

use std::ops::Range;

use crate::error::NnError;
use crate::float_kernels;
use crate::kernels::{
    Convolution, ConvolutionSpec, Depthwise, DepthwiseSpec, ImageShape, Kernel, Output, Word,
};
use crate::plan::{ConvolutionLayer, FloatConvolutionKind, FloatConvolutionLayer, Op};

/// A convolution packed for a kernel.
#[derive(Debug)]
pub(super) enum Layer {
    Dense(Convolution),
    Depthwise(Depthwise),
}

impl Layer {
    /// What a step needs packed; `None` for steps without weights.
    pub(super) fn new(kernel: Kernel, op: &Op) -> Result<Option<Self>, NnError> {
        Ok(match op {
            Op::Convolve { layer, .. } => Some(Self::Dense(Convolution::new(kernel, &dense(layer))?)),
            Op::ConvolveDepthwise { layer, .. } => {
                Some(Self::Depthwise(Depthwise::new(kernel, &depthwise(layer))?))
            }
            _ => None,
        })
    }

    pub(super) fn output(&self) -> ImageShape {
        match self {
            Self::Dense(layer) => layer.output(),
            Self::Depthwise(layer) => layer.output(),
        }
    }

    pub(super) fn scratch_words(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.scratch_words(),
            Self::Depthwise(layer) => layer.scratch_words(),
        }
    }

    /// Bytes that the packed parameters take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.bytes(),
            Self::Depthwise(layer) => layer.bytes(),
        }
    }

    pub(super) fn run_rows(
        &self,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
        scratch: &mut [Word],
    ) -> Result<(), NnError> {
        match self {
            Self::Dense(layer) => layer.run_rows(rows, input, output, scratch),
            Self::Depthwise(layer) => layer.run_rows(rows, input, output, scratch),
        }
    }
}

fn dense(layer: &ConvolutionLayer) -> ConvolutionSpec<'_> {
    ConvolutionSpec {
        input: layer.input,
        input_zero_point: layer.input_zero_point,
        window: layer.window,
        output_channels: layer.output_channels,
        weights: &layer.weights,
        bias: &layer.bias,
        requantisation: &layer.requantisation,
    }
}

fn depthwise(layer: &ConvolutionLayer) -> DepthwiseSpec<'_> {
    DepthwiseSpec {
        input: layer.input,
        input_zero_point: layer.input_zero_point,
        window: layer.window,
        weights: &layer.weights,
        bias: &layer.bias,
        requantisation: &layer.requantisation,
    }
}

/// A convolution in floats, packed; `None` for steps that are none.
pub(super) fn float_layer(op: &Op) -> Option<float_kernels::Convolution> {
    let Op::ConvolveFloats { layer, .. } = op else { return None };
    let FloatConvolutionLayer { input, filters, kernel, padding, stride, kind, .. } = **layer;
    let (bias, function) = (layer.bias.clone(), layer.function);
    Some(match kind {
        FloatConvolutionKind::Depthwise => {
            let of = float_kernels::Depthwise { input, kernel, stride };
            float_kernels::Convolution::depthwise(of, layer.weights.clone(), bias, function)
        }
        FloatConvolutionKind::Dense => {
            let of = float_kernels::Dense { input, filters, kernel, padding, stride };
            float_kernels::Convolution::dense(of, &layer.weights, bias, function)
        }
        FloatConvolutionKind::Transposed { .. } => {
            let (input, filters) = (layer.output(), input[1]);
            let of = float_kernels::Dense { input, filters, kernel, padding, stride };
            float_kernels::Convolution::transposed(of, &layer.weights, bias, function)
        }
    })
}
