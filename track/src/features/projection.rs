//! Fewer numbers per cell: the directions in which a first image differs most within itself.

use nalgebra::{DMatrix, SymmetricEigen};

use super::{HOG_LENGTH, RAW_LENGTH};
use crate::simd::LANES;

/// Added to every variance, in steps, so that no two are the same.
const LEAST_VARIANCE: f64 = 1e-9;

/// A linear map from raw cells to fewer channels, found by principal components.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    channels: usize,
    mean: [f32; RAW_LENGTH],
    /// `[RAW_LENGTH, channels]`.
    matrix: Vec<f32>,
}

impl Projection {
    /// Learns from `raw`, cells of [`RAW_LENGTH`] values each of which counts by its entry in `weights`: `gradients`
    /// channels of the first kind, `colours` of the second, whose variance is brought to `colour_share` of that of the first.
    /// Channels are padded to whole vector registers.
    pub(crate) fn learn(
        raw: &[f32],
        weights: &[f32],
        gradients: usize,
        colours: usize,
        colour_share: f32,
    ) -> Self {
        let used = gradients.min(HOG_LENGTH) + colours.min(RAW_LENGTH - HOG_LENGTH);
        let channels = used.next_multiple_of(LANES);
        let mean = weighted_mean(raw, weights);
        let covariance = weighted_covariance(raw, weights, &mean);
        let mut matrix = vec![0.0; RAW_LENGTH * channels];
        let groups = [(0..HOG_LENGTH, gradients, 1.0), (HOG_LENGTH..RAW_LENGTH, colours, colour_share)];
        let mut next = 0;
        for (group, count, share) in groups {
            let count = count.min(group.len());
            let block = covariance.view_range(group.clone(), group.clone()).into_owned();
            let scale = (share / block.trace().max(1e-6) as f32).sqrt();
            for direction in principal_directions(block, count) {
                for (raw, value) in group.clone().zip(direction) {
                    matrix[raw * channels + next] = value as f32 * scale;
                }
                next += 1;
            }
        }
        Self { channels, mean, matrix }
    }

    /// Channels of what comes out, a multiple of the lanes of a register.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Reduces cells of [`RAW_LENGTH`] values to cells of [`channels`](Self::channels).
    #[inline(always)]
    pub(crate) fn project(&self, raw: &[f32], out: &mut [f32]) {
        match self.channels / LANES {
            1 => self.project_lanes::<1>(raw, out),
            2 => self.project_lanes::<2>(raw, out),
            3 => self.project_lanes::<3>(raw, out),
            4 => self.project_lanes::<4>(raw, out),
            5 => self.project_lanes::<5>(raw, out),
            _ => self.project_lanes::<6>(raw, out),
        }
    }

    #[inline(always)]
    fn project_lanes<const REGISTERS: usize>(&self, raw: &[f32], out: &mut [f32]) {
        let rows = self.matrix.as_chunks::<LANES>().0;
        let cells = raw.as_chunks::<RAW_LENGTH>().0.iter();
        for (cell, out) in cells.zip(out.as_chunks_mut::<LANES>().0.as_chunks_mut::<REGISTERS>().0) {
            let mut sums = [[0.0; LANES]; REGISTERS];
            let rows = rows.as_chunks::<REGISTERS>().0.iter();
            for ((value, mean), row) in cell.iter().zip(&self.mean).zip(rows) {
                let value = value - mean;
                for (sum, row) in sums.iter_mut().zip(row) {
                    for lane in 0..LANES {
                        sum[lane] += value * row[lane];
                    }
                }
            }
            *out = sums;
        }
    }
}

fn weighted_mean(raw: &[f32], weights: &[f32]) -> [f32; RAW_LENGTH] {
    let mut mean = [0.0; RAW_LENGTH];
    let total: f32 = weights.iter().sum::<f32>().max(1e-6);
    for (cell, weight) in raw.as_chunks::<RAW_LENGTH>().0.iter().zip(weights) {
        mean.iter_mut().zip(cell).for_each(|(mean, value)| *mean += weight / total * value);
    }
    mean
}

fn weighted_covariance(raw: &[f32], weights: &[f32], mean: &[f32; RAW_LENGTH]) -> DMatrix<f64> {
    let total: f32 = weights.iter().sum::<f32>().max(1e-6);
    let mut covariance = DMatrix::zeros(RAW_LENGTH, RAW_LENGTH);
    for (cell, weight) in raw.as_chunks::<RAW_LENGTH>().0.iter().zip(weights) {
        let difference: [f32; RAW_LENGTH] = std::array::from_fn(|i| cell[i] - mean[i]);
        for (i, a) in difference.iter().enumerate() {
            for (j, b) in difference[i..].iter().enumerate() {
                covariance[(i + j, i)] += f64::from(weight / total * a * b);
            }
        }
    }
    covariance.fill_upper_triangle_with_lower_triangle();
    covariance
}

/// The `count` eigenvectors of largest eigenvalue, the largest first.
fn principal_directions(mut covariance: DMatrix<f64>, count: usize) -> Vec<Vec<f64>> {
    // Values that never change would make the decomposition divide zero by zero.
    for i in 0..covariance.nrows() {
        covariance[(i, i)] += LEAST_VARIANCE * (1.0 + i as f64);
    }
    let eigen = SymmetricEigen::new(covariance);
    let mut order: Vec<_> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    order.into_iter().take(count).map(|i| finite(eigen.eigenvectors.column(i).iter().copied())).collect()
}

/// A direction, or none at all where the decomposition has failed.
fn finite(direction: impl Iterator<Item = f64>) -> Vec<f64> {
    direction.map(|value| if value.is_finite() { value } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_of_most_variance_are_kept_and_the_mean_becomes_zero() {
        let mut rng = fastrand::Rng::with_seed(4);
        let cells: Vec<[f32; RAW_LENGTH]> = (0..400)
            .map(|_| {
                let (edge, colour) = (rng.f32() - 0.5, rng.f32() - 0.5);
                let mut cell = [0.1; RAW_LENGTH];
                (cell[3], cell[4]) = (cell[3] + edge, cell[4] - edge);
                cell[HOG_LENGTH + 2] += colour;
                cell
            })
            .collect();
        let raw = cells.as_flattened();
        let projection = Projection::learn(raw, &vec![1.0; cells.len()], 2, 1, 0.5);
        assert_eq!(projection.channels(), LANES);
        let mut out = vec![0.0; cells.len() * LANES];
        projection.project(raw, &mut out);
        let variance = |channel: usize| {
            let values = out.iter().skip(channel).step_by(LANES);
            let mean = values.clone().sum::<f32>() / cells.len() as f32;
            assert!(mean.abs() < 1e-3, "{channel}: {mean}");
            values.map(|v| v * v).sum::<f32>() / cells.len() as f32
        };
        assert!((variance(0) - 1.0).abs() < 0.01, "{}", variance(0));
        assert!(variance(1) < 1e-3, "{}", variance(1));
        assert!((variance(2) - 0.5).abs() < 0.01, "{}", variance(2));
    }
}
