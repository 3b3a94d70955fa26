//! Convolutions in floats over planes, `[batch, channels, height, width]`: for networks that run in float, and for training.

mod convolution;
mod dense;
mod depthwise;
mod function;
mod lanes;

pub(crate) use convolution::Convolution;
pub(crate) use dense::Dense;
#[cfg(feature = "train")]
pub(crate) use dense::{Band, Plan};
pub(crate) use depthwise::Depthwise;
#[cfg(feature = "train")]
pub(crate) use depthwise::Split;
#[cfg(feature = "train")]
pub(crate) use function::After;
#[cfg(all(test, feature = "train"))]
pub(crate) use function::apply;
#[cfg(feature = "train")]
pub(crate) use lanes::{LANES, vectorized, weighted_sum};
