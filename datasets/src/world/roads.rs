//! The ring road that the flight follows, and the streets that leave it.

use std::f64::consts::TAU;

use nalgebra::Vector2;

use super::noise::{Rng, floor};
use super::{PERIOD_M, Vec3};

/// A closed smooth curve through the middle of the world, by length along it.
#[derive(Debug)]
pub(crate) struct Circuit {
    radius: f64,
    lobes: [(f64, f64, f64); 3],
    /// Length from angle 0 to each of `STEPS` equal steps of the angle; ends with the whole length.
    lengths: Vec<f64>,
}

const STEPS: usize = 4096;

/// A place on a road: position, unit direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoadPoint {
    pub(crate) position: Vector2<f64>,
    pub(crate) direction: Vector2<f64>,
}

impl RoadPoint {
    /// Unit vector to the left of the direction.
    pub(crate) fn left(&self) -> Vector2<f64> {
        Vector2::new(-self.direction.y, self.direction.x)
    }
}

impl Circuit {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 2);
        let lobes = [(2.0, 0.10), (3.0, 0.06), (5.0, 0.018)]
            .map(|(k, a): (f64, f64)| (k, a * rng.range(0.6, 1.0), rng.range(0.0, TAU)));
        let mut circuit = Self { radius: 150.0, lobes, lengths: vec![0.0] };
        let mut length = 0.0;
        for i in 0..STEPS {
            // Midpoint rule: exact to 1e-9 for so smooth a curve.
            length += circuit.velocity((i as f64 + 0.5) * TAU / STEPS as f64).norm() * TAU / STEPS as f64;
            circuit.lengths.push(length);
        }
        circuit
    }

    /// Metres around.
    pub(crate) fn length(&self) -> f64 {
        self.lengths[STEPS]
    }

    /// The place `s` metres along, any number of times around.
    pub(crate) fn at(&self, s: f64) -> RoadPoint {
        let s = s.rem_euclid(self.length());
        let i = self.lengths.partition_point(|&l| l <= s).clamp(1, STEPS) - 1;
        let t = (s - self.lengths[i]) / (self.lengths[i + 1] - self.lengths[i]);
        let angle = (i as f64 + t) * TAU / STEPS as f64;
        let middle = f64::from(PERIOD_M) / 2.0;
        let (sin, cos) = angle.sin_cos();
        let r = self.polar(angle).0;
        let position = Vector2::new(middle + r * cos, middle + r * sin);
        RoadPoint { position, direction: self.velocity(angle).normalize() }
    }

    /// Radius and its derivative.
    fn polar(&self, angle: f64) -> (f64, f64) {
        let mut r = 1.0;
        let mut dr = 0.0;
        for &(k, a, phase) in &self.lobes {
            r += a * (k * angle + phase).cos();
            dr -= a * k * (k * angle + phase).sin();
        }
        (self.radius * r, self.radius * dr)
    }

    fn velocity(&self, angle: f64) -> Vector2<f64> {
        let (r, dr) = self.polar(angle);
        let (sin, cos) = angle.sin_cos();
        Vector2::new(dr * cos - r * sin, dr * sin + r * cos)
    }
}

/// Surface and markings of a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoadKind {
    /// Two marked lanes.
    Main,
    /// Asphalt without markings, pavements at its sides.
    Street,
    /// Two wheel ruts.
    Track,
}

impl RoadKind {
    /// Half the width of the carriageway in metres.
    pub(crate) fn half_width(self) -> f32 {
        match self {
            Self::Main => 3.6,
            Self::Street => 2.6,
            Self::Track => 1.4,
        }
    }
}

/// A road as a chain of points about 2 m apart.
#[derive(Debug)]
pub(crate) struct Road {
    pub(crate) kind: RoadKind,
    pub(crate) points: Vec<RoadPoint>,
}

/// How a position lies to the nearest point of a road.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NearRoad {
    pub(crate) kind: RoadKind,
    /// Metres to the left of the middle line.
    pub(crate) offset: f32,
    /// Metres along.
    pub(crate) along: f32,
}

/// Spacing of the points of a [`Road`] in metres.
const SPACING_M: f64 = 2.0;
/// Positions farther than this from a middle line are not on or beside the road.
pub(crate) const REACH_M: f32 = 9.0;
const BUCKET_M: f32 = 8.0;
const BUCKETS: usize = 64;

/// All roads, with a grid to find the near ones.
#[derive(Debug)]
pub(crate) struct Roads {
    pub(crate) roads: Vec<Road>,
    buckets: Vec<Vec<(u16, u16)>>,
}

impl Roads {
    pub(crate) fn new(seed: u64, circuit: &Circuit) -> Self {
        let mut rng = Rng::new(seed, 3);
        let count = (circuit.length() / SPACING_M) as usize;
        let step = circuit.length() / count as f64;
        let ring = (0..=count).map(|i| circuit.at(i as f64 * step)).collect();
        let mut roads = vec![Road { kind: RoadKind::Main, points: ring }];
        let mut s = rng.range(35.0, 60.0);
        while s < circuit.length() - 40.0 {
            let kind = if rng.chance(0.62) { RoadKind::Street } else { RoadKind::Track };
            let inward = rng.chance(0.5);
            roads.push(branch(&mut rng, circuit.at(s), inward, kind));
            s += rng.range(75.0, 125.0);
        }
        let mut net = Self { roads, buckets: vec![Vec::new(); BUCKETS * BUCKETS] };
        net.fill_buckets();
        net
    }

