//! Convolutions over all channels, and their gradients.
//!
//! The gradient of the input is a convolution again, of the gradient of the output, one for each remainder of rows and
//! columns under the stride. The order of all sums is that of the shapes, whatever the number of threads.

mod filter_gradient;
mod products;

use crate::architecture::Activation;
use crate::float_kernels::{After, Dense, Plan};

impl Dense {
    /// The output for `input` and `filter`, `[filters, channels, kernel, kernel]`: `bias` is added to each channel, where
    /// there is one, then `function` applied.
    pub(super) fn forward(
        &self,
        input: &[f32],
        filter: &[f32],
        bias: &[f32],
        function: Option<Activation>,
    ) -> Vec<f32> {
        Plan::forward(self).carry_out(input, self.weights(filter), After { bias, function })
    }

    /// The gradient of the input, from that of the output; it is known as a transposed convolution too. `bias` is added to
    /// each channel, where there is one, then `function` applied.
    pub(super) fn transposed(
        &self,
        gradient: &[f32],
        filter: &[f32],
        bias: &[f32],
        function: Option<Activation>,
    ) -> Vec<f32> {
        let weights = self.weights(filter);
        Plan::transposed(self).carry_out(gradient, |out, read| weights(read, out), After { bias, function })
    }

    /// The gradient of the filter, from the input and the gradient of the output.
    pub(super) fn filter_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        filter_gradient::of(self, input, gradient)
    }
}

#[cfg(test)]
mod tests;
