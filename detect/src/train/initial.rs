//! Weights to begin with.

use std::collections::BTreeSet;

use fastrand::Rng;
use nn::architecture::{Architecture, BATCH_NORM_EPSILON, Op, Weights};
use nn::train::tflite::TrainedConvolution;
use thiserror::Error;

use super::trainer::NORMALISATION;

/// How likely an untrained network takes a prior for an object: the many priors without one do not drown the few with one
/// (Lin et al., Focal Loss, ICCV 2017, section 4.1).
const FIRST_SCORE: f32 = 0.01;
/// What published MobileNets have taken from values between 0 and 1, and divide by.
const PUBLISHED: [f32; 2] = [0.5, 0.5];

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

/// Weights before any training: those that predict are small, and scores begin low.
pub(super) fn first_weights(architecture: &Architecture, seed: u64) -> Weights {
    let mut weights = architecture.initial_weights(&mut Rng::with_seed(seed));
    for (name, values) in &mut weights.values {
        if name.contains("predict.weight") {
            values.iter_mut().for_each(|value| *value *= 0.1);
        } else if name.starts_with("scores") && name.ends_with("predict.bias") {
            values.fill((FIRST_SCORE / (1.0 - FIRST_SCORE)).ln());
        }
    }
    weights
}

/// Puts the convolutions of another network with the same backbone into `weights`, layer by layer in order; what that
/// network has beside its backbone is passed over. Returns the layers, whose normalisation is folded into them.
///
/// # Errors
/// [`ForeignBackbone`] where the other network lacks one.
pub(super) fn adopt(
    weights: &mut Weights,
    architecture: &Architecture,
    trained: &[TrainedConvolution],
) -> Result<BTreeSet<String>, ForeignBackbone> {
    let mut layers = BTreeSet::new();
    let mut left = trained.iter();
    let shapes: Vec<_> = architecture.parameters();
    let convolutions = architecture.layers().iter().filter(|layer| matches!(layer.op, Op::Convolution(_)));
    let names = convolutions.filter_map(|layer| layer.name.strip_suffix(".conv"));
    for (index, name) in names.take_while(|name| !name.starts_with("pyramid")).enumerate() {
        let filter = format!("{name}.conv.weight");
        let shape = shapes.iter().find(|p| p.name == filter).map(|p| p.shape.clone()).unwrap_or_default();
        let found = left.find(|convolution| convolution.shape[..] == shape);
        let found = found.ok_or_else(|| ForeignBackbone { layer: name.to_owned(), shape })?;
        // The first sees values of another deviation here.
        let gain = if index == 0 { NORMALISATION[1] / PUBLISHED[1] } else { 1.0 };
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
    use crate::network::{Backbone, NetworkDescription};

    fn architecture(width: f32) -> Architecture {
        let strides = vec![8, 16, 32];
        let backbone = Backbone::MobileNetV2;
        NetworkDescription { backbone, width, pyramid_channels: 64, strides, shapes: 3, classes: 1 }
            .architecture()
    }

    #[test]
    fn a_published_backbone_is_taken_over_whole() {
        const FILE: &str =
            "models/ssd-mobilenetv2-oidv4-fp16/object_detection_ssd_mobilenetv2_oidv4_fp16.tflite";
        let Some(path) = geometry::test_data::shared_data(FILE) else { return };
        let trained = nn::train::tflite::convolutions(&std::fs::read(path).unwrap()).unwrap();
        let whole = architecture(1.0);
        let mut weights = first_weights(&whole, 1);
        let layers = adopt(&mut weights, &whole, &trained).unwrap();
        // The stem; one block of two convolutions, sixteen of three.
        assert_eq!(layers.len(), 1 + 2 + 16 * 3);
        for (name, values) in &weights.values {
            let is_taken = layers.iter().any(|layer| name.starts_with(&format!("{layer}.")));
            assert_eq!(
                is_taken,
                !name.starts_with("pyramid")
                    && !name.contains("s8.")
                    && !name.contains("s16.")
                    && !name.contains("s32."),
                "{name}"
            );
            assert!(values.iter().all(|value| value.is_finite()), "{name}");
        }
        let half = architecture(0.5);
        let error = adopt(&mut first_weights(&half, 1), &half, &trained).unwrap_err();
        assert_eq!(error, ForeignBackbone { layer: "stem".into(), shape: vec![16, 3, 3, 3] });
    }
}
