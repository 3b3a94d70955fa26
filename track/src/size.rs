//! How large the target is: ridge regression over windows of several sizes.
//!
//! As in discriminative scale space tracking (Danelljan et al., PAMI 2017), but solved in the space of samples, with no
//! assumption that sizes go round in a circle.

use geometry::Frame;
use nalgebra::{DMatrix, DVector};

use crate::features::{CELL, HOG_LENGTH, Hog, Window, sample};
use crate::simd::{dot, vectorized};

/// Sizes tried, an odd number.
const SIZES: usize = 11;
/// From one size to the next.
const RATIO: f32 = 1.03;
/// Cells along each axis of a window.
const CELLS: usize = 8;
/// A window beside its target: its outline must be inside.
const CONTEXT: f32 = 1.4;
/// Spread of the label, in sizes.
const LABEL_SIGMA: f32 = 1.0;
/// Spread of how much the size is thought to change, in sizes.
const PRIOR_SIGMA: f32 = 5.0;
/// Ridge of the regression, as a share of the mean energy of a window.
const RIDGE: f32 = 0.05;
/// Numbers that describe a window.
const LENGTH: usize = CELLS * CELLS * HOG_LENGTH;

/// Which sides change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Both: scale.
    Both,
    /// The width alone.
    Width,
    /// The height alone.
    Height,
}

impl Axis {
    fn factors(self, factor: f32) -> [f32; 2] {
        match self {
            Self::Both => [factor, factor],
            Self::Width => [factor, 1.0],
            Self::Height => [1.0, factor],
        }
    }
}

/// Estimates the size of one target along one axis.
#[derive(Debug)]
pub(crate) struct SizeEstimator {
    axis: Axis,
    hog: Hog,
    gray: Vec<f32>,
    samples: Vec<f32>,
    weights: Vec<f32>,
    is_new: bool,
}

impl SizeEstimator {
    /// Knows nothing yet.
    pub(crate) fn new(axis: Axis) -> Self {
        Self {
            axis,
            hog: Hog::default(),
            gray: Vec::new(),
            samples: vec![0.0; SIZES * LENGTH],
            weights: vec![0.0; LENGTH],
            is_new: true,
        }
    }

    /// By how much the target at `center` differs from `size`, both in pixels, as an exponent of [`RATIO`].
    pub(crate) fn estimate(&mut self, frame: &Frame, center: [f32; 2], size: [f32; 2]) -> f32 {
        self.look(frame, center, size);
        let scores: [f32; SIZES] = std::array::from_fn(|i| {
            let sample = &self.samples[i * LENGTH..(i + 1) * LENGTH];
            let distance = (i as f32 - (SIZES / 2) as f32) / PRIOR_SIGMA;
            vectorized(|| dot(sample, &self.weights)) * (-0.5 * distance * distance).exp()
        });
        let best = (0..SIZES).fold(SIZES / 2, |best, i| if scores[i] > scores[best] { i } else { best });
        best as f32 - (SIZES / 2) as f32 + refinement(&scores, best)
    }

    /// The two factors that an exponent stands for.
    pub(crate) fn factors(&self, exponent: f32) -> [f32; 2] {
        self.axis.factors(RATIO.powf(exponent))
    }

    /// Learns from what [`estimate`](Self::estimate) saw last that the right answer was `exponent`.
    pub(crate) fn learn(&mut self, exponent: f32, rate: f32) {
        let sample = |i: usize| &self.samples[i * LENGTH..(i + 1) * LENGTH];
        let mut gram = DMatrix::zeros(SIZES, SIZES);
        for (i, j) in (0..SIZES).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let product = vectorized(|| dot(sample(i), sample(j)));
            (gram[(i, j)], gram[(j, i)]) = (product, product);
        }
        let ridge = RIDGE * gram.trace() / SIZES as f32;
        (0..SIZES).for_each(|i| gram[(i, i)] += ridge.max(1e-6));
        let label = |i: usize| {
            let distance = i as f32 - (SIZES / 2) as f32 - exponent;
            (-distance * distance / (2.0 * LABEL_SIGMA * LABEL_SIGMA)).exp()
        };
        let labels = DVector::from_fn(SIZES, |i, _| label(i));
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

    /// Describes windows of all sizes around `center`.
    pub(crate) fn look(&mut self, frame: &Frame, center: [f32; 2], size: [f32; 2]) {
        for (i, sample_out) in self.samples.chunks_exact_mut(LENGTH).enumerate() {
            let factors = self.axis.factors(RATIO.powi(i as i32 - (SIZES / 2) as i32));
            let step = [0, 1].map(|axis| size[axis] * factors[axis] * CONTEXT / (CELLS * CELL) as f32);
            let window = Window { center, step, size: [(CELLS + 2) * CELL; 2] };
            sample(&frame.gray, &window, &mut self.gray);
            self.hog.describe(&self.gray, [CELLS; 2], sample_out, HOG_LENGTH);
            sample_out.iter_mut().skip(HOG_LENGTH - 1).step_by(HOG_LENGTH).for_each(|value| *value = 0.0);
        }
    }
}

fn refinement(scores: &[f32; SIZES], best: usize) -> f32 {
    if best == 0 || best + 1 == SIZES {
        return 0.0;
    }
    let (before, here, after) = (scores[best - 1], scores[best], scores[best + 1]);
    let curvature = before - 2.0 * here + after;
    if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}
