//! Frames to motion.

use std::fs;
use std::path::Path;

use geometry::{Frame, Se3};
use nalgebra::{UnitQuaternion, Vector3};
use nn::kernels::Kernel;
use nn::preprocess::{Picture, Preprocessing};
use nn::{Network, Port};

use super::PoseDescription;
use crate::error::VoError;

/// A network that sees the motion between two frames, with what its file says of its outputs.
#[derive(Debug)]
pub struct PoseNetwork {
    network: Network,
    inputs: Vec<Port>,
    preprocessing: Preprocessing,
    description: PoseDescription,
    /// Indices of translation and rotation among the outputs.
    outputs: [usize; 2],
}

impl PoseNetwork {
    /// The network in the ONNX file at `path`, on the best kernel of this processor.
    ///
    /// # Errors
    /// [`VoError::File`] where it can't be read, else as [`PoseNetwork::read`].
    pub fn open(path: &Path) -> Result<Self, VoError> {
        let bytes = fs::read(path).map_err(|error| VoError::File { path: path.to_owned(), error })?;
        Self::read(&bytes, Kernel::best())
    }

    /// The network in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// [`VoError::Network`] where they are no network that runs here, [`VoError::Description`] where they don't describe
    /// a pose network, or it does not take two pictures and put out a translation and a rotation.
    pub fn read(bytes: &[u8], kernel: Kernel) -> Result<Self, VoError> {
        let description = PoseDescription::of_file(bytes)?;
        let network = Network::read(bytes, kernel)?;
        let inputs: Vec<Port> = network.inputs().cloned().collect();
        let preprocessing = Preprocessing::of_file(bytes, &inputs)?;
        let pictures = preprocessing.pictures(&inputs)?;
        if pictures != 2 {
            let found = format!("one of {pictures}");
            return Err(VoError::Description { expected: "a pose network of two pictures", found });
        }
        let outputs = [output(&network, "translation")?, output(&network, "rotation")?];
        Ok(Self { network, inputs, preprocessing, description, outputs })
    }

    /// Has `threads` share the work.
    ///
    /// # Errors
    /// [`VoError::Network`] where they can't be had.
    pub fn with_threads(self, threads: usize) -> Result<Self, VoError> {
        Ok(Self { network: self.network.with_threads(threads)?, ..self })
    }

    /// The network inside.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The motion `current_from_previous` between two frames of one camera, which are stretched to the network's input:
    /// its translation is in the unit of the depth network that learnt with it.
    ///
    /// # Errors
    /// [`VoError::Network`] where a node in float fails.
    pub fn predict(&mut self, previous: &Frame, current: &Frame) -> Result<Se3, VoError> {
        let colors = [previous, current].map(crate::depth::colors);
        let pictures = [(previous, &colors[0]), (current, &colors[1])]
            .map(|(frame, rgb)| Picture::new(frame.size().0, frame.size().1, rgb));
        let [previous, current] = pictures;
        let inputs = self.preprocessing.inputs(&self.inputs, &[previous?, current?]);
        for (index, values) in inputs.iter().enumerate() {
            self.network.input(index).copy_from_slice(values);
        }
        self.network.run()?;
        let [translation, rotation] = self.outputs.map(|output| self.mean(output));
        Ok(Se3::new(UnitQuaternion::from_scaled_axis(rotation), translation))
    }

    /// The mean of an output over its rows and columns, in the network's unit.
    fn mean(&self, output: usize) -> Vector3<f64> {
        let values = self.network.output(output);
        let count = values.len() / 3;
        let mean = |plane: &[f32]| plane.iter().map(|&value| f64::from(value)).sum::<f64>() / count as f64;
        Vector3::from_iterator(values.chunks_exact(count).map(mean)) * f64::from(self.description.unit)
    }
}

/// The index of the output `name`.
fn output(network: &Network, name: &'static str) -> Result<usize, VoError> {
    let found = network.outputs().enumerate().find(|(_, port)| port.name == name);
    match found.map(|(index, port)| (index, &*port.shape)) {
        Some((index, &[1, 3, _, _])) => Ok(index),
        _ => Err(VoError::Description {
            expected: "outputs translation and rotation [1, 3, rows, columns]",
            found: format!("{:?}", network.outputs().collect::<Vec<_>>()),
        }),
    }
}
