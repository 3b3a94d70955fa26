//! How the image around a target moved as a whole, from one frame to the next, by phase correlation.

use geometry::{Frame, GrayImage};
use rustfft::num_complex::Complex32;

use crate::features::{Sampler, Window};
use crate::fourier::Fourier;
use crate::response::Response;

/// Samples along each axis.
const SIDE: usize = 64;
/// Largest shift believed, in samples: beyond, too little is common to both.
const REACH: usize = 20;
/// A peak lower than this is noise.
const LEAST_PEAK: f32 = 0.1;
/// A shift of less than this many samples is left to the tracker, which sees more finely.
const LEAST_SHIFT: f32 = 1.0;

/// Measures shifts; buffers are kept.
#[derive(Debug)]
pub(crate) struct EgoMotion {
    fourier: Fourier,
    taper: Vec<f32>,
    sampler: Sampler,
    samples: Vec<f32>,
    spectra: [Vec<Complex32>; 2],
}

impl EgoMotion {
    pub(crate) fn new() -> Self {
        let fourier = Fourier::new(SIDE);
        let zero = vec![Complex32::default(); fourier.bins()];
        let hann = |v: usize| 0.5 - 0.5 * (std::f32::consts::TAU * (v as f32 + 0.5) / SIDE as f32).cos();
        let taper = (0..SIDE * SIDE).map(|i| hann(i % SIDE) * hann(i / SIDE)).collect();
        Self {
            fourier,
            taper,
            sampler: Sampler::default(),
            samples: Vec::new(),
            spectra: [zero.clone(), zero],
        }
    }

    /// By how many pixels what is around `center`, within about `extent` pixels, moved from `previous` to `frame`; none where
    /// the two have nothing in common.
    pub(crate) fn measure(
        &mut self,
        previous: &GrayImage,
        frame: &Frame,
        center: [f32; 2],
        extent: f32,
    ) -> [f32; 2] {
        let sizes = [frame.gray.width() as f32, frame.gray.height() as f32];
        let side = sizes.map(|size| extent.min(size));
        let center = [0, 1].map(|axis| {
            let half = side[axis] / 2.0;
            center[axis].clamp(half - 0.5, (sizes[axis] - half - 0.5).max(half - 0.5))
        });
        let step = side.map(|side| side / SIDE as f32);
        let window = Window { center, step, size: [SIDE; 2], turn: 0.0 };
        for (image, which) in [(previous, 0), (&*frame.gray, 1)] {
            self.sampler.sample(image, &window, &mut self.samples);
            let mean = self.samples.iter().sum::<f32>() / self.samples.len() as f32;
            let tapered = self.samples.iter_mut().zip(&self.taper);
            tapered.for_each(|(value, taper)| *value = (*value - mean) * taper);
            self.fourier.forward(&mut self.samples, &mut self.spectra[which]);
        }
        let [before, after] = &mut self.spectra;
        for (before, after) in before.iter_mut().zip(after) {
            let product = before.conj() * *after;
            *before = product / (product.norm() + 1e-6);
        }
        self.fourier.inverse(before, &mut self.samples);
        let response = centered(&self.samples);
        let (index, peak) = response.peak();
        if peak < LEAST_PEAK {
            return [0.0; 2];
        }
        let shift = response.shift(index);
        if shift[0].hypot(shift[1]) < LEAST_SHIFT {
            return [0.0; 2];
        }
        [shift[0] * step[0], shift[1] * step[1]]
    }
}

/// The shifts within reach, none in the middle.
fn centered(plane: &[f32]) -> Response {
    let mut response = Response::zeros(REACH);
    let side = response.side();
    for (index, value) in response.values.iter_mut().enumerate() {
        let at = |v: usize| (v + SIDE - REACH) % SIDE;
        *value = plane[at(index / side) * SIDE + at(index % side)];
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{PinholeCamera, Timestamp};

    use super::*;

    fn texture(shift: [f32; 2]) -> GrayImage {
        GrayImage::from_fn(320, 240, |x, y| {
            let (x, y) = (x as f32 - shift[0], y as f32 - shift[1]);
            let wave = |a: f32, b: f32, c: f32| (a * x + b * y + c).sin();
            let sum = wave(0.11, 0.05, 0.0)
                + wave(-0.07, 0.13, 1.0) * wave(0.031, 0.047, 2.0)
                + wave(0.21, -0.17, 3.0);
            [(128.0 + 40.0 * sum) as u8]
        })
    }

    #[test]
    fn a_shift_of_the_whole_image_is_measured() {
        let camera = Arc::new(PinholeCamera::from_horizontal_fov(320, 240, 1.2).unwrap());
        for shift in [[0.0, 0.0], [12.0, -7.0], [-23.0, 18.0]] {
            let frame = Frame {
                stamp: Timestamp::from_nanos(0),
                seq: 0,
                gray: Arc::new(texture(shift)),
                rgb: None,
                camera: Arc::clone(&camera),
            };
            let got = EgoMotion::new().measure(&texture([0.0; 2]), &frame, [160.0, 120.0], 240.0);
            assert!((got[0] - shift[0]).abs() < 1.5 && (got[1] - shift[1]).abs() < 1.5, "{shift:?}: {got:?}");
        }
    }
}
