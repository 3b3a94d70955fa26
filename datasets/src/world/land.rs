//! Fields: the world is divided into parcels, each with its crop.

use super::PERIOD_M;
use super::noise::{GroundNoise, floor, hash, unit};

/// What grows on a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crop {
    /// Grass, mown or grazed.
    Meadow,
    /// Ripe grain with tramlines.
    Grain,
    /// Green plants in rows.
    Rows,
    /// Ploughed soil.
    Plough,
    /// Stubble after harvest.
    Stubble,
    /// Trees.
    Wood,
    /// Fruit trees on grass.
    Orchard,
}

/// The parcel under a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    pub(crate) crop: Crop,
    /// Direction of its rows in radians.
    pub(crate) angle_rad: f32,
    /// Metres to its border, about.
    pub(crate) edge_m: f32,
    /// Whether a hedge grows on the nearest border.
    pub(crate) hedged: bool,
    pub(crate) seed: u32,
}

/// Parcels as the cells of scattered points (Worley 1996), repeating with the world.
#[derive(Debug)]
pub(crate) struct Parcels {
    seed: u32,
    noise: GroundNoise,
    /// The scattered points, one in each square, and what they were drawn with.
    points: Vec<(f32, f32, u32)>,
}

const SIZE_M: f32 = 64.0;
const COUNT: i32 = (PERIOD_M / SIZE_M) as i32;
/// Parcels are longer than wide: distances across count more.
const STRETCH: f32 = 1.35;

impl Parcels {
    pub(crate) fn new(seed: u32) -> Self {
        let points = (0..COUNT * COUNT).map(|i| {
            let h = hash((i % COUNT) as u32, (i / COUNT) as u32, seed);
            (0.15 + 0.7 * unit(h), 0.15 + 0.7 * unit(h.wrapping_mul(0x2545_F491)), h)
        });
        Self { seed, noise: GroundNoise { seed: seed ^ 0x77 }, points: points.collect() }
    }

    pub(crate) fn at(&self, x: f32, y: f32) -> Parcel {
        let (x, y) = (x + 1.2 * self.noise.octave(2, x, y), y + 1.2 * self.noise.octave(2, y + 100.0, x));
        let (cx, cy) = (floor(x / SIZE_M), floor(y / SIZE_M));
        let mut near = [(f32::INFINITY, 0_u32); 2];
        for (ix, iy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (cx + dx, cy + dy))) {
            let (u, v, h) = self.points[(iy.rem_euclid(COUNT) * COUNT + ix.rem_euclid(COUNT)) as usize];
            let (px, py) = ((ix as f32 + u) * SIZE_M, (iy as f32 + v) * SIZE_M);
            let (dx, dy) = (x - px, (y - py) * STRETCH);
            let d = dx * dx + dy * dy;
            if d < near[0].0 {
                near = [(d, h), near[0]];
            } else if d < near[1].0 {
                near[1] = (d, h);
            }
        }
        let [(first, h), (second, other)] = near.map(|(d2, h)| (d2.sqrt(), h));
        let crop = match (unit(h.wrapping_mul(0x9E37_79B1)) * 100.0) as u32 {
            0..=25 => Crop::Meadow,
            26..=43 => Crop::Grain,
            44..=61 => Crop::Rows,
            62..=71 => Crop::Plough,
            72..=79 => Crop::Stubble,
            80..=92 => Crop::Wood,
            _ => Crop::Orchard,
        };
        let hedged = unit(hash(h ^ other, 5, self.seed)) < 0.4;
        let angle_rad = unit(h.wrapping_mul(0x85EB_CA6B)) * std::f32::consts::PI;
        Parcel { crop, angle_rad, edge_m: (second - first) * 0.5, hedged, seed: h }
    }
}
