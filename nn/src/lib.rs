//! Networks on this machine: ONNX in, tensors out.
//!
//! A file is read (`onnx`), made into a [`plan`] of steps over bytes, and carried out by an interpreter (`cpu`) over the
//! [`kernels`] of the processor. Nodes that have no quantised form run in float, convolutions by kernels of our own and all
//! else by tract, and the plan says which.

pub mod architecture;
mod arena;
mod compare;
mod cpu;
mod error;
mod float;
mod float_kernels;
pub mod kernels;
mod metadata;
mod network;
mod onnx;
mod parameters;
pub mod plan;
pub mod preprocess;
mod probe;
pub mod quantize;
mod step_info;
mod taps;
mod tensor;
mod tract;
#[cfg(feature = "train")]
pub mod train;
mod workers;

pub use arena::Arena;
pub use compare::{Comparison, Difference};
pub use error::NnError;
pub use float::{FloatNode, FloatOp};
pub use metadata::metadata;
pub use network::Network;
pub use onnx::Port;
pub use parameters::parameters;
pub use step_info::StepInfo;
pub use taps::Taps;
pub use tensor::{Tensor, TensorError};
