//! How large the target is and how it is turned: ridge regressions over windows of several sizes, or turned by several angles.
//!
//! As in discriminative scale space tracking (Danelljan et al., PAMI 2017), but solved in the space of samples, with no
//! assumption that sizes go round in a circle.

use geometry::Frame;
use nalgebra::{DMatrix, DVector};

use crate::features::{CELL, HOG_LENGTH, Hog, Sampler, Window};
use crate::place::Place;
use crate::simd::{dot, vectorized};

/// Forms tried, an odd number.
const FORMS: usize = 11;
/// From one size to the next.
const RATIO: f32 = 1.03;
/// From one angle to the next, in radians.
const ANGLE: f32 = 0.05;
/// Cells along each axis of a window.
const CELLS: usize = 8;
/// A window beside its target: its outline must be inside.
const CONTEXT: f32 = 1.4;
/// Spread of the label, in steps from form to form.
const LABEL_SIGMA: f32 = 1.0;
/// Spread of how much the form is thought to change from frame to frame, in steps: vehicles turn and cameras fly slowly, and a
/// wider one lets the size run away over ground with a pattern.
const PRIOR_SIGMA: f32 = 2.5;
/// Ridge of the regression, as a share of the mean energy of a window.
const RIDGE: f32 = 0.05;
/// Numbers that describe a window.
const LENGTH: usize = CELLS * CELLS * HOG_LENGTH;

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Both sides together.
    Scale,
    /// Width against height.
    Aspect,
    /// The direction.
    Turn,
}

impl Axis {
    /// `place`, changed by so many steps.
    fn changed(self, place: &Place, steps: f32) -> Place {
        let factor = RATIO.powf(steps);
        let [width, height] = place.size;
        match self {
            Self::Scale => {
                Place { size: [width * factor, height * factor], step: place.step * factor, ..*place }
            }
            Self::Aspect => Place { size: [width * factor, height / factor], ..*place },
            Self::Turn => Place { turn: place.turn + ANGLE * steps, ..*place },
        }
    }
}

/// Estimates one thing about a target's form.
#[derive(Debug)]
pub(crate) struct FormEstimator {
    axis: Axis,
    hog: Hog,
    sampler: Sampler,
    gray: Vec<f32>,
    samples: Vec<f32>,
    weights: Vec<f32>,
    is_new: bool,
}

impl FormEstimator {
    /// Knows nothing yet.
    pub(crate) fn new(axis: Axis) -> Self {
        Self {
            axis,
            hog: Hog::default(),
            sampler: Sampler::default(),
            gray: Vec::new(),
            samples: vec![0.0; FORMS * LENGTH],
            weights: vec![0.0; LENGTH],
            is_new: true,
        }
    }

    /// By how many steps the target at `place` differs from it.
    pub(crate) fn estimate(&mut self, frame: &Frame, place: &Place) -> f32 {
        self.look(frame, place);
        let scores: [f32; FORMS] = std::array::from_fn(|i| {
            let sample = &self.samples[i * LENGTH..(i + 1) * LENGTH];
            let distance = (i as f32 - (FORMS / 2) as f32) / PRIOR_SIGMA;
            vectorized(|| dot(sample, &self.weights)) * (-0.5 * distance * distance).exp()
        });
        let best = (0..FORMS).fold(FORMS / 2, |best, i| if scores[i] > scores[best] { i } else { best });
        best as f32 - (FORMS / 2) as f32 + refinement(&scores, best)
    }

    /// `place`, changed by so many steps.
    pub(crate) fn changed(&self, place: &Place, steps: f32) -> Place {
        self.axis.changed(place, steps)
    }

    /// Learns from what [`estimate`](Self::estimate) saw last that the right answer was `steps`.
    pub(crate) fn learn(&mut self, steps: f32, rate: f32) {
        let sample = |i: usize| &self.samples[i * LENGTH..(i + 1) * LENGTH];
        let mut gram = DMatrix::zeros(FORMS, FORMS);
        for (i, j) in (0..FORMS).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let product = vectorized(|| dot(sample(i), sample(j)));
            (gram[(i, j)], gram[(j, i)]) = (product, product);
        }
        let ridge = RIDGE * gram.trace() / FORMS as f32;
        (0..FORMS).for_each(|i| gram[(i, i)] += ridge.max(1e-6));
        let label = |i: usize| {
            let distance = i as f32 - (FORMS / 2) as f32 - steps;
            (-distance * distance / (2.0 * LABEL_SIGMA * LABEL_SIGMA)).exp()
        };
        let labels = DVector::from_fn(FORMS, |i, _| label(i));
        let Some(cholesky) = gram.cholesky() else { return };
        let alpha = cholesky.solve(&labels);
        let rate = if self.is_new { 1.0 } else { rate };
        self.weights.iter_mut().for_each(|weight| *weight *= 1.0 - rate);
        for (i, alpha) in alpha.iter().enumerate() {
            let sample = &self.samples[i * LENGTH..(i + 1) * LENGTH];
            self.weights.iter_mut().zip(sample).for_each(|(weight, value)| *weight += rate * alpha * value);
        }
        self.is_new = false;
    }

    /// Describes windows of all forms around `place`.
    pub(crate) fn look(&mut self, frame: &Frame, place: &Place) {
        for (i, sample_out) in self.samples.chunks_exact_mut(LENGTH).enumerate() {
            let Place { center, size, turn, .. } = self.axis.changed(place, i as f32 - (FORMS / 2) as f32);
            let step = size.map(|side| side * CONTEXT / (CELLS * CELL) as f32);
            let window = Window { center, step, size: [(CELLS + 2) * CELL; 2], turn };
            self.sampler.sample(&frame.gray, &window, &mut self.gray);
            self.hog.describe(&self.gray, [CELLS; 2], sample_out, HOG_LENGTH);
            sample_out.iter_mut().skip(HOG_LENGTH - 1).step_by(HOG_LENGTH).for_each(|value| *value = 0.0);
        }
    }
}

fn refinement(scores: &[f32; FORMS], best: usize) -> f32 {
    if best == 0 || best + 1 == FORMS {
        return 0.0;
    }
    let (before, here, after) = (scores[best - 1], scores[best], scores[best + 1]);
    let curvature = before - 2.0 * here + after;
    if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}
