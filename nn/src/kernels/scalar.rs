//! Plain Rust: runs everywhere, and what it computes is what all other kernels must compute.

use std::array::from_fn;

use super::block::{Block, LANES, Word};
use super::gemm::{Run, strip};
use super::lanes::{Lanes, Limits, WideLanes};
use super::packed::write;

/// The vector unit of no particular processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scalar;

impl Lanes for Scalar {
    type Sums = [i32; LANES];
    type Pixel = [u8; LANES];
    type Column = [Word; LANES];
    type ColumnWeights = Block;
    type ColumnSums = Self::Sums;
    const COLUMN_PANELS: usize = 1;
    const DEPTH: usize = 4;

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(always)]
    fn word(activations: [u8; 4]) -> Word {
        activations
    }

    #[inline(always)]
    fn widen(self, pixels: &[u8], _: usize, to: &mut [u8]) {
        to.copy_from_slice(pixels);
    }

    fn block(weight: impl Fn(usize, usize) -> i8) -> Block {
        Block::of_quads(weight)
    }

    #[inline(always)]
    fn start(self, offsets: &[i32; LANES]) -> Self::Sums {
        *offsets
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        from_fn(|lane| add_products(sums[lane], word, lane, block))
    }

    #[inline(always)]
    fn column(self, [top, middle, bottom]: [&Self::Pixel; 3]) -> Self::Column {
        from_fn(|lane| [top[lane], middle[lane], bottom[lane], 0])
    }

    #[inline(always)]
    fn column_weights<'a>(self, block: impl Fn(usize) -> &'a Block) -> Self::ColumnWeights {
        *block(0)
    }

    #[inline(always)]
    fn start_column(self, offsets: &[[i32; LANES]]) -> Self::ColumnSums {
        self.start(&offsets[0])
    }

    #[inline(always)]
    fn dot_column(
        self,
        sums: Self::ColumnSums,
        column: Self::Column,
        weights: &Self::ColumnWeights,
    ) -> Self::ColumnSums {
        from_fn(|lane| add_products(sums[lane], column[lane], lane, weights))
    }

    #[inline(always)]
    fn finish_column(
        self,
        sums: Self::ColumnSums,
        multipliers: &[[f32; LANES]],
        limits: Limits,
        output: &mut [u8],
    ) {
        write(&self.finish(sums, &multipliers[0], limits), output);
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
        from_fn(|lane| requantise(sums[lane], multipliers[lane], limits))
    }

    #[inline(always)]
    fn gemm(self, run: &mut Run<'_>) {
        for [panel, row] in run.panels_and_rows() {
            let pixel = strip::<_, 4, 1>(self, run, row, 0, panel);
            strip::<_, 1, 1>(self, run, row, pixel, panel);
        }
    }
}

impl WideLanes for Scalar {
    type Wide = [i16; LANES];

    #[inline(always)]
    fn wide(self, bytes: &[u8; LANES]) -> Self::Wide {
        bytes.map(i16::from)
    }

    #[inline(always)]
    fn plus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
        from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn minus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
        from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn words(self, values: Self::Wide) -> [Word; LANES / 2] {
        from_fn(|pair| {
            let ([a, b], [c, d]) = (values[2 * pair].to_ne_bytes(), values[2 * pair + 1].to_ne_bytes());
            [a, b, c, d]
        })
    }

    #[inline(always)]
    fn dot_pairs(self, sums: Self::Sums, [a, b, c, d]: Word, block: &Block) -> Self::Sums {
        let activations = [[a, b], [c, d]].map(|bytes| i32::from(i16::from_ne_bytes(bytes)));
        let weights = block.0.as_chunks::<2>().0;
        from_fn(|lane| {
            let product =
                |depth: usize| activations[depth] * i32::from(i16::from_ne_bytes(weights[2 * lane + depth]));
            sums[lane].wrapping_add(product(0)).wrapping_add(product(1))
        })
    }

    #[inline(always)]
    fn sum(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
        from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn difference(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
        from_fn(|lane| a[lane].wrapping_sub(b[lane]))
    }

    #[inline(always)]
    fn quarter(self, sums: Self::Sums) -> Self::Sums {
        sums.map(|sum| sum >> 2)
    }
}

/// The arithmetic of every kernel: `clamp(round_half_even(sum * multiplier) + zero_point, low, high)`, the product
/// rounded to `f32` before it is rounded to an integer.
#[inline(always)]
pub(super) fn requantise(sum: i32, multiplier: f32, limits: Limits) -> u8 {
    let steps = (sum as f32 * multiplier).round_ties_even() as i32;
    let value = steps.saturating_add(i32::from(limits.zero_point));
    value.clamp(i32::from(limits.low), i32::from(limits.high)) as u8
}

#[inline(always)]
fn add_products(sum: i32, word: Word, lane: usize, block: &Block) -> i32 {
    let products = from_fn::<i32, 4, _>(|depth| {
        i32::from(word[depth]) * i32::from(block.0[lane * 4 + depth].cast_signed())
    });
    products.into_iter().fold(sum, i32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_round_half_to_even_and_stay_within_limits() {
        let limits = Limits { zero_point: 10, low: 8, high: 14 };
        let of = |sum| requantise(sum, 0.5, limits);
        assert_eq!([-9, -3, -1, 0, 1, 3, 5, 7, 99].map(of), [8, 8, 10, 10, 10, 12, 12, 14, 14]);
    }
}
