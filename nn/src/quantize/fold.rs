//! What only scales and shifts the channels of a convolution's result, taken into its weights and bias.

use tract_onnx::pb::NodeProto;

use super::filters::{Filters, bias, floats};
use crate::onnx::{self, Constant, Graph};

/// What becomes of a channel: `gain * value + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Affine {
    gain: f64,
    shift: f64,
}

/// Takes batch normalisation, and products and sums with one constant per channel, into the convolutions before them.
/// Returns how many nodes went.
pub(super) fn fold(mut graph: Graph) -> (Graph, usize) {
    let before = graph.nodes.len();
    loop {
        let left = graph.nodes.len();
        graph = fold_once(graph);
        if graph.nodes.len() == left {
            return (graph, before - left);
        }
    }
}

/// Folds at most one node into each convolution.
fn fold_once(graph: Graph) -> Graph {
    let (mut nodes, mut constants) = (graph.nodes.clone(), graph.constants.clone());
    let mut is_gone = vec![false; nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some((reader, weights, bias)) = folded(&graph, node) else { continue };
        let follower = &graph.nodes[reader];
        let names = ["weight", "bias"].map(|what| format!("{}_folded_{what}", follower.output[0]));
        nodes[index].input.truncate(1);
        nodes[index].input.extend(names.clone());
        nodes[index].output.clone_from(&follower.output);
        nodes[index].output.truncate(1);
        constants.extend(names.into_iter().zip([weights, bias]));
        is_gone[reader] = true;
    }
    let mut gone = is_gone.into_iter();
    nodes.retain(|_| gone.next() != Some(true));
    graph.with(nodes, constants)
}

/// The node that a convolution can take in, and the weights and bias that it then has.
fn folded(graph: &Graph, node: &NodeProto) -> Option<(usize, Constant, Constant)> {
    let filters = Filters::of(graph, node)?;
    let tensor = node.output.first()?;
    let reader = graph.only_reader(tensor)?;
    let affine = affine(graph, &graph.nodes[reader], tensor, filters.outputs)?;
    let weights = graph.constant(node, 1)?;
    let values = weights.floats()?.iter().enumerate();
    let values = values
        .map(|(index, &weight)| (f64::from(weight) * affine[filters.channels(index)[0]].gain) as f32)
        .collect();
    let bias = bias(graph, node, filters.outputs)?;
    let bias = bias.iter().zip(&affine).map(|(&bias, of)| (f64::from(bias) * of.gain + of.shift) as f32);
    let bias = floats(vec![filters.outputs], bias.collect());
    Some((reader, floats(weights.shape.clone(), values), bias))
}

/// What `node` does to each of the `channels` of `tensor`, where that is all it does.
fn affine(graph: &Graph, node: &NodeProto, tensor: &str, channels: usize) -> Option<Vec<Affine>> {
    if node.op_type == "BatchNormalization" {
        return normalisation(graph, node, channels).filter(|_| node.input[0] == tensor);
    }
    let is_first = node.input.first()? == tensor;
    let values = per_channel(graph.constant(node, usize::from(is_first))?, channels)?;
    let of = |value: f64| match (&*node.op_type, is_first) {
        ("Add", _) => Some(Affine { gain: 1.0, shift: value }),
        ("Mul", _) => Some(Affine { gain: value, shift: 0.0 }),
        ("Sub", true) => Some(Affine { gain: 1.0, shift: -value }),
        ("Div", true) if value != 0.0 => Some(Affine { gain: 1.0 / value, shift: 0.0 }),
        _ => None,
    };
    values.into_iter().map(of).collect()
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift`, channel by channel.
fn normalisation(graph: &Graph, node: &NodeProto, channels: usize) -> Option<Vec<Affine>> {
    let is_training = onnx::int(node, "training_mode").unwrap_or(0) != 0;
    let epsilon = f64::from(onnx::float(node, "epsilon").unwrap_or(1e-5));
    let parameter = |index| graph.constant(node, index)?.floats().filter(|values| values.len() == channels);
    let [scale, shift, mean, variance] = [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?];
    let of = |channel: usize| {
        let [scale, shift, mean, variance] = [scale, shift, mean, variance].map(|p| f64::from(p[channel]));
        let gain = scale / (variance + epsilon).sqrt();
        Affine { gain, shift: shift - mean * gain }
    };
    let affine: Vec<_> = (0..channels).map(of).collect();
    let is_finite = affine.iter().all(|of| of.gain.is_finite() && of.shift.is_finite());
    (!is_training && is_finite).then_some(affine)
}

/// The values that a constant has for each channel of an image, where it has one value for each or one for all.
fn per_channel(constant: &Constant, channels: usize) -> Option<Vec<f64>> {
    let values = constant.floats()?;
    match (values, &*constant.shape) {
        ([value], shape) if shape.len() <= 4 => Some(vec![f64::from(*value); channels]),
        (_, [1, along, 1, 1] | [along, 1, 1]) if *along == channels => {
            Some(values.iter().map(|&value| value.into()).collect())
        }
        _ => None,
    }
}
