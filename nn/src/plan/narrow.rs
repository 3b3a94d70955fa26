//! Convolutions of few output channels in a form that fills the kernels' lanes.

use super::ConvolutionLayer;
use crate::kernels::{Requantisation, Window};

/// Output channels that kernels compute together, whether a layer has them or not.
const LANES: usize = 16;

/// More output channels than these are left as they are.
const MOST_CHANNELS: usize = 8;

/// The same layer with several pixels of a row as the channels of one, where it has few output channels: a window that is
/// wider by as many columns, each pixel's weights in it one column further on, and zeros beside them. Its image lies in
/// memory as before.
pub(super) fn widened(layer: ConvolutionLayer) -> ConvolutionLayer {
    let channels = layer.output_channels;
    let pixels = LANES / channels.clamp(1, LANES);
    let is_narrow = (1..=MOST_CHANNELS).contains(&channels) && layer.window.stride[1] == 1;
    let fits = layer.window.places(layer.input).is_ok_and(|[_, width]| width.is_multiple_of(pixels));
    if !is_narrow || !fits {
        return layer;
    }
    let [rows, columns] = layer.window.size;
    let (row, inputs) = (columns * layer.input.channels, layer.input.channels);
    let wide_row = row + (pixels - 1) * inputs;
    let mut weights = vec![0; pixels * channels * rows * wide_row];
    let filters = (0..pixels).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
    for ((pixel, channel), wide) in filters.zip(weights.chunks_exact_mut(rows * wide_row)) {
        let filter = &layer.weights[channel * rows * row..][..rows * row];
        for (wide, narrow) in wide.chunks_exact_mut(wide_row).zip(filter.chunks_exact(row)) {
            wide[pixel * inputs..][..row].copy_from_slice(narrow);
        }
    }
    ConvolutionLayer {
        window: Window {
            size: [rows, columns + pixels - 1],
            stride: [layer.window.stride[0], pixels],
            ..layer.window
        },
        output_channels: pixels * channels,
        weights,
        bias: layer.bias.repeat(pixels),
        requantisation: Requantisation {
            multipliers: layer.requantisation.multipliers.repeat(pixels),
            ..layer.requantisation
        },
        ..layer
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::kernels::{Convolution, ConvolutionSpec, ImageShape, Kernel, Output};

    fn run(layer: &ConvolutionLayer, kernel: Kernel, image: &[u8]) -> Vec<u8> {
        let spec = ConvolutionSpec {
            input: layer.input,
            input_zero_point: layer.input_zero_point,
            window: layer.window,
            output_channels: layer.output_channels,
            weights: &layer.weights,
            bias: &layer.bias,
            requantisation: &layer.requantisation,
        };
        let packed = Convolution::new(kernel, &spec).unwrap();
        let mut output = vec![0; packed.output().len()];
        let mut scratch = vec![[0; 4]; packed.scratch_words()];
        packed.run(image, Output::whole(&mut output, packed.output()), &mut scratch).unwrap();
        output
    }

    #[test]
    fn several_pixels_as_channels_are_the_same_image() {
        let mut rng = Rng::with_seed(1);
        for (channels, width, size) in [(1, 32, 3), (2, 16, 5), (4, 12, 1), (3, 10, 3), (7, 10, 3)] {
            let input = ImageShape { height: 5, width, channels: 7 };
            let multipliers = (0..channels).map(|_| 0.002 + rng.f32() * 0.001).collect();
            let layer = ConvolutionLayer {
                input,
                input_zero_point: 9,
                window: Window::square(size, 1),
                output_channels: channels,
                weights: (0..channels * size * size * 7).map(|_| rng.i8(..)).collect(),
                bias: (0..channels).map(|_| rng.i32(-9999..9999)).collect(),
                requantisation: Requantisation::linear(multipliers, 100),
                multiply_adds: 0,
            };
            let wide = widened(layer.clone());
            assert_eq!(wide.output_channels, 16 / channels * channels);
            let image: Vec<_> = (0..input.len()).map(|_| rng.u8(..)).collect();
            for kernel in Kernel::available() {
                assert_eq!(run(&wide, kernel, &image), run(&layer, kernel, &image), "{kernel}: {channels}");
            }
        }
    }

    #[test]
    fn rows_that_do_not_divide_stay_as_they_are() {
        let layer = ConvolutionLayer {
            input: ImageShape { height: 4, width: 9, channels: 2 },
            input_zero_point: 0,
            window: Window::square(3, 1),
            output_channels: 1,
            weights: vec![1; 18],
            bias: vec![0],
            requantisation: Requantisation::linear(vec![0.1], 0),
            multiply_adds: 0,
        };
        assert_eq!(widened(layer).output_channels, 1);
    }
}
