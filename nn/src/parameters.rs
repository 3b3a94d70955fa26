//! How many numbers a network has learnt.

use crate::error::NnError;
use crate::onnx::{Graph, Values};

/// Weights, biases and other learnt constants of the network in the `bytes` of an ONNX file; scales and zero points are
/// none.
///
/// # Errors
/// [`NnError::File`] where the bytes are no network of fixed shapes, [`NnError::Node`] where a constant is broken.
pub fn parameters(bytes: &[u8]) -> Result<u64, NnError> {
    let graph = Graph::read(bytes)?;
    let is_learnt = |name: &str| {
        let mut readers = graph.readers(name).iter().map(|&index| &graph.nodes[index]);
        readers.any(|node| {
            let converts = node.op_type.ends_with("quantizeLinear") || node.op_type == "QuantizeLinear";
            !converts || node.input.first().is_some_and(|input| input == name)
        })
    };
    let learnt = graph.constants.iter().filter(|(name, _)| is_learnt(name));
    let counted = learnt.filter(|(_, constant)| !matches!(constant.values, Values::I64(_)));
    Ok(counted.map(|(_, constant)| constant.shape.iter().product::<usize>() as u64).sum())
}
