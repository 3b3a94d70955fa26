//! Batch normalisation with the limits of ReLU and ReLU6 behind it, and its gradients (Ioffe and Szegedy, ICML 2015).

use rayon::prelude::*;

use super::lanes::sums;
use crate::architecture::BATCH_NORM_EPSILON;
use crate::float_kernels::vectorized;

/// Normalisation of each channel of `[batch, channels, pixels]`, then values kept within limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Norm {
    /// How many channels there are.
    pub(crate) channels: usize,
    /// Height times width.
    pub(crate) pixels: usize,
    /// The least and the most that comes out.
    pub(crate) limits: [f32; 2],
    /// Whether mean and variance are those of the input, and so have a share in its gradient.
    pub(crate) is_of_batch: bool,
}

/// What belongs to each channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels<'a> {
    /// What normalised values are multiplied by.
    pub(crate) gamma: &'a [f32],
    /// What is added to them.
    pub(crate) beta: &'a [f32],
    /// Taken from the input.
    pub(crate) mean: &'a [f32],
    /// The input is divided by its root.
    pub(crate) variance: &'a [f32],
}

/// Gradients of a normalisation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormGradients {
    /// Of the input.
    pub(crate) input: Vec<f32>,
    /// Of what normalised values are multiplied by.
    pub(crate) gamma: Vec<f32>,
    /// Of what is added to them.
    pub(crate) beta: Vec<f32>,
}

/// Mean and variance of each channel of `input`, `[batch, channels, pixels]`.
pub(crate) fn statistics(input: &[f32], channels: usize, pixels: usize) -> [Vec<f32>; 2] {
    let of_channel = |channel: usize| {
        let planes = input.chunks_exact(pixels).skip(channel).step_by(channels);
        let of_plane = |plane: &[f32]| {
            vectorized(|| {
                let mean = sums(plane, plane, |value, _| [value, 0.0])[0] / pixels as f32;
                let squares = sums(plane, plane, |value, _| [(value - mean) * (value - mean), 0.0])[0];
                [f64::from(mean), f64::from(squares)]
            })
        };
        let parts: Vec<[f64; 2]> = planes.map(of_plane).collect();
        let count = parts.len() as f64;
        let mean = parts.iter().map(|part| part[0]).sum::<f64>() / count;
        // What planes vary within, and their means among each other.
        let squares: f64 = parts.iter().map(|part| part[1] + (part[0] - mean).powi(2) * pixels as f64).sum();
        [mean as f32, (squares / (count * pixels as f64)) as f32]
    };
    let of_all: Vec<[f32; 2]> = (0..channels).into_par_iter().map(of_channel).collect();
    [0, 1].map(|part| of_all.iter().map(|channel| channel[part]).collect())
}

impl Norm {
    /// The output for `input`. A NaN stays one, so that a training that has come to it can be told by its loss.
    pub(crate) fn forward(&self, input: &[f32], of: Channels<'_>) -> Vec<f32> {
        let mut output = vec![0.0; input.len()];
        let [low, high] = self.limits;
        let planes = output.par_chunks_mut(self.pixels).zip(input.par_chunks(self.pixels)).enumerate();
        planes.for_each(|(plane, (output, input))| {
            let [gain, shift] = of.line(plane % self.channels);
            vectorized(|| {
                let values = output.iter_mut().zip(input);
                values.for_each(|(to, &from)| *to = kept_within(from * gain + shift, [low, high]));
            });
        });
        output
    }

    /// The gradients, from the input and the gradient of the output.
    pub(crate) fn gradients(&self, input: &[f32], of: Channels<'_>, gradient: &[f32]) -> NormGradients {
        let totals: Vec<[f32; 2]> = (0..self.channels)
            .into_par_iter()
            .map(|channel| self.totals(input, of, gradient, channel))
            .collect();
        let mut result = vec![0.0; input.len()];
        let count = (input.len() / self.channels) as f32;
        let share = if self.is_of_batch { 1.0 / count } else { 0.0 };
        let [low, high] = self.limits;
        let planes = result.par_chunks_mut(self.pixels).enumerate();
        planes.for_each(|(plane, result)| {
            let channel = plane % self.channels;
            let [gain, shift] = of.line(channel);
            let (mean, scale) = (of.mean[channel], of.scale(channel));
            let level = totals[channel][0] * share;
            let slope = totals[channel][1] * scale * scale * share;
            let range = plane * self.pixels..(plane + 1) * self.pixels;
            vectorized(|| {
                let values = result.iter_mut().zip(&input[range.clone()]).zip(&gradient[range]);
                values.for_each(|((result, &input), &gradient)| {
                    let output = input * gain + shift;
                    let passed = if (output >= low) & (output <= high) { gradient } else { 0.0 };
                    *result = gain * (passed - level - (input - mean) * slope);
                });
            });
        });
        let gamma = totals.iter().enumerate().map(|(channel, total)| total[1] * of.scale(channel)).collect();
        NormGradients { input: result, gamma, beta: totals.iter().map(|total| total[0]).collect() }
    }

    /// The gradient that passes the limits, summed over a channel: alone, and times the input less its mean.
    fn totals(&self, input: &[f32], of: Channels<'_>, gradient: &[f32], channel: usize) -> [f32; 2] {
        let [gain, shift] = of.line(channel);
        let [low, high] = self.limits;
        let mean = of.mean[channel];
        let planes = input.chunks_exact(self.pixels).zip(gradient.chunks_exact(self.pixels));
        let of_channel = planes.skip(channel).step_by(self.channels);
        let mut total = [0.0; 2];
        for (input, gradient) in of_channel {
            let sums = vectorized(|| {
                sums(input, gradient, |input, gradient| {
                    let output = input * gain + shift;
                    let passed = if (output >= low) & (output <= high) { gradient } else { 0.0 };
                    [passed, passed * (input - mean)]
                })
            });
            total[0] += f64::from(sums[0]);
            total[1] += f64::from(sums[1]);
        }
        total.map(|total| total as f32)
    }
}

/// `value`, or the limit that it is beyond; unlike by `max` and `min`, a NaN is beyond none.
#[inline(always)]
fn kept_within(value: f32, [low, high]: [f32; 2]) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

impl Channels<'_> {
    /// One over the deviation.
    fn scale(&self, channel: usize) -> f32 {
        1.0 / (self.variance[channel] + BATCH_NORM_EPSILON).sqrt()
    }

    /// All of it as a factor and a summand.
    fn line(&self, channel: usize) -> [f32; 2] {
        let gain = self.gamma[channel] * self.scale(channel);
        [gain, self.beta[channel] - self.mean[channel] * gain]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_stays_one_and_limits_hold() {
        let norm = Norm { channels: 2, pixels: 3, limits: [0.0, 6.0], is_of_batch: false };
        let of = Channels {
            gamma: &[1.0, f32::NAN],
            beta: &[0.0; 2],
            mean: &[0.0; 2],
            variance: &[1.0 - BATCH_NORM_EPSILON; 2],
        };
        let output = norm.forward(&[-1.0, f32::NAN, 9.0, -1.0, 2.0, 9.0], of);
        assert_eq!([output[0], output[2]], [0.0, 6.0]);
        assert!(output[1].is_nan(), "of an input: {output:?}");
        assert!(output[3..].iter().all(|value| value.is_nan()), "of a weight: {output:?}");
    }
}
