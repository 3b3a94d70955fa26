//! Activations and weights as the kernels read them.

/// Output channels that one block serves.
pub(super) const LANES: usize = 16;

/// Consecutive activations of one pixel that one block of weights multiplies: four unsigned bytes, or two of them
/// widened to sixteen bits, in the processor's byte order.
pub type Word = [u8; 4];

/// One cache line of weights: for each of sixteen output channels the weights of one activation word, that is four
/// signed bytes or two of them widened to sixteen bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [u8; 64]);

impl Block {
    /// Four signed bytes a channel: `weight(lane, depth)` with `depth` in `0..4`.
    pub(super) fn of_quads(weight: impl Fn(usize, usize) -> i8) -> Self {
        Self(std::array::from_fn(|byte| weight(byte / 4, byte % 4).cast_unsigned()))
    }

    /// Two words of sixteen bits a channel: `weight(lane, depth)` with `depth` in `0..2`.
    pub(super) fn of_pairs(weight: impl Fn(usize, usize) -> i16) -> Self {
        let half = |lane, depth, byte: usize| weight(lane, depth).to_ne_bytes()[byte];
        Self(std::array::from_fn(|byte| half(byte / 4, byte / 2 % 2, byte % 2)))
    }

    /// Replaces the word of sixteen bits of a channel and a depth in `0..2`.
    pub(super) fn set_pair(&mut self, lane: usize, depth: usize, weight: i16) {
        let first = lane * 4 + depth * 2;
        self.0[first..first + 2].copy_from_slice(&weight.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_lane_by_lane() {
        let weight = |lane: usize, depth: usize| -((lane * 4 + depth) as i8);
        let quads = Block::of_quads(weight);
        assert_eq!(quads.0[..6].iter().map(|&byte| byte as i8).collect::<Vec<_>>(), [0, -1, -2, -3, -4, -5]);
        let pairs = Block::of_pairs(|lane, depth| weight(lane, depth).into());
        let words: Vec<_> = pairs.0.chunks(2).map(|word| i16::from_ne_bytes([word[0], word[1]])).collect();
        assert_eq!(words[..6], [0, -1, -4, -5, -8, -9]);
    }

    #[test]
    fn blocks_fill_cache_lines() {
        assert_eq!((size_of::<Block>(), align_of::<Block>()), (64, 64));
    }
}
