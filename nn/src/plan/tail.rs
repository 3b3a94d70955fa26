//! What follows a node until its result is bytes again.

use tract_onnx::pb::NodeProto;

use crate::kernels::Quantisation;
use crate::onnx::{self, Constant, Graph, Values};

/// Between a float result and the bytes that it becomes: bounds and a quantisation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tail {
    /// What the bytes stand for.
    pub(super) quantisation: Quantisation,
    /// The smallest and the largest byte that can come out.
    pub(super) bounds: [u8; 2],
    /// The tensor of bytes.
    pub(super) output: String,
    /// The nodes in between, and the one that quantises.
    pub(super) nodes: Vec<usize>,
}

impl Tail {
    /// The tail behind `tensor`, where nothing else reads it and it ends in bytes.
    pub(super) fn behind(graph: &Graph, tensor: &str) -> Option<Self> {
        let mut range = [f32::NEG_INFINITY, f32::INFINITY];
        let mut nodes = Vec::new();
        let mut tensor = tensor;
        loop {
            let index = graph.only_reader(tensor)?;
            nodes.push(index);
            let node = &graph.nodes[index];
            if node.op_type == "QuantizeLinear" {
                let quantisation = quantisation(graph, node)?;
                let bounds = range.map(|bound| quantisation.quantise(bound));
                return Some(Self { quantisation, bounds, output: node.output[0].clone(), nodes });
            }
            let [low, high] = bounds(graph, node)?;
            range = range.map(|bound| bound.max(low).min(high));
            tensor = node.output.first()?;
        }
    }
}

/// The range that a node cuts its argument to, where that is all it does.
pub(super) fn bounds(graph: &Graph, node: &NodeProto) -> Option<[f32; 2]> {
    match &*node.op_type {
        "Relu" => Some([0.0, f32::INFINITY]),
        "Clip" => {
            let end = |index: usize, name: &str, open: f32| {
                if node.input.get(index).is_some_and(|input| !input.is_empty()) {
                    scalar(graph.constant(node, index)?)
                } else {
                    Some(onnx::float(node, name).unwrap_or(open))
                }
            };
            Some([end(1, "min", f32::NEG_INFINITY)?, end(2, "max", f32::INFINITY)?])
        }
        _ => None,
    }
}

/// Scale and zero point of a node that quantises or dequantises activations. Signed bytes are told as unsigned ones, 128
/// higher.
pub(super) fn quantisation(graph: &Graph, node: &NodeProto) -> Option<Quantisation> {
    let scale = scalar(graph.constant(node, 1)?)?;
    let zero_point = match node.input.get(2).map(|_| graph.constant(node, 2)) {
        None => 0,
        Some(constant) => match &constant?.values {
            Values::U8(values) => *values.first()?,
            Values::I8(values) => values.first()?.cast_unsigned() ^ 0x80,
            _ => return None,
        },
    };
    (scale > 0.0).then_some(Quantisation { scale, zero_point })
}

fn scalar(constant: &Constant) -> Option<f32> {
    match constant.floats()? {
        [value] => Some(*value),
        _ => None,
    }
}
