//! Steps towards a detector that finds more.

use std::path::Path;
use std::sync::Arc;

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use fastrand::Rng;
use geometry::BoundingBox;
use nn::architecture::{Architecture, ExportError, Weights, WeightsError};
use nn::preprocess::{Colors, Preprocessing};
use nn::train::tflite::TrainedConvolution;
use nn::train::{
    Best, Checkpoint, CheckpointError, ForeignBackbone, LearningRate, MovingAverage, TrainableNetwork, adopt,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::augment::{Augmentation, Picture};
use super::batch::{Batch, BatchMaker};
use super::loss::{DetectionLoss, by_prior, scalar};
use crate::description::Description;
use crate::network::NetworkDescription;
use crate::priors::{Level, fit_priors};

/// What the network's input has taken from it, and is divided by, when values are between 0 and 1.
const NORMALISATION: [f32; 2] = [0.5, 0.25];
/// How likely an untrained network takes a prior for an object: the many priors without one do not drown the few with one
/// (Lin et al., Focal Loss, ICCV 2017, section 4.1).
const FIRST_SCORE: f32 = 0.01;

/// How a detector is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// What it is.
    pub network: NetworkDescription,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Height and width of the input when it flies.
    pub input: usize,
    /// Height and width of the pieces it learns from.
    pub crop: usize,
    /// Pieces in a step.
    pub batch: usize,
    /// Steps of the whole training.
    pub steps: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps until the highest learning rate.
    pub warm_up: usize,
    /// How fast weights shrink.
    pub weight_decay: f32,
    /// How slowly the average of the weights follows.
    pub average_decay: f32,
    /// Chooses the first weights and everything that is drawn.
    pub seed: u64,
    /// What is done to pictures.
    pub augmentation: Augmentation,
    /// What is made small.
    pub loss: DetectionLoss,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// Of the scores.
    pub classes: f32,
    /// Of the boxes.
    pub boxes: f32,
}

/// Why training stops.
#[derive(Debug, Error)]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error(
        "expected pictures with objects of the classes {classes:?}, found {pictures} pictures without any"
    )]
    NoObjects {
        /// What was looked for.
        classes: Vec<String>,
        /// How many there are.
        pictures: usize,
    },
    /// Losses that are no numbers: the learning rate is too high.
    #[error("expected finite losses, found {losses:?} at step {step}: try a lower learning rate")]
    Diverged {
        /// When.
        step: usize,
        /// What.
        losses: Losses,
    },
    /// Weights of another network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Another backbone.
    #[error(transparent)]
    Backbone(#[from] ForeignBackbone),
    /// A network that can't be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A checkpoint that can't be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A training under way.
pub struct Trainer {
    config: TrainConfig,
    levels: Vec<Level>,
    architecture: Arc<Architecture>,
    network: TrainableNetwork,
    optimizer: ModuleOptimizer,
    average: MovingAverage,
    step: usize,
    best: Best,
    device: Device,
}

impl Trainer {
    /// A training from the beginning, with `initial` weights where they are given: those of another training of the same
    /// network.
    ///
    /// # Errors
    /// [`TrainError::NoObjects`] where `pictures` show none of the classes, [`TrainError::Weights`] where `initial` is not
    /// of this network.
    pub fn new(
        config: TrainConfig,
        pictures: &[Picture],
        initial: Option<Weights>,
        device: Device,
    ) -> Result<Self, TrainError> {
        let levels = fitted(&config, pictures)?;
        let architecture = Arc::new(config.network.architecture());
        let weights = initial.unwrap_or_else(|| first_weights(&architecture, config.seed));
        let network = TrainableNetwork::new(Arc::clone(&architecture), &weights, &device)?;
        Ok(Self {
            optimizer: optimizer(&config),
            average: MovingAverage::new(weights, config.average_decay),
            config,
            levels,
            architecture,
            network,
            step: 0,
            best: Best::default(),
            device,
        })
    }

    /// The same training, but its backbone begins with what another network with it has learnt from other images; its
    /// convolutions have their normalisation folded in.
    ///
    /// # Errors
    /// [`TrainError::Backbone`] where it is another.
    pub fn with_backbone(self, trained: &[TrainedConvolution]) -> Result<Self, TrainError> {
        let mut weights = self.network.weights();
        let layers = adopt(&mut weights, &self.architecture, trained, NORMALISATION[1])?;
        let network = TrainableNetwork::new(Arc::clone(&self.architecture), &weights, &self.device)?;
        let average = MovingAverage::new(weights, self.config.average_decay);
        Ok(Self { network: network.with_folded_norm(&layers), average, ..self })
    }

    /// The training whose checkpoint is in `directory`, with the same `config` and `pictures`.
    ///
    /// # Errors
    /// See [`Trainer::new`]; [`TrainError::Checkpoint`] where it can't be read.
    pub fn resume(
        config: TrainConfig,
        pictures: &[Picture],
        directory: &Path,
        device: Device,
    ) -> Result<Self, TrainError> {
        let (mut saved, optimizer) = Checkpoint::load(directory, optimizer(&config))?;
        let mut weights = |of: &str| saved.weights.remove(of).unwrap_or_default();
        let (learning, average) = (weights("learning"), weights("average"));
        let trainer = Self::new(config, pictures, Some(learning), device)?;
        let average = MovingAverage::resume(average, trainer.config.average_decay, saved.step);
        let best = Best::of(&saved.numbers);
        Ok(Self { optimizer, average, step: saved.step, best, ..trainer })
    }

    /// Writes what [`Trainer::resume`] needs into `directory`.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where the system refuses.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        let weights = [("learning", self.network.weights()), ("average", self.average.weights.clone())];
        let weights = weights.map(|(of, weights)| (of.to_owned(), weights)).into();
        let checkpoint = Checkpoint { step: self.step, weights, numbers: self.best.numbers() };
        Ok(checkpoint.save(directory, &self.optimizer)?)
    }

    /// Steps taken.
    pub fn steps_taken(&self) -> usize {
        self.step
    }

    /// Whether all steps are taken.
    pub fn is_done(&self) -> bool {
        self.step >= self.config.steps
    }

    /// Takes in what the averaged network was measured to be worth after the last step; says whether that is the best so
    /// far. Checkpoints hold it.
    pub fn judge(&mut self, figure: f64) -> bool {
        self.best.judge(self.step, figure)
    }

    /// The best that [`Trainer::judge`] has been told.
    pub fn best(&self) -> &Best {
        &self.best
    }

    /// The priors, fitted to the pictures.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// What makes the batches of this training from `pictures`.
    pub fn batches(&self, pictures: Arc<[Picture]>) -> BatchMaker {
        BatchMaker {
            pictures,
            augmentation: self.config.augmentation.clone(),
            size: self.config.crop,
            batch: self.config.batch,
            levels: self.levels.clone(),
            classes: self.config.classes.len(),
            normalisation: NORMALISATION,
            seed: self.config.seed,
        }
    }

    /// Learns from `batch`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] where the losses are no numbers any more.
    pub fn step(&mut self, batch: Batch) -> Result<Losses, TrainError> {
        let size = self.config.crop;
        let images = TensorData::new(batch.images, [self.config.batch, 3, size, size]);
        let outputs = self.network.forward(Tensor::from_data(images, &self.device));
        let (scores, boxes) = by_kind(outputs);
        let logits = by_prior(scores, self.config.classes.len());
        let [of_scores, of_boxes] = self.config.loss.of(logits, by_prior(boxes, 4), &batch.targets);
        let losses = Losses { classes: scalar(&of_scores), boxes: scalar(&of_boxes) };
        let gradients = GradientsParams::from_grads((of_scores + of_boxes).backward(), &self.network);
        let rate = self.learning_rate();
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        self.average.follow(&self.network.weights());
        self.step += 1;
        if losses.classes.is_finite() && losses.boxes.is_finite() {
            Ok(losses)
        } else {
            Err(TrainError::Diverged { step: self.step, losses })
        }
    }

    /// The ONNX file of the averaged network, with all that [`crate::Detector`] wants to know.
    ///
    /// # Errors
    /// [`TrainError::Export`] where weights are no numbers.
    pub fn onnx(&self) -> Result<Vec<u8>, TrainError> {
        let description = Description {
            classes: self.config.classes.clone(),
            levels: self.levels.clone(),
            score_threshold: 0.3,
            max_iou: 0.5,
        };
        let [mean, deviation] = NORMALISATION;
        let preprocessing = Preprocessing { colors: Colors::Rgb, mean: [mean; 3], deviation: [deviation; 3] };
        let mut metadata = preprocessing.metadata();
        metadata.push(description.metadata());
        let size = [self.config.input; 2];
        Ok(self.architecture.to_onnx(&self.average.weights, size, &metadata)?)
    }

    /// The averaged weights.
    pub fn weights(&self) -> &Weights {
        &self.average.weights
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let TrainConfig { learning_rate: peak, warm_up, steps, .. } = self.config;
        LearningRate { peak, final_share: 0.01, warm_up, steps }.at(self.step)
    }
}

