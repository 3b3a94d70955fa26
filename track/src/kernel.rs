//! The kernelised stream: ridge regression over whole targets, whose kernel compares every part of one with every part of
//! the other (Sun et al., Learning Spatial-Aware Regressions for Visual Tracking, CVPR 2018), in closed form.
//!
//! The answer at a shift is `sum_i alpha_i k(x, x_i)` with `k(x, x_i) = sum_mn beta_mn <x^m, x_i^n>` over parts `m`, `n`. The
//! samples `x_i` are windows around the target; with an even `beta` the best `alpha` is a linear system as large as they are
//! many. With that, the answer is linear in `beta`, whose ridge regression towards even weights has 81 unknowns.

use nalgebra::{DMatrix, DVector};

use crate::features::FeatureMap;
use crate::response::{PART_COUNT, Response, Template};
use crate::simd::{dot, vectorized};

/// Entries of `beta`.
const PAIRS: usize = PART_COUNT * PART_COUNT;
/// Ridge on `alpha`, as a share of the mean of the kernel's diagonal.
const ALPHA_RIDGE: f32 = 0.03;
/// Ridge on `beta` towards even weights, as a share of the mean energy of an answer.
const BETA_RIDGE: f32 = 3.0;
/// Share of a new frame in what `beta` is learnt from.
const BETA_RATE: f32 = 0.1;
/// Share of a new frame in the slow memory, and in the fast one.
const RATES: [f32; 2] = [0.02, 0.15];
/// Share of the fast memory in the answer.
const FAST_SHARE: f32 = 0.3;
/// Shifts on which `beta` is learnt, along each axis.
const BETA_REACH: usize = 8;

/// Learns the kernelised stream of one target.
#[derive(Debug)]
pub(crate) struct KernelLearner {
    shifts: Vec<[isize; 2]>,
    labels: DVector<f32>,
    label_sigma: f32,
    windows: Vec<f32>,
    slow: Template,
    fast: Template,
    beta: Vec<f32>,
    normal: DMatrix<f32>,
    right: DVector<f32>,
    is_new: bool,
}

impl KernelLearner {
    /// For a template of `support` cells that can be moved by `reach`; answers fall off with `label_sigma` cells.
    pub(crate) fn new(support: [usize; 2], channels: usize, reach: usize, label_sigma: f32) -> Self {
        let shifts = sample_shifts(reach);
        let label = |shift: &[isize; 2]| gaussian([shift[0] as f32, shift[1] as f32], label_sigma);
        let labels = DVector::from_iterator(shifts.len(), shifts.iter().map(label));
        Self {
            labels,
            label_sigma,
            shifts,
            windows: Vec::new(),
            slow: Template::zeros(support, channels),
            fast: Template::zeros(support, channels),
            beta: even_weights(),
            normal: DMatrix::zeros(PAIRS, PAIRS),
            right: DVector::zeros(PAIRS),
            is_new: true,
        }
    }

    /// Learns `alpha` from `map`, whose target lies at cell `side / 2`.
    pub(crate) fn learn(&mut self, map: &FeatureMap) {
        vectorized(|| self.copy_windows(map));
        let mut kernel = vectorized(|| self.gram());
        let count = self.shifts.len();
        let ridge = ALPHA_RIDGE * kernel.trace() / count as f32;
        (0..count).for_each(|i| kernel[(i, i)] += ridge.max(1e-6));
        let Some(cholesky) = kernel.cholesky() else { return };
        let alpha = cholesky.solve(&self.labels);
        let rates = if self.is_new { [1.0; 2] } else { RATES };
        for (template, rate) in [&mut self.slow, &mut self.fast].into_iter().zip(rates) {
            template.values.iter_mut().for_each(|value| *value *= 1.0 - rate);
            for (window, alpha) in self.windows.chunks_exact(template.values.len()).zip(alpha.iter()) {
                let weight = alpha * rate;
                let sums = template.values.iter_mut().zip(window);
                sums.for_each(|(sum, value)| *sum += weight * value);
            }
        }
        self.is_new = false;
    }

    /// The template of the slow memory, or of both.
    pub(crate) fn template(&self, fast_too: bool) -> Template {
        let mut mixed = self.slow.clone();
        let share = if fast_too { FAST_SHARE } else { 0.0 };
        for (value, fast) in mixed.values.iter_mut().zip(&self.fast.values) {
            *value += (fast - *value) * share;
        }
        mixed
    }

