//! The convolutional stream: correlation filters that are regularised in space to the target and in time to the filter
//! before.
//!
//! Minimises `|sum_c x_c * h_c - y|^2 + sum_c |w h_c|^2 + mu sum_c |h_c - h'_c|^2` over filters `h`, where `w` is infinite
//! outside the target (Galoogahi et al., Learning Background-Aware Correlation Filters, ICCV 2017; Li et al., Learning
//! Spatial-Temporal Regularized Correlation Filters, CVPR 2018), by the alternating direction method of multipliers: one step
//! is a rank-one system per frequency, the other a multiplication per cell.

use rustfft::num_complex::Complex32;

use crate::features::FeatureMap;
use crate::fourier::Fourier;
use crate::response::Template;
use crate::simd::vectorized;

/// Pull towards the filter before. This and the weights below are shares of the mean power of the features over all
/// frequencies, so that the solver takes the same way whatever their strength.
const TEMPORAL: f32 = 9.0;
/// Steps of the solver for one frame.
const ITERATIONS: usize = 2;
/// Steps of the solver for the first frame.
const FIRST_ITERATIONS: usize = 5;
/// First weight of the constraint that both filters agree.
const PENALTY: f32 = 1.0;
/// Its growth from step to step.
const PENALTY_GROWTH: f32 = 5.0;
/// Weight of a filter's own size inside the target, and at the edge of its surroundings.
const RIDGE: [f32; 2] = [0.045, 4.5];

/// Learns filters for a target at cell `side / 2` of its maps.
#[derive(Debug)]
pub(crate) struct FilterLearner {
    fourier: Fourier,
    channels: usize,
    /// Squared weight of each cell of the template, row by row.
    weight: Vec<f32>,
    support: [usize; 2],
    label: Vec<Complex32>,
    /// Window over the sample.
    window: Vec<f32>,
    sample: Vec<Complex32>,
    filter: Vec<Complex32>,
    is_new: bool,
    plane: Vec<f32>,
    fitted: Vec<f32>,
    solved: Vec<Complex32>,
    dual: Vec<Complex32>,
    power: Vec<f32>,
    along: Vec<Complex32>,
}

impl FilterLearner {
    /// For maps of `side` cells and a template of `support` cells, odd, around a target of `target` cells.
    pub(crate) fn new(
        side: usize,
        channels: usize,
        support: [usize; 2],
        target: [f32; 2],
        label_sigma: f32,
    ) -> Self {
        let mut fourier = Fourier::new(side);
        let (bins, zero) = (fourier.bins(), Complex32::default());
        let mut label = vec![zero; bins];
        fourier.forward(&mut gaussian(side, label_sigma), &mut label);
        Self {
            channels,
            weight: ridge(support, target),
            support,
            label,
            window: hann(side),
            sample: vec![zero; bins * channels],
            filter: vec![zero; bins * channels],
            is_new: true,
            plane: vec![0.0; side * side],
            fitted: vec![0.0; side * side],
            solved: vec![zero; bins * channels],
            dual: vec![zero; bins * channels],
            power: vec![0.0; bins],
            along: vec![zero; bins],
            fourier,
        }
    }

    /// Learns from `map` and writes the filter as a template to correlate with.
    pub(crate) fn learn(&mut self, map: &FeatureMap, template: &mut Template) {
        self.take_sample(map);
        let strength = self.mean_power();
        let (temporal, iterations) =
            if self.is_new { (0.0, FIRST_ITERATIONS) } else { (TEMPORAL * strength, ITERATIONS) };
        *template = Template::zeros(self.support, self.channels);
        self.dual.fill(Complex32::default());
        let previous = self.filter.clone();
        let mut penalty = PENALTY * strength;
        for _ in 0..iterations {
            vectorized(|| self.fit(&previous, temporal, penalty));
            self.constrain(penalty, strength, template);
            penalty *= PENALTY_GROWTH;
        }
        self.is_new = false;
    }

    /// Goes back to a filter that was learnt earlier.
    pub(crate) fn recall(&mut self, template: &Template) {
        let bins = self.fourier.bins();
        for channel in 0..self.channels {
            self.plane.fill(0.0);
            for index in 0..self.weight.len() {
                let place = place_of(index, self.support, self.fourier.side());
                self.plane[place] = template.values[index * self.channels + channel];
            }
            self.fourier.forward(&mut self.plane, &mut self.filter[channel * bins..(channel + 1) * bins]);
        }
    }

