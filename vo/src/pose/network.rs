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
    /// Height and width of the pictures.
    size: [usize; 2],
    /// Indices of translation and rotation among the outputs.
    outputs: [usize; 2],
}

/// A frame as a pose network sees it: most are seen twice.
#[derive(Clone, Debug)]
pub struct PoseImage(Vec<f32>);

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
        let size = size(&inputs)?;
        let outputs = [output(&network, "translation")?, output(&network, "rotation")?];
        Ok(Self { network, inputs, preprocessing, description, size, outputs })
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

    /// `frame`, stretched to the network's input.
    ///
    /// # Errors
    /// [`VoError::Network`] for a frame without pixels.
    pub fn prepare(&self, frame: &Frame) -> Result<PoseImage, VoError> {
        let ((width, height), rgb) = (frame.size(), crate::depth::colors(frame));
        Ok(PoseImage(self.preprocessing.planes(&Picture::new(width, height, &rgb)?, self.size)))
    }

    /// The motion from the last but one to the last of three frames in a row of one camera, `last_from_middle`: its
    /// translation is in the unit of the depth network that learnt with it. A network of two images does not look at the
    /// first.
    ///
    /// # Errors
    /// [`VoError::Network`] where a node in float fails.
    pub fn predict(&mut self, frames: [&PoseImage; 3]) -> Result<Se3, VoError> {
        let mut planes = self.description.images.order().iter().map(|&place| &frames[place].0);
        for index in 0..self.inputs.len() {
            let mut left = self.network.input(index);
            while let Some(planes) = (!left.is_empty()).then(|| planes.next()).flatten() {
                let (input, rest) = left.split_at_mut(planes.len());
                input.copy_from_slice(planes);
                left = rest;
            }
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

/// Height and width of all inputs.
fn size(inputs: &[Port]) -> Result<[usize; 2], VoError> {
    let sizes: Vec<_> = inputs.iter().map(|port| port.shape.get(2..)).collect();
    match sizes.first() {
        Some(&Some(&[height, width])) if sizes.iter().all(|size| *size == sizes[0]) => Ok([height, width]),
        _ => Err(VoError::Description {
            expected: "inputs of one height and width",
            found: format!("{inputs:?}"),
        }),
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
