//! Everything that stands still.

use super::land::Parcels;
use super::layout;
use super::noise::{DetailMap, GroundNoise, Rng, floor};
use super::patches::Patches;
use super::roads::{Circuit, Roads};
use super::shadows::{Blocker, Shadows};
use super::solid::{Ball, Placement, Solid, Tree};
use super::terrain::{Patch, Tangent, Terrain};
use super::{CELL_M, CELLS, PERIOD_M, Vec3};

/// The land, what stands on it, and the sun.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) terrain: Terrain,
    pub(crate) circuit: Circuit,
    pub(crate) roads: Roads,
    pub(crate) parcels: Parcels,
    pub(crate) patches: Patches,
    pub(crate) solids: Vec<Solid>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) parked: Vec<Placement>,
    pub(crate) noise: GroundNoise,
    pub(crate) detail: DetailMap,
    /// Unit vector towards the sun.
    pub(crate) sun: Vec3,
    /// What stands on the land, by place.
    pub(crate) blocks: Vec<Block>,
    shadows: Shadows,
    /// Highest ground of each cell, of each block, and of all.
    tops: Vec<f32>,
    block_tops: Vec<f32>,
    top: f32,
    /// Rays that fall faster than this meet the land once.
    steep: f32,
}

/// What a ray met.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Nothing.
    Sky,
    /// The land.
    Ground,
    /// A face of a building.
    Solid { index: u32, face: u8 },
    /// Leaves.
    Tree { index: u32, clump: u8, normal: Vec3 },
    /// A face of a part of a vehicle; `slot` counts the vehicles of this frame.
    Vehicle { slot: u16, part: u8, face: u8 },
}

/// A ray's end: at `origin + t direction`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) t: f32,
    pub(crate) target: Target,
}

/// Rays end here: the haze has swallowed everything.
pub(crate) const VIEW_M: f32 = 1800.0;

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let terrain = Terrain::new(seed);
        let circuit = Circuit::new(seed);
        let roads = Roads::new(seed, &circuit);
        let mut rng = Rng::new(seed, 5);
        let parcels = Parcels::new(rng.seed());
        let built = layout::build(seed, &terrain, &circuit, &roads, &parcels);
        let (elevation, azimuth) = (rng.range_f32(0.62, 0.92), rng.range_f32(0.0, std::f32::consts::TAU));
        let sun =
            Vec3::new(azimuth.cos() * elevation.cos(), azimuth.sin() * elevation.cos(), elevation.sin());
        let (tops, block_tops) = tops(&terrain);
        let top = block_tops.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self {
            blocks: blocks(&built.solids, &built.trees),
            shadows: Shadows::new(&built.solids, &built.trees, sun),
            tops,
            block_tops,
            top,
            steep: 1.5 * steepest(&terrain),
            terrain,
            circuit,
            roads,
            parcels,
            patches: Patches::new(built.patches),
            solids: built.solids,
            trees: built.trees,
            parked: built.parked,
            noise: GroundNoise { seed: rng.seed() },
            detail: DetailMap::new(rng.seed()),
            sun,
        }
    }

    /// Where the ray `origin + t direction` first meets the land, with `t` in `(0, end)`. `tangent` is that of the
    /// land where another ray met it, the nearer the faster, and becomes that of the place found.
    #[inline]
    pub(crate) fn meet_land(
        &self,
        origin: Vec3,
        direction: Vec3,
        end: f32,
        tangent: &mut Tangent,
    ) -> Option<f32> {
        let level2 = direction.x * direction.x + direction.y * direction.y;
        if direction.z < 0.0 && direction.z * direction.z > self.steep * self.steep * level2 {
            return self.meet_below(origin, direction, end, tangent);
        }
        self.meet_along(origin, direction, end.min(VIEW_M / direction.norm()))
    }

    /// The same for a ray that falls faster than any slope: it meets the land once, so that Newton's steps, each to
    /// the tangent plane of the last place, find it from anywhere.
    #[inline]
    fn meet_below(&self, origin: Vec3, direction: Vec3, end: f32, tangent: &mut Tangent) -> Option<f32> {
        if end < f32::INFINITY {
            let p = origin + direction * end;
            if p.z > self.terrain.height(p.x, p.y) {
                return None;
            }
        }
        let mut t = tangent.meet(origin, direction);
        for _ in 0..12 {
            *tangent = self.terrain.tangent(origin + direction * t);
            let before = std::mem::replace(&mut t, tangent.meet(origin, direction));
            if (t - before).abs() < 1e-3 {
                break;
            }
        }
        (t > 0.0 && t < end).then_some(t)
    }

    /// The same for any ray.
    fn meet_along(&self, origin: Vec3, direction: Vec3, end: f32) -> Option<f32> {
        let inverse = direction.map(|v| 1.0 / v);
        let (from, to) = below(self.top, origin.z, inverse.z, end)?;
        for block in Walk::new(origin, direction, inverse, BLOCK_M, from, to) {
            let top = self.block_tops[wrapped(block.x, block.y, BLOCKS)];
            let Some((from, to)) = below(top, origin.z, inverse.z, block.leave) else { continue };
            let cells = Walk::new(origin, direction, inverse, CELL_M, from.max(block.enter), to);
            for cell in cells {
                if let Some(t) = self.meet_cell(&cell, origin, direction) {
                    return Some(t);
                }
            }
        }
        None
    }

    #[inline]
    fn meet_cell(&self, cell: &Step, origin: Vec3, direction: Vec3) -> Option<f32> {
        let low = origin.z + (direction.z * cell.enter).min(direction.z * cell.leave);
        if low > self.tops[cell_index(cell.x, cell.y)] {
            return None;
        }
        let p = origin + direction * cell.enter;
        let entry = Vec3::new(p.x / CELL_M - cell.x as f32, p.y / CELL_M - cell.y as f32, p.z);
        let direction = Vec3::new(direction.x / CELL_M, direction.y / CELL_M, direction.z);
        let t = self.terrain.patch(cell.x, cell.y).intersect(entry, direction, cell.leave - cell.enter)?;
        Some(cell.enter + t)
    }

    /// Whether the sun reaches `p` past buildings and trees.
    pub(crate) fn sunlit(&self, p: Vec3) -> bool {
        self.shadows.candidates(p).all(|(blocker, origin)| match blocker {
            Blocker::Solid(i) => self.solids[i as usize].intersect(origin, self.sun, 0.01).is_none(),
            Blocker::Tree(i) => !self.trees[i as usize].blocks(origin, self.sun, 0.05),
        })
    }

    /// Shifts from the world's first copy to each copy within `reach` metres of `center`.
    pub(crate) fn copies(center: Vec3, reach: f32) -> impl Iterator<Item = Vec3> {
        let range = move |v: f32| floor((v - reach) / PERIOD_M)..=floor((v + reach) / PERIOD_M);
        let shift = |x: i32, y: i32| Vec3::new(x as f32 * PERIOD_M, y as f32 * PERIOD_M, 0.0);
        range(center.y).flat_map(move |y| range(center.x).map(move |x| shift(x, y)))
    }
}

