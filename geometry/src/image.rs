//! Dense images.

use std::fmt;

use thiserror::Error;

use crate::pool::Recycler;

/// A dense image of `CHANNELS` interleaved values of type `T` per pixel, row by row, without padding:
/// shape `[height, width, CHANNELS]`.
///
/// An image is built once and then shared read-only behind an `Arc`. One taken from an [`ImagePool`] gives
/// its buffer back when dropped.
///
/// [`ImagePool`]: crate::ImagePool
pub struct Image<T, const CHANNELS: usize> {
    width: usize,
    height: usize,
    data: Vec<T>,
    recycler: Option<Recycler<T>>,
}

/// 8-bit luminance.
pub type GrayImage = Image<u8, 1>;
/// 8-bit red, green, blue.
pub type RgbImage = Image<u8, 3>;
/// Distance along the optical axis in metres; 0 where unknown.
pub type DepthImage = Image<f32, 1>;
/// Optical flow in pixels `(dx, dy)` to the next frame; NaN where unknown.
pub type FlowImage = Image<f32, 2>;

/// Why an image can't be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// The buffer does not have one value per pixel and channel.
    #[error("expected {expected} values for {width}x{height}x{channels}, found {found}")]
    Length {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values per pixel.
        channels: usize,
        /// `width * height * channels`.
        expected: usize,
        /// Length of the buffer given.
        found: usize,
    },
}

impl<T, const CHANNELS: usize> Image<T, CHANNELS> {
    /// An image over `data`, which holds `[height, width, CHANNELS]` values.
    ///
    /// # Errors
    /// [`ImageError::Length`] where `data` is not `width * height * CHANNELS` long.
    pub fn from_vec(width: usize, height: usize, data: Vec<T>) -> Result<Self, ImageError> {
        let expected = width * height * CHANNELS;
        if data.len() != expected {
            return Err(ImageError::Length {
                width,
                height,
                channels: CHANNELS,
                expected,
                found: data.len(),
            });
        }
        Ok(Self { width, height, data, recycler: None })
    }

    /// An image whose pixel `(x, y)` is `pixel(x, y)`.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut pixel: impl FnMut(usize, usize) -> [T; CHANNELS],
    ) -> Self {
        let mut data = Vec::with_capacity(width * height * CHANNELS);
        for y in 0..height {
            for x in 0..width {
                data.extend(pixel(x, y));
            }
        }
        Self { width, height, data, recycler: None }
    }

    pub(crate) fn pooled(width: usize, height: usize, data: Vec<T>, recycler: Recycler<T>) -> Self {
        debug_assert_eq!(data.len(), width * height * CHANNELS);
        Self { width, height, data, recycler: Some(recycler) }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// `(width, height)`.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// All values, `[height, width, CHANNELS]`.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// All values, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The values of row `y`, `[width, CHANNELS]`. Panics where `y >= height`.
    pub fn row(&self, y: usize) -> &[T] {
        let stride = self.width * CHANNELS;
        &self.data[y * stride..(y + 1) * stride]
    }

    /// The values of row `y`, to be written. Panics where `y >= height`.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        let stride = self.width * CHANNELS;
        &mut self.data[y * stride..(y + 1) * stride]
    }

    /// Whether `(x, y)` lies at least `margin` pixels inside the outermost pixel centres.
    pub fn contains(&self, x: f64, y: f64, margin: f64) -> bool {
        x >= margin
            && y >= margin
            && x <= self.width as f64 - 1.0 - margin
            && y <= self.height as f64 - 1.0 - margin
    }
}

impl<T: Copy, const CHANNELS: usize> Image<T, CHANNELS> {
    /// An image with every pixel `pixel`.
    pub fn filled(width: usize, height: usize, pixel: [T; CHANNELS]) -> Self {
        Self::from_fn(width, height, |_, _| pixel)
    }

    /// The pixel at column `x`, row `y`. Panics outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> [T; CHANNELS] {
        let start = (y * self.width + x) * CHANNELS;
        std::array::from_fn(|c| self.data[start + c])
    }

    /// Writes the pixel at column `x`, row `y`. Panics outside the image.
    pub fn set_pixel(&mut self, x: usize, y: usize, pixel: [T; CHANNELS]) {
        let start = (y * self.width + x) * CHANNELS;
        self.data[start..start + CHANNELS].copy_from_slice(&pixel);
    }
}

