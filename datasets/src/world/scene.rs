//! Everything that stands still, in a grid for rays.

use super::land::Parcels;
use super::layout;
use super::noise::{DetailMap, GroundNoise, Rng, floor};
use super::patches::Patches;
use super::roads::{Circuit, Roads};
use super::solid::{Placement, Solid, Tree};
use super::terrain::Terrain;
use super::vehicles::Movers;
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
    cells: Vec<Cell>,
    top: f32,
}

#[derive(Debug, Default)]
struct Cell {
    solids: Vec<u32>,
    trees: Vec<u32>,
    ground_top: f32,
    top: f32,
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
        let mut scene = Self {
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
            cells: Vec::new(),
            top: 0.0,
        };
        scene.fill_cells();
        scene
    }

    fn fill_cells(&mut self) {
        self.cells.resize_with(CELLS * CELLS, Cell::default);
        for (i, cell) in self.cells.iter_mut().enumerate() {
            cell.ground_top = self.terrain.patch((i % CELLS) as i32, (i / CELLS) as i32).max();
            cell.top = cell.ground_top;
        }
        for (i, solid) in self.solids.iter().enumerate() {
            let center = solid.placement.world_point(solid.body.center);
            for cell in covered(center, solid.body.radius) {
                self.cells[cell].solids.push(i as u32);
                self.cells[cell].top = self.cells[cell].top.max(center.z + solid.body.radius);
            }
        }
        for (i, tree) in self.trees.iter().enumerate() {
            for cell in covered(tree.center, tree.radius) {
                self.cells[cell].trees.push(i as u32);
                self.cells[cell].top = self.cells[cell].top.max(tree.center.z + tree.radius);
            }
        }
        self.top = self.cells.iter().map(|c| c.top).fold(0.0, f32::max) + 5.0;
    }

    /// The nearest thing that the ray `origin + t direction`, `t > 0`, meets.
    pub(crate) fn trace(
        &self,
        origin: Vec3,
        direction: Vec3,
        movers: Option<(&Movers, &[Placement])>,
    ) -> Hit {
        let mut best = Hit { t: f32::INFINITY, target: Target::Sky };
        let Some(mut walk) = Walk::new(origin, direction, self.top, VIEW_M) else { return best };
        while let Some(step) = walk.next() {
            let cell = &self.cells[step.index()];
            let low = (origin.z + direction.z * step.enter).min(origin.z + direction.z * step.leave);
            if let Some((movers, placements)) = movers
                && low < cell.ground_top + 5.0
            {
                movers.intersect(step.index(), placements, origin, direction, &mut best);
            }
            if low < cell.top {
                self.meet_objects(cell, step.shift(), origin, direction, &mut best);
            }
            if low <= cell.ground_top
                && let Some(t) = self.meet_ground(&step, origin, direction)
                && t < best.t
            {
                best = Hit { t, target: Target::Ground };
            }
            if best.t <= step.leave {
                break;
            }
        }
        best
    }

    fn meet_objects(&self, cell: &Cell, shift: Vec3, origin: Vec3, direction: Vec3, best: &mut Hit) {
        let origin = origin - shift;
        for &i in &cell.solids {
            if let Some(hit) = self.solids[i as usize].intersect(origin, direction, 1e-3)
                && hit.t < best.t
            {
                *best = Hit { t: hit.t, target: Target::Solid { index: i, face: hit.face as u8 } };
            }
        }
        for &i in &cell.trees {
            if let Some(hit) = self.trees[i as usize].intersect(origin, direction, 1e-3, best.t) {
                let target = Target::Tree { index: i, clump: hit.clump as u8, normal: hit.normal };
                *best = Hit { t: hit.t, target };
            }
        }
    }

    fn meet_ground(&self, step: &Step, origin: Vec3, direction: Vec3) -> Option<f32> {
        let p = origin + direction * step.enter;
        let entry = Vec3::new(p.x / CELL_M - step.x as f32, p.y / CELL_M - step.y as f32, p.z);
        let direction = Vec3::new(direction.x / CELL_M, direction.y / CELL_M, direction.z);
        let t = self.terrain.patch(step.x, step.y).intersect(entry, direction, step.leave - step.enter)?;
        Some(step.enter + t)
    }

    /// Whether the sun reaches `p` past buildings and trees.
    pub(crate) fn sunlit(&self, p: Vec3) -> bool {
        let Some(mut walk) = Walk::new(p, self.sun, self.top, 60.0) else { return true };
        while let Some(step) = walk.next() {
            let cell = &self.cells[step.index()];
            if p.z + self.sun.z * step.enter < cell.top {
                let origin = p - step.shift();
                let blocked = |i: &u32| self.solids[*i as usize].intersect(origin, self.sun, 0.01).is_some();
                let shaded =
                    |i: &u32| self.trees[*i as usize].intersect(origin, self.sun, 0.05, 1e9).is_some();
                if cell.solids.iter().any(blocked) || cell.trees.iter().any(shaded) {
                    return false;
                }
            }
        }
        true
    }
}

