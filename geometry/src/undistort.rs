//! Taking the lens out of images, once per pixel instead of once per point.

use crate::{CameraError, GrayImage, PinholeCamera, RgbImage};

/// A look-up table from the pixels of an ideal camera to those of a real one.
///
/// Pixels that the real camera does not see become black.
#[derive(Clone, Debug)]
pub struct UndistortMap {
    ideal: PinholeCamera,
    source_size: (usize, usize),
    taps: Vec<Tap>,
}

/// Top-left source pixel and bilinear weights in 1/32 pixel; `offset` is `OUTSIDE` where nothing is seen.
#[derive(Clone, Copy, Debug)]
struct Tap {
    offset: u32,
    weight_x: u8,
    weight_y: u8,
}

const OUTSIDE: u32 = u32::MAX;
const UNIT: u32 = 32;

impl UndistortMap {
    /// The table that removes `real`'s distortion and keeps its size, focal lengths and principal point.
    ///
    /// # Errors
    /// [`CameraError`] where `real`'s intrinsics make no ideal camera.
    pub fn new(real: &PinholeCamera) -> Result<Self, CameraError> {
        let (focal, center) = (real.focal(), real.center());
        let ideal = PinholeCamera::new(real.width(), real.height(), focal.x, focal.y, center.x, center.y)?;
        Ok(Self::between(real, ideal))
    }

    /// The table that shows what `ideal` would see from images of `real`.
    pub fn between(real: &PinholeCamera, ideal: PinholeCamera) -> Self {
        let mut taps = Vec::with_capacity(ideal.width() * ideal.height());
        for y in 0..ideal.height() {
            for x in 0..ideal.width() {
                let pixel = nalgebra::Vector2::new(x as f64, y as f64);
                let source = ideal.unproject(&pixel).and_then(|ray| real.project(&ray));
                taps.push(source.map_or(Tap::OUTSIDE, |p| Tap::at(p.x, p.y, real.width(), real.height())));
            }
        }
        Self { ideal, source_size: (real.width(), real.height()), taps }
    }

    /// The camera of the undistorted images.
    pub fn camera(&self) -> &PinholeCamera {
        &self.ideal
    }

    /// Writes `source` undistorted into `out`. Panics where `source` has not the real camera's size or `out` not the ideal one's.
    pub fn remap_gray(&self, source: &GrayImage, out: &mut GrayImage) {
        self.remap(source.size(), source.as_slice(), out.size(), out.as_mut_slice(), 1);
    }

    /// As [`remap_gray`](Self::remap_gray), for colour.
    pub fn remap_rgb(&self, source: &RgbImage, out: &mut RgbImage) {
        self.remap(source.size(), source.as_slice(), out.size(), out.as_mut_slice(), 3);
    }

    fn remap(
        &self,
        from: (usize, usize),
        source: &[u8],
        to: (usize, usize),
        out: &mut [u8],
        channels: usize,
    ) {
        assert_eq!(from, self.source_size, "image and camera differ in size");
        assert_eq!(to, (self.ideal.width(), self.ideal.height()), "output and ideal camera differ in size");
        let stride = from.0 * channels;
        for (tap, out) in self.taps.iter().zip(out.chunks_exact_mut(channels)) {
            if tap.offset == OUTSIDE {
                out.fill(0);
                continue;
            }
            let start = tap.offset as usize * channels;
            for (c, value) in out.iter_mut().enumerate() {
                *value = tap.blend(&source[start + c..], channels, stride);
            }
        }
    }
}

impl Tap {
    const OUTSIDE: Self = Self { offset: OUTSIDE, weight_x: 0, weight_y: 0 };

    fn at(x: f64, y: f64, width: usize, height: usize) -> Self {
        let inside = x >= 0.0 && y >= 0.0 && x <= width as f64 - 1.0 && y <= height as f64 - 1.0;
        if !inside || width < 2 || height < 2 {
            return Self::OUTSIDE;
        }
        // The last row and column blend with their neighbour at full weight.
        let (x0, y0) = ((x as usize).min(width - 2), (y as usize).min(height - 2));
        let weight = |v: f64, v0: usize| ((v - v0 as f64) * f64::from(UNIT)).round() as u8;
        Self { offset: (y0 * width + x0) as u32, weight_x: weight(x, x0), weight_y: weight(y, y0) }
    }

    fn blend(self, source: &[u8], channels: usize, stride: usize) -> u8 {
        let (wx, wy) = (u32::from(self.weight_x), u32::from(self.weight_y));
        let value = |i: usize| u32::from(source[i]);
        let top = value(0) * (UNIT - wx) + value(channels) * wx;
        let bottom = value(stride) * (UNIT - wx) + value(stride + channels) * wx;
        ((top * (UNIT - wy) + bottom * wy + UNIT * UNIT / 2) / (UNIT * UNIT)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distortion;

    #[test]
    fn without_a_lens_nothing_changes() {
        let camera = PinholeCamera::from_horizontal_fov(16, 12, 1.0).unwrap();
        let image = GrayImage::from_fn(16, 12, |x, y| [(x * 13 + y * 7) as u8]);
        let mut out = GrayImage::filled(16, 12, [0]);
        UndistortMap::new(&camera).unwrap().remap_gray(&image, &mut out);
        assert_eq!(out, image);
    }

    #[test]
    fn a_scene_drawn_through_the_lens_comes_back_straight() {
        let ideal = PinholeCamera::from_horizontal_fov(160, 120, 1.4).unwrap();
        let lens = Distortion::RadialTangential { k1: -0.25, k2: 0.05, p1: 1e-3, p2: -1e-3, k3: 0.0 };
        let real = ideal.clone().with_distortion(lens).unwrap();
        let scene = |x: f64, y: f64| (128.0 + 60.0 * (x * 6.0).sin() + 60.0 * (y * 5.0).cos()) as u8;
        let draw = |camera: &PinholeCamera| {
            GrayImage::from_fn(160, 120, |x, y| {
                let ray = camera.unproject(&nalgebra::Vector2::new(x as f64, y as f64));
                [ray.map_or(0, |r| scene(r.x, r.y))]
            })
        };
        let mut out = GrayImage::filled(160, 120, [0]);
        UndistortMap::new(&real).unwrap().remap_gray(&draw(&real), &mut out);
        let (want, mut seen, mut error) = (draw(&ideal), 0u32, 0u32);
        for (got, want) in out.as_slice().iter().zip(want.as_slice()).filter(|(got, _)| **got > 0) {
            seen += 1;
            error += u32::from(got.abs_diff(*want));
        }
        assert!(seen > 15_000, "only {seen} pixels seen");
        assert!(error < seen, "mean error {} grey levels", f64::from(error) / f64::from(seen));
    }
}
