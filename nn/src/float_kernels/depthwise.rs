//! Convolutions of each channel by itself.
//!
//! A plane is padded and split by the remainders of rows and columns under the stride, so that each weight of the filter
//! reads one run of neighbouring values for the whole plane; a few values at the ends of rows are computed in vain.

use rayon::prelude::*;

use super::function::{After, apply};
use super::lanes::{copy_each, vectorized, weighted_sum};

/// A depthwise convolution, padded by half its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depthwise {
    /// `[batch, channels, height, width]` of what goes in.
    pub(crate) input: [usize; 4],
    /// Height and width of the kernel: an odd number.
    pub(crate) kernel: usize,
    /// Step between windows.
    pub(crate) stride: usize,
}

/// Memory that a plane is computed in.
pub(super) struct Planes {
    parts: Vec<f32>,
    sums: Vec<f32>,
    taps: Vec<(f32, usize)>,
}

/// Sizes of split planes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    pub(crate) stride: usize,
    pub(crate) kernel: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    /// Values in a row of a part.
    pub(crate) row: usize,
    /// Values in a part.
    pub(crate) part: usize,
}

impl Depthwise {
    /// `[batch, channels, height, width]` of what comes out.
    pub(crate) fn output(&self) -> [usize; 4] {
        let [batch, channels, height, width] = self.input;
        [batch, channels, height.div_ceil(self.stride), width.div_ceil(self.stride)]
    }

    /// The output for `input` and `filter`, `[channels, 1, kernel, kernel]`; the threads of the pool share the planes.
    pub(crate) fn share(&self, input: &[f32], filter: &[f32], after: After<'_>, output: &mut [f32]) {
        let split = Split::new(self);
        let planes = output.par_chunks_mut(split.out_height * split.out_width).enumerate();
        planes.for_each_init(
            || self.planes(),
            |planes, (plane, output)| {
                vectorized(
                    #[inline(always)]
                    || self.plane(&split, plane, [input, filter], after, output, planes),
                );
            },
        );
    }

    /// The same by this thread alone.
    pub(super) fn run(
        &self,
        input: &[f32],
        filter: &[f32],
        after: After<'_>,
        output: &mut [f32],
        planes: &mut Planes,
    ) {
        let split = Split::new(self);
        vectorized(
            #[inline(always)]
            || {
                for (plane, output) in output.chunks_mut(split.out_height * split.out_width).enumerate() {
                    self.plane(&split, plane, [input, filter], after, output, planes);
                }
            },
        );
    }

    /// Memory for one plane.
    pub(super) fn planes(&self) -> Planes {
        let split = Split::new(self);
        Planes { parts: split.parts(), sums: vec![0.0; split.run()], taps: Vec::new() }
    }

    #[inline(always)]
    fn plane(
        &self,
        split: &Split,
        plane: usize,
        [input, filter]: [&[f32]; 2],
        after: After<'_>,
        output: &mut [f32],
        Planes { parts, sums, taps }: &mut Planes,
    ) {
        split.take(&input[plane * split.plane()..][..split.plane()], parts);
        taps.clear();
        taps.extend(self.taps(filter, plane).map(|(weight, tap)| (weight, split.start(tap))));
        let bias = after.bias.get(plane % self.input[1]).copied().unwrap_or(0.0);
        weighted_sum(bias, sums, parts, taps);
        apply(after.function, sums);
        let rows = output.chunks_exact_mut(split.out_width);
        rows.zip(sums.chunks(split.row)).for_each(|(to, from)| to.copy_from_slice(&from[..to.len()]));
    }

    /// The weights that filter `plane`, with their numbers.
    pub(crate) fn taps<'a>(
        &self,
        filter: &'a [f32],
        plane: usize,
    ) -> impl Iterator<Item = (f32, usize)> + 'a {
        let count = self.kernel * self.kernel;
        let channel = plane % self.input[1];
        filter[channel * count..][..count].iter().copied().zip(0..)
    }
}

impl Split {
    pub(crate) fn new(of: &Depthwise) -> Self {
        let Depthwise { input: [.., height, width], kernel, stride } = *of;
        let [.., out_height, out_width] = of.output();
        let beyond = (kernel - 1) / stride;
        let row = out_width + beyond;
        Self {
            stride,
            kernel,
            height,
            width,
            out_height,
            out_width,
            row,
            // One row more than is read, for what the last row reads behind its end.
            part: (out_height + beyond + 1) * row,
        }
    }

    /// Values in a plane of the input.
    pub(crate) fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Values that are computed for a plane of the output.
    pub(crate) fn run(&self) -> usize {
        self.out_height * self.row
    }

    pub(crate) fn parts(&self) -> Vec<f32> {
        vec![0.0; self.stride * self.stride * self.part]
    }

    /// The part that a weight reads.
    pub(crate) fn part_of(&self, tap: usize) -> usize {
        let [y, x] = [tap / self.kernel, tap % self.kernel];
        (y % self.stride) * self.stride + x % self.stride
    }

    /// Where in its part a weight begins to read.
    pub(crate) fn offset(&self, tap: usize) -> usize {
        let [y, x] = [tap / self.kernel, tap % self.kernel];
        (y / self.stride) * self.row + x / self.stride
    }

    pub(crate) fn start(&self, tap: usize) -> usize {
        self.part_of(tap) * self.part + self.offset(tap)
    }

    /// Where a row of the input lies in the parts, for each remainder of the columns: the first value, and the first column.
    pub(crate) fn places(&self, y: usize) -> impl Iterator<Item = (usize, usize)> {
        let Self { stride, row, part, .. } = *self;
        let pad = self.kernel / 2;
        let y = y + pad;
        (0..stride).map(move |x| {
            let padded = x + pad;
            ((y % stride * stride + padded % stride) * part + y / stride * row + padded / stride, x)
        })
    }

    /// Splits a plane; the padding of `parts` is and stays zero.
    #[inline(always)]
    pub(crate) fn take(&self, plane: &[f32], parts: &mut [f32]) {
        if self.stride == 1 {
            let pad = self.kernel / 2;
            let rows = parts.chunks_exact_mut(self.row).skip(pad);
            for (row, values) in rows.zip(plane.chunks_exact(self.width)) {
                row[pad..][..self.width].copy_from_slice(values);
            }
            return;
        }
        for (y, values) in plane.chunks_exact(self.width).enumerate() {
            for (place, x) in self.places(y) {
                copy_each(&values[x.min(self.width)..], self.stride, &mut parts[place..]);
            }
        }
    }
}
