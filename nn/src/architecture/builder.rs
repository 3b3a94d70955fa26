//! Describes networks layer by layer.

use super::{Activation, Architecture, Convolution, Layer, Op, Output, Value};

/// Describes a network layer by layer.
///
/// ```
/// use kestrel_nn::architecture::{Activation, Builder, Convolution};
///
/// let mut network = Builder::new(3);
/// let x = network.input();
/// let x = network.convolution_norm("stem", x, 16, Convolution::new(3, 2), Some(Activation::Relu6));
/// let depth = network.convolution("head", x, 1, Convolution::new(1, 1).with_bias());
/// let architecture = network.finish(&[("depth", depth)]);
/// assert_eq!(architecture.layers().len(), 5);
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    layers: Vec<Layer>,
}

impl Builder {
    /// A network whose input has `channels`.
    pub fn new(channels: usize) -> Self {
        Self { layers: vec![Layer { name: "input".into(), op: Op::Input, inputs: Vec::new(), channels }] }
    }

    /// What goes in.
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// Channels of `value`.
    pub fn channels(&self, value: Value) -> usize {
        self.layers[value.0].channels
    }

    /// A convolution to `channels`.
    pub fn convolution(
        &mut self,
        name: &str,
        input: Value,
        channels: usize,
        convolution: Convolution,
    ) -> Value {
        self.push(name, Op::Convolution(convolution), &[input], channels)
    }

    /// A convolution to `channels` with batch normalisation, and with an activation where one is given.
    pub fn convolution_norm(
        &mut self,
        name: &str,
        input: Value,
        channels: usize,
        convolution: Convolution,
        activation: Option<Activation>,
    ) -> Value {
        let x = self.convolution(&format!("{name}.conv"), input, channels, convolution);
        let x = self.push(&format!("{name}.norm"), Op::BatchNorm, &[x], channels);
        activation.map_or(x, |activation| self.activation(&format!("{name}.act"), x, activation))
    }

    /// A convolution of each channel by itself, with batch normalisation and an activation.
    pub fn depthwise_norm(
        &mut self,
        name: &str,
        input: Value,
        convolution: Convolution,
        activation: Activation,
    ) -> Value {
        let channels = self.channels(input);
        let convolution = Convolution { groups: channels, ..convolution };
        self.convolution_norm(name, input, channels, convolution, Some(activation))
    }

    /// A transposed convolution of `kernel` to `channels`, twice as high and wide, with a bias.
    pub fn upconvolution(&mut self, name: &str, input: Value, channels: usize, kernel: usize) -> Value {
        self.push(name, Op::Upconvolution(kernel), &[input], channels)
    }

    /// A function of each value.
    pub fn activation(&mut self, name: &str, input: Value, activation: Activation) -> Value {
        self.push(name, Op::Activation(activation), &[input], self.channels(input))
    }

    /// The sum of two of one shape.
    pub fn add(&mut self, name: &str, a: Value, b: Value) -> Value {
        self.push(name, Op::Add, &[a, b], self.channels(a))
    }

    /// The product of `a` with `b`, which has the same shape or one value for each channel.
    pub fn multiply(&mut self, name: &str, a: Value, b: Value) -> Value {
        self.push(name, Op::Multiply, &[a, b], self.channels(a))
    }

    /// All `inputs`, one behind the other.
    pub fn concat(&mut self, name: &str, inputs: &[Value]) -> Value {
        let channels = inputs.iter().map(|&input| self.channels(input)).sum();
        self.push(name, Op::Concat, inputs, channels)
    }

    /// `count` channels from `first` on.
    pub fn channels_of(&mut self, name: &str, input: Value, first: usize, count: usize) -> Value {
        self.push(name, Op::Channels(first), &[input], count)
    }

    /// The channels dealt from `groups` equal parts in turn (Zhang et al., ShuffleNet, CVPR 2018, section 3.1).
    pub fn shuffle(&mut self, name: &str, input: Value, groups: usize) -> Value {
        self.push(name, Op::Shuffle(groups), &[input], self.channels(input))
    }

    /// Twice as high and wide.
    pub fn upsample_nearest(&mut self, name: &str, input: Value) -> Value {
        self.push(name, Op::UpsampleNearest, &[input], self.channels(input))
    }

    /// Twice as high and wide, linear between pixels.
    pub fn upsample_bilinear(&mut self, name: &str, input: Value) -> Value {
        self.push(name, Op::UpsampleBilinear, &[input], self.channels(input))
    }

    /// What of `input` lies in its upper left corner, as much as `like` is high and wide.
    pub fn crop_like(&mut self, name: &str, input: Value, like: Value) -> Value {
        self.push(name, Op::CropLike, &[input, like], self.channels(input))
    }

    /// Half as high and wide: the greatest of windows 3x3.
    pub fn max_pool(&mut self, name: &str, input: Value) -> Value {
        self.push(name, Op::MaxPool, &[input], self.channels(input))
    }

    /// The mean of each channel.
    pub fn global_average_pool(&mut self, name: &str, input: Value) -> Value {
        self.push(name, Op::GlobalAveragePool, &[input], self.channels(input))
    }

    /// The network that gives `outputs`, by name.
    pub fn finish(self, outputs: &[(&str, Value)]) -> Architecture {
        let outputs = outputs.iter().map(|&(name, value)| Output { name: name.to_owned(), value }).collect();
        Architecture { layers: self.layers, outputs }
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[Value], channels: usize) -> Value {
        self.layers.push(Layer { name: name.to_owned(), op, inputs: inputs.to_vec(), channels });
        Value(self.layers.len() - 1)
    }
}
