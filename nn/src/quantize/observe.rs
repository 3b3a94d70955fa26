//! What tensors hold, over all calibration images.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::placement::Placement;
use crate::error::NnError;
use crate::onnx::{Graph, Port};
use crate::probe::Probe;

/// What was seen of the tensors that may become bytes.
#[derive(Debug)]
pub(super) struct Observations {
    pub(super) histograms: BTreeMap<String, Histogram>,
    /// Of each channel of the images that convolutions read: the sum of its means.
    sums: BTreeMap<String, Vec<f64>>,
    /// Calibration images.
    pub(super) samples: usize,
}

impl Observations {
    /// Nothing seen yet of the tensors of `placement`.
    pub(super) fn new(graph: &Graph, placement: &Placement, tensors: &[Port]) -> Self {
        let histograms = placement.tensors.keys().map(|tensor| (tensor.clone(), Histogram::new())).collect();
        let is_read = |port: &&Port| {
            let mut readers = graph.readers(&port.name).iter().map(|&index| &*graph.nodes[index].op_type);
            port.shape.len() == 4 && readers.any(|op| op == "Conv" || op == "ConvTranspose")
        };
        let read = tensors.iter().chain(&graph.inputs).filter(is_read);
        let sums = read.map(|port| (port.name.clone(), vec![0.0; port.shape[1]])).collect();
        Self { histograms, sums, samples: 0 }
    }

    /// Looks at one image on its way through the network.
    pub(super) fn add(&mut self, graph: &Graph, probe: &Probe, inputs: &[Vec<f32>]) -> Result<(), NnError> {
        probe.run(inputs, |index, values| self.see(&probe.tensors()[index].name, values))?;
        for (port, values) in graph.inputs.iter().zip(inputs) {
            self.see(&port.name, values)?;
        }
        self.samples += 1;
        Ok(())
    }

    /// The mean of each channel of a tensor.
    pub(super) fn means(&self, tensor: &str) -> Option<Vec<f64>> {
        let samples = self.samples.max(1) as f64;
        self.sums.get(tensor).map(|sums| sums.iter().map(|sum| sum / samples).collect())
    }

    fn see(&mut self, tensor: &str, values: &[f32]) -> Result<(), NnError> {
        if let Some(histogram) = self.histograms.get_mut(tensor) {
            let is_result = |value: &&f32| value.abs() <= Histogram::FURTHEST;
            if let Some(value) = values.iter().find(|value| !is_result(value)) {
                let problem = format!("tensor {tensor} to hold {value} for a calibration image");
                return Err(NnError::File { problem });
            }
            histogram.add(values);
        }
        if let Some(sums) = self.sums.get_mut(tensor) {
            let pixels = (values.len() / sums.len()).max(1);
            for (sum, channel) in sums.iter_mut().zip(values.chunks(pixels)) {
                *sum += channel.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels as f64;
            }
        }
        Ok(())
    }
}
