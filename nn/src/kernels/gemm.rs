//! The loop in which networks spend their time: activations times packed weights, a tile of pixels and channels at
//! once.

use super::block::{Block, Word};
use super::lanes::{Lanes, each};
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
    let panels: [Panel<'_>; PANELS] = std::array::from_fn(|j| weights.panel(panel + j));
    while pixel + PIXELS <= run.pixels {
        let sums = multiply::<L, PIXELS, PANELS>(lanes, run, &panels, pixel, panel);
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
    first_panel: usize,
) -> [[L::Sums; PANELS]; PIXELS] {
    let depth = run.weights.words();
    let of_panel = depth * run.starts.len();
    let mut sums = [each(|j| lanes.start(panels[j].offsets)); PIXELS];
    for (segment, start) in run.starts.iter().enumerate() {
        let blocks = &run.weights.blocks(first_panel, PANELS)[segment * depth..];
        let words = &run.words[start + pixel * run.step..];
        sums = accumulate::<L, PIXELS, PANELS>(
            #[inline(always)]
            |sums, word, block| lanes.dot(sums, word, block),
            sums,
            (words, run.step),
            (blocks, of_panel),
            depth,
        );
    }
    sums
}

/// Adds to the sums of one tile `depth` words of each pixel times as many blocks of each panel. Pixels and panels each
/// come with the distance from one to the next.
#[inline(always)]
pub(super) fn accumulate<L: Lanes, const PIXELS: usize, const PANELS: usize>(
    dot: impl Fn(L::Sums, Word, &Block) -> L::Sums,
    mut sums: [[L::Sums; PANELS]; PIXELS],
    (words, pixel): (&[Word], usize),
    (blocks, panel): (&[Block], usize),
    depth: usize,
) -> [[L::Sums; PANELS]; PIXELS] {
    // One slice for each, so that a loop over them needs no arithmetic for addresses.
    let words: [&[Word]; PIXELS] = each(|i| &words[i * pixel..][..depth]);
    let blocks: [&[Block]; PANELS] = each(|j| &blocks[j * panel..][..depth]);
    for k in 0..depth {
        let blocks: [&Block; PANELS] = each(|j| at(blocks[j], k));
        for (words, sums) in words.iter().zip(&mut sums) {
            let word = *at(words, k);
            for (sums, block) in sums.iter_mut().zip(blocks) {
                *sums = dot(*sums, word, block);
            }
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
    let channels = panels[0].channels.start..panels[PANELS - 1].channels.end;
    let multipliers = each(|j| panels[j].multipliers);
    for (i, sums) in sums.into_iter().enumerate() {
        let pixel = &mut output[i * run.output_step..][channels.clone()];
        lanes.finish_panels(sums, multipliers, panels[0].limits, pixel);
    }
}
