//! Largest values and averages under a window.

use std::ops::Range;

use super::block::LANES;
use super::kernel::{Kernel, Work};
use super::lanes::Lanes;
use super::output::Output;
use super::scalar::requantise;
use super::window::{ImageShape, Window};
use super::{Quantisation, lanes::Limits};
use crate::error::{NnError, check_length};

/// `MaxPool` of ONNX: the largest value under the window, padding left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool {
    input: ImageShape,
    window: Window,
    output: ImageShape,
}

/// `AveragePool` of ONNX: the mean under the window, rounded half to even.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePool {
    input: ImageShape,
    window: Window,
    output: ImageShape,
    /// Whether padding counts, as zeros.
    counts_padding: bool,
    /// What the bytes stand for, before and after.
    quantisations: [Quantisation; 2],
    limits: Limits,
}

impl MaxPool {
    /// A window over an image.
    ///
    /// # Errors
    /// [`NnError::Shape`] where the window does not fit or may lie outside the image.
    pub fn new(input: ImageShape, window: Window) -> Result<Self, NnError> {
        Ok(Self { input, window, output: pooled(input, &window)? })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        self.output
    }

    /// Computes the output rows `rows`; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `input` or `output` has another length than the shapes say.
    pub fn run_rows(
        &self,
        kernel: Kernel,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
    ) -> Result<(), NnError> {
        check_length("input", self.input.len(), input.len())?;
        output.check(self.output, &rows)?;
        kernel.run(LargestUnder { layer: self, rows, input, output });
        Ok(())
    }
}

impl AveragePool {
    /// A window over an image; the bytes stand for values as `quantisations` say, before and after, and those that come
    /// out stay within `bounds`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where the window does not fit or may lie outside the image.
    pub fn new(
        input: ImageShape,
        window: Window,
        counts_padding: bool,
        quantisations: [Quantisation; 2],
        [low, high]: [u8; 2],
    ) -> Result<Self, NnError> {
        let limits = Limits { zero_point: quantisations[1].zero_point, low, high };
        Ok(Self { input, window, output: pooled(input, &window)?, counts_padding, quantisations, limits })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        self.output
    }

    /// Computes the output rows `rows`; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `input` or `output` has another length than the shapes say.
    pub fn run_rows(
        &self,
        kernel: Kernel,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
    ) -> Result<(), NnError> {
        check_length("input", self.input.len(), input.len())?;
        output.check(self.output, &rows)?;
        kernel.run(MeanUnder { layer: self, rows, input, output });
        Ok(())
    }
}

/// The image that pooling makes. A window that could lie in the padding altogether has no largest value.
fn pooled(input: ImageShape, window: &Window) -> Result<ImageShape, NnError> {
    let [height, width] = window.places(input)?;
    let lies_within = (0..2).all(|axis| {
        window.padding_before[axis] < window.size[axis] && window.padding_after[axis] < window.size[axis]
    });
    if !lies_within {
        let found = format!("{window:?}");
        return Err(NnError::Shape { expected: "less padding than window", found });
    }
    Ok(ImageShape { height, width, channels: input.channels })
}

/// The part of the image that lies under a window: rows and columns.
#[inline(always)]
fn under(window: &Window, input: ImageShape, place: [usize; 2]) -> [Range<usize>; 2] {
    let lengths = [input.height, input.width];
    std::array::from_fn(|axis| {
        let first = place[axis] * window.stride[axis];
        let end = (first + window.size[axis]).saturating_sub(window.padding_before[axis]);
        first.saturating_sub(window.padding_before[axis])..end.min(lengths[axis])
    })
}

struct LargestUnder<'a> {
    layer: &'a MaxPool,
    rows: Range<usize>,
    input: &'a [u8],
    output: Output<'a>,
}

impl Work for LargestUnder<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, _: L) {
        let MaxPool { input, window, output } = *self.layer;
        let step = self.output.step;
        for (index, y) in self.rows.clone().enumerate() {
            let row = self.output.row(index);
            for x in 0..output.width {
                let largest = &mut row[x * step..][..output.channels];
                largest.fill(0);
                let [rows, columns] = under(&window, input, [y, x]);
                for row in rows {
                    let pixels = &self.input[(row * input.width + columns.start) * input.channels..]
                        [..columns.len() * input.channels];
                    for pixel in pixels.chunks_exact(input.channels) {
                        for (largest, &value) in largest.iter_mut().zip(pixel) {
                            *largest = value.max(*largest);
                        }
                    }
                }
            }
        }
    }
}

struct MeanUnder<'a> {
    layer: &'a AveragePool,
    rows: Range<usize>,
    input: &'a [u8],
    output: Output<'a>,
}

