//! Sums over runs of values, several at a time.

/// Values that are summed side by side.
pub(super) const LANES: usize = 32;

/// Compiled for AVX2 where the processor has it. Sums are written lane by lane and nothing is fused: the same on all.
#[inline(always)]
pub(super) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// `out[i]` becomes the sum of `weight * values[i]` over all taps.
#[inline(always)]
pub(super) fn weighted_sum(out: &mut [f32], taps: &[(f32, &[f32])]) {
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    let done = blocks.len() * LANES;
    for (index, block) in blocks.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for (weight, values) in taps {
            let values = &values[index * LANES..][..LANES];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        *block = sums;
    }
    for (index, out) in rest.iter_mut().enumerate() {
        *out = taps.iter().map(|(weight, values)| weight * values[done + index]).sum();
    }
}

/// The sum of `a[i] * b[i]` over all of `a`.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..a.len()].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The sums of both numbers that `of` makes of `a[i]` and `b[i]`, over all of `a`.
#[inline(always)]
pub(super) fn sums(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> [f32; 2]) -> [f32; 2] {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..a.len()].as_chunks::<LANES>();
    let mut sums = [[0.0; LANES]; 2];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            let [first, second] = of(a[lane], b[lane]);
            sums[0][lane] += first;
            sums[1][lane] += second;
        }
    }
    let mut result = sums.map(|lanes| lanes.iter().sum::<f32>());
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        let [first, second] = of(a, b);
        result[0] += first;
        result[1] += second;
    }
    result
}
