//! Networks on this machine: ONNX in, tensors out.
//!
//! A file is read (`onnx`), made into a [`plan`] of steps over bytes, and carried out by an interpreter (`cpu`) over the
//! [`kernels`] of the processor. Nodes that have no quantised form run in float by tract, and the plan says which.

mod cpu;
mod error;
mod float;
pub mod kernels;
mod network;
mod onnx;
pub mod plan;
mod probe;
pub mod quantize;
mod step_info;
mod tensor;
mod workers;

pub use error::NnError;
pub use float::{FloatNode, FloatOp};
pub use network::Network;
pub use onnx::Port;
pub use step_info::StepInfo;
pub use tensor::{Tensor, TensorError};