impl Work for MeanUnder<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, _: L) {
        let AveragePool { input, window, output, .. } = *self.layer;
        let step = self.output.step;
        for (index, y) in self.rows.clone().enumerate() {
            for x in 0..output.width {
                let under = under(&window, input, [y, x]);
                let row = self.output.row(index);
                self.layer.means(self.input, under, &mut row[x * step..][..output.channels]);
            }
        }
    }
}

impl AveragePool {
    /// The mean of each channel over some rows and columns.
    #[inline(always)]
    fn means(&self, input: &[u8], [rows, columns]: [Range<usize>; 2], output: &mut [u8]) {
        let ImageShape { width, channels, .. } = self.input;
        let [before, after] = self.quantisations;
        let pixels = rows.len() * columns.len();
        let count = if self.counts_padding { self.window.size.iter().product() } else { pixels };
        let multiplier = before.scale / (after.scale * count as f32);
        let offset = -(pixels as i32 * i32::from(before.zero_point));
        for (block, output) in output.chunks_mut(LANES).enumerate() {
            let mut sums = [offset; LANES];
            for row in rows.clone() {
                for column in columns.clone() {
                    let pixel = &input[(row * width + column) * channels + block * LANES..][..output.len()];
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(value);
                    }
                }
            }
            for (output, sum) in output.iter_mut().zip(sums) {
                *output = requantise(sum, multiplier, self.limits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: ImageShape = ImageShape { height: 5, width: 6, channels: 19 };

    fn image() -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(1);
        (0..INPUT.len()).map(|_| rng.u8(..)).collect()
    }

    /// Values of one channel under the window at a place, the padding left out.
    fn values(image: &[u8], window: &Window, [y, x]: [usize; 2], channel: usize) -> Vec<u8> {
        let mut values = Vec::new();
        for row in 0..window.size[0] {
            for column in 0..window.size[1] {
                let place = [y * window.stride[0] + row, x * window.stride[1] + column];
                let y = place[0].wrapping_sub(window.padding_before[0]);
                let x = place[1].wrapping_sub(window.padding_before[1]);
                if y < INPUT.height && x < INPUT.width {
                    values.push(image[(y * INPUT.width + x) * INPUT.channels + channel]);
                }
            }
        }
        values
    }

    fn windows() -> Vec<Window> {
        let uneven = Window { padding_after: [0, 1], ..Window::square(2, 1) };
        vec![Window::square(3, 2), Window::square(2, 2), uneven, Window::square(5, 1)]
    }

    #[test]
    fn the_largest_value_under_the_window_comes_out() {
        let image = image();
        for window in windows() {
            let layer = MaxPool::new(INPUT, window).unwrap();
            let shape = layer.output();
            for kernel in Kernel::available() {
                let mut output = vec![0; shape.len()];
                layer.run_rows(kernel, 0..shape.height, &image, Output::whole(&mut output, shape)).unwrap();
                for (index, &value) in output.iter().enumerate() {
                    let (pixel, channel) = (index / shape.channels, index % shape.channels);
                    let place = [pixel / shape.width, pixel % shape.width];
                    assert_eq!(Some(value), values(&image, &window, place, channel).into_iter().max());
                }
            }
        }
    }

    #[test]
    fn the_mean_under_the_window_comes_out() {
        let image = image();
        let quantisations =
            [Quantisation { scale: 0.5, zero_point: 7 }, Quantisation { scale: 0.3, zero_point: 90 }];
        for (window, counts_padding) in windows().into_iter().zip([false, true, true, false]) {
            let layer = AveragePool::new(INPUT, window, counts_padding, quantisations, [3, 200]).unwrap();
            let shape = layer.output();
            for kernel in Kernel::available() {
                let mut output = vec![0; shape.len()];
                layer.run_rows(kernel, 0..shape.height, &image, Output::whole(&mut output, shape)).unwrap();
                for (index, &found) in output.iter().enumerate() {
                    let (pixel, channel) = (index / shape.channels, index % shape.channels);
                    let place = [pixel / shape.width, pixel % shape.width];
                    let values = values(&image, &window, place, channel);
                    let count = if counts_padding { window.size.iter().product() } else { values.len() };
                    let sum: f32 = values.iter().map(|&value| quantisations[0].dequantise(value)).sum();
                    let expected = quantisations[1].quantise(sum / count as f32).clamp(3, 200);
                    assert!(found.abs_diff(expected) <= 1, "{kernel} {window:?}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn windows_that_may_see_nothing_are_refused() {
        let window = Window { padding_before: [2; 2], ..Window::square(2, 1) };
        assert!(MaxPool::new(INPUT, window).is_err());
    }
}
