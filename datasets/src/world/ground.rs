//! The surface of the land: what colour it is, and how bright the sun makes it.

use super::Vec3;
use super::land::{Crop, Parcel};
use super::noise::{GroundNoise, hash, mix, mix3, scale3, smoothstep, unit};
use super::patches::{Patch, PatchKind};
use super::roads::{NearRoad, RoadKind};
use super::scene::Scene;

/// Light of the sun and of the sky on a surface facing them; colours of an early afternoon.
pub(crate) const SUN: [f32; 3] = [1.08, 1.0, 0.87];
/// Light from the whole sky on level ground.
pub(crate) const SKY: [f32; 3] = [0.25, 0.31, 0.40];

/// A surface: reflectance (linear) and how strong its fine grain is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surface {
    pub(crate) color: [f32; 3],
    pub(crate) grain: f32,
}

impl Surface {
    fn over(self, below: Self, share: f32) -> Self {
        Self { color: mix3(below.color, self.color, share), grain: mix(below.grain, self.grain, share) }
    }

    fn tinted(mut self, factor: f32) -> Self {
        self.color = scale3(self.color, factor);
        self
    }
}

/// Brightness noise shared by all surfaces at one place.
#[derive(Clone, Copy)]
struct Mottle {
    /// 8 to 2 m.
    broad: f32,
    /// 1 to 0.25 m.
    fine: f32,
}

/// Sunlit reflectance and grain at `(x, y)`: what the ground map stores. Where texels are `spacing_m` apart, noise
/// that they average out is left away.
pub(crate) fn lit(scene: &Scene, x: f32, y: f32, spacing_m: f32) -> ([f32; 3], f32) {
    let surface = surface(scene, x, y, spacing_m);
    let p = Vec3::new(x, y, scene.terrain.height(x, y) + 0.02);
    let slope = scene.terrain.normal(x, y).dot(&scene.sun).max(0.0);
    let sun = if scene.sunlit(p) { slope } else { 0.0 };
    let light = |c: usize| surface.color[c] * (SUN[c] * sun + SKY[c]);
    ([light(0), light(1), light(2)], surface.grain)
}

fn surface(scene: &Scene, x: f32, y: f32, spacing_m: f32) -> Surface {
    let n = scene.noise;
    let fine = if spacing_m < 0.5 { n.fractal(6, 8, 0.8, x + 31.0, y) } else { 0.0 };
    let broad = if spacing_m < 4.0 { n.fractal(3, 5, 0.75, x, y) } else { 0.0 };
    let mottle = Mottle { broad, fine };
    let mut s = field(&scene.parcels.at(x, y), n, mottle, x, y);
    for patch in scene.patches.near(x, y) {
        s = covered(patch, s, mottle, x, y);
    }
    let [ring, other] = scene.roads.nearest(x, y);
    let crossing = ring.is_some_and(|r| r.offset.abs() < 5.0) && other.is_some();
    if let Some(near) = other {
        s = road(near, s, n, mottle, (x, y), true);
    }
    if let Some(near) = ring {
        s = road(near, s, n, mottle, (x, y), crossing);
    }
    s
}

fn grass(mottle: Mottle, dry: f32) -> Surface {
    let green = [0.078, 0.104, 0.038];
    let straw = [0.185, 0.165, 0.082];
    let share = (0.32 + dry + 0.33 * mottle.broad + 0.16 * mottle.fine).clamp(0.0, 1.0);
    Surface { color: mix3(green, straw, share), grain: 0.24 }.tinted(1.0 + 0.16 * mottle.fine)
}

fn soil(mottle: Mottle) -> Surface {
    let tone = 1.0 + 0.16 * mottle.broad + 0.2 * mottle.fine;
    Surface { color: [0.170, 0.120, 0.080], grain: 0.22 }.tinted(tone)
}

