//! Steps towards networks that see depth and motion.

use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, Param, ParamId};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use fastrand::Rng;
use nn::architecture::{Architecture, ExportError, Weights, WeightsError};
use nn::preprocess::{Colors, Preprocessing};
use nn::train::tflite::TrainedConvolution;
use nn::train::{
    Checkpoint, CheckpointError, ForeignBackbone, LearningRate, MovingAverage, TrainableNetwork, adopt,
    learnable,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::batch::{Augmentation, Batch, BatchMaker, Guide};
use super::clip::Clip;
use super::losses::{Padding, view_synthesis};
use super::objective::{GuideTensors, Predictions, Snippets, Terms};
use super::recipe::Recipe;
use super::rigid;
use crate::depth::{DepthDescription, DepthQuantity, OutputActivation};
use crate::networks::{DepthArchitecture, PoseArchitecture};
use crate::pose::{PoseImages, RotationForm};

/// What networks' inputs have taken from them, and are divided by, when values are between 0 and 1.
const NORMALISATION: [f32; 2] = [0.5, 0.25];
/// Logits begin with this, a tenth of the greatest inverse depth: there is room to both sides. Those that begin in the middle have
/// everything at the near end, where it stays for a thousand steps.
const FIRST_LOGIT: f32 = -2.2;

/// How networks are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// What sees depth.
    pub depth: DepthArchitecture,
    /// What sees motion.
    pub pose: PoseArchitecture,
    /// Height and width of the images, which 32 divides.
    pub size: [usize; 2],
    /// Snippets in a step.
    pub batch: usize,
    /// Steps of the whole training.
    pub steps: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps until the highest learning rate.
    pub warm_up: usize,
    /// How slowly the average of the weights follows.
    pub average_decay: f32,
    /// Chooses the first weights and everything that is drawn.
    pub seed: u64,
    /// What is done to snippets.
    pub augmentation: Augmentation,
    /// What is made small.
    pub recipe: Recipe,
    /// The least and the greatest inverse depth, in the networks' unit.
    pub inverse_depths: [f32; 2],
    /// Means of the outputs of the pose network are in this unit, of the networks' length and of radians: about a usual motion, so
    /// that outputs need not grow far (SfMLearner's is 0.01).
    pub pose_unit: f32,
    /// Whether the focal length of each clip is learnt, beginning with that of its camera.
    pub learns_focal: bool,
}

/// What a step came to, in the terms of [`Terms`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Of what images look like.
    pub photometric: f32,
    /// Of how rough depth is.
    pub smoothness: f32,
    /// Of depths and flows that disagree.
    pub consistency: f32,
    /// Of what is said not to be explained.
    pub explainability: f32,
    /// Of depths and motions that odometry knows otherwise.
    pub guidance: f32,
}

/// Why training stops.
#[derive(Debug, Error)]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error("expected at least one clip, found none")]
    NoClips,
    /// Losses that are no numbers: the learning rate is too high, or an image is none.
    #[error("expected finite losses, found {losses:?} at step {step}: try a lower learning rate")]
    Diverged {
        /// When; the step was not taken.
        step: usize,
        /// What.
        losses: Losses,
    },
    /// A size that the networks can't have.
    #[error("expected a width and height that 32 divides, found {width}x{height}")]
    Size {
        /// Of the images.
        height: usize,
        /// Of the images.
        width: usize,
    },
    /// Masks wanted of a network that has none.
    #[error("expected PoseExpNet where explainability has a weight, found a pose network without masks")]
    NoMasks,
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

/// What learns.
#[derive(Module, Debug)]
struct Networks {
    depth: TrainableNetwork,
    pose: TrainableNetwork,
    /// The logarithm of what the focal length of each clip's camera is to be multiplied by.
    focal: Param<Tensor<1>>,
}

/// Weights of what learns.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkWeights {
    /// Of the depth network.
    pub depth: Weights,
    /// Of the pose network.
    pub pose: Weights,
}

/// A training under way.
pub struct Trainer {
    config: TrainConfig,
    architectures: [Arc<Architecture>; 2],
    networks: Networks,
    optimizer: ModuleOptimizer,
    averages: [MovingAverage; 2],
    step: usize,
    device: Device,
}

/// Names of weights in checkpoints: those that learn and their averages, of depth and pose.
const LEARNING: [&str; 2] = ["depth", "pose"];
const AVERAGES: [&str; 2] = ["depth_average", "pose_average"];
/// Beginning of the names of the focal lengths in checkpoints.
const FOCAL: &str = "focal_";

