//! The networks of Zhou et al., Unsupervised Learning of Depth and Ego-Motion from Video, CVPR 2017, as its published code has
//! them: ReLU, no batch normalisation. Convolutions are padded alike on all sides here, where TensorFlow pads an even image more
//! on the far side.

use nn::architecture::{Activation, Architecture, Builder, Convolution, Value};
use serde::{Deserialize, Serialize};

/// DispNet: seven halvings and a way back up by transposed convolutions, which sees what the encoder saw at each resolution and
/// what it has said itself at the coarser one. 31.6 million parameters.
///
/// Its outputs are logits, as those of [`LightDepth`](super::LightDepth). Published, a level is shown the disparity of the
/// coarser one, `10 * sigmoid + 0.01`; here it is the sigmoid, and the filters that read it hold the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispNet;

/// Channels and kernel of each halving, coarser and coarser.
const DOWN: [[usize; 2]; 7] = [[32, 7], [64, 5], [128, 3], [256, 3], [512, 3], [512, 3], [512, 3]];
/// Channels of each doubling, finer and finer.
const UP: [usize; 7] = [512, 512, 256, 128, 64, 32, 16];

impl DispNet {
    /// Most outputs that [`DispNet::architecture`] can have.
    pub const SCALES: usize = 4;

    /// The network, for images `[batch, 3, height, width]` of height and width that 16 divides, with the outputs of
    /// [`LightDepth::architecture`](super::LightDepth::architecture). All of them are made on the way to the finest.
    pub fn architecture(self, scales: usize) -> Architecture {
        let mut network = Builder::new(3);
        let mut skips = Vec::new();
        let mut x = network.input();
        for (level, [channels, kernel]) in DOWN.into_iter().enumerate() {
            let name = format!("down{}", level + 1);
            x = relu(&mut network, &name, x, channels, Convolution::new(kernel, 2));
            x = relu(&mut network, &format!("{name}b"), x, channels, Convolution::new(kernel, 1));
            skips.push(x);
        }
        skips.pop();
        let mut logits = Vec::new();
        for (index, channels) in UP.into_iter().enumerate() {
            let level = UP.len() - index;
            let name = |part: &str| format!("up{level}.{part}");
            let above = network.upconvolution(&name("above"), x, channels, 3);
            let above = network.activation(&name("above.act"), above, Activation::Relu);
            let mut parts = match skips.pop() {
                // An odd height or width has become greater by one on the way down and up.
                Some(skip) => vec![network.crop_like(&name("crop"), above, skip), skip],
                None => vec![above],
            };
            if let Some(&coarser) = logits.last() {
                let coarser = network.activation(&name("disparity"), coarser, Activation::Sigmoid);
                parts.push(network.upsample_bilinear(&name("disparity.above"), coarser));
            }
            let parts = network.concat(&name("parts"), &parts);
            x = relu(&mut network, &name("merge"), parts, channels, Convolution::new(3, 1));
            if level <= Self::SCALES {
                let head = Convolution::new(3, 1).with_bias();
                logits.push(network.convolution(&format!("logits{}", level - 1), x, 1, head));
            }
        }
        let finest = logits.iter().rev().take(scales).enumerate();
        let outputs: Vec<_> = finest.map(|(scale, &value)| (format!("logits_{scale}"), value)).collect();
        let outputs: Vec<_> = outputs.iter().map(|(name, value)| (&**name, *value)).collect();
        network.finish(&outputs)
    }
}

/// PoseExpNet for three images: the motions from the middle one to both others, and which pixels of the middle one these
/// motions explain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoseExpNet;

/// Channels and kernel of each halving that motions and masks share.
const SEEN: [[usize; 2]; 5] = [[16, 7], [32, 5], [64, 3], [128, 3], [256, 3]];
/// Channels of both halvings behind them, for the motions.
const MOVED: usize = 256;
/// Channels and kernel of each doubling, for the masks.
const EXPLAINED: [[usize; 2]; 5] = [[256, 3], [128, 3], [64, 3], [32, 5], [16, 7]];

impl PoseExpNet {
    /// Scales of the masks.
    pub const SCALES: usize = 4;

    /// The network as it learns, for the middle image, the one before it and the one after it: `[batch, 9, height, width]`,
    /// height and width of which 32 divides. Its outputs are `motions`, `[batch, 12, rows, columns]`, whose means over rows and
    /// columns are translation and Euler angles of the motion from the middle image to the one before it, and the same to
    /// the one after it; and `masks_0` `[batch, 4, height, width]`, `masks_1` of half the size, and so on: for the image before
    /// and the image after two logits each, of not explained and explained.
    pub fn architecture(self) -> Architecture {
        let (mut network, mut x, motions) = Self::motions();
        let mut masks = Vec::new();
        for (index, [channels, kernel]) in EXPLAINED.into_iter().enumerate() {
            let level = EXPLAINED.len() - index;
            x = network.upconvolution(&format!("explain{level}"), x, channels, kernel);
            x = network.activation(&format!("explain{level}.act"), x, Activation::Relu);
            if level <= Self::SCALES {
                let head = Convolution::new(kernel, 1).with_bias();
                masks.push(network.convolution(&format!("masks{}", level - 1), x, 4, head));
            }
        }
        let named = masks.iter().rev().enumerate().map(|(scale, &mask)| (format!("masks_{scale}"), mask));
        let named: Vec<_> = std::iter::once(("motions".to_owned(), motions)).chain(named).collect();
        let outputs: Vec<_> = named.iter().map(|(name, value)| (&**name, *value)).collect();
        network.finish(&outputs)
    }

