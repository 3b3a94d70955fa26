//! Networks that see depth in one image.

use nn::architecture::{Activation, Architecture, Backbone, Builder, Convolution, Value};
use serde::{Deserialize, Serialize};

/// A depth network for small processors: MobileNetV2 and a way back up of depthwise-separable convolutions behind nearest
/// upsampling (Wofk et al., FastDepth, ICRA 2019), which adds what the encoder saw at each resolution.
///
/// Its outputs are logits: the inverse depth is an affine function of their sigmoid. The sigmoid is left to the reader,
/// because eight bits hold the logits of what is far and of what is near equally well, and not the inverse depths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightDepth {
    /// Channels of the backbone as a share of the published ones.
    pub width: f32,
}

/// Channels of the decoder where its pixels are 16, 8, 4, 2 and 1 of the image.
const CHANNELS: [usize; 5] = [96, 64, 40, 24, 16];

impl LightDepth {
    /// Most outputs that [`LightDepth::architecture`] can have.
    pub const SCALES: usize = 4;

    /// The network, for images `[batch, 3, height, width]` of height and width that 32 divides, with outputs
    /// `logits_0` `[batch, 1, height, width]`, `logits_1` of half the size, and so on: as many as `scales`, of which
    /// training wants [`LightDepth::SCALES`] and flight one. Both have the same weights but for those of the outputs.
    pub fn architecture(self, scales: usize) -> Architecture {
        let mut network = Builder::new(3);
        let [half, features @ ..] = Backbone::MobileNetV2.build(&mut network, self.width);
        let [quarter, eighth, sixteenth, coarsest] = features;
        let skips = [Some(sixteenth), Some(eighth), Some(quarter), Some(half), None];
        let mut outputs = Vec::new();
        let mut x = coarsest;
        for (level, (skip, channels)) in skips.into_iter().zip(CHANNELS).enumerate() {
            x = up(&mut network, &format!("decoder{level}"), x, skip, channels);
            let scale = CHANNELS.len() - 1 - level;
            if scale < scales {
                let name = format!("logits{scale}");
                let point = Convolution::new(1, 1).with_bias();
                outputs.push((format!("logits_{scale}"), network.convolution(&name, x, 1, point)));
            }
        }
        let outputs: Vec<_> = outputs.iter().rev().map(|(name, value)| (&**name, *value)).collect();
        network.finish(&outputs)
    }
}

/// `x` with twice the resolution, `skip` of that resolution added, and what lies beside each pixel taken in.
fn up(network: &mut Builder, name: &str, x: Value, skip: Option<Value>, channels: usize) -> Value {
    let point = Convolution::new(1, 1);
    let part = |part: &str| format!("{name}.{part}");
    let relu6 = Activation::Relu6;
    let x = network.convolution_norm(&part("narrow"), x, channels, point, Some(relu6));
    let x = network.upsample_nearest(&part("above"), x);
    let x = match skip {
        Some(skip) => {
            let skip = network.convolution_norm(&part("lateral"), skip, channels, point, None);
            network.add(&part("sum"), x, skip)
        }
        None => x,
    };
    let x = network.depthwise_norm(&part("look"), x, Convolution::new(3, 1), relu6);
    network.convolution_norm(&part("mix"), x, channels, point, Some(relu6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_halve_and_flight_has_the_finest() {
        let learning = LightDepth { width: 0.5 }.architecture(LightDepth::SCALES);
        let sizes = learning.sizes([128, 416]);
        for (scale, output) in learning.outputs().iter().enumerate() {
            assert_eq!(output.name, format!("logits_{scale}"));
            assert_eq!(sizes[output.value.index()], [128 >> scale, 416 >> scale]);
        }
        let flying = LightDepth { width: 0.5 }.architecture(1);
        let all = learning.parameters();
        assert_eq!(flying.outputs().len(), 1);
        assert!(flying.parameters().iter().all(|parameter| all.contains(parameter)));
        assert_eq!(all.len() - flying.parameters().len(), 2 * 3);
    }
}