    fn take_sample(&mut self, map: &FeatureMap) {
        let bins = self.fourier.bins();
        for channel in 0..self.channels {
            let values = map.values.iter().skip(channel).step_by(map.channels);
            for ((out, value), window) in self.plane.iter_mut().zip(values).zip(&self.window) {
                *out = value * window;
            }
            self.fourier.forward(&mut self.plane, &mut self.sample[channel * bins..(channel + 1) * bins]);
        }
        self.power.fill(0.0);
        for sample in self.sample.chunks_exact(bins) {
            self.power.iter_mut().zip(sample).for_each(|(sum, value)| *sum += value.norm_sqr());
        }
    }

    /// Mean power of the sample's features over all frequencies, by the scale of the solver's equations.
    fn mean_power(&self) -> f32 {
        let sum: f32 = self.power.iter().sum();
        (sum / (self.power.len() * self.plane.len()) as f32).max(1e-9)
    }

    /// The filter that answers best, near the one before and the constrained one: a rank-one system for each frequency,
    /// solved by the formula of Sherman and Morrison.
    #[inline(always)]
    fn fit(&mut self, previous: &[Complex32], temporal: f32, penalty: f32) {
        let bins = self.along.len();
        let area = self.plane.len() as f32;
        let total = temporal + penalty;
        self.along.fill(Complex32::default());
        for channel in 0..self.channels {
            let range = channel * bins..(channel + 1) * bins;
            let (sample, previous) = (&self.sample[range.clone()], &previous[range.clone()]);
            let (filter, dual) = (&self.filter[range.clone()], &self.dual[range.clone()]);
            let solved = &mut self.solved[range];
            for bin in 0..bins {
                let right = sample[bin].conj() * self.label[bin] / area
                    + previous[bin] * temporal
                    + (filter[bin] - dual[bin]) * penalty;
                solved[bin] = right;
                self.along[bin] += sample[bin] * right;
            }
        }
        for (along, power) in self.along.iter_mut().zip(&self.power) {
            *along /= area * total + power;
        }
        for (solved, sample) in self.solved.chunks_exact_mut(bins).zip(self.sample.chunks_exact(bins)) {
            for ((solved, sample), along) in solved.iter_mut().zip(sample).zip(&self.along) {
                *solved = (*solved - sample.conj() * along) / total;
            }
        }
    }

    /// The filter nearest to the fitted one that is zero outside the template, and how far they differ.
    fn constrain(&mut self, penalty: f32, strength: f32, template: &mut Template) {
        let bins = self.fourier.bins();
        for channel in 0..self.channels {
            let range = channel * bins..(channel + 1) * bins;
            let (solved, dual) = (&mut self.solved[range.clone()], &mut self.dual[range.clone()]);
            dual.iter_mut().zip(&*solved).for_each(|(dual, solved)| *dual += solved);
            solved.copy_from_slice(dual);
            self.fourier.inverse(solved, &mut self.plane);
            std::mem::swap(&mut self.plane, &mut self.fitted);
            self.plane.fill(0.0);
            for (index, weight) in self.weight.iter().enumerate() {
                let place = place_of(index, self.support, self.fourier.side());
                let value = self.fitted[place] * penalty / (penalty + strength * weight);
                self.plane[place] = value;
                template.values[index * self.channels + channel] = value;
            }
            let filter = &mut self.filter[range];
            self.fourier.forward(&mut self.plane, filter);
            dual.iter_mut().zip(&*filter).for_each(|(dual, filter)| *dual -= filter);
        }
    }
}

/// Where in a plane of `side` a template's cell lies: a filter is convolved with, a template correlated, so that one is the
/// other reversed.
fn place_of(index: usize, [width, height]: [usize; 2], side: usize) -> usize {
    let at = |v: usize, size: usize| (side + size / 2 - v) % side;
    at(index / width, height) * side + at(index % width, width)
}

/// What the filter should answer: 1 at the target, falling off around it.
fn gaussian(side: usize, sigma: f32) -> Vec<f32> {
    let squared = |v: usize| (v as f32 - (side / 2) as f32).powi(2);
    let value = |i: usize| (-(squared(i % side) + squared(i / side)) / (2.0 * sigma * sigma)).exp();
    (0..side * side).map(value).collect()
}

