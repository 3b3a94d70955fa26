//! Frames to motion.

use std::fs;
use std::path::Path;

use geometry::{Frame, Se3};
use nalgebra::Vector3;
use nn::kernels::Kernel;
use nn::preprocess::{Picture, Preprocessing};
use nn::{Network, Port};

use super::PoseDescription;
use crate::error::VoError;

/// A network that sees the motion between frames, with what its file says of its inputs and outputs.
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
    /// a pose network, or it does not take the pictures that they say and put out a translation and a rotation.
    pub fn read(bytes: &[u8], kernel: Kernel) -> Result<Self, VoError> {
        let description = PoseDescription::of_file(bytes)?;
        let network = Network::read(bytes, kernel)?;
        let inputs: Vec<Port> = network.inputs().cloned().collect();
        let preprocessing = Preprocessing::of_file(bytes, &inputs)?;
        let pictures = preprocessing.pictures(&inputs)?;
        let wanted = description.images.order().len();
        if pictures != wanted {
            let expected = "a pose network of as many pictures as kestrel.pose says";
            return Err(VoError::Description { expected, found: format!("{wanted} said, {pictures} taken") });
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

    /// What its file says of it.
    pub fn description(&self) -> PoseDescription {
        self.description
    }

    /// The motion from the last but one to the last of three frames in a row of one camera, `last_from_middle`, which are
    /// stretched to the network's input: its translation is in the unit of the depth network that learnt with it. A network
    /// of two images does not look at the first.
    ///
    /// # Errors
    /// [`VoError::Network`] where a node in float fails.
    pub fn predict(&mut self, frames: [&Frame; 3]) -> Result<Se3, VoError> {
        let order = self.description.images.order();
        let colors: Vec<_> = order.iter().map(|&place| crate::depth::colors(frames[place])).collect();
        let picture = |(&place, rgb): (&usize, _)| {
            let (width, height) = frames[place].size();
            Picture::new(width, height, rgb)
        };
        let pictures = order.iter().zip(colors.iter().map(|rgb| &**rgb)).map(picture);
        let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
        let inputs = self.preprocessing.inputs(&self.inputs, &pictures);
        for (index, values) in inputs.iter().enumerate() {
            self.network.input(index).copy_from_slice(values);
        }
        self.network.run()?;
        let [translation, rotation] = self.outputs.map(|output| self.mean(output));
        Ok(Se3::new(self.description.rotation.rotation(rotation), translation))
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
