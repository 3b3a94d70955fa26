//! What looks at the image: published classifiers without their last layers.

use super::{Activation, Builder, Convolution, Value};
use serde::{Deserialize, Serialize};

/// A published classifier without its last layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backbone {
    /// Howard et al., MobileNets, 2017, table 1.
    MobileNetV1,
    /// Sandler et al., MobileNetV2, CVPR 2018, table 2, without the last convolution to 1280 channels.
    MobileNetV2,
    /// Howard et al., Searching for MobileNetV3, ICCV 2019, table 2, without the last convolution to 576 channels.
    MobileNetV3Small,
    /// Iandola et al., SqueezeNet, 2016, version 1.1.
    SqueezeNet,
    /// Ma et al., ShuffleNet V2, ECCV 2018, table 5, without the last convolution to 1024 channels.
    ShuffleNetV2,
}

/// One stage of MobileNetV2: expansion, channels, blocks, stride of the first.
const V2_STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// One layer of MobileNetV1: channels, stride.
const V1_LAYERS: [[usize; 2]; 13] = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [1024, 2],
    [1024, 1],
];

/// A block of MobileNetV3.
struct V3Block {
    kernel: usize,
    expanded: usize,
    channels: usize,
    is_gated: bool,
    activation: Activation,
    stride: usize,
}

const fn v3(
    kernel: usize,
    [expanded, channels]: [usize; 2],
    is_gated: bool,
    activation: Activation,
    stride: usize,
) -> V3Block {
    V3Block { kernel, expanded, channels, is_gated, activation, stride }
}

const V3_SMALL: [V3Block; 11] = [
    v3(3, [16, 16], true, Activation::Relu, 2),
    v3(3, [72, 24], false, Activation::Relu, 2),
    v3(3, [88, 24], false, Activation::Relu, 1),
    v3(5, [96, 40], true, Activation::HardSwish, 2),
    v3(5, [240, 40], true, Activation::HardSwish, 1),
    v3(5, [240, 40], true, Activation::HardSwish, 1),
    v3(5, [120, 48], true, Activation::HardSwish, 1),
    v3(5, [144, 48], true, Activation::HardSwish, 1),
    v3(5, [288, 96], true, Activation::HardSwish, 2),
    v3(5, [576, 96], true, Activation::HardSwish, 1),
    v3(5, [576, 96], true, Activation::HardSwish, 1),
];

/// Stages of ShuffleNetV2: channels, units.
const SHUFFLE_STAGES: [[usize; 2]; 3] = [[116, 4], [232, 8], [464, 4]];

/// Fire modules of SqueezeNet 1.1: squeezed and expanded channels, and whether a pooling comes before.
const FIRES: [(usize, usize, bool); 8] = [
    (16, 64, true),
    (16, 64, false),
    (32, 128, true),
    (32, 128, false),
    (48, 192, true),
    (48, 192, false),
    (64, 256, false),
    (64, 256, false),
];

impl Backbone {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::MobileNetV1, Self::MobileNetV2, Self::MobileNetV3Small, Self::SqueezeNet, Self::ShuffleNetV2];

    /// Adds its layers to `network`, channels as a share `width` of the published ones; returns the last feature maps of
    /// strides 2, 4, 8, 16 and 32. Its layers are the ones that [`Backbone::is_layer`] knows.
    pub fn build(self, network: &mut Builder, width: f32) -> [Value; 5] {
        let mut trunk = Trunk { stride: 1, x: network.input(), network, width, features: [None; 5] };
        match self {
            Self::MobileNetV1 => trunk.mobilenet_v1(),
            Self::MobileNetV2 => trunk.mobilenet_v2(),
            Self::MobileNetV3Small => trunk.mobilenet_v3_small(),
            Self::SqueezeNet => trunk.squeezenet(),
            Self::ShuffleNetV2 => trunk.shufflenet_v2(),
        }
        let last = trunk.x;
        trunk.features.map(|feature| feature.unwrap_or(last))
    }

    /// Whether the layer of this name is one of a backbone's: what comes behind it must be called otherwise.
    pub fn is_layer(name: &str) -> bool {
        ["stem", "block", "fire", "unit", "last"].iter().any(|beginning| name.starts_with(beginning))
    }
}

