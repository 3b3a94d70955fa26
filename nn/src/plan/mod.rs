//! What to compute for a network, as data: steps over buffers, which any back end can carry out.

mod arena;
mod budget;
mod convolutions;
mod expansions;
mod floats;
mod images;
mod in_place;
mod layers;
mod lower;
mod narrow;
mod tail;
mod value;

use std::ops::Range;

use crate::architecture::Activation;
use crate::float::FloatNode;
use crate::kernels::{
    Addition, AveragePool, ImageShape, Interpolation, MaxPool, Quantisation, Requantisation, Selection,
    Window,
};
use crate::onnx::Port;
pub(crate) use lower::lower;

/// Which buffer of bytes; an index into [`Plan::buffers`].
pub type BufferId = usize;

/// Which tensor of floats; an index into [`Plan::floats`].
pub type FloatId = usize;

/// A network as steps, in the order in which they are taken.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// Bytes that steps write and read, all of them parts of one arena.
    pub buffers: Vec<Buffer>,
    /// Length of the arena.
    pub arena: usize,
    /// Shapes of the tensors of floats.
    pub floats: Vec<Vec<usize>>,
    /// Where each of them lies: those in one place are never needed at once.
    pub float_places: Vec<usize>,
    /// What goes in, and where.
    pub inputs: Vec<(Port, FloatId)>,
    /// What comes out, and from where.
    pub outputs: Vec<(Port, FloatId)>,
}

/// A part of the arena. Two of them overlap only if no step needs both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes.
    pub length: usize,
    /// Where they begin.
    pub offset: usize,
}

impl Buffer {
    /// Where in the arena it lies.
    pub fn range(self) -> Range<usize> {
        self.offset..self.offset + self.length
    }
}

/// The places of a buffer that a step writes an image to: all of them, some channels of each pixel of a wider image, or
/// some pixels of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which buffer.
    pub buffer: BufferId,
    /// Where the first value goes.
    pub first: usize,
    /// Values from one pixel to the next.
    pub step: usize,
    /// Values from one row to the next.
    pub row_step: usize,
}

impl View {
    /// All of a buffer that holds just an image of this shape.
    pub fn whole(buffer: BufferId, shape: ImageShape) -> Self {
        Self { buffer, first: 0, step: shape.channels, row_step: shape.width * shape.channels }
    }
}

/// One step of a plan.
#[derive(Debug)]
pub struct Step {
    /// Name of the node that it stands for.
    pub node: String,
    /// What it does.
    pub op: Op,
}

impl Step {
    /// The nodes that run in float.
    fn float_nodes(&self) -> &[FloatNode] {
        match &self.op {
            Op::Float { model, .. } => model.nodes(),
            Op::ConvolveFloats { layer, .. } => &layer.nodes,
            _ => &[],
        }
    }
}

