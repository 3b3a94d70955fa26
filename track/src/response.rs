//! Templates moved over a feature map, and the maps of answers.

use std::ops::Range;

use crate::features::FeatureMap;
use crate::simd::{LANES, multiply_add, vectorized};

/// Parts along each axis of a template.
pub(crate) const PARTS: usize = 3;
/// Parts of a template, row by row.
pub(crate) const PART_COUNT: usize = PARTS * PARTS;

/// Values for each shift of a target, `[side, side]` with `side = 2 * reach + 1`; no shift lies in the middle.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Response {
    /// Largest shift along each axis, in cells.
    pub(crate) reach: usize,
    /// All values.
    pub(crate) values: Vec<f32>,
}

impl Response {
    /// Zero everywhere.
    pub(crate) fn zeros(reach: usize) -> Self {
        Self { reach, values: vec![0.0; (2 * reach + 1) * (2 * reach + 1)] }
    }

    /// Shifts along each axis.
    pub(crate) fn side(&self) -> usize {
        2 * self.reach + 1
    }

    /// Index and value of the largest value.
    pub(crate) fn peak(&self) -> (usize, f32) {
        let first = (0, f32::NEG_INFINITY);
        let larger = |best: (usize, f32), (i, &v): (usize, &f32)| if v > best.1 { (i, v) } else { best };
        self.values.iter().enumerate().fold(first, larger)
    }

    /// The shift, in cells, of the value at `index`, refined by a parabola along each axis.
    pub(crate) fn shift(&self, index: usize) -> [f32; 2] {
        let side = self.side();
        let (x, y) = (index % side, index / side);
        let refine = |at: usize, stride: usize| {
            if at == 0 || at + 1 == side {
                return 0.0;
            }
            let [before, here, after] = [index - stride, index, index + stride].map(|i| self.values[i]);
            let curvature = before - 2.0 * here + after;
            if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
        };
        let reach = self.reach as f32;
        [x as f32 + refine(x, 1) - reach, y as f32 + refine(y, side) - reach]
    }

    /// How far the peak stands out: `(max - min)^2 / mean((value - min)^2)`, the average peak-to-correlation energy of
    /// Wang et al. (Large Margin Object Tracking with Circulant Feature Maps, CVPR 2017).
    pub(crate) fn peak_to_energy(&self) -> f32 {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = self.peak().1;
        let energy: f32 = self.values.iter().map(|v| (v - least).powi(2)).sum();
        (most - least).powi(2) * self.values.len() as f32 / energy.max(1e-12)
    }
}

/// What a target looks like: `[height, width, channels]`, both sides odd, in 3x3 parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    /// Cells along x and y.
    pub(crate) size: [usize; 2],
    /// Values per cell.
    pub(crate) channels: usize,
    /// All values.
    pub(crate) values: Vec<f32>,
}

impl Template {
    /// Zero everywhere.
    pub(crate) fn zeros(size: [usize; 2], channels: usize) -> Self {
        Self { size, channels, values: vec![0.0; size[0] * size[1] * channels] }
    }

    /// First cell of each part along `axis`, and the end of the last.
    pub(crate) fn bounds(&self, axis: usize) -> [usize; PARTS + 1] {
        std::array::from_fn(|part| (part * self.size[axis] + 1) / PARTS)
    }

    /// Middle of each part relative to the template's, in cells, row by row.
    pub(crate) fn part_centers(&self) -> [[f32; 2]; PART_COUNT] {
        let bounds = [self.bounds(0), self.bounds(1)];
        let middle = |axis: usize, part: usize| {
            (bounds[axis][part] + bounds[axis][part + 1]) as f32 / 2.0 - self.size[axis] as f32 / 2.0
        };
        std::array::from_fn(|part| [middle(0, part % PARTS), middle(1, part / PARTS)])
    }

    /// Correlation of each part with `map`, the target at all shifts up to `reach`, which is at least 2.
    pub(crate) fn part_responses(&self, map: &FeatureMap, reach: usize, out: &mut [Response; PART_COUNT]) {
        for response in out.iter_mut() {
            response.reach = reach;
            response.values.clear();
            response.values.resize((2 * reach + 1) * (2 * reach + 1), 0.0);
        }
        vectorized(|| self.correlate(map, reach, out));
    }

