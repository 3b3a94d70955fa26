//! Convolutions as sums over runs of bands.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::function::{After, apply};
use super::Dense;
use super::band::{Band, OVERRUN};
use super::kernel::{FILTERS, Runs, correlate};

/// Values of a band, so that it stays in the second cache of a core.
const BAND: usize = 48 << 10;

/// What is computed of each image: every result is a sum over all channels of a band.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    band: Band,
    phases: Vec<Phase>,
    /// `[channels, height, width]` of what is computed.
    output: [usize; 3],
    /// From a result to the next of the same phase, in pixels of the output.
    spread: usize,
    /// Taps of a filter.
    taps: usize,
}

/// Results that are computed alike: those at one remainder of row and column.
#[derive(Clone, Debug)]
struct Phase {
    /// Row and column of the first.
    first: [usize; 2],
    /// Taps that meet something.
    taps: Vec<usize>,
    /// Where in a channel of the band.
    offsets: Vec<usize>,
}

impl Band {
    /// The rows that a convolution reads.
    pub(crate) fn forward(of: &Dense) -> Self {
        let Dense { input: [_, channels, height, width], kernel, padding, stride, .. } = *of;
        let [.., rows, columns] = of.output();
        let reach = (kernel - 1) / stride;
        let band =
            Self { image: [channels, height, width], step: stride, lead: padding, columns, reach, rows: 1 };
        band.with_rows(rows)
    }

    /// As many rows as there is room for, and about as many in each band of `height`.
    fn with_rows(self, height: usize) -> Self {
        let row = self.image[0] * self.step * self.step * self.pitch();
        let most = (BAND / row).saturating_sub(self.reach).max(1);
        Self { rows: height.div_ceil(height.div_ceil(most)), ..self }
    }
}

impl Plan {
    /// The output of a convolution, from its input.
    pub(crate) fn forward(of: &Dense) -> Self {
        let band = Band::forward(of);
        let [_, filters, height, width] = of.output();
        let taps = of.kernel * of.kernel;
        let offsets = (0..taps).map(|tap| band.offset([tap / of.kernel, tap % of.kernel])).collect();
        let phase = Phase { first: [0, 0], taps: (0..taps).collect(), offsets };
        Self { band, phases: vec![phase], output: [filters, height, width], spread: 1, taps }
    }

    /// The gradient of its input, from that of its output.
    pub(crate) fn transposed(of: &Dense) -> Self {
        let Dense { input: [_, channels, height, width], filters, kernel, padding: pad, stride } = *of;
        let [.., rows, columns] = of.output();
        // The first and the last window that pixels at each remainder met, counted from their own.
        let ahead = |first: usize| (first + pad) / stride;
        let taps = |first: usize| (kernel - (first + pad) % stride).div_ceil(stride);
        let lead = (0..stride).map(|first| (taps(first) - 1).saturating_sub(ahead(first))).max().unwrap_or(0);
        let reach = lead + (0..stride).map(ahead).max().unwrap_or(0);
        let band = Band { image: [filters, rows, columns], step: 1, lead, columns, reach, rows: 1 };
        let band = band.with_rows(rows);
        // Pixel `stride * i + first` was met by tap `(first + pad) % stride + stride * q` of window `i + ahead - q`.
        let met = |first: usize| {
            let taps = ((first + pad) % stride..kernel).step_by(stride).enumerate();
            taps.map(move |(q, tap)| (tap, lead + ahead(first) - q))
        };
        let phase = |[row, column]: [usize; 2]| {
            let pairs = met(row).flat_map(|y| met(column).map(move |x| (y, x)));
            let places = pairs.map(|(y, x)| (y.0 * kernel + x.0, band.offset([y.1, x.1])));
            let (taps, offsets) = places.unzip();
            Phase { first: [row, column], taps, offsets }
        };
        let phases = (0..stride * stride).map(|index| phase([index / stride, index % stride])).collect();
        Self { band, phases, output: [channels, height, width], spread: stride, taps: kernel * kernel }
    }

