//! What a cell of the image looks like: gradients and colour names, reduced to the directions in which a target differs.

mod colour;
mod hog;
mod projection;
mod sampling;

use geometry::Frame;

use crate::simd::vectorized;
pub(crate) use colour::COLOUR_LENGTH;
pub(crate) use hog::{CELL, HOG_LENGTH, Hog};
pub(crate) use projection::Projection;
pub(crate) use sampling::{Sampler, Window};

/// Values per cell before the reduction.
pub(crate) const RAW_LENGTH: usize = HOG_LENGTH + COLOUR_LENGTH;

/// A square grid of cells, `[side, side, channels]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeatureMap {
    /// Cells along each axis.
    pub(crate) side: usize,
    /// Values per cell; a multiple of the lanes of a vector register.
    pub(crate) channels: usize,
    /// All values.
    pub(crate) values: Vec<f32>,
}

/// Where in an image cells lie: a square of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Its middle; pixel `(0, 0)` has its centre at the origin.
    pub(crate) center: [f32; 2],
    /// Pixels from one sample to the next; a cell has [`CELL`] of them along each axis.
    pub(crate) step: f32,
    /// Angle in radians from the image's x to its own, towards y.
    pub(crate) turn: f32,
    /// Cells along each axis.
    pub(crate) side: usize,
}

/// Makes feature maps; buffers are kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Extractor {
    hog: Hog,
    sampler: Sampler,
    samples: Vec<f32>,
    raw: Vec<f32>,
}

impl Extractor {
    /// Describes the cells of `grid`: `[side, side, RAW_LENGTH]`.
    pub(crate) fn describe(&mut self, frame: &Frame, grid: Grid) -> &[f32] {
        let Grid { center, step, turn, side } = grid;
        self.raw.resize(side * side * RAW_LENGTH, 0.0);
        let window = Window { center, step: [step; 2], size: [(side + 2) * CELL; 2], turn };
        self.sampler.sample(&frame.gray, &window, &mut self.samples);
        self.hog.describe(&self.samples, [side; 2], &mut self.raw, RAW_LENGTH);
        let coarser = (CELL / colour::SAMPLES_PER_CELL) as f32;
        let size = [side * colour::SAMPLES_PER_CELL; 2];
        let window = Window { center, step: [step * coarser; 2], size, turn };
        let colours = &mut self.raw[HOG_LENGTH..];
        match &frame.rgb {
            Some(rgb) => {
                self.sampler.sample(rgb, &window, &mut self.samples);
                colour::describe::<3>(&self.samples, side, colours, RAW_LENGTH);
            }
            None => {
                self.sampler.sample(&frame.gray, &window, &mut self.samples);
                colour::describe::<1>(&self.samples, side, colours, RAW_LENGTH);
            }
        }
        &self.raw
    }

    /// What was described last: `[side, side, RAW_LENGTH]`.
    pub(crate) fn raw(&self) -> &[f32] {
        &self.raw
    }

    /// The same as [`describe`](Self::describe), reduced by `projection` into `map`, which has as many cells.
    pub(crate) fn extract(
        &mut self,
        frame: &Frame,
        grid: Grid,
        projection: &Projection,
        map: &mut FeatureMap,
    ) {
        let raw = self.describe(frame, grid);
        vectorized(|| projection.project(raw, &mut map.values));
    }
}
