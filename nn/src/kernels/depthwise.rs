//! 3x3 convolutions of each channel by itself.

use std::array::from_fn;
use std::ops::Range;

use super::block::{LANES, Word};
use super::kernel::{Kernel, Work};
use super::lanes::{Lanes, each};
use super::output::Output;
use super::packed::{Layer, Packed};
use super::requantisation::Requantisation;
use super::window::{ImageShape, Window};
use crate::error::{NnError, check_length};

/// Rows and columns of the window.
const SIZE: usize = 3;

/// What a depthwise convolution computes.
#[derive(Clone, Debug)]
pub struct DepthwiseSpec<'a> {
    /// The image that it reads; the output has as many channels.
    pub input: ImageShape,
    /// The input value that stands for zero, which the padding is made of.
    pub input_zero_point: u8,
    /// 3x3, with strides of one or two that are the same on both axes.
    pub window: Window,
    /// `[channel, window row, window column]`; zero stands for zero.
    pub weights: &'a [i8],
    /// One per channel, in steps of input scale times weight scale.
    pub bias: &'a [i32],
    /// From sums to outputs, the activation included.
    pub requantisation: &'a Requantisation,
}

/// A 3x3 depthwise convolution packed for one kernel.
///
/// Three padded rows are kept in a ring. For each sixteen channels the columns under the window pass through registers:
/// each is put together once and serves up to three outputs.
#[derive(Clone, Debug)]
pub struct Depthwise {
    kernel: Kernel,
    input: ImageShape,
    input_zero_point: u8,
    window: Window,
    output: ImageShape,
    packed: Packed,
}

impl Depthwise {
    /// Whether `window` is one that these kernels take.
    pub fn takes(window: &Window) -> bool {
        window.size == [SIZE; 2] && (window.stride == [1; 2] || window.stride == [2; 2])
    }

    /// Packs a depthwise convolution for `kernel`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where the window does not fit or is none of these, [`NnError::Length`] where weights, bias or
    /// multipliers have another length than the sizes say, [`NnError::Range`] where sums could outgrow 32 bits.
    pub fn new(kernel: Kernel, spec: &DepthwiseSpec<'_>) -> Result<Self, NnError> {
        let [height, width] = spec.window.places(spec.input)?;
        if !Self::takes(&spec.window) {
            let found = format!("{:?}", spec.window);
            return Err(NnError::Shape { expected: "a 3x3 window of stride 1 or 2", found });
        }
        let channels = spec.input.channels;
        check_length("weights", SIZE * SIZE * channels, spec.weights.len())?;
        Ok(Self {
            kernel,
            input: spec.input,
            input_zero_point: spec.input_zero_point,
            window: spec.window,
            output: ImageShape { height, width, channels },
            packed: kernel.run(Pack(spec))?,
        })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        self.output
    }

    /// Multiplications of one run.
    pub fn multiplications(&self) -> usize {
        self.output.len() * SIZE * SIZE
    }

    /// Bytes that the packed parameters take.
    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Words of scratch memory that a run needs.
    pub fn scratch_words(&self) -> usize {
        SIZE * self.ring_row().div_ceil(size_of::<Word>())
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
        let length = self.input.row();
        let mut copy =
            |row: usize, values: &mut [u8]| values.copy_from_slice(&input[row * length..][..length]);
        self.run_rows_of(rows, &mut copy, output, scratch)
    }

    /// Computes the output rows `rows` of an image whose rows `source` writes when it is asked for them, each once and in
    /// order; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `output` has another length than the shapes say or `scratch` is too short.
    pub fn run_rows_of(
        &self,
        rows: Range<usize>,
        source: &mut dyn FnMut(usize, &mut [u8]),
        output: Output<'_>,
        scratch: &mut [Word],
    ) -> Result<(), NnError> {
        output.check(self.output, &rows)?;
        let needed = self.scratch_words();
        let found = scratch.len();
        let scratch =
            scratch.get_mut(..needed).ok_or(NnError::Length { what: "scratch", expected: needed, found })?;
        let ring = scratch.as_flattened_mut();
        self.kernel.run(Convolve { layer: self, rows, source, output, ring });
        Ok(())
    }

    /// Computes the whole output.
    ///
    /// # Errors
    /// See [`Depthwise::run_rows`].
    pub fn run(&self, input: &[u8], output: Output<'_>, scratch: &mut [Word]) -> Result<(), NnError> {
        self.run_rows(0..self.output.height, input, output, scratch)
    }

    /// Bytes of one padded row, and as many more as the last column of its last pixel can reach beyond it.
    fn ring_row(&self) -> usize {
        let pixels = self.window.padding_before[1] + self.input.width + self.window.padding_after[1];
        pixels * self.input.channels + self.packed.panels() * LANES - self.input.channels
    }

    /// Where a row of the image lies in the ring.
    fn slot(&self, row: isize) -> usize {
        row.rem_euclid(SIZE as isize) as usize * self.ring_row()
    }
}

struct Pack<'a, 'b>(&'a DepthwiseSpec<'b>);

impl Work for Pack<'_, '_> {
    type Output = Result<Packed, NnError>;