impl Trainer {
    /// A training from the beginning on `clips` clips, with `initial` weights where they are given: those of another
    /// training of the same networks.
    ///
    /// # Errors
    /// [`TrainError::NoClips`], [`TrainError::Size`], [`TrainError::NoMasks`]; [`TrainError::Weights`] where `initial` is not of these networks.
    pub fn new(
        config: TrainConfig,
        clips: usize,
        initial: Option<NetworkWeights>,
        device: Device,
    ) -> Result<Self, TrainError> {
        if clips == 0 {
            return Err(TrainError::NoClips);
        }
        let [height, width] = config.size;
        if height == 0 || width == 0 || height % 32 != 0 || width % 32 != 0 {
            return Err(TrainError::Size { height, width });
        }
        let has_masks = matches!(config.pose, PoseArchitecture::PoseExpNet(_));
        if config.recipe.explainability_weight > 0.0 && !has_masks {
            return Err(TrainError::NoMasks);
        }
        let architectures = [config.depth.architecture(DepthArchitecture::SCALES), config.pose.learning()];
        let architectures = architectures.map(Arc::new);
        let weights = match initial {
            Some(NetworkWeights { depth, pose }) => [depth, pose],
            None => first_weights(&architectures, config.seed),
        };
        let networks = Networks::new(&architectures, &weights, &vec![0.0; clips], &device)?;
        let decay = config.average_decay;
        Ok(Self {
            optimizer: optimizer(),
            averages: weights.map(|weights| MovingAverage::new(weights, decay)),
            config,
            architectures,
            networks,
            step: 0,
            device,
        })
    }

    /// The same training, but the backbone of the depth network begins with what another network with it has learnt from
    /// other images; its convolutions have their normalisation folded in.
    ///
    /// # Errors
    /// [`TrainError::Backbone`] where it is another.
    pub fn with_backbone(self, trained: &[TrainedConvolution]) -> Result<Self, TrainError> {
        let mut weights = self.networks.weights();
        let layers = adopt(&mut weights[0], &self.architectures[0], trained, NORMALISATION[1])?;
        let focal = self.networks.focals();
        let networks = Networks::new(&self.architectures, &weights, &focal, &self.device)?;
        let networks = Networks { depth: networks.depth.with_folded_norm(&layers), ..networks };
        let averages = weights.map(|weights| MovingAverage::new(weights, self.config.average_decay));
        Ok(Self { networks, averages, ..self })
    }

    /// The training whose checkpoint is in `directory`, with the same `config` and clips.
    ///
    /// # Errors
    /// See [`Trainer::new`]; [`TrainError::Checkpoint`] where it can't be read.
    pub fn resume(
        config: TrainConfig,
        clips: usize,
        directory: &Path,
        device: Device,
    ) -> Result<Self, TrainError> {
        let (mut saved, optimizer) = Checkpoint::load(directory, optimizer())?;
        let mut weights = |of: &str| saved.weights.remove(of).unwrap_or_default();
        let [learning, averages] = [LEARNING, AVERAGES].map(|names| names.map(&mut weights));
        let trainer = Self::new(config, clips, None, device)?;
        let focal = |clip: usize| saved.numbers.get(&format!("{FOCAL}{clip}")).copied().unwrap_or(0.0) as f32;
        let focal: Vec<f32> = (0..clips).map(focal).collect();
        let networks = Networks::new(&trainer.architectures, &learning, &focal, &trainer.device)?;
        let decay = trainer.config.average_decay;
        let averages = averages.map(|average| MovingAverage::resume(average, decay, saved.step));
        Ok(Self { networks, optimizer, averages, step: saved.step, ..trainer })
    }

    /// Writes what [`Trainer::resume`] needs into `directory`.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where the system refuses.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        let learning = LEARNING.into_iter().zip(self.networks.weights());
        let averages = self.averages.each_ref().map(|average| average.weights.clone());
        let weights = learning.chain(AVERAGES.into_iter().zip(averages));
        let weights = weights.map(|(of, weights)| (of.to_owned(), weights)).collect();
        let focal = self.networks.focals().into_iter().enumerate();
        let focal = focal.map(|(clip, value)| (format!("{FOCAL}{clip}"), f64::from(value)));
        let checkpoint = Checkpoint { step: self.step, weights, numbers: focal.collect() };
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

    /// What makes the batches of this training from `clips`.
    pub fn batches(&self, clips: Arc<[Clip]>) -> BatchMaker {
        BatchMaker {
            clips,
            augmentation: self.config.augmentation,
            batch: self.config.batch,
            normalisation: NORMALISATION,
            seed: self.config.seed,
        }
    }

