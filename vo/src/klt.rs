//! Following a patch from one image to the next.
//!
//! Lucas and Kanade's registration in Baker and Matthews' inverse compositional form ("Lucas-Kanade 20 Years On",
//! 2004): the gradients and the normal matrix belong to the template and are computed once per level. Beside the shift, a gain and an
//! offset of the grey values are estimated, so that exposure may change.

use geometry::GrayImage;
use nalgebra::{Matrix4, Vector2, Vector4};

use crate::pyramid::Pyramid;

/// Side of the patch in pixels.
const SIDE: usize = 16;
/// The template with a border of one for gradients.
const BORDERED: usize = SIDE + 2;
/// From the patch's centre to its first sample.
const HALF: f32 = (SIDE as f32 - 1.0) / 2.0;

const MAX_ITERATIONS: usize = 12;
/// A step below this many pixels ends the iteration.
const CONVERGED_PX: f32 = 0.015;
/// A patch that wanders further than this from where its level began is lost.
const MAX_WANDER_PX: f32 = 10.0;
/// Smallest accepted correlation between template and found patch.
const MIN_CORRELATION: f32 = 0.85;
/// Smallest mean squared gradient that can be registered, in squared grey levels.
const MIN_GRADIENT: f32 = 1.0;

type Patch = [[f32; SIDE]; SIDE];

/// The pixel in `current` of the patch around `pixel` in `previous`, searched from `guess`; `None` where it is lost.
///
/// Precise to a few hundredths of a pixel on textured ground.
pub(crate) fn track(
    previous: &Pyramid,
    current: &Pyramid,
    pixel: Vector2<f32>,
    guess: Vector2<f32>,
) -> Option<Vector2<f32>> {
    let mut found = guess;
    let mut correlation = 0.0;
    for (level, (from, to)) in previous.levels().iter().zip(current.levels()).enumerate().rev() {
        let Some(template) = Template::new(from, to_level(pixel, level)) else {
            // Too near the border of a coarse level, or flat there: finer ones may still hold.
            if level == 0 {
                return None;
            }
            continue;
        };
        match template.register(to, to_level(found, level)) {
            Some(registered) => {
                (found, correlation) = (from_level(registered.pixel, level), registered.correlation)
            }
            None if level == 0 => return None,
            None => {}
        }
    }
    (correlation >= MIN_CORRELATION).then_some(found)
}

fn to_level(pixel: Vector2<f32>, level: usize) -> Vector2<f32> {
    let scale = 1.0 / (1 << level) as f32;
    pixel.map(|v| (v + 0.5) * scale - 0.5)
}

fn from_level(pixel: Vector2<f32>, level: usize) -> Vector2<f32> {
    let scale = (1 << level) as f32;
    pixel.map(|v| (v + 0.5) * scale - 0.5)
}

/// A patch with all that registration needs of it.
struct Template {
    values: Patch,
    gradient_x: Patch,
    gradient_y: Patch,
    inverse_normal_matrix: Matrix4<f32>,
}

struct Registered {
    pixel: Vector2<f32>,
    correlation: f32,
}

impl Template {
    fn new(image: &GrayImage, center: Vector2<f32>) -> Option<Self> {
        let bordered: [[f32; BORDERED]; BORDERED] = sample(image, center.map(|v| v - HALF - 1.0))?;
        let mut template = Self {
            values: [[0.0; SIDE]; SIDE],
            gradient_x: [[0.0; SIDE]; SIDE],
            gradient_y: [[0.0; SIDE]; SIDE],
            inverse_normal_matrix: Matrix4::zeros(),
        };
        for y in 0..SIDE {
            for x in 0..SIDE {
                template.values[y][x] = bordered[y + 1][x + 1];
                template.gradient_x[y][x] = 0.5 * (bordered[y + 1][x + 2] - bordered[y + 1][x]);
                template.gradient_y[y][x] = 0.5 * (bordered[y + 2][x + 1] - bordered[y][x + 1]);
            }
        }
        template.center_values();
        template.inverse_normal_matrix = template.normal_matrix()?.try_inverse()?;
        Some(template)
    }

