//! Where things stand: villages along the roads, farms, woods, hedges.

use nalgebra::Vector2;

use super::buildings::{self, Plan};
use super::land::{Crop, Parcels};
use super::noise::{GroundNoise, Rng};
use super::patches::{Patch, PatchKind};
use super::roads::{Circuit, Road, RoadKind, RoadPoint, Roads, lifted};
use super::solid::{Clump, Placement, Solid, Tree};
use super::terrain::Terrain;
use super::{PERIOD_M, Vec3};

/// What stands in the world and does not move, and where vehicles are parked.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) solids: Vec<Solid>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) parked: Vec<Placement>,
}

/// Things stay this far from the seam of the repeating world, so that none has to be cut.
const MARGIN_M: f32 = 14.0;

struct Builder<'a> {
    rng: Rng,
    terrain: &'a Terrain,
    roads: &'a Roads,
    parcels: &'a Parcels,
    layout: Layout,
    /// Position and radius of each building.
    buildings: Vec<(Vector2<f32>, f32)>,
}

/// Fills the world.
pub(crate) fn build(
    seed: u64,
    terrain: &Terrain,
    circuit: &Circuit,
    roads: &Roads,
    parcels: &Parcels,
) -> Layout {
    let rng = Rng::new(seed, 4);
    let (layout, buildings) = (Layout::default(), Vec::new());
    let mut builder = Builder { rng, terrain, roads, parcels, layout, buildings };
    for road in &roads.roads {
        builder.plots_along(road, circuit);
    }
    builder.avenue(circuit);
    builder.woods(GroundNoise { seed: seed as u32 ^ 0x51 });
    builder.hedgerows();
    builder.layout
}

/// Whether houses stand at `s` metres along the ring road. The flight starts inside a village.
fn in_village(circuit: &Circuit, s: f64) -> bool {
    (std::f64::consts::TAU * 3.0 * (s - 40.0) / circuit.length()).cos() > -0.15
}

