//! Networks on this machine: ONNX in, tensors out.
//!
//! So far the tensor that networks exchange and the kernels that quantised layers run on.

mod error;
pub mod kernels;
mod tensor;

pub use error::NnError;
pub use tensor::{Tensor, TensorError};
