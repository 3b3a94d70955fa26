//! Kernels of 64-bit ARM processors.

mod dotprod;

pub(super) use dotprod::Dotprod;
