//! Where in an image a patch can be told from its neighbours.

use geometry::GrayImage;

use crate::patch::vectorized;

/// A corner and how good it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Corner {
    /// Column.
    pub(crate) x: usize,
    /// Row.
    pub(crate) y: usize,
    /// Smaller eigenvalue of the mean structure tensor around it, in squared grey levels per pixel (Shi and Tomasi 1994).
    pub(crate) strength: f32,
}

/// Half the side of the window over which gradients are summed.
const RADIUS: usize = 3;

/// The strongest corner among the pixels `x0 <= x < x1`, `y0 <= y < y1`, which must lie at least
/// `RADIUS + 1` pixels inside the image; `None` where there are none.
pub(crate) fn strongest_corner(
    image: &GrayImage,
    (x0, y0): (usize, usize),
    (x1, y1): (usize, usize),
    scratch: &mut CornerScratch,
) -> Option<Corner> {
    if x0 >= x1 || y0 >= y1 {
        return None;
    }
    vectorized(
        #[inline(always)]
        || scratch.strongest(image, (x0, y0), (x1, y1)),
    )
}

/// Buffers of [`strongest_corner`], kept between calls.
///
/// All sums are of whole numbers below `2^24`, which `f32` holds exactly.
#[derive(Debug, Default)]
pub(crate) struct CornerScratch {
    /// Of each column, the sums over `2 RADIUS + 1` rows of `gx gx`, `gx gy` and `gy gy`.
    column_sums: [Vec<f32>; 3],
    /// The same over the whole window of each pixel of a row.
    window_sums: [Vec<f32>; 3],
    strengths: Vec<f32>,
}

impl CornerScratch {
    #[inline(always)]
    fn strongest(
        &mut self,
        image: &GrayImage,
        (x0, y0): (usize, usize),
        (x1, y1): (usize, usize),
    ) -> Option<Corner> {
        let width = x1 - x0 + 2 * RADIUS;
        self.reset(width);
        for y in y0 - RADIUS..y0 + RADIUS {
            self.add_row(image, x0 - RADIUS, y, 1.0);
        }
        let mut best: Option<Corner> = None;
        for y in y0..y1 {
            self.add_row(image, x0 - RADIUS, y + RADIUS, 1.0);
            for (x, strength) in self.strengths(x1 - x0).iter().enumerate() {
                if best.is_none_or(|b| *strength > b.strength) {
                    best = Some(Corner { x: x0 + x, y, strength: *strength });
                }
            }
            self.add_row(image, x0 - RADIUS, y - RADIUS, -1.0);
        }
        best
    }

    fn reset(&mut self, width: usize) {
        for sums in &mut self.column_sums {
            sums.clear();
            sums.resize(width, 0.0);
        }
    }

    /// Adds `factor` times the products of row `y`, from column `x0` on.
    #[inline(always)]
    fn add_row(&mut self, image: &GrayImage, x0: usize, y: usize, factor: f32) {
        let [xx, xy, yy] = &mut self.column_sums;
        let width = xx.len();
        let (up, down) = (&image.row(y - 1)[x0..x0 + width], &image.row(y + 1)[x0..x0 + width]);
        let row = image.row(y);
        let (left, right) = (&row[x0 - 1..x0 - 1 + width], &row[x0 + 1..x0 + 1 + width]);
        let (xy, yy) = (&mut xy[..width], &mut yy[..width]);
        for x in 0..width {
            let gx = f32::from(right[x]) - f32::from(left[x]);
            let gy = f32::from(down[x]) - f32::from(up[x]);
            xx[x] += factor * gx * gx;
            xy[x] += factor * gx * gy;
            yy[x] += factor * gy * gy;
        }
    }

    /// Strength of each of `count` pixels in the row whose window has been summed.
    #[inline(always)]
    fn strengths(&mut self, count: usize) -> &[f32] {
        for (sums, columns) in self.window_sums.iter_mut().zip(&self.column_sums) {
            sums.clear();
            sums.extend_from_slice(&columns[..count]);
            for shift in 1..WINDOW {
                sums.iter_mut().zip(&columns[shift..]).for_each(|(sum, column)| *sum += column);
            }
        }
        let [xx, xy, yy] = &self.window_sums;
        self.strengths.clear();
        self.strengths
            .extend(xx.iter().zip(xy).zip(yy).map(|((xx, xy), yy)| smaller_eigenvalue([*xx, *xy, *yy])));
        &self.strengths
    }
}

/// Side of the window over which gradients are summed.
const WINDOW: usize = 2 * RADIUS + 1;

#[inline(always)]
fn smaller_eigenvalue([xx, xy, yy]: [f32; 3]) -> f32 {
    // Differences over two pixels carry a factor 2, their products 4.
    let scale = 1.0 / (4.0 * (WINDOW * WINDOW) as f32);
    let half_difference = (xx - yy) / 2.0;
    scale * ((xx + yy) / 2.0 - (half_difference * half_difference + xy * xy).sqrt())
}

/// Pixels that a cell must keep clear of the image's border.
pub(crate) const MARGIN: usize = RADIUS + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corner_of_a_square_wins_over_its_edges() {
        let image = GrayImage::from_fn(40, 40, |x, y| [if x >= 20 && y >= 20 { 200 } else { 20 }]);
        let corner = strongest_corner(&image, (8, 8), (32, 32), &mut CornerScratch::default()).unwrap();
        assert!(corner.x.abs_diff(20) <= 2 && corner.y.abs_diff(20) <= 2, "{corner:?}");
        let edge = strongest_corner(&image, (28, 10), (34, 30), &mut CornerScratch::default()).unwrap();
        assert!(edge.strength < 0.01 * corner.strength, "an edge counts as a corner: {edge:?}");
    }
}
