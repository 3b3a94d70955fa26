//! Training that goes on where it was cut off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use thiserror::Error;

use crate::architecture::Weights;

/// What a training needs to go on as if it had never stopped: it is written whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Steps taken.
    pub step: usize,
    /// Weights by what they are of: the learning ones, their average, the best so far.
    pub weights: BTreeMap<String, Weights>,
    /// Numbers of the trainer, by name.
    pub numbers: BTreeMap<String, f64>,
}

/// Why a checkpoint can't be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refuses a file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// A file holds something else.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
}

const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.bpk";
/// Between what weights are of and the name of a tensor.
const SEPARATOR: &str = "/";

impl Checkpoint {
    /// Writes it and the state of `optimizer` into the folder `directory`, in the place of what is there.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where the system refuses.
    pub fn save(&self, directory: &Path, optimizer: &ModuleOptimizer) -> Result<(), CheckpointError> {
        let file = |path: &Path, error| CheckpointError::File { path: path.to_owned(), error };
        let next = directory.with_extension("next");
        fs::create_dir_all(&next).map_err(|error| file(&next, error))?;
        let state = next.join(OPTIMIZER);
        let written = optimizer.save(&state);
        written.map_err(|error| file(&state, std::io::Error::other(error.to_string())))?;
        let weights = next.join(WEIGHTS);
        let bytes = self.to_bytes().map_err(|error| file(&weights, std::io::Error::other(error)))?;
        fs::write(&weights, bytes).map_err(|error| file(&weights, error))?;
        // A folder goes by its name at once or not at all; taking it away file by file could be cut off in between.
        let old = directory.with_extension("old");
        let remove_old = || if old.exists() { fs::remove_dir_all(&old) } else { Ok(()) };
        remove_old().map_err(|error| file(&old, error))?;
        if directory.exists() {
            fs::rename(directory, &old).map_err(|error| file(directory, error))?;
        }
        fs::rename(&next, directory).map_err(|error| file(directory, error))?;
        remove_old().map_err(|error| file(&old, error))
    }

    /// Reads what [`Checkpoint::save`] wrote, and gives its state to `optimizer`.
    ///
    /// # Errors
    /// See [`Checkpoint::read`].
    pub fn load(
        directory: &Path,
        optimizer: ModuleOptimizer,
    ) -> Result<(Self, ModuleOptimizer), CheckpointError> {
        let checkpoint = Self::read(directory)?;
        let path = whole(directory).join(OPTIMIZER);
        let optimizer = optimizer.load(&path).map_err(|error| CheckpointError::Content {
            path,
            expected: "the state of an optimiser",
            found: error.to_string(),
        })?;
        Ok((checkpoint, optimizer))
    }

    /// Reads what [`Checkpoint::save`] wrote, without the state of the optimiser.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where a file can't be read, [`CheckpointError::Content`] where it holds something else.
    pub fn read(directory: &Path) -> Result<Self, CheckpointError> {
        let path = whole(directory).join(WEIGHTS);
        let bytes = fs::read(&path).map_err(|error| CheckpointError::File { path: path.clone(), error })?;
        Self::from_bytes(&bytes).map_err(|problem| CheckpointError::Content {
            path,
            expected: "a checkpoint in safetensors",
            found: problem,
        })
    }

    fn to_bytes(&self) -> Result<Vec<u8>, SafeTensorError> {
        let mut tensors = Vec::new();
        for (of, weights) in &self.weights {
            for (name, values) in &weights.values {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensors.push((format!("{of}{SEPARATOR}{name}"), values.len(), bytes));
            }
        }
        let views: Result<Vec<_>, SafeTensorError> = tensors
            .iter()
            .map(|(name, length, bytes)| {
                Ok::<_, SafeTensorError>((name, TensorView::new(Dtype::F32, vec![*length], bytes)?))
            })
            .collect();
        let numbers = self.numbers.iter().map(|(name, number)| (name.clone(), number.to_string()));
        let step = ("step".to_owned(), self.step.to_string());
        safetensors::serialize(views?, Some(numbers.chain([step]).collect()))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let text = |error: SafeTensorError| error.to_string();
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let mut checkpoint = Self::default();
        for (name, number) in header.metadata().iter().flatten() {
            let number: f64 = number.parse().map_err(|_| format!("{name} = {number}"))?;
            checkpoint.numbers.insert(name.clone(), number);
        }
        checkpoint.step = checkpoint.numbers.remove("step").ok_or("no step")? as usize;
        for (name, view) in SafeTensors::deserialize(bytes).map_err(text)?.iter() {
            let Some((of, name)) = name.split_once(SEPARATOR).filter(|_| view.dtype() == Dtype::F32) else {
                return Err(format!("a tensor {name} of {:?}", view.dtype()));
            };
            let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            checkpoint.weights.entry(of.to_owned()).or_default().values.insert(name.to_owned(), values);
        }
        Ok(checkpoint)
    }
}

/// Where the checkpoint is: a cut between the two last steps of a save leaves the new one beside the place of the old one.
fn whole(directory: &Path) -> PathBuf {
    if directory.exists() { directory.to_owned() } else { directory.with_extension("next") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::architecture::tests::{of_all_kinds, some_weights};
    use crate::train::TrainableNetwork;

    fn step(network: TrainableNetwork, optimizer: &mut ModuleOptimizer) -> TrainableNetwork {
        let mut network = network;
        let image = Tensor::ones([1, 3, 8, 8], &Device::flex().autodiff()) * 0.5;
        let loss = network.forward(image).remove(0).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        optimizer.step(0.01, network, gradients)
    }

    #[test]
    fn a_training_goes_on_as_if_it_had_never_stopped() {
        let architecture = Arc::new(of_all_kinds());
        let device = Device::flex().autodiff();
        let new = |weights: &Weights| TrainableNetwork::new(Arc::clone(&architecture), weights, &device);
        let mut network = new(&some_weights(&architecture)).unwrap();
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..3 {
            network = step(network, &mut optimizer);
        }
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("checkpoint");
        let saved = Checkpoint {
            step: 3,
            weights: [("learning".to_owned(), network.weights())].into(),
            numbers: [("best".to_owned(), 0.1 + 0.2)].into(),
        };
        Checkpoint::default().save(&place, &optimizer).unwrap();
        saved.save(&place, &optimizer).unwrap();
        let (loaded, mut resumed) = Checkpoint::load(&place, AdamWConfig::new().init()).unwrap();
        assert_eq!(loaded, saved);
        let mut other = new(&loaded.weights["learning"]).unwrap();
        for _ in 0..3 {
            network = step(network, &mut optimizer);
            other = step(other, &mut resumed);
        }
        assert_eq!(network.weights(), other.weights());
    }

    #[test]
    fn a_cut_between_the_last_steps_of_a_save_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("checkpoint");
        let optimizer = || AdamWConfig::new().init();
        let saved = Checkpoint { step: 5, ..Checkpoint::default() };
        saved.save(&place, &optimizer()).unwrap();
        fs::rename(&place, place.with_extension("next")).unwrap();
        assert_eq!(Checkpoint::load(&place, optimizer()).unwrap().0, saved);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("checkpoint");
        let load = || Checkpoint::load(&place, AdamWConfig::new().init()).map(drop).unwrap_err().to_string();
        assert!(load().contains(WEIGHTS));
        Checkpoint::default().save(&place, &AdamWConfig::new().init()).unwrap();
        fs::write(place.join(WEIGHTS), b"something else").unwrap();
        assert!(load().contains("expected a checkpoint in safetensors"));
    }
}
