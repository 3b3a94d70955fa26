//! The light that comes back along a ray.

use super::Vec3;
use super::ground::{SKY, SUN};
use super::ground_map::GroundMap;
use super::noise::{gradient_noise, hash, mix, mix3, scale3, smoothstep, unit, value_noise_3d};
use super::scene::{Hit, Scene, Target};
use super::solid::{Convex, Material, Placement};
use super::vehicles::Movers;

/// What shading needs to know.
pub(crate) struct Shader<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) map: &'a GroundMap,
    pub(crate) movers: &'a Movers,
    /// Angle between neighbouring pixels in radians.
    pub(crate) pixel_rad: f32,
}

/// Mark of ground in the open, and in a vehicle's shadow.
const OPEN: u32 = 1;
const SHADED: u32 = 2;
/// Colour of the haze in front of the distance.
const HAZE: [f32; 3] = [0.37, 0.42, 0.49];
/// After this distance in metres haze has replaced 63 % of the light.
const HAZE_M: f32 = 1500.0;

impl Shader<'_> {
    /// A number that differs from a neighbour's where an edge is worth smoothing.
    #[inline]
    pub(crate) fn mark(&self, origin: Vec3, direction: Vec3, hit: Hit, placements: &[Placement]) -> u32 {
        match hit.target {
            Target::Sky => 0,
            Target::Ground => {
                let p = origin + direction * hit.t;
                if self.movers.shades(placements, p, self.scene.sun) { SHADED } else { OPEN }
            }
            Target::Solid { index, face } => 0x1000_0000 | index << 4 | u32::from(face),
            // Not by tree: leaf against leaf is no edge.
            Target::Tree { .. } => 0x2000_0000,
            Target::Vehicle { slot, part, face } => {
                0x4000_0000 | u32::from(slot) << 8 | u32::from(part) << 4 | u32::from(face)
            }
        }
    }

    /// Light along the ray; `mark` is that of the hit.
    pub(crate) fn light(
        &self,
        origin: Vec3,
        direction: Vec3,
        hit: Hit,
        mark: u32,
        placements: &[Placement],
    ) -> [f32; 3] {
        let length = direction.norm();
        let view = direction / length;
        let p = origin + direction * hit.t;
        let distance = hit.t * length;
        let footprint = distance * self.pixel_rad;
        let color = match hit.target {
            Target::Sky => return self.sky(view),
            Target::Ground => self.ground(p, view, footprint, mark == SHADED),
            Target::Solid { index, face } => {
                let solid = &self.scene.solids[index as usize];
                self.face(&solid.body, &solid.placement, face, (p, view), footprint)
            }
            Target::Tree { index, clump, normal } => self.leaves(index, clump, normal, p, footprint),
            Target::Vehicle { slot, part, face } => {
                let (body, placement) = (&self.movers.body(slot)[part as usize], &placements[slot as usize]);
                self.face(body, placement, face, (p, view), footprint)
            }
        };
        mix3(color, HAZE, haze(distance))
    }

    #[inline]
    fn ground(&self, p: Vec3, view: Vec3, footprint: f32, shaded: bool) -> [f32; 3] {
        let stretch = (1.0 / view.z.abs().max(0.01)).min(16.0);
        let taps = (stretch / 1.6).clamp(1.0, 5.0) as i32;
        let width = footprint.max(footprint * stretch / (taps as f32 * 1.6));
        let sum = if taps == 1 {
            self.map.sample(self.scene, p.x, p.y, width)
        } else {
            self.streak(p, view, footprint * stretch, (taps, width))
        };
        let mut color =
            scale3([sum[0], sum[1], sum[2]], 1.0 + sum[3] * self.grain(p.x, p.y, footprint * stretch.sqrt()));
        if shaded {
            // What the sky alone gives, against sun and sky; a little less, for the vehicle hides sky as well.
            let share = |c: usize| 0.8 * SKY[c] / (SKY[c] + SUN[c] * self.scene.sun.z);
            color = [color[0] * share(0), color[1] * share(1), color[2] * share(2)];
        }
        color
    }

    /// The ground's light and grain averaged over `length` metres in the direction of view.
    fn streak(&self, p: Vec3, view: Vec3, length: f32, (taps, width): (i32, f32)) -> [f32; 4] {
        let along = view.xy() / view.xy().norm().max(1e-6);
        let share = 1.0 / taps as f32;
        let mut sum = [0.0_f32; 4];
        for k in 0..taps {
            let shift = ((k as f32 + 0.5) * share - 0.5) * length;
            let texel = self.map.sample(self.scene, p.x + along.x * shift, p.y + along.y * shift, width);
            sum = std::array::from_fn(|c| sum[c] + texel[c] * share);
        }
        sum
    }

    /// Fine grain of natural surfaces at two scales turned against each other; about 1 strong.
    #[inline]
    fn grain(&self, x: f32, y: f32, footprint: f32) -> f32 {
        const FINE: f32 = 1.0 / 0.028;
        const BROAD: f32 = 1.0 / 0.083;
        if footprint > 3.0 {
            return 0.0;
        }
        let detail = &self.scene.detail;
        let broad =
            detail.sample((0.47 * x + 0.88 * y) * BROAD, (0.47 * y - 0.88 * x) * BROAD, footprint * BROAD);
        // What the fine scale keeps under a large footprint, the broad one has as well.
        let share = 1.0 - smoothstep(0.18, 0.3, footprint);
        if share <= 0.0 {
            return (0.9 * broad).clamp(-2.2, 2.6);
        }
        let fine = detail.sample((0.8 * x - 0.6 * y) * FINE, (0.6 * x + 0.8 * y) * FINE, footprint * FINE);
        (0.75 * share * fine + (0.9 - 0.1 * share) * broad).clamp(-2.2, 2.6)
    }

    fn leaves(&self, index: u32, clump: u8, normal: Vec3, p: Vec3, footprint: f32) -> [f32; 3] {
        let tree = &self.scene.trees[index as usize];
        let body = tree.clumps[clump as usize];
        let rough = 1.0 - smoothstep(0.15, 0.9, footprint);
        let noise = |per_m: f32, seed: u32| {
            value_noise_3d(p.x * per_m, p.y * per_m, p.z * per_m, tree.seed ^ seed) - 0.5
        };
        // Each scale as far as pixels are finer than it.
        let twigs = noise(2.9, 0x5_0905);
        let sharp = 1.0 - smoothstep(0.04, 0.3, footprint);
        let finer = 1.0 - smoothstep(0.012, 0.06, footprint);
        let mut leaf = if sharp > 0.0 { noise(8.7, 0x9_0509) * sharp } else { 0.0 };
        if finer > 0.0 {
            leaf += 0.75 * finer * noise(24.0, 0x3_0703);
        }
        let outward = (p - tree.center) / tree.radius;
        let facing = (0.6 * normal + 0.7 * outward).dot(&self.scene.sun);
        let depth = outward.norm().min(1.0);
        let sun =
            smoothstep(-0.15, 0.9, facing + rough * (1.3 * twigs + 1.7 * leaf)) * mix(0.35, 1.15, depth);
        let open = (0.35 + 0.3 * normal.z + 0.5 * depth * depth) * (1.0 + rough * (0.8 * twigs + 1.1 * leaf));
        let tone = 0.82 + 0.36 * tree.clump_tone(clump as usize);
        let tone = if body.porous { tone } else { 0.55 * tone };
        let light = |c: usize| tree.color[c] * tone * (1.35 * SUN[c] * sun + SKY[c] * open.max(0.1));
        [light(0), light(1), light(2)]
    }

    fn face(
        &self,
        body: &Convex,
        placement: &Placement,
        face: u8,
        (p, view): (Vec3, Vec3),
        footprint: f32,
    ) -> [f32; 3] {
        let plane = &body.planes[face as usize];
        let local = placement.local_point(p);
        let normal = placement.world_direction(plane.normal);
        let facing = normal.dot(&self.scene.sun).max(0.0);
        let sunlit = facing > 0.0 && self.scene.sunlit(p);
        let sun = if sunlit { facing } else { 0.0 };
        let open = 0.55 + 0.45 * normal.z;
        let (color, gloss) = pattern(body, plane.material, plane.normal, local, footprint);
        let grain = 1.0 + 0.09 * self.grain(p.x + p.z, p.y - 0.7 * p.z, footprint) * (1.0 - gloss);
        // Light from the ground reaches walls from below.
        let bounce = 0.10 * (1.0 - normal.z);
        let light = |c: usize| color[c] * grain * (SUN[c] * sun + SKY[c] * open + bounce * SUN[c] * 0.6);
        let mut out = [light(0), light(1), light(2)];
        if gloss > 0.0 {
            let mirrored = view - 2.0 * view.dot(&normal) * normal;
            let fresnel = 0.04 + 0.5 * (1.0 - view.dot(&normal).abs()).powi(4);
            let glint = if sunlit { mirrored.dot(&self.scene.sun).max(0.0).powi(90) * 5.0 } else { 0.0 };
            let sky = self.sky(Vec3::new(mirrored.x, mirrored.y, mirrored.z.abs()));
            for c in 0..3 {
                out[c] += gloss * fresnel * (sky[c] * open + glint * SUN[c]);
            }
        }
        out
    }

    /// Light of the sky: pale at the horizon, blue above, some thin cloud.
    fn sky(&self, direction: Vec3) -> [f32; 3] {
        let up = direction.z.max(0.0);
        let clear = mix3(HAZE, [0.13, 0.24, 0.44], smoothstep(-0.05, 0.55, up));
        let (u, v) = (direction.x / (up + 0.12), direction.y / (up + 0.12));
        let thick = 0.75 * smoothstep(0.01, 0.2, up);
        if thick <= 0.0 {
            return clear;
        }
        let seed = self.scene.noise.seed ^ 0xC10D;
        let noise = |f: f32, s: u32| gradient_noise(u * f, v * f * 1.6, u32::MAX, seed + s);
        let broad = noise(0.7, 0) + 0.5 * noise(1.6, 1);
        // Wisps of 3 to 12 waves per unit.
        let cloud = broad + 0.17 * self.scene.detail.sample(u * 100.0, v * 160.0, 4.0);
        mix3(clear, [0.55, 0.56, 0.58], thick * smoothstep(0.0, 0.9, cloud))
    }
}

