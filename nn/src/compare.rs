//! Where two networks come to differ, tensor by tensor.

use std::collections::BTreeMap;

use crate::error::{NnError, check_length};
use crate::kernels::Kernel;
use crate::network::Network;
use crate::onnx::{Graph, Port};
use crate::probe::Probe;
use crate::quantize::decibels;

/// Two networks of the same inputs, side by side.
///
/// Tensors of the same name and shape are compared as tract computes them, a tensor that becomes bytes as what its bytes
/// stand for. The outputs are compared once more as this engine computes them.
#[derive(Debug)]
pub struct Comparison {
    probes: [Probe; 2],
    networks: [Network; 2],
    /// Places of the tensors among those of either probe.
    places: Vec<[usize; 2]>,
    tensors: Vec<Difference>,
    outputs: Vec<Difference>,
}

/// How far a tensor of the second network is from that of the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// Sum of the squared values of the first network's.
    signal: f64,
    /// Sum of the squared differences.
    noise: f64,
    /// The largest difference of two values.
    pub largest: f32,
    /// The largest magnitude in the first network's.
    pub reach: f32,
}

impl Comparison {
    /// Reads the two networks.
    ///
    /// # Errors
    /// [`NnError::File`] and [`NnError::Node`] where one of them is no network that runs, [`NnError::Shape`] where their
    /// inputs or outputs differ in shape.
    pub fn new(first: &[u8], second: &[u8], kernel: Kernel) -> Result<Self, NnError> {
        let networks = [Network::read(first, kernel)?, Network::read(second, kernel)?];
        let shapes = |network: &Network| {
            let shape = |port: &Port| port.shape.clone();
            (
                network.inputs().map(shape).collect::<Vec<_>>(),
                network.outputs().map(shape).collect::<Vec<_>>(),
            )
        };
        let [of_first, of_second] = networks.each_ref().map(shapes);
        if of_first != of_second {
            return Err(NnError::Shape {
                expected: "two networks of the same inputs and outputs",
                found: format!("{of_first:?} and {of_second:?}"),
            });
        }
        let graphs = [Graph::read(first)?, Graph::read(second)?];
        let probes = [Probe::new(&graphs[0])?, Probe::new(&graphs[1])?];
        let outputs = networks[0].outputs().map(|port| Difference::none(port.name.clone())).collect();
        let seen = [places(&graphs[0], &probes[0]), places(&graphs[1], &probes[1])];
        let mut matched: Vec<_> = seen[0]
            .iter()
            .filter_map(|(name, &first)| Some(([first, *seen[1].get(name)?], name.clone())))
            .filter(|([first, second], _)| {
                probes[0].tensors()[*first].shape == probes[1].tensors()[*second].shape
            })
            .collect();
        matched.sort();
        let (places, names): (Vec<_>, Vec<_>) = matched.into_iter().unzip();
        let tensors = names.into_iter().map(Difference::none).collect();
        Ok(Self { probes, networks, places, tensors, outputs })
    }

    /// Names and shapes of what goes in.
    pub fn inputs(&self) -> Vec<Port> {
        self.networks[0].inputs().cloned().collect()
    }

    /// Runs both networks.
    ///
    /// # Errors
    /// [`NnError::Length`] where `inputs` are not what they take, [`NnError::File`] where tract fails.
    pub fn observe(&mut self, inputs: &[Vec<f32>]) -> Result<(), NnError> {
        let mut values = [BTreeMap::new(), BTreeMap::new()];
        for (side, probe) in self.probes.iter().enumerate() {
            let wanted = |index: usize| self.places.iter().any(|places| places[side] == index);
            probe.run(inputs, |index, found| {
                if wanted(index) {
                    values[side].insert(index, found.to_vec());
                }
                Ok(())
            })?;
        }
        for ([first, second], difference) in self.places.iter().zip(&mut self.tensors) {
            if let (Some(first), Some(second)) = (values[0].get(first), values[1].get(second)) {
                difference.add(first, second);
            }
        }
        self.observe_outputs(inputs)
    }

    fn observe_outputs(&mut self, inputs: &[Vec<f32>]) -> Result<(), NnError> {
        for network in &mut self.networks {
            for (index, input) in inputs.iter().enumerate() {
                let place = network.input(index);
                check_length("an input of a network", place.len(), input.len())?;
                place.copy_from_slice(input);
            }
            network.run()?;
        }
        let [first, second] = &self.networks;
        for (index, difference) in self.outputs.iter_mut().enumerate() {
            difference.add(first.output(index), second.output(index));
        }
        Ok(())
    }

    /// The tensors that both networks have, in the order in which the first makes them.
    pub fn tensors(&self) -> &[Difference] {
        &self.tensors
    }

    /// The outputs as this engine computes them.
    pub fn outputs(&self) -> &[Difference] {
        &self.outputs
    }
}

impl Difference {
    fn none(name: String) -> Self {
        Self { name, signal: 0.0, noise: 0.0, largest: 0.0, reach: 0.0 }
    }

    fn add(&mut self, first: &[f32], second: &[f32]) {
        for (&first, &second) in first.iter().zip(second) {
            let difference = (first - second).abs();
            self.signal += f64::from(first).powi(2);
            self.noise += f64::from(difference).powi(2);
            self.largest = self.largest.max(difference);
            self.reach = self.reach.max(first.abs());
        }
    }

    /// Signal to difference in decibels; infinite where there is none.
    pub fn sqnr_db(&self) -> f64 {
        decibels(self.signal, self.noise)
    }
}

/// For each tensor's name the place of what is to be compared: the tensor, or what its bytes stand for.
fn places(graph: &Graph, probe: &Probe) -> BTreeMap<String, usize> {
    let index: BTreeMap<_, _> =
        probe.tensors().iter().enumerate().map(|(place, port)| (&*port.name, place)).collect();
    let behind = |tensor: &str, op: &str| {
        let mut readers = graph.readers(tensor).iter().map(|&reader| &graph.nodes[reader]);
        readers.find(|node| node.op_type == op).and_then(|node| node.output.first())
    };
    let shown = |name: &str| {
        let bytes = behind(name, "QuantizeLinear")?;
        index.get(&**behind(bytes, "DequantizeLinear")?).copied()
    };
    index.iter().map(|(name, &place)| ((*name).to_owned(), shown(name).unwrap_or(place))).collect()
}