impl GrayImage {
    /// Bilinear sample at `(x, y)`, which must satisfy `contains(x, y, 0)`.
    pub fn sample(&self, x: f64, y: f64) -> f64 {
        let x0 = (x as usize).min(self.width.saturating_sub(2));
        let y0 = (y as usize).min(self.height.saturating_sub(2));
        let (ax, ay) = (x - x0 as f64, y - y0 as f64);
        let value = |dx: usize, dy: usize| {
            let (x, y) = ((x0 + dx).min(self.width - 1), (y0 + dy).min(self.height - 1));
            f64::from(self.data[y * self.width + x])
        };
        let top = value(0, 0) + ax * (value(1, 0) - value(0, 0));
        let bottom = value(0, 1) + ax * (value(1, 1) - value(0, 1));
        top + ay * (bottom - top)
    }
}

impl RgbImage {
    /// Luminance by ITU-R BT.601, the weights OpenCV and libjpeg use: `0.299 R + 0.587 G + 0.114 B`.
    pub fn to_gray(&self) -> GrayImage {
        let mut gray = GrayImage::filled(self.width, self.height, [0]);
        self.to_gray_into(&mut gray);
        gray
    }

    /// As [`to_gray`](Self::to_gray), into a buffer of the same size. Panics where the sizes differ.
    pub fn to_gray_into(&self, gray: &mut GrayImage) {
        assert_eq!(self.size(), gray.size(), "colour and grey image must have the same size");
        for (gray, rgb) in gray.data.iter_mut().zip(self.data.chunks_exact(3)) {
            let sum = 19_595 * u32::from(rgb[0]) + 38_470 * u32::from(rgb[1]) + 7_471 * u32::from(rgb[2]);
            *gray = ((sum + 32_768) >> 16) as u8;
        }
    }
}

impl DepthImage {
    /// The same view with `width` by `height` pixels, linearly interpolated between the four nearest; the outer edges stay
    /// where they are. Unknown (0) where one of these is unknown, so that nothing is mixed with it.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let (columns, rows) = (neighbours(self.width, width), neighbours(self.height, height));
        Self::from_fn(width, height, |x, y| {
            let ((left, right, along), (top, bottom, down)) = (columns[x], rows[y]);
            let corners = [(left, top), (right, top), (left, bottom), (right, bottom)];
            let [a, b, c, d] = corners.map(|(x, y)| self.data[y * self.width + x]);
            let is_known = [a, b, c, d].iter().all(|depth| *depth > 0.0);
            let (above, below) = (a + along * (b - a), c + along * (d - c));
            [if is_known { above + down * (below - above) } else { 0.0 }]
        })
    }
}

/// For each of `to` pixels the two of `from` around its place, and how far it is on the way from one to the other.
fn neighbours(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let last = from.saturating_sub(1);
    let of = |index: usize| {
        let place = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
        let (before, along) = (place as usize, place.fract());
        // A pixel that counts for nothing must not make the place unknown.
        let after = if along > 0.0 { (before + 1).min(last) } else { before };
        (before, after, along as f32)
    };
    (0..to).map(of).collect()
}

impl<const CHANNELS: usize> Image<u8, CHANNELS> {
    /// The image at `1 / factor` of its size, each pixel the mean of `factor` x `factor`; what is left over at the right
    /// and at the bottom falls away. Panics where `factor` is 0.
    pub fn reduced(&self, factor: usize) -> Self {
        match factor {
            1 => self.clone(),
            // Factors that the compiler knows make the loops several times as fast.
            2 => self.mean_of_blocks(2),
            3 => self.mean_of_blocks(3),
            4 => self.mean_of_blocks(4),
            _ => self.mean_of_blocks(factor),
        }
    }

