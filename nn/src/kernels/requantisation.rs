//! From sums of products back to bytes.

use super::lanes::Limits;
use crate::error::{NnError, check_length};

/// How a layer's 32-bit sums become its 8-bit outputs.
///
/// A sum counts steps of `input_scale * weight_scale[channel]`. ONNX defines `QLinearConv` (and the same layer written
/// between `DequantizeLinear` and `QuantizeLinear`) as `saturate(round_half_even(sum * multiplier) + zero_point)` with
/// `multiplier[channel] = input_scale * weight_scale[channel] / output_scale`. Here the sum is converted to `f32`, the
/// product rounded to `f32`, then to the nearest integer, halves to even: onnxruntime's arithmetic.
///
/// An activation that only bounds its argument (ReLU, ReLU6) is bounds on the output value, which changes nothing about
/// the result since rounding keeps the order. Any other is a table from output value to output value.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantisation {
    /// Output steps per step of the sum, one for each output channel; not negative.
    pub multipliers: Vec<f32>,
    /// The output value that stands for zero.
    pub zero_point: u8,
    /// Smallest output value, before the table.
    pub low: u8,
    /// Largest output value, before the table.
    pub high: u8,
    /// What each output value is replaced with.
    pub table: Option<Box<[u8; 256]>>,
}

impl Requantisation {
    /// Without activation: all 256 values may come out.
    pub fn linear(multipliers: Vec<f32>, zero_point: u8) -> Self {
        Self { multipliers, zero_point, low: 0, high: u8::MAX, table: None }
    }

    /// Replaces each value that comes out with what `table` has for it.
    pub fn then(&mut self, table: &[u8; 256]) {
        let first = self.table.take();
        let through =
            |byte: u8| table[usize::from(first.as_ref().map_or(byte, |first| first[usize::from(byte)]))];
        self.table = Some(Box::new(std::array::from_fn(|byte| through(byte as u8))));
    }

    /// `Ok` where there is a multiplier for each of `channels`.
    pub(super) fn check_channels(&self, channels: usize) -> Result<(), NnError> {
        check_length("multipliers", channels, self.multipliers.len())?;
        if self.low <= self.high {
            return Ok(());
        }
        let found = format!("{} to {}", self.low, self.high);
        Err(NnError::Shape { expected: "bounds in ascending order", found })
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { zero_point: self.zero_point, low: self.low, high: self.high }
    }
}
