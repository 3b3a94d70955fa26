//! Sums of runs of values, several side by side.

use crate::float_kernels::LANES;

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