/// What a step does.
#[derive(Debug)]
pub enum Op {
    /// Floats to bytes, the channels of a pixel brought together.
    Quantise {
        /// `[channels, pixels]`.
        input: FloatId,
        /// `[pixels, channels]`.
        output: BufferId,
        /// Values per pixel.
        channels: usize,
        /// What the bytes stand for.
        quantisation: Quantisation,
    },
    /// Bytes to floats, the channels of a pixel taken apart.
    Dequantise {
        /// `[pixels, channels]`.
        input: BufferId,
        /// `[channels, pixels]`.
        output: FloatId,
        /// Values per pixel.
        channels: usize,
        /// What the bytes stand for.
        quantisation: Quantisation,
        /// What each byte becomes, where that is a function of what it stands for.
        function: Option<Box<[f32; 256]>>,
    },
    /// A convolution over all input channels.
    Convolve {
        /// The image that it reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// Its parameters.
        layer: Box<ConvolutionLayer>,
    },
    /// A 3x3 convolution of each channel by itself.
    ConvolveDepthwise {
        /// The image that it reads, or that its expansion reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// Its parameters; as many output channels as there are input channels.
        layer: Box<ConvolutionLayer>,
        /// A 1x1 convolution that makes what it reads, row by row.
        expansion: Option<Box<ConvolutionLayer>>,
    },
    /// The largest values under a window.
    MaxPool {
        /// The image that it reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// The window.
        layer: MaxPool,
    },
    /// The means under a window.
    AveragePool {
        /// The image that it reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// The window, and what the bytes stand for.
        layer: AveragePool,
    },
    /// Channels, rows and columns of an image: enlargement by the nearest pixel, cutting out, shuffling.
    Select {
        /// The image that it reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// Which channels, rows and columns.
        layer: Selection,
    },
    /// Bilinear interpolation.
    Interpolate {
        /// The image that it reads.
        input: BufferId,
        /// Where its image goes.
        output: View,
        /// Which places.
        layer: Interpolation,
    },
    /// A sum of two tensors of the same shape.
    Add {
        /// The addends.
        inputs: [BufferId; 2],
        /// The sum.
        output: BufferId,
        /// How the bytes are added.
        addition: Addition,
    },
    /// Each byte replaced with another.
    Map {
        /// What is replaced.
        input: BufferId,
        /// What replaces it.
        output: BufferId,
        /// By what, for all 256 values.
        table: Box<[u8; 256]>,
    },
    /// Tensors side by side.
    Concatenate {
        /// Those that are not written to their place right away.
        parts: Vec<Part>,
        /// The whole.
        output: BufferId,
        /// How many times each part contributes a run of its bytes.
        runs: usize,
    },
    /// A convolution in floats, with the function behind it.
    ConvolveFloats {
        /// `[batch, channels, height, width]`.
        input: FloatId,
        /// The same.
        output: FloatId,
        /// Its parameters.
        layer: Box<FloatConvolutionLayer>,
    },
    /// Nodes that have no form here, in floats.
    Float {
        /// Its inputs, constants left out.
        inputs: Vec<FloatId>,
        /// Its outputs.
        outputs: Vec<FloatId>,
        /// What it computes.
        model: crate::float::FloatOp,
    },
}

/// Parameters of a convolution.
#[derive(Clone, Debug)]
pub struct ConvolutionLayer {
    /// The image that it reads.
    pub input: ImageShape,
    /// The input value that stands for zero.
    pub input_zero_point: u8,
    /// What slides over it.
    pub window: Window,
    /// Channels that it writes.
    pub output_channels: usize,
    /// `[output channel, window row, window column, input channel]`, without the last for depthwise ones.
    pub weights: Vec<i8>,
    /// One per output channel.
    pub bias: Vec<i32>,
    /// From sums to outputs.
    pub requantisation: Requantisation,
    /// Multiplications of a run, as the network defines the layer; its form here may have more, by weights of zero.
    pub multiply_adds: u64,
}

/// Parameters of a convolution in floats.
#[derive(Clone, Debug)]
pub struct FloatConvolutionLayer {
    /// `[batch, channels, height, width]` of what goes in.
    pub input: [usize; 4],
    /// Channels of what comes out.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Zeros around what a dense one reads; half the kernel for depthwise ones.
    pub padding: usize,
    /// Step between windows.
    pub stride: usize,
    /// What each filter reads and writes.
    pub kind: FloatConvolutionKind,
    /// `[filters, channels, kernel, kernel]`, with one channel for depthwise ones; `[channels, filters, kernel, kernel]` for
    /// transposed ones.
    pub weights: Vec<f32>,
    /// One per filter, or none at all.
    pub bias: Vec<f32>,
    /// What is done to each value that comes out.
    pub function: Option<Activation>,
    /// The nodes that it stands for.
    pub nodes: Vec<FloatNode>,
}

/// Kinds of convolutions in floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatConvolutionKind {
    /// Each filter reads all channels.
    Dense,
    /// Each filter reads its own channel alone.
    Depthwise,
    /// What comes out is what a dense one would have read.
    Transposed {
        /// Height and width of it.
        size: [usize; 2],
    },
}