    /// Learns from `batch`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] where the losses are no numbers; the networks stay as they were.
    pub fn step(&mut self, batch: &Batch) -> Result<Losses, TrainError> {
        let mut networks = self.networks.clone();
        let terms = networks.terms(&self.config, batch, &self.device);
        let losses = Losses::of(&terms);
        if !losses.sum().is_finite() {
            return Err(TrainError::Diverged { step: self.step, losses });
        }
        let gradients = GradientsParams::from_grads(terms.sum().backward(), &networks);
        self.networks = self.optimizer.step(self.learning_rate(), networks, gradients);
        for (average, weights) in self.averages.iter_mut().zip(self.networks.weights()) {
            average.follow(&weights);
        }
        self.step += 1;
        Ok(losses)
    }

    /// The averaged networks as they fly, to be measured.
    ///
    /// # Errors
    /// [`TrainError::Weights`] where a checkpoint held others.
    pub fn averaged(&self) -> Result<Evaluator, TrainError> {
        let weights = self.averages.each_ref().map(|average| average.weights.clone());
        // With gradients in view, what is computed would wait for a way back that never comes.
        let device = self.device.clone().without_autodiff();
        let networks = Networks::new(&self.architectures, &weights, &self.networks.focals(), &device)?;
        let networks = Networks {
            depth: networks.depth.with_frozen_norm(),
            pose: networks.pose.with_frozen_norm(),
            ..networks
        };
        Ok(Evaluator { config: self.config.clone(), networks, device })
    }

    /// The ONNX file of the averaged depth network, with all that [`crate::DepthNetwork`] wants to know.
    ///
    /// # Errors
    /// [`TrainError::Export`] where weights are no numbers.
    pub fn depth_onnx(&self) -> Result<Vec<u8>, TrainError> {
        let [least, greatest] = self.config.inverse_depths;
        let description = DepthDescription {
            output: "logits_0".to_owned(),
            quantity: DepthQuantity::InverseDepth,
            activation: OutputActivation::Sigmoid,
            slope: greatest - least,
            offset: least,
            metres_per_unit: None,
        };
        let mut metadata = preprocessing().metadata();
        metadata.push(description.metadata());
        let flying = self.config.depth.architecture(1);
        Ok(flying.to_onnx(&self.averages[0].weights, self.config.size, &metadata)?)
    }

    /// The ONNX file of the averaged pose network, with all that [`crate::PoseNetwork`] wants to know.
    ///
    /// # Errors
    /// [`TrainError::Export`] where weights are no numbers.
    pub fn pose_onnx(&self) -> Result<Vec<u8>, TrainError> {
        let mut metadata = preprocessing().metadata();
        metadata.push(self.config.pose.description(self.config.pose_unit).metadata());
        Ok(self.config.pose.flying().to_onnx(&self.averages[1].weights, self.config.size, &metadata)?)
    }

    /// The images that the pose network sees at once.
    pub fn pose_images(&self) -> PoseImages {
        self.config.pose.description(self.config.pose_unit).images
    }

    /// What the focal length of each clip's camera is to be multiplied by; 1 unless they are learnt.
    pub fn focal_factors(&self) -> Vec<f32> {
        self.networks.focals().into_iter().map(f32::exp).collect()
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let TrainConfig { learning_rate: peak, warm_up, steps, .. } = self.config;
        LearningRate { peak, final_share: 0.05, warm_up, steps }.at(self.step)
    }
}

/// Networks that are measured and do not learn.
pub struct Evaluator {
    config: TrainConfig,
    networks: Networks,
    device: Device,
}

/// What networks see in the first snippet of a batch.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Of the image in the middle, `[height, width]`.
    pub inverse_depth: Vec<f32>,
    /// The image in the middle from what the one before it saw, `[3, height, width]`.
    pub synthesised: Vec<f32>,
}

impl Evaluator {
    /// What they see in the first snippet of `batch`. Without a depth that is learnt, everything is one unit away.
    pub fn look(&mut self, batch: &Batch) -> Seen {
        let (snippets, predictions) = self.networks.predict(&self.config, batch, &self.device);
        let target = predictions.inverse_depths[1].as_ref().map(|scales| scales[0].clone());
        let [height, width] = self.config.size;
        let flat = || Tensor::ones([batch.clips.len(), 1, height, width], &self.device);
        let inverse_depth = target.unwrap_or_else(flat);
        let synthesised = view_synthesis(
            snippets.images[0].clone(),
            inverse_depth.clone(),
            rigid::inverse(&predictions.motions[0]),
            snippets.camera,
            Padding::Zeros,
        );
        let first = |of: Tensor<4>| of.narrow(0, 0, 1).into_data().try_to_vec().unwrap_or_default();
        Seen { inverse_depth: first(inverse_depth), synthesised: first(synthesised.image) }
    }

