//! Convolutions over all input channels, of any window.

use std::ops::Range;

use super::block::Word;
use super::gemm::Run;
use super::kernel::{Kernel, Work};
use super::lanes::{Lanes, each};
use super::output::Output;
use super::packed::{Layer, Packed};
use super::requantisation::Requantisation;
use super::window::{ImageShape, MAX_WINDOW, Window};
use super::winograd::Winograd;
use crate::error::{NnError, check_length};

/// Words of activations that stay in cache while all weights pass over them.
const CACHED_WORDS: usize = 8 << 10;

/// Pixels of a cached piece are a multiple of this, which the heights of tiles divide.
const PIECE: usize = 24;

/// What a convolution computes.
#[derive(Clone, Debug)]
pub struct ConvolutionSpec<'a> {
    /// The image that it reads.
    pub input: ImageShape,
    /// The input value that stands for zero, which the padding is made of.
    pub input_zero_point: u8,
    /// What slides over it.
    pub window: Window,
    /// Channels that it writes.
    pub output_channels: usize,
    /// `[output channel, window row, window column, input channel]`; zero stands for zero.
    pub weights: &'a [i8],
    /// One per output channel, in steps of input scale times weight scale.
    pub bias: &'a [i32],
    /// From sums to outputs, the activation included.
    pub requantisation: &'a Requantisation,
}

/// A convolution packed for one kernel.
///
/// The rows under the window are kept padded in a ring, each of them copied there once; the window's rows are then
/// segments of it that the weights pass over in place, so that no patch is copied together.
#[derive(Clone, Debug)]
pub struct Convolution {
    kernel: Kernel,
    input: ImageShape,
    input_zero_point: u8,
    window: Window,
    output: ImageShape,
    packed: Packed,
    /// Words per pixel of activations.
    pixel_words: usize,
    /// In place of the packed weights, where it is faster.
    winograd: Option<Box<Winograd>>,
}

impl Convolution {
    /// Whether `window` is one that these kernels take.
    pub fn takes(window: &Window) -> bool {
        window.size[0] <= MAX_WINDOW
    }

    /// Packs a convolution for `kernel`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where the window does not fit or is none of these, [`NnError::Length`] where weights, bias or multipliers have
    /// another length than the sizes say, [`NnError::Range`] where sums could outgrow 32 bits.
    pub fn new(kernel: Kernel, spec: &ConvolutionSpec<'_>) -> Result<Self, NnError> {
        let [height, width] = spec.window.places(spec.input)?;
        let output = ImageShape { height, width, channels: spec.output_channels };
        if !Self::takes(&spec.window) {
            let found = format!("{:?}", spec.window);
            return Err(NnError::Shape { expected: "a window of at most 16 rows", found });
        }
        if output.is_empty() {
            return Err(NnError::Shape { expected: "output channels", found: "none".into() });
        }
        let patch = spec.window.size.iter().product::<usize>() * spec.input.channels;
        check_length("weights", patch * output.channels, spec.weights.len())?;
        let without_weights = Winograd::suits(kernel, spec);
        let (packed, pixel_words) = kernel.run(Pack { spec, without_weights })?;
        let winograd = without_weights.then(|| Box::new(Winograd::new(spec, output, packed.clone())));
        Ok(Self {
            kernel,
            input: spec.input,
            input_zero_point: spec.input_zero_point,
            window: spec.window,
            output,
            packed,
            pixel_words,
            winograd,
        })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        self.output
    }

    #[cfg(test)]
    pub(super) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// Multiplications of one run, as the definition counts them.
    pub fn multiplications(&self) -> usize {
        self.output.len() * self.window.size.iter().product::<usize>() * self.input.channels
    }

    /// Bytes that the packed parameters take.
    pub fn bytes(&self) -> usize {
        self.winograd.as_ref().map_or_else(|| self.packed.bytes(), |winograd| winograd.bytes())
    }

    /// Words of scratch memory that a run needs.
    pub fn scratch_words(&self) -> usize {
        if let Some(winograd) = &self.winograd {
            winograd.scratch_words()
        } else if self.window.is_pointwise() {
            self.piece().min(self.output.height * self.output.width) * self.pixel_words
        } else {
            self.window.size[0] * self.ring_row()
        }
    }

