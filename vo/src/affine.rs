//! Where a feature's first look is seen now.
//!
//! Following from frame to frame adds up small errors. So the patch in which a feature was first seen is kept, and every later
//! frame is registered to it under an affine warp, with a gain and an offset of the grey values (Shi and Tomasi
//! 1994; inverse compositional form after Baker and Matthews 2004): the error of an observation does not depend on
//! how long its feature has been followed.

use geometry::GrayImage;
use nalgebra::{Matrix2, SMatrix, SVector, Vector2};

use crate::patch::{HALF, Patch, SIDE, correlation, dot, gradients, inside, vectorized};

/// `(x, y, a11, a12, a21, a22, gain, offset)`.
const PARAMETERS: usize = 8;
const MAX_ITERATIONS: usize = 8;
/// A step below this many pixels is the last: the next would be a tenth of it.
const CONVERGED_PX: f32 = 0.1;
/// Smallest accepted correlation with the first sight.
const MIN_CORRELATION: f32 = 0.85;
/// A patch that wanders further than this from where it was expected is lost.
const MAX_WANDER_PX: f32 = 4.0;
/// A patch seen larger or smaller than this is another sight of the same thing.
const MAX_STRETCH: f32 = 1.6;

/// The first sight of a feature, with all that registration to it needs.
#[derive(Clone, Debug)]
pub(crate) struct FirstSight {
    values: Patch,
    gradient_x: Patch,
    gradient_y: Patch,
    inverse_normal_matrix: SMatrix<f32, PARAMETERS, PARAMETERS>,
}

/// How the first sight appears in a frame: at `pixel`, with offsets from its centre warped by `current_from_first`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appearance {
    pub(crate) pixel: Vector2<f32>,
    pub(crate) current_from_first: Matrix2<f32>,
    gain: f32,
    offset: f32,
}

impl Appearance {
    /// In the very frame of the first sight.
    pub(crate) fn first(pixel: Vector2<f32>) -> Self {
        Self { pixel, current_from_first: Matrix2::identity(), gain: 1.0, offset: 0.0 }
    }

    /// The same at another place.
    pub(crate) fn at(self, pixel: Vector2<f32>) -> Self {
        Self { pixel, ..self }
    }

    /// Seen so much larger, smaller or skewed that a new first sight is due.
    pub(crate) fn is_stretched(&self) -> bool {
        let singular = self.current_from_first.singular_values();
        singular.max() > MAX_STRETCH || singular.min() < 1.0 / MAX_STRETCH
    }
}

impl FirstSight {
    /// The patch around `pixel`; `None` at the border, and where nothing could be registered.
    pub(crate) fn new(image: &GrayImage, pixel: Vector2<f32>) -> Option<Self> {
        vectorized(
            #[inline(always)]
            || {
                let (values, gradient_x, gradient_y) = gradients(image, pixel)?;
                let mut sight =
                    Self { values, gradient_x, gradient_y, inverse_normal_matrix: SMatrix::zeros() };
                sight.inverse_normal_matrix = sight.normal_matrix().try_inverse()?;
                Some(sight)
            },
        )
    }

    /// Sum over the patch of the outer product of the derivatives.
    #[inline(always)]
    fn normal_matrix(&self) -> SMatrix<f32, PARAMETERS, PARAMETERS> {
        let (gx, gy) = (&self.gradient_x, &self.gradient_y);
        let along_x = |g: &Patch| from_fn(|y, x| g[y][x] * (x as f32 - HALF));
        let along_y = |g: &Patch| from_fn(|y, x| g[y][x] * (y as f32 - HALF));
        let derivatives: [Patch; PARAMETERS] =
            [*gx, *gy, along_x(gx), along_y(gx), along_x(gy), along_y(gy), self.values, [[1.0; SIDE]; SIDE]];
        let mut matrix = SMatrix::zeros();
        for i in 0..PARAMETERS {
            for j in 0..=i {
                matrix[(i, j)] = dot(&derivatives[i], &derivatives[j]);
                matrix[(j, i)] = matrix[(i, j)];
            }
        }
        matrix
    }

    /// Registers `image` to the first sight, beginning where and how `guess` says.
    pub(crate) fn register(&self, image: &GrayImage, guess: &Appearance) -> Option<Appearance> {
        vectorized(
            #[inline(always)]
            || self.iterate(image, guess),
        )
    }