/// Falls to zero at the edges of a map, which meet where it is taken as periodic.
fn hann(side: usize) -> Vec<f32> {
    let along = |v: usize| 0.5 - 0.5 * (std::f32::consts::TAU * (v as f32 + 0.5) / side as f32).cos();
    (0..side * side).map(|i| along(i % side) * along(i / side)).collect()
}

/// Squared weights: small over the target, growing towards the template's edge.
fn ridge(support: [usize; 2], target: [f32; 2]) -> Vec<f32> {
    let outside = |v: usize, axis: usize| {
        let half = support[axis] as f32 / 2.0;
        let distance = (v as f32 + 0.5 - half).abs() - target[axis] / 2.0;
        (distance / (half - target[axis] / 2.0).max(0.5)).clamp(0.0, 1.0)
    };
    let [width, height] = support;
    let weight = |i: usize| outside(i % width, 0).max(outside(i / width, 1));
    (0..width * height).map(|i| RIDGE[0] + (RIDGE[1] - RIDGE[0]) * weight(i).powi(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::{PART_COUNT, Response};

    const SIDE: usize = 32;
    const CHANNELS: usize = 8;

    /// Noise, moved by `shift` cells.
    fn scene(shift: [isize; 2]) -> FeatureMap {
        let mut rng = fastrand::Rng::with_seed(5);
        let noise: Vec<[f32; CHANNELS]> =
            (0..SIDE * SIDE).map(|_| std::array::from_fn(|_| rng.f32() - 0.5)).collect();
        let at = |v: usize, shift: isize| (v as isize - shift).rem_euclid(SIDE as isize) as usize;
        let cell = |i: usize| noise[at(i / SIDE, shift[1]) * SIDE + at(i % SIDE, shift[0])];
        FeatureMap { side: SIDE, channels: CHANNELS, values: (0..SIDE * SIDE).flat_map(cell).collect() }
    }

    fn answer(template: &Template, map: &FeatureMap) -> Response {
        let mut parts: [Response; PART_COUNT] = Default::default();
        template.part_responses(map, 6, &mut parts);
        let mut sum = Response::zeros(6);
        for part in &parts {
            sum.values.iter_mut().zip(&part.values).for_each(|(sum, value)| *sum += value);
        }
        sum
    }

    #[test]
    fn what_was_learnt_is_found_where_it_went() {
        let mut learner = FilterLearner::new(SIDE, CHANNELS, [9, 7], [7.0, 5.0], 0.8);
        let mut template = Template::default();
        learner.learn(&scene([0, 0]), &mut template);
        for shift in [[0, 0], [3, -2], [-5, 6]] {
            let answer = answer(&template, &scene(shift));
            let (index, peak) = answer.peak();
            let found = answer.shift(index);
            let error = (found[0] - shift[0] as f32).hypot(found[1] - shift[1] as f32);
            assert!(error < 0.2 && peak > 0.0, "{shift:?}: {found:?}, {peak}");
            assert!(answer.peak_to_energy() > 20.0, "{}", answer.peak_to_energy());
        }
    }

    #[test]
    fn the_strength_of_the_features_changes_that_of_the_filter_alone() {
        let learnt = |strength: f32| {
            let mut learner = FilterLearner::new(SIDE, CHANNELS, [9, 7], [7.0, 5.0], 0.8);
            let mut template = Template::default();
            for shift in [[0, 0], [1, 0]] {
                let mut map = scene(shift);
                map.values.iter_mut().for_each(|value| *value *= strength);
                learner.learn(&map, &mut template);
            }
            template.values
        };
        let (weak, strong) = (learnt(0.1), learnt(3.0));
        let largest = strong.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(weak.iter().zip(&strong).all(|(weak, strong)| (weak / 30.0 - strong).abs() < 1e-3 * largest));
    }

    #[test]
    fn learning_the_same_again_changes_little() {
        let mut learner = FilterLearner::new(SIDE, CHANNELS, [9, 7], [7.0, 5.0], 0.8);
        let (mut first, mut second) = (Template::default(), Template::default());
        learner.learn(&scene([0, 0]), &mut first);
        learner.learn(&scene([0, 0]), &mut second);
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let difference = norm(&mut first.values.iter().zip(&second.values).map(|(a, b)| a - b));
        assert!(difference < 0.5 * norm(&mut first.values.iter().copied()), "{difference}");
    }
}
