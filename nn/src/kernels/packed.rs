//! A layer's parameters in the order in which a kernel reads them.

use std::ops::Range;

use super::block::{Block, LANES};
use super::lanes::{Lanes, Limits};
use super::requantisation::Requantisation;
use crate::error::NnError;

/// Weights, offsets and multipliers of a layer in panels of sixteen output channels.
///
/// The weights of a panel lie segment by segment, a segment word by word. What lies beyond the last channel or the
/// last weight of a segment is zero.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    blocks: Vec<Block>,
    segments: usize,
    words: usize,
    channels: usize,
    offsets: Vec<[i32; LANES]>,
    multipliers: Vec<[f32; LANES]>,
    limits: Limits,
    table: Option<Box<[u8; 256]>>,
}

/// The weights of a layer as its maker has them.
pub(super) struct Layer<'a, P: Fn(usize, usize) -> Range<usize>> {
    /// Output channels.
    pub(super) channels: usize,
    /// Rows of the window, or columns of a depthwise one.
    pub(super) segments: usize,
    /// Words per segment.
    pub(super) words: usize,
    /// As many for each output channel.
    pub(super) weights: &'a [i8],
    /// Where among the weights of an output channel those of a segment's word lie: at most a word of them, the rest of
    /// which is zero.
    pub(super) places: P,
    /// One value per output channel, in steps of input scale times weight scale.
    pub(super) bias: &'a [i32],
    /// The input value that stands for zero.
    pub(super) zero_point: u8,
    /// From sums to outputs.
    pub(super) requantisation: &'a Requantisation,
}

impl Packed {
    /// All of a layer but its weights.
    ///
    /// # Errors
    /// [`NnError::Length`] where there are not as many biases or multipliers as channels, and [`NnError::Range`] where
    /// a sum could outgrow 32 bits.
    pub(super) fn without_weights<P: Fn(usize, usize) -> Range<usize>>(
        layer: &Layer<'_, P>,
    ) -> Result<Self, NnError> {
        let channels = layer.channels;
        layer.requantisation.check_channels(channels)?;
        crate::error::check_length("bias", channels, layer.bias.len())?;
        let mut offsets = vec![[0; LANES]; channels.div_ceil(LANES)];
        let mut multipliers = vec![[0.0; LANES]; channels.div_ceil(LANES)];
        for channel in 0..channels {
            let multiplier = layer.requantisation.multipliers[channel];
            offsets[channel / LANES][channel % LANES] = layer.offset(channel, multiplier)?;
            multipliers[channel / LANES][channel % LANES] = multiplier;
        }
        Ok(Self {
            blocks: Vec::new(),
            segments: 0,
            words: 0,
            channels,
            offsets,
            multipliers,
            limits: layer.requantisation.limits(),
            table: layer.requantisation.table.clone(),
        })
    }

    /// Packs a layer for kernel `L`.
    ///
    /// # Errors
    /// See [`Packed::without_weights`].
    pub(super) fn new<L: Lanes, P: Fn(usize, usize) -> Range<usize>>(
        layer: &Layer<'_, P>,
    ) -> Result<Self, NnError> {
        let Layer { channels, segments, words, .. } = *layer;
        let mut packed = Self::without_weights(layer)?;
        for channel in 0..channels {
            // As all that follows, this may wrap: only the whole sum is known to fit.
            let sum =
                layer.filter(channel).iter().map(|&weight| i32::from(weight)).fold(0, i32::wrapping_add);
            let offset = &mut packed.offsets[channel / LANES][channel % LANES];
            *offset = offset.wrapping_add(L::ACTIVATION_OFFSET.wrapping_mul(sum));
        }
        let mut blocks = Vec::with_capacity(packed.panels() * segments * words);
        for panel in 0..packed.panels() {
            let filters: [&[i8]; LANES] = std::array::from_fn(|lane| {
                let channel = panel * LANES + lane;
                if channel < channels { layer.filter(channel) } else { &[] }
            });
            for segment in 0..segments {
                for word in 0..words {
                    let places = (layer.places)(segment, word);
                    blocks.push(L::block(|lane, depth| {
                        let place = places.start + depth;
                        if place < places.end { filters[lane].get(place).copied().unwrap_or(0) } else { 0 }
                    }));
                }
            }
        }
        Ok(Self { blocks, segments, words, ..packed })
    }

    /// Panels of sixteen output channels.
    pub(super) fn panels(&self) -> usize {
        self.offsets.len()
    }

    /// Words per segment.
    #[inline(always)]
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Bytes that the parameters take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks) + size_of_val(&*self.offsets) + size_of_val(&*self.multipliers)
    }

    /// The parameters of `count` panels from `first` on.
    #[inline(always)]
    pub(super) fn side_by_side(&self, first: usize, count: usize) -> Panels<'_> {
        let of_panel = self.segments * self.words;
        Panels {
            blocks: &self.blocks[first * of_panel..][..count * of_panel],
            offsets: &self.offsets[first..][..count],
            multipliers: &self.multipliers[first..][..count],
            limits: self.limits,
            channels: first * LANES..self.channels.min((first + count) * LANES),
        }
    }

    /// The weights of one word.
    #[inline(always)]
    pub(super) fn block(&self, panel: usize, segment: usize, word: usize) -> &Block {
        &self.blocks[(panel * self.segments + segment) * self.words + word]
    }

    /// Replaces the values of outputs, `step` apart, as the table says where there is one.
    #[inline(always)]
    pub(super) fn look_up<L: Lanes>(
        &self,
        lanes: L,
        output: &mut [u8],
        step: usize,
        [pixels, channels]: [usize; 2],
    ) {
        let Some(table) = &self.table else { return };
        if step == channels {
            lanes.look_up(table, &mut output[..pixels * step]);
            return;
        }
        for pixel in output.chunks_mut(step).take(pixels) {
            lanes.look_up(table, &mut pixel[..channels]);
        }
    }
}