/// What stands in one square of the world, so that most of the world is passed over at once.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) ball: Ball,
    pub(crate) solids: Vec<u32>,
    pub(crate) trees: Vec<u32>,
}

/// Size of a [`Block`], and of the squares whose highest ground a ray looks at first.
const BLOCK_M: f32 = 32.0;
const BLOCKS: usize = (PERIOD_M / BLOCK_M) as usize;

fn blocks(solids: &[Solid], trees: &[Tree]) -> Vec<Block> {
    let mut lists = vec![(Vec::new(), Vec::new()); BLOCKS * BLOCKS];
    let at = |p: Vec3| wrapped(floor(p.x / BLOCK_M), floor(p.y / BLOCK_M), BLOCKS);
    (0..).zip(solids).for_each(|(i, solid)| lists[at(solid.center)].0.push(i));
    (0..).zip(trees).for_each(|(i, tree)| lists[at(tree.center)].1.push(i));
    let filled = lists.into_iter().filter(|(solids, trees)| !solids.is_empty() || !trees.is_empty());
    filled
        .map(|(own_solids, own_trees)| {
            let balls = own_solids.iter().map(|&i: &u32| solids[i as usize].ball());
            let balls: Vec<Ball> =
                balls.chain(own_trees.iter().map(|&i: &u32| trees[i as usize].ball())).collect();
            Block { ball: Ball::around(&balls), solids: own_solids, trees: own_trees }
        })
        .collect()
}

fn steepest(terrain: &Terrain) -> f32 {
    let cells = (0..CELLS * CELLS).map(|i| terrain.patch((i % CELLS) as i32, (i / CELLS) as i32));
    cells.map(Patch::steepness).fold(0.0, f32::max)
}

/// Highest ground of each cell and of each block.
fn tops(terrain: &Terrain) -> (Vec<f32>, Vec<f32>) {
    let mut blocks = vec![f32::NEG_INFINITY; BLOCKS * BLOCKS];
    let share = CELLS / BLOCKS;
    let cells = (0..CELLS * CELLS).map(|i| {
        let (x, y) = (i % CELLS, i / CELLS);
        let top = terrain.patch(x as i32, y as i32).max();
        let block = &mut blocks[y / share * BLOCKS + x / share];
        *block = block.max(top);
        top
    });
    (cells.collect(), blocks)
}