impl Builder<'_> {
    fn plots_along(&mut self, road: &Road, circuit: &Circuit) {
        let last = road.points.len() - 8;
        for side in [-1.0, 1.0] {
            let mut i = if road.kind == RoadKind::Main { 2 } else { 9 };
            while i < last {
                let width = self.rng.range_f32(17.0, 26.0);
                let place = road.points[(i + (width / 4.0) as usize).min(last)];
                let settled = match road.kind {
                    RoadKind::Main => in_village(circuit, i as f64 * 2.0),
                    RoadKind::Street => true,
                    RoadKind::Track => false,
                };
                if settled && self.rng.chance(0.92) {
                    self.plot(place, side, width, road.kind.half_width());
                } else if road.kind == RoadKind::Track && i + 12 > last && side > 0.0 {
                    self.farm(place);
                }
                i += (width / 2.0) as usize + 1;
            }
        }
    }

    /// A house with its garden on one side of a road.
    fn plot(&mut self, place: RoadPoint, side: f64, width: f32, road_half: f32) {
        let plan = Plan::house(&mut self.rng);
        let turned = self.rng.chance(0.25);
        let front = if turned { plan.along } else { plan.across } / 2.0;
        let set_back = f64::from(road_half + 2.2 + self.rng.range_f32(4.0, 9.0) + front);
        let out = place.left() * side;
        let center = place.position + out * set_back;
        let jitter = self.rng.range_f32(-0.06, 0.06);
        let yaw = (place.direction.y.atan2(place.direction.x)) as f32
            + jitter
            + if turned { std::f32::consts::FRAC_PI_2 } else { 0.0 };
        if !self.free(center, plan.radius(), 2.5) {
            return;
        }
        let ground = self.ground(center);
        let solids = buildings::house(&mut self.rng, Placement::new(lifted(center, ground), yaw), plan, -2.5);
        self.layout.solids.extend(solids);
        self.claim(center, plan.radius());
        self.garden(place, out, set_back as f32, width, road_half);
    }

    fn garden(&mut self, place: RoadPoint, out: Vector2<f64>, set_back: f32, width: f32, road_half: f32) {
        let depth = self.rng.range_f32(27.0, 36.0);
        let edge = road_half + 2.0;
        let yaw = out.y.atan2(out.x) as f32;
        let at = |u: f32, v: f32| place.position + out * f64::from(u) + place.direction * f64::from(v);
        let kind = if self.rng.chance(0.85) { PatchKind::Lawn } else { PatchKind::Rough };
        self.patch(at(edge + depth / 2.0, 0.0), yaw, (depth / 2.0, width / 2.0), kind);
        let gate = if self.rng.chance(0.5) { 1.0 } else { -1.0 } * (width / 2.0 - 3.0);
        let drive_end = set_back + self.rng.range_f32(-1.0, 3.0);
        let half = (drive_end - road_half) / 2.0;
        let paving =
            self.rng.pick(&[PatchKind::Paving, PatchKind::Asphalt, PatchKind::Gravel, PatchKind::Paving]);
        let drive = (half, self.rng.range_f32(1.4, 2.4));
        self.patch(at(road_half + half, gate), yaw, drive, paving);
        let terrace = (2.5, self.rng.range_f32(2.5, 4.5));
        self.patch(at(set_back + 6.5, 0.0), yaw, terrace, PatchKind::Paving);
        if self.rng.chance(0.62) {
            let flip = if self.rng.chance(0.5) { std::f32::consts::PI } else { 0.0 };
            let p = at(self.rng.range_f32(edge + 3.0, drive_end - 2.0), gate);
            self.park(p, yaw + flip);
        }
        self.garden_things(&at, yaw, set_back, width, depth, gate);
        self.garden_plants(&at, edge, set_back, width, depth, gate);
    }

    fn garden_things(
        &mut self,
        at: &dyn Fn(f32, f32) -> Vector2<f64>,
        yaw: f32,
        set_back: f32,
        width: f32,
        depth: f32,
        gate: f32,
    ) {
        if self.rng.chance(0.45) {
            self.shed(at(set_back + 4.5, gate), yaw, (5.8, 3.1));
        }
        if self.rng.chance(0.4) {
            self.shed(at(depth - 1.5, -gate * 0.8), yaw, (2.8, 2.4));
        }
        if self.rng.chance(0.22) {
            self.patch(at(set_back + 13.0, gate * 0.2), yaw, (4.4, 2.6), PatchKind::Paving);
            self.patch(at(set_back + 13.0, gate * 0.2), yaw, (3.6, 1.8), PatchKind::Pool);
        } else if self.rng.chance(0.4) {
            self.patch(at(depth - 3.0, gate * 0.4), yaw, (2.6, width * 0.22), PatchKind::Beds);
        }
    }

    fn garden_plants(
        &mut self,
        at: &dyn Fn(f32, f32) -> Vector2<f64>,
        edge: f32,
        set_back: f32,
        width: f32,
        depth: f32,
        gate: f32,
    ) {
        let side = width / 2.0;
        for v in [-side, side] {
            if self.rng.chance(0.6) {
                let gap = self.rng.range_f32(0.5, 12.0);
                self.hedge(at(edge + gap, v), at(edge + depth, v));
            }
        }
        if self.rng.chance(0.5) {
            self.hedge(at(edge + depth, -side), at(edge + depth, side));
        }
        if self.rng.chance(0.55) {
            let away = -gate.signum();
            self.hedge(at(edge + 0.6, gate + away * 3.2), at(edge + 0.6, away * side));
        }
        for _ in 0..self.rng.pick(&[2, 3, 4, 5, 7]) {
            let u = self.rng.range_f32(edge + 2.0, edge + depth - 2.0);
            let v = self.rng.range_f32(-side + 1.5, side - 1.5);
            let height = if (u - set_back).abs() < 9.0 { 2.2 } else { self.rng.range_f32(2.0, 8.5) };
            self.tree(at(u, v), height, 0.8);
        }
    }

    /// Barns around a yard at the end of a track.
    fn farm(&mut self, place: RoadPoint) {
        let yaw = place.direction.y.atan2(place.direction.x) as f32;
        let yard = place.position + place.direction * 22.0;
        self.patch(yard, yaw, (17.0, 13.0), PatchKind::Gravel);
        for (u, v, turn) in [(2.0, 19.0, 0.0), (30.0, 0.0, std::f32::consts::FRAC_PI_2), (0.0, -18.0, 0.0)] {
            let plan = Plan::barn(&mut self.rng);
            let center = yard + place.direction * u + place.left() * v;
            if self.free(center, plan.radius(), 0.5) {
                let placement = Placement::new(lifted(center, self.ground(center)), yaw + turn);
                let solids = buildings::barn(&mut self.rng, placement, plan, -2.5);
                self.layout.solids.extend(solids);
                self.claim(center, plan.radius());
            }
        }
        for v in [-6.0, -2.0, 5.0] {
            self.park(yard + place.left() * v, yaw + 1.3);
        }
    }

    /// Trees beside the open road.
    fn avenue(&mut self, circuit: &Circuit) {
        let mut s = 0.0;
        while s < circuit.length() {
            let place = circuit.at(s);
            for side in [-1.0, 1.0] {
                let wanted = if in_village(circuit, s) { 0.12 } else { 0.55 };
                if self.rng.chance(wanted) {
                    let off = side * self.rng.range(7.4, 9.0);
                    let height = self.rng.range_f32(5.0, 9.5);
                    self.tree(place.position + place.left() * off, height, 2.6);
                }
            }
            s += self.rng.range(8.0, 15.0);
        }
    }

    /// Woods on their parcels, orchards and single trees on others.
    fn woods(&mut self, noise: GroundNoise) {
        let step = 4.4_f32;
        let count = (PERIOD_M / step) as i32;
        for (i, j) in (0..count).flat_map(|j| (0..count).map(move |i| (i, j))) {
            let (jx, jy) = (self.rng.range_f32(-1.9, 1.9), self.rng.range_f32(-1.9, 1.9));
            let (x, y) = (i as f32 * step + jx, j as f32 * step + jy);
            let parcel = self.parcels.at(x, y);
            let p = Vector2::new(f64::from(x), f64::from(y));
            let clearing = noise.octave(1, x, y) > 0.55;
            match parcel.crop {
                Crop::Wood if !clearing && parcel.edge_m > 1.0 => {
                    let height = self.rng.range_f32(7.0, 15.0);
                    self.tree(p, height, 4.0);
                }
                Crop::Orchard if i % 2 == 0 && parcel.edge_m > 3.0 => {
                    let p = Vector2::new(f64::from(i) * f64::from(step), f64::from(j) * f64::from(step));
                    let height = self.rng.range_f32(3.0, 4.2);
                    self.tree(p, height, 3.0);
                }
                Crop::Meadow if self.rng.chance(0.015) => {
                    let height = self.rng.range_f32(3.0, 11.0);
                    self.tree(p, height, 3.0);
                }
                _ => {}
            }
        }
    }

    /// Hedges, with trees in them, on some borders of fields.
    fn hedgerows(&mut self) {
        let step = 1.3_f32;
        let count = (PERIOD_M / step) as i32;
        for (i, j) in (0..count).flat_map(|j| (0..count).map(move |i| (i, j))) {
            let (x, y) = (i as f32 * step, j as f32 * step);
            let parcel = self.parcels.at(x, y);
            if parcel.edge_m < 0.75 && parcel.hedged && self.rng.chance(0.8) {
                let p = Vector2::new(f64::from(x), f64::from(y));
                let tall = self.rng.chance(0.04);
                let height = if tall { self.rng.range_f32(5.0, 10.0) } else { self.rng.range_f32(1.3, 2.8) };
                self.tree(p, height, 2.0);
            }
        }
    }

    fn hedge(&mut self, from: Vector2<f64>, to: Vector2<f64>) {
        let steps = ((to - from).norm() / 1.1) as usize;
        let height = self.rng.range_f32(1.1, 2.0);
        let color = leaf_color(&mut self.rng, 0.5);
        for i in 0..=steps {
            let p = from + (to - from) * (i as f64 / steps.max(1) as f64);
            if self.clear_of_buildings(p, 0.5) && self.roads.clearance(p.x as f32, p.y as f32) > 1.0 {
                self.bush(p, height, color);
            }
        }
    }

    fn bush(&mut self, p: Vector2<f64>, height: f32, color: [f32; 3]) {
        let ground = self.ground(p);
        let mut clumps = Vec::new();
        for k in 0..3 {
            let jitter = Vec3::new(
                self.rng.range_f32(-0.35, 0.35),
                self.rng.range_f32(-0.35, 0.35),
                self.rng.range_f32(-0.15, 0.15),
            );
            let level = height * [0.35, 0.62, 0.72][k];
            let radius = 0.62 * self.rng.range_f32(0.8, 1.2);
            clumps.push(Clump { center: lifted(p, ground + level) + jitter, radius, porous: k > 0 });
        }
        let seed = self.rng.seed();
        self.layout.trees.push(bounded(clumps, color, seed));
    }

    /// A tree unless something is in its way.
    fn tree(&mut self, p: Vector2<f64>, height: f32, road_clearance: f32) {
        let radius = 0.32 * height + 0.4;
        let (x, y) = (p.x as f32, p.y as f32);
        let inside = [x, y].iter().all(|v| (MARGIN_M..PERIOD_M - MARGIN_M).contains(v));
        if !inside || self.roads.clearance(x, y) < road_clearance || !self.clear_of_buildings(p, radius * 0.5)
        {
            return;
        }
        let ground = self.ground(p);
        let color = leaf_color(&mut self.rng, 1.0);
        let conifer = height > 6.0 && self.rng.chance(0.16);
        let clumps = crown(&mut self.rng, lifted(p, ground), height, radius, conifer);
        let color = if conifer { [0.028, 0.05, 0.026] } else { color };
        let seed = self.rng.seed();
        self.layout.trees.push(bounded(clumps, color, seed));
    }

    fn shed(&mut self, p: Vector2<f64>, yaw: f32, size: (f32, f32)) {
        if self.free(p, size.0 * 0.5, 1.0) {
            let placement = Placement::new(lifted(p, self.ground(p)), yaw);
            let solids = buildings::shed(&mut self.rng, placement, size, -1.0);
            self.layout.solids.extend(solids);
            self.claim(p, size.0 * 0.55);
        }
    }

    fn park(&mut self, p: Vector2<f64>, yaw: f32) {
        if self.clear_of_buildings(p, 1.4) {
            let yaw = yaw + self.rng.range_f32(-0.05, 0.05);
            self.layout.parked.push(Placement::new(lifted(p, self.ground(p)), yaw));
        }
    }

    fn patch(&mut self, center: Vector2<f64>, yaw: f32, half: (f32, f32), kind: PatchKind) {
        let seed = self.rng.seed();
        self.layout.patches.push(Patch::new(lifted(center, 0.0), yaw, half, kind, seed));
    }

    fn ground(&self, p: Vector2<f64>) -> f32 {
        self.terrain.height(p.x as f32, p.y as f32)
    }

    fn claim(&mut self, p: Vector2<f64>, radius: f32) {
        self.buildings.push((Vector2::new(p.x as f32, p.y as f32), radius));
    }

    fn clear_of_buildings(&self, p: Vector2<f64>, radius: f32) -> bool {
        let p = Vector2::new(p.x as f32, p.y as f32);
        self.buildings.iter().all(|(q, r)| (p - q).norm() > r * 0.85 + radius)
    }

    /// Whether a building of `radius` can stand at `p`, `gap` metres from the nearest road.
    fn free(&self, p: Vector2<f64>, radius: f32, gap: f32) -> bool {
        let (x, y) = (p.x as f32, p.y as f32);
        let margin = MARGIN_M + radius;
        let inside = [x, y].iter().all(|v| (margin..PERIOD_M - margin).contains(v));
        let wanted = (radius + gap).min(super::roads::REACH_M - 0.1);
        inside && self.roads.clearance(x, y) >= wanted && self.clear_of_buildings(p, radius)
    }
}