    #[inline(always)]
    fn iterate(&self, image: &GrayImage, guess: &Appearance) -> Option<Appearance> {
        let mut now = *guess;
        let mut patch = [[0.0; SIDE]; SIDE];
        for _ in 0..MAX_ITERATIONS {
            patch = sample_warped(image, &now)?;
            let step = self.inverse_normal_matrix * self.gradient_of_cost(&patch, &now);
            let shift = now.step(&step)?;
            if (now.pixel - guess.pixel).norm() > MAX_WANDER_PX {
                return None;
            }
            if shift < CONVERGED_PX {
                break;
            }
        }
        (correlation(&self.values, &patch) > MIN_CORRELATION).then_some(now)
    }

    #[inline(always)]
    fn gradient_of_cost(&self, patch: &Patch, now: &Appearance) -> SVector<f32, PARAMETERS> {
        let mut sums = [[0.0f32; SIDE]; PARAMETERS];
        let first = self.values.iter().zip(&self.gradient_x).zip(&self.gradient_y);
        for (y, (row, ((values, gradient_x), gradient_y))) in patch.iter().zip(first).enumerate() {
            let v = y as f32 - HALF;
            for x in 0..SIDE {
                let residual = row[x] - now.gain * values[x] - now.offset;
                let (gx, gy) = (gradient_x[x] * residual, gradient_y[x] * residual);
                sums[0][x] += gx;
                sums[1][x] += gy;
                sums[3][x] += gx * v;
                sums[5][x] += gy * v;
                sums[6][x] += values[x] * residual;
                sums[7][x] += residual;
            }
        }
        // The offset along x is the same in all rows.
        sums[2] = std::array::from_fn(|x| sums[0][x] * (x as f32 - HALF));
        sums[4] = std::array::from_fn(|x| sums[1][x] * (x as f32 - HALF));
        SVector::from_fn(|i, _| sums[i].iter().sum())
    }
}

impl Appearance {
    /// Composes with the inverse of a step of the template; the length of its shift in pixels.
    fn step(&mut self, step: &SVector<f32, PARAMETERS>) -> Option<f32> {
        let warp = Matrix2::new(
            1.0 + step[2] / self.gain,
            step[3] / self.gain,
            step[4] / self.gain,
            1.0 + step[5] / self.gain,
        );
        let warp = self.current_from_first * warp.try_inverse()?;
        let shift = warp * Vector2::new(step[0], step[1]) / self.gain;
        self.current_from_first = warp;
        self.pixel -= shift;
        self.gain += step[6];
        self.offset += step[7];
        let sane = (0.3..3.0).contains(&self.gain) && self.pixel.iter().all(|v| v.is_finite());
        sane.then(|| shift.norm())
    }
}

#[inline(always)]
fn from_fn(value: impl Fn(usize, usize) -> f32) -> Patch {
    std::array::from_fn(|y| std::array::from_fn(|x| value(y, x)))
}

/// Bilinear samples of the warped square; `None` where it leaves the image.
#[inline(always)]
fn sample_warped(image: &GrayImage, at: &Appearance) -> Option<Patch> {
    let warp = &at.current_from_first;
    let (across, down) = (warp.column(0).into_owned(), warp.column(1).into_owned());
    let corner = at.pixel - (across + down) * HALF;
    let far = (SIDE - 1) as f32;
    let corners = [corner, corner + across * far, corner + down * far, corner + (across + down) * far];
    if !corners.iter().all(|c| inside(image, c)) {
        return None;
    }
    let mut patch = [[0.0; SIDE]; SIDE];
    for (y, out) in patch.iter_mut().enumerate() {
        *out = sample_row(image, corner + down * y as f32, across);
    }
    Some(patch)
}

/// Bilinear samples from `start` on, `across` apart, all inside the image. In steps that vector units can take together.
#[inline(always)]
fn sample_row(image: &GrayImage, start: Vector2<f32>, across: Vector2<f32>) -> [f32; SIDE] {
    let (pixels, stride) = (image.as_slice(), image.width());
    let (max_x, max_y) = ((image.width() - 2) as f32, (image.height() - 2) as f32);
    let mut first = [0i32; SIDE];
    let (mut ax, mut ay) = ([0.0f32; SIDE], [0.0f32; SIDE]);
    for i in 0..SIDE {
        let x = (start.x + across.x * i as f32).max(0.0).min(max_x);
        let y = (start.y + across.y * i as f32).max(0.0).min(max_y);
        let (column, row) = (whole(x), whole(y));
        (ax[i], ay[i]) = (x - column as f32, y - row as f32);
        first[i] = row * stride as i32 + column;
    }
    // The four pixels around each sample in one word.
    let mut around = [0u32; SIDE];
    for i in 0..SIDE {
        let at = first[i] as usize;
        let near = &pixels[at..at + stride + 2];
        around[i] = u32::from_le_bytes([near[0], near[1], near[stride], near[stride + 1]]);
    }
    let mut row = [0.0; SIDE];
    for i in 0..SIDE {
        let corner = |shift: u32| ((around[i] >> shift) & 0xff) as i32 as f32;
        let top = corner(0) + ax[i] * (corner(8) - corner(0));
        let bottom = corner(16) + ax[i] * (corner(24) - corner(16));
        row[i] = top + ay[i] * (bottom - top);
    }
    row
}

