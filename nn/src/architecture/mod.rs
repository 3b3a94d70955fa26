//! Networks as data: what they compute, without weights. One description makes the module that is trained (feature
//! `train`) and the ONNX file that flies ([`Architecture::to_onnx`]), so that the two can't drift apart.

mod backbone;
mod builder;
mod count;
mod export;
mod weights;

pub use backbone::Backbone;
pub use builder::Builder;
pub use export::ExportError;
pub use weights::{Parameter, Weights, WeightsError};

/// A network as a list of layers, each of which reads earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    layers: Vec<Layer>,
    outputs: Vec<Output>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name: parts separated by dots, unique in the network.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Channels of what it makes.
    pub channels: usize,
}

/// What a layer made: its number in [`Architecture::layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(usize);

/// What comes out under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Name of the tensor in files.
    pub name: String,
    /// What it is.
    pub value: Value,
}

/// What a layer computes on tensors `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// What goes into the network.
    Input,
    /// A convolution.
    Convolution(Convolution),
    /// A transposed convolution of this kernel, an odd number, and of stride 2, that doubles height and width.
    Upconvolution(usize),
    /// Batch normalisation, epsilon [`BATCH_NORM_EPSILON`].
    BatchNorm,
    /// A function of each value.
    Activation(Activation),
    /// The sum of two tensors of one shape.
    Add,
    /// The product of a tensor with another of the same shape, or of height and width 1.
    Multiply,
    /// Tensors one behind the other, along the channels.
    Concat,
    /// As many channels as it has, from this one on.
    Channels(usize),
    /// The channels dealt from so many equal groups in turn: the first of each, the second of each, and so on.
    Shuffle(usize),
    /// Each pixel four times: twice the height and width.
    UpsampleNearest,
    /// Twice the height and width, linear between the centres of pixels.
    UpsampleBilinear,
    /// The upper left part of a tensor, as high and wide as a second one.
    CropLike,
    /// The greatest value of windows 3x3, every second one.
    MaxPool,
    /// The mean over height and width, which become 1.
    GlobalAveragePool,
}

/// A convolution, padded by half its kernel on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Height and width of the kernel: an odd number.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Groups of channels that don't see each other: 1, or as many as channels for a depthwise convolution.
    pub groups: usize,
    /// Whether a number is added to each channel.
    pub bias: bool,
}

/// A function of each value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` above zero, `exp(x) - 1` below.
    Elu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(x / 6 + 1 / 2, 0), 1)`.
    HardSigmoid,
    /// `x * HardSigmoid(x)`.
    HardSwish,
}

/// Added to the variance in batch normalisation.
pub const BATCH_NORM_EPSILON: f32 = 1e-5;

impl Architecture {
    /// Its layers; each reads only earlier ones.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What comes out, in the order of files.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}

impl Value {
    /// Its number in [`Architecture::layers`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl Convolution {
    /// One of `kernel` at every `stride`-th pixel over all channels, without a bias: batch normalisation follows.
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, groups: 1, bias: false }
    }

    /// The same with a number added to each channel.
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

#[cfg(test)]
pub(crate) mod tests;
