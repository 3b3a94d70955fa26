//! Weights in signed bytes, one scale for each output channel.

use tract_onnx::pb::NodeProto;

use super::filters::{Filters, bias};
use crate::onnx::{Constant, Graph, Values};

/// The parameters of a convolution on bytes.
#[derive(Clone, Debug)]
pub(super) struct QuantizedFilters {
    /// In the shape of the float weights.
    pub(super) weights: Constant,
    /// One for each output channel.
    pub(super) scales: Vec<f32>,
    /// In steps of the input's scale times the channel's.
    pub(super) bias: Vec<i32>,
    /// The axis of the weights that the scales belong to.
    pub(super) axis: i64,
    /// Signal to noise of the weights, in decibels.
    pub(super) sqnr_db: f64,
}

/// Largest magnitude of a weight. Not 128, so that a weight and its negative are equally far.
const LARGEST: f32 = 127.0;

/// Largest magnitude of a bias, so that sums with it stay within 32 bits.
const LARGEST_BIAS: f64 = (1 << 30) as f64;

impl QuantizedFilters {
    /// Quantises the parameters of `node`, whose input has steps of `input_scale`.
    ///
    /// With `means`, the mean of each input channel, the bias takes back what the weights' rounding adds to the mean of
    /// each output channel (Nagel et al. 2019, section 4.2; the window is taken to lie within the image).
    pub(super) fn new(
        graph: &Graph,
        node: &NodeProto,
        input_scale: f32,
        means: Option<&[f64]>,
    ) -> Option<Self> {
        let filters = Filters::of(graph, node)?;
        let bias = bias(graph, node, filters.outputs)?;
        let weights = graph.constant(node, 1)?;
        let values = weights.floats()?;
        let largest = filters.largest_by_output(values);
        let scales: Vec<_> =
            largest.iter().zip(&bias).map(|(&largest, &bias)| scale(largest, bias, input_scale)).collect();
        let mut bytes = Vec::with_capacity(values.len());
        let mut shifts: Vec<_> = bias.iter().map(|&bias| f64::from(bias)).collect();
        let (mut signal, mut noise) = (0.0, 0.0);
        for (index, &weight) in values.iter().enumerate() {
            let [output, input] = filters.channels(index);
            let byte = (weight / scales[output]).round_ties_even().clamp(-LARGEST, LARGEST);
            let error = f64::from(weight) - f64::from(byte) * f64::from(scales[output]);
            bytes.push(byte as i8);
            shifts[output] += error * means.map_or(0.0, |means| means[input]);
            signal += f64::from(weight).powi(2);
            noise += error * error;
        }
        let steps = |(shift, &scale): (f64, &f32)| {
            let steps = shift / (f64::from(input_scale) * f64::from(scale));
            steps.round_ties_even().clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32
        };
        Some(Self {
            weights: Constant { shape: weights.shape.clone(), values: Values::I8(bytes) },
            bias: shifts.into_iter().zip(&scales).map(steps).collect(),
            scales,
            axis: filters.axis()?,
            sqnr_db: super::decibels(signal, noise),
        })
    }
}

/// The scale of a channel whose weights reach to `largest`. It is larger than that asks for where the bias would else
/// outgrow 32 bits, as in channels that have died.
fn scale(largest: f32, bias: f32, input_scale: f32) -> f32 {
    let for_weights = largest / LARGEST;
    let for_bias = (f64::from(bias.abs()) / f64::from(input_scale) / LARGEST_BIAS * 2.0) as f32;
    let scale = for_weights.max(for_bias);
    if scale.is_normal() { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_channels_keep_their_bias() {
        for (largest, bias) in [(0.0, 0.5), (1e-30, 0.5), (0.0, 0.0), (0.3, 2.0), (1e-3, -1e4)] {
            let (scale, input_scale) = (scale(largest, bias, 0.02), 0.02);
            let steps = f64::from(bias) / (f64::from(scale) * input_scale);
            assert!(scale > 0.0 && steps.abs() <= LARGEST_BIAS, "{largest} {bias}: {scale}");
            assert!(bias == 0.0 || steps.abs() >= 1e4, "{largest} {bias}: {steps}");
        }
    }
}