fn field(parcel: &Parcel, n: GroundNoise, mottle: Mottle, x: f32, y: f32) -> Surface {
    let (sin, cos) = parcel.angle_rad.sin_cos();
    let waver = 0.25 * n.octave(3, x, y);
    let across = sin * x - cos * y + waver;
    let tone = 0.86 + 0.28 * unit(parcel.seed) + 0.10 * n.octave(1, x, y) + 0.08 * n.octave(2, x, y);
    let tracks = tramline(across);
    let row = |spacing: f32| 0.5 + 0.5 * (across * std::f32::consts::TAU / spacing).cos();
    let inner = match parcel.crop {
        Crop::Meadow | Crop::Orchard => grass(mottle, 0.14 * unit(parcel.seed ^ 9) + 0.2 * n.octave(1, x, y)),
        Crop::Grain => {
            let ripe = Surface { color: [0.30, 0.235, 0.115], grain: 0.2 };
            let ripe = ripe.tinted(1.0 + 0.09 * mottle.broad + 0.14 * mottle.fine - 0.07 * row(0.9));
            soil(mottle).over(ripe, 0.75 * tracks)
        }
        Crop::Rows => {
            let leaves =
                Surface { color: [0.062, 0.105, 0.032], grain: 0.3 }.tinted(1.0 + 0.25 * mottle.fine);
            let gap = row(0.95) + 0.35 * mottle.fine + 0.3 * mottle.broad - 0.1;
            soil(mottle).over(leaves, 0.8 * smoothstep(0.55, 0.95, gap).max(tracks))
        }
        Crop::Plough => soil(mottle).tinted(0.8 + 0.34 * row(0.62) + 0.1 * mottle.fine),
        Crop::Stubble => {
            let straw = Surface { color: [0.28, 0.225, 0.13], grain: 0.26 };
            let swath = 0.10 * (across * std::f32::consts::TAU / 5.6).cos();
            straw.tinted(0.92 + swath + 0.14 * mottle.fine - 0.16 * row(1.3)).over(soil(mottle), 0.75)
        }
        Crop::Wood => Surface { color: [0.070, 0.058, 0.034], grain: 0.3 }.tinted(1.0 + 0.3 * mottle.fine),
    };
    let border = grass(mottle, 0.0);
    border.over(inner.tinted(tone), 1.0 - smoothstep(0.7, 1.5, parcel.edge_m + 0.5 * mottle.broad))
}

/// 1 on the pair of wheel tracks that a tractor leaves every 15 m.
fn tramline(across: f32) -> f32 {
    let pair = (across.rem_euclid(15.0) - 7.5).abs() - 0.9;
    1.0 - smoothstep(0.16, 0.36, pair.abs())
}

fn covered(patch: &Patch, below: Surface, mottle: Mottle, x: f32, y: f32) -> Surface {
    let (u, v, inside) = patch.local(x, y);
    let ragged = match patch.kind {
        PatchKind::Lawn | PatchKind::Rough | PatchKind::Gravel => 0.7 * mottle.broad + 0.25 * mottle.fine,
        _ => 0.0,
    };
    if inside + ragged < -0.06 {
        return below;
    }
    let share = smoothstep(-0.06, 0.06, inside + ragged);
    let tone = 0.85 + 0.3 * unit(patch.seed);
    let fresh = match patch.kind {
        PatchKind::Lawn => {
            let mown = 0.035 * (u * 6.0).sin().signum();
            grass(mottle, -0.22 + 0.25 * unit(patch.seed)).tinted(tone + mown)
        }
        PatchKind::Rough => grass(mottle, 0.2).tinted(1.0 + 0.2 * mottle.fine),
        PatchKind::Paving => paving(u, v, patch.seed, mottle),
        PatchKind::Asphalt => asphalt(mottle).tinted(tone),
        PatchKind::Gravel => {
            let grey = Surface { color: [0.27, 0.245, 0.205], grain: 0.2 };
            grey.tinted(tone + 0.14 * mottle.broad + 0.1 * mottle.fine)
        }
        PatchKind::Beds => {
            let plants = smoothstep(-0.1, 0.3, (u * 4.5).sin() + 0.9 * mottle.fine);
            Surface { color: [0.06, 0.10, 0.03], grain: 0.3 }.over(soil(mottle).tinted(0.7), plants)
        }
        PatchKind::Pool => {
            let glint = 1.0 + 0.12 * mottle.fine;
            Surface { color: [0.10, 0.34, 0.42], grain: 0.05 }.tinted(glint)
        }
    };
    fresh.over(below, share)
}

fn paving(u: f32, v: f32, seed: u32, mottle: Mottle) -> Surface {
    let (iu, iv) = ((u / 0.5).floor(), (v / 0.5).floor());
    let slab = unit(hash(iu as i32 as u32, iv as i32 as u32, seed)) - 0.5;
    let (fu, fv) = (u / 0.5 - iu, v / 0.5 - iv);
    let joint = if fu.min(fv) < 0.1 { 0.78 } else { 1.0 };
    let warm = unit(seed ^ 3) * 0.06;
    let stone = Surface { color: [0.27 + warm, 0.26 + 0.4 * warm, 0.245], grain: 0.1 };
    stone.tinted((1.0 + 0.2 * slab + 0.09 * mottle.broad + 0.06 * mottle.fine) * joint)
}