    /// Goes back to a template that was learnt earlier.
    pub(crate) fn recall(&mut self, template: &Template) {
        self.slow.clone_from(template);
        self.fast.clone_from(template);
    }

    /// The answer from those of the parts: each part may be found where another one belongs.
    pub(crate) fn answer(&self, template: &Template, parts: &[Response; PART_COUNT], out: &mut Response) {
        *out = Response::zeros(parts[0].reach);
        let pairs = pair_offsets(template);
        for ((m_n, offset), beta) in pairs.iter().enumerate().zip(&self.beta) {
            add_shifted(&parts[m_n % PART_COUNT], *offset, *beta, out);
        }
    }

    /// Learns `beta` from the answers of the parts around the target, which lies at `shift`.
    pub(crate) fn learn_similarity(
        &mut self,
        template: &Template,
        parts: &[Response; PART_COUNT],
        shift: [f32; 2],
    ) {
        let pairs = pair_offsets(template);
        let reach = parts[0].reach as isize;
        let range = |center: f32| {
            let center = center.round() as isize;
            (center - BETA_REACH as isize).max(-reach)..=(center + BETA_REACH as isize).min(reach)
        };
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for y in range(shift[1]) {
            for x in range(shift[0]) {
                let of_pair = |(pair, offset): (usize, &[isize; 2])| {
                    value_at(&parts[pair % PART_COUNT], x + offset[0], y + offset[1])
                };
                rows.extend(pairs.iter().enumerate().map(of_pair));
                labels.push(gaussian([x as f32 - shift[0], y as f32 - shift[1]], self.label_sigma));
            }
        }
        self.add_equations(&rows, &labels);
        self.solve_similarity();
    }

    fn add_equations(&mut self, rows: &[f32], labels: &[f32]) {
        let phi = DMatrix::from_column_slice(PAIRS, labels.len(), rows);
        let right = &phi * DVector::from_column_slice(labels);
        let normal = &phi * phi.transpose();
        let rate = if self.normal.trace() > 0.0 { BETA_RATE } else { 1.0 };
        self.normal += (normal - &self.normal) * rate;
        self.right += (right - &self.right) * rate;
    }

    fn solve_similarity(&mut self) {
        let even = DVector::from_vec(even_weights());
        let ridge = BETA_RIDGE * self.normal.trace() / PAIRS as f32;
        let mut normal = self.normal.clone();
        (0..PAIRS).for_each(|i| normal[(i, i)] += ridge.max(1e-9));
        let right = &self.right + even * ridge;
        if let Some(cholesky) = normal.cholesky() {
            self.beta = cholesky.solve(&right).iter().copied().collect();
        }
    }

    #[inline(always)]
    fn copy_windows(&mut self, map: &FeatureMap) {
        let [width, height] = self.slow.size;
        self.windows.clear();
        for shift in &self.shifts {
            let first = [0, 1]
                .map(|axis| (map.side / 2) as isize + shift[axis] - ([width, height][axis] / 2) as isize);
            for y in 0..height {
                let start = ((first[1] as usize + y) * map.side + first[0] as usize) * map.channels;
                self.windows.extend_from_slice(&map.values[start..start + width * map.channels]);
            }
        }
    }

    #[inline(always)]
    fn gram(&self) -> DMatrix<f32> {
        let length = self.slow.values.len();
        let count = self.shifts.len();
        let window = |i: usize| &self.windows[i * length..(i + 1) * length];
        let mut gram = DMatrix::zeros(count, count);
        for i in 0..count {
            for j in 0..=i {
                let product = dot(window(i), window(j));
                (gram[(i, j)], gram[(j, i)]) = (product, product);
            }
        }
        gram
    }
}

/// Shifts of the windows to learn from: all near the target, fewer farther away.
fn sample_shifts(reach: usize) -> Vec<[isize; 2]> {
    let grid = |reach: isize, step: isize| {
        let along = (-reach / step * step..=reach).step_by(step as usize);
        along.clone().flat_map(move |y| along.clone().map(move |x| [x, y]))
    };
    let reach = reach as isize;
    let near = reach.min(2);
    let far = grid(reach.min(12), 4).filter(|shift| shift.iter().any(|v| v.abs() > near));
    grid(near, 1).chain(far).collect()
}

fn gaussian(shift: [f32; 2], sigma: f32) -> f32 {
    (-(shift[0].powi(2) + shift[1].powi(2)) / (2.0 * sigma * sigma)).exp()
}