/// `channels` times `width`, a multiple of 8 that is at most a tenth less (MobileNet's rule).
fn scaled(channels: usize, width: f32) -> usize {
    let wanted = channels as f32 * width;
    let rounded = (((wanted + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f32) < 0.9 * wanted { rounded + 8 } else { rounded }
}

/// A backbone in the making.
struct Trunk<'a> {
    network: &'a mut Builder,
    width: f32,
    x: Value,
    stride: usize,
    /// The last map of each stride: 2, 4, 8, 16, 32.
    features: [Option<Value>; 5],
}

impl Trunk<'_> {
    /// Goes on with `x`, which is `stride` times coarser than what was.
    fn advance(&mut self, x: Value, stride: usize) {
        self.stride *= stride;
        self.x = x;
        if let Some(slot) = [2, 4, 8, 16, 32].iter().position(|&stride| stride == self.stride) {
            self.features[slot] = Some(x);
        }
    }

    fn stem(&mut self, channels: usize, activation: Activation) {
        let channels = scaled(channels, self.width);
        let convolution = Convolution::new(3, 2);
        let x = self.network.convolution_norm("stem", self.x, channels, convolution, Some(activation));
        self.advance(x, 2);
    }

    fn mobilenet_v1(&mut self) {
        self.stem(32, Activation::Relu6);
        for (index, [channels, stride]) in V1_LAYERS.into_iter().enumerate() {
            let relu6 = Activation::Relu6;
            let deep = Convolution::new(3, stride);
            let x = self.network.depthwise_norm(&format!("block{index}.deep"), self.x, deep, relu6);
            let channels = scaled(channels, self.width);
            let name = format!("block{index}.point");
            let x = self.network.convolution_norm(&name, x, channels, Convolution::new(1, 1), Some(relu6));
            self.advance(x, stride);
        }
    }

    fn mobilenet_v2(&mut self) {
        self.stem(32, Activation::Relu6);
        let mut index = 0;
        for [expansion, channels, blocks, stride] in V2_STAGES {
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                self.inverted_residual(index, expansion, scaled(channels, self.width), stride);
                index += 1;
            }
        }
    }

    /// Expand, filter each channel, project; add what came in where it has the same shape.
    fn inverted_residual(&mut self, index: usize, expansion: usize, channels: usize, stride: usize) {
        let input = self.x;
        let read = self.network.channels(input);
        let relu6 = Activation::Relu6;
        let name = |part: &str| format!("block{index}.{part}");
        let point = Convolution::new(1, 1);
        let mut x = input;
        if expansion > 1 {
            let expanded = read * expansion;
            x = self.network.convolution_norm(&name("expand"), x, expanded, point, Some(relu6));
        }
        let deep = Convolution::new(3, stride);
        x = self.network.depthwise_norm(&name("deep"), x, deep, relu6);
        x = self.network.convolution_norm(&name("project"), x, channels, point, None);
        if stride == 1 && read == channels {
            x = self.network.add(&name("sum"), x, input);
        }
        self.advance(x, stride);
    }

    fn mobilenet_v3_small(&mut self) {
        self.stem(16, Activation::HardSwish);
        for (index, block) in V3_SMALL.iter().enumerate() {
            self.gated_residual(index, block);
        }
    }

    fn gated_residual(&mut self, index: usize, block: &V3Block) {
        let input = self.x;
        let read = self.network.channels(input);
        let [expanded, channels] = [block.expanded, block.channels].map(|c| scaled(c, self.width));
        let name = |part: &str| format!("block{index}.{part}");
        let point = Convolution::new(1, 1);
        let mut x = input;
        if expanded != read {
            let activation = Some(block.activation);
            x = self.network.convolution_norm(&name("expand"), x, expanded, point, activation);
        }
        let deep = Convolution::new(block.kernel, block.stride);
        x = self.network.depthwise_norm(&name("deep"), x, deep, block.activation);
        if block.is_gated {
            x = self.squeeze_and_excite(index, x);
        }
        x = self.network.convolution_norm(&name("project"), x, channels, point, None);
        if block.stride == 1 && read == channels {
            x = self.network.add(&name("sum"), x, input);
        }
        self.advance(x, block.stride);
    }

    /// Each channel times a factor that all of them decide.
    fn squeeze_and_excite(&mut self, index: usize, x: Value) -> Value {
        let channels = self.network.channels(x);
        let name = |part: &str| format!("block{index}.gate.{part}");
        let point = Convolution::new(1, 1).with_bias();
        let gate = self.network.global_average_pool(&name("mean"), x);
        let squeezed = scaled(channels, 0.25);
        let gate = self.network.convolution(&name("squeeze"), gate, squeezed, point);
        let gate = self.network.activation(&name("squeeze.act"), gate, Activation::Relu);
        let gate = self.network.convolution(&name("excite"), gate, channels, point);
        let gate = self.network.activation(&name("excite.act"), gate, Activation::HardSigmoid);
        self.network.multiply(&name("times"), x, gate)
    }

    /// With batch normalisation, which its authors left out and training from scratch wants.
    fn squeezenet(&mut self) {
        self.stem(64, Activation::Relu);
        for (index, (squeezed, expanded, pools)) in FIRES.into_iter().enumerate() {
            if pools {
                let x = self.network.max_pool(&format!("fire{index}.pool"), self.x);
                self.advance(x, 2);
            }
            let x = self.fire(index, squeezed, expanded);
            self.advance(x, 1);
        }
        // The published network ends at stride 16.
        let x = self.network.max_pool("last.pool", self.x);
        let x = {
            self.advance(x, 2);
            self.fire(FIRES.len(), 64, 256)
        };
        self.advance(x, 1);
    }

    fn fire(&mut self, index: usize, squeezed: usize, expanded: usize) -> Value {
        let relu = Some(Activation::Relu);
        let [squeezed, expanded] = [squeezed, expanded].map(|channels| scaled(channels, self.width));
        let name = |part: &str| format!("fire{index}.{part}");
        let x =
            self.network.convolution_norm(&name("squeeze"), self.x, squeezed, Convolution::new(1, 1), relu);
        let [one, three] = [1, 3].map(|kernel| {
            let convolution = Convolution::new(kernel, 1);
            self.network.convolution_norm(&name(&format!("expand{kernel}")), x, expanded, convolution, relu)
        });
        self.network.concat(&name("both"), &[one, three])
    }

    fn shufflenet_v2(&mut self) {
        self.stem(24, Activation::Relu);
        let x = self.network.max_pool("stem.pool", self.x);
        self.advance(x, 2);
        let mut index = 0;
        for [channels, units] in SHUFFLE_STAGES {
            // Both halves are as wide.
            let half = (channels as f32 * self.width / 2.0).round().max(1.0) as usize;
            for unit in 0..units {
                if unit == 0 {
                    self.shuffle_unit_down(index, half);
                } else {
                    self.shuffle_unit(index, half);
                }
                index += 1;
            }
        }
    }

    /// One half of the channels is passed on as it is.
    fn shuffle_unit(&mut self, index: usize, half: usize) {
        let name = |part: &str| format!("unit{index}.{part}");
        let passed = self.network.channels_of(&name("passed"), self.x, 0, half);
        let changed = self.network.channels_of(&name("changed"), self.x, half, half);
        let changed = self.shuffle_branch(index, changed, half, 1);
        self.join(index, [passed, changed], 1);
    }

    /// Half the height and width; both halves come from all channels.
    fn shuffle_unit_down(&mut self, index: usize, half: usize) {
        let name = |part: &str| format!("unit{index}.{part}");
        let read = self.network.channels(self.x);
        let deep = Convolution { groups: read, ..Convolution::new(3, 2) };
        let other = self.network.convolution_norm(&name("other.deep"), self.x, read, deep, None);
        let relu = Some(Activation::Relu);
        let other =
            self.network.convolution_norm(&name("other.point"), other, half, Convolution::new(1, 1), relu);
        let changed = self.shuffle_branch(index, self.x, half, 2);
        self.join(index, [other, changed], 2);
    }

    fn shuffle_branch(&mut self, index: usize, input: Value, half: usize, stride: usize) -> Value {
        let name = |part: &str| format!("unit{index}.{part}");
        let (point, relu) = (Convolution::new(1, 1), Some(Activation::Relu));
        let deep = Convolution { groups: half, ..Convolution::new(3, stride) };
        let x = self.network.convolution_norm(&name("expand"), input, half, point, relu);
        let x = self.network.convolution_norm(&name("deep"), x, half, deep, None);
        self.network.convolution_norm(&name("project"), x, half, point, relu)
    }

    fn join(&mut self, index: usize, halves: [Value; 2], stride: usize) {
        let both = self.network.concat(&format!("unit{index}.both"), &halves);
        let x = self.network.shuffle(&format!("unit{index}.shuffled"), both, 2);
        self.advance(x, stride);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backbone_makes_a_network_of_the_published_size() {
        // Parameters of the published networks, without their classifiers.
        for (backbone, published) in [
            (Backbone::MobileNetV1, 3_206_976),
            (Backbone::MobileNetV2, 1_811_712),
            (Backbone::ShuffleNetV2, 776_420),
        ] {
            let mut network = Builder::new(3);
            let features = backbone.build(&mut network, 1.0);
            let last = *features.last().unwrap();
            let architecture = network.finish(&[("features", last)]);
            let learnt = architecture.parameters();
            let learnt = learnt.iter().filter(|p| !p.name.ends_with("mean") && !p.name.ends_with("variance"));
            let count: usize = learnt.map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!(count, published, "{backbone:?}");
        }
    }

    #[test]
    fn names_tell_which_layers_are_a_backbones() {
        for backbone in Backbone::ALL {
            let mut network = Builder::new(3);
            let features = backbone.build(&mut network, 0.5);
            let architecture = network.finish(&[("features", features[4])]);
            assert!(architecture.layers()[1..].iter().all(|layer| Backbone::is_layer(&layer.name)));
            let sizes = architecture.sizes([64, 96]);
            for (index, feature) in features.iter().enumerate() {
                assert_eq!(sizes[feature.index()], [32 >> index, 48 >> index], "{backbone:?}");
            }
        }
    }
}
