//! The lie of the land: gentle hills that repeat with the world.

use std::f64::consts::TAU;

use super::noise::{Rng, floor};
use super::{CELL_M, CELLS, PERIOD_M, Vec3};

/// Waves of the relief: cycles per world in x and y, amplitude in metres.
const WAVES: [(f64, f64, f64); 5] =
    [(1.0, 0.0, 2.6), (1.0, 2.0, 1.8), (2.0, -1.0, 1.3), (3.0, 1.0, 0.7), (2.0, 3.0, 0.5)];

/// Height over the plane, as waves (smooth, for flying by) and as a grid of bilinear patches (what is seen).
#[derive(Debug)]
pub(crate) struct Terrain {
    phases: [f64; WAVES.len()],
    heights: Vec<f32>,
}

impl Terrain {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let phases = std::array::from_fn(|_| rng.range(0.0, TAU));
        let mut terrain = Self { phases, heights: Vec::new() };
        terrain.heights = (0..CELLS * CELLS)
            .map(|i| ((i % CELLS) as f64, (i / CELLS) as f64))
            .map(|(x, y)| terrain.relief(x * f64::from(CELL_M), y * f64::from(CELL_M)) as f32)
            .collect();
        terrain
    }

    /// Smooth height in metres.
    pub(crate) fn relief(&self, x: f64, y: f64) -> f64 {
        let wave = |(&(kx, ky, amplitude), &phase): (&(f64, f64, f64), &f64)| {
            amplitude * (TAU * (kx * x + ky * y) / f64::from(PERIOD_M) + phase).cos()
        };
        WAVES.iter().zip(&self.phases).map(wave).sum()
    }

    /// Height of the patches in metres: what a ray meets.
    pub(crate) fn height(&self, x: f32, y: f32) -> f32 {
        let (u, v) = (x / CELL_M, y / CELL_M);
        let (ix, iy) = (floor(u), floor(v));
        let patch = self.patch(ix, iy);
        patch.at(u - ix as f32, v - iy as f32)
    }

    /// The tangent plane over or under `p`.
    #[inline]
    pub(crate) fn tangent(&self, p: Vec3) -> Tangent {
        let (u, v) = (p.x / CELL_M, p.y / CELL_M);
        let (ix, iy) = (floor(u), floor(v));
        let (height, slope) = self.patch(ix, iy).height_and_slope(u - ix as f32, v - iy as f32);
        Tangent { place: Vec3::new(p.x, p.y, height), slope }
    }

    /// Unit normal.
    pub(crate) fn normal(&self, x: f32, y: f32) -> Vec3 {
        let (u, v) = (x / CELL_M, y / CELL_M);
        let (ix, iy) = (floor(u), floor(v));
        let patch = self.patch(ix, iy);
        let (fu, fv) = (u - ix as f32, v - iy as f32);
        Vec3::new(-(patch.b + patch.e * fv) / CELL_M, -(patch.c + patch.e * fu) / CELL_M, 1.0).normalize()
    }

    /// The patch of cell `(ix, iy)`, anywhere in the repeating world.
    #[inline]
    pub(crate) fn patch(&self, ix: i32, iy: i32) -> Patch {
        let at = |dx: i32, dy: i32| {
            let (x, y) = ((ix + dx) as usize & (CELLS - 1), (iy + dy) as usize & (CELLS - 1));
            self.heights[y * CELLS + x]
        };
        let (a, h10, h01, h11) = (at(0, 0), at(1, 0), at(0, 1), at(1, 1));
        Patch { a, b: h10 - a, c: h01 - a, e: h11 - h10 - h01 + a }
    }
}

/// A plane that touches the land; by default the land's mean height.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tangent {
    place: Vec3,
    /// Metres per metre along x and y.
    slope: (f32, f32),
}

impl Tangent {
    /// Where a ray meets it, ahead or behind.
    #[inline]
    pub(crate) fn meet(&self, origin: Vec3, direction: Vec3) -> f32 {
        let above = origin - self.place;
        (self.slope.0 * above.x + self.slope.1 * above.y - above.z)
            / (direction.z - self.slope.0 * direction.x - self.slope.1 * direction.y)
    }
}

/// Height over one cell: `a + b u + c v + e u v`, with `u`, `v` in `[0, 1]` along x and y.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patch {
    a: f32,
    b: f32,
    c: f32,
    e: f32,
}

impl Patch {
    #[inline]
    fn at(self, u: f32, v: f32) -> f32 {
        self.a + self.b * u + self.c * v + self.e * u * v
    }

    /// Highest corner.
    pub(crate) fn max(self) -> f32 {
        let tops = self.a.max(self.a + self.b);
        tops.max(self.a + self.c).max(self.a + self.b + self.c + self.e)
    }

    /// Height at cell coordinates `(u, v)`, and how it changes along x and y in metres per metre.
    #[inline]
    pub(crate) fn height_and_slope(self, u: f32, v: f32) -> (f32, (f32, f32)) {
        (self.at(u, v), ((self.b + self.e * v) / CELL_M, (self.c + self.e * u) / CELL_M))
    }

    /// Steepest slope along x and along y.
    pub(crate) fn steepness(self) -> f32 {
        let across = self.b.abs().max((self.b + self.e).abs());
        let up = self.c.abs().max((self.c + self.e).abs());
        across.hypot(up) / CELL_M
    }

    /// Where a ray that enters the cell at `entry` (cell coordinates; z in metres) and leaves it `span` later
    /// first is at or below the patch. The patch is a quadric along the ray; Newton's steps from the chord are
    /// exact to rounding, for the land is gentle.
    #[inline]
    pub(crate) fn intersect(self, entry: Vec3, direction: Vec3, span: f32) -> Option<f32> {
        let above = |t: f32| {
            entry.z + direction.z * t - self.at(entry.x + direction.x * t, entry.y + direction.y * t)
        };
        let end = above(span);
        if end > 0.0 {
            return None;
        }
        let start = above(0.0);
        if start <= 0.0 {
            return Some(0.0);
        }
        let mut t = span * start / (start - end);
        for _ in 0..2 {
            let (u, v) = (entry.x + direction.x * t, entry.y + direction.y * t);
            let slope =
                direction.z - (self.b + self.e * v) * direction.x - (self.c + self.e * u) * direction.y;
            if slope.abs() > 1e-9 {
                t = (t - above(t) / slope).clamp(0.0, span);
            }
        }
        Some(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_follow_the_relief_across_the_seam() {
        let terrain = Terrain::new(4);
        for i in 0..200 {
            let (x, y) = (f64::from(i) * 5.3 - 200.0, f64::from(i) * 3.1);
            let error = f64::from(terrain.height(x as f32, y as f32)) - terrain.relief(x, y);
            assert!(error.abs() < 0.03, "{error} at {x} {y}");
        }
    }

    #[test]
    fn a_slanting_ray_meets_the_patch_exactly() {
        let patch = Patch { a: 1.0, b: 0.3, c: -0.2, e: 0.15 };
        let (entry, direction) = (Vec3::new(0.0, 0.1, 2.0), Vec3::new(0.1, 0.07, -0.15));
        let t = patch.intersect(entry, direction, 10.0).unwrap();
        let p = entry + direction * t;
        assert!((p.z - patch.at(p.x, p.y)).abs() < 1e-5);
        assert_eq!(patch.intersect(entry, Vec3::new(0.1, 0.07, 0.1), 5.0), None);
    }
}
