//! Houses, barns and what stands on them.

use super::Vec3;
use super::noise::Rng;
use super::solid::{Convex, Material, Placement, Plane, Solid};

/// Colours of roofs: fired clay of all ages, concrete, slate.
const ROOFS: [[f32; 3]; 9] = [
    [0.28, 0.105, 0.055],
    [0.22, 0.085, 0.05],
    [0.33, 0.14, 0.075],
    [0.17, 0.08, 0.055],
    [0.12, 0.085, 0.07],
    [0.085, 0.085, 0.09],
    [0.065, 0.07, 0.08],
    [0.15, 0.14, 0.13],
    [0.24, 0.12, 0.08],
];

const WALLS: [[f32; 3]; 7] = [
    [0.62, 0.60, 0.55],
    [0.55, 0.50, 0.40],
    [0.66, 0.65, 0.63],
    [0.45, 0.40, 0.33],
    [0.30, 0.17, 0.12],
    [0.58, 0.52, 0.36],
    [0.40, 0.40, 0.40],
];

/// Ground plan and height of a building in metres; `along` is the ridge's direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) along: f32,
    pub(crate) across: f32,
    pub(crate) eave: f32,
    /// Slope of the roof, rise over run; 0 for a flat roof.
    pub(crate) pitch: f32,
    /// Whether the roof slopes on all four sides.
    pub(crate) hipped: bool,
}

const OVERHANG_M: f32 = 0.45;
const ROOF_THICKNESS_M: f32 = 0.22;

impl Plan {
    /// A family house.
    pub(crate) fn house(rng: &mut Rng) -> Self {
        let storeys = if rng.chance(0.6) { 1.0 } else { 2.0 };
        Self {
            along: rng.range_f32(9.0, 14.5),
            across: rng.range_f32(7.5, 10.0),
            eave: 0.6 + 2.7 * storeys + rng.range_f32(0.0, 0.6),
            pitch: if rng.chance(0.13) { 0.0 } else { rng.range_f32(0.45, 1.0) },
            hipped: rng.chance(0.25),
        }
    }

    /// A barn or workshop.
    pub(crate) fn barn(rng: &mut Rng) -> Self {
        Self {
            along: rng.range_f32(20.0, 34.0),
            across: rng.range_f32(12.0, 17.0),
            eave: rng.range_f32(4.0, 6.0),
            pitch: rng.range_f32(0.22, 0.4),
            hipped: false,
        }
    }

    /// Radius of the ground plan.
    pub(crate) fn radius(&self) -> f32 {
        0.5 * self.along.hypot(self.across)
    }
}

/// Walls and roof of a house, with a wing, a chimney or the like; `base` is the lowest ground under it.
pub(crate) fn house(rng: &mut Rng, placement: Placement, plan: Plan, base: f32) -> Vec<Solid> {
    let colors = [rng.pick(&WALLS), weathered(rng)];
    let mut bodies = shell(plan, base, colors, [Material::Wall, Material::Tiles], rng.seed());
    if plan.pitch > 0.0 && rng.chance(0.75) {
        bodies.push(chimney(rng, plan));
    }
    if plan.pitch <= 0.0 {
        bodies.push(roof_box(rng, plan));
    }
    let mut solids = standing(bodies, placement);
    if rng.chance(0.4) {
        let wing =
            Plan { along: plan.across * 0.9, across: plan.along * 0.42, eave: plan.eave - 0.3, ..plan };
        let shift = Vec3::new(plan.along * 0.2, -plan.across * 0.45, 0.0);
        let turned =
            Placement { position: placement.world_point(shift), cos: -placement.sin, sin: placement.cos };
        let bodies = shell(wing, base, colors, [Material::Wall, Material::Tiles], rng.seed());
        solids.extend(standing(bodies, turned));
    }
    solids
}

/// A barn with sheet or tile roof.
pub(crate) fn barn(rng: &mut Rng, placement: Placement, plan: Plan, base: f32) -> Vec<Solid> {
    let roof = rng.pick(&[[0.30, 0.31, 0.32], [0.20, 0.21, 0.22], [0.16, 0.06, 0.045], [0.34, 0.34, 0.32]]);
    let wall = rng.pick(&[[0.25, 0.16, 0.09], [0.35, 0.34, 0.31], [0.14, 0.20, 0.14]]);
    standing(shell(plan, base, [wall, roof], [Material::Cladding, Material::Sheet], rng.seed()), placement)
}