/// Weights before any training: those that predict are small, and scores begin low.
fn first_weights(architecture: &Architecture, seed: u64) -> Weights {
    let mut weights = architecture.initial_weights(&mut Rng::with_seed(seed));
    for (name, values) in &mut weights.values {
        if name.contains("predict.weight") {
            values.iter_mut().for_each(|value| *value *= 0.1);
        } else if name.starts_with("scores") && name.ends_with("predict.bias") {
            values.fill((FIRST_SCORE / (1.0 - FIRST_SCORE)).ln());
        }
    }
    weights
}

fn optimizer(config: &TrainConfig) -> ModuleOptimizer {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(config.weight_decay).init()
}

/// Score maps and box maps, which alternate in the outputs.
fn by_kind(outputs: Vec<Tensor<4>>) -> (Vec<Tensor<4>>, Vec<Tensor<4>>) {
    let (mut scores, mut boxes) = (Vec::new(), Vec::new());
    for (index, output) in outputs.into_iter().enumerate() {
        if index % 2 == 0 { scores.push(output) } else { boxes.push(output) }
    }
    (scores, boxes)
}

/// Priors for the objects of `pictures` at the scales they are seen at.
fn fitted(config: &TrainConfig, pictures: &[Picture]) -> Result<Vec<Level>, TrainError> {
    const SCALES: usize = 8;
    let [least, most] = config.augmentation.scale;
    let scale = |index: usize| least * (most / least).powf((index as f32 + 0.5) / SCALES as f32);
    let targets = pictures.iter().flat_map(|picture| &picture.targets);
    let objects = targets.filter(|target| target.class_id.is_some());
    let sizes: Vec<[f32; 2]> = objects
        .flat_map(|target| {
            let BoundingBox { width, height, .. } = target.bounding_box;
            // Quarter turns show each object both ways.
            (0..SCALES)
                .flat_map(move |i| [[width, height], [height, width]].map(|s| s.map(|side| side * scale(i))))
        })
        .filter(|size| size.iter().all(|side| (4.0..config.crop as f32).contains(side)))
        .collect();
    if sizes.is_empty() {
        return Err(TrainError::NoObjects { classes: config.classes.clone(), pictures: pictures.len() });
    }
    Ok(fit_priors(&sizes, &config.network.strides, config.network.shapes))
}

#[cfg(test)]
mod tests;
