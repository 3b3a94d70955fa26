//! Dense tensors.

use thiserror::Error;

/// Dense values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

/// Why values don't make a tensor.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TensorError {
    /// The number of values is not the product of the shape.
    #[error("expected {expected} values for shape {shape:?}, found {found}")]
    Length {
        /// The shape asked for.
        shape: Vec<usize>,
        /// Product of its sides.
        expected: usize,
        /// Values given.
        found: usize,
    },
}

impl Tensor {
    /// A tensor of `shape` over `data`, the last dimension varying fastest.
    ///
    /// # Errors
    /// [`TensorError::Length`] where `data` has not as many values as `shape` says.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, TensorError> {
        let expected = shape.iter().product();
        if data.len() != expected {
            return Err(TensorError::Length { shape, expected, found: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// Length of each dimension, the slowest first: `[B, C, H, W]` for images.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All values.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_must_fit_the_values() {
        assert_eq!(Tensor::new(vec![2, 3], vec![0.0; 6]).unwrap().shape(), [2, 3]);
        let error = Tensor::new(vec![2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "expected 6 values for shape [2, 3], found 5");
    }
}
