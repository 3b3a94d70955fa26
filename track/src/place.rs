//! Where a target is and how large.

use geometry::BoundingBox;

use crate::features::{CELL, Grid};

/// Cells along each axis of the map that is searched.
pub(crate) const SIDE: usize = 48;
/// Cells that a target of equal sides has along each.
const TARGET_CELLS: f32 = 11.0;
/// The exponent dual to that of a superellipse of the fourth power.
const OUTLINE: f32 = 4.0 / 3.0;

/// A target's place in an image, and the window that is laid around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// In pixels; the first pixel has its centre at the origin.
    pub(crate) center: [f32; 2],
    /// Width and height in pixels.
    pub(crate) size: [f32; 2],
    /// Pixels from one sample to the next.
    pub(crate) step: f32,
    /// Angle in radians from the image's x to the target's, towards y.
    pub(crate) turn: f32,
}

impl Place {
    /// That of a box.
    pub(crate) fn of(target: BoundingBox) -> Self {
        let (x, y) = target.center();
        // Boxes count from the edge of the first pixel.
        let center = [x - 0.5, y - 0.5];
        let size = [target.width, target.height];
        Self { center, size, step: (size[0] * size[1]).sqrt() / (TARGET_CELLS * CELL as f32), turn: 0.0 }
    }

    /// Pixels from one cell to the next.
    pub(crate) fn cell(&self) -> f32 {
        self.step * CELL as f32
    }

    /// The cells of a map in which the target lies at cell `SIDE / 2`.
    pub(crate) fn grid(&self) -> Grid {
        Grid { center: self.shifted([-0.5; 2]).center, step: self.step, turn: self.turn, side: SIDE }
    }

    /// The same, moved by so many cells along the target's axes.
    pub(crate) fn shifted(&self, cells: [f32; 2]) -> Self {
        self.moved(self.pixels(cells))
    }

    /// What a shift by so many cells along the target's axes is in pixels.
    pub(crate) fn pixels(&self, cells: [f32; 2]) -> [f32; 2] {
        let ([x, y], (sin, cos)) = (cells.map(|v| v * self.cell()), self.turn.sin_cos());
        [cos * x - sin * y, sin * x + cos * y]
    }

    /// The same, moved by so many pixels.
    pub(crate) fn moved(&self, pixels: [f32; 2]) -> Self {
        Self { center: [self.center[0] + pixels[0], self.center[1] + pixels[1]], ..*self }
    }

    /// The same, its middle moved into an image of `(width, height)` from at most `margin` pixels outside.
    pub(crate) fn clamped(&self, (width, height): (usize, usize), margin: f32) -> Self {
        let last = [width as f32 - 1.0, height as f32 - 1.0].map(|last| last.max(0.0));
        Self { center: [0, 1].map(|axis| self.center[axis].clamp(-margin, last[axis] + margin)), ..*self }
    }

    /// How much of its box is inside an image of `(width, height)`.
    pub(crate) fn share_inside(&self, (width, height): (usize, usize)) -> f32 {
        let target = self.bounding_box();
        target.clipped(width, height).map_or(0.0, |inside| inside.area() / target.area())
    }

    /// The box around it. What is in its corners is not known: its outline is taken to be the superellipse
    /// `|x / a|^4 + |y / b|^4 = 1`, between a rectangle and an ellipse.
    pub(crate) fn bounding_box(&self) -> BoundingBox {
        let (sin, cos) = self.turn.sin_cos();
        let extent = |along: f32, across: f32| {
            let power = |v: f32| v.abs().powf(OUTLINE);
            (power(along * self.size[0]) + power(across * self.size[1])).powf(1.0 / OUTLINE)
        };
        let size = [extent(cos, sin), extent(sin, cos)];
        let corner = [0, 1].map(|axis| self.center[axis] + 0.5 - size[axis] / 2.0);
        BoundingBox::new(corner[0], corner[1], size[0], size[1])
    }
}
