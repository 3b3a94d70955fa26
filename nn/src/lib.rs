//! Networks on this machine: ONNX in, tensors out.
//!
//! So far only the type that networks exchange.

mod tensor;

pub use tensor::{Tensor, TensorError};