/// Indices of the cells within `radius` of `center`.
pub(crate) fn covered(center: Vec3, radius: f32) -> impl Iterator<Item = usize> {
    let range = move |v: f32| floor((v - radius) / CELL_M)..=floor((v + radius) / CELL_M);
    range(center.y).flat_map(move |y| range(center.x).map(move |x| cell_index(x, y)))
}

fn cell_index(x: i32, y: i32) -> usize {
    (y as usize & (CELLS - 1)) * CELLS + (x as usize & (CELLS - 1))
}

/// The cells along a ray (Amanatides and Woo 1987).
struct Walk {
    x: i32,
    y: i32,
    step: (i32, i32),
    next: (f32, f32),
    delta: (f32, f32),
    t: f32,
    end: f32,
}

/// One cell of a walk, and where the ray enters and leaves it.
struct Step {
    x: i32,
    y: i32,
    enter: f32,
    leave: f32,
}

impl Step {
    fn index(&self) -> usize {
        cell_index(self.x, self.y)
    }

    /// From the world's first copy to the copy that this cell belongs to.
    fn shift(&self) -> Vec3 {
        let copy = |v: i32| (v.div_euclid(CELLS as i32)) as f32 * PERIOD_M;
        Vec3::new(copy(self.x), copy(self.y), 0.0)
    }
}

impl Walk {
    /// Only where the ray is below `top` and within `reach` metres; `None` where that is nowhere.
    fn new(origin: Vec3, direction: Vec3, top: f32, reach: f32) -> Option<Self> {
        let mut end = reach / direction.norm();
        let mut t = 0.0;
        if origin.z > top {
            if direction.z >= 0.0 {
                return None;
            }
            t = (top - origin.z) / direction.z;
        } else if direction.z > 0.0 {
            end = end.min((top - origin.z) / direction.z);
        }
        if t >= end {
            return None;
        }
        let p = origin + direction * t;
        let (x, y) = (floor(p.x / CELL_M), floor(p.y / CELL_M));
        let axis = |o: f32, d: f32, cell: i32| {
            if d == 0.0 {
                return (0, f32::INFINITY, f32::INFINITY);
            }
            let (step, border) = if d > 0.0 { (1, cell + 1) } else { (-1, cell) };
            (step, (border as f32 * CELL_M - o) / d, CELL_M / d.abs())
        };
        let (sx, nx, dx) = axis(origin.x, direction.x, x);
        let (sy, ny, dy) = axis(origin.y, direction.y, y);
        Some(Self { x, y, step: (sx, sy), next: (nx, ny), delta: (dx, dy), t, end })
    }

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
        if leave >= self.end {
            self.t = f32::INFINITY;
        }
        Some(step)
    }
}
