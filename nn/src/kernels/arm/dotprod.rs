//! The dot products of ARMv8.2: four products of bytes added to each 32-bit sum by one instruction, four sums at a time.
//!
//! The instruction takes signed bytes on both sides: activations have 128 taken from them, by turning their top bit, and
//! the sums begin that much higher ([`Lanes::ACTIVATION_OFFSET`]).

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::super::block::{Block, LANES, Word};
use super::super::gemm::{Run, strip};
use super::super::lanes::{Lanes, Limits};
use super::super::packed::write;

/// Proof of NEON and the dot products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Dotprod(());

/// Sixteen 32-bit values, channels in order.
type Sixteen = [int32x4_t; 4];

impl Dotprod {
    /// The token, where the processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        let has_all = is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod");
        has_all.then_some(Self(()))
    }
}

impl Lanes for Dotprod {
    type Sums = Sixteen;
    type Pixel = [u8; LANES];
    /// Top, middle, bottom and a zero for each channel, 128 taken from them.
    type Column = [int8x16_t; 4];
    type ColumnWeights = Block;
    type ColumnSums = Sixteen;
    const COLUMN_PANELS: usize = 1;
    const DEPTH: usize = 4;
    const ACTIVATION_OFFSET: i32 = 128;

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon,dotprod")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves both.
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
        // SAFETY: the token proves NEON.
        unsafe { load_sums(offsets) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        // SAFETY: the token proves NEON and the dot products.
        unsafe { dot(sums, [signed_word(word); 4], block) }
    }

    #[inline(always)]
    fn column(self, pixels: [&Self::Pixel; 3]) -> Self::Column {
        // SAFETY: the token proves NEON.
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
        // SAFETY: the token proves NEON and the dot products.
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
        // SAFETY: the token proves NEON.
        unsafe { finish(sums, multipliers, limits) }
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
        // SAFETY: the token proves NEON.
        unsafe { look_up(table, values) }
    }

    /// Six pixels by sixteen channels: twenty-four registers of sums, four of weights, one of activations.
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
#[target_feature(enable = "neon")]
fn load_sums(values: &[i32; LANES]) -> Sixteen {
    // SAFETY: four values each.
    let quarter = |index: usize| unsafe { vld1q_s32(values.as_ptr().add(4 * index)) };
    [quarter(0), quarter(1), quarter(2), quarter(3)]
}

#[inline]
#[target_feature(enable = "neon")]
fn load_bytes(bytes: &[u8; LANES]) -> uint8x16_t {
    // SAFETY: sixteen bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Activations less 128.
#[inline]
#[target_feature(enable = "neon")]
fn signed(activations: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(activations, vdupq_n_u8(0x80)))
}

#[inline]
#[target_feature(enable = "neon")]
fn signed_word(word: Word) -> int8x16_t {
    signed(vreinterpretq_u8_u32(vdupq_n_u32(u32::from_ne_bytes(word))))
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sums: Sixteen, activations: [int8x16_t; 4], block: &Block) -> Sixteen {
    for (quarter, (sums, activations)) in sums.iter_mut().zip(activations).enumerate() {
        // SAFETY: a block is four times sixteen bytes.
        let weights = unsafe { vld1q_s8(block.0.as_ptr().cast::<i8>().add(16 * quarter)) };
        // SAFETY: arithmetic between registers; an intrinsic for it is not stable yet.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {activations:v}.16b, {weights:v}.16b",
                sums = inout(vreg) *sums,
                activations = in(vreg) activations,
                weights = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
fn column([top, middle, bottom]: [&[u8; LANES]; 3]) -> [int8x16_t; 4] {
    let [top, middle, bottom] = [load_bytes(top), load_bytes(middle), load_bytes(bottom)];
    let zero = vdupq_n_u8(0);
    let pairs = |upper, lower| {
        [vreinterpretq_u16_u8(vzip1q_u8(upper, lower)), vreinterpretq_u16_u8(vzip2q_u8(upper, lower))]
    };
    let [upper, lower] = [pairs(top, middle), pairs(bottom, zero)];
    [
        signed(vreinterpretq_u8_u16(vzip1q_u16(upper[0], lower[0]))),
        signed(vreinterpretq_u8_u16(vzip2q_u16(upper[0], lower[0]))),
        signed(vreinterpretq_u8_u16(vzip1q_u16(upper[1], lower[1]))),
        signed(vreinterpretq_u8_u16(vzip2q_u16(upper[1], lower[1]))),
    ]
}

/// Sums to bytes, as [`Lanes::finish`] says. Steps saturate at 16 bits before the zero point is added, which bytes can't
/// tell.
#[inline]
#[target_feature(enable = "neon")]
fn finish(sums: Sixteen, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
    let steps = |quarter: usize| {
        // SAFETY: four values.
        let multipliers = unsafe { vld1q_f32(multipliers.as_ptr().add(4 * quarter)) };
        vqmovn_s32(vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums[quarter]), multipliers)))
    };
    let zero_point = vdupq_n_s16(limits.zero_point.into());
    let half =
        |first: usize| vqmovun_s16(vqaddq_s16(vcombine_s16(steps(first), steps(first + 1)), zero_point));
    let values = vmaxq_u8(vcombine_u8(half(0), half(2)), vdupq_n_u8(limits.low));
    let mut bytes = [0; LANES];
    // SAFETY: sixteen bytes.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vminq_u8(values, vdupq_n_u8(limits.high))) };
    bytes
}

/// Each quarter of the table answers for its own bytes, and with zero for all others.
#[inline]
#[target_feature(enable = "neon")]
fn look_up(table: &[u8; 256], values: &mut [u8]) {
    // SAFETY: sixty-four bytes each.
    let quarter = |index: usize| unsafe { vld1q_u8_x4(table.as_ptr().add(64 * index)) };
    let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let (vectors, rest) = values.as_chunks_mut::<LANES>();
    for vector in vectors {
        let bytes = load_bytes(vector);
        let mut found = vdupq_n_u8(0);
        for (index, quarter) in quarters.into_iter().enumerate() {
            let places = vsubq_u8(bytes, vdupq_n_u8(64 * index as u8));
            found = vorrq_u8(found, vqtbl4q_u8(quarter, places));
        }
        // SAFETY: sixteen bytes.
        unsafe { vst1q_u8(vector.as_mut_ptr(), found) };
    }
    for value in rest {
        *value = table[usize::from(*value)];
    }
}
