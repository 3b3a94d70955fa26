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
    Expanded(Box<Expanded>),
}

/// A depthwise convolution and the 1x1 convolution that makes what it reads.
#[derive(Debug)]
pub(super) struct Expanded {
    expansion: Convolution,
    depthwise: Depthwise,
}

impl Layer {
    /// What a step needs packed; `None` for steps without weights.
    pub(super) fn new(kernel: Kernel, op: &Op) -> Result<Option<Self>, NnError> {
        Ok(match op {
            Op::Convolve { layer, .. } => Some(Self::Dense(Convolution::new(kernel, &dense(layer))?)),
            Op::ConvolveDepthwise { layer, expansion, .. } => {
                let depthwise = Depthwise::new(kernel, &depthwise(layer))?;
                Some(match expansion {
                    Some(expansion) => {
                        let expansion = Convolution::new(kernel, &dense(expansion))?;
                        Self::Expanded(Box::new(Expanded { expansion, depthwise }))
                    }
                    None => Self::Depthwise(depthwise),
                })
            }
            _ => None,
        })
    }

    pub(super) fn output(&self) -> ImageShape {
        match self {
            Self::Dense(layer) => layer.output(),
            Self::Depthwise(layer) => layer.output(),
            Self::Expanded(both) => both.depthwise.output(),
        }
    }

    pub(super) fn scratch_words(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.scratch_words(),
            Self::Depthwise(layer) => layer.scratch_words(),
            Self::Expanded(both) => both.depthwise.scratch_words() + both.expansion.scratch_words(),
        }
    }

    /// Bytes that the packed parameters take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.bytes(),
            Self::Depthwise(layer) => layer.bytes(),
            Self::Expanded(both) => both.depthwise.bytes() + both.expansion.bytes(),
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
            Self::Expanded(both) => both.run_rows(rows, input, output, scratch),
        }
    }
}

impl Expanded {
    fn run_rows(
        &self,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
        scratch: &mut [Word],
    ) -> Result<(), NnError> {
        let Self { expansion, depthwise } = self;
        let (ring, scratch) = scratch.split_at_mut(depthwise.scratch_words().min(scratch.len()));
        let mut result = Ok(());
        let mut expand = |row: usize, values: &mut [u8]| {
            let row =
                expansion.run_rows(row..row + 1, input, Output::whole(values, expansion.output()), scratch);
            if result.is_ok() {
                result = row;
            }
        };
        depthwise.run_rows_of(rows, &mut expand, output, ring)?;
        result
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
