//! Batches, made while the network learns from the one before.

use std::sync::Arc;

use fastrand::Rng;

use super::assign::assign;
use super::augment::{Augmentation, Canvas, Picture};
use super::loss::BatchTargets;
use crate::priors::{Level, all_priors};

/// Makes batches: each is a function of the seed and its number alone, so that a training that goes on sees what it would
/// have seen.
#[derive(Clone, Debug)]
pub struct BatchMaker {
    /// What is learnt from.
    pub pictures: Arc<[Picture]>,
    /// What is done to it.
    pub augmentation: Augmentation,
    /// Height and width of what the network sees.
    pub size: usize,
    /// Images in a batch.
    pub batch: usize,
    /// Priors over them.
    pub levels: Vec<Level>,
    /// How many classes there are.
    pub classes: usize,
    /// Taken from values between 0 and 1, then divided by.
    pub normalisation: [f32; 2],
    /// Chooses everything.
    pub seed: u64,
}

/// What is learnt in one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, 3, size, size]`.
    pub images: Vec<f32>,
    /// What there is in them.
    pub targets: BatchTargets,
}

impl BatchMaker {
    /// What the network sees in a step, one after the other.
    pub fn inputs(&self, step: usize) -> impl Iterator<Item = Canvas> {
        // An odd factor spreads the seeds of neighbouring steps over all numbers.
        let seed = self.seed ^ (step as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = Rng::with_seed(seed);
        (0..self.batch).map(move |_| self.augmentation.input(&self.pictures, self.size, &mut random))
    }

    /// The batch of a step.
    pub fn make(&self, step: usize) -> Batch {
        let priors = all_priors(&self.levels, self.size);
        let [mean, deviation] = self.normalisation;
        let (gain, shift) = (1.0 / (255.0 * deviation), -mean / deviation);
        let mut batch = Batch {
            images: Vec::with_capacity(self.batch * 3 * self.size * self.size),
            targets: BatchTargets::default(),
        };
        for canvas in self.inputs(step) {
            batch.images.extend(canvas.values.iter().map(|value| value * gain + shift));
            let assigned = assign(&self.levels, self.size, &canvas.targets, &canvas.incomplete);
            batch.targets.push(&priors, &assigned, &canvas.targets, self.classes);
        }
        batch
    }
}
