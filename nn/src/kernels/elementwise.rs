//! Steps between numbers and bytes, value by value.

use super::kernel::{Kernel, Work};
use super::lanes::{Lanes, each};
use crate::error::{NnError, check_length};

/// What the bytes of a tensor stand for: `(value - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// The size of one step; positive.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero_point: u8,
}

impl Quantisation {
    /// The byte nearest to `value`, halves to even: `QuantizeLinear` of ONNX.
    #[inline(always)]
    pub fn quantise(self, value: f32) -> u8 {
        // Beyond this all is saturated; within, the sum's last bit is a whole step, so that it rounds as it should.
        const BOUND: f32 = 1024.0;
        const WHOLE: f32 = 12_582_912.0;
        let steps = (value / self.scale).clamp(-BOUND, BOUND) + WHOLE;
        let steps = steps.to_bits().cast_signed() - WHOLE.to_bits().cast_signed();
        (steps + i32::from(self.zero_point)).clamp(0, 255) as u8
    }

    /// What `value` stands for: `DequantizeLinear` of ONNX.
    #[inline(always)]
    pub fn dequantise(self, value: u8) -> f32 {
        (i32::from(value) - i32::from(self.zero_point)) as f32 * self.scale
    }

    /// What each byte becomes when it stands for `function` of what it stood for.
    pub fn table_to(self, other: Self, function: impl Fn(f32) -> f32) -> Box<[u8; 256]> {
        Box::new(std::array::from_fn(|byte| other.quantise(function(self.dequantise(byte as u8)))))
    }

    /// Quantises some pixels of `[channels, pixels]`, from the `first` on as many as `output` has, into `[pixels, channels]`.
    ///
    /// # Errors
    /// [`NnError::Length`] where the input has fewer.
    pub fn quantise_planes(
        self,
        kernel: Kernel,
        channels: usize,
        input: &[f32],
        first: usize,
        output: &mut [u8],
    ) -> Result<(), NnError> {
        let needed = first * channels + output.len();
        if input.len() < needed || !output.len().is_multiple_of(channels) {
            return Err(NnError::Length { what: "values to quantise", expected: needed, found: input.len() });
        }
        kernel.run(Quantise { quantisation: self, channels, input, first, output });
        Ok(())
    }

    /// Dequantises `[pixels, channels]` into `[channels, pixels]`.
    ///
    /// # Errors
    /// [`NnError::Length`] where the lengths differ.
    pub fn dequantise_planes(
        self,
        kernel: Kernel,
        channels: usize,
        input: &[u8],
        output: &mut [f32],
    ) -> Result<(), NnError> {
        check_length("values to dequantise", output.len(), input.len())?;
        kernel.run(Dequantise { quantisation: self, channels, input, output });
        Ok(())
    }
}

struct Quantise<'a> {
    quantisation: Quantisation,
    channels: usize,
    input: &'a [f32],
    first: usize,
    output: &'a mut [u8],
}

impl Work for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, _: L) {
        for first in (0..self.channels).step_by(4) {
            match self.channels - first {
                1 => self.planes::<1>(first),
                2 => self.planes::<2>(first),
                3 => self.planes::<3>(first),
                _ => self.planes::<4>(first),
            }
        }
    }
}

impl Quantise<'_> {
    /// Channel `channel` and those that follow: a few pixels at a time, so that only whole pixels' parts are written.
    #[inline(always)]
    fn planes<const CHANNELS: usize>(&mut self, channel: usize) {
        const PIXELS: usize = 32;
        let Self { quantisation, channels, input, first, ref mut output } = *self;
        let (length, pixels) = (input.len() / channels, output.len() / channels);
        let planes: [&[f32]; CHANNELS] = each(|index| &input[(channel + index) * length + first..][..pixels]);
        for (index, pixels) in output.chunks_mut(PIXELS * channels).enumerate() {
            let mut words = [0_u32; PIXELS];
            for (byte, plane) in planes.iter().enumerate() {
                for (word, value) in words.iter_mut().zip(&plane[index * PIXELS..]) {
                    *word |= u32::from(quantisation.quantise(*value)) << (8 * byte);
                }
            }
            for (pixel, word) in pixels.chunks_exact_mut(channels).zip(words) {
                pixel[channel..channel + CHANNELS].copy_from_slice(&word.to_le_bytes()[..CHANNELS]);
            }
        }
    }
}

struct Dequantise<'a> {
    quantisation: Quantisation,
    channels: usize,
    input: &'a [u8],
    output: &'a mut [f32],
}

impl Work for Dequantise<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(self, _: L) {
        let pixels = self.output.len() / self.channels;
        for (channel, plane) in self.output.chunks_exact_mut(pixels).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(self.input.chunks_exact(self.channels)) {
                *value = self.quantisation.dequantise(pixel[channel]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_half_to_even_and_saturate() {
        let quantisation = Quantisation { scale: 0.5, zero_point: 10 };
        let values = [0.25, 0.75, 1.0, -1e30, 1e30, f32::INFINITY].map(|value| quantisation.quantise(value));
        assert_eq!(values, [10, 12, 12, 0, 255, 255]);
        assert_eq!(quantisation.dequantise(7), -1.5);
    }

    #[test]
    fn channels_move_to_the_end_and_back() {
        let quantisation = Quantisation { scale: 1.0, zero_point: 0 };
        let planes = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for kernel in Kernel::available() {
            let (mut pixels, mut back) = ([0; 6], [0.0; 6]);
            let (upper, lower) = pixels.split_at_mut(2);
            quantisation.quantise_planes(kernel, 2, &planes, 0, upper).unwrap();
            quantisation.quantise_planes(kernel, 2, &planes, 1, lower).unwrap();
            assert_eq!(pixels, [1, 4, 2, 5, 3, 6], "{kernel}");
            quantisation.dequantise_planes(kernel, 2, &pixels, &mut back).unwrap();
            assert_eq!(back, planes, "{kernel}");
        }
    }
}