/// The part of `(0, end)` where a ray from height `z` is below `top`; `inverse` is 1 over its climb.
#[inline]
fn below(top: f32, z: f32, inverse: f32, end: f32) -> Option<(f32, f32)> {
    let (mut from, mut to) = (0.0, end);
    if z > top {
        if inverse >= 0.0 {
            return None;
        }
        from = (top - z) * inverse;
    } else if inverse > 0.0 {
        to = end.min((top - z) * inverse);
    }
    (from < to).then_some((from, to))
}

/// Indices of the cells within `radius` of `center`.
pub(crate) fn covered(center: Vec3, radius: f32) -> impl Iterator<Item = usize> {
    let range = move |v: f32| floor((v - radius) / CELL_M)..=floor((v + radius) / CELL_M);
    range(center.y).flat_map(move |y| range(center.x).map(move |x| cell_index(x, y)))
}

/// Index of a cell, anywhere in the repeating world.
#[inline]
pub(crate) fn cell_index(x: i32, y: i32) -> usize {
    wrapped(x, y, CELLS)
}

fn wrapped(x: i32, y: i32, across: usize) -> usize {
    (y as usize & (across - 1)) * across + (x as usize & (across - 1))
}

/// The squares along a ray (Amanatides and Woo 1987).
struct Walk {
    x: i32,
    y: i32,
    step: (i32, i32),
    next: (f32, f32),
    delta: (f32, f32),
    t: f32,
    end: f32,
}

/// One square of a walk, and where the ray enters and leaves it.
struct Step {
    x: i32,
    y: i32,
    enter: f32,
    leave: f32,
}

impl Walk {
    /// Squares of `size_m` metres, a power of two, between `t` and `end`; `inverse` is 1 over `direction`.
    #[inline]
    fn new(origin: Vec3, direction: Vec3, inverse: Vec3, size_m: f32, t: f32, end: f32) -> Self {
        let p = origin + direction * t;
        let (x, y) = (floor(p.x / size_m), floor(p.y / size_m));
        let axis = |o: f32, inverse: f32, cell: i32| {
            if inverse.is_infinite() {
                return (0, f32::INFINITY, f32::INFINITY);
            }
            let (step, border) = if inverse > 0.0 { (1, cell + 1) } else { (-1, cell) };
            (step, (border as f32 * size_m - o) * inverse, size_m * inverse.abs())
        };
        let (sx, nx, dx) = axis(origin.x, inverse.x, x);
        let (sy, ny, dy) = axis(origin.y, inverse.y, y);
        Self { x, y, step: (sx, sy), next: (nx, ny), delta: (dx, dy), t, end }
    }
}

impl Iterator for Walk {
    type Item = Step;

    #[inline]
    fn next(&mut self) -> Option<Step> {
        if self.t >= self.end {
            return None;
        }
        let leave = self.next.0.min(self.next.1).min(self.end).max(self.t);
        let step = Step { x: self.x, y: self.y, enter: self.t, leave };
        if self.next.0 <= self.next.1 {
            self.x += self.step.0;
            self.next.0 += self.delta.0;
        } else {
            self.y += self.step.1;
            self.next.1 += self.delta.1;
        }
        self.t = leave;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small steps along the ray find the same place as the walk, and nothing where it finds nothing.
    #[test]
    fn the_walk_misses_no_ground() {
        let scene = Scene::new(3);
        for i in 0..400 {
            let (sin, cos) = (i as f32 * 0.37).sin_cos();
            let direction = Vec3::new(cos, sin, -0.002 - 0.3 * (i % 17) as f32 / 16.0);
            let origin = Vec3::new(100.0 + i as f32, 300.0, 12.0);
            let depth = |t: f32| {
                let p = origin + direction * t;
                scene.terrain.height(p.x.rem_euclid(PERIOD_M), p.y.rem_euclid(PERIOD_M)) - p.z
            };
            let stepped = (0..6000).map(|k| k as f32 * 0.25).find(|&t| depth(t) > 0.0);
            match (scene.meet_land(origin, direction, f32::INFINITY, &mut Tangent::default()), stepped) {
                (Some(t), Some(s)) => {
                    assert!(t <= s && t >= s - 0.26 || depth(t).abs() < 0.01, "{i}: {t} {s}")
                }
                (Some(t), None) => assert!(depth(t).abs() < 0.01, "{i}: {t}"),
                (None, stepped) => assert!(stepped.is_none(), "{i}: {stepped:?}"),
            }
        }
    }
}
