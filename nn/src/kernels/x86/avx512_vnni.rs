//! AVX-512 VNNI: four products of bytes added to each 32-bit sum by one instruction, sixteen sums at a time.

use std::arch::x86_64::*;

use super::super::block::{Block, LANES, Word};
use super::super::gemm::{Run, tile};
use super::super::lanes::{Lanes, Limits, each};

/// Proof of the parts F, BW, VL and VNNI of AVX-512, and of AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Avx512Vnni {
    /// Proof of its part VBMI.
    has_vbmi: bool,
}

impl Avx512Vnni {
    /// The token, where the processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has_all.then(|| Self { has_vbmi: is_x86_feature_detected!("avx512vbmi") })
    }
}

impl Lanes for Avx512Vnni {
    type Sums = __m512i;
    type Pixel = [u8; 4 * LANES];
    /// Top, middle, bottom and a zero for each channel. Of each sixteen channels the first vector has the first four, and
    /// so on: what unpacking leaves, and what packing puts in order.
    type Column = [__m512i; 4];
    type ColumnWeights = [Block; 4];
    type ColumnSums = [__m512i; 4];
    const COLUMN_PANELS: usize = 4;
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
        // SAFETY: the token proves AVX-512 F; sixteen values, and this load needs no alignment.
        unsafe { _mm512_loadu_si512(offsets.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums {
        // SAFETY: the token proves AVX-512 F and VNNI.
        unsafe { dot(sums, _mm512_set1_epi32(i32::from_ne_bytes(word)), block) }
    }

    #[inline(always)]
    fn column_channel(place: usize) -> usize {
        let [vector, quarter, lane] = [place / LANES, place % LANES / 4, place % 4];
        quarter * LANES + vector * 4 + lane
    }

    #[inline(always)]
    fn column(self, pixels: [&Self::Pixel; 3]) -> Self::Column {
        // SAFETY: the token proves AVX-512 F and BW.
        unsafe { column(pixels) }
    }

    #[inline(always)]
    fn column_weights<'a>(self, block: impl Fn(usize) -> &'a Block) -> Self::ColumnWeights {
        each(|panel| *block(panel))
    }

    #[inline(always)]
    fn start_column(self, offsets: &[[i32; LANES]]) -> Self::ColumnSums {
        each(
            #[inline(always)]
            |panel| self.start(&offsets[panel]),
        )
    }

    #[inline(always)]
    fn dot_column(
        self,
        sums: Self::ColumnSums,
        column: Self::Column,
        weights: &Self::ColumnWeights,
    ) -> Self::ColumnSums {
        each(
            #[inline(always)]
            // SAFETY: the token proves AVX-512 F and VNNI.
            |panel| unsafe { dot(sums[panel], column[panel], &weights[panel]) },
        )
    }

    #[inline(always)]
    fn finish_column(
        self,
        sums: Self::ColumnSums,
        multipliers: &[[f32; LANES]],
        limits: Limits,
        output: &mut [u8],
    ) {
        let Some(multipliers) = multipliers.first_chunk() else { return };
        // SAFETY: the token proves AVX-512 F and BW.
        unsafe { store(pack(sums, multipliers.each_ref(), limits), output) }
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES] {
        let mut bytes = [0; LANES];
        self.finish_panels([sums], [multipliers], limits, &mut bytes);
        bytes
    }

    #[inline(always)]
    fn finish_panels<const PANELS: usize>(
        self,
        sums: [Self::Sums; PANELS],
        multipliers: [&[f32; LANES]; PANELS],
        limits: Limits,
        output: &mut [u8],
    ) {
        // SAFETY: the token proves AVX-512 F and BW.
        unsafe { store(in_order(pack(sums, multipliers, limits)), output) }
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
        if self.has_vbmi {
            // SAFETY: the token proves AVX-512 F and BW, and what was asked VBMI.
            unsafe { look_up(table, values) }
        } else {
            // SAFETY: the token proves AVX2.
            unsafe { super::look_up(table, values) }
        }
    }

    /// Two to four panels at once, so that one word of activations meets as many registers of weights.
    #[inline(always)]
    fn gemm(self, run: &mut Run<'_>) {
        let mut panel = 0;
        while panel < run.weights.panels() {
            // Nine, six and five panels are better cut into threes than into fours and a rest.
            panel += match run.weights.panels() - panel {
                1 => one_panel(self, run, panel),
                2 => two_panels(self, run, panel),
                3 | 5 | 6 | 9 => three_panels(self, run, panel),
                _ => four_panels(self, run, panel),
            };
        }
    }
}

/// The width of the next tile of a row, so that the last ones are about as wide as the others and none is wider than `widest`: twenty-four registers hold
/// sums, or sixteen those of a single panel.
#[inline(always)]
fn width(run: &Run<'_>, pixel: usize, widest: usize) -> usize {
    let left = run.width - pixel;
    if left >= 4 * widest { widest } else { left.div_ceil(left.div_ceil(widest)) }
}

#[inline(always)]
fn one_panel(lanes: Avx512Vnni, run: &mut Run<'_>, panel: usize) -> usize {
    let panels = run.weights.side_by_side(panel, 1);
    for row in 0..run.rows {
        let mut pixel = 0;
        while pixel < run.width {
            let place = [row, pixel];
            pixel += match width(run, pixel, 16) {
                16 => tile::<_, 16, 1>(lanes, run, &panels, place),
                8.. => tile::<_, 8, 1>(lanes, run, &panels, place),
                4.. => tile::<_, 4, 1>(lanes, run, &panels, place),
                2.. => tile::<_, 2, 1>(lanes, run, &panels, place),
                _ => tile::<_, 1, 1>(lanes, run, &panels, place),
            };
        }
    }
    1
}

#[inline(always)]
fn two_panels(lanes: Avx512Vnni, run: &mut Run<'_>, panel: usize) -> usize {
    let panels = run.weights.side_by_side(panel, 2);
    for row in 0..run.rows {
        let mut pixel = 0;
        while pixel < run.width {
            let place = [row, pixel];
            pixel += match width(run, pixel, 12) {
                12 => tile::<_, 12, 2>(lanes, run, &panels, place),
                10.. => tile::<_, 10, 2>(lanes, run, &panels, place),
                8.. => tile::<_, 8, 2>(lanes, run, &panels, place),
                6.. => tile::<_, 6, 2>(lanes, run, &panels, place),
                4.. => tile::<_, 4, 2>(lanes, run, &panels, place),
                2.. => tile::<_, 2, 2>(lanes, run, &panels, place),
                _ => tile::<_, 1, 2>(lanes, run, &panels, place),
            };
        }
    }
    2
}

#[inline(always)]
fn three_panels(lanes: Avx512Vnni, run: &mut Run<'_>, panel: usize) -> usize {
    let panels = run.weights.side_by_side(panel, 3);
    for row in 0..run.rows {
        let mut pixel = 0;
        while pixel < run.width {
            let place = [row, pixel];
            pixel += match width(run, pixel, 8) {
                8 => tile::<_, 8, 3>(lanes, run, &panels, place),
                7 => tile::<_, 7, 3>(lanes, run, &panels, place),
                6 => tile::<_, 6, 3>(lanes, run, &panels, place),
                5 => tile::<_, 5, 3>(lanes, run, &panels, place),
                3.. => tile::<_, 3, 3>(lanes, run, &panels, place),
                2 => tile::<_, 2, 3>(lanes, run, &panels, place),
                _ => tile::<_, 1, 3>(lanes, run, &panels, place),
            };
        }
    }
    3
}

#[inline(always)]
fn four_panels(lanes: Avx512Vnni, run: &mut Run<'_>, panel: usize) -> usize {
    let panels = run.weights.side_by_side(panel, 4);
    for row in 0..run.rows {
        let mut pixel = 0;
        while pixel < run.width {
            let place = [row, pixel];
            pixel += match width(run, pixel, 6) {
                6 => tile::<_, 6, 4>(lanes, run, &panels, place),
                5 => tile::<_, 5, 4>(lanes, run, &panels, place),
                4 => tile::<_, 4, 4>(lanes, run, &panels, place),
                3 => tile::<_, 3, 4>(lanes, run, &panels, place),
                2 => tile::<_, 2, 4>(lanes, run, &panels, place),
                _ => tile::<_, 1, 4>(lanes, run, &panels, place),
            };
        }
    }
    4
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot(sums: __m512i, activations: __m512i, block: &Block) -> __m512i {
    // SAFETY: a block is 64 bytes and aligned to as many.
    let weights = unsafe { _mm512_load_si512(block.0.as_ptr().cast()) };
    _mm512_dpbusd_epi32(sums, activations, weights)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn column([top, middle, bottom]: [&[u8; 4 * LANES]; 3]) -> [__m512i; 4] {
    // SAFETY: sixty-four bytes; this load needs no alignment.
    let load = |pixel: &[u8; 4 * LANES]| unsafe { _mm512_loadu_si512(pixel.as_ptr().cast()) };
    let [top, middle, bottom] = [load(top), load(middle), load(bottom)];
    let zero = _mm512_setzero_si512();
    let upper = [_mm512_unpacklo_epi8(top, middle), _mm512_unpackhi_epi8(top, middle)];
    let lower = [_mm512_unpacklo_epi8(bottom, zero), _mm512_unpackhi_epi8(bottom, zero)];
    [
        _mm512_unpacklo_epi16(upper[0], lower[0]),
        _mm512_unpackhi_epi16(upper[0], lower[0]),
        _mm512_unpacklo_epi16(upper[1], lower[1]),
        _mm512_unpackhi_epi16(upper[1], lower[1]),
    ]
}

/// Up to four vectors of sums to bytes; each quarter of what comes out has four of each vector, one after the other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pack<const VECTORS: usize>(
    sums: [__m512i; VECTORS],
    multipliers: [&[f32; LANES]; VECTORS],
    limits: Limits,
) -> __m512i {
    const { assert!(VECTORS > 0 && VECTORS <= 4) };
    let steps = |index: usize| {
        // SAFETY: sixteen values; this load needs no alignment.
        let multipliers = unsafe { _mm512_loadu_ps(multipliers[index].as_ptr()) };
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[index]), multipliers))
    };
    // Steps saturate at sixteen bits before the zero point is added, which bytes can't tell.
    let zero_point = _mm512_set1_epi16(limits.zero_point.into());
    let pair = |first: usize| {
        let second = if first + 1 < VECTORS { steps(first + 1) } else { _mm512_setzero_si512() };
        _mm512_adds_epi16(_mm512_packs_epi32(steps(first), second), zero_point)
    };
    let upper = if VECTORS > 2 { pair(2) } else { zero_point };
    let values = _mm512_packus_epi16(pair(0), upper);
    let values = _mm512_max_epu8(values, _mm512_set1_epi8(limits.low.cast_signed()));
    _mm512_min_epu8(values, _mm512_set1_epi8(limits.high.cast_signed()))
}

