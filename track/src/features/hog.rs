//! Histograms of oriented gradients as Felzenszwalb et al. define them (Object Detection with Discriminatively Trained
//! Part Based Models, PAMI 2010, section 6), without the projection: 18 directions, 9 orientations, 4 energies.

use crate::simd::vectorized;

/// Side of a cell in samples.
pub(crate) const CELL: usize = 4;
/// Values per cell: the 31 of the paper and the cell's mean brightness.
pub(crate) const HOG_LENGTH: usize = 32;

/// Directions over the full circle.
const DIRECTIONS: usize = 18;
/// Orientations, in which a direction and its opposite are one.
const ORIENTATIONS: usize = DIRECTIONS / 2;
/// No single direction may count for more.
const TRUNCATION: f32 = 0.2;
/// Keeps flat cells from being blown up.
const FLAT_ENERGY: f32 = 1e-3;
/// A sample's vote is split between the two nearest cells, by a sample's place in its cell: what goes to the second of them.
const SPLIT: [f32; CELL] = [0.625, 0.875, 0.125, 0.375];

type Cell = [f32; DIRECTIONS];

/// Histograms over a grid of cells; buffers are kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Hog {
    magnitude: Vec<f32>,
    direction: Vec<i32>,
    line: Vec<Cell>,
    cells: Vec<Cell>,
    energy: Vec<f32>,
}

impl Hog {
    /// Describes `gray`, in `[0, 1]` and of `cells + 2` cells each way: the outermost are needed as neighbours. Writes
    /// [`HOG_LENGTH`] values per cell at the start of each piece of `stride` values of `out`, cells row by row.
    pub(crate) fn describe(&mut self, gray: &[f32], cells: [usize; 2], out: &mut [f32], stride: usize) {
        let around = cells.map(|n| n + 2);
        let (width, height) = (around[0] * CELL, around[1] * CELL);
        debug_assert_eq!(gray.len(), width * height);
        self.magnitude.resize(width, 0.0);
        self.direction.resize(width, 0);
        // One spare cell on either side takes what the outermost samples give away.
        self.line.resize(around[0] + 2, [0.0; DIRECTIONS]);
        self.cells.clear();
        self.cells.resize((around[0] + 2) * (around[1] + 2), [0.0; DIRECTIONS]);
        for y in 0..height {
            let row = |y: usize| &gray[y * width..(y + 1) * width];
            let (above, here, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1)));
            vectorized(|| gradients(above, here, below, &mut self.magnitude, &mut self.direction));
            self.vote(y);
        }
        self.measure_energy(around);
        vectorized(|| self.normalise(cells, out, stride));
        mean_brightness(gray, cells, out, stride);
    }

    /// Adds one line of samples to the cells above and below it.
    fn vote(&mut self, y: usize) {
        self.line.fill([0.0; DIRECTIONS]);
        let samples = self.magnitude.as_chunks::<CELL>().0.iter().zip(self.direction.as_chunks::<CELL>().0);
        for (cell, (magnitudes, directions)) in samples.enumerate() {
            for i in 0..CELL {
                let first = cell + usize::from(i >= CELL / 2);
                let (magnitude, direction) = (magnitudes[i], directions[i] as usize % DIRECTIONS);
                self.line[first][direction] += (1.0 - SPLIT[i]) * magnitude;
                self.line[first + 1][direction] += SPLIT[i] * magnitude;
            }
        }
        let columns = self.line.len();
        let first = y / CELL + usize::from(y % CELL >= CELL / 2);
        let to_second = SPLIT[y % CELL];
        let line = self.line.as_flattened();
        for (row, weight) in [(first, 1.0 - to_second), (first + 1, to_second)] {
            let cells = self.cells[row * columns..(row + 1) * columns].as_flattened_mut();
            vectorized(|| cells.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * value));
        }
    }

    fn measure_energy(&mut self, around: [usize; 2]) {
        let columns = around[0] + 2;
        self.energy.clear();
        for y in 0..around[1] {
            let cells = &self.cells[(y + 1) * columns + 1..][..around[0]];
            self.energy.extend(cells.iter().map(|cell| {
                (0..ORIENTATIONS).map(|o| (cell[o] + cell[o + ORIENTATIONS]).powi(2)).sum::<f32>()
            }));
        }
    }

    #[inline(always)]
    fn normalise(&self, cells: [usize; 2], out: &mut [f32], stride: usize) {
        let (columns, width) = (cells[0] + 4, cells[0] + 2);
        for y in 0..cells[1] {
            for x in 0..cells[0] {
                let energy = |dx: usize, dy: usize| self.energy[(y + dy) * width + x + dx];
                let block = |dx: usize, dy: usize| {
                    let sum =
                        energy(dx, dy) + energy(dx + 1, dy) + energy(dx, dy + 1) + energy(dx + 1, dy + 1);
                    1.0 / (sum + FLAT_ENERGY).sqrt()
                };
                let norms = [block(0, 0), block(1, 0), block(0, 1), block(1, 1)];
                let cell = &self.cells[(y + 2) * columns + x + 2];
                let start = (y * cells[0] + x) * stride;
                normalised(cell, norms, &mut out[start..start + HOG_LENGTH]);
            }
        }
    }
}

