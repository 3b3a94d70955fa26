//! The loop in which networks spend their time: activations times packed weights, a tile of pixels and channels at
//! once.

use std::array::from_fn;

use super::block::{Block, LANES, Word};
use super::lanes::Lanes;
use super::packed::{Packed, Panel};

/// A run of output pixels: everything that one call reads and writes.
///
/// Output pixel `p` is the sum over segments `s` of the words from `starts[s] + p * step` times the weights of `s`.
/// A segment is one row of the convolution's window: its pixels lie side by side, so that no patch is ever copied
/// together.
pub(super) struct Run<'a> {
    /// Rows of activations.
    pub(super) words: &'a [Word],
    /// Where each segment of the first pixel begins.
    pub(super) starts: &'a [usize],
    /// Words from one output pixel to the next.
    pub(super) step: usize,
    /// Output pixels.
    pub(super) pixels: usize,
    /// What to multiply with.
    pub(super) weights: &'a Packed,
    /// The first pixel's first channel and all that follows.
    pub(super) output: &'a mut [u8],
    /// Values from one output pixel to the next.
    pub(super) output_step: usize,
}

/// Covers the pixels from `pixel` on with tiles, as many as fit, and returns the first pixel left over.
#[inline(always)]
pub(super) fn strip<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    mut pixel: usize,
    panel: usize,
) -> usize {
    let weights = run.weights;
    let panels: [Panel<'_>; PANELS] = from_fn(|j| weights.panel(panel + j));
    while pixel + PIXELS <= run.pixels {
        let sums = multiply::<L, PIXELS, PANELS>(lanes, run, &panels, pixel);
        store(lanes, run, &panels, pixel, sums);
        pixel += PIXELS;
    }
    pixel
}

/// Sums of one tile: each of its words is read once for all panels, each block once for all pixels.
#[inline(always)]
fn multiply<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &Run<'_>,
    panels: &[Panel<'_>; PANELS],
    pixel: usize,
) -> [[L::Sums; PANELS]; PIXELS] {
    let depth = run.weights.words();
    let mut sums = [from_fn(|j| lanes.start(panels[j].offsets)); PIXELS];
    for (segment, start) in run.starts.iter().enumerate() {
        let blocks: [&[Block]; PANELS] = from_fn(|j| &panels[j].blocks[segment * depth..][..depth]);
        let first = start + pixel * run.step;
        let words: [&[Word]; PIXELS] = from_fn(|i| &run.words[first + i * run.step..][..depth]);
        for k in 0..depth {
            let blocks = blocks.map(|blocks| at(blocks, k, depth));
            for (sums, words) in sums.iter_mut().zip(&words) {
                let word = *at(words, k, depth);
                for (sums, block) in sums.iter_mut().zip(blocks) {
                    *sums = lanes.dot(*sums, word, block);
                }
            }
        }
    }
    sums
}

/// Element `k` of a slice that was cut to `length`. The compiler does not see through the arrays of slices that their
/// lengths are one number, and would compare it with each of them in the innermost loop.
#[inline(always)]
#[expect(unsafe_code, reason = "a tenth of the instructions of the innermost loop were comparisons")]
fn at<T>(slice: &[T], k: usize, length: usize) -> &T {
    debug_assert!(k < length && length == slice.len());
    // SAFETY: `k` counts up to `length`, to which the caller cut the slice.
    unsafe { slice.get_unchecked(k) }
}

/// Requantises one tile into the output.
#[inline(always)]
fn store<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    panels: &[Panel<'_>; PANELS],
    pixel: usize,
    sums: [[L::Sums; PANELS]; PIXELS],
) {
    let output = &mut run.output[pixel * run.output_step..];
    if panels[PANELS - 1].is_full() {
        let first = panels[0].channels.start;
        // One check for the tile: the step is no less than the channels, so that its last panel reaches furthest.
        let tile = &mut output[first..][..(PIXELS - 1) * run.output_step + PANELS * LANES];
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, sums) in sums.into_iter().enumerate() {
                tile[i * run.output_step + j * LANES..][..LANES]
                    .copy_from_slice(&panels[j].finish(lanes, sums));
            }
        }
    } else {
        for (sums, pixel) in sums.into_iter().zip(output.chunks_mut(run.output_step)) {
            for (sums, panel) in sums.into_iter().zip(panels) {
                panel.write(&panel.finish(lanes, sums), pixel);
            }
        }
    }
}
