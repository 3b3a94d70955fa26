//! Detectors as data: which backbone, how wide, which feature maps.

mod head;

use nn::architecture::{Architecture, Backbone, Builder};
use serde::{Deserialize, Serialize};

/// A single-shot detector: a backbone, a pyramid of feature maps over it, and a head of depthwise-separable convolutions
/// on each (SSDLite: Sandler et al., MobileNetV2, CVPR 2018, section 6.2; the way down from coarse to fine maps: Lin et
/// al., Feature Pyramid Networks, CVPR 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkDescription {
    /// What sees.
    pub backbone: Backbone,
    /// Channels of the backbone as a share of the published ones.
    pub width: f32,
    /// Channels of the feature pyramid.
    pub pyramid_channels: usize,
    /// Pixels of the input from cell to cell of each feature map, the finest first: powers of two from 4 to 32.
    pub strides: Vec<usize>,
    /// Shapes of priors at each cell.
    pub shapes: usize,
    /// Kinds of things that are told apart.
    pub classes: usize,
}

impl NetworkDescription {
    /// The network. Its outputs are, for each stride, `scores_STRIDE` `[1, shapes * classes, rows, columns]`, logits, and
    /// `boxes_STRIDE` `[1, shapes * 4, rows, columns]`, corrections of priors; shape by shape.
    pub fn architecture(&self) -> Architecture {
        let mut network = Builder::new(3);
        let [_, features @ ..] = self.backbone.build(&mut network, self.width);
        let outputs = head::build(&mut network, self, &features);
        let outputs: Vec<_> = outputs.iter().map(|(name, value)| (&**name, *value)).collect();
        network.finish(&outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_maps_have_the_strides_they_are_said_to_have() {
        for backbone in Backbone::ALL {
            let description = NetworkDescription {
                backbone,
                width: 0.5,
                pyramid_channels: 32,
                strides: vec![4, 8, 16, 32],
                shapes: 3,
                classes: 2,
            };
            let architecture = description.architecture();
            let sizes = architecture.sizes([320, 320]);
            assert_eq!(architecture.outputs().len(), 8);
            for (index, output) in architecture.outputs().iter().enumerate() {
                let stride = description.strides[index / 2];
                assert_eq!(sizes[output.value.index()], [320 / stride; 2], "{backbone:?} {}", output.name);
                let channels = architecture.layers()[output.value.index()].channels;
                assert_eq!(channels, if index % 2 == 0 { 6 } else { 12 });
                assert!(output.name.ends_with(&format!("_{stride}")));
            }
        }
    }
}