    /// Computes the output rows `rows` of `input`; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `input` or `output` has another length than the shapes say or `scratch` is too short.
    pub fn run_rows(
        &self,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
        scratch: &mut [Word],
    ) -> Result<(), NnError> {
        check_length("input", self.input.len(), input.len())?;
        output.check(self.output, &rows)?;
        let needed = self.scratch_words();
        let found = scratch.len();
        let scratch =
            scratch.get_mut(..needed).ok_or(NnError::Length { what: "scratch", expected: needed, found })?;
        match &self.winograd {
            Some(winograd) => winograd.run_rows(self.kernel, rows, input, output, scratch),
            None => self.kernel.run(Convolve { layer: self, rows, input, output, scratch }),
        }
        Ok(())
    }

    /// Computes the whole output.
    ///
    /// # Errors
    /// See [`Convolution::run_rows`].
    pub fn run(&self, input: &[u8], output: Output<'_>, scratch: &mut [Word]) -> Result<(), NnError> {
        self.run_rows(0..self.output.height, input, output, scratch)
    }

    /// Pixels of a 1x1 convolution that are multiplied together.
    fn piece(&self) -> usize {
        (CACHED_WORDS / self.pixel_words / PIECE).max(1) * PIECE
    }

    /// Words of one padded row.
    fn ring_row(&self) -> usize {
        (self.window.padding_before[1] + self.input.width + self.window.padding_after[1]) * self.pixel_words
    }
}

/// Packs weights for a kernel, unless they go to Winograd's form; returns them with the words that a pixel of activations
/// takes.
struct Pack<'a, 'b> {
    spec: &'a ConvolutionSpec<'b>,
    without_weights: bool,
}

impl Work for Pack<'_, '_> {
    type Output = Result<(Packed, usize), NnError>;

    #[inline(always)]
    fn on<L: Lanes>(self, _: L) -> Self::Output {
        let Self { spec, without_weights } = self;
        let channels = spec.input.channels;
        let pixel_words = channels.div_ceil(L::DEPTH);
        let [rows, columns] = spec.window.size;
        let layer = Layer {
            channels: spec.output_channels,
            segments: rows,
            words: columns * pixel_words,
            weights: spec.weights,
            places: |row, word| {
                let [column, first] = [word / pixel_words, word % pixel_words * L::DEPTH];
                let pixel = (row * columns + column) * channels;
                pixel + first..pixel + (first + L::DEPTH).min(channels)
            },
            bias: spec.bias,
            zero_point: spec.input_zero_point,
            requantisation: spec.requantisation,
        };
        let packed =
            if without_weights { Packed::without_weights(&layer) } else { Packed::new::<L, _>(&layer) };
        Ok((packed?, pixel_words))
    }
}

struct Convolve<'a> {
    layer: &'a Convolution,
    rows: Range<usize>,
    input: &'a [u8],
    output: Output<'a>,
    scratch: &'a mut [Word],
}

impl Work for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, lanes: L) {
        let rows = self.rows.clone();
        if !self.layer.window.is_pointwise() {
            self.windowed(lanes);
        } else if self.output.is_seamless(self.layer.output) {
            self.pointwise(lanes, rows);
        } else {
            rows.for_each(|row| self.pointwise(lanes, row..row + 1));
        }
    }
}

