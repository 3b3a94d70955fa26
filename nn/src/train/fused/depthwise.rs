//! Gradients of convolutions of each channel by itself.

use rayon::prelude::*;

use super::lanes::dot;
use crate::float_kernels::{After, Depthwise, Split, vectorized, weighted_sum};

impl Depthwise {
    /// The output for `input` and `filter`, `[channels, 1, kernel, kernel]`.
    pub(super) fn forward(&self, input: &[f32], filter: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; self.output().iter().product()];
        self.share(input, filter, After { bias: &[], function: None }, &mut output);
        output
    }

    /// The gradient of the input, from that of the output.
    pub(super) fn input_gradient(&self, gradient: &[f32], filter: &[f32]) -> Vec<f32> {
        let split = Split::new(self);
        let mut result = vec![0.0; self.input.iter().product()];
        let reach = split.reach();
        let buffers = || (split.parts(), vec![0.0; reach + split.part]);
        let planes = result.par_chunks_mut(split.plane());
        planes.enumerate().for_each_init(buffers, |(parts, spread), (plane, result)| {
            vectorized(|| {
                split.spread(split.of_output(gradient, plane), &mut spread[reach..]);
                for (number, part) in parts.chunks_exact_mut(split.part).enumerate() {
                    let taps = self.taps(filter, plane).filter(|(_, tap)| split.part_of(*tap) == number);
                    let shifted = taps.map(|(weight, tap)| (weight, reach - split.offset(tap)));
                    weighted_sum(0.0, part, spread, &shifted.collect::<Vec<_>>());
                }
                split.give(parts, result);
            });
        });
        result
    }

    /// The gradient of the filter, from the input and the gradient of the output.
    pub(super) fn filter_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        let split = Split::new(self);
        let [batch, channels, ..] = self.input;
        let taps = self.kernel * self.kernel;
        let mut result = vec![0.0; channels * taps];
        let buffers = || (split.parts(), vec![0.0; split.run()]);
        let filters = result.par_chunks_mut(taps).enumerate();
        filters.for_each_init(buffers, |(parts, spread), (channel, filter)| {
            for plane in (0..batch).map(|image| image * channels + channel) {
                vectorized(|| {
                    split.take(&input[plane * split.plane()..][..split.plane()], parts);
                    split.spread(split.of_output(gradient, plane), spread);
                    for (tap, weight) in filter.iter_mut().enumerate() {
                        *weight += dot(spread, &parts[split.start(tap)..]);
                    }
                });
            }
        });
        result
    }
}

impl Split {
    /// The farthest that a weight reads ahead.
    fn reach(&self) -> usize {
        self.offset(self.kernel * self.kernel - 1)
    }

    fn of_output<'a>(&self, values: &'a [f32], plane: usize) -> &'a [f32] {
        let size = self.out_height * self.out_width;
        &values[plane * size..][..size]
    }

    /// Puts the parts of a plane together.
    #[inline(always)]
    fn give(&self, parts: &[f32], plane: &mut [f32]) {
        for (y, values) in plane.chunks_exact_mut(self.width).enumerate() {
            for (place, x) in self.places(y) {
                let values = values[x.min(self.width)..].iter_mut().step_by(self.stride);
                values.zip(&parts[place..]).for_each(|(to, &from)| *to = from);
            }
        }
    }

    /// A plane of the output in rows as long as those of parts; what is between stays as it is.
    #[inline(always)]
    fn spread(&self, plane: &[f32], rows: &mut [f32]) {
        let from = plane.chunks_exact(self.out_width);
        rows.chunks_mut(self.row).zip(from).for_each(|(to, from)| to[..from.len()].copy_from_slice(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| random.f32() - 0.5).collect()
    }

    /// Calls `with` for all that meet: places of input, filter, output.
    fn meetings(of: &Depthwise, mut with: impl FnMut(usize, usize, usize)) {
        let [batch, channels, height, width] = of.input;
        let [.., rows, columns] = of.output();
        let pad = of.kernel / 2;
        for plane in 0..batch * channels {
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                for tap in 0..of.kernel * of.kernel {
                    let y = (row * of.stride + tap / of.kernel).wrapping_sub(pad);
                    let x = (column * of.stride + tap % of.kernel).wrapping_sub(pad);
                    if y < height && x < width {
                        let filter = plane % channels * of.kernel * of.kernel + tap;
                        with(
                            (plane * height + y) * width + x,
                            filter,
                            (plane * rows + row) * columns + column,
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_definition() {
        for (kernel, stride, height, width) in [
            (3, 1, 7, 7),
            (3, 1, 12, 19),
            (3, 2, 14, 16),
            (3, 2, 9, 13),
            (5, 1, 6, 40),
            (5, 2, 11, 8),
            (3, 2, 1, 1),
        ] {
            let of = Depthwise { input: [2, 3, height, width], kernel, stride };
            let input = values(of.input.iter().product(), 1);
            let filter = values(3 * kernel * kernel, 2);
            let gradient = values(of.output().iter().product(), 3);
            let mut output = vec![0.0; gradient.len()];
            let (mut to_input, mut to_filter) = (vec![0.0; input.len()], vec![0.0; filter.len()]);
            meetings(&of, |i, f, o| {
                output[o] += input[i] * filter[f];
                to_input[i] += gradient[o] * filter[f];
                to_filter[f] += gradient[o] * input[i];
            });
            let close = |found: Vec<f32>, wanted: &[f32], what: &str| {
                assert_eq!(found.len(), wanted.len());
                let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-4, "{what} of {of:?}: {worst}");
            };
            close(of.forward(&input, &filter), &output, "output");
            close(of.input_gradient(&gradient, &filter), &to_input, "gradient of input");
            close(of.filter_gradient(&input, &gradient), &to_filter, "gradient of filter");
        }
    }
}