/// Share of the light that haze has replaced after `distance` metres.
fn haze(distance: f32) -> f32 {
    let x = distance / HAZE_M;
    if x > 0.02 { 1.0 - (-x).exp() } else { x }
}

/// Reflectance and gloss of a material at a point of a body.
fn pattern(body: &Convex, material: Material, normal: Vec3, p: Vec3, footprint: f32) -> ([f32; 3], f32) {
    let [first, second] = body.colors;
    // Along and up the face.
    let u = if normal.x.abs() > normal.y.abs() { p.y } else { p.x };
    let fine = |size: f32| 1.0 - smoothstep(0.25 * size, 0.8 * size, footprint);
    let stain = |scale: f32| {
        let clear = fine(2.0 * scale);
        if clear <= 0.0 {
            return 0.0;
        }
        clear * gradient_noise((p.x + 31.0) / scale, (p.y + 0.6 * p.z) / scale, u32::MAX, body.seed)
    };
    match material {
        Material::Wall => wall(body, u, p.z, fine(0.4), stain(1.7)),
        Material::Cladding => {
            let board = unit(hash((u / 0.25).floor() as i32 as u32, 3, body.seed)) - 0.5;
            (scale3(first, 1.0 + 0.25 * board * fine(0.25) + 0.12 * stain(2.0)), 0.0)
        }
        Material::Tiles => (tiles(body, u, normal, p, fine(0.33), stain(0.9) + 0.7 * stain(3.1)), 0.0),
        Material::Sheet => {
            let rib = (u * 12.6).sin() * fine(0.5);
            let sheet = unit(hash((u / 1.1).floor() as i32 as u32, 5, body.seed)) - 0.5;
            (scale3(second, 1.0 + 0.10 * rib + 0.10 * sheet + 0.14 * stain(2.4) + 0.08 * stain(0.5)), 0.12)
        }
        Material::FlatRoof => {
            let reach = body.planes[0].offset - p.x.abs();
            let edge = reach.min(body.planes[2].offset - p.y.abs());
            let base = if edge < 0.28 { [0.30, 0.30, 0.29] } else { [0.17, 0.165, 0.155] };
            let seam = if (p.x.rem_euclid(1.05)) < 0.07 { 0.88 } else { 1.0 };
            (scale3(base, (1.0 + 0.22 * stain(1.3) + 0.16 * stain(0.35)) * mix(1.0, seam, fine(0.4))), 0.0)
        }
        Material::Plain => (scale3(first, 1.0 + 0.15 * stain(0.6)), 0.0),
        Material::Paint => (paint(body, p, first), 1.0),
        Material::Glass => (second, 1.6),
        Material::Rubber => ([0.022; 3], 0.0),
        Material::WindowBand => {
            let band = p.z > 1.15 && p.z < 2.35 && (u.rem_euclid(1.45) > 0.13 || normal.x.abs() > 0.5);
            if band { (second, 1.4) } else { (first, 0.8) }
        }
        Material::Lamps => (lamps(normal, p, first), 0.9),
    }
}

