//! Sums over runs of values, several at a time.

/// Values that are summed side by side.
pub(crate) const LANES: usize = 32;

/// Compiled for AVX2 or AVX-512 where the processor has it. Sums are written lane by lane and nothing is fused: the same on all.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// `out[i]` becomes `first` and the sum of `weight * values[start + i]` over all taps, `(weight, start)`.
#[inline(always)]
pub(crate) fn weighted_sum(first: f32, out: &mut [f32], values: &[f32], taps: &[(f32, usize)]) {
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    let done = blocks.len() * LANES;
    for (index, block) in blocks.iter_mut().enumerate() {
        let mut sums = [first; LANES];
        for (weight, start) in taps {
            let values = &values[start + index * LANES..][..LANES];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        *block = sums;
    }
    for (index, out) in rest.iter_mut().enumerate() {
        *out = taps.iter().fold(first, |sum, (weight, start)| sum + weight * values[start + done + index]);
    }
}

/// Copies every `step`-th value, from the first on, as many as there are and as there is room for.
#[inline(always)]
pub(crate) fn copy_each(from: &[f32], step: usize, to: &mut [f32]) {
    match step {
        1 => {
            let length = from.len().min(to.len());
            to[..length].copy_from_slice(&from[..length]);
        }
        // By pairs, which become vectors.
        2 => {
            let (pairs, rest) = from.as_chunks::<2>();
            to.iter_mut().zip(pairs).for_each(|(to, &[first, _])| *to = first);
            if let ([last], Some(to)) = (rest, to.get_mut(pairs.len())) {
                *to = *last;
            }
        }
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &from)| *to = from),
    }
}
