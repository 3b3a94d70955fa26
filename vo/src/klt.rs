//! Following a patch from one image to the next, roughly.
//!
//! Lucas and Kanade's registration in Baker and Matthews' inverse compositional form ("Lucas-Kanade 20 Years On",
//! 2004): the gradients and the normal matrix belong to the template and are computed once per level. Beside the shift, a gain and an
//! offset of the grey values are estimated, so that exposure may change.

use geometry::GrayImage;
use nalgebra::{Matrix4, Vector2, Vector4};

use crate::patch::{HALF, Patch, SIDE, correlation, dot, gradients, sample, vectorized};
use crate::pyramid::{Pyramid, from_level, to_level};

const MAX_ITERATIONS: usize = 12;
/// A step below this many pixels ends the iteration.
const CONVERGED_PX: f32 = 0.1;
/// A patch that wanders further than this from where its level began is lost.
const MAX_WANDER_PX: f32 = 10.0;
/// Smallest accepted correlation between template and found patch.
const MIN_CORRELATION: f32 = 0.5;
/// Smallest mean squared gradient that can be registered, in squared grey levels.
const MIN_GRADIENT: f32 = 1.0;

/// About where in `current` the patch around `pixel` in `previous` is, searched from `guess`; `guess` itself where the coarse
/// levels can't tell.
///
/// Leaves out the finest level: good to a fraction of a pixel, from which a registration at full resolution converges.
pub(crate) fn approach(
    previous: &Pyramid,
    current: &Pyramid,
    pixel: Vector2<f32>,
    guess: Vector2<f32>,
) -> Vector2<f32> {
    let levels = previous.levels().iter().zip(current.levels()).enumerate().skip(1).rev();
    levels.fold(guess, |found, (level, (from, to))| {
        // Too near the border of a coarse level, flat or lost there: finer ones may still hold.
        let registered = vectorized(
            #[inline(always)]
            || Template::new(from, to_level(pixel, level))?.register(to, to_level(found, level)),
        );
        registered.map_or(found, |registered| from_level(registered, level))
    })
}

/// A patch with all that registration needs of it.
struct Template {
    values: Patch,
    gradient_x: Patch,
    gradient_y: Patch,
    inverse_normal_matrix: Matrix4<f32>,
}

impl Template {
    #[inline(always)]
    fn new(image: &GrayImage, center: Vector2<f32>) -> Option<Self> {
        let (values, gradient_x, gradient_y) = gradients(image, center)?;
        let mut template = Self { values, gradient_x, gradient_y, inverse_normal_matrix: Matrix4::zeros() };
        template.inverse_normal_matrix = template.normal_matrix()?.try_inverse()?;
        Some(template)
    }

    /// Sum over the patch of the outer product of `(gx, gy, value, 1)`.
    #[inline(always)]
    fn normal_matrix(&self) -> Option<Matrix4<f32>> {
        let (gx, gy, t) = (&self.gradient_x, &self.gradient_y, &self.values);
        let (xx, xy, yy) = (dot(gx, gx), dot(gx, gy), dot(gy, gy));
        let textured = (xx + yy) / (SIDE * SIDE) as f32 > MIN_GRADIENT;
        let (xt, yt, tt) = (dot(gx, t), dot(gy, t), dot(t, t));
        let (x1, y1) = (gx.iter().flatten().sum(), gy.iter().flatten().sum());
        let count = (SIDE * SIDE) as f32;
        #[rustfmt::skip]
        let matrix = Matrix4::new(
            xx, xy, xt, x1,
            xy, yy, yt, y1,
            xt, yt, tt, 0.0,
            x1, y1, 0.0, count,
        );
        textured.then_some(matrix)
    }

    #[inline(always)]
    fn register(&self, image: &GrayImage, start: Vector2<f32>) -> Option<Vector2<f32>> {
        let mut center = start;
        let (mut gain, mut offset) = (1.0, 0.0);
        for _ in 0..MAX_ITERATIONS {
            let patch: Patch = sample(image, center.map(|v| v - HALF))?;
            let step = self.inverse_normal_matrix * self.gradient_of_cost(&patch, gain, offset);
            let shift = Vector2::new(step.x, step.y) / gain;
            center -= shift;
            gain += step.z;
            offset += step.w;
            let lost = !(0.3..3.0).contains(&gain) || (center - start).norm() > MAX_WANDER_PX;
            if lost || !center.iter().all(|v| v.is_finite()) {
                return None;
            }
            if shift.norm_squared() < CONVERGED_PX * CONVERGED_PX {
                break;
            }
        }
        let patch: Patch = sample(image, center.map(|v| v - HALF))?;
        (correlation(&self.values, &patch) > MIN_CORRELATION).then_some(center)
    }

    /// Sum over the patch of `(gx, gy, value, 1)` times the residual.
    #[inline(always)]
    fn gradient_of_cost(&self, patch: &Patch, gain: f32, offset: f32) -> Vector4<f32> {
        let mut sums = [[0.0f32; SIDE]; 4];
        let template = self.values.iter().zip(&self.gradient_x).zip(&self.gradient_y);
        for (row, ((values, gx), gy)) in patch.iter().zip(template) {
            for x in 0..SIDE {
                let residual = row[x] - gain * values[x] - offset;
                sums[0][x] += gx[x] * residual;
                sums[1][x] += gy[x] * residual;
                sums[2][x] += values[x] * residual;
                sums[3][x] += residual;
            }
        }
        Vector4::from_fn(|i, _| sums[i].iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth scene with detail at several scales, shifted by `(dx, dy)`.
    fn scene(dx: f64, dy: f64, gain: f64, offset: f64) -> Pyramid {
        let image = GrayImage::from_fn(160, 120, |x, y| {
            let (x, y) = (x as f64 - dx, y as f64 - dy);
            let waves = (x * 0.35).sin() * (y * 0.28).cos()
                + (x * 0.11 + y * 0.07).sin()
                + 0.5 * (x * 0.05 - y * 0.19).cos();
            [(offset + gain * (110.0 + 35.0 * waves)).round().clamp(0.0, 255.0) as u8]
        });
        let mut pyramid = Pyramid::new(160, 120, 3);
        pyramid.build(&image);
        pyramid
    }

    fn error_px(dx: f64, dy: f64, gain: f64, offset: f64) -> f32 {
        let (previous, current) = (scene(0.0, 0.0, 1.0, 0.0), scene(dx, dy, gain, offset));
        let pixel = Vector2::new(78.0, 61.0);
        let found = approach(&previous, &current, pixel, pixel);
        (found - pixel - Vector2::new(dx as f32, dy as f32)).norm()
    }

    #[test]
    fn comes_near_over_small_and_large_shifts() {
        assert!(error_px(0.37, -0.81, 1.0, 0.0) < 0.2);
        assert!(error_px(5.25, -3.5, 1.0, 0.0) < 0.2);
    }

    #[test]
    fn exposure_may_change() {
        assert!(error_px(2.4, 1.3, 0.7, 40.0) < 0.3);
        assert!(error_px(2.4, 1.3, 1.3, -30.0) < 0.3);
    }

    #[test]
    fn flat_ground_leaves_the_guess_as_it_was() {
        let textured = scene(0.0, 0.0, 1.0, 0.0);
        let mut flat = Pyramid::new(160, 120, 3);
        flat.build(&GrayImage::filled(160, 120, [90]));
        let (pixel, guess) = (Vector2::new(78.0, 61.0), Vector2::new(80.0, 60.0));
        assert_eq!(approach(&flat, &textured, pixel, guess), guess);
        assert_eq!(approach(&textured, &flat, pixel, guess), guess);
    }
}