/// Windows in storeys 2.7 m high.
fn wall(body: &Convex, u: f32, z: f32, sharp: f32, stain: f32) -> ([f32; 3], f32) {
    let plaster = scale3(body.colors[0], 1.0 + 0.07 * stain);
    let (bay, storey) = ((u / 2.3).floor(), ((z - 0.2) / 2.7).floor());
    let (fu, fz) = (u / 2.3 - bay, (z - 0.2) / 2.7 - storey);
    let there = unit(hash(bay as i32 as u32, storey as i32 as u32, body.seed)) < 0.62;
    let window = there && (0.26..0.74).contains(&fu) && (0.34..0.84).contains(&fz) && z > 0.2;
    if !window {
        return (plaster, 0.0);
    }
    let frame = !(0.31..0.69).contains(&fu) || !(0.38..0.80).contains(&fz);
    let pane = if frame { [0.6; 3] } else { [0.035, 0.04, 0.045] };
    (mix3([0.2; 3], pane, mix(0.6, 1.0, sharp)), if frame { 0.0 } else { 0.9 })
}

fn tiles(body: &Convex, u: f32, normal: Vec3, p: Vec3, sharp: f32, stain: f32) -> [f32; 3] {
    let slope = normal.z.max(0.2);
    let up = p.z / (1.0 - slope * slope).sqrt().max(0.2);
    let (course, tile) = ((up / 0.34).floor(), (u / 0.30).floor());
    let tone = unit(hash(course as i32 as u32, tile as i32 as u32, body.seed)) - 0.5;
    let (fu, fv) = (u / 0.30 - tile, up / 0.34 - course);
    let relief = 0.16 * (fu * std::f32::consts::TAU).sin() - if fv < 0.16 { 0.26 } else { 0.0 };
    let color = scale3(body.colors[1], 1.0 + sharp * (0.34 * tone + relief) + 0.15 * stain);
    let moss = smoothstep(0.55, 1.2, stain + 0.4 * unit(body.seed));
    let color = mix3(color, [0.09, 0.095, 0.055], 0.45 * moss);
    let h = unit(body.seed ^ 0x50_1A4);
    let sunny = normal.y > 0.3;
    let panels = h < 0.22 && sunny && (u.abs() < 2.9) && (p.y - 0.6 > 0.6) && p.y < 3.4;
    if panels {
        let frame = u.rem_euclid(0.98) < 0.05 || up.rem_euclid(1.62) < 0.06;
        return if frame { [0.16; 3] } else { [0.018, 0.024, 0.05] };
    }
    let skylight = h > 0.5 && (u - 8.0 * (h - 0.75)).abs() < 0.4 && (1.7..2.7).contains(&p.y.abs());
    if skylight { [0.05, 0.06, 0.075] } else { color }
}

/// Paint with gaps between the panels, seen from above.
fn paint(body: &Convex, p: Vec3, color: [f32; 3]) -> [f32; 3] {
    let reach = body.planes[0].offset;
    let gap = (p.x - (reach - 1.15)).abs() < 0.025 && p.z > 0.6 && p.z < 0.95;
    if gap { scale3(color, 0.35) } else { color }
}

fn lamps(normal: Vec3, p: Vec3, paint: [f32; 3]) -> [f32; 3] {
    let lamp = p.y.abs() > 0.5 && (0.55..0.78).contains(&p.z);
    let plate = p.y.abs() < 0.27 && (0.42..0.54).contains(&p.z);
    match (lamp, plate) {
        (true, _) if normal.x > 0.0 => [0.75, 0.75, 0.72],
        (true, _) => [0.35, 0.01, 0.01],
        (_, true) => [0.65; 3],
        _ => paint,
    }
}