fn asphalt(mottle: Mottle) -> Surface {
    let tone = 1.0 + 0.07 * mottle.broad + 0.06 * mottle.fine;
    Surface { color: [0.118, 0.117, 0.116], grain: 0.11 }.tinted(tone)
}

fn road(
    near: NearRoad,
    below: Surface,
    n: GroundNoise,
    mottle: Mottle,
    p: (f32, f32),
    crossing: bool,
) -> Surface {
    if near.kind == RoadKind::Track {
        return track(near, below, mottle);
    }
    let half = near.kind.half_width();
    let beyond = near.offset.abs() - half;
    let mut s = below;
    if near.kind == RoadKind::Street && !crossing {
        let pavement = paving(near.along, near.offset, 77, mottle);
        s = pavement.over(s, 1.0 - smoothstep(1.44, 1.56, beyond));
        let kerb = Surface { color: [0.33, 0.32, 0.30], grain: 0.06 };
        s = kerb.over(s, 1.0 - smoothstep(0.08, 0.2, beyond));
    } else if !crossing {
        // The verge: trodden, dusty, ragged.
        let verge = soil(mottle).tinted(1.25).over(grass(mottle, 0.35), 0.5);
        s = verge.over(s, 0.85 * (1.0 - smoothstep(0.1, 1.1, beyond + 0.6 * mottle.broad)));
    }
    let deck = carriageway(near, n, mottle, p, crossing);
    deck.over(s, 1.0 - smoothstep(-0.07, 0.07, beyond + 0.06 * mottle.fine))
}

fn carriageway(near: NearRoad, n: GroundNoise, mottle: Mottle, p: (f32, f32), crossing: bool) -> Surface {
    let mut s = asphalt(mottle).tinted(if near.kind == RoadKind::Main { 1.0 } else { 1.15 });
    // Lengths of different age, and repairs.
    let length = hash((near.along / 46.0) as u32, near.kind as u32, n.seed);
    s = s.tinted(0.86 + 0.3 * unit(length));
    let repair = n.octave(3, p.0 * 0.9 + 7.0, p.1 * 0.9);
    s = s.tinted(1.0 - 0.26 * smoothstep(0.52, 0.56, repair));
    let crack = n.octave(4, p.0 + 90.0, p.1).abs() + 0.35 * n.octave(7, p.0, p.1).abs();
    s = s.tinted(1.0 - 0.3 * (1.0 - smoothstep(0.012, 0.04, crack)));
    if near.kind == RoadKind::Main {
        let wheel = ((near.offset.abs() - 1.8).abs() - 0.78).abs();
        s = s.tinted(1.06 - 0.13 * (1.0 - smoothstep(0.1, 0.5, wheel)));
        if !crossing {
            s = markings(mottle).over(s, marked(near) * (0.82 + 0.3 * mottle.broad).clamp(0.3, 1.0));
        }
    }
    s
}

fn markings(mottle: Mottle) -> Surface {
    Surface { color: [0.52, 0.51, 0.49], grain: 0.08 }.tinted(1.0 + 0.1 * mottle.fine)
}

/// 1 on painted lines: both edges, and dashes of 3 m every 7.5 m in the middle.
fn marked(near: NearRoad) -> f32 {
    let edge = 1.0 - smoothstep(0.05, 0.11, (near.offset.abs() - 3.25).abs());
    let dash = near.along.rem_euclid(7.5);
    let on = smoothstep(0.0, 0.08, dash) * (1.0 - smoothstep(3.0, 3.08, dash));
    edge.max(on * (1.0 - smoothstep(0.05, 0.11, near.offset.abs())))
}

fn track(near: NearRoad, below: Surface, mottle: Mottle) -> Surface {
    let rut = (near.offset.abs() - 0.85).abs() + 0.2 * mottle.broad;
    let bare = 1.0 - smoothstep(0.3, 0.65, rut);
    let side = 1.0 - smoothstep(1.2, 1.9, near.offset.abs() + 0.4 * mottle.broad);
    let gravel = Surface { color: [0.27, 0.235, 0.18], grain: 0.22 }.tinted(1.0 + 0.15 * mottle.fine);
    gravel.over(grass(mottle, 0.15).over(below, side), bare)
}
