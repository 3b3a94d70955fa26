//! What something in a box looks like, briefly: colours and edges on a coarse grid.

use geometry::{BoundingBox, Frame};

use crate::features::{Extractor, Grid, RAW_LENGTH};

/// Cells along each axis.
const SIDE: usize = 4;
/// Share of a new look.
const RATE: f32 = 0.15;

/// A unit vector.
#[derive(Clone, Debug)]
pub(crate) struct Appearance(Vec<f32>);

impl Appearance {
    /// Of what is in `of`.
    pub(crate) fn new(extractor: &mut Extractor, frame: &Frame, of: &BoundingBox) -> Self {
        let (x, y) = of.center();
        let step = of.area().sqrt() / (SIDE * crate::features::CELL) as f32;
        let grid = Grid { center: [x - 0.5, y - 0.5], step: step.max(0.05), turn: 0.0, side: SIDE };
        let raw = extractor.describe(frame, grid);
        debug_assert_eq!(raw.len(), SIDE * SIDE * RAW_LENGTH);
        Self(raw.to_vec()).normalised()
    }

    /// Cosine of the angle between both, in `[-1, 1]`.
    pub(crate) fn likeness(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// Moves towards a new look.
    pub(crate) fn update(&mut self, seen: &Self) {
        self.0.iter_mut().zip(&seen.0).for_each(|(value, seen)| *value += (seen - *value) * RATE);
        let values = std::mem::take(&mut self.0);
        *self = Self(values).normalised();
    }

    fn normalised(mut self) -> Self {
        let norm = self.0.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        self.0.iter_mut().for_each(|value| *value /= norm);
        self
    }
}
