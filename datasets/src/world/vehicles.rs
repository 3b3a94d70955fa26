//! Cars, vans, trucks and buses: shapes, and where they are at a moment.

use super::noise::{Rng, floor};
use super::roads::{RoadPoint, lifted};
use super::scene::{Hit, Scene, Target, cell_index, covered};
use super::solid::{Ball, Convex, Material, Placement, Plane};
use super::{CELL_M, CELLS, Vec3};

/// Kind of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VehicleClass {
    /// Passenger car.
    Car,
    /// Delivery van.
    Van,
    /// Truck with a box body.
    Truck,
    /// City bus.
    Bus,
}

impl VehicleClass {
    /// All classes, in the order of their [`id`](Self::id).
    pub const ALL: [Self; 4] = [Self::Car, Self::Van, Self::Truck, Self::Bus];

    /// Position in [`ALL`](Self::ALL): the class number of exported labels.
    pub fn id(self) -> usize {
        self as usize
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Car => "car",
            Self::Van => "van",
            Self::Truck => "truck",
            Self::Bus => "bus",
        }
    }

    /// Length, width and height in metres.
    pub(crate) fn size(self) -> Vec3 {
        match self {
            Self::Car => Vec3::new(4.4, 1.8, 1.46),
            Self::Van => Vec3::new(5.7, 2.05, 2.5),
            Self::Truck => Vec3::new(8.6, 2.5, 3.5),
            Self::Bus => Vec3::new(11.8, 2.55, 3.1),
        }
    }
}

const PAINTS: [[f32; 3]; 11] = [
    [0.70, 0.70, 0.68],
    [0.62, 0.63, 0.63],
    [0.34, 0.35, 0.37],
    [0.36, 0.37, 0.38],
    [0.10, 0.11, 0.12],
    [0.025, 0.026, 0.03],
    [0.03, 0.03, 0.032],
    [0.33, 0.025, 0.022],
    [0.035, 0.08, 0.22],
    [0.16, 0.20, 0.25],
    [0.06, 0.13, 0.08],
];

/// One vehicle for the whole flight.
#[derive(Clone, Debug)]
pub(crate) struct Vehicle {
    pub(crate) class: VehicleClass,
    pub(crate) parts: Vec<Convex>,
    course: Course,
}

/// How a vehicle moves.
#[derive(Clone, Debug)]
enum Course {
    Parked(Placement),
    /// Along the ring road: lane offset to the left in metres, place at time 0, speed (negative: against the
    /// road's direction), and a slow swing of the place along the road: amplitude in metres, phase.
    Ring {
        lane: f64,
        start: f64,
        speed: f64,
        swing: (f64, f64),
    },
}

/// Pulse of the swing in radians per second.
const SWING_RATE: f64 = 0.35;

impl Vehicle {
    /// Where it is at `time_s`.
    pub(crate) fn placement(&self, scene: &Scene, time_s: f64) -> Placement {
        let (lane, start, speed, swing) = match self.course {
            Course::Parked(placement) => return placement,
            Course::Ring { lane, start, speed, swing } => (lane, start, speed, swing),
        };
        let s = start + speed * time_s + swing.0 * (SWING_RATE * time_s + swing.1).sin();
        let RoadPoint { position, direction } = scene.circuit.at(s);
        let left = nalgebra::Vector2::new(-direction.y, direction.x);
        let p = position + left * lane;
        let heading = direction * speed.signum();
        let z = scene.terrain.relief(p.x, p.y) as f32;
        Placement { position: lifted(p, z), cos: heading.x as f32, sin: heading.y as f32 }
    }
}

