//! What a processor's vector unit does for the kernels, sixteen output channels at a time.

use super::block::{Block, LANES, Word};
use super::gemm::Run;
use super::packed::write;

/// Bounds and offset of quantised outputs, the same for all channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The output value that stands for zero.
    pub(super) zero_point: u8,
    /// Smallest output value.
    pub(super) low: u8,
    /// Largest output value.
    pub(super) high: u8,
}

/// Vector arithmetic of one kernel. The value itself is the proof that the processor has the instructions: each
/// kernel's constructor asks the processor first.
///
/// Sums are 32-bit integers that wrap; layers are refused at load if theirs could.
pub(super) trait Lanes: Copy {
    /// Sixteen sums, one per output channel.
    type Sums: Copy;
    /// As many channels of a pixel as a column has: an array of bytes.
    type Pixel: Copy;
    /// Three pixels above each other.
    type Column: Copy;
    /// Weights of a column.
    type ColumnWeights: Copy;
    /// Sums of a column's channels.
    type ColumnSums: Copy;
    /// Panels of sixteen channels that a column takes.
    const COLUMN_PANELS: usize;
    /// Activations per word. Where it is as many as a word has bytes, they are these bytes: pixels of any number of channels
    /// then lie side by side without gaps, and a word may begin in one and end in the next.
    const DEPTH: usize;

    /// What the kernel takes from activations before it multiplies them.
    const ACTIVATION_OFFSET: i32 = 0;

    /// Runs `work` compiled for this vector unit.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;

    /// A word of the first [`Self::DEPTH`] of `activations`.
    fn word(activations: [u8; 4]) -> Word;

    /// Writes pixels of `channels` activations, each of which takes [`pixel_bytes`].
    fn widen(self, pixels: &[u8], channels: usize, to: &mut [u8]);

    /// The block of `weight(lane, depth)`, for `depth` below [`Self::DEPTH`].
    fn block(weight: impl Fn(usize, usize) -> i8) -> Block;

    /// Sums that begin at `offsets`.
    fn start(self, offsets: &[i32; LANES]) -> Self::Sums;

    /// Adds to each sum its channel's weights times the word's activations.
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums;

    /// The channel of a column at a place of its sums, where that is another one.
    #[inline(always)]
    fn column_channel(place: usize) -> usize {
        place
    }

    /// The column of three pixels, top to bottom.
    fn column(self, pixels: [&Self::Pixel; 3]) -> Self::Column;

    /// The weights of a column: three per channel, packed by [`Self::block`] over as many blocks as that takes; panel by
    /// panel.
    fn column_weights<'a>(self, block: impl Fn(usize) -> &'a Block) -> Self::ColumnWeights;

    /// Sums of a column that begin at the panels' offsets.
    fn start_column(self, offsets: &[[i32; LANES]]) -> Self::ColumnSums;

    /// Adds to each sum its channel's three weights times the column's activations.
    fn dot_column(
        self,
        sums: Self::ColumnSums,
        column: Self::Column,
        weights: &Self::ColumnWeights,
    ) -> Self::ColumnSums;

    /// Writes as many of the sums' output values as `output` has room for; see [`Lanes::finish`].
    fn finish_column(
        self,
        sums: Self::ColumnSums,
        multipliers: &[[f32; LANES]],
        limits: Limits,
        output: &mut [u8],
    );

    /// Sums to output values: times the channel's multiplier, rounded half to even, plus the zero point, clamped.
    fn finish(self, sums: Self::Sums, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES];

    /// [`Lanes::finish`] for panels side by side, each with its multipliers; writes as many values as `output` has room
    /// for.
    #[inline(always)]
    fn finish_panels<const PANELS: usize>(
        self,
        sums: [Self::Sums; PANELS],
        multipliers: [&[f32; LANES]; PANELS],
        limits: Limits,
        output: &mut [u8],
    ) {
        for ((sums, multipliers), place) in sums.into_iter().zip(multipliers).zip(output.chunks_mut(LANES)) {
            write(&self.finish(sums, multipliers, limits), place);
        }
    }

    /// Replaces each byte with what the table has for it.
    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
        for value in values {
            *value = table[usize::from(*value)];
        }
    }

    /// Convolves a run of pixels, in tiles that suit the number of registers.
    fn gemm(self, run: &mut Run<'_>);
}

/// Bytes that the activations of a pixel take in front of kernel `L`.
pub(super) fn pixel_bytes<L: Lanes>(channels: usize) -> usize {
    if L::DEPTH == size_of::<Word>() { channels } else { channels.div_ceil(L::DEPTH) * size_of::<Word>() }
}

/// Like [`std::array::from_fn`], but always inlined, so that `value` is compiled for the vector unit of the caller.
#[inline(always)]
pub(super) fn each<T: Copy, const N: usize>(value: impl Fn(usize) -> T) -> [T; N] {
    let mut values = [value(0); N];
    for (index, place) in values.iter_mut().enumerate().skip(1) {
        *place = value(index);
    }
    values
}

/// Arithmetic in sixteen bits, for kernels that multiply activations of sixteen bits anyway.
pub(super) trait WideLanes: Lanes {
    /// Sixteen channels in sixteen bits each.
    type Wide: Copy;

    /// Bytes widened.
    fn wide(self, bytes: &[u8; LANES]) -> Self::Wide;

    /// Sums that don't leave sixteen bits.
    fn plus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;

    /// Differences that don't leave sixteen bits.
    fn minus(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;

    /// Channels in pairs, as [`WideLanes::dot_pairs`] takes them.
    fn words(self, values: Self::Wide) -> [Word; LANES / 2];

    /// Adds to each sum its channel's two weights times the word's two activations, all of sixteen bits with a sign.
    fn dot_pairs(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums;

    /// `a + b`, wrapping.
    fn sum(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;

    /// `a - b`, wrapping.
    fn difference(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;

    /// A quarter of sums that four divides.
    fn quarter(self, sums: Self::Sums) -> Self::Sums;
}
