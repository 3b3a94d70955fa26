//! The loop in which networks spend their time: activations times packed weights, a tile of pixels and channels at
//! once.

use std::array::from_fn;

use super::block::{Block, Word};
use super::lanes::Lanes;
use super::packed::Packed;

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
    while pixel + PIXELS <= run.pixels {
        let sums = multiply::<L, PIXELS, PANELS>(lanes, run, pixel, panel);
        store(lanes, run, sums, pixel, panel);
        pixel += PIXELS;
    }
    pixel
}

/// Sums of one tile: each of its words is read once for all panels, each block once for all pixels.
#[inline(always)]
fn multiply<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &Run<'_>,
    pixel: usize,
    panel: usize,
) -> [[L::Sums; PANELS]; PIXELS] {
    let weights = run.weights;
    let depth = weights.words();
    let mut sums = [from_fn(|j| lanes.start(weights.offsets(panel + j))); PIXELS];
    for (segment, start) in run.starts.iter().enumerate() {
        let blocks: [&[Block]; PANELS] = from_fn(|j| weights.blocks(panel + j, segment));
        let words: [&[Word]; PIXELS] = from_fn(|i| &run.words[start + (pixel + i) * run.step..][..depth]);
        for k in 0..depth {
            let blocks = blocks.map(|blocks| &blocks[k]);
            for (sums, words) in sums.iter_mut().zip(&words) {
                let word = words[k];
                for (sums, block) in sums.iter_mut().zip(blocks) {
                    *sums = lanes.dot(*sums, word, block);
                }
            }
        }
    }
    sums
}

/// Requantises one tile into the output.
#[inline(always)]
fn store<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    sums: [[L::Sums; PANELS]; PIXELS],
    pixel: usize,
    panel: usize,
) {
    for (i, sums) in sums.into_iter().enumerate() {
        let output = &mut run.output[(pixel + i) * run.output_step..];
        for (j, sums) in sums.into_iter().enumerate() {
            run.weights.finish(lanes, panel + j, sums, output);
        }
    }
}
