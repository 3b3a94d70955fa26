//! Convolutions over all input channels, of any window.

use std::ops::Range;

use super::block::Word;
use super::gemm::Run;
use super::kernel::{Kernel, Work};
use super::lanes::{Lanes, pixel_bytes};
use super::output::Output;
use super::packed::{Layer, Packed};
use super::requantisation::Requantisation;
use super::window::{ImageShape, MAX_WINDOW, Window};
use super::winograd::Winograd;
use crate::error::{NnError, check_length};

/// Bytes of activations that stay in the first cache while all weights pass over them.
const NEAR: usize = 32 << 10;

/// Bytes of activations that stay in the second cache, for layers whose weights do not.
const FAR: usize = 256 << 10;

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
/// A band of rows at a time is copied and padded; the window's rows are then segments of it that the weights pass over in
/// place, so that no patch is copied together.
#[derive(Clone, Debug)]
pub struct Convolution {
    kernel: Kernel,
    input: ImageShape,
    input_zero_point: u8,
    window: Window,
    output: ImageShape,
    packed: Packed,
    /// Bytes per pixel of activations.
    pixel_bytes: usize,
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
        let (packed, pixel_bytes) = kernel.run(Pack { spec, without_weights })?;
        let winograd = without_weights.then(|| Box::new(Winograd::new(spec, output, packed.clone())));
        Ok(Self {
            kernel,
            input: spec.input,
            input_zero_point: spec.input_zero_point,
            window: spec.window,
            output,
            packed,
            pixel_bytes,
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
            return winograd.scratch_words();
        }
        let bytes = if self.window.is_pointwise() {
            self.piece().min(self.output.height * self.output.width) * self.pixel_bytes
        } else {
            self.band_rows(self.band()) * self.band_row()
        };
        // The last word may begin in the last pixel and end beyond it.
        bytes.div_ceil(size_of::<Word>()) + 1
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

    /// Bytes of activations that weights pass over at a time.
    fn cached(&self) -> usize {
        (self.packed.bytes() / 4).clamp(NEAR, FAR)
    }

    /// Pixels of a 1x1 convolution that are multiplied together.
    fn piece(&self) -> usize {
        (self.cached() / self.pixel_bytes / PIECE).max(1) * PIECE
    }

    /// Output rows that are computed together.
    fn band(&self) -> usize {
        let rows =
            (self.cached() / self.band_row()).saturating_sub(self.window.size[0]) / self.window.stride[0];
        (rows + 1).min(self.output.height)
    }

    /// Rows of the image under as many output rows.
    fn band_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.window.stride[0] + self.window.size[0]
    }

    /// Bytes of one padded row.
    fn band_row(&self) -> usize {
        (self.window.padding_before[1] + self.input.width + self.window.padding_after[1]) * self.pixel_bytes
    }
}

/// Packs weights for a kernel, unless they go to Winograd's form; returns them with the bytes that a pixel of activations
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
        let pixel_bytes = pixel_bytes::<L>(channels);
        let [rows, columns] = spec.window.size;
        let words = (columns * pixel_bytes).div_ceil(size_of::<Word>());
        // Words that begin with a pixel, or words over a whole row of the window.
        let run = if L::DEPTH == size_of::<Word>() { columns * channels } else { channels };
        let run_words = run.div_ceil(L::DEPTH);
        let layer = Layer {
            channels: spec.output_channels,
            segments: rows,
            words,
            weights: spec.weights,
            places: |row, word| {
                let start = row * columns * channels + word / run_words * run;
                let first = word % run_words * L::DEPTH;
                start + first..start + (first + L::DEPTH).min(run)
            },
            bias: spec.bias,
            zero_point: spec.input_zero_point,
            requantisation: spec.requantisation,
        };
        let packed =
            if without_weights { Packed::without_weights(&layer) } else { Packed::new::<L, _>(&layer) };
        Ok((packed?, pixel_bytes))
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
        let Convolution { output, ref packed, pixel_bytes, .. } = *self.layer;
        let channels = self.layer.input.channels;
        let pixels = rows.start * output.width..rows.end * output.width;
        let input = &self.input[pixels.start * channels..pixels.end * channels];
        let step = self.output.step;
        let values = self.output.row(rows.start - self.rows.start);
        let are_words = L::DEPTH == size_of::<Word>() && channels.is_multiple_of(L::DEPTH);
        let piece = self.layer.piece();
        for (piece, values) in input.chunks(piece * channels).zip(values.chunks_mut(piece * step)) {
            let pixels = piece.len() / channels;
            let activations = if are_words {
                piece
            } else {
                let scratch = self.scratch.as_flattened_mut();
                lanes.widen(piece, channels, &mut scratch[..pixels * pixel_bytes]);
                scratch
            };
            lanes.gemm(&mut Run {
                activations,
                segments: 1,
                segment_step: 0,
                steps: [pixel_bytes, 0],
                rows: 1,
                width: pixels,
                weights: packed,
                output: values,
                output_steps: [step, 0],
            });
            packed.look_up(lanes, values, step, [pixels, output.channels]);
        }
    }

    /// Band by band.
    #[inline(always)]
    fn windowed<L: Lanes>(&mut self, lanes: L) {
        let Convolution { window, output, ref packed, pixel_bytes, .. } = *self.layer;
        let row = self.layer.band_row();
        self.scratch.fill(L::word([self.layer.input_zero_point; 4]));
        let all = self.rows.clone();
        for first in all.clone().step_by(self.layer.band()) {
            let rows = first..all.end.min(first + self.layer.band());
            self.read(lanes, &rows);
            let steps = [self.output.step, self.output.row_step];
            let values = self.output.row(first - all.start);
            lanes.gemm(&mut Run {
                activations: self.scratch.as_flattened(),
                segments: window.size[0],
                segment_step: row,
                steps: [window.stride[1] * pixel_bytes, window.stride[0] * row],
                rows: rows.len(),
                width: output.width,
                weights: packed,
                output: values,
                output_steps: steps,
            });
            for values in values.chunks_mut(steps[1]).take(rows.len()) {
                packed.look_up(lanes, values, steps[0], [output.width, output.channels]);
            }
        }
    }

    /// Brings the rows of the image under output rows between their padding; those outside the image are zero points.
    #[inline(always)]
    fn read<L: Lanes>(&mut self, lanes: L, rows: &Range<usize>) {
        let Convolution { input, window, pixel_bytes, input_zero_point, .. } = *self.layer;
        let first = window.rows(rows.start).start;
        let band = self.scratch.as_flattened_mut().chunks_mut(self.layer.band_row());
        for (place, band) in band.take(self.layer.band_rows(rows.len())).enumerate() {
            let band = &mut band[window.padding_before[1] * pixel_bytes..][..input.width * pixel_bytes];
            match usize::try_from(first + place as isize).ok().filter(|&row| row < input.height) {
                Some(row) => {
                    lanes.widen(&self.input[row * input.row()..][..input.row()], input.channels, band);
                }
                None => {
                    let (words, rest) = band.as_chunks_mut();
                    words.fill(L::word([input_zero_point; 4]));
                    rest.fill(input_zero_point);
                }
            }
        }
    }
}