    #[inline(always)]
    fn mean_of_blocks(&self, factor: usize) -> Self {
        let (width, height) = (self.width / factor, self.height / factor);
        let mut data = vec![0; width * height * CHANNELS];
        let mut sums = vec![[0_u32; CHANNELS]; width];
        for (y, out) in data.chunks_exact_mut((width * CHANNELS).max(1)).enumerate() {
            sums.fill([0; CHANNELS]);
            for row in y * factor..(y + 1) * factor {
                let (pixels, _) = self.row(row).as_chunks::<CHANNELS>();
                for (sum, block) in sums.iter_mut().zip(pixels.chunks_exact(factor)) {
                    for pixel in block {
                        (0..CHANNELS).for_each(|c| sum[c] += u32::from(pixel[c]));
                    }
                }
            }
            let (means, area) = (sums.as_flattened(), (factor * factor) as u32);
            out.iter_mut().zip(means).for_each(|(mean, sum)| *mean = (sum / area) as u8);
        }
        Self { width, height, data, recycler: None }
    }
}

/// A copy owns its buffer, whether the original came from a pool or not.
impl<T: Clone, const CHANNELS: usize> Clone for Image<T, CHANNELS> {
    fn clone(&self) -> Self {
        Self { width: self.width, height: self.height, data: self.data.clone(), recycler: None }
    }
}

impl<T: PartialEq, const CHANNELS: usize> PartialEq for Image<T, CHANNELS> {
    fn eq(&self, other: &Self) -> bool {
        self.size() == other.size() && self.data == other.data
    }
}

impl<T, const CHANNELS: usize> fmt::Debug for Image<T, CHANNELS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}x{}x{CHANNELS})", self.width, self.height)
    }
}

impl<T, const CHANNELS: usize> Drop for Image<T, CHANNELS> {
    fn drop(&mut self) {
        if let Some(recycler) = self.recycler.take() {
            recycler.give_back(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_length_is_told_with_numbers() {
        let error = GrayImage::from_vec(3, 2, vec![0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "expected 6 values for 3x2x1, found 5");
    }

    #[test]
    fn sample_interpolates_and_reaches_the_last_pixel() {
        let image = GrayImage::from_vec(2, 2, vec![0, 100, 100, 200]).unwrap();
        assert_eq!(image.sample(0.5, 0.5), 100.0);
        assert_eq!(image.sample(1.0, 1.0), 200.0);
        assert_eq!(image.sample(0.25, 0.0), 25.0);
    }

    #[test]
    fn reduction_takes_the_mean_of_each_block_and_drops_the_rest() {
        let image =
            GrayImage::from_vec(5, 3, vec![0, 10, 100, 200, 7, 20, 30, 120, 220, 7, 9, 9, 9, 9, 9]).unwrap();
        let half = image.reduced(2);
        assert_eq!((half.size(), half.as_slice()), ((2, 1), &[15, 160][..]));
        assert_eq!(image.reduced(1), image);
        assert_eq!(image.reduced(4).size(), (1, 0));
    }

    #[test]
    fn depths_resize_and_stay_unknown() {
        let depth = DepthImage::from_vec(2, 1, vec![1.0, 3.0]).unwrap();
        assert_eq!(depth.resized(4, 2).as_slice(), &[1.0, 1.5, 2.5, 3.0, 1.0, 1.5, 2.5, 3.0]);
        assert_eq!(depth.resized(2, 1), depth);
        let holed = DepthImage::from_vec(3, 1, vec![0.0, 2.0, 4.0]).unwrap();
        assert_eq!(holed.resized(3, 2).as_slice(), &[0.0, 2.0, 4.0, 0.0, 2.0, 4.0]);
        assert_eq!(holed.resized(6, 1).as_slice(), &[0.0, 0.0, 0.0, 2.5, 3.5, 4.0]);
        assert_eq!(holed.resized(1, 1).as_slice(), &[2.0]);
    }

    #[test]
    fn reduction_keeps_channels_apart_for_any_factor() {
        for factor in 2..=6 {
            let image = RgbImage::from_fn(12, 12, |x, _| [x as u8, 100, 255]);
            let small = image.reduced(factor);
            let first_mean = ((factor - 1) / 2) as u8;
            assert_eq!(small.pixel(0, 0), [first_mean, 100, 255], "factor {factor}");
            assert_eq!(small.size(), (12 / factor, 12 / factor));
        }
    }

    #[test]
    fn gray_keeps_white_and_weights_green_most() {
        let rgb = RgbImage::from_vec(4, 1, vec![255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
        assert_eq!(rgb.to_gray().as_slice(), &[255, 76, 150, 29]);
    }
}