/// Strength and direction (0 to 17) of the gradient of each sample of a line.
#[inline(always)]
fn gradients(above: &[f32], here: &[f32], below: &[f32], magnitude: &mut [f32], direction: &mut [i32]) {
    let width = here.len();
    for x in [0, width - 1] {
        (magnitude[x], direction[x]) = (0.0, 0);
    }
    let (left, right) = (&here[..width - 2], &here[2..]);
    let (above, below) = (&above[1..width - 1], &below[1..width - 1]);
    let (magnitude, direction) = (&mut magnitude[1..width - 1], &mut direction[1..width - 1]);
    for x in 0..width - 2 {
        let (dx, dy) = (right[x] - left[x], below[x] - above[x]);
        magnitude[x] = (dx * dx + dy * dy).sqrt();
        let (mut best, mut index) = (0.0, 0);
        for (o, [cos, sin]) in UNIT.iter().enumerate() {
            let along = cos * dx + sin * dy;
            index = if along > best { o as i32 } else { index };
            best = if along > best { along } else { best };
            index = if -along > best { (o + ORIENTATIONS) as i32 } else { index };
            best = if -along > best { -along } else { best };
        }
        direction[x] = index;
    }
}

/// `(cos, sin)` of 0, 20 .. 160 degrees.
const UNIT: [[f32; 2]; ORIENTATIONS] = [
    [1.0, 0.0],
    [0.939_692_6, 0.342_020_15],
    [0.766_044_44, 0.642_787_6],
    [0.5, 0.866_025_4],
    [0.173_648_18, 0.984_807_7],
    [-0.173_648_18, 0.984_807_7],
    [-0.5, 0.866_025_4],
    [-0.766_044_44, 0.642_787_6],
    [-0.939_692_6, 0.342_020_15],
];

/// A cell against the four blocks that it is part of.
#[inline(always)]
fn normalised(cell: &Cell, norms: [f32; 4], out: &mut [f32]) {
    let mut energies = [0.0; 4];
    for (energy, norm) in energies.iter_mut().zip(norms) {
        *energy = cell.iter().map(|value| (value * norm).min(TRUNCATION)).sum();
    }
    for o in 0..DIRECTIONS {
        out[o] = 0.5 * norms.iter().map(|norm| (cell[o] * norm).min(TRUNCATION)).sum::<f32>();
    }
    for o in 0..ORIENTATIONS {
        let both = cell[o] + cell[o + ORIENTATIONS];
        out[DIRECTIONS + o] = 0.5 * norms.iter().map(|norm| (both * norm).min(TRUNCATION)).sum::<f32>();
    }
    for (k, energy) in energies.iter().enumerate() {
        out[DIRECTIONS + ORIENTATIONS + k] = 0.235_702_26 * energy;
    }
}

/// The last value of each cell: how bright it is, from -0.5 to 0.5.
fn mean_brightness(gray: &[f32], cells: [usize; 2], out: &mut [f32], stride: usize) {
    let width = (cells[0] + 2) * CELL;
    for (index, cell) in out.chunks_exact_mut(stride).enumerate() {
        let (x, y) = (index % cells[0] + 1, index / cells[0] + 1);
        let rows = (0..CELL).map(|dy| &gray[(y * CELL + dy) * width + x * CELL..][..CELL]);
        let sum: f32 = rows.flatten().sum();
        cell[HOG_LENGTH - 1] = sum / (CELL * CELL) as f32 - 0.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(pixel: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        let side = (6 + 2) * CELL;
        let gray: Vec<f32> = (0..side * side).map(|i| pixel((i % side) as f32, (i / side) as f32)).collect();
        let mut out = vec![0.0; 36 * HOG_LENGTH];
        Hog::default().describe(&gray, [6, 6], &mut out, HOG_LENGTH);
        out
    }

    fn strongest(cell: &[f32]) -> usize {
        (0..DIRECTIONS).fold(0, |best, o| if cell[o] > cell[best] { o } else { best })
    }

    #[test]
    fn a_slope_has_its_direction_in_every_cell() {
        for direction in 0..DIRECTIONS {
            let angle = direction as f32 * 20.0_f32.to_radians();
            let out = described(|x, y| 0.5 + 0.01 * (x * angle.cos() + y * angle.sin()));
            assert!(out.chunks_exact(HOG_LENGTH).all(|cell| strongest(cell) == direction), "{direction}");
        }
    }

    #[test]
    fn contrast_and_brightness_change_nothing_but_the_last_value() {
        let pattern = |x: f32, y: f32| (0.5 * x).sin() * (0.3 * y).cos();
        let (strong, weak) =
            (described(|x, y| 0.3 * pattern(x, y)), described(|x, y| 0.5 + 0.2 * pattern(x, y)));
        for (i, (a, b)) in strong.iter().zip(&weak).enumerate() {
            if i % HOG_LENGTH != HOG_LENGTH - 1 {
                assert!((a - b).abs() < 0.02, "{i}: {a} {b}");
            }
        }
        let means = strong.iter().zip(&weak).skip(HOG_LENGTH - 1).step_by(HOG_LENGTH);
        assert!(means.into_iter().all(|(a, b)| b > a));
    }

    #[test]
    fn a_flat_image_has_no_edges() {
        let out = described(|_, _| 0.25);
        assert!(out.chunks_exact(HOG_LENGTH).all(|cell| cell[..HOG_LENGTH - 1].iter().all(|v| *v == 0.0)));
        assert!(out.iter().skip(HOG_LENGTH - 1).step_by(HOG_LENGTH).all(|v| (v + 0.25).abs() < 1e-6));
    }
}