    fn fill_buckets(&mut self) {
        let reach = REACH_M + SPACING_M as f32;
        for (r, road) in self.roads.iter().enumerate() {
            for (i, point) in road.points.iter().enumerate().take(road.points.len() - 1) {
                let (x, y) = (point.position.x as f32, point.position.y as f32);
                let range = |v: f32| floor((v - reach) / BUCKET_M)..=floor((v + reach) / BUCKET_M);
                for (bx, by) in range(y).flat_map(|by| range(x).map(move |bx| (bx, by))) {
                    self.buckets[bucket_index(bx, by)].push((r as u16, i as u16));
                }
            }
        }
    }

    /// For the ring road and for the other roads: the nearest within [`REACH_M`].
    pub(crate) fn nearest(&self, x: f32, y: f32) -> [Option<NearRoad>; 2] {
        let mut best = [(REACH_M * REACH_M, None), (REACH_M * REACH_M, None)];
        for &(r, i) in &self.buckets[bucket_index(floor(x / BUCKET_M), floor(y / BUCKET_M))] {
            let road = &self.roads[r as usize];
            let slot = &mut best[usize::from(road.kind != RoadKind::Main)];
            let (a, b) = (road.points[i as usize].position, road.points[i as usize + 1].position);
            let (ax, ay) = (x - a.x as f32, y - a.y as f32);
            let (ex, ey) = ((b.x - a.x) as f32, (b.y - a.y) as f32);
            let length2 = ex * ex + ey * ey;
            let t = ((ax * ex + ay * ey) / length2).clamp(0.0, 1.0);
            let (dx, dy) = (ax - t * ex, ay - t * ey);
            let d2 = dx * dx + dy * dy;
            if d2 < slot.0 {
                let length = length2.sqrt();
                let side = if ex * ay - ey * ax >= 0.0 { 1.0 } else { -1.0 };
                let along = (f32::from(i) + t) * length;
                *slot = (d2, Some(NearRoad { kind: road.kind, offset: side * d2.sqrt(), along }));
            }
        }
        best.map(|(_, near)| near)
    }

    /// Metres from `(x, y)` to the edge of the nearest carriageway, negative on it, at most [`REACH_M`].
    pub(crate) fn clearance(&self, x: f32, y: f32) -> f32 {
        let near = self.nearest(x, y);
        let edge = |n: &NearRoad| n.offset.abs() - n.kind.half_width();
        near.iter().flatten().map(edge).fold(REACH_M, f32::min)
    }
}

fn bucket_index(bx: i32, by: i32) -> usize {
    (by as usize & (BUCKETS - 1)) * BUCKETS + (bx as usize & (BUCKETS - 1))
}

/// A gently bent road that leaves the ring at `start`.
fn branch(rng: &mut Rng, start: RoadPoint, inward: bool, kind: RoadKind) -> Road {
    let side = if inward { start.left() } else { -start.left() };
    let mut heading = side.y.atan2(side.x) + rng.range(-0.25, 0.25);
    let bend = rng.range(-0.006, 0.006);
    let length = if inward { rng.range(50.0, 90.0) } else { rng.range(45.0, 70.0) };
    let mut position = start.position;
    let mut points = Vec::new();
    for _ in 0..(length / SPACING_M) as usize {
        let direction = Vector2::new(heading.cos(), heading.sin());
        points.push(RoadPoint { position, direction });
        position += direction * SPACING_M;
        heading += bend * SPACING_M;
    }
    Road { kind, points }
}

/// A point of the plane at a height.
pub(crate) fn lifted(p: Vector2<f64>, z: f32) -> Vec3 {
    Vec3::new(p.x as f32, p.y as f32, z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_is_closed_smooth_and_measured_in_metres() {
        let circuit = Circuit::new(9);
        assert!((circuit.at(0.0).position - circuit.at(circuit.length()).position).norm() < 1e-6);
        for i in 0..500 {
            let s = f64::from(i) * 1.7;
            let step = circuit.at(s + 0.1).position - circuit.at(s).position;
            // Between the nodes of the table speed varies by the curve's change over one: a few parts in 10,000.
            assert!((step.norm() - 0.1).abs() < 4e-5, "{} at {s}", step.norm());
            assert!(step.normalize().dot(&circuit.at(s).direction) > 0.9999);
        }
    }

    #[test]
    fn places_beside_the_road_are_found_with_side_and_length() {
        let circuit = Circuit::new(2);
        let roads = Roads::new(2, &circuit);
        for s in [3.0, 100.0, 517.0] {
            let place = circuit.at(s);
            let p = place.position + place.left() * 2.5;
            let near = roads.nearest(p.x as f32, p.y as f32)[0].unwrap();
            assert!((near.offset - 2.5).abs() < 0.02, "{near:?}");
            assert!((f64::from(near.along) - s).abs() < 0.2, "{near:?}");
        }
    }
}
