//! How wide edges are: what blur does to an image, in pixels.
//!
//! Along rows and along columns, a run of rising or of falling grey values is an edge; its height over its steepest step is its
//! width (after Marziliano et al., "A no-reference perceptual blur metric", 2002). The median says how far a point is
//! smeared: between 2 and 3.3 pixels in all sharp footage tried, of streets as of fields, and as many more as a
//! smear is long. Blur by motion has one direction, so that the wider of the two counts.

use geometry::GrayImage;

/// Grey values that an edge climbs at least: noise does not.
const LEAST_HEIGHT: u16 = 20;
/// Only one row and one column of so many is looked at.
const STRIDE: usize = 4;
/// Fewer edges than this for one row or column looked at say nothing.
const LEAST_EDGES: usize = 2;
/// Widths are told apart by this much, in pixels.
const BIN: f64 = 0.1;
const BINS: usize = 400;

/// Median width of the edges in pixels, along rows or along columns, whichever is wider; `None` where there are too few.
pub(super) fn edge_width(image: &GrayImage) -> Option<f64> {
    let (width, height) = image.size();
    let mut line = Vec::with_capacity(width.max(height));
    let mut widths = Widths::default();
    for y in (0..height).step_by(STRIDE) {
        widths.add(image.row(y));
    }
    let along_rows = widths.median(height.div_ceil(STRIDE));
    let mut widths = Widths::default();
    for x in (0..width).step_by(STRIDE) {
        line.clear();
        line.extend(image.as_slice().iter().skip(x).step_by(width));
        widths.add(&line);
    }
    let along_columns = widths.median(width.div_ceil(STRIDE));
    // An image of nothing but stripes has edges in one direction.
    along_rows.into_iter().chain(along_columns).reduce(f64::max)
}

/// A histogram of edges by their width.
struct Widths {
    bins: [usize; BINS],
    count: usize,
}

impl Default for Widths {
    fn default() -> Self {
        Self { bins: [0; BINS], count: 0 }
    }
}

impl Widths {
    /// Takes in the edges on a line of pixels, smoothed over three of them: noise would break edges apart.
    fn add(&mut self, line: &[u8]) {
        let smooth = |w: &[u8]| i32::from(w[0]) + 2 * i32::from(w[1]) + i32::from(w[2]);
        let mut values = line.windows(3).map(smooth);
        let Some(mut last) = values.next() else { return };
        let (mut height, mut steepest) = (0_i32, 0_i32);
        for value in values {
            let step = value - last;
            last = value;
            if step.signum() * height.signum() < 0 || step == 0 {
                self.add_edge(height.unsigned_abs(), steepest.unsigned_abs());
                (height, steepest) = (0, 0);
            }
            height += step;
            steepest = steepest.max(step.abs());
        }
        self.add_edge(height.unsigned_abs(), steepest.unsigned_abs());
    }

    /// Heights and steps are four times those of the image, because of the smoothing.
    fn add_edge(&mut self, height: u32, steepest: u32) {
        if height >= 4 * u32::from(LEAST_HEIGHT) {
            let bin = (f64::from(height) / f64::from(steepest) / BIN) as usize;
            self.bins[bin.min(BINS - 1)] += 1;
            self.count += 1;
        }
    }

    /// `None` where `lines` of pixels should have shown more edges.
    fn median(&self, lines: usize) -> Option<f64> {
        let mut below = 0;
        let bin = self.bins.iter().position(|count| {
            below += count;
            2 * below > self.count
        })?;
        (self.count >= LEAST_EDGES * lines).then_some((bin as f64 + 0.5) * BIN)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Blocks of seven pixels, with noise.
    fn blocks(width: usize, height: usize) -> GrayImage {
        let mut random = fastrand::Rng::with_seed(5);
        let blocks: Vec<u8> = (0..width * height).map(|_| random.u8(20..220)).collect();
        GrayImage::from_fn(width, height, |x, y| [blocks[y / 7 * width + x / 7] + random.u8(0..5)])
    }

    fn smeared_along_rows(image: &GrayImage, length: usize) -> GrayImage {
        GrayImage::from_fn(image.width(), image.height(), |x, y| {
            let sum: usize =
                (0..length).map(|d| usize::from(image.pixel((x + d).min(image.width() - 1), y)[0])).sum();
            [(sum / length) as u8]
        })
    }

    #[test]
    fn an_edge_is_as_wide_as_the_smear_is_long() {
        let sharp = blocks(280, 210);
        let widths = [1, 3, 5, 7].map(|length| edge_width(&smeared_along_rows(&sharp, length)).unwrap());
        assert!((1.5..2.8).contains(&widths[0]) && widths[2] > 4.4, "{widths:?}");
        assert!(widths.windows(2).all(|pair| pair[1] > pair[0] + 0.5), "{widths:?}");
    }

    #[test]
    fn noise_and_shades_are_no_edges() {
        assert_eq!(edge_width(&GrayImage::filled(40, 40, [90])), None);
        assert_eq!(edge_width(&GrayImage::filled(2, 2, [90])), None);
        let mut random = fastrand::Rng::with_seed(7);
        let noise = GrayImage::from_fn(90, 90, |x, _| [x as u8 + random.u8(0..9)]);
        assert_eq!(edge_width(&noise), None);
    }
}