/// Greens from olive to blue.
fn leaf_color(rng: &mut Rng, variety: f32) -> [f32; 3] {
    let tone = rng.range_f32(0.75, 1.3);
    let yellow = rng.range_f32(-0.4, 1.0) * variety;
    [(0.052 + 0.022 * yellow) * tone, (0.082 + 0.012 * yellow) * tone, (0.026 - 0.004 * yellow) * tone]
}

/// A crown of overlapping clumps around a dense dark core.
fn crown(rng: &mut Rng, foot: Vec3, height: f32, radius: f32, conifer: bool) -> Vec<Clump> {
    if conifer {
        return (0..6)
            .map(|i| i as f32 / 5.0)
            .map(|t| {
                let jitter = Vec3::new(rng.range_f32(-0.2, 0.2), rng.range_f32(-0.2, 0.2), 0.0);
                // Closer together towards the top, where they are small.
                let center = foot + jitter + Vec3::z() * height * (0.22 + 0.66 * t * (1.35 - 0.35 * t));
                Clump { center, radius: radius * 0.8 * (1.0 - 0.85 * t), porous: true }
            })
            .collect();
    }
    let middle = foot + Vec3::z() * (height - radius).max(radius * 0.6);
    let mut clumps = vec![Clump { center: middle, radius: radius * 0.72, porous: false }];
    let count = if radius > 2.2 { 11 } else { 6 };
    let twist = rng.range_f32(0.0, std::f32::consts::TAU);
    for i in 0..count {
        // Points spread evenly over a ball by the golden angle, then pushed about.
        let z = 1.0 - 1.6 * (i as f32 + 0.5) / count as f32;
        let ring = (1.0 - z * z).max(0.0).sqrt();
        let angle = twist + i as f32 * 2.4 + rng.range_f32(-0.4, 0.4);
        let out = Vec3::new(angle.cos() * ring, angle.sin() * ring, z * 0.85);
        let size = radius * rng.range_f32(0.36, 0.58);
        let center = middle + out * (radius - size) * rng.range_f32(0.95, 1.3);
        clumps.push(Clump { center, radius: size, porous: true });
    }
    clumps
}

fn bounded(clumps: Vec<Clump>, color: [f32; 3], seed: u32) -> Tree {
    let center = clumps.iter().map(|c| c.center).sum::<Vec3>() / clumps.len() as f32;
    let reach = |c: &Clump| (c.center - center).norm() + c.radius;
    let radius = clumps.iter().map(reach).fold(0.0, f32::max);
    Tree { center, radius, clumps, color, seed }
}