impl FloatConvolutionLayer {
    /// `[batch, channels, height, width]` of what comes out.
    pub fn output(&self) -> [usize; 4] {
        let [batch, _, height, width] = self.input;
        let [height, width] = match self.kind {
            FloatConvolutionKind::Transposed { size } => size,
            _ => [height, width]
                .map(|length| (length + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1),
        };
        [batch, self.filters, height, width]
    }

    /// Multiplications with an addition each.
    pub fn multiply_adds(&self) -> u64 {
        let [batch, _, height, width] = match self.kind {
            FloatConvolutionKind::Transposed { .. } => self.input,
            _ => self.output(),
        };
        (self.weights.len() * batch * height * width) as u64
    }
}

/// A tensor that is part of a concatenation.
#[derive(Clone, Debug)]
pub struct Part {
    /// The tensor.
    pub input: BufferId,
    /// Where in each run of the whole its own begins.
    pub start: usize,
    /// Its bytes in the scale of the whole, where that differs.
    pub table: Option<Box<[u8; 256]>>,
}

impl Op {
    /// The name of what a step does; that of ONNX where there is one.
    pub fn name(&self) -> &str {
        match self {
            Self::Quantise { .. } => "QuantizeLinear",
            Self::Dequantise { .. } => "DequantizeLinear",
            Self::Convolve { .. } | Self::ConvolveDepthwise { .. } | Self::ConvolveFloats { .. } => "Conv",
            Self::MaxPool { .. } => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::Select { .. } | Self::Interpolate { .. } => "Resize",
            Self::Add { .. } => "Add",
            Self::Map { .. } => "Map",
            Self::Concatenate { .. } => "Concat",
            Self::Float { model, .. } => model.name(),
        }
    }

    /// Multiplications of activations with weights, each with an addition.
    pub fn multiply_adds(&self) -> u64 {
        match self {
            Self::Convolve { layer, .. } => layer.multiply_adds,
            Self::ConvolveDepthwise { layer, expansion, .. } => {
                layer.multiply_adds + expansion.as_ref().map_or(0, |expansion| expansion.multiply_adds)
            }
            Self::ConvolveFloats { layer, .. } => layer.multiply_adds(),
            Self::Float { model, .. } => model.multiply_adds(),
            _ => 0,
        }
    }

    /// The tensors of floats that a step reads or writes.
    pub fn floats(&self) -> Vec<FloatId> {
        match self {
            Self::Quantise { input, .. } => vec![*input],
            Self::Dequantise { output, .. } => vec![*output],
            Self::ConvolveFloats { input, output, .. } => vec![*input, *output],
            Self::Float { inputs, outputs, .. } => inputs.iter().chain(outputs).copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Where a layer of an image writes it, and how many channels it has.
    pub(crate) fn view(&mut self) -> Option<(&mut View, usize)> {
        match self {
            Self::Convolve { output, layer, .. } | Self::ConvolveDepthwise { output, layer, .. } => {
                Some((output, layer.output_channels))
            }
            Self::MaxPool { output, layer, .. } => Some((output, layer.output().channels)),
            Self::AveragePool { output, layer, .. } => Some((output, layer.output().channels)),
            Self::Select { output, layer, .. } => Some((output, layer.output().channels)),
            Self::Interpolate { output, layer, .. } => Some((output, layer.output().channels)),
            _ => None,
        }
    }

    /// The buffers that a step reads.
    pub fn reads(&self) -> Vec<BufferId> {
        match self {
            Self::Quantise { .. } | Self::ConvolveFloats { .. } | Self::Float { .. } => Vec::new(),
            Self::Dequantise { input, .. }
            | Self::Convolve { input, .. }
            | Self::ConvolveDepthwise { input, .. }
            | Self::MaxPool { input, .. }
            | Self::AveragePool { input, .. }
            | Self::Select { input, .. }
            | Self::Interpolate { input, .. }
            | Self::Map { input, .. } => vec![*input],
            Self::Add { inputs, .. } => inputs.to_vec(),
            Self::Concatenate { parts, .. } => parts.iter().map(|part| part.input).collect(),
        }
    }

    /// The buffer that a step writes.
    pub fn writes(&self) -> Option<BufferId> {
        match self {
            Self::Dequantise { .. } | Self::ConvolveFloats { .. } | Self::Float { .. } => None,
            Self::Convolve { output, .. }
            | Self::ConvolveDepthwise { output, .. }
            | Self::MaxPool { output, .. }
            | Self::AveragePool { output, .. }
            | Self::Select { output, .. }
            | Self::Interpolate { output, .. } => Some(output.buffer),
            Self::Quantise { output, .. }
            | Self::Map { output, .. }
            | Self::Add { output, .. }
            | Self::Concatenate { output, .. } => Some(*output),
        }
    }
}

impl Plan {
    /// Names of the nodes that run in float.
    pub fn float_ops(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(Step::float_nodes).map(|node| &*node.name)
    }
}

/// The number of values of a tensor, where it is no more than a network for a drone could need.
pub(crate) fn volume(shape: &[usize]) -> Option<usize> {
    /// A gigabyte of floats.
    const MOST: usize = 1 << 28;
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length)).filter(|&n| n <= MOST)
}