/// A whole number such that `v` lies between it and the next; for `0 <= v < 2^22`.
///
/// `as i32` saturates, which vector units have no instruction for.
#[inline(always)]
fn whole(v: f32) -> i32 {
    // Here floating point numbers are 1 apart, so that adding rounds.
    const ONE_APART: f32 = 12_582_912.0;
    (v - 0.5 + ONE_APART).to_bits() as i32 - ONE_APART.to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth scene with detail at several scales, warped about `CENTER`.
    fn scene(shift: [f64; 2], warp: Matrix2<f64>, gain: f64, offset: f64) -> GrayImage {
        let first_from_current = warp.try_inverse().unwrap();
        GrayImage::from_fn(160, 120, |x, y| {
            let at = Vector2::new(x as f64 - shift[0], y as f64 - shift[1]);
            let p = first_from_current * (at - CENTER) + CENTER;
            let waves = (p.x * 0.35).sin() * (p.y * 0.28).cos()
                + (p.x * 0.11 + p.y * 0.07).sin()
                + 0.5 * (p.x * 0.05 - p.y * 0.19).cos();
            [(offset + gain * (110.0 + 35.0 * waves)).round().clamp(0.0, 255.0) as u8]
        })
    }

    const CENTER: Vector2<f64> = Vector2::new(78.5, 61.5);

    fn found(image: &GrayImage) -> Option<Appearance> {
        let center = CENTER.map(|v| v as f32);
        let first = FirstSight::new(&scene([0.0; 2], Matrix2::identity(), 1.0, 0.0), center).unwrap();
        first.register(image, &Appearance::first(center))
    }

    fn error_px(shift: [f64; 2], warp: Matrix2<f64>, gain: f64, offset: f64) -> f64 {
        let at = found(&scene(shift, warp, gain, offset)).expect("lost");
        (at.pixel.map(f64::from) - CENTER - Vector2::from(shift)).norm()
    }

    #[test]
    fn a_sample_lies_between_its_pixels() {
        for v in [0.0f32, 0.2, 0.5, 0.999, 1.0, 2.5, 17.499, 639.0, 1240.75, 4_000_000.0] {
            let rest = v - whole(v) as f32;
            assert!((0.0..=1.0).contains(&rest) && whole(v) >= 0, "{v}: {}", whole(v));
        }
    }

    #[test]
    fn finds_shifts_to_a_fiftieth_of_a_pixel() {
        assert!(error_px([0.37, -0.81], Matrix2::identity(), 1.0, 0.0) < 0.02);
        assert!(error_px([2.25, -1.5], Matrix2::identity(), 1.0, 0.0) < 0.02);
    }

    #[test]
    fn a_closer_turned_and_skewed_sight_is_found_as_precisely() {
        let warp = Matrix2::new(1.15, 0.08, -0.12, 1.2);
        assert!(error_px([0.6, 0.9], warp, 1.0, 0.0) < 0.02);
        let at = found(&scene([0.6, 0.9], warp, 1.0, 0.0)).unwrap();
        assert!((at.current_from_first.map(f64::from) - warp).norm() < 0.02, "{at:?}");
        assert!(!at.is_stretched());
    }

    #[test]
    fn exposure_may_change() {
        assert!(error_px([0.4, 1.3], Matrix2::identity(), 0.7, 40.0) < 0.03);
        assert!(error_px([0.4, 1.3], Matrix2::identity(), 1.3, -30.0) < 0.03);
    }

    #[test]
    fn flat_ground_another_place_and_the_border_are_lost() {
        assert!(found(&GrayImage::filled(160, 120, [90])).is_none());
        assert!(found(&scene([40.0, 25.0], Matrix2::identity(), 1.0, 0.0)).is_none());
        let image = scene([0.0; 2], Matrix2::identity(), 1.0, 0.0);
        assert!(FirstSight::new(&image, Vector2::new(3.0, 60.0)).is_none());
        assert!(FirstSight::new(&GrayImage::filled(160, 120, [90]), CENTER.map(|v| v as f32)).is_none());
    }
}
