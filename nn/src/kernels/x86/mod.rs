//! Kernels of x86-64 processors.
//!
//! Functions here are compiled for instructions that a processor may lack, and may be called by whoever holds the token
//! that proves them. Nothing else is unsafe about them: they take and return values and whole arrays.

mod avx2;
mod avx512_vnni;
mod avx_vnni;

use std::arch::x86_64::*;

pub(super) use avx_vnni::AvxVnni;
pub(super) use avx2::Avx2;
pub(super) use avx512_vnni::Avx512Vnni;

use super::block::{Block, LANES, Word};
use super::lanes::Limits;

/// Sixteen 32-bit values, channels in order.
type Sixteen = [__m256i; 2];

/// The two halves of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(block: &Block) -> Sixteen {
    let bytes = block.0.as_ptr().cast::<__m256i>();
    // SAFETY: a block is 64 bytes and aligned to as many.
    unsafe { [_mm256_load_si256(bytes), _mm256_load_si256(bytes.add(1))] }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_sums(values: &[i32; LANES]) -> Sixteen {
    let values = values.as_ptr().cast::<__m256i>();
    // SAFETY: sixteen values are 64 bytes; these loads need no alignment.
    unsafe { [_mm256_loadu_si256(values), _mm256_loadu_si256(values.add(1))] }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; LANES]) -> __m128i {
    // SAFETY: sixteen bytes; this load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn bytes(vector: __m128i) -> [u8; LANES] {
    let mut bytes = [0; LANES];
    // SAFETY: sixteen bytes; this store needs no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) };
    bytes
}

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(word: Word) -> __m256i {
    _mm256_set1_epi32(i32::from_ne_bytes(word))
}

/// Sums to bytes, as [`Lanes::finish`](super::lanes::Lanes::finish) says. Steps saturate at 16 bits before the zero
/// point is added, which bytes can't tell.
#[inline]
#[target_feature(enable = "avx2")]
fn finish(sums: Sixteen, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
    let multipliers = multipliers.as_ptr();
    // SAFETY: sixteen values; these loads need no alignment.
    let multipliers = unsafe { [_mm256_loadu_ps(multipliers), _mm256_loadu_ps(multipliers.add(8))] };
    let steps =
        |half: usize| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[half]), multipliers[half]));
    // Packing works within halves of 128 bits: put the quarters in order.
    let steps = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(steps(0), steps(1)));
    let values = _mm256_adds_epi16(steps, _mm256_set1_epi16(limits.zero_point.into()));
    let values = _mm_packus_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values));
    bytes(clamp(values, limits))
}

#[inline]
#[target_feature(enable = "avx2")]
fn clamp(values: __m128i, limits: Limits) -> __m128i {
    let values = _mm_max_epu8(values, _mm_set1_epi8(limits.low.cast_signed()));
    _mm_min_epu8(values, _mm_set1_epi8(limits.high.cast_signed()))
}

/// Looks up each byte in all sixteen rows of the table at once, thirty-two bytes at a time; what does not belong to a row
/// comes out of it as zero.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(table: &[u8; 256], values: &mut [u8]) {
    let rows = table.as_chunks::<LANES>().0;
    let (vectors, rest) = values.as_chunks_mut::<{ 2 * LANES }>();
    for vector in vectors {
        // SAFETY: thirty-two bytes; this load needs no alignment.
        let bytes = unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) };
        let mut found = _mm256_setzero_si256();
        for (index, row) in rows.iter().enumerate() {
            let row = _mm256_broadcastsi128_si256(load_bytes(row));
            // Bytes of this row are below 16 now; added to 0x70, all others have the top bit, which looks up a zero.
            let places = _mm256_xor_si256(bytes, _mm256_set1_epi8((16 * index as u8).cast_signed()));
            let places = _mm256_adds_epu8(places, _mm256_set1_epi8(0x70));
            found = _mm256_or_si256(found, _mm256_shuffle_epi8(row, places));
        }
        // SAFETY: thirty-two bytes; this store needs no alignment.
        unsafe { _mm256_storeu_si256(vector.as_mut_ptr().cast(), found) };
    }
    for value in rest {
        *value = table[usize::from(*value)];
    }
}
