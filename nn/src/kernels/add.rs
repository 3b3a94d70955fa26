//! Sums of two quantised tensors, the residual connections of networks.

use super::kernel::{Kernel, Work};
use super::lanes::Lanes;
use crate::error::{NnError, check_length};

/// `saturate(round_half_even((a - zero_a) * ratio_a + (b - zero_b) * ratio_b) + zero_point)`, within bounds.
///
/// This is `Add` between `DequantizeLinear` and `QuantizeLinear` of ONNX with `ratio = input_scale / output_scale`; both
/// products and their sum are rounded to `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addition {
    /// Values of the two inputs that stand for zero.
    pub input_zero_points: [u8; 2],
    /// Output steps per step of each input; finite.
    pub ratios: [f32; 2],
    /// The output value that stands for zero.
    pub zero_point: u8,
    /// Smallest output value.
    pub low: u8,
    /// Largest output value.
    pub high: u8,
}

impl Addition {
    /// Adds two tensors of as many values as `output` has.
    ///
    /// # Errors
    /// [`NnError::Length`] where the lengths differ.
    pub fn run(&self, kernel: Kernel, inputs: [&[u8]; 2], output: &mut [u8]) -> Result<(), NnError> {
        for input in inputs {
            check_length("an addend", output.len(), input.len())?;
        }
        kernel.run(Add { layer: *self, inputs, output });
        Ok(())
    }

    #[inline(always)]
    fn add(&self, a: u8, b: u8) -> u8 {
        let term = |i: usize, value: u8| {
            (i32::from(value) - i32::from(self.input_zero_points[i])) as f32 * self.ratios[i]
        };
        let value = round(term(0, a) + term(1, b)) + i32::from(self.zero_point);
        value.clamp(i32::from(self.low), i32::from(self.high)) as u8
    }
}

/// Half to even, for steps as far from zero as matters to a byte: at this magnitude the last bit of an `f32` is one.
#[inline(always)]
fn round(steps: f32) -> i32 {
    const MAGNITUDE: f32 = 12_582_912.0;
    (steps.clamp(-1024.0, 1024.0) + MAGNITUDE).to_bits().cast_signed() - MAGNITUDE.to_bits().cast_signed()
}

struct Add<'a> {
    layer: Addition,
    inputs: [&'a [u8]; 2],
    output: &'a mut [u8],
}

impl Work for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(self, _: L) {
        let [a, b] = self.inputs;
        for (sum, (a, b)) in self.output.iter_mut().zip(a.iter().zip(b)) {
            *sum = self.layer.add(*a, *b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_far_values_saturate() {
        let steps = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.500_001, 1e9, -1e9];
        assert_eq!(steps.map(round), [-2, -2, 0, 0, 2, 2, 3, 1024, -1024]);
    }

    #[test]
    fn tensors_of_other_lengths_are_refused() {
        let add = Addition { input_zero_points: [0; 2], ratios: [1.0; 2], zero_point: 0, low: 0, high: 255 };
        let mut output = [0; 2];
        assert!(add.run(Kernel::SCALAR, [&[1, 2], &[3]], &mut output).is_err());
        add.run(Kernel::SCALAR, [&[1, 200], &[3, 100]], &mut output).unwrap();
        assert_eq!(output, [4, 255]);
    }
}