/// All vehicles of a world; their identity is their position here.
pub(crate) fn traffic(seed: u64, scene: &Scene) -> Vec<Vehicle> {
    let mut rng = Rng::new(seed, 6);
    let mut vehicles: Vec<Vehicle> = scene
        .parked
        .iter()
        .map(|&placement| {
            let class = if rng.chance(0.86) { VehicleClass::Car } else { VehicleClass::Van };
            Vehicle { class, parts: shape(&mut rng, class), course: Course::Parked(placement) }
        })
        .collect();
    for (lane, speed) in [(-1.8, 8.5), (1.8, -10.0)] {
        // The first stands near the start of the flight, so that short flights see traffic.
        let mut start = rng.range(4.0, 14.0);
        let last = scene.circuit.length() - 22.0;
        while start < last {
            let class = match (rng.range(0.0, 100.0)) as u32 {
                0..=71 => VehicleClass::Car,
                72..=84 => VehicleClass::Van,
                85..=93 => VehicleClass::Truck,
                _ => VehicleClass::Bus,
            };
            let swing = (rng.range(0.0, 2.0), rng.range(0.0, std::f64::consts::TAU));
            let course = Course::Ring { lane: lane + rng.range(-0.15, 0.15), start, speed, swing };
            vehicles.push(Vehicle { class, parts: shape(&mut rng, class), course });
            start += rng.range(18.0, 46.0);
        }
    }
    vehicles
}

fn shape(rng: &mut Rng, class: VehicleClass) -> Vec<Convex> {
    let size = class.size();
    let paint = match class {
        VehicleClass::Car => rng.pick(&PAINTS),
        VehicleClass::Van | VehicleClass::Truck => rng.pick(&PAINTS[..5]),
        VehicleClass::Bus => rng.pick(&[[0.62, 0.60, 0.55], [0.50, 0.07, 0.04], [0.10, 0.22, 0.40]]),
    };
    let colors = [paint, [0.02, 0.022, 0.025]];
    let seed = rng.seed();
    match class {
        VehicleClass::Car => car(size, colors, seed, rng.range_f32(-0.25, 0.75)),
        VehicleClass::Van => van(size, colors, seed),
        VehicleClass::Truck => {
            let cargo =
                rng.pick(&[[0.66, 0.66, 0.64], [0.30, 0.33, 0.36], [0.10, 0.17, 0.30], [0.45, 0.40, 0.30]]);
            truck(size, colors, cargo, seed)
        }
        VehicleClass::Bus => bus(size, colors, seed),
    }
}

use Material::{Glass, Lamps, Paint, Rubber, WindowBand};

/// Wheels and underside: a dark box a little narrower than the body.
fn chassis(size: Vec3, top: f32, seed: u32) -> Convex {
    let half = size / 2.0;
    let (from, to) =
        (Vec3::new(-half.x + 0.25, -half.y + 0.06, 0.0), Vec3::new(half.x - 0.25, half.y - 0.06, top));
    Convex::cuboid(from, to, [Rubber; 4], [[0.015; 3]; 2], seed)
}

/// Planes that take the corners off a body of this size, seen from above.
fn corners(half: Vec3, cut: f32, material: Material) -> [Plane; 4] {
    [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)].map(|(sx, sy)| {
        let point = Vec3::new(sx * (half.x - cut), sy * half.y, 0.0);
        Plane::through(point, Vec3::new(sx * 0.5, sy, 0.0), material)
    })
}

fn car(size: Vec3, colors: [[f32; 3]; 2], seed: u32, tail: f32) -> Vec<Convex> {
    let half = size / 2.0;
    let belt = 0.86;
    let body = Convex::cuboid(
        Vec3::new(-half.x, -half.y, 0.22),
        Vec3::new(half.x, half.y, belt + 0.08),
        [Paint, Lamps, Lamps, Paint],
        colors,
        seed,
    )
    .cut(corners(half, 0.45, Paint))
    .cut([
        // Bonnet and boot fall off towards the ends, flanks lean in at the top.
        Plane::through(Vec3::new(half.x, 0.0, belt - 0.2), Vec3::new(0.18, 0.0, 1.0), Paint),
        Plane::through(Vec3::new(-half.x, 0.0, belt - 0.1), Vec3::new(-0.12, 0.0, 1.0), Paint),
        Plane::through(Vec3::new(0.0, half.y, 0.55), Vec3::new(0.0, 1.0, 0.22), Paint),
        Plane::through(Vec3::new(0.0, -half.y, 0.55), Vec3::new(0.0, -1.0, 0.22), Paint),
    ]);
    let rear = -half.x + 0.25 + tail.max(0.0) * 0.9;
    let (front, width) = (half.x - 1.05, half.y - 0.06);
    let base = belt - 0.06;
    let cabin = Convex::cuboid(
        Vec3::new(rear, -width, base),
        Vec3::new(front, width, size.z),
        [Glass, Glass, Glass, Paint],
        colors,
        seed,
    )
    .cut([
        Plane::through(Vec3::new(front, 0.0, base), Vec3::new(0.62, 0.0, 1.0), Glass),
        Plane::through(Vec3::new(rear, 0.0, base), Vec3::new(-1.0, 0.0, 0.75), Glass),
        Plane::through(Vec3::new(0.0, width, base), Vec3::new(0.0, 1.0, 0.36), Glass),
        Plane::through(Vec3::new(0.0, -width, base), Vec3::new(0.0, -1.0, 0.36), Glass),
    ]);
    vec![chassis(size, 0.4, seed), body, cabin]
}

