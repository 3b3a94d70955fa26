//! Innermost loops, over vectors of the processor.

use pulp::Simd;

/// Filters whose results are computed together.
pub(super) const FILTERS: usize = 4;

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

/// Results of [`FILTERS`] filters at each value of `run`: `sums[filter * pitch + index]`, where `pitch` is the length of
/// `sums` over the number of filters, with room for a few more than `run`. `weights`: `[channels, taps, filters]`.
#[inline(always)]
pub(super) fn correlate<S: Simd>(simd: S, runs: Runs<'_>, weights: &[f32], run: usize, sums: &mut [f32]) {
    if S::REGISTER_COUNT >= 32 {
        // 24 sums, 6 vectors of the image and a weight.
        correlate_by::<S, 6>(simd, runs, weights, run, sums);
    } else {
        // 12 sums, 3 vectors of the image and a weight in 16 registers.
        correlate_by::<S, 3>(simd, runs, weights, run, sums);
    }
}

/// With tiles of at most `V` vectors.
#[inline(always)]
fn correlate_by<S: Simd, const V: usize>(
    simd: S,
    runs: Runs<'_>,
    weights: &[f32],
    run: usize,
    sums: &mut [f32],
) {
    let (mut start, mut left) = (0, run.div_ceil(S::F32_LANES));
    while left > 0 {
        // The last tiles are about as wide as the others: a narrow one waits for its sums.
        let width = if left >= 4 * V { V } else { left.div_ceil(left.div_ceil(V)) };
        match width {
            1 => tile::<S, 1>(simd, runs, weights, start, sums),
            2 => tile::<S, 2>(simd, runs, weights, start, sums),
            3 => tile::<S, 3>(simd, runs, weights, start, sums),
            4 => tile::<S, 4>(simd, runs, weights, start, sums),
            5 => tile::<S, 5>(simd, runs, weights, start, sums),
            _ => tile::<S, V>(simd, runs, weights, start, sums),
        }
        left -= width;
        start += width * S::F32_LANES;
    }
}

#[inline(always)]
fn tile<S: Simd, const V: usize>(simd: S, runs: Runs<'_>, weights: &[f32], start: usize, sums: &mut [f32]) {
    let mut tile = [[simd.splat_f32s(0.0); V]; FILTERS];
    let taps = weights.as_chunks::<FILTERS>().0.chunks_exact(runs.offsets.len());
    for (channel, weights) in taps.enumerate() {
        let values = &runs.band[channel * runs.channel + start..];
        for (weights, &offset) in weights.iter().zip(runs.offsets) {
            let values = S::as_simd_f32s(&values[offset..][..V * S::F32_LANES]).0;
            let Some(values) = values.first_chunk::<V>() else { continue };
            for (sums, &weight) in tile.iter_mut().zip(weights) {
                let weight = simd.splat_f32s(weight);
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_e_f32s(weight, value, *sum);
                }
            }
        }
    }
    let pitch = sums.len() / FILTERS;
    for (sums, tile) in sums.chunks_exact_mut(pitch).zip(tile) {
        let sums = S::as_mut_simd_f32s(&mut sums[start..][..V * S::F32_LANES]).0;
        sums.iter_mut().zip(tile).for_each(|(to, from)| *to = from);
    }
}