/// Each part is like itself and no other.
fn even_weights() -> Vec<f32> {
    (0..PAIRS).map(|pair| if pair / PART_COUNT == pair % PART_COUNT { 1.0 } else { 0.0 }).collect()
}

/// For each pair of a place `m` and a part `n`, `m` first: how far `m` lies from where `n` belongs, in cells.
fn pair_offsets(template: &Template) -> [[isize; 2]; PAIRS] {
    let centers = template.part_centers();
    std::array::from_fn(|pair| {
        let (place, part) = (centers[pair / PART_COUNT], centers[pair % PART_COUNT]);
        [0, 1].map(|axis| (place[axis] - part[axis]).round() as isize)
    })
}

fn value_at(response: &Response, x: isize, y: isize) -> f32 {
    let (reach, side) = (response.reach as isize, response.side());
    let inside = x.abs() <= reach && y.abs() <= reach;
    if inside { response.values[(y + reach) as usize * side + (x + reach) as usize] } else { 0.0 }
}

/// `out(p) += weight * response(p + offset)`; beyond its edge a response is zero.
fn add_shifted(response: &Response, offset: [isize; 2], weight: f32, out: &mut Response) {
    let side = out.side() as isize;
    let span = |offset: isize| (-offset).clamp(0, side) as usize..(side - offset).clamp(0, side) as usize;
    let columns = span(offset[0]);
    if columns.is_empty() {
        return;
    }
    for y in span(offset[1]) {
        let from = ((y as isize + offset[1]) * side + columns.start as isize + offset[0]) as usize;
        let from = &response.values[from..from + columns.len()];
        let to = &mut out.values[y * side as usize..][columns.clone()];
        to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 32;
    const CHANNELS: usize = 8;
    const REACH: usize = 8;

    fn scene(moved: impl Fn(usize, usize) -> [usize; 2]) -> FeatureMap {
        let mut rng = fastrand::Rng::with_seed(9);
        let noise: Vec<[f32; CHANNELS]> =
            (0..SIDE * SIDE).map(|_| std::array::from_fn(|_| rng.f32() - 0.5)).collect();
        let cell = |i: usize| {
            let [x, y] = moved(i % SIDE, i / SIDE);
            noise[y % SIDE * SIDE + x % SIDE]
        };
        FeatureMap { side: SIDE, channels: CHANNELS, values: (0..SIDE * SIDE).flat_map(cell).collect() }
    }

    fn learnt() -> KernelLearner {
        let mut learner = KernelLearner::new([9, 9], CHANNELS, REACH, 0.8);
        learner.learn(&scene(|x, y| [x, y]));
        learner
    }

    #[test]
    fn what_was_learnt_is_found_where_it_went() {
        let learner = learnt();
        let template = learner.template(true);
        let mut parts: [Response; PART_COUNT] = Default::default();
        template.part_responses(&scene(|x, y| [x + SIDE - 4, y + 3]), REACH, &mut parts);
        let mut answer = Response::default();
        learner.answer(&template, &parts, &mut answer);
        let (index, _) = answer.peak();
        let found = answer.shift(index);
        assert!((found[0] - 4.0).abs() < 0.3 && (found[1] + 3.0).abs() < 0.3, "{found:?}");
    }

    #[test]
    fn parts_that_changed_places_are_learnt_to_be_compared_with_each_other() {
        // The left and the right third of the target change places.
        let half = SIDE / 2;
        let swapped = move |x: usize, y: usize| match x + 4 {
            left if (half..half + 3).contains(&left) => [x + 6, y],
            right if (half + 6..half + 9).contains(&right) => [x - 6, y],
            _ => [x, y],
        };
        let mut learner = learnt();
        let template = learner.template(false);
        let mut parts: [Response; PART_COUNT] = Default::default();
        template.part_responses(&scene(swapped), REACH, &mut parts);
        let height = |learner: &KernelLearner| {
            let mut answer = Response::default();
            learner.answer(&template, &parts, &mut answer);
            value_at(&answer, 0, 0)
        };
        let before = height(&learner);
        learner.learn_similarity(&template, &parts, [0.0, 0.0]);
        let after = height(&learner);
        assert!(after > 1.2 * before, "{before} {after}");
        // Place 3 is the left of the middle row, part 5 its right.
        let (other, own) = (learner.beta[3 * PART_COUNT + 5], learner.beta[PART_COUNT]);
        assert!(other > 0.02 && other > own, "{other} {own}");
    }
}