    #[inline(always)]
    fn correlate(&self, map: &FeatureMap, reach: usize, out: &mut [Response; PART_COUNT]) {
        let (columns, rows) = (self.bounds(0), self.bounds(1));
        let first = [0, 1].map(|axis| map.side / 2 - reach - self.size[axis] / 2);
        let side = 2 * reach + 1;
        for y in 0..side {
            for (part, response) in out.iter_mut().enumerate() {
                let columns = columns[part % PARTS]..columns[part % PARTS + 1];
                let rows = rows[part / PARTS]..rows[part / PARTS + 1];
                let line = &mut response.values[y * side..(y + 1) * side];
                for block in 0..side.div_ceil(TOGETHER) {
                    // The last block reaches back instead of beyond the line.
                    let x = (block * TOGETHER).min(side - TOGETHER);
                    let corner = [first[0] + x, first[1] + y];
                    let sums = self.correlate_block(map, corner, rows.clone(), columns.clone());
                    line[x..x + TOGETHER].copy_from_slice(&sums);
                }
            }
        }
    }

    /// The products of a part with `map` where the template's corner lies at `corner` and at the next cells to the right.
    #[inline(always)]
    fn correlate_block(
        &self,
        map: &FeatureMap,
        corner: [usize; 2],
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> [f32; TOGETHER] {
        let channels = self.channels;
        let length = columns.len() * channels;
        let mut lanes = [[0.0; LANES]; TOGETHER];
        for row in rows {
            let template = &self.values[(row * self.size[0] + columns.start) * channels..][..length];
            let start = ((corner[1] + row) * map.side + corner[0] + columns.start) * channels;
            let window = &map.values[start..start + length + (TOGETHER - 1) * channels];
            let shifted = |i: usize| window[i * channels..i * channels + length].as_chunks::<LANES>().0;
            let pairs = shifted(0).iter().zip(shifted(1)).zip(shifted(2).iter().zip(shifted(3)));
            for (template, ((a, b), (c, d))) in template.as_chunks::<LANES>().0.iter().zip(pairs) {
                multiply_add(&mut lanes[0], template, a);
                multiply_add(&mut lanes[1], template, b);
                multiply_add(&mut lanes[2], template, c);
                multiply_add(&mut lanes[3], template, d);
            }
        }
        lanes.map(|lane| lane.iter().sum())
    }
}

/// Shifts worked on together: their sums share the loads of the template.
const TOGETHER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_are_the_correlation_of_the_whole() {
        let mut rng = fastrand::Rng::with_seed(2);
        let (side, channels, reach) = (24, 16, 5);
        let mut noise = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.f32() - 0.5).collect() };
        let map = FeatureMap { side, channels, values: noise(side * side * channels) };
        let size = [11, 7];
        let template = Template { size, channels, values: noise(11 * 7 * channels) };
        let mut parts: [Response; PART_COUNT] = Default::default();
        template.part_responses(&map, reach, &mut parts);
        for (dx, dy) in [(0, 0), (-5, 5), (3, -4), (5, 1)] {
            let mut expected = 0.0;
            for (i, value) in template.values.iter().enumerate() {
                let (c, x, y) = (i % channels, i / channels % size[0], i / channels / size[0]);
                let at = |v: usize, axis: usize, shift: isize| {
                    (v + side / 2 - size[axis] / 2).wrapping_add_signed(shift)
                };
                expected += value * map.values[(at(y, 1, dy) * side + at(x, 0, dx)) * channels + c];
            }
            let index = (dy + 5) as usize * 11 + (dx + 5) as usize;
            let got: f32 = parts.iter().map(|part| part.values[index]).sum();
            assert!((got - expected).abs() < 1e-3, "{dx}, {dy}: {got} instead of {expected}");
        }
    }

    #[test]
    fn a_peak_between_cells_is_met() {
        let mut response = Response::zeros(5);
        for (i, value) in response.values.iter_mut().enumerate() {
            let (x, y) = ((i % 11) as f32 - 6.3, (i / 11) as f32 - 4.2);
            *value = (-(x * x + y * y) / 8.0).exp();
        }
        let [x, y] = response.shift(response.peak().0);
        assert!((x - 1.3).abs() < 0.05 && (y + 0.8).abs() < 0.05, "{x}, {y}");
    }
}
