//! Layers of quantised networks on this machine's processor.
//!
//! Activations are unsigned bytes, the channels of a pixel side by side (`[height, width, channels]`); weights are
//! signed bytes with one scale per output channel, packed at load for one [`Kernel`]. Sums are exact 32-bit integers,
//! whose way back to bytes [`Requantisation`] defines, so that all kernels compute the same bits.
//!
//! A kernel is one file that implements `Lanes`: a handful of vector operations. What layers do with them is written
//! once, in `gemm` (convolutions) and `depthwise`.

mod add;
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it may use them")]
mod arm;
mod block;
mod convolution;
mod depthwise;
mod elementwise;
mod gemm;
mod kernel;
mod lanes;
mod output;
mod packed;
mod pool;
mod requantisation;
mod resample;
mod scalar;
mod table;
mod window;
mod winograd;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it may use them")]
mod x86;

#[cfg(test)]
mod tests;

pub use add::Addition;
pub use block::Word;
pub use convolution::{Convolution, ConvolutionSpec};
pub use depthwise::{Depthwise, DepthwiseSpec};
pub use elementwise::Quantisation;
pub use kernel::Kernel;
pub use output::Output;
pub use pool::{AveragePool, MaxPool};
pub use requantisation::Requantisation;
pub use resample::{Between, Interpolation, Selection};
pub use table::{look_up, look_up_planes};
pub use window::{ImageShape, Window};
