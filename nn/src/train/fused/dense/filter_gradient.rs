//! The gradient of filters.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::products::{Products, add_products, block};
use crate::float_kernels::{Band, Dense};

/// Values of bands of whole images that are summed over at once.
const IMAGES: usize = 192 << 10;
/// Filters are given to tasks in groups of as many, or of more.
const GROUP: usize = 16;

/// The gradient of the filter of a convolution, from its input and the gradient of its output.
pub(super) fn of(of: &Dense, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let [batch, channels, height, width] = of.input;
    let [_, filters, rows, columns] = of.output();
    let of_filter = channels * of.kernel * of.kernel;
    let size = filters * of_filter;
    // Where filters are larger than images, sums of each image would take longer to add up than to make.
    let images = if size > channels * height * width { batch } else { 1 };
    let parts = batch.div_ceil(images);
    let groups = (2 * rayon::current_num_threads()).div_ceil(parts);
    let group = filters.div_ceil(groups).next_multiple_of(GROUP);
    let mut sums = vec![0.0; parts * size];
    let tasks = sums.chunks_mut(size).enumerate().flat_map(|(part, sums)| {
        let groups = sums.chunks_mut(group * of_filter).enumerate();
        groups.map(move |(index, sums)| (part * images, index * group, sums))
    });
    let tasks: Vec<_> = tasks.collect();
    tasks.into_par_iter().for_each(|(image, first, sums)| {
        let input = input[image * channels * height * width..].chunks_exact(channels * height * width);
        let gradient = gradient[image * filters * rows * columns..].chunks_exact(filters * rows * columns);
        let images = input.zip(gradient).take(images).collect();
        pulp::Arch::new().dispatch(Task { of, images, first, sums });
    });
    let (total, others) = sums.split_at_mut(size);
    for other in others.chunks_exact(size) {
        total.iter_mut().zip(other).for_each(|(total, other)| *total += other);
    }
    sums.truncate(size);
    sums
}

/// Sums over some images for some filters.
struct Task<'a> {
    of: &'a Dense,
    /// Inputs and gradients of the output.
    images: Vec<(&'a [f32], &'a [f32])>,
    /// The first of the filters.
    first: usize,
    /// `[filters, channels, taps]`.
    sums: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, images, first: first_filter, sums: found } = self;
        let band = Band::forward(of);
        let [.., rows, columns] = of.output();
        let taps: Vec<usize> =
            (0..of.kernel * of.kernel).map(|tap| band.offset([tap / of.kernel, tap % of.kernel])).collect();
        let offsets: Vec<usize> = (0..of.input[1])
            .flat_map(|channel| taps.iter().map(move |tap| channel * band.channel() + tap))
            .collect();
        let filters = found.len() / offsets.len();
        let block = block::<S>(filters);
        let at_once = if band.rows < rows { 1 } else { (IMAGES / band.size()).clamp(1, images.len()) };
        let mut values = vec![0.0; at_once * band.size()];
        let mut gradients = Vec::new();
        let mut sums = vec![0.0; filters.div_ceil(block) * block * offsets.len()];
        for images in images.chunks(at_once) {
            for first in (0..rows).step_by(band.rows) {
                let taken = band.rows.min(rows - first);
                for ((input, _), values) in images.iter().zip(values.chunks_exact_mut(band.size())) {
                    band.fill(input, first, values);
                }
                let starts: Vec<usize> = (0..images.len())
                    .flat_map(|image| (0..taken).map(move |row| image * band.size() + row * band.pitch()))
                    .collect();
                let of_block = starts.len() * columns * block;
                gradients.resize(filters.div_ceil(block) * of_block, 0.0);
                for (index, (_, gradient)) in images.iter().enumerate() {
                    let planes = gradient.chunks_exact(rows * columns).skip(first_filter).take(filters);
                    let pixels = first * columns..(first + taken) * columns;
                    transpose(
                        planes.map(|plane| &plane[pixels.clone()]),
                        block,
                        of_block,
                        &mut gradients[index * taken * columns * block..],
                    );
                }
                let of = Products { values: &values, rows: &starts, offsets: &offsets };
                for (gradients, sums) in
                    gradients.chunks_exact(of_block).zip(sums.chunks_exact_mut(block * offsets.len()))
                {
                    add_products(simd, of, gradients, block, sums);
                }
            }
        }
        for (filter, found) in found.chunks_exact_mut(offsets.len()).enumerate() {
            let sums = sums[filter / block * block * offsets.len()..].chunks_exact(block);
            found.iter_mut().zip(sums).for_each(|(found, sums)| *found = sums[filter % block]);
        }
    }
}

/// Puts pixels of one filter after the other beside those of the others of its block, blocks `of_block` values apart.
#[inline(always)]
fn transpose<'a>(planes: impl Iterator<Item = &'a [f32]>, block: usize, of_block: usize, to: &mut [f32]) {
    for (filter, plane) in planes.enumerate() {
        let to = to[filter / block * of_block + filter % block..].iter_mut().step_by(block);
        to.zip(plane).for_each(|(to, &from)| *to = from);
    }
}
