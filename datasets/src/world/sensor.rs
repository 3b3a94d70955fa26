//! From light to grey values.

use std::f64::consts::TAU;

use super::noise::{Rng, hash, unit};

/// Turns linear light into 8-bit colour with the faults of a small camera.
#[derive(Debug)]
pub(crate) struct Sensor {
    noise: bool,
    seed: u32,
    drift: Option<[f64; 4]>,
    /// Grey values of linear light in `[0, 1]`: fine enough to be a fifth of a grey value apart at most.
    curve: Vec<u8>,
}

const STEPS: usize = 16_384;
/// Gain that sets sunlit grass to a middle grey.
const EXPOSURE: f32 = 1.72;
/// Variance of the read noise, and of the shot noise per unit of light.
const READ_VARIANCE: f32 = 2.0e-6;
const SHOT_VARIANCE: f32 = 4.0e-5;

impl Sensor {
    pub(crate) fn new(seed: u64, noise: bool, exposure_drift: bool) -> Self {
        let mut rng = Rng::new(seed, 8);
        let seed = rng.seed();
        let rates = [rng.range(0.2, 0.5), rng.range(0.0, TAU), rng.range(0.7, 1.4), rng.range(0.0, TAU)];
        let light = |i: usize| i as f32 / (STEPS - 1) as f32;
        Self {
            noise,
            seed,
            drift: exposure_drift.then_some(rates),
            curve: (0..STEPS).map(|i| (tone(light(i)) * 255.0 + 0.5) as u8).collect(),
        }
    }

    /// Factor on the light at `time_s`.
    pub(crate) fn gain(&self, time_s: f64) -> f32 {
        let stops = self.drift.map_or(0.0, |[r1, p1, r2, p2]| {
            0.14 * (r1 * time_s + p1).sin() + 0.06 * (r2 * time_s + p2).sin()
        });
        EXPOSURE * 2.0_f64.powf(stops) as f32
    }

    /// The grey values of pixel number `pixel` of frame `frame`; `light` already has the gain.
    #[inline]
    pub(crate) fn develop(&self, light: [f32; 3], frame: u32, pixel: u32) -> [u8; 3] {
        let mut value = light.map(|light| light.clamp(0.0, 1.0));
        if self.noise {
            let mut h = hash(pixel, frame, self.seed);
            let mut draw = || {
                let drawn = gaussian(h);
                h = h.wrapping_mul(0x9E37_79B1) ^ (h >> 13) ^ 0x5bd1_e995;
                drawn
            };
            // Draws first: the roots of three channels are then one instruction.
            let drawn = [draw(), draw(), draw()];
            let deviation = value.map(|value| (READ_VARIANCE + SHOT_VARIANCE * value).sqrt());
            value = std::array::from_fn(|c| (value[c] + deviation[c] * drawn[c]).clamp(0.0, 1.0));
        }
        // Signed: the only width that SSE2 converts to.
        value.map(|value| self.curve[((value * (STEPS - 1) as f32 + 0.5) as i32 as usize).min(STEPS - 1)])
    }
}

/// About normal, from the four bytes of a hash: their sum has mean 510 and standard deviation 147.8.
#[inline]
fn gaussian(h: u32) -> f32 {
    let mixed = h ^ (h >> 16).wrapping_mul(0x045D_9F3B);
    let sum: u32 = mixed.to_le_bytes().into_iter().map(u32::from).sum();
    (sum as f32 - 510.0) / 147.8 + 0.01 * (unit(h) - 0.5)
}

/// sRGB with highlights rolled off, and the contrast that cameras add.
fn tone(light: f32) -> f32 {
    let soft = 1.12 * light / (1.0 + 0.15 * light);
    let display = if soft <= 0.003_130_8 { 12.92 * soft } else { 1.055 * soft.powf(1.0 / 2.4) - 0.055 };
    let contrast = display * display * (3.0 - 2.0 * display);
    0.6 * display + 0.4 * contrast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_curve_rises_everywhere() {
        let sensor = Sensor::new(1, false, false);
        assert!(sensor.curve.windows(2).all(|w| w[1] >= w[0]));
        assert!(sensor.curve[STEPS - 1] > 230);
    }

    #[test]
    fn noise_has_no_bias_and_the_strength_stated() {
        let noisy = Sensor::new(1, true, false);
        let light = 0.2;
        let truth = f64::from(tone(light) * 255.0);
        let values: Vec<f64> =
            (0..20_000).map(|i| f64::from(noisy.develop([light; 3], 3, i)[1]) - truth).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let rms = (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
        assert!(mean.abs() < 0.1, "{mean}");
        assert!((0.7..3.0).contains(&rms), "{rms}");
    }
}
