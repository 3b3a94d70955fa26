//! Loops for the vector unit at hand.

/// Runs `work` compiled for the widest vector unit at hand. What it calls must be inlined into it to gain.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Values of one vector register of AVX2.
pub(crate) const LANES: usize = 8;

/// One register's worth of sums.
pub(crate) type Lane = [f32; LANES];

/// `sums += a * b`, lane by lane. Both slices must be [`LANES`] long.
#[inline(always)]
pub(crate) fn multiply_add(sums: &mut Lane, a: &Lane, b: &Lane) {
    for i in 0..LANES {
        sums[i] += a[i] * b[i];
    }
}

/// Sum of the products; what is left over after whole registers falls away.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        multiply_add(&mut sums, a, b);
    }
    sums.iter().sum()
}