    /// Computes it for all images in `source`. `weights` gives the taps between a channel of the output and one of the
    /// source.
    #[cfg(feature = "train")]
    pub(crate) fn carry_out<'a>(
        &self,
        source: &[f32],
        weights: impl Fn(usize, usize) -> &'a [f32] + Sync,
        after: After<'_>,
    ) -> Vec<f32> {
        let images = source.len() / self.band.image.iter().product::<usize>();
        let mut output = vec![0.0; images * self.output.iter().product::<usize>()];
        self.share(source, &self.packed(weights), after, &mut output);
        output
    }

    /// Computes it for all images in `source`, with weights that were [packed](Self::packed); the threads of the pool share
    /// the bands.
    pub(crate) fn share(&self, source: &[f32], weights: &[f32], after: After<'_>, output: &mut [f32]) {
        let tasks = self.tasks(source, output);
        tasks.into_par_iter().for_each_init(
            || self.buffers(),
            |buffers, task| {
                pulp::Arch::new().dispatch(Work { plan: self, task, weights, after, buffers });
            },
        );
    }

    /// The same by this thread alone.
    pub(crate) fn run(
        &self,
        source: &[f32],
        weights: &[f32],
        after: After<'_>,
        output: &mut [f32],
        buffers: &mut Buffers,
    ) {
        for task in self.tasks(source, output) {
            pulp::Arch::new().dispatch(Work { plan: self, task, weights, after, buffers });
        }
    }

    /// Memory for one band.
    pub(crate) fn buffers(&self) -> Buffers {
        Buffers { band: self.band.buffer(), sums: Vec::new() }
    }

    /// The bands of all images, with the rows that are made of them.
    fn tasks<'a>(&self, source: &'a [f32], output: &'a mut [f32]) -> Vec<Task<'a>> {
        let [channels, height, width] = self.output;
        let plane = height * width;
        let images = source.chunks_exact(self.band.image.iter().product());
        let rows = self.band.rows * self.spread;
        let bands = height.div_ceil(rows);
        let tasks = images.flat_map(|image| (0..bands).map(move |band| (image, band * self.band.rows)));
        let mut tasks: Vec<Task<'a>> =
            tasks.map(|(image, first)| Task { image, first, output: Vec::with_capacity(channels) }).collect();
        for (image, planes) in output.chunks_exact_mut(channels * plane).enumerate() {
            for plane in planes.chunks_exact_mut(plane) {
                let parts = plane.chunks_mut(rows * width);
                parts.zip(&mut tasks[image * bands..]).for_each(|(part, task)| task.output.push(part));
            }
        }
        tasks
    }

    /// Weights in the order of use: `[channels / FILTERS, phases, source channels, taps, FILTERS]`; zeros fill up the last
    /// filters.
    pub(crate) fn packed<'a>(&self, weights: impl Fn(usize, usize) -> &'a [f32] + Sync) -> Vec<f32> {
        let [channels, ..] = self.output;
        let read = self.band.image[0];
        let of_block = FILTERS * read * self.taps;
        let mut packed = vec![0.0; channels.div_ceil(FILTERS) * of_block];
        packed.par_chunks_exact_mut(of_block).enumerate().for_each(|(block, packed)| {
            let mut packed = packed.as_chunks_mut::<FILTERS>().0.iter_mut();
            let filters = block * FILTERS..channels.min((block + 1) * FILTERS);
            for phase in &self.phases {
                for source in 0..read {
                    let mut of_filters: [&[f32]; FILTERS] = [&[]; FILTERS];
                    of_filters
                        .iter_mut()
                        .zip(filters.clone())
                        .for_each(|(of, filter)| *of = weights(filter, source));
                    for (&tap, packed) in phase.taps.iter().zip(&mut packed) {
                        *packed = of_filters.map(|weights| weights.get(tap).copied().unwrap_or_default());
                    }
                }
            }
        });
        packed
    }
}

/// A band of an image.
struct Task<'a> {
    image: &'a [f32],
    /// The first row of results of each phase.
    first: usize,
    /// Rows of each channel.
    output: Vec<&'a mut [f32]>,
}

/// Memory that bands are computed in.
pub(crate) struct Buffers {
    band: Vec<f32>,
    sums: Vec<f32>,
}

struct Work<'a, 'b> {
    plan: &'a Plan,
    task: Task<'a>,
    weights: &'a [f32],
    after: After<'a>,
    buffers: &'b mut Buffers,
}

impl WithSimd for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, mut task, weights, after, buffers } = self;
        let Plan { band, output: [_, _, width], spread, .. } = *plan;
        band.fill(task.image, task.first, &mut buffers.band);
        let rows = task.output.first().map_or(0, |part| part.len() / width).div_ceil(spread);
        let run = band.run(rows);
        // The last vectors may reach beyond the run.
        let pitch = run + OVERRUN;
        buffers.sums.resize(FILTERS * pitch, 0.0);
        let of_block = FILTERS * band.image[0] * plan.taps;
        let blocks = task.output.chunks_mut(FILTERS).zip(weights.chunks_exact(of_block));
        for (block, (planes, mut weights)) in blocks.enumerate() {
            let bias = after.bias.get(block * FILTERS..).unwrap_or_default();
            let mut starts = [0.0; FILTERS];
            starts.iter_mut().zip(bias).for_each(|(start, &bias)| *start = bias);
            for phase in &plan.phases {
                let (of_phase, others) = weights.split_at(FILTERS * band.image[0] * phase.taps.len());
                weights = others;
                let runs = Runs { band: &buffers.band, channel: band.channel(), offsets: &phase.offsets };
                correlate(simd, runs, (of_phase, starts), run, &mut buffers.sums);
                for (plane, sums) in planes.iter_mut().zip(buffers.sums.chunks_exact_mut(pitch)) {
                    apply(after.function, &mut sums[..run]);
                    phase.put(plane, width, spread, sums, band.pitch());
                }
            }
        }
    }
}

impl Phase {
    /// Puts results into the rows of an output.
    #[inline(always)]
    fn put(&self, rows: &mut [f32], width: usize, spread: usize, sums: &[f32], pitch: usize) {
        let [row, column] = self.first;
        let rows = rows.chunks_exact_mut(width).skip(row).step_by(spread);
        for (to, from) in rows.zip(sums.chunks(pitch)) {
            if spread == 1 {
                to.copy_from_slice(&from[..width]);
            } else {
                let to = to[column.min(width)..].iter_mut().step_by(spread);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