impl Convolve<'_> {
    /// A product of matrices, pixels times channels, over rows that are written without a gap between them; a piece at a
    /// time that stays in cache.
    #[inline(always)]
    fn pointwise<L: Lanes>(&mut self, lanes: L, rows: Range<usize>) {
        let layer = self.layer;
        let channels = layer.input.channels;
        let pixels = rows.start * layer.output.width..rows.end * layer.output.width;
        let input = &self.input[pixels.start * channels..pixels.end * channels];
        let step = self.output.step;
        let values = self.output.row(rows.start - self.rows.start);
        let mut first = 0;
        for piece in input.chunks(layer.piece() * channels) {
            let pixels = piece.len() / channels;
            let words = if let Some(words) = L::as_words(piece).filter(|_| channels.is_multiple_of(L::DEPTH))
            {
                words
            } else {
                let words = &mut self.scratch[..pixels * layer.pixel_words];
                widen_pixels(lanes, piece, channels, words);
                words
            };
            let output = &mut values[first * step..];
            lanes.gemm(&mut Run {
                words,
                starts: &[0],
                step: layer.pixel_words,
                pixels,
                weights: &layer.packed,
                output,
                output_step: step,
            });
            layer.packed.look_up(lanes, output, step, [pixels, layer.output.channels]);
            first += pixels;
        }
    }

    /// Row by row over the ring.
    #[inline(always)]
    fn windowed<L: Lanes>(&mut self, lanes: L) {
        let Convolution { window, output, packed, pixel_words, .. } = self.layer;
        self.pad::<L>();
        let mut unread = self.layer.window.rows(self.rows.start).start;
        for (index, y) in self.rows.clone().enumerate() {
            let under = window.rows(y);
            for row in unread.max(under.start)..under.end {
                self.read(lanes, row);
            }
            unread = under.end;
            let mut starts = [0; MAX_WINDOW];
            for (start, row) in starts.iter_mut().zip(under) {
                *start = self.slot(row);
            }
            let step = self.output.step;
            let values = self.output.row(index);
            lanes.gemm(&mut Run {
                words: self.scratch,
                starts: &starts[..window.size[0]],
                step: window.stride[1] * pixel_words,
                pixels: output.width,
                weights: packed,
                output: values,
                output_step: step,
            });
            packed.look_up(lanes, values, step, [output.width, output.channels]);
        }
    }

    /// Where a row of the image lies in the ring.
    #[inline(always)]
    fn slot(&self, row: isize) -> usize {
        row.rem_euclid(self.layer.window.size[0] as isize) as usize * self.layer.ring_row()
    }

    /// Fills the ring with zero points.
    #[inline(always)]
    fn pad<L: Lanes>(&mut self) {
        self.scratch.fill(L::word([self.layer.input_zero_point; 4]));
    }

    /// Brings one row into the ring; rows outside the image are zero points.
    #[inline(always)]
    fn read<L: Lanes>(&mut self, lanes: L, row: isize) {
        let Convolution { input, window, pixel_words, .. } = self.layer;
        let start = self.slot(row) + window.padding_before[1] * pixel_words;
        let words = start..start + input.width * pixel_words;
        match usize::try_from(row).ok().filter(|&row| row < input.height) {
            Some(row) => {
                let bytes = &self.input[row * input.row()..][..input.row()];
                widen_pixels(lanes, bytes, input.channels, &mut self.scratch[words]);
            }
            None => self.scratch[words].fill(L::word([self.layer.input_zero_point; 4])),
        }
    }
}

/// Writes pixels as words, each pixel beginning a new one and its last one filled up with zeros.
#[inline(always)]
fn widen_pixels<L: Lanes>(lanes: L, bytes: &[u8], channels: usize, words: &mut [Word]) {
    if channels.is_multiple_of(L::DEPTH) {
        lanes.widen(bytes, words);
        return;
    }
    if let (3, 4, Some((last, words))) = (channels, L::DEPTH, words.split_last_mut()) {
        // The fourth byte belongs to the next pixel.
        for (bytes, word) in bytes.windows(4).step_by(3).zip(words) {
            *word = [bytes[0], bytes[1], bytes[2], 0];
        }
        *last = L::word(each(|i| if i < 3 { bytes[bytes.len() - 3 + i] } else { 0 }));
        return;
    }
    let (whole, pixel_words) = (channels / L::DEPTH, channels / L::DEPTH + 1);
    for (bytes, words) in bytes.chunks_exact(channels).zip(words.chunks_exact_mut(pixel_words)) {
        for (bytes, word) in bytes.chunks_exact(L::DEPTH).zip(&mut *words) {
            *word = L::word(each(|i| bytes[i % L::DEPTH]));
        }
        let rest = &bytes[whole * L::DEPTH..];
        words[whole] = L::word(each(|i| if i < rest.len() { rest[i] } else { 0 }));
    }
}
