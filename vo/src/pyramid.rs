//! Image pyramids.

use geometry::GrayImage;
use nalgebra::Vector2;

/// An image and its reductions by two, finest first, reused from frame to frame.
///
/// A pixel of level `l + 1` is the mean of four of level `l`, so its centre lies between theirs:
/// `x_{l+1} = (x_l + 0.5) / 2 - 0.5`.
#[derive(Debug)]
pub(crate) struct Pyramid {
    levels: Vec<GrayImage>,
}

/// A level smaller than this carries nothing that a patch could hold on to.
const MIN_SIDE: usize = 40;

impl Pyramid {
    /// Buffers for images of `width` by `height` in at most `max_levels` levels.
    pub(crate) fn new(width: usize, height: usize, max_levels: usize) -> Self {
        let sizes = (0..max_levels).map(|l| (width >> l, height >> l));
        let useful = sizes.enumerate().take_while(|(l, (w, h))| *l == 0 || w.min(h) >= &MIN_SIDE);
        Self { levels: useful.map(|(_, (w, h))| GrayImage::filled(w, h, [0])).collect() }
    }

    /// Fills all levels from `image`, which must have the size the pyramid was made for.
    pub(crate) fn build(&mut self, image: &GrayImage) {
        self.levels[0].as_mut_slice().copy_from_slice(image.as_slice());
        for level in 1..self.levels.len() {
            let (finer, coarser) = self.levels.split_at_mut(level);
            halve(&finer[level - 1], &mut coarser[0]);
        }
    }

    /// The levels, finest first.
    pub(crate) fn levels(&self) -> &[GrayImage] {
        &self.levels
    }

    /// `(width, height)` of the finest level.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.levels[0].size()
    }
}

/// Where a pixel of the finest level is in `level`.
pub(crate) fn to_level(pixel: Vector2<f32>, level: usize) -> Vector2<f32> {
    let scale = 1.0 / (1 << level) as f32;
    pixel.map(|v| (v + 0.5) * scale - 0.5)
}

/// Where a pixel of `level` is in the finest.
pub(crate) fn from_level(pixel: Vector2<f32>, level: usize) -> Vector2<f32> {
    let scale = (1 << level) as f32;
    pixel.map(|v| (v + 0.5) * scale - 0.5)
}

fn halve(finer: &GrayImage, coarser: &mut GrayImage) {
    for y in 0..coarser.height() {
        let (top, bottom) = (finer.row(2 * y), finer.row(2 * y + 1));
        let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for (out, (t, b)) in coarser.row_mut(y).iter_mut().zip(pairs) {
            let sum = u16::from(t[0]) + u16::from(t[1]) + u16::from(b[0]) + u16::from(b[1]);
            *out = ((sum + 2) >> 2) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_and_rounds() {
        let finer = GrayImage::from_vec(4, 2, vec![0, 1, 10, 20, 1, 0, 30, 41]).unwrap();
        let mut coarser = GrayImage::filled(2, 1, [0]);
        halve(&finer, &mut coarser);
        assert_eq!(coarser.as_slice(), &[1, 25]);
    }

    #[test]
    fn small_images_get_fewer_levels() {
        assert_eq!(Pyramid::new(640, 480, 4).levels().len(), 4);
        assert_eq!(Pyramid::new(100, 90, 4).levels().len(), 2);
        assert_eq!(Pyramid::new(8, 8, 4).levels().len(), 1);
    }
}
