//! Fourier transforms of square planes of real numbers.

use std::fmt;
use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Transforms of planes `[side, side]` and back. A spectrum lies `[side / 2 + 1, side]`: a row for each horizontal
/// frequency from 0, since those below it say nothing new.
pub(crate) struct Fourier {
    side: usize,
    rows: Arc<dyn RealToComplex<f32>>,
    rows_back: Arc<dyn ComplexToReal<f32>>,
    columns: Arc<dyn Fft<f32>>,
    columns_back: Arc<dyn Fft<f32>>,
    lines: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Fourier {
    /// For planes of `side`, even and at least 4.
    pub(crate) fn new(side: usize) -> Self {
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        let (rows, rows_back) = (real.plan_fft_forward(side), real.plan_fft_inverse(side));
        let (columns, columns_back) = (complex.plan_fft_forward(side), complex.plan_fft_inverse(side));
        let scratch = [
            rows.get_scratch_len(),
            rows_back.get_scratch_len(),
            columns.get_inplace_scratch_len(),
            columns_back.get_inplace_scratch_len(),
        ];
        let zero = Complex32::default();
        let scratch = vec![zero; scratch.into_iter().max().unwrap_or(0)];
        Self {
            side,
            rows,
            rows_back,
            columns,
            columns_back,
            lines: vec![zero; side * (side / 2 + 1)],
            scratch,
        }
    }

    /// Cells along each axis of a plane.
    pub(crate) fn side(&self) -> usize {
        self.side
    }

    /// Length of a spectrum.
    pub(crate) fn bins(&self) -> usize {
        self.side * (self.side / 2 + 1)
    }

    /// The spectrum of `plane`, which is used up.
    pub(crate) fn forward(&mut self, plane: &mut [f32], spectrum: &mut [Complex32]) {
        let half = self.side / 2 + 1;
        for (row, line) in plane.chunks_exact_mut(self.side).zip(self.lines.chunks_exact_mut(half)) {
            // Fails only where lengths differ, and they were made for each other.
            let _ =
                self.rows.process_with_scratch(row, line, &mut self.scratch[..self.rows.get_scratch_len()]);
        }
        transpose(&self.lines, half, spectrum);
        self.columns.process_with_scratch(spectrum, &mut self.scratch);
    }

    /// The plane of `spectrum`, which is used up.
    pub(crate) fn inverse(&mut self, spectrum: &mut [Complex32], plane: &mut [f32]) {
        let half = self.side / 2 + 1;
        self.columns_back.process_with_scratch(spectrum, &mut self.scratch);
        transpose(spectrum, self.side, &mut self.lines);
        let scale = 1.0 / (self.side * self.side) as f32;
        for (row, line) in plane.chunks_exact_mut(self.side).zip(self.lines.chunks_exact_mut(half)) {
            // What rounding left here would be refused.
            (line[0].im, line[half - 1].im) = (0.0, 0.0);
            let scratch = &mut self.scratch[..self.rows_back.get_scratch_len()];
            let _ = self.rows_back.process_with_scratch(line, row, scratch);
            row.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fourier").field("side", &self.side).finish_non_exhaustive()
    }
}

/// Rows of `width` become columns.
fn transpose(from: &[Complex32], width: usize, to: &mut [Complex32]) {
    let height = from.len() / width.max(1);
    for (x, column) in to.chunks_exact_mut(height.max(1)).enumerate() {
        for (y, value) in column.iter_mut().enumerate() {
            *value = from[y * width + x];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        let mut rng = fastrand::Rng::with_seed(1);
        for side in [8, 20, 48] {
            let mut fourier = Fourier::new(side);
            let plane: Vec<f32> = (0..side * side).map(|_| rng.f32() - 0.5).collect();
            let mut spectrum = vec![Complex32::default(); fourier.bins()];
            let mut back = vec![0.0; plane.len()];
            fourier.forward(&mut plane.clone(), &mut spectrum);
            assert!((spectrum[0].re - plane.iter().sum::<f32>()).abs() < 1e-3);
            fourier.inverse(&mut spectrum, &mut back);
            assert!(plane.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn a_shift_turns_the_phase_of_each_frequency() {
        let side = 16;
        let mut fourier = Fourier::new(side);
        let mut plane = vec![0.0; side * side];
        plane[3 * side + 5] = 1.0;
        let mut spectrum = vec![Complex32::default(); fourier.bins()];
        fourier.forward(&mut plane, &mut spectrum);
        for (fx, fy) in [(1, 0), (0, 1), (4, 9)] {
            let angle = -std::f32::consts::TAU * (5 * fx + 3 * fy) as f32 / side as f32;
            assert!((spectrum[fx * side + fy] - Complex32::from_polar(1.0, angle)).norm() < 1e-5);
        }
    }
}
