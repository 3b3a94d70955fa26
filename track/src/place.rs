//! Where a target is and how large.

use geometry::BoundingBox;

use crate::features::CELL;

/// Cells along each axis of the map that is searched.
pub(crate) const SIDE: usize = 48;
/// Cells that a target of equal sides has along each.
const TARGET_CELLS: f32 = 11.0;

/// A target's place in an image, and the window that is laid around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// In pixels; the first pixel has its centre at the origin.
    pub(crate) center: [f32; 2],
    /// Width and height in pixels.
    pub(crate) size: [f32; 2],
    /// Pixels from one sample to the next.
    pub(crate) step: f32,
}

impl Place {
    /// That of a box.
    pub(crate) fn of(target: BoundingBox) -> Self {
        let (x, y) = target.center();
        // Boxes count from the edge of the first pixel.
        let center = [x - 0.5, y - 0.5];
        let size = [target.width, target.height];
        Self { center, size, step: (size[0] * size[1]).sqrt() / (TARGET_CELLS * CELL as f32) }
    }

    /// Pixels from one cell to the next.
    pub(crate) fn cell(&self) -> f32 {
        self.step * CELL as f32
    }

    /// Middle of a map in which the target lies at cell `SIDE / 2`.
    pub(crate) fn map_center(&self) -> [f32; 2] {
        self.center.map(|v| v - 0.5 * self.cell())
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

    /// The box around it.
    pub(crate) fn bounding_box(&self) -> BoundingBox {
        let corner = [0, 1].map(|axis| self.center[axis] + 0.5 - self.size[axis] / 2.0);
        BoundingBox::new(corner[0], corner[1], self.size[0], self.size[1])
    }
}
