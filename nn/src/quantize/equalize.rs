//! Channels of equal reach: cross-layer equalisation.
//!
//! Between two convolutions with nothing but ReLU (or pooling) between, a channel may be made smaller by any positive
//! factor if the second one's weights for it are made larger: the network computes the same (Nagel et al. 2019,
//! "Data-free quantization through weight equalization and bias correction", section 4.1). Weights have a scale for each
//! output channel here, so what a wide channel costs is steps of the activations between the two and of the second
//! one's weights. The factor is therefore `sqrt(reach of the channel / reach of the second one's weights for it)`, with
//! the channel's reach as seen on calibration images (as in SmoothQuant, Xiao et al. 2023, with exponent one half).

use super::filters::{Filters, bias, floats};
use super::fold::fold;
use crate::error::NnError;
use crate::onnx::{Graph, Port};
use crate::probe::Probe;

/// Sweeps over all pairs; the factors of one pair move the ranges of the next.
const SWEEPS: usize = 6;

/// Makes the channels between convolutions equal in reach, without changing what the network computes.
#[derive(Debug)]
pub struct Equalizer {
    graph: Graph,
    probe: Probe,
    pairs: Vec<Pair>,
}

/// Two convolutions with channels between that can be scaled.
#[derive(Debug)]
struct Pair {
    first: usize,
    second: usize,
    /// Place of the second one's input among the tensors of the probe.
    tensor: usize,
    /// Largest magnitude seen for each channel.
    reach: Vec<f32>,
}

impl Equalizer {
    /// Reads the float network in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// See [`Quantizer::new`](super::Quantizer::new).
    pub fn new(bytes: &[u8]) -> Result<Self, NnError> {
        let (graph, _) = fold(super::float_network(bytes)?);
        let graph = with_own_weights(graph);
        let probe = Probe::new(&graph)?;
        let pairs = (0..graph.nodes.len()).filter_map(|first| pair(&graph, &probe, first)).collect();
        Ok(Self { graph, probe, pairs })
    }

    /// Pairs of convolutions that can be equalised.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Looks at what the network makes of a calibration image.
    ///
    /// # Errors
    /// [`NnError::Length`] where `inputs` are not what the network takes, [`NnError::File`] where tract fails.
    pub fn observe(&mut self, inputs: &[Vec<f32>]) -> Result<(), NnError> {
        let Self { probe, pairs, .. } = self;
        probe.run(inputs, |index, values| {
            for pair in pairs.iter_mut().filter(|pair| pair.tensor == index) {
                let pixels = (values.len() / pair.reach.len()).max(1);
                for (reach, channel) in pair.reach.iter_mut().zip(values.chunks(pixels)) {
                    *reach = channel.iter().fold(*reach, |reach, value| reach.max(value.abs()));
                }
            }
            Ok(())
        })
    }

    /// The ONNX file of the network with equalised channels.
    ///
    /// # Errors
    /// [`NnError::File`] where an output of the network is no tensor of floats of fixed shape.
    pub fn finish(self) -> Result<Vec<u8>, NnError> {
        let Self { mut graph, probe, mut pairs } = self;
        for _ in 0..SWEEPS {
            for pair in &mut pairs {
                graph = equalized(graph, pair);
            }
        }
        let outputs = super::outputs(&graph, &probe)?;
        Ok(super::encoded(&graph, &outputs))
    }

    /// Names and shapes of what goes in.
    pub fn inputs(&self) -> &[Port] {
        &self.graph.inputs
    }
}

/// The pair that begins with the node at `first`, where there is one.
fn pair(graph: &Graph, probe: &Probe, first: usize) -> Option<Pair> {
    let node = &graph.nodes[first];
    let filters = Filters::of(graph, node)?;
    bias(graph, node, filters.outputs)?;
    let mut tensor = node.output.first()?;
    let second = loop {
        let reader = graph.only_reader(tensor)?;
        match &*graph.nodes[reader].op_type {
            "Conv" | "ConvTranspose" => break reader,
            "Relu" | "LeakyRelu" | "MaxPool" | "AveragePool" | "GlobalAveragePool" => {
                tensor = graph.nodes[reader].output.first()?;
            }
            _ => return None,
        }
    };
    let reads = Filters::of(graph, &graph.nodes[second])?;
    let is_its_image = graph.nodes[second].input.first() == Some(tensor);
    let place = probe.tensors().iter().position(|port| port.name == *tensor)?;
    (is_its_image && reads.inputs == filters.outputs).then(|| Pair {
        first,
        second,
        tensor: place,
        reach: vec![0.0; filters.outputs],
    })
}

/// A copy of weights and bias for each convolution, under names of its own.
fn with_own_weights(graph: Graph) -> Graph {
    let (mut nodes, mut constants) = (graph.nodes.clone(), graph.constants.clone());
    for node in &mut nodes {
        let Some(filters) = Filters::of(&graph, node) else { continue };
        let (Some(weights), Some(bias)) =
            (graph.constant(node, 1).cloned(), bias(&graph, node, filters.outputs))
        else {
            continue;
        };
        let names = ["weight", "bias"].map(|what| format!("{}_own_{what}", node.output[0]));
        node.input.truncate(1);
        node.input.extend(names.clone());
        constants.extend(names.into_iter().zip([weights, floats(vec![filters.outputs], bias)]));
    }
    graph.with(nodes, constants)
}

/// The network with the channels of one pair scaled.
fn equalized(mut graph: Graph, pair: &mut Pair) -> Graph {
    let nodes = [pair.first, pair.second].map(|index| graph.nodes[index].clone());
    let filters = nodes.each_ref().map(|node| Filters::of(&graph, node));
    let [Some(first), Some(second)] = filters else { return graph };
    let Some(weights) = graph.constants.get(&nodes[1].input[1]).and_then(|weights| weights.floats()) else {
        return graph;
    };
    let factor = |(&reach, weight): (&f32, f32)| {
        let factor = (reach / weight).sqrt();
        if reach > 0.0 && factor.is_normal() { factor } else { 1.0 }
    };
    let reading = second.largest_by_input(weights);
    let factors: Vec<_> = pair.reach.iter().zip(reading).map(factor).collect();
    for (reach, factor) in pair.reach.iter_mut().zip(&factors) {
        *reach /= factor;
    }
    let mut scale = |name: &str, of: &dyn Fn(usize) -> f32| {
        let Some(constant) = graph.constants.get_mut(name) else { return };
        let Some(values) = constant.floats() else { return };
        let scaled = values.iter().enumerate().map(|(index, value)| value * of(index)).collect();
        *constant = floats(constant.shape.clone(), scaled);
    };
    scale(&nodes[0].input[1], &|index| 1.0 / factors[first.channels(index)[0]]);
    scale(&nodes[0].input[2], &|index| 1.0 / factors[index]);
    scale(&nodes[1].input[1], &|index| factors[second.channels(index)[1]]);
    graph
}