    /// A segment is a column of the window. What the kernel's columns have beyond the last channel is zero.
    #[inline(always)]
    fn on<L: Lanes>(self, _: L) -> Self::Output {
        let Self(spec) = self;
        let channels = spec.input.channels;
        check_length("bias", channels, spec.bias.len())?;
        spec.requantisation.check_channels(channels)?;
        let column = L::COLUMN_PANELS * LANES;
        let places: Vec<_> = (0..channels.next_multiple_of(column))
            .map(|place| place / column * column + L::column_channel(place % column))
            .collect();
        let filters = spec.weights.as_chunks::<{ SIZE * SIZE }>().0;
        let columns = places.iter().flat_map(|&channel| {
            let filter = filters.get(channel).unwrap_or(&[0; SIZE * SIZE]);
            from_fn::<_, { SIZE * SIZE }, _>(|at| filter[at % SIZE * SIZE + at / SIZE])
        });
        let multipliers = &spec.requantisation.multipliers;
        let or_zero =
            |values: &[f32]| places.iter().map(|&at| values.get(at).copied().unwrap_or(0.0)).collect();
        let bias: Vec<_> = places.iter().map(|&at| spec.bias.get(at).copied().unwrap_or(0)).collect();
        let packed = Packed::new::<L, _>(&Layer {
            channels: places.len(),
            segments: SIZE,
            words: SIZE.div_ceil(L::DEPTH),
            weights: &columns.collect::<Vec<_>>(),
            places: |column, word| {
                let first = word * L::DEPTH;
                column * SIZE + first..column * SIZE + (first + L::DEPTH).min(SIZE)
            },
            bias: &bias,
            zero_point: spec.input_zero_point,
            requantisation: &Requantisation {
                multipliers: or_zero(multipliers),
                ..spec.requantisation.clone()
            },
        });
        packed.map_err(|error| match error {
            NnError::Range { channel: place, reach, multiplier } => {
                NnError::Range { channel: places[place], reach, multiplier }
            }
            error => error,
        })
    }
}

struct Convolve<'a> {
    layer: &'a Depthwise,
    rows: Range<usize>,
    source: &'a mut dyn FnMut(usize, &mut [u8]),
    output: Output<'a>,
    ring: &'a mut [u8],
}

impl Work for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, lanes: L) {
        let layer = self.layer;
        self.ring.fill(layer.input_zero_point);
        let mut unread = layer.window.rows(self.rows.start).start;
        for (index, y) in self.rows.clone().enumerate() {
            let under = layer.window.rows(y);
            for row in unread.max(under.start)..under.end {
                self.read(row);
            }
            unread = under.end;
            let first = under.start;
            let rows = each(|i| &self.ring[layer.slot(first + i as isize)..][..layer.ring_row()]);
            let step = self.output.step;
            let values = self.output.row(index);
            if layer.window.stride[1] == 1 {
                row::<L, 1>(lanes, layer, rows, values, step);
            } else {
                row::<L, 2>(lanes, layer, rows, values, step);
            }
            layer.packed.look_up(lanes, values, step, [layer.output.width, layer.output.channels]);
        }
    }
}

impl Convolve<'_> {
    /// Brings one row into the ring; rows outside the image are zero points.
    fn read(&mut self, row: isize) {
        let Depthwise { input, window, .. } = self.layer;
        let start = self.layer.slot(row) + window.padding_before[1] * input.channels;
        let ring = &mut self.ring[start..start + input.row()];
        match usize::try_from(row).ok().filter(|&row| row < input.height) {
            Some(row) => (self.source)(row, ring),
            None => ring.fill(self.layer.input_zero_point),
        }
    }
}

/// One output row from three padded input rows; its pixels lie `output_step` apart.
#[inline(always)]
fn row<L: Lanes, const STRIDE: usize>(
    lanes: L,
    layer: &Depthwise,
    rows: [&[u8]; 3],
    output: &mut [u8],
    output_step: usize,
) {
    let ImageShape { width, channels, .. } = layer.output;
    let words = layer.packed.words();
    for first in (0..layer.packed.panels()).step_by(L::COLUMN_PANELS) {
        let panels = layer.packed.side_by_side(first, L::COLUMN_PANELS);
        let channel = first * LANES;
        let written = channel..channels.min(channel + L::COLUMN_PANELS * LANES);
        // Up to the last pixel's column, which the slack behind the row makes whole.
        let end = ((width - 1) * STRIDE + SIZE - 1) * channels + channel + size_of::<L::Pixel>();
        let rows: [_; SIZE] = each(|y| &rows[y][..end]);
        let column = |x: usize| lanes.column(each(|y| pixel::<L>(rows[y], x * channels + channel)));
        let block = |x: usize, index: usize| layer.packed.block(first + index / words, x, index % words);
        let weights: [_; SIZE] = each(|x| lanes.column_weights(|index| block(x, index)));
        let mut columns = [column(0), column(1)];
        for x in 0..width {
            let third = column(x * STRIDE + 2);
            let sums = lanes.dot_column(lanes.start_column(panels.offsets), columns[0], &weights[0]);
            let sums = lanes.dot_column(sums, columns[1], &weights[1]);
            let sums = lanes.dot_column(sums, third, &weights[2]);
            let pixel = &mut output[x * output_step..][written.clone()];
            lanes.finish_column(sums, panels.multipliers, panels.limits, pixel);
            if STRIDE == 1 {
                columns = [columns[1], third];
            } else if x + 1 < width {
                columns = [third, column(x * STRIDE + 3)];
            }
        }
    }
}

/// The channels of a pixel that a column takes, from `start` on.
#[inline(always)]
#[expect(unsafe_code, reason = "checking the bounds of each column took as long as multiplying it")]
fn pixel<L: Lanes>(row: &[u8], start: usize) -> &L::Pixel {
    debug_assert!(start + size_of::<L::Pixel>() <= row.len());
    // SAFETY: the caller cut the row behind the last pixel that it asks for; a pixel is an array of bytes.
    unsafe { &*row.as_ptr().add(start).cast() }
}
