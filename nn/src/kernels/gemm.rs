//! The loop in which networks spend their time: activations times packed weights, a tile of pixels and channels at
//! once.

use super::block::{Block, Word};
use super::lanes::{Lanes, each};
use super::packed::{Packed, Panels};

/// A run of output pixels: everything that one call reads and writes.
///
/// An output pixel is the sum over segments of the words that begin at its own place in each of them, times the weights of
/// the segment. A segment is one row of the convolution's window: its pixels lie side by side, so that no patch is ever
/// copied together.
pub(super) struct Run<'a> {
    /// Rows of activations.
    pub(super) activations: &'a [u8],
    /// Segments of an output pixel.
    pub(super) segments: usize,
    /// Bytes of activations from one segment to the next.
    pub(super) segment_step: usize,
    /// Bytes of activations from one output pixel to the next, and from one row of them to the next.
    pub(super) steps: [usize; 2],
    /// Rows of output pixels.
    pub(super) rows: usize,
    /// Output pixels of a row.
    pub(super) width: usize,
    /// What to multiply with.
    pub(super) weights: &'a Packed,
    /// The first pixel's first channel and all that follows.
    pub(super) output: &'a mut [u8],
    /// Values from one output pixel to the next, and from one row of them to the next.
    pub(super) output_steps: [usize; 2],
}

impl Run<'_> {
    /// Each panel with each row of output pixels, so that the weights of a panel pass over all rows.
    pub(super) fn panels_and_rows(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let rows = self.rows;
        (0..self.weights.panels() * rows).map(move |index| [index / rows, index % rows])
    }
}

/// Covers the pixels of a row from `pixel` on with tiles, as many as fit, and returns the first pixel left over.
#[inline(always)]
pub(super) fn strip<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    row: usize,
    mut pixel: usize,
    panel: usize,
) -> usize {
    let panels = run.weights.side_by_side(panel, PANELS);
    while pixel + PIXELS <= run.width {
        pixel += tile::<L, PIXELS, PANELS>(lanes, run, &panels, [row, pixel]);
    }
    pixel
}

/// Convolves the pixels of a row from `[row, pixel]` on, as many as the tile has, and returns their number.
#[inline(always)]
pub(super) fn tile<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    panels: &Panels<'_>,
    place: [usize; 2],
) -> usize {
    let sums = multiply::<L, PIXELS, PANELS>(lanes, run, panels, place);
    store(lanes, run, panels, place, sums);
    PIXELS
}

/// Sums of one tile: each of its words is read once for all panels, each block once for all pixels.
#[inline(always)]
fn multiply<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &Run<'_>,
    panels: &Panels<'_>,
    [row, pixel]: [usize; 2],
) -> [[L::Sums; PANELS]; PIXELS] {
    let (depth, step) = (run.weights.words(), run.steps[0]);
    let of_panel = depth * run.segments;
    let blocks = &panels.blocks[..PANELS * of_panel];
    // Up to the last word of the last segment of the last pixel.
    let length = (run.segments - 1) * run.segment_step + (PIXELS - 1) * step + depth * size_of::<Word>();
    let tile = &run.activations[row * run.steps[1] + pixel * step..][..length];
    let mut sums = [each(|j| lanes.start(at(panels.offsets, j))); PIXELS];
    for segment in 0..run.segments {
        for k in 0..depth {
            let blocks: [&Block; PANELS] = each(|j| at(blocks, j * of_panel + segment * depth + k));
            let place = segment * run.segment_step + k * size_of::<Word>();
            for (i, sums) in sums.iter_mut().enumerate() {
                let word = word(tile, place + i * step);
                for (sums, block) in sums.iter_mut().zip(blocks) {
                    *sums = lanes.dot(*sums, word, block);
                }
            }
        }
    }
    sums
}

/// Adds to the sums of one tile the words of each pixel times the blocks.
#[inline(always)]
pub(super) fn accumulate<L: Lanes, const PIXELS: usize>(
    dot: impl Fn(L::Sums, Word, &Block) -> L::Sums,
    mut sums: [L::Sums; PIXELS],
    words: [&[Word]; PIXELS],
    blocks: &[Block],
) -> [L::Sums; PIXELS] {
    for (k, block) in blocks.iter().enumerate() {
        for (words, sums) in words.iter().zip(&mut sums) {
            *sums = dot(*sums, *at(words, k), block);
        }
    }
    sums
}

/// Element `k` of a slice that was cut behind the last element that the caller's loop asks for. The compiler does not see
/// that, and would compare in the innermost loop.
#[inline(always)]
#[expect(unsafe_code, reason = "a tenth of the instructions of the innermost loop were comparisons")]
fn at<T>(slice: &[T], k: usize) -> &T {
    debug_assert!(k < slice.len());
    // SAFETY: see above; the suite runs with the assertion.
    unsafe { slice.get_unchecked(k) }
}

/// The word that begins at byte `place` of a slice, under the same condition.
#[inline(always)]
#[expect(unsafe_code, reason = "see `at`")]
fn word(bytes: &[u8], place: usize) -> Word {
    debug_assert!(place + size_of::<Word>() <= bytes.len());
    // SAFETY: see `at`; a word is an array of bytes.
    unsafe { *bytes.as_ptr().add(place).cast() }
}

/// Requantises one tile into the output.
#[inline(always)]
fn store<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    lanes: L,
    run: &mut Run<'_>,
    panels: &Panels<'_>,
    [row, pixel]: [usize; 2],
    sums: [[L::Sums; PANELS]; PIXELS],
) {
    let [step, row_step] = run.output_steps;
    let channels = panels.channels.len();
    let output = &mut run.output[row * row_step + pixel * step + panels.channels.start..];
    let output = &mut output[..(PIXELS - 1) * step + channels];
    let multipliers = each(|j| at(panels.multipliers, j));
    for (i, sums) in sums.into_iter().enumerate() {
        lanes.finish_panels(sums, multipliers, panels.limits, &mut output[i * step..][..channels]);
    }
}
