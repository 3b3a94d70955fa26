//! Innermost loops of the gradient of filters.

use pulp::Simd;

/// Rows of results, and what windows meet at them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Products<'a> {
    /// Bands of images.
    pub(super) values: &'a [f32],
    /// Where in `values` each row of results begins.
    pub(super) rows: &'a [usize],
    /// How much farther each tap reads, of all channels.
    pub(super) offsets: &'a [usize],
}

/// Filters whose sums of products are made together where there are `filters`.
#[inline(always)]
pub(super) fn block<S: Simd>(filters: usize) -> usize {
    if filters > S::F32_LANES { 2 * S::F32_LANES } else { S::F32_LANES }
}

/// Adds to `sums`, `[taps, block]`, the products of what taps meet with `gradients`, `[rows, columns, block]`.
#[inline(always)]
pub(super) fn add_products<S: Simd>(
    simd: S,
    of: Products<'_>,
    gradients: &[f32],
    block: usize,
    sums: &mut [f32],
) {
    if block > S::F32_LANES {
        add_products_of::<S, 6, 2>(simd, of, gradients, sums);
    } else {
        add_products_of::<S, 12, 1>(simd, of, gradients, sums);
    }
}

/// With 12 sums in registers, of `T` taps with `V` vectors of filters.
#[inline(always)]
fn add_products_of<S: Simd, const T: usize, const V: usize>(
    simd: S,
    of: Products<'_>,
    gradients: &[f32],
    sums: &mut [f32],
) {
    let gradients = S::as_simd_f32s(gradients).0.as_chunks::<V>().0;
    let columns = gradients.len() / of.rows.len();
    let groups = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<V>().0.chunks_mut(T);
    for (sums, offsets) in groups.zip(of.offsets.chunks(T)) {
        // The last taps may be fewer: the first is computed in their place, for nothing.
        let offsets: [usize; T] = std::array::from_fn(|tap| *offsets.get(tap).unwrap_or(&offsets[0]));
        let mut tile = [[simd.splat_f32s(0.0); V]; T];
        for (&start, gradients) in of.rows.iter().zip(gradients.chunks_exact(columns)) {
            let values = offsets.map(|offset| &of.values[start + offset..][..columns]);
            for (column, gradients) in gradients.iter().enumerate() {
                for (sums, values) in tile.iter_mut().zip(values) {
                    let value = simd.splat_f32s(values[column]);
                    for (sum, &gradient) in sums.iter_mut().zip(gradients) {
                        *sum = simd.mul_add_e_f32s(value, gradient, *sum);
                    }
                }
            }
        }
        for (sums, tile) in sums.iter_mut().zip(tile) {
            sums.iter_mut().zip(tile).for_each(|(sum, tile)| *sum = simd.add_f32s(*sum, tile));
        }
    }
}
