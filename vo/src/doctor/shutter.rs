//! A rolling shutter shows where a camera shakes: rows that are exposed one after another move one after another.
//!
//! What a plane leaves of the motion between two frames is averaged in bands of rows. A scene's depth leaves much the same from one
//! frame to the next, a shaking camera something else each time; so the second difference over three pairs of frames tells
//! the two apart, and the scatter inside the bands tells how much of it is noise.

use nalgebra::Vector2;

/// Bands of rows.
const BANDS: usize = 8;
/// A band of fewer points has no mean worth the name.
const LEAST_POINTS: usize = 5;
/// `(1, -2, 1)` makes this of the variance of one value.
const SECOND_DIFFERENCE: f64 = 6.0;
/// Fewer bands over all windows say nothing.
const LEAST_BANDS: usize = 24;

/// Mean motion of each band and its variance, in units of the plane `z = 1`.
#[derive(Clone, Debug)]
pub(super) struct Bands([Option<(Vector2<f64>, f64)>; BANDS]);

impl Bands {
    /// Of places in an image and what a plane leaves there; its rows lie between `top` and `bottom` on the plane `z = 1`.
    pub(super) fn of(residuals: &[[Vector2<f64>; 2]], top: f64, bottom: f64) -> Self {
        let mut members: [Vec<Vector2<f64>>; BANDS] = Default::default();
        for [place, residual] in residuals {
            let place = (place.y - top) / (bottom - top) * BANDS as f64;
            if let Some(members) = members.get_mut(place.max(0.0) as usize) {
                members.push(*residual);
            }
        }
        Self(members.map(|members| mean(&members)))
    }
}

/// The mean and its variance per axis.
fn mean(members: &[Vector2<f64>]) -> Option<(Vector2<f64>, f64)> {
    let count = members.len() as f64;
    let mean = members.iter().sum::<Vector2<f64>>() / count;
    let scatter: f64 = members.iter().map(|member| (member - mean).norm_squared()).sum();
    (members.len() >= LEAST_POINTS).then(|| (mean, scatter / 2.0 / (count - 1.0) / count))
}

/// Gathers evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct RowWobble {
    squared: f64,
    noise: f64,
    bands: usize,
}

impl RowWobble {
    /// Takes in three pairs of frames, each pair beginning with the frame that ends the one before.
    pub(super) fn add(&mut self, window: &[Bands; 3]) {
        let [before, now, after] = window;
        for band in 0..BANDS {
            let (Some(a), Some(b), Some(c)) = (before.0[band], now.0[band], after.0[band]) else { continue };
            let difference = a.0 - 2.0 * b.0 + c.0;
            self.squared += difference.norm_squared() / 2.0 / SECOND_DIFFERENCE;
            self.noise += (a.1 + 4.0 * b.1 + c.1) / SECOND_DIFFERENCE;
            self.bands += 1;
        }
    }

    /// Root mean square motion of bands by itself, noise taken out, and the noise; in units of the plane `z = 1`. `None`
    /// where too little was seen.
    pub(super) fn result(&self) -> Option<[f64; 2]> {
        let mean = |sum: f64| sum / self.bands as f64;
        (self.bands >= LEAST_BANDS)
            .then(|| [mean((self.squared - self.noise).max(0.0)).sqrt(), mean(self.noise).sqrt()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points over the image that a plane leaves this of, by their row from 0 to 1.
    fn bands(random: &mut fastrand::Rng, left: impl Fn(f64) -> f64) -> Bands {
        let mut point = || {
            let y = random.f64();
            let noise = Vector2::new(random.f64() - 0.5, random.f64() - 0.5) * 0.02;
            let at = Vector2::new(0.0, y);
            [at, Vector2::new(left(y), 0.0) + noise]
        };
        let residuals: Vec<_> = (0..200).map(|_| point()).collect();
        Bands::of(&residuals, 0.0, 1.0)
    }

    fn wobble(left: impl Fn(usize, f64) -> f64) -> [f64; 2] {
        let mut random = fastrand::Rng::with_seed(2);
        let mut wobble = RowWobble::default();
        for first in 0..20 {
            wobble.add(&[0, 1, 2].map(|i| bands(&mut random, |y| left(first * 3 + i, y))));
        }
        wobble.result().unwrap()
    }

    #[test]
    fn rows_that_shake_are_told_from_a_scene_and_from_noise() {
        let [still, noise] = wobble(|_, _| 0.0);
        assert!(still < noise && noise < 0.003, "{still} {noise}");
        let [scene, _] = wobble(|_, y| 0.05 * (9.0 * y).sin());
        assert!(scene < 0.002, "a scene that stays: {scene}");
        let [shaking, _] = wobble(|pair, y| 0.02 * (9.0 * y + 2.1 * pair as f64).sin());
        assert!((0.01..0.03).contains(&shaking), "{shaking}");
    }

    #[test]
    fn little_says_nothing() {
        assert!(RowWobble::default().result().is_none());
        assert!(mean(&[Vector2::zeros(); 3]).is_none());
    }
}