/// Brings together what belongs to each of four vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_order(values: __m512i) -> __m512i {
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_epi32(order, values)
}

/// Stores as many bytes as `output` has room for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store(values: __m512i, output: &mut [u8]) {
    let place = output.as_mut_ptr().cast();
    // SAFETY: there is room for what is stored; none of these needs alignment.
    unsafe {
        match output.len() {
            16 => _mm_storeu_si128(output.as_mut_ptr().cast(), _mm512_castsi512_si128(values)),
            32 => _mm256_storeu_si256(output.as_mut_ptr().cast(), _mm512_castsi512_si256(values)),
            64.. => _mm512_storeu_si512(output.as_mut_ptr().cast(), values),
            length => _mm512_mask_storeu_epi8(place, (1 << length) - 1, values),
        }
    }
}

/// Both halves of the table are looked into by the lower seven bits, the top bit chooses between them.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[u8; 256], values: &mut [u8]) {
    // SAFETY: four times sixty-four bytes; these loads need no alignment.
    let quarter = |index: usize| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * index).cast()) };
    let [lower, upper] = [[quarter(0), quarter(1)], [quarter(2), quarter(3)]];
    let found = |bytes: __m512i| {
        let in_lower = _mm512_permutex2var_epi8(lower[0], bytes, lower[1]);
        let in_upper = _mm512_permutex2var_epi8(upper[0], bytes, upper[1]);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), in_lower, in_upper)
    };
    let (vectors, rest) = values.as_chunks_mut::<64>();
    for vector in vectors {
        let place = vector.as_mut_ptr().cast();
        // SAFETY: sixty-four bytes; neither needs alignment.
        unsafe { _mm512_storeu_si512(place, found(_mm512_loadu_si512(place))) };
    }
    if !rest.is_empty() {
        let mask = (1_u64 << rest.len()) - 1;
        let place = rest.as_mut_ptr().cast();
        // SAFETY: no more bytes than the mask has.
        unsafe { _mm512_mask_storeu_epi8(place, mask, found(_mm512_maskz_loadu_epi8(mask, place))) };
    }
}