/// A garage or shed with a flat roof.
pub(crate) fn shed(rng: &mut Rng, placement: Placement, size: (f32, f32), base: f32) -> Vec<Solid> {
    let plan =
        Plan { along: size.0, across: size.1, eave: rng.range_f32(2.3, 2.8), pitch: 0.0, hipped: false };
    let tone = rng.range_f32(0.12, 0.3);
    let colors = [rng.pick(&WALLS), [tone, tone, tone * 0.97]];
    standing(shell(plan, base, colors, [Material::Plain, Material::FlatRoof], rng.seed()), placement)
}

fn standing(bodies: Vec<Convex>, placement: Placement) -> Vec<Solid> {
    bodies
        .into_iter()
        .map(|body| Solid { placement, center: placement.world_point(body.center), body })
        .collect()
}

fn weathered(rng: &mut Rng) -> [f32; 3] {
    let tone = rng.range_f32(0.8, 1.2);
    rng.pick(&ROOFS).map(|c| c * tone)
}

/// Walls, and a roof that is wider than they are. Heights count from the placement; walls go down to `base`.
fn shell(plan: Plan, base: f32, colors: [[f32; 3]; 2], materials: [Material; 2], seed: u32) -> Vec<Convex> {
    let (a, b) = (plan.along / 2.0, plan.across / 2.0);
    let [wall, roof] = materials;
    let foot = Vec3::new(-a, -b, base);
    if plan.pitch <= 0.0 {
        let top = Vec3::new(a, b, plan.eave);
        return vec![Convex::cuboid(foot, top, [wall, wall, wall, Material::FlatRoof], colors, seed)];
    }
    let ridge = plan.eave + b * plan.pitch;
    let walls = Convex::cuboid(foot, Vec3::new(a, b, ridge), [wall, wall, wall, roof], colors, seed)
        .cut(slopes(plan, plan.eave, wall));
    let (ao, bo) = (a + OVERHANG_M, b + OVERHANG_M);
    let bottom = Vec3::new(-ao, -bo, plan.eave - OVERHANG_M * plan.pitch);
    let plain = Material::Plain;
    let top = Vec3::new(ao, bo, ridge + 2.0);
    let cover = Convex::cuboid(bottom, top, [plain, plain, plain, roof], colors, seed).cut(slopes(
        plan,
        plan.eave + ROOF_THICKNESS_M,
        roof,
    ));
    vec![walls, cover]
}

/// The planes of a pitched roof that is `eave` high above the long walls.
fn slopes(plan: Plan, eave: f32, material: Material) -> Vec<Plane> {
    let (a, b) = (plan.along / 2.0, plan.across / 2.0);
    let mut planes: Vec<Plane> = [-1.0, 1.0]
        .map(|side| {
            let point = Vec3::new(0.0, side * b, eave);
            Plane::through(point, Vec3::new(0.0, side * plan.pitch, 1.0), material)
        })
        .into();
    if plan.hipped {
        planes.extend([-1.0, 1.0].map(|end| {
            let point = Vec3::new(end * a, 0.0, eave);
            Plane::through(point, Vec3::new(end * plan.pitch, 0.0, 1.0), material)
        }));
    }
    planes
}

fn chimney(rng: &mut Rng, plan: Plan) -> Convex {
    let x = rng.range_f32(-0.25, 0.25) * plan.along;
    let y = rng.range_f32(-0.12, 0.12) * plan.across;
    let ridge = plan.eave + plan.across / 2.0 * plan.pitch;
    let (from, to) = (Vec3::new(x - 0.35, y - 0.3, plan.eave), Vec3::new(x + 0.35, y + 0.3, ridge + 0.9));
    let brick = rng.pick(&[[0.22, 0.10, 0.07], [0.35, 0.33, 0.30], [0.16, 0.14, 0.13]]);
    Convex::cuboid(from, to, [Material::Plain; 4], [brick; 2], rng.seed())
}

fn roof_box(rng: &mut Rng, plan: Plan) -> Convex {
    let (x, y) = (rng.range_f32(-0.3, 0.3) * plan.along, rng.range_f32(-0.3, 0.3) * plan.across);
    let (from, to) = (Vec3::new(x - 0.8, y - 0.6, plan.eave), Vec3::new(x + 0.8, y + 0.6, plan.eave + 1.0));
    Convex::cuboid(from, to, [Material::Plain; 4], [[0.4, 0.41, 0.42]; 2], rng.seed())
}