    /// The part of it that flies: its outputs are `translation` and `rotation` of the motion from the middle image to the one
    /// after it, as those of [`LightPose`](super::LightPose), the rotation in Euler angles.
    pub fn flying(self) -> Architecture {
        let (mut network, _, motions) = Self::motions();
        let translation = network.channels_of("translation", motions, 6, 3);
        let rotation = network.channels_of("rotation", motions, 9, 3);
        network.finish(&[("translation", translation), ("rotation", rotation)])
    }

    /// What masks begin with, and the motions.
    fn motions() -> (Builder, Value, Value) {
        let mut network = Builder::new(9);
        let mut x = network.input();
        for (level, [channels, kernel]) in SEEN.into_iter().enumerate() {
            x = relu(&mut network, &format!("see{}", level + 1), x, channels, Convolution::new(kernel, 2));
        }
        let seen = x;
        for name in ["move1", "move2"] {
            x = relu(&mut network, name, x, MOVED, Convolution::new(3, 2));
        }
        let motions = network.convolution("motions", x, 12, Convolution::new(1, 1).with_bias());
        (network, seen, motions)
    }
}

/// A convolution with a bias and ReLU.
fn relu(network: &mut Builder, name: &str, input: Value, channels: usize, convolution: Convolution) -> Value {
    let x = network.convolution(name, input, channels, convolution.with_bias());
    network.activation(&format!("{name}.act"), x, Activation::Relu)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of layers as the published code has them: kernel, channels read and made.
    fn parameters(layers: &[[usize; 3]]) -> usize {
        layers.iter().map(|[kernel, read, made]| kernel * kernel * read * made + made).sum()
    }

    #[test]
    fn dispnet_has_the_published_layers() {
        let network = DispNet.architecture(DispNet::SCALES);
        let down = [
            [7, 3, 32],
            [7, 32, 32],
            [5, 32, 64],
            [5, 64, 64],
            [3, 64, 128],
            [3, 128, 128],
            [3, 128, 256],
            [3, 256, 256],
            [3, 256, 512],
            [3, 512, 512],
            [3, 512, 512],
            [3, 512, 512],
            [3, 512, 512],
            [3, 512, 512],
        ];
        let up = [
            [3, 512, 512],
            [3, 1024, 512],
            [3, 512, 512],
            [3, 1024, 512],
            [3, 512, 256],
            [3, 512, 256],
            [3, 256, 128],
            [3, 256, 128],
            [3, 128, 1],
            [3, 128, 64],
            [3, 129, 64],
            [3, 64, 1],
            [3, 64, 32],
            [3, 65, 32],
            [3, 32, 1],
            [3, 32, 16],
            [3, 17, 16],
            [3, 16, 1],
        ];
        assert_eq!(network.parameter_count(), parameters(&down) + parameters(&up));
        let sizes = network.sizes([128, 416]);
        for (scale, output) in network.outputs().iter().enumerate() {
            assert_eq!(output.name, format!("logits_{scale}"));
            assert_eq!(sizes[output.value.index()], [128 >> scale, 416 >> scale]);
        }
        let flying = DispNet.architecture(1);
        assert_eq!((flying.outputs().len(), flying.parameters()), (1, network.parameters()));
    }

    #[test]
    fn poseexpnet_has_the_published_layers() {
        let seen = [[7, 9, 16], [5, 16, 32], [3, 32, 64], [3, 64, 128], [3, 128, 256]];
        let moved = [[3, 256, 256], [3, 256, 256], [1, 256, 12]];
        let explained = [
            [3, 256, 256],
            [3, 256, 128],
            [3, 128, 4],
            [3, 128, 64],
            [3, 64, 4],
            [5, 64, 32],
            [5, 32, 4],
            [7, 32, 16],
            [7, 16, 4],
        ];
        let network = PoseExpNet.architecture();
        let all = network.parameters();
        assert_eq!(
            network.parameter_count(),
            parameters(&seen) + parameters(&moved) + parameters(&explained)
        );
        let sizes = network.sizes([128, 416]);
        assert_eq!(network.outputs()[0].name, "motions");
        for (scale, output) in network.outputs()[1..].iter().enumerate() {
            assert_eq!(output.name, format!("masks_{scale}"));
            assert_eq!(sizes[output.value.index()], [128 >> scale, 416 >> scale]);
        }
        let flying = PoseExpNet.flying();
        assert_eq!(flying.parameter_count(), parameters(&seen) + parameters(&moved));
        assert!(flying.parameters().iter().all(|parameter| all.contains(parameter)));
    }
}
