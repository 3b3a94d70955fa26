//! Images by what they look like from afar.

use std::hash::{DefaultHasher, Hash, Hasher};

use geometry::GrayImage;

use crate::DatasetError;
use crate::labels::LabelledImage;

/// Cells across and down; each is compared with the next to its right and the next below.
const CELLS: usize = 16;
const WORDS: usize = 2 * CELLS * CELLS / 64;

/// A difference hash: for each cell of a grid, whether it is brighter than its neighbours. Brightness, contrast and
/// compression change little of it; another place changes half of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    bits: [u64; WORDS],
    /// Of all pixels.
    exact: u64,
}

impl Fingerprint {
    /// How many bits there are.
    pub(super) const BITS: u32 = 64 * WORDS as u32;
    /// Images that differ in at most so many are of one view. In three sets of aerial images (CATS, SIMD, aerial-cars),
    /// neighbouring frames differ in 0 to 9 % of the bits, images of different scenes in 30 % or more.
    pub(super) const ALIKE: u32 = Self::BITS / 8;

    /// The image's fingerprint; it is decoded for it.
    pub(super) fn of(image: &LabelledImage) -> Result<Self, DatasetError> {
        Ok(Self::of_pixels(&image.frame()?.gray))
    }

    fn of_pixels(image: &GrayImage) -> Self {
        let means = cell_means(image);
        let at = |x: usize, y: usize| means[y * (CELLS + 1) + x];
        let cells = (0..CELLS).flat_map(|y| (0..CELLS).map(move |x| (x, y)));
        let brighter = cells.flat_map(|(x, y)| [at(x, y) > at(x + 1, y), at(x, y) > at(x, y + 1)]);
        let mut bits = [0; WORDS];
        for (index, is_brighter) in brighter.enumerate() {
            bits[index / 64] |= u64::from(is_brighter) << (index % 64);
        }
        let mut hasher = DefaultHasher::new();
        (image.size(), image.as_slice()).hash(&mut hasher);
        Self { bits, exact: hasher.finish() }
    }

    /// In how many bits the two differ.
    pub(super) fn distance(&self, other: &Self) -> u32 {
        self.bits.iter().zip(&other.bits).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Whether all pixels are the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.exact == other.exact
    }
}

/// Mean brightness of each cell of a grid with one more than [`CELLS`] to a side.
fn cell_means(image: &GrayImage) -> Vec<u64> {
    let (width, height) = image.size();
    let side = |index: usize, room: usize| {
        let start = (index * room / (CELLS + 1)).min(room.saturating_sub(1));
        start..((index + 1) * room / (CELLS + 1)).max(start + 1)
    };
    let mean = |x: usize, y: usize| {
        let (columns, rows) = (side(x, width), side(y, height));
        let pixels = (columns.len() * rows.len()) as u64;
        let sum: u64 = rows.flat_map(|y| &image.row(y)[columns.clone()]).map(|value| u64::from(*value)).sum();
        // Finer than a grey value, so that even areas are told apart.
        sum * 256 / pixels
    };
    (0..=CELLS).flat_map(|y| (0..=CELLS).map(move |x| (x, y))).map(|(x, y)| mean(x, y)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A landscape that depends on its seed.
    fn land(seed: f64, shift: f64, gain: f64) -> GrayImage {
        GrayImage::from_fn(320, 240, |x, y| {
            let (x, y) = (x as f64 + shift, y as f64);
            let waves = (x * (0.05 + 0.01 * seed)).sin()
                + (y * 0.07 - seed).cos()
                + ((x + 2.0 * y) * 0.021 * seed).sin();
            [(120.0 + gain * 25.0 * waves) as u8]
        })
    }

    #[test]
    fn light_and_small_shifts_change_little_and_other_places_much() {
        let first = Fingerprint::of_pixels(&land(1.0, 0.0, 1.0));
        let darker = Fingerprint::of_pixels(&land(1.0, 0.0, 0.6));
        let shifted = Fingerprint::of_pixels(&land(1.0, 1.0, 1.0));
        let elsewhere = Fingerprint::of_pixels(&land(3.0, 40.0, 1.0));
        assert!(first.distance(&darker) < Fingerprint::ALIKE && !first.is_same(&darker));
        assert!(first.distance(&shifted) < Fingerprint::ALIKE, "{}", first.distance(&shifted));
        assert!(first.distance(&elsewhere) > 2 * Fingerprint::ALIKE, "{}", first.distance(&elsewhere));
        assert!(first.is_same(&first.clone()));
    }

    #[test]
    fn images_smaller_than_the_grid_have_one_too() {
        let tiny = Fingerprint::of_pixels(&GrayImage::filled(3, 2, [7]));
        assert_eq!(tiny.distance(&tiny.clone()), 0);
    }
}
