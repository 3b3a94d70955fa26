//! Convolutions over all channels, plain and transposed.
//!
//! Nothing is unfolded: a band of rows is copied with its padding, small enough for the cache, and each tap of a filter reads
//! it at its own offset (see `band`). A transposed one, which is also the gradient of a plain one's input, is convolutions again,
//! one for each remainder of rows and columns under the stride (see `plan`). The order of all sums is that of the shapes,
//! whatever the number of threads.

mod band;
mod kernel;
mod plan;

#[cfg(feature = "train")]
pub(crate) use band::Band;
pub(super) use plan::Buffers;
pub(crate) use plan::Plan;

/// A convolution over all channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dense {
    /// `[batch, channels, height, width]` of what goes in.
    pub(crate) input: [usize; 4],
    /// Channels of what comes out.
    pub(crate) filters: usize,
    /// Height and width of the kernel.
    pub(crate) kernel: usize,
    /// Zeros around the input.
    pub(crate) padding: usize,
    /// Step between windows.
    pub(crate) stride: usize,
}

impl Dense {
    /// `[batch, channels, height, width]` of what comes out.
    pub(crate) fn output(&self) -> [usize; 4] {
        let [batch, _, height, width] = self.input;
        let places = |length: usize| (length + 2 * self.padding - self.kernel) / self.stride + 1;
        [batch, self.filters, places(height), places(width)]
    }

    /// The taps between a channel of the output and one of the input, in `[filters, channels, kernel, kernel]`.
    pub(crate) fn weights<'a>(
        &self,
        filter: &'a [f32],
    ) -> impl Fn(usize, usize) -> &'a [f32] + Sync + use<'a> {
        let (channels, taps) = (self.input[1], self.kernel * self.kernel);
        move |out, read| &filter[(out * channels + read) * taps..][..taps]
    }
}
