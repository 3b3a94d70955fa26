//! Weights of other networks to begin with.

use std::collections::BTreeSet;

use thiserror::Error;

use super::tflite::TrainedConvolution;
use crate::architecture::{Architecture, BATCH_NORM_EPSILON, Backbone, Op, Weights};

/// What published MobileNets divide by.
const PUBLISHED_DEVIATION: f32 = 0.5;

/// A network that is not the backbone that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a convolution of shape {shape:?} for `{layer}`, found none behind those for the layers before it"
)]
pub struct ForeignBackbone {
    /// The layer.
    pub layer: String,
    /// Shape of its filters, `[out, in / groups, height, width]`.
    pub shape: Vec<usize>,
}

/// Puts the convolutions of another network with the same backbone into `weights`, layer by layer in order; what that
/// network has beside its backbone is passed over. `deviation` is what values from 0 to 1, less a mean of 0.5,
/// are divided by for the network of `weights`. Returns the layers, whose normalisation is folded into them.
///
/// # Errors
/// [`ForeignBackbone`] where the other network lacks one.
pub fn adopt(
    weights: &mut Weights,
    architecture: &Architecture,
    trained: &[TrainedConvolution],
    deviation: f32,
) -> Result<BTreeSet<String>, ForeignBackbone> {
    let mut layers = BTreeSet::new();
    let mut left = trained.iter();
    let shapes: Vec<_> = architecture.parameters();
    let convolutions = architecture.layers().iter().filter(|layer| matches!(layer.op, Op::Convolution(_)));
    let names = convolutions.filter_map(|layer| layer.name.strip_suffix(".conv"));
    for (index, name) in names.take_while(|name| Backbone::is_layer(name)).enumerate() {
        let filter = format!("{name}.conv.weight");
        let shape = shapes.iter().find(|p| p.name == filter).map(|p| p.shape.clone()).unwrap_or_default();
        let found = left.find(|convolution| convolution.shape[..] == shape);
        let found = found.ok_or_else(|| ForeignBackbone { layer: name.to_owned(), shape })?;
        // The first sees values of another deviation here.
        let gain = if index == 0 { deviation / PUBLISHED_DEVIATION } else { 1.0 };
        weights.values.insert(filter, found.weight.iter().map(|weight| weight * gain).collect());
        let count = found.bias.len();
        let mut set = |part: &str, values| weights.values.insert(format!("{name}.norm.{part}"), values);
        set("beta", found.bias.clone());
        set("gamma", vec![1.0; count]);
        set("mean", vec![0.0; count]);
        set("variance", vec![1.0 - BATCH_NORM_EPSILON; count]);
        layers.insert(name.to_owned());
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Builder, Convolution};
    use crate::train::tflite;

    fn architecture(width: f32) -> Architecture {
        let mut network = Builder::new(3);
        let [.., last] = Backbone::MobileNetV2.build(&mut network, width);
        let head = network.convolution("head", last, 4, Convolution::new(1, 1));
        network.finish(&[("head", head)])
    }

    #[test]
    fn a_published_backbone_is_taken_over_whole() {
        const FILE: &str =
            "models/ssd-mobilenetv2-oidv4-fp16/object_detection_ssd_mobilenetv2_oidv4_fp16.tflite";
        let Some(path) = geometry::test_data::shared_data(FILE) else { return };
        let trained = tflite::convolutions(&std::fs::read(path).unwrap()).unwrap();
        let whole = architecture(1.0);
        let random = || fastrand::Rng::with_seed(1);
        let mut weights = whole.initial_weights(&mut random());
        let layers = adopt(&mut weights, &whole, &trained, 0.25).unwrap();
        // The stem; one block of two convolutions, sixteen of three.
        assert_eq!(layers.len(), 1 + 2 + 16 * 3);
        for (name, values) in &weights.values {
            let is_taken = layers.iter().any(|layer| name.starts_with(&format!("{layer}.")));
            assert_eq!(is_taken, !name.starts_with("head"), "{name}");
            assert!(values.iter().all(|value| value.is_finite()), "{name}");
        }
        // The first convolution sees values that are twice as large here.
        let stem = trained.iter().find(|convolution| convolution.shape == [32, 3, 3, 3]).unwrap();
        assert_eq!(weights.values["stem.conv.weight"][7], stem.weight[7] / 2.0);
        let half = architecture(0.5);
        let error = adopt(&mut half.initial_weights(&mut random()), &half, &trained, 0.25).unwrap_err();
        assert_eq!(error, ForeignBackbone { layer: "stem".into(), shape: vec![16, 3, 3, 3] });
    }
}
