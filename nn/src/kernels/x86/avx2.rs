//! AVX2: activations and weights widened to sixteen bits, multiplied and added in pairs.
//!
//! The instruction that multiplies bytes saturates its sums of two products at sixteen bits; this one can't: two
//! products of 255 and -128 are far from what 32 bits hold.

use std::arch::x86_64::*;

use super::super::block::{Block, LANES, Word};
use super::super::gemm::{Run, strip};
use super::super::lanes::{Lanes, Limits, WideLanes};
use super::super::packed::write;
use super::{Sixteen, broadcast, finish, halves, load_bytes, load_sums, look_up};

/// Proof of AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// The token, where the processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Lanes for Avx2 {
    type Sums = Sixteen;
    type Pixel = [u8; LANES];
    /// The upper two rows in pairs, then the lower one with zeros.
    type Column = [Sixteen; 2];
    type ColumnWeights = [Block; 2];
    type ColumnSums = Sixteen;
    const COLUMN_PANELS: usize = 1;
    const DEPTH: usize = 2;

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves AVX2.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn word([first, second, ..]: [u8; 4]) -> Word {
        [first, 0, second, 0]
    }

    #[inline(always)]
    fn widen(self, pixels: &[u8], channels: usize, to: &mut [u8]) {
        let words = to.as_chunks_mut().0;
        if channels.is_multiple_of(2) {
            // SAFETY: the token proves AVX2.
            return unsafe { widen(pixels, words) };
        }
        let pixels = pixels.chunks_exact(channels);
        for (pixel, words) in pixels.zip(words.chunks_exact_mut(channels.div_ceil(2))) {
            // SAFETY: the token proves AVX2.
            unsafe { widen(pixel, words) };
            words[channels / 2] = Self::word([pixel[channels - 1], 0, 0, 0]);
        }
    }

    fn block(weight: impl Fn(usize, usize) -> i8) -> Block {
        Block::of_pairs(|lane, depth| weight(lane, depth).into())
    }

    #[inline(always)]
    fn start(self, offsets: &[i32; LANES]) -> Self::Sums {
        // SAFETY: the token proves AVX2.
        unsafe { load_sums(offsets) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        // SAFETY: the token proves AVX2.
        unsafe { dot(sums, [broadcast(word); 2], block) }
    }

    #[inline(always)]
    fn column(self, pixels: [&Self::Pixel; 3]) -> Self::Column {
        // SAFETY: the token proves AVX2.
        unsafe { column(pixels) }
    }

    #[inline(always)]
    fn column_weights<'a>(self, block: impl Fn(usize) -> &'a Block) -> Self::ColumnWeights {
        [*block(0), *block(1)]
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
        // SAFETY: the token proves AVX2.
        unsafe { dot(dot(sums, column[0], &weights[0]), column[1], &weights[1]) }
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
        // SAFETY: the token proves AVX2.
        unsafe { finish(sums, multipliers, limits) }
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
        // SAFETY: the token proves AVX2.
        unsafe { look_up(table, values) }
    }

    /// Six pixels by sixteen channels: twelve registers of sums, two of weights, one of activations.
    #[inline(always)]
    fn gemm(self, run: &mut Run<'_>) {
        for [panel, row] in run.panels_and_rows() {
            let pixel = strip::<_, 6, 1>(self, run, row, 0, panel);
            let pixel = strip::<_, 4, 1>(self, run, row, pixel, panel);
            let pixel = strip::<_, 2, 1>(self, run, row, pixel, panel);
            strip::<_, 1, 1>(self, run, row, pixel, panel);
        }
    }
}

impl WideLanes for Avx2 {
    type Wide = __m256i;

    #[inline(always)]
    fn wide(self, bytes: &[u8; LANES]) -> Self::Wide {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_cvtepu8_epi16(load_bytes(bytes)) }
    }

    #[inline(always)]
    fn plus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn minus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn words(self, values: Self::Wide) -> [Word; LANES / 2] {
        let mut words = [Word::default(); LANES / 2];
        // SAFETY: the token proves AVX2; eight words are 32 bytes, and this store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), values) };
        words
    }

    #[inline(always)]
    fn dot_pairs(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        self.dot(sums, word, block)
    }

    #[inline(always)]
    fn sum(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
        // SAFETY: the token proves AVX2.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn difference(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
        // SAFETY: the token proves AVX2.
        unsafe { [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn quarter(self, sums: Self::Sums) -> Self::Sums {
        // SAFETY: the token proves AVX2.
        unsafe { [_mm256_srai_epi32::<2>(sums[0]), _mm256_srai_epi32::<2>(sums[1])] }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot(sums: Sixteen, activations: Sixteen, block: &Block) -> Sixteen {
    let weights = halves(block);
    let add = |half: usize| _mm256_add_epi32(sums[half], _mm256_madd_epi16(activations[half], weights[half]));
    [add(0), add(1)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn column([top, middle, bottom]: [&[u8; LANES]; 3]) -> [Sixteen; 2] {
    let [top, middle, bottom] = [load_bytes(top), load_bytes(middle), load_bytes(bottom)];
    let pairs = [_mm_unpacklo_epi8(top, middle), _mm_unpackhi_epi8(top, middle)];
    let lower = [bottom, _mm_srli_si128::<8>(bottom)];
    [pairs.map(|bytes| _mm256_cvtepu8_epi16(bytes)), lower.map(|bytes| _mm256_cvtepu8_epi32(bytes))]
}

/// Bytes to sixteen bits, two of them a word.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(bytes: &[u8], words: &mut [Word]) {
    let (vectors, rest) = bytes.as_chunks::<LANES>();
    let (wide, narrow) = words.split_at_mut(vectors.len() * (LANES / 2));
    for (vector, words) in vectors.iter().zip(wide.as_chunks_mut::<{ LANES / 2 }>().0) {
        // SAFETY: eight words are 32 bytes; this store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), _mm256_cvtepu8_epi16(load_bytes(vector))) };
    }
    for (&[first, second], word) in rest.as_chunks().0.iter().zip(narrow) {
        *word = Avx2::word([first, second, 0, 0]);
    }
}