fn van(size: Vec3, colors: [[f32; 3]; 2], seed: u32) -> Vec<Convex> {
    let half = size / 2.0;
    let body = Convex::cuboid(
        Vec3::new(-half.x, -half.y, 0.3),
        Vec3::new(half.x - 0.9, half.y, size.z),
        [Paint, Glass, Lamps, Paint],
        colors,
        seed,
    )
    .cut([Plane::through(Vec3::new(half.x - 0.9, 0.0, 1.3), Vec3::new(1.0, 0.0, 0.45), Glass)]);
    let bonnet = Convex::cuboid(
        Vec3::new(half.x - 1.4, -half.y + 0.02, 0.3),
        Vec3::new(half.x, half.y - 0.02, 1.35),
        [Paint, Lamps, Paint, Paint],
        colors,
        seed,
    )
    .cut([Plane::through(Vec3::new(half.x, 0.0, 0.95), Vec3::new(0.5, 0.0, 1.0), Paint)]);
    vec![chassis(size, 0.5, seed), body, bonnet]
}

fn truck(size: Vec3, colors: [[f32; 3]; 2], cargo: [f32; 3], seed: u32) -> Vec<Convex> {
    let half = size / 2.0;
    let cab = Convex::cuboid(
        Vec3::new(half.x - 2.0, -half.y + 0.08, 0.5),
        Vec3::new(half.x, half.y - 0.08, 2.7),
        [WindowBand, Lamps, Paint, Paint],
        colors,
        seed,
    )
    .cut([Plane::through(Vec3::new(half.x, 0.0, 1.6), Vec3::new(1.0, 0.0, 0.25), Glass)]);
    let boxed = Convex::cuboid(
        Vec3::new(-half.x, -half.y, 0.95),
        Vec3::new(half.x - 2.25, half.y, size.z),
        [Paint, Paint, Lamps, Paint],
        [cargo, colors[1]],
        seed,
    );
    vec![chassis(size, 1.0, seed), cab, boxed]
}

fn bus(size: Vec3, colors: [[f32; 3]; 2], seed: u32) -> Vec<Convex> {
    let half = size / 2.0;
    let body = Convex::cuboid(
        Vec3::new(-half.x, -half.y, 0.32),
        Vec3::new(half.x, half.y, size.z - 0.18),
        [WindowBand, WindowBand, WindowBand, Paint],
        colors,
        seed,
    )
    .cut(corners(half, 0.3, WindowBand));
    let unit = Convex::cuboid(
        Vec3::new(-half.x * 0.5, -0.8, size.z - 0.2),
        Vec3::new(half.x * 0.1, 0.8, size.z),
        [Paint; 4],
        [[0.45, 0.45, 0.44]; 2],
        seed,
    );
    vec![chassis(size, 0.5, seed), body, unit]
}

/// The vehicles near the camera during one frame.
#[derive(Debug)]
pub(crate) struct Movers {
    /// Index of each into the world's vehicles.
    pub(crate) ids: Vec<usize>,
    bodies: Vec<Vec<Convex>>,
    /// Height of each, and radius around the middle of that height.
    heights: Vec<f32>,
    radii: Vec<f32>,
    balls: Vec<Ball>,
    shading: CellLists,
}

/// Which vehicles concern a cell: an index into lists, 0 for the empty one.
#[derive(Debug)]
struct CellLists {
    list_of_cell: Vec<u16>,
    lists: Vec<Vec<u16>>,
}

impl CellLists {
    fn new() -> Self {
        Self { list_of_cell: vec![0; CELLS * CELLS], lists: vec![Vec::new()] }
    }

