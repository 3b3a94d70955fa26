//! Innermost loops, over vectors of the processor.

use pulp::Simd;

/// Filters whose results are computed together,
pub(super) const FILTERS: usize = 8;
/// at this many vectors of neighbouring pixels.
const VECTORS: usize = 3;

/// What taps of filters read: runs that begin at `offsets` in each channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs<'a> {
    /// All channels.
    pub(super) band: &'a [f32],
    /// Values of a channel.
    pub(super) channel: usize,
    /// By tap.
    pub(super) offsets: &'a [usize],
}

/// Results of [`FILTERS`] filters at each value of `run`, beginning with a number for each: `sums[filter * pitch + index]`, where `pitch` is the length of
/// `sums` over the number of filters, with room for a few more than `run`. `weights`: `[channels, taps, filters]`.
#[inline(always)]
pub(super) fn correlate<S: Simd>(
    simd: S,
    runs: Runs<'_>,
    (weights, starts): (&[f32], [f32; FILTERS]),
    run: usize,
    sums: &mut [f32],
) {
    let weights = weights.as_chunks::<FILTERS>().0;
    let vectors = run.div_ceil(S::F32_LANES);
    let mut done = 0;
    while done < vectors {
        // The last tiles are about as wide as the others: a narrow one waits for its sums.
        let left = vectors - done;
        let width = if left >= 4 * VECTORS { VECTORS } else { left.div_ceil(left.div_ceil(VECTORS)) };
        let start = done * S::F32_LANES;
        match width {
            1 => tiles::<S, 1>(simd, runs, (weights, &starts), start, sums),
            2 => tiles::<S, 2>(simd, runs, (weights, &starts), start, sums),
            _ => tiles::<S, VECTORS>(simd, runs, (weights, &starts), start, sums),
        }
        done += width;
    }
}

/// All filters at `V` vectors.
#[inline(always)]
fn tiles<S: Simd, const V: usize>(
    simd: S,
    runs: Runs<'_>,
    weights: (&[[f32; FILTERS]], &[f32; FILTERS]),
    start: usize,
    sums: &mut [f32],
) {
    if S::REGISTER_COUNT >= 32 {
        // 24 sums, 3 vectors of the image and a weight.
        tile::<S, FILTERS, V>(simd, runs, weights, (0, start), sums);
    } else {
        // 12 sums, 3 vectors of the image and a weight in 16 registers.
        tile::<S, 4, V>(simd, runs, weights, (0, start), sums);
        tile::<S, 4, V>(simd, runs, weights, (4, start), sums);
    }
}

/// Filters from `first` on.
#[inline(always)]
fn tile<S: Simd, const F: usize, const V: usize>(
    simd: S,
    runs: Runs<'_>,
    (weights, starts): (&[[f32; FILTERS]], &[f32; FILTERS]),
    (first, start): (usize, usize),
    sums: &mut [f32],
) {
    let mut tile = [[simd.splat_f32s(0.0); V]; F];
    tile.iter_mut().zip(&starts[first..]).for_each(|(tile, &start)| *tile = [simd.splat_f32s(start); V]);
    for (channel, weights) in weights.chunks_exact(runs.offsets.len()).enumerate() {
        let values = &runs.band[channel * runs.channel + start..];
        for (weights, &offset) in weights.iter().zip(runs.offsets) {
            let values = S::as_simd_f32s(&values[offset..][..V * S::F32_LANES]).0;
            let Some(values) = values.first_chunk::<V>() else { continue };
            for (sums, &weight) in tile.iter_mut().zip(&weights[first..]) {
                let weight = simd.splat_f32s(weight);
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_e_f32s(weight, value, *sum);
                }
            }
        }
    }
    let pitch = sums.len() / FILTERS;
    for (sums, tile) in sums.chunks_exact_mut(pitch).skip(first).zip(tile) {
        let sums = S::as_mut_simd_f32s(&mut sums[start..][..V * S::F32_LANES]).0;
        sums.iter_mut().zip(tile).for_each(|(to, from)| *to = from);
    }
}
