//! Where in an image a patch can be told from its neighbours.

use geometry::GrayImage;

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
    scratch.sum_columns(image, (x0, y0), (x1, y1));
    let mut best: Option<Corner> = None;
    for y in 0..y1 - y0 {
        for x in 0..x1 - x0 {
            let strength = smaller_eigenvalue(scratch.tensor(x, y, x1 - x0 + 2 * RADIUS));
            if best.is_none_or(|b| strength > b.strength) {
                best = Some(Corner { x: x0 + x, y: y0 + y, strength });
            }
        }
    }
    best
}

/// Buffers of [`strongest_corner`], kept between calls.
#[derive(Debug, Default)]
pub(crate) struct CornerScratch {
    /// `[gx gx, gx gy, gy gy]` of each pixel of the cell and its border.
    products: Vec<[i32; 3]>,
    /// The same summed over `2 RADIUS + 1` rows.
    column_sums: Vec<[i32; 3]>,
}

impl CornerScratch {
    fn sum_columns(&mut self, image: &GrayImage, (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
        let width = x1 - x0 + 2 * RADIUS;
        self.products.clear();
        for y in y0 - RADIUS..y1 + RADIUS {
            let (up, row, down) = (image.row(y - 1), image.row(y), image.row(y + 1));
            self.products.extend((x0 - RADIUS..x1 + RADIUS).map(|x| {
                let gx = i32::from(row[x + 1]) - i32::from(row[x - 1]);
                let gy = i32::from(down[x]) - i32::from(up[x]);
                [gx * gx, gx * gy, gy * gy]
            }));
        }
        self.column_sums.clear();
        for y in 0..y1 - y0 {
            for x in 0..width {
                let column = (y..=y + 2 * RADIUS).map(|y| self.products[y * width + x]);
                self.column_sums.push(column.fold([0; 3], add));
            }
        }
    }

    fn tensor(&self, x: usize, y: usize, width: usize) -> [i32; 3] {
        self.column_sums[y * width + x..=y * width + x + 2 * RADIUS].iter().copied().fold([0; 3], add)
    }
}

fn add(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn smaller_eigenvalue([xx, xy, yy]: [i32; 3]) -> f32 {
    // Differences over two pixels carry a factor 2, their products 4.
    let scale = 1.0 / (4.0 * ((2 * RADIUS + 1) * (2 * RADIUS + 1)) as f32);
    let (xx, xy, yy) = (xx as f32 * scale, xy as f32 * scale, yy as f32 * scale);
    let half_difference = (xx - yy) / 2.0;
    (xx + yy) / 2.0 - (half_difference * half_difference + xy * xy).sqrt()
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