    /// How wrong they are about `batch`.
    pub fn losses(&mut self, batch: &Batch) -> Losses {
        Losses::of(&self.networks.terms(&self.config, batch, &self.device))
    }
}

impl Losses {
    fn of(terms: &Terms) -> Self {
        let scalar =
            |of: &Tensor<1>| of.clone().into_data().try_to_vec().map_or(f32::NAN, |value: Vec<f32>| value[0]);
        Self {
            photometric: scalar(&terms.photometric),
            smoothness: scalar(&terms.smoothness),
            consistency: scalar(&terms.consistency),
            explainability: scalar(&terms.explainability),
            guidance: scalar(&terms.guidance),
        }
    }

    /// What is made small.
    pub fn sum(&self) -> f32 {
        self.photometric + self.smoothness + self.consistency + self.explainability + self.guidance
    }
}

impl Networks {
    fn new(
        [depth, pose]: &[Arc<Architecture>; 2],
        weights: &[Weights; 2],
        focal: &[f32],
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let depth = TrainableNetwork::new(Arc::clone(depth), &weights[0], device)?;
        let pose = TrainableNetwork::new(Arc::clone(pose), &weights[1], device)?;
        // An optimiser tells parameters apart by their numbers.
        let first = depth.architecture().parameters().len() as u64;
        let last = first + pose.architecture().parameters().len() as u64;
        let focal = learnable(TensorData::new(focal.to_vec(), [focal.len()]), device);
        let focal = Param::initialized(ParamId::from(last), focal);
        Ok(Self { depth, pose: pose.numbered_from(first), focal })
    }

    fn weights(&self) -> [Weights; 2] {
        [self.depth.weights(), self.pose.weights()]
    }

    fn focals(&self) -> Vec<f32> {
        self.focal.val().into_data().try_to_vec().unwrap_or_default()
    }

    fn terms(&mut self, config: &TrainConfig, batch: &Batch, device: &Device) -> Terms {
        let (snippets, predictions) = self.predict(config, batch, device);
        config.recipe.loss(&snippets, &predictions)
    }

    fn predict(&mut self, config: &TrainConfig, batch: &Batch, device: &Device) -> (Snippets, Predictions) {
        let [height, width] = config.size;
        let count = batch.clips.len();
        let tensor = |values: &Vec<f32>| -> Tensor<4> {
            Tensor::from_data(TensorData::new(values.clone(), [count, 3, height, width]), device)
        };
        let inputs = batch.inputs.each_ref().map(tensor);
        let snippets = Snippets {
            images: batch.images.each_ref().map(tensor),
            camera: self.camera(batch, config.learns_focal, device),
            guide: (config.recipe.guidance_weight > 0.0).then(|| guide(&batch.guide, config.size, device)),
        };
        let inverse_depths = self.inverse_depths(config, &inputs);
        let (motions, masks) = self.motions(config, &inputs);
        (snippets, Predictions { inverse_depths, motions, masks })
    }

    fn camera(&self, batch: &Batch, learns_focal: bool, device: &Device) -> Tensor<2> {
        let count = batch.clips.len();
        let camera = Tensor::from_data(TensorData::new(batch.cameras.clone(), [count, 4]), device);
        if !learns_focal {
            return camera;
        }
        let clips: Vec<i32> = batch.clips.iter().map(|&clip| clip as i32).collect();
        let clips: Tensor<1, Int> = Tensor::from_data(TensorData::new(clips, [count]), device);
        let factor: Tensor<2> = self.focal.val().select(0, clips).exp().reshape([count, 1]);
        let one = Tensor::ones([count, 2], device);
        camera * Tensor::cat(vec![factor.clone(), factor, one], 1)
    }