    fn insert(&mut self, center: Vec3, radius: f32, slot: u16) {
        for cell in covered(center, radius) {
            if self.list_of_cell[cell] == 0 {
                self.list_of_cell[cell] = self.lists.len() as u16;
                self.lists.push(Vec::new());
            }
            let list = &mut self.lists[self.list_of_cell[cell] as usize];
            if !list.contains(&slot) {
                list.push(slot);
            }
        }
    }

    fn at(&self, cell: usize) -> &[u16] {
        &self.lists[self.list_of_cell[cell] as usize]
    }
}

/// Beyond this a vehicle is smaller than a few pixels and is left out, from image and truth alike.
const SEEN_WITHIN_M: f32 = 230.0;

impl Movers {
    /// The vehicles seen from `camera`; `moments` covers the frame's exposure, seconds from the flight's start.
    pub(crate) fn new(scene: &Scene, vehicles: &[Vehicle], camera: Vec3, moments: [f64; 2]) -> Self {
        let mut shading = CellLists::new();
        let (mut ids, mut balls) = (Vec::new(), Vec::new());
        for (id, vehicle) in vehicles.iter().enumerate() {
            let places = moments.map(|t| vehicle.placement(scene, t).position);
            if (places[0] - camera).norm() > SEEN_WITHIN_M {
                continue;
            }
            let slot = ids.len() as u16;
            ids.push(id);
            let size = vehicle.class.size();
            let center = (places[0] + places[1]) / 2.0;
            let reach = 0.5 * size.norm() + 0.5 * (places[1] - places[0]).norm() + 0.5;
            balls.push(Ball { center: center + Vec3::z() * (size.z / 2.0), radius: reach });
            let shadow = -scene.sun * (size.z / scene.sun.z);
            shading.insert(center + shadow / 2.0, reach + shadow.xy().norm() / 2.0, slot);
        }
        let bodies = ids.iter().map(|&id| vehicles[id].parts.clone()).collect();
        let sizes = ids.iter().map(|&id| vehicles[id].class.size());
        // A little larger, so that rounding loses no ray at the rim.
        let radii = sizes.clone().map(|size| 0.5 * size.norm() + 0.01).collect();
        let heights = sizes.map(|size| size.z).collect();
        Self { ids, bodies, heights, radii, balls, shading }
    }

    /// Where each is at `time_s`, by slot.
    pub(crate) fn placements(&self, scene: &Scene, vehicles: &[Vehicle], time_s: f64) -> Vec<Placement> {
        self.ids.iter().map(|&id| vehicles[id].placement(scene, time_s)).collect()
    }

    /// Shape of the vehicle in `slot`.
    pub(crate) fn body(&self, slot: u16) -> &[Convex] {
        &self.bodies[slot as usize]
    }

    /// Around each vehicle, wherever it is during the frame, by slot.
    pub(crate) fn balls(&self) -> impl Iterator<Item = Ball> {
        self.balls.iter().copied()
    }

    /// Where the ray meets the vehicle in `slot`, whatever else is there.
    pub(crate) fn intersect_one(
        &self,
        slot: u16,
        placement: &Placement,
        origin: Vec3,
        direction: Vec3,
    ) -> Option<Hit> {
        let to = placement.position + Vec3::z() * self.heights[slot as usize] / 2.0 - origin;
        let (along, radius) = (to.dot(&direction), self.radii[slot as usize]);
        if (to.norm_squared() - radius * radius) * direction.norm_squared() > along * along {
            return None;
        }
        let origin = placement.local_point(origin);
        let direction = placement.local_direction(direction);
        let mut best: Option<Hit> = None;
        for (part, body) in self.bodies[slot as usize].iter().enumerate() {
            if let Some(hit) = body.intersect(origin, direction, 1e-3)
                && best.is_none_or(|b| hit.t < b.t)
            {
                let target = Target::Vehicle { slot, part: part as u8, face: hit.face as u8 };
                best = Some(Hit { t: hit.t, target });
            }
        }
        best
    }

    /// Whether a vehicle stands between `p` on the ground and the sun.
    pub(crate) fn shades(&self, placements: &[Placement], p: Vec3, sun: Vec3) -> bool {
        let cell = cell_index(floor(p.x / CELL_M), floor(p.y / CELL_M));
        self.shading
            .at(cell)
            .iter()
            .any(|&slot| self.intersect_one(slot, &placements[slot as usize], p, sun).is_some())
    }
}