    /// Takes the mean out, which leaves gain and offset nearly independent.
    fn center_values(&mut self) {
        let mean = self.values.iter().flatten().sum::<f32>() / (SIDE * SIDE) as f32;
        self.values.iter_mut().flatten().for_each(|v| *v -= mean);
    }

    /// Sum over the patch of the outer product of `(gx, gy, value, 1)`.
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

    fn register(&self, image: &GrayImage, start: Vector2<f32>) -> Option<Registered> {
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
        Some(Registered { pixel: center, correlation: self.correlation(&patch) })
    }

    /// Sum over the patch of `(gx, gy, value, 1)` times the residual.
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

    /// Normalised cross-correlation, in `[-1, 1]`.
    fn correlation(&self, patch: &Patch) -> f32 {
        let mean = patch.iter().flatten().sum::<f32>() / (SIDE * SIDE) as f32;
        let variance = dot(patch, patch) - mean * mean * (SIDE * SIDE) as f32;
        dot(patch, &self.values) / (variance.max(1e-3) * dot(&self.values, &self.values).max(1e-3)).sqrt()
    }
}

fn dot(a: &Patch, b: &Patch) -> f32 {
    // One sum per column, so that the compiler may use vectors.
    let mut sums = [0.0; SIDE];
    for (a, b) in a.iter().zip(b) {
        for x in 0..SIDE {
            sums[x] += a[x] * b[x];
        }
    }
    sums.iter().sum()
}

/// Bilinear samples of a square whose first sample lies at `start`; `None` where it leaves the image.
fn sample<const N: usize>(image: &GrayImage, start: Vector2<f32>) -> Option<[[f32; N]; N]> {
    let (x0, y0) = (start.x.floor(), start.y.floor());
    let inside =
        x0 >= 0.0 && y0 >= 0.0 && x0 as usize + N < image.width() && y0 as usize + N < image.height();
    if !inside {
        return None;
    }
    let (ax, ay) = (start.x - x0, start.y - y0);
    let weights = [(1.0 - ax) * (1.0 - ay), ax * (1.0 - ay), (1.0 - ax) * ay, ax * ay];
    let (x0, y0) = (x0 as usize, y0 as usize);
    let mut patch = [[0.0; N]; N];
    for (y, out) in patch.iter_mut().enumerate() {
        let top = &image.row(y0 + y)[x0..x0 + N + 1];
        let bottom = &image.row(y0 + y + 1)[x0..x0 + N + 1];
        for x in 0..N {
            out[x] = weights[0] * f32::from(top[x])
                + weights[1] * f32::from(top[x + 1])
                + weights[2] * f32::from(bottom[x])
                + weights[3] * f32::from(bottom[x + 1]);
        }
    }
    Some(patch)
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
        let found = track(&previous, &current, pixel, pixel).expect("lost");
        (found - pixel - Vector2::new(dx as f32, dy as f32)).norm()
    }

    #[test]
    fn finds_sub_pixel_and_large_shifts() {
        assert!(error_px(0.37, -0.81, 1.0, 0.0) < 0.03);
        assert!(error_px(5.25, -3.5, 1.0, 0.0) < 0.03);
    }

    #[test]
    fn exposure_may_change() {
        assert!(error_px(2.4, 1.3, 0.7, 40.0) < 0.05);
        assert!(error_px(2.4, 1.3, 1.3, -30.0) < 0.05);
    }

    #[test]
    fn flat_ground_and_a_vanished_patch_are_lost() {
        let textured = scene(0.0, 0.0, 1.0, 0.0);
        let mut flat = Pyramid::new(160, 120, 3);
        flat.build(&GrayImage::filled(160, 120, [90]));
        let pixel = Vector2::new(78.0, 61.0);
        assert_eq!(track(&flat, &textured, pixel, pixel), None);
        assert_eq!(track(&textured, &flat, pixel, pixel), None);
    }

    #[test]
    fn a_patch_over_the_border_is_lost() {
        let pyramid = scene(0.0, 0.0, 1.0, 0.0);
        let pixel = Vector2::new(3.0, 60.0);
        assert_eq!(track(&pyramid, &pyramid, pixel, pixel), None);
    }
}
