//! AVX-512 VNNI: four products of bytes added to each 32-bit sum by one instruction, sixteen sums at a time.

use std::arch::x86_64::*;

use super::super::block::{Block, LANES, Word};
use super::super::gemm::{Run, strip};
use super::super::lanes::{Lanes, Limits};
use super::super::scalar::{copy_quads, exact_quads};
use super::{bytes, clamp, load_bytes};

/// Proof of the parts F, BW, VL and VNNI of AVX-512, and of AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Avx512Vnni(());

impl Avx512Vnni {
    /// The token, where the processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has_all.then_some(Self(()))
    }

    /// Two to four panels at once, so that one word of activations meets as many registers of weights.
    #[inline(always)]
    fn panels<const PANELS: usize, const PIXELS: usize>(self, run: &mut Run<'_>, panel: usize) -> usize {
        let pixel = strip::<_, PIXELS, PANELS>(self, run, 0, panel);
        let pixel = strip::<_, 4, PANELS>(self, run, pixel, panel);
        let pixel = strip::<_, 2, PANELS>(self, run, pixel, panel);
        strip::<_, 1, PANELS>(self, run, pixel, panel);
        panel + PANELS
    }
}

impl Lanes for Avx512Vnni {
    type Sums = __m512i;
    /// Top, middle, bottom and a zero for each channel.
    type Column = __m512i;
    type ColumnWeights = Block;
    const DEPTH: usize = 4;

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves all of them.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn as_words(bytes: &[u8]) -> Option<&[Word]> {
        exact_quads(bytes)
    }

    #[inline(always)]
    fn word(activations: [u8; 4]) -> Word {
        activations
    }

    #[inline(always)]
    fn widen(self, bytes: &[u8], words: &mut [Word]) {
        copy_quads(bytes, words);
    }

    fn block(weight: impl Fn(usize, usize) -> i8) -> Block {
        Block::of_quads(weight)
    }

    #[inline(always)]
    fn start(self, offsets: &[i32; LANES]) -> Self::Sums {
        // SAFETY: the token proves AVX-512 F; sixteen values, and this load needs no alignment.
        unsafe { _mm512_loadu_si512(offsets.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        // SAFETY: the token proves AVX-512 F and VNNI.
        unsafe { dot(sums, _mm512_set1_epi32(i32::from_ne_bytes(word)), block) }
    }

    #[inline(always)]
    fn column(self, rows: [&[u8; LANES]; 3]) -> Self::Column {
        // SAFETY: the token proves AVX2 and AVX-512 F and BW.
        unsafe { column(rows) }
    }

    #[inline(always)]
    fn column_weights(self, blocks: &[Block]) -> Self::ColumnWeights {
        blocks[0]
    }

    #[inline(always)]
    fn dot_column(self, sums: Self::Sums, column: Self::Column, weights: Self::ColumnWeights) -> Self::Sums {
        // SAFETY: the token proves AVX-512 F and VNNI.
        unsafe { dot(sums, column, &weights) }
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
        // SAFETY: the token proves AVX2 and AVX-512 F.
        unsafe { finish(sums, multipliers, limits) }
    }

    /// Twenty-four registers of sums, or sixteen for a single panel.
    #[inline(always)]
    fn gemm(self, run: &mut Run<'_>) {
        let mut panel = 0;
        while panel < run.weights.panels() {
            // Nine, six and five panels are better cut into threes than into fours and a rest.
            panel = match run.weights.panels() - panel {
                1 => self.panels::<1, 16>(run, panel),
                2 => self.panels::<2, 12>(run, panel),
                3 | 5 | 6 | 9 => self.panels::<3, 8>(run, panel),
                _ => self.panels::<4, 6>(run, panel),
            };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot(sums: __m512i, activations: __m512i, block: &Block) -> __m512i {
    // SAFETY: a block is 64 bytes and aligned to as many.
    let weights = unsafe { _mm512_load_si512(block.0.as_ptr().cast()) };
    _mm512_dpbusd_epi32(sums, activations, weights)
}

/// Each row is laid into all four quarters, where its bytes move to their place among the channels' quads.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn column(rows: [&[u8; LANES]; 3]) -> __m512i {
    // Byte 0 of the quads of channels 0 to 3, 4 to 7, 8 to 11 and 12 to 15; bytes with the top bit set become zero.
    let quarters = _mm512_set_epi64(
        0x8080_800f_8080_800e_u64.cast_signed(),
        0x8080_800d_8080_800c_u64.cast_signed(),
        0x8080_800b_8080_800a_u64.cast_signed(),
        0x8080_8009_8080_8008_u64.cast_signed(),
        0x8080_8007_8080_8006_u64.cast_signed(),
        0x8080_8005_8080_8004_u64.cast_signed(),
        0x8080_8003_8080_8002_u64.cast_signed(),
        0x8080_8001_8080_8000_u64.cast_signed(),
    );
    let [top, middle, bottom] =
        rows.map(|row| _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load_bytes(row)), quarters));
    let lower = _mm512_or_si512(_mm512_slli_epi32::<8>(middle), _mm512_slli_epi32::<16>(bottom));
    _mm512_or_si512(top, lower)
}

#[inline]
#[target_feature(enable = "avx2,avx512f")]
fn finish(sums: __m512i, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
    // SAFETY: sixteen values; this load needs no alignment.
    let multipliers = unsafe { _mm512_loadu_ps(multipliers.as_ptr()) };
    let steps = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), multipliers));
    let values = _mm512_add_epi32(steps, _mm512_set1_epi32(limits.zero_point.into()));
    let values = _mm512_cvtusepi32_epi8(_mm512_max_epi32(values, _mm512_setzero_si512()));
    bytes(clamp(values, limits))
}
