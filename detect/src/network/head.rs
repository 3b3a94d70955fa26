//! The pyramid of feature maps and what is read from it.

use nn::architecture::{Activation, Builder, Convolution, Value};

use super::NetworkDescription;

/// Adds pyramid and heads over `features`, the feature maps of strides 4, 8, 16 and 32; returns the outputs by name.
pub(super) fn build(
    network: &mut Builder,
    description: &NetworkDescription,
    features: &[Value; 4],
) -> Vec<(String, Value)> {
    let mut outputs = Vec::new();
    let mut coarser: Option<Value> = None;
    let coarsest = description.strides.iter().max().copied().unwrap_or(0);
    let finest = description.strides.iter().min().copied().unwrap_or(usize::MAX);
    // From coarse to fine: each map hears of what the coarser ones have seen.
    for (&feature, stride) in features.iter().zip([4, 8, 16, 32]).rev() {
        if stride > coarsest || stride < finest {
            continue;
        }
        let name = format!("pyramid{stride}");
        let channels = description.pyramid_channels;
        let lateral = Convolution::new(1, 1);
        let lateral = network.convolution_norm(&format!("{name}.lateral"), feature, channels, lateral, None);
        let map = match coarser {
            Some(coarser) => {
                let above = network.upsample_nearest(&format!("{name}.above"), coarser);
                network.add(&format!("{name}.sum"), lateral, above)
            }
            None => lateral,
        };
        coarser = Some(map);
        if description.strides.contains(&stride) {
            outputs.push(heads(network, description, map, stride));
        }
    }
    outputs.reverse();
    outputs.into_iter().flatten().collect()
}

/// Scores and boxes of one feature map.
fn heads(
    network: &mut Builder,
    description: &NetworkDescription,
    map: Value,
    stride: usize,
) -> [(String, Value); 2] {
    let smooth = Convolution::new(3, 1);
    let map = network.depthwise_norm(&format!("pyramid{stride}.smooth"), map, smooth, Activation::Relu6);
    let channels = description.pyramid_channels;
    let point = Convolution::new(1, 1);
    let relu6 = Some(Activation::Relu6);
    let map = network.convolution_norm(&format!("pyramid{stride}.mix"), map, channels, point, relu6);
    [("scores", description.classes), ("boxes", 4)].map(|(what, numbers)| {
        let name = format!("{what}{stride}");
        let look = Convolution::new(3, 1);
        let x = network.depthwise_norm(&format!("{name}.look"), map, look, Activation::Relu6);
        let predict = Convolution::new(1, 1).with_bias();
        let x = network.convolution(&format!("{name}.predict"), x, description.shapes * numbers, predict);
        (format!("{what}_{stride}"), x)
    })
}
