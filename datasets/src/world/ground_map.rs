//! The lit ground as images of several scales, made where and when they are first looked at.

use std::sync::OnceLock;

use super::PERIOD_M;
use super::ground;
use super::noise::{blend, floor, hash, log2, mix, unit};
use super::scene::Scene;

/// One scale of the map, cut into tiles. Each tile holds texels at its spacing and at twice that.
#[derive(Debug)]
struct Layer {
    spacing_m: f32,
    /// Fine and coarse texels per metre.
    per_m: [f32; 2],
    /// Texels along a tile.
    texels: usize,
    /// Evaluations per texel and axis.
    samples: usize,
    /// Tiles along the world.
    tiles_across: usize,
    tiles: Vec<OnceLock<Tile>>,
}

/// Square roots of lit reflectance, and grain, in 8 bits: the eye's and the file's precision alike.
type Texel = [u8; 4];

#[derive(Debug)]
struct Tile {
    fine: Vec<Texel>,
    coarse: Vec<Texel>,
}

/// Lit reflectance and grain over the whole world.
#[derive(Debug)]
pub(crate) struct GroundMap {
    layers: Vec<Layer>,
}

/// Spacing of the finest texels.
const FINEST_M: f32 = 0.0625;
/// Brightest value stored.
const WHITE: f32 = 1.0;

impl GroundMap {
    pub(crate) fn new() -> Self {
        let layer = |spacing_m: f32, texels: usize, samples: usize| {
            let tiles_across = (PERIOD_M / (spacing_m * texels as f32)) as usize;
            let mut tiles = Vec::new();
            tiles.resize_with(tiles_across * tiles_across, OnceLock::new);
            let per_m = [1.0 / spacing_m, 0.5 / spacing_m];
            Layer { spacing_m, per_m, texels, samples, tiles_across, tiles }
        };
        let finest = layer(FINEST_M, 64, 1);
        Self {
            layers: vec![
                finest,
                layer(0.25, 32, 2),
                layer(1.0, 32, 2),
                layer(4.0, 32, 3),
                layer(16.0, 32, 4),
            ],
        }
    }

    /// Lit reflectance (linear) and grain at `(x, y)`, averaged over about `footprint_m`.
    #[inline]
    pub(crate) fn sample(&self, scene: &Scene, x: f32, y: f32, footprint_m: f32) -> [f32; 4] {
        let lod = log2(footprint_m.max(FINEST_M) / FINEST_M).clamp(0.0, 9.0);
        let level = lod as usize;
        let t = if level < 9 { blend(lod - level as f32) } else { 0.0 };
        let value = if t <= 0.0 {
            self.level(scene, level, x, y)
        } else {
            let coarse = self.level(scene, level + 1, x, y);
            if t >= 1.0 {
                coarse
            } else {
                let fine = self.level(scene, level, x, y);
                std::array::from_fn(|c| mix(fine[c], coarse[c], t))
            }
        };
        let square = |v: f32| v * v * (WHITE / (255.0 * 255.0));
        [square(value[0]), square(value[1]), square(value[2]), value[3] / 255.0]
    }

    #[inline]
    fn level(&self, scene: &Scene, level: usize, x: f32, y: f32) -> [f32; 4] {
        let (layer, coarse) = (&self.layers[level / 2], level % 2);
        let per_m = layer.per_m[coarse];
        let (u, v) = (x * per_m, y * per_m);
        let (iu, iv) = (floor(u), floor(v));
        let (count, mask) = (layer.texels >> coarse, layer.tiles_across - 1);
        let shift = count.trailing_zeros();
        let (tx, ty) = ((iu >> shift) as usize & mask, (iv >> shift) as usize & mask);
        let tile = layer.tiles[ty * layer.tiles_across + tx].get_or_init(|| layer.bake(scene, tx, ty));
        let (texels, border) = if coarse == 0 { (&tile.fine, 1) } else { (&tile.coarse, 0) };
        let stride = count + 1 + 2 * border;
        let at = ((iv as usize & (count - 1)) + border) * stride + (iu as usize & (count - 1)) + border;
        bilinear(&texels[at..at + stride + 2], stride, u - iu as f32, v - iv as f32)
    }
}

/// Between the first two texels and the two a `stride` later.
#[inline]
fn bilinear(texels: &[Texel], stride: usize, u: f32, v: f32) -> [f32; 4] {
    let corners = [texels[0], texels[1], texels[stride], texels[stride + 1]];
    let shares = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
    let mut sum = [0.0; 4];
    for (texel, share) in corners.into_iter().zip(shares) {
        sum = std::array::from_fn(|c| sum[c] + share * f32::from(texel[c]));
    }
    sum
}

impl Layer {
    /// Texels lie at multiples of the spacing; one more row and column on each side serve filtering.
    fn bake(&self, scene: &Scene, tx: usize, ty: usize) -> Tile {
        let stride = self.texels + 3;
        let texel = |i: usize| {
            let x = (tx * self.texels + i % stride) as f32 - 1.0;
            let y = (ty * self.texels + i / stride) as f32 - 1.0;
            self.texel(scene, x * self.spacing_m, y * self.spacing_m)
        };
        let fine: Vec<Texel> = (0..stride * stride).map(texel).collect();
        let coarse = halved(&fine, stride, self.texels / 2 + 1);
        Tile { fine, coarse }
    }

    fn texel(&self, scene: &Scene, x: f32, y: f32) -> Texel {
        let n = self.samples as u32;
        let mut sum = [0.0_f32; 4];
        for (i, j) in (0..n).flat_map(|j| (0..n).map(move |i| (i, j))) {
            let h = hash(x.to_bits() ^ i, y.to_bits() ^ j, 11);
            let place = |k: u32, h: u32| {
                let jitter = if n > 1 { unit(h) } else { 0.5 };
                ((k as f32 + jitter) / n as f32 - 0.5) * self.spacing_m
            };
            let (x, y) = (x + place(i, h), y + place(j, h.wrapping_mul(0x9E37_79B1)));
            let (color, grain) = ground::lit(scene, wrapped(x), wrapped(y), self.spacing_m);
            sum[0] += color[0];
            sum[1] += color[1];
            sum[2] += color[2];
            sum[3] += grain;
        }
        let share = 1.0 / (n * n) as f32;
        let root = |v: f32| ((v * share / WHITE).sqrt() * 255.0 + 0.5) as u8;
        [root(sum[0]), root(sum[1]), root(sum[2]), (sum[3] * share * 255.0 + 0.5) as u8]
    }
}

/// The same place in the world's first copy.
fn wrapped(v: f32) -> f32 {
    v - PERIOD_M * floor(v / PERIOD_M) as f32
}

/// Every other texel, averaged with its neighbours by the tent `1 2 1`.
fn halved(fine: &[Texel], stride: usize, count: usize) -> Vec<Texel> {
    let pixel = |i: usize| {
        let (x, y) = (2 * (i % count), 2 * (i / count));
        let mut sum = [0_u32; 4];
        for (dy, wy) in [1, 2, 1].into_iter().enumerate() {
            for (dx, wx) in [1, 2, 1].into_iter().enumerate() {
                let texel = fine[(y + dy) * stride + x + dx];
                for (sum, value) in sum.iter_mut().zip(texel) {
                    *sum += wx * wy * u32::from(value);
                }
            }
        }
        sum.map(|v| ((v + 8) / 16) as u8)
    };
    (0..count * count).map(pixel).collect()
}
