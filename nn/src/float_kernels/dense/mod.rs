//! Convolutions over all channels, and their gradients.
//!
//! Nothing is unfolded: a band of rows is copied with its padding, small enough for the cache, and each tap of a filter reads
//! it at its own offset (see `band`). The gradient of the input is a convolution again, of the gradient of the output,
//! one for each remainder of rows and columns under the stride (see `plan`). The order of all sums is that of the shapes,
//! whatever the number of threads.

mod band;
mod filter_gradient;
mod kernel;
mod plan;

use plan::{After, Plan};

use crate::architecture::Activation;

/// A convolution over all channels, padded by half its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dense {
    /// `[batch, channels, height, width]` of what goes in.
    pub(crate) input: [usize; 4],
    /// Channels of what comes out.
    pub(crate) filters: usize,
    /// Height and width of the kernel: an odd number.
    pub(crate) kernel: usize,
    /// Step between windows.
    pub(crate) stride: usize,
}

impl Dense {
    /// `[batch, channels, height, width]` of what comes out.
    pub(crate) fn output(&self) -> [usize; 4] {
        let [batch, _, height, width] = self.input;
        [batch, self.filters, height.div_ceil(self.stride), width.div_ceil(self.stride)]
    }

    /// The output for `input` and `filter`, `[filters, channels, kernel, kernel]`: `bias` is added to each channel, where
    /// there is one, then `function` applied.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        filter: &[f32],
        bias: &[f32],
        function: Option<Activation>,
    ) -> Vec<f32> {
        let [_, channels, ..] = self.input;
        let taps = self.kernel * self.kernel;
        let weights = |out: usize, read: usize| &filter[(out * channels + read) * taps..][..taps];
        Plan::forward(self).carry_out(input, weights, After { bias, function })
    }

    /// The gradient of the input, from that of the output; it is known as a transposed convolution too. `bias` is added to
    /// each channel, where there is one, then `function` applied.
    pub(crate) fn transposed(
        &self,
        gradient: &[f32],
        filter: &[f32],
        bias: &[f32],
        function: Option<Activation>,
    ) -> Vec<f32> {
        let [_, channels, ..] = self.input;
        let taps = self.kernel * self.kernel;
        let weights = |out: usize, read: usize| &filter[(read * channels + out) * taps..][..taps];
        Plan::transposed(self).carry_out(gradient, weights, After { bias, function })
    }

    /// The gradient of the filter, from the input and the gradient of the output.
    pub(crate) fn filter_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        filter_gradient::of(self, input, gradient)
    }
}

#[cfg(test)]
mod tests;