    fn inverse_depths(
        &mut self,
        config: &TrainConfig,
        inputs: &[Tensor<4>; 3],
    ) -> [Option<Vec<Tensor<4>>>; 3] {
        let targets = config.recipe.targets();
        if targets.is_empty() {
            return [None, None, None];
        }
        let count = inputs[0].dims()[0];
        let images = targets.iter().map(|&target| inputs[target].clone()).collect();
        let [least, greatest] = config.inverse_depths;
        let scales: Vec<Tensor<4>> = self
            .depth
            .forward(Tensor::cat(images, 0))
            .into_iter()
            .take(config.recipe.scales)
            .map(|logits| activation::sigmoid(logits) * (greatest - least) + least)
            .collect();
        let mut predicted = [None, None, None];
        for (place, &target) in targets.iter().enumerate() {
            let of_target = |scale: &Tensor<4>| scale.clone().narrow(0, place * count, count);
            predicted[target] = Some(scales.iter().map(of_target).collect());
        }
        predicted
    }

    /// The motions from each image to the next, and what they explain ([`Predictions::masks`]).
    fn motions(
        &mut self,
        config: &TrainConfig,
        inputs: &[Tensor<4>; 3],
    ) -> ([Tensor<2>; 2], Vec<[Tensor<4>; 2]>) {
        let count = inputs[0].dims()[0];
        let unit = config.pose_unit;
        let description = config.pose.description(unit);
        let together =
            |order: &[usize]| Tensor::cat(order.iter().map(|&place| inputs[place].clone()).collect(), 1);
        let mean = |output: &Tensor<4>| -> Tensor<2> {
            let [images, channels, ..] = output.dims();
            output.clone().mean_dim(2).mean_dim(3).reshape([images, channels]) * unit
        };
        let motion = |translation: &Tensor<2>, angles: &Tensor<2>| match description.rotation {
            RotationForm::Vector => rigid::from_axis_angle(angles, translation),
            RotationForm::Euler => rigid::from_euler(angles, translation),
        };
        match description.images {
            PoseImages::Pair => {
                // From the first image to the second, and from the second to the third, in one batch.
                let pairs = [[0, 1], [1, 2]].map(|order| together(&order));
                let outputs = self.pose.forward(Tensor::cat(pairs.into(), 0));
                let motions = motion(&mean(&outputs[0]), &mean(&outputs[1]));
                ([0, 1].map(|pair| motions.clone().narrow(0, pair * count, count)), Vec::new())
            }
            PoseImages::Triple => {
                let outputs = self.pose.forward(together(PoseImages::Triple.order()));
                let all = mean(&outputs[0]);
                let part = |first: usize| all.clone().narrow(1, first, 3);
                let [to_first, to_third] = [0, 6].map(|first| motion(&part(first), &part(first + 3)));
                let both = |logits: &Tensor<4>| [0, 2].map(|first| logits.clone().narrow(1, first, 2));
                ([rigid::inverse(&to_first), to_third], outputs[1..].iter().map(both).collect())
            }
        }
    }
}

/// What odometry knows, on `device`.
fn guide(guide: &Guide, [height, width]: [usize; 2], device: &Device) -> GuideTensors {
    let count = guide.is_known.len();
    let table = |values: &Vec<f32>, columns: usize| -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.clone(), [count, columns]), device)
    };
    let image = |values: &Vec<f32>| -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.clone(), [count, 1, height, width]), device)
    };
    GuideTensors {
        motions: guide.motions.each_ref().map(|motions| table(motions, 12)),
        is_known: table(&guide.is_known, 1),
        inverse_depths: guide.inverse_depths.each_ref().map(image),
    }
}

/// Weights before any training: everything is equally far away and nothing moves.
fn first_weights(architectures: &[Arc<Architecture>; 2], seed: u64) -> [Weights; 2] {
    let mut random = Rng::with_seed(seed);
    let [depth, pose] = architectures;
    [(depth, FIRST_LOGIT), (pose, 0.0)].map(|(architecture, bias)| {
        let mut weights = architecture.initial_weights(&mut random);
        for output in architecture.outputs() {
            let name = &architecture.layers()[output.value.index()].name;
            let mut change = |part: &str, change: &dyn Fn(f32) -> f32| {
                let values = weights.values.entry(format!("{name}.{part}"));
                values.and_modify(|values| values.iter_mut().for_each(|value| *value = change(*value)));
            };
            change("weight", &|weight| 0.01 * weight);
            change("bias", &|_| bias);
        }
        weights
    })
}

fn preprocessing() -> Preprocessing {
    let [mean, deviation] = NORMALISATION;
    Preprocessing { colors: Colors::Rgb, mean: [mean; 3], deviation: [deviation; 3] }
}

fn optimizer() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-8).init()
}

#[cfg(test)]
mod faithfulness;
#[cfg(test)]
mod tests;