/// Parameters of panels side by side.
#[derive(Clone, Debug)]
pub(super) struct Panels<'a> {
    /// Weights, panel by panel, segment by segment, word by word.
    pub(super) blocks: &'a [Block],
    /// Where sums begin: the bias, less what the input's zero point would add.
    pub(super) offsets: &'a [[i32; LANES]],
    /// Output steps per step of the sum.
    pub(super) multipliers: &'a [[f32; LANES]],
    pub(super) limits: Limits,
    /// The output channels; fewer than sixteen of the last panel of some layers.
    pub(super) channels: Range<usize>,
}

impl<P: Fn(usize, usize) -> Range<usize>> Layer<'_, P> {
    /// The weights of an output channel.
    fn filter(&self, channel: usize) -> &[i8] {
        let length = self.weights.len() / self.channels;
        &self.weights[channel * length..][..length]
    }

    /// Where a channel's sum begins; refuses the channel if its sum could leave 32 bits on any input.
    fn offset(&self, channel: usize, multiplier: f32) -> Result<i32, NnError> {
        let (mut sum, mut magnitude) = (0_i64, 0_i64);
        // No more weights than 32 bits hold the sum of.
        for weights in self.filter(channel).chunks(1 << 16) {
            sum += i64::from(weights.iter().map(|&weight| i32::from(weight)).sum::<i32>());
            magnitude += i64::from(weights.iter().map(|&weight| i32::from(weight).abs()).sum::<i32>());
        }
        let offset = i64::from(self.bias[channel]) - i64::from(self.zero_point) * sum;
        let reach = offset.abs() + 255 * magnitude;
        // Twice the margin, so that no rounding on the way can matter.
        let is_in_range = multiplier >= 0.0 && f64::from(multiplier) * reach as f64 <= f64::from(1 << 30);
        match i32::try_from(offset) {
            Ok(offset) if is_in_range && reach <= i64::from(i32::MAX) => Ok(offset),
            _ => Err(NnError::Range { channel, reach, multiplier: multiplier.to_string() }),
        }
    }
}

/// Copies as many of sixteen values into `output` as it has room for.
#[inline(always)]
pub(super) fn write(values: &[u8; LANES], output: &mut [u8]) {
    if let Some(whole) = output.first_chunk_mut() {
        *whole = *values;
    } else {
        write_pieces(values, output);
    }
}

/// Copies the first of sixteen values into `output`, which has room for fewer, by pieces of fixed size.
#[inline(always)]
fn write_pieces(values: &[u8; LANES], output: &mut [u8]) {
    let mut done = 0;
    done += write_piece::<8>(&values[done..], &mut output[done..]);
    done += write_piece::<4>(&values[done..], &mut output[done..]);
    done += write_piece::<2>(&values[done..], &mut output[done..]);
    write_piece::<1>(&values[done..], &mut output[done..]);
}

#[inline(always)]
fn write_piece<const N: usize>(values: &[u8], output: &mut [u8]) -> usize {
    match (values.first_chunk::<N>(), output.first_chunk_mut::<N>()) {
        (Some(values), Some(output)) => {
            *output = *values;
            N
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::super::scalar::Scalar;
    use super::*;

    fn layer(weight: i8, bias: &[i32], multiplier: f32) -> Result<Packed, NnError> {
        let requantisation = Requantisation::linear(vec![multiplier; bias.len()], 0);
        let (channels, segments, words, zero_point) = (bias.len(), 3, 2, 3);
        Packed::new::<Scalar, _>(&Layer {
            channels,
            segments,
            words,
            weights: &vec![weight; 21 * channels],
            places: |segment, word| segment * 7 + word * 4..segment * 7 + (word * 4 + 4).min(7),
            bias,
            zero_point,
            requantisation: &requantisation,
        })
    }

    #[test]
    fn the_zero_point_goes_into_the_offsets() {
        let packed = layer(2, &[100; 17], 0.5).unwrap();
        assert_eq!([packed.side_by_side(0, 1).channels, packed.side_by_side(0, 2).channels], [0..16, 0..17]);
        assert_eq!((packed.panels(), packed.words(), packed.side_by_side(1, 1).blocks.len()), (2, 2, 6));
        assert_eq!(
            packed.offsets[1][..2],
            [100 - 3 * 21 * 2, 0],
            "what lies beyond the last channel is zero"
        );
        assert_eq!(packed.block(0, 0, 1).0[..4], [2, 2, 2, 0]);
    }

    #[test]
    fn sums_that_could_wrap_are_refused() {
        let error = layer(127, &[0, i32::MAX], 0.5).unwrap_err();
        assert!(matches!(error, NnError::Range { channel: 1, .. }), "{error}");
        for multiplier in [-1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(layer(127, &[1], multiplier).is_err(), "{multiplier}");
        }
    }

    #[test]
    fn any_width_is_written_and_nothing_beyond() {
        let values = from_fn(|i| i as u8 + 1);
        for width in 0..LANES {
            let mut output = vec![0; width];
            write_pieces(&values, &mut output);
            assert_eq!(output, values[..width]);
        }
    }
}
