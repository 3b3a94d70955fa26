//! What a processor's vector unit does for the kernels, sixteen output channels at a time.

use super::block::{Block, LANES, Word};
use super::gemm::Run;

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
    /// Sixteen channels of three pixels above each other.
    type Column: Copy;
    /// Weights of sixteen channels of a column.
    type ColumnWeights: Copy;
    /// Activations per word.
    const DEPTH: usize;

    /// Runs `work` compiled for this vector unit.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;

    /// The same bytes as words, where a word is nothing but its bytes.
    fn as_words(bytes: &[u8]) -> Option<&[Word]>;

    /// A word of the first [`Self::DEPTH`] of `activations`.
    fn word(activations: [u8; 4]) -> Word;

    /// Writes as many activations as go into whole words.
    fn widen(self, bytes: &[u8], words: &mut [Word]);

    /// The block of `weight(lane, depth)`, for `depth` below [`Self::DEPTH`].
    fn block(weight: impl Fn(usize, usize) -> i8) -> Block;

    /// Sums that begin at `offsets`.
    fn start(self, offsets: &[i32; LANES]) -> Self::Sums;

    /// Adds to each sum its channel's weights times the word's activations.
    fn dot(self, sums: Self::Sums, word: Word, block: &Block) -> Self::Sums;

    /// Sixteen channels of three pixels, top to bottom.
    fn column(self, rows: [&[u8; LANES]; 3]) -> Self::Column;

    /// The weights of a column: three per channel, packed by [`Self::block`] over as many blocks as that takes.
    fn column_weights(self, blocks: &[Block]) -> Self::ColumnWeights;

    /// Adds to each sum its channel's three weights times the column's activations.
    fn dot_column(self, sums: Self::Sums, column: Self::Column, weights: Self::ColumnWeights) -> Self::Sums;

    /// Sums to output values: times the channel's multiplier, rounded half to even, plus the zero point, clamped.
    fn finish(self, sums: Self::Sums, multipliers: &[f32; LANES], limits: Limits) -> [u8; LANES];

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
