//! Networks that see motion between images.

use nn::architecture::{Activation, Architecture, Builder, Convolution};
use serde::{Deserialize, Serialize};

/// A pose network for small processors: SfMLearner's (Zhou et al., CVPR 2017) over two images, its large convolutions
/// replaced by depthwise-separable ones, two for each halving, with batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightPose;

/// Channels of the first convolution, which halves the image.
const FIRST: usize = 24;
/// Channels and stride of each separable convolution behind it.
const BLOCKS: [[usize; 2]; 9] =
    [[32, 1], [64, 2], [64, 1], [128, 2], [128, 1], [256, 2], [256, 1], [256, 2], [256, 1]];

impl LightPose {
    /// The network, for two images of one camera, the earlier one first: `[batch, 6, height, width]`. Its outputs are
    /// `translation` and `rotation`, `[batch, 3, rows, columns]`, whose means over rows and columns are the motion's
    /// translation and its rotation vector, in a unit that stands in the metadata of the file. Two outputs, because
    /// one range of eight bits can't hold both; means left to the reader, because they are finer than eight bits.
    pub fn architecture(self) -> Architecture {
        let mut network = Builder::new(6);
        let relu6 = Activation::Relu6;
        let first = Convolution::new(3, 2);
        let mut x = network.convolution_norm("first", network.input(), FIRST, first, Some(relu6));
        for (index, [channels, stride]) in BLOCKS.into_iter().enumerate() {
            x = network.depthwise_norm(&format!("pair{index}.look"), x, Convolution::new(3, stride), relu6);
            let mix = format!("pair{index}.mix");
            x = network.convolution_norm(&mix, x, channels, Convolution::new(1, 1), Some(relu6));
        }
        let outputs = ["translation", "rotation"]
            .map(|name| (name, network.convolution(name, x, 3, Convolution::new(1, 1).with_bias())));
        network.finish(&outputs)
    }
}
