//! AVX-VNNI: four products of bytes added to each 32-bit sum by one instruction, eight sums at a time.

use std::arch::x86_64::*;

use super::super::block::{Block, LANES, Word};
use super::super::gemm::{Run, strip};
use super::super::lanes::{Lanes, Limits};
use super::super::packed::write;
use super::{Sixteen, broadcast, finish, halves, load_bytes, load_sums, look_up};

/// Proof of AVX-VNNI and AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct AvxVnni(());

impl AvxVnni {
    /// The token, where the processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")).then_some(Self(()))
    }
}

impl Lanes for AvxVnni {
    type Sums = Sixteen;
    type Pixel = [u8; LANES];
    /// Top, middle, bottom and a zero for each channel.
    type Column = Sixteen;
    type ColumnWeights = Block;
    type ColumnSums = Sixteen;
    const COLUMN_PANELS: usize = 1;
    const DEPTH: usize = 4;

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,avxvnni")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves AVX2 and AVX-VNNI.
        unsafe { compiled(work) }
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
        // SAFETY: the token proves AVX2.
        unsafe { load_sums(offsets) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        // SAFETY: the token proves AVX2 and AVX-VNNI.
        unsafe { dot(sums, [broadcast(word); 2], block) }
    }

    #[inline(always)]
    fn column(self, pixels: [&Self::Pixel; 3]) -> Self::Column {
        // SAFETY: the token proves AVX2.
        unsafe { column(pixels) }
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
        // SAFETY: the token proves AVX2 and AVX-VNNI.
        unsafe { dot(sums, column, weights) }
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

#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn dot(sums: Sixteen, activations: Sixteen, block: &Block) -> Sixteen {
    let weights = halves(block);
    let add = |half: usize| _mm256_dpbusd_avx_epi32(sums[half], activations[half], weights[half]);
    [add(0), add(1)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn column([top, middle, bottom]: [&[u8; LANES]; 3]) -> Sixteen {
    let [top, middle, bottom] = [load_bytes(top), load_bytes(middle), load_bytes(bottom)];
    let zero = _mm_setzero_si128();
    let upper = [_mm_unpacklo_epi8(top, middle), _mm_unpackhi_epi8(top, middle)];
    let lower = [_mm_unpacklo_epi8(bottom, zero), _mm_unpackhi_epi8(bottom, zero)];
    let quads = |half: usize| {
        let first = _mm_unpacklo_epi16(upper[half], lower[half]);
        _mm256_set_m128i(_mm_unpackhi_epi16(upper[half], lower[half]), first)
    };
    [quads(0), quads(1)]
}
