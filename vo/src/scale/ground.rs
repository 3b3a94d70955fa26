//! The ground under the camera, as a plane through the map's points.
//!
//! Points that left the view are kept while the camera is near them, because a camera that looks ahead flies over
//! ground that it saw a while ago. The plane is found by random samples (MSAC, Torr and Zisserman 2000) and then fitted
//! robustly to the points around the camera's foot, so that it is the ground here and not that of the whole view.

use std::collections::BTreeMap;

use geometry::Se3;
use nalgebra::{Matrix3, Vector3};

use crate::PointView;
use crate::median::median;

/// What is known of the ground from how the camera is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outlook {
    /// From the air, in any direction: the ground is the plane that holds most points.
    Flight,
    /// Along a road, upright: the ground is the lowest plane below the camera.
    Road,
}

impl Outlook {
    /// Points further from the camera than this, along the ground and in heights, do not count.
    fn reach(self) -> f64 {
        match self {
            Self::Flight => 3.0,
            Self::Road => 10.0,
        }
    }

    /// Width of the neighbourhood of the foot that the plane is fitted to, in heights.
    fn neighbourhood(self) -> f64 {
        match self {
            Self::Flight => 0.7,
            Self::Road => 4.0,
        }
    }

    /// Distance from the plane up to which a point lies on it, in heights.
    fn tolerance(self) -> f64 {
        match self {
            Self::Flight => 0.04,
            Self::Road => 0.05,
        }
    }

    /// What a point below the plane counts against it: nothing is to be seen under a road.
    fn penalty_below(self) -> f64 {
        match self {
            Self::Flight => 0.2,
            Self::Road => 1.0,
        }
    }

    /// Whether the ground's upward normal may look like this from the camera.
    fn is_plausible(self, up_in_camera: &Vector3<f64>) -> bool {
        match self {
            // Rolled by less than 30 degrees; neither a wall at the side nor a ceiling.
            Self::Flight => up_in_camera.x.abs() < 0.5 && up_in_camera.y < 0.3 && up_in_camera.z < 0.3,
            Self::Road => -up_in_camera.y > 0.96,
        }
    }
}

/// A plane in the map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroundPlane {
    /// Unit normal towards the camera.
    up: Vector3<f64>,
    /// Where the plane lies along `up`.
    level: f64,
    /// Standard deviation of the height of the camera that it was fitted for, relative to that height.
    pub(crate) sigma: f64,
}

impl GroundPlane {
    /// Distance of a position from the plane in map units.
    pub(crate) fn height_of(&self, position: &Vector3<f64>) -> f64 {
        self.up.dot(position) - self.level
    }
}

const HYPOTHESES: usize = 120;
/// Points that hypotheses are tried on.
const TRIED_POINTS: usize = 400;
/// Points kept; the oldest go.
const MAX_POINTS: usize = 4000;
const MIN_INLIERS: usize = 15;
/// A plane with a smaller share of the points is not the ground.
const MIN_SHARE: f64 = 0.25;
const REFINEMENTS: usize = 4;
/// Cosine of the angle, about twelve degrees, by which the ground may differ from what it was.
const STEADY: f64 = 0.978;
/// Share of the newest plane in the normal that later ones are held against.
const NORMAL_GAIN: f64 = 0.1;
/// Unfit planes in a row after which the normal may be another.
const MAX_MISSES: usize = 10;
/// Neighbouring points share crowns, kerbs and slopes: so many of them are worth one.
const ALIKE: f64 = 10.0;
/// The ground is not known better than this share of the height: grass, ruts, and what lies about.
const MIN_SIGMA: f64 = 0.005;

/// Looks for the ground among points that come and go.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    outlook: Outlook,
    points: BTreeMap<u64, Vector3<f64>>,
    steady_up: Option<Vector3<f64>>,
    misses: usize,
    plane: Option<GroundPlane>,
}

impl Ground {
    pub(crate) fn new(outlook: Outlook) -> Self {
        Self { outlook, points: BTreeMap::new(), steady_up: None, misses: 0, plane: None }
    }

    /// Another map, in another unit.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.outlook);
    }

    pub(crate) fn plane(&self) -> Option<&GroundPlane> {
        self.plane.as_ref()
    }

    /// Takes the map as it is now, around a camera; the ground is looked for anew.
    pub(crate) fn update(&mut self, points: &[PointView], world_from_camera: &Se3) {
        self.points.extend(points.iter().map(|p| (p.id, p.point_in_world)));
        while self.points.len() > MAX_POINTS {
            self.points.pop_first();
        }
        if let Some(plane) = self.plane {
            let (camera, reach) = (world_from_camera.translation, self.outlook.reach());
            let height = plane.height_of(&camera).max(0.0);
            self.points.retain(|_, p| along(&(*p - camera), &plane.up) < reach * height);
        }
        self.plane = self.search(world_from_camera);
        match self.plane {
            Some(plane) => {
                let steady = self.steady_up.unwrap_or(plane.up);
                self.steady_up = Some(steady.lerp(&plane.up, NORMAL_GAIN).normalize());
                self.misses = 0;
            }
            None => self.misses += 1,
        }
        if self.misses > MAX_MISSES {
            self.steady_up = None;
        }
    }

    fn search(&self, world_from_camera: &Se3) -> Option<GroundPlane> {
        let from_camera = self.candidates(world_from_camera);
        let stride = from_camera.len().div_ceil(TRIED_POINTS).max(1);
        let tried: Vec<_> = from_camera.iter().copied().step_by(stride).collect();
        let plane = self.best_hypothesis(&tried, world_from_camera)?;
        let refined = (0..REFINEMENTS).try_fold(plane, |plane, _| self.refined(&plane, &from_camera))?;
        let level = refined.level + refined.up.dot(&world_from_camera.translation);
        self.is_possible(&refined.up, world_from_camera).then_some(GroundPlane { level, ..refined })
    }

    /// The points that may be ground, as seen from the camera's place, axes of the world.
    fn candidates(&self, world_from_camera: &Se3) -> Vec<Vector3<f64>> {
        let camera = world_from_camera.translation;
        let down = world_from_camera.rotation * Vector3::y();
        let slant = 1.0 / (1.0 + self.outlook.reach().powi(2)).sqrt();
        let is_below = |p: &Vector3<f64>| match self.outlook {
            Outlook::Flight => true,
            Outlook::Road => p.dot(&down) > slant * p.norm(),
        };
        self.points.values().map(|p| p - camera).filter(is_below).collect()
    }

    /// The plane that most points agree with, seen from the camera's place.
    fn best_hypothesis(&self, points: &[Vector3<f64>], world_from_camera: &Se3) -> Option<GroundPlane> {
        if points.len() < MIN_INLIERS {
            return None;
        }
        let mut rng = fastrand::Rng::with_seed(points.len() as u64);
        let mut best: Option<(f64, GroundPlane)> = None;
        for _ in 0..HYPOTHESES {
            let [a, b, c] = std::array::from_fn(|_| points[rng.usize(..points.len())]);
            let Some(plane) = through(&a, &b, &c) else { continue };
            if !self.is_possible(&plane.up, world_from_camera) {
                continue;
            }
            let score = self.score(&plane, points);
            if best.as_ref().is_none_or(|(best_score, _)| score > *best_score) {
                best = Some((score, plane));
            }
        }
        best.map(|(_, plane)| plane)
    }

    fn is_possible(&self, up: &Vector3<f64>, world_from_camera: &Se3) -> bool {
        let is_steady = self.steady_up.is_none_or(|steady| steady.dot(up) > STEADY);
        is_steady && self.outlook.is_plausible(&(world_from_camera.rotation.inverse() * up))
    }

    fn score(&self, plane: &GroundPlane, points: &[Vector3<f64>]) -> f64 {
        let height = -plane.level;
        let tolerance = self.outlook.tolerance() * height;
        let of_point = |p: &Vector3<f64>| {
            let above = plane.height_of(p) / tolerance;
            if above < -2.0 { -self.outlook.penalty_below() } else { (1.0 - above * above).max(0.0) }
        };
        points.iter().map(of_point).sum()
    }

    /// The plane fitted to the points on it, those around the camera's foot above all.
    fn refined(&self, plane: &GroundPlane, points: &[Vector3<f64>]) -> Option<GroundPlane> {
        let height = -plane.level;
        let tolerance = self.outlook.tolerance() * height;
        let reach = self.outlook.reach() * height;
        let near: Vec<_> = points.iter().filter(|p| along(p, &plane.up) < reach).collect();
        let is_inlier = |p: &&&Vector3<f64>| plane.height_of(p).abs() < 2.0 * tolerance;
        let inliers: Vec<_> = near.iter().filter(is_inlier).copied().collect();
        if inliers.len() < MIN_INLIERS || (inliers.len() as f64) < MIN_SHARE * near.len() as f64 {
            return None;
        }
        let spread = 1.48 * median(inliers.iter().map(|p| plane.height_of(p).abs())).unwrap_or(0.0);
        let cutoff = (3.0 * spread).clamp(0.2 * tolerance, 2.0 * tolerance);
        fit(plane, &inliers, cutoff, self.outlook.neighbourhood() * height)
    }
}

/// Distance from the origin along a plane with normal `up`.
fn along(p: &Vector3<f64>, up: &Vector3<f64>) -> f64 {
    (p - up * up.dot(p)).norm()
}

/// The plane through three points, with the origin above it.
fn through(a: &Vector3<f64>, b: &Vector3<f64>, c: &Vector3<f64>) -> Option<GroundPlane> {
    let normal = (b - a).cross(&(c - a)).try_normalize(1e-12)?;
    let up = if normal.dot(a) < 0.0 { normal } else { -normal };
    Some(GroundPlane { up, level: up.dot(a), sigma: 1.0 })
}

/// Weighted least squares of the heights of points over a plane, by Tukey's weights and by nearness to the foot of the
/// origin.
fn fit(plane: &GroundPlane, points: &[&Vector3<f64>], cutoff: f64, width: f64) -> Option<GroundPlane> {
    let (east, north) = tangents(&plane.up);
    let (mut normal, mut right) = (Matrix3::zeros(), Vector3::zeros());
    let (mut weights, mut squares) = (0.0, 0.0);
    for p in points {
        let (x, y, z) = (east.dot(p) / width, north.dot(p) / width, plane.height_of(p));
        let tukey = (1.0 - (z / cutoff).powi(2)).max(0.0).powi(2);
        let weight = tukey * (-0.5 * (x * x + y * y)).exp();
        let row = Vector3::new(1.0, x, y);
        normal += row * row.transpose() * weight;
        right += row * (weight * z);
        (weights, squares) = (weights + weight, squares + weight * z * z);
    }
    // As if one more point lay where the plane is: no slope where the points do not show one.
    normal += Matrix3::from_diagonal(&Vector3::new(0.0, 1.0, 1.0));
    let inverse = normal.try_inverse()?;
    let solution = inverse * right;
    let up = (plane.up - east * (solution.y / width) - north * (solution.z / width)).normalize();
    // The foot of the origin on the new plane.
    let level = (plane.level + solution.x) * up.dot(&plane.up);
    let variance = ALIKE * inverse[(0, 0)] * squares / weights.max(f64::MIN_POSITIVE);
    let sigma = variance.sqrt() / level.abs() + MIN_SIGMA;
    (level < 0.0 && sigma.is_finite()).then_some(GroundPlane { up, level, sigma })
}

fn tangents(up: &Vector3<f64>) -> (Vector3<f64>, Vector3<f64>) {
    let other = if up.x.abs() < 0.7 { Vector3::x() } else { Vector3::y() };
    let east = up.cross(&other).normalize();
    (east, up.cross(&east))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera two units above the plane `y = 2`, looking along z; `others` are added to the ground's points.
    fn scene(ground: usize, others: impl IntoIterator<Item = Vector3<f64>>) -> Vec<PointView> {
        let mut rng = fastrand::Rng::with_seed(3);
        let on_ground = (0..ground).map(|_| {
            let noise = 0.02 * (rng.f64() - 0.5);
            Vector3::new(8.0 * (rng.f64() - 0.5), 2.0 + noise, 3.0 + 9.0 * rng.f64())
        });
        let all: Vec<_> = on_ground.chain(others).collect();
        let view = |(id, point_in_world)| PointView { id, point_in_world };
        (0..).zip(all).map(view).collect()
    }

    fn height(outlook: Outlook, points: &[PointView]) -> Option<(f64, f64)> {
        let mut ground = Ground::new(outlook);
        ground.update(points, &Se3::identity());
        ground.plane().map(|plane| (plane.height_of(&Vector3::zeros()), plane.sigma))
    }

    #[test]
    fn a_road_is_found_under_a_crowd_of_walls() {
        let mut rng = fastrand::Rng::with_seed(5);
        let walls = (0..300).map(|i| {
            let side = if i % 2 == 0 { 4.0 } else { -4.0 };
            Vector3::new(side + 0.1 * rng.f64(), 1.9 - 4.0 * rng.f64(), 3.0 + 9.0 * rng.f64())
        });
        let (height, sigma) = height(Outlook::Road, &scene(80, walls)).unwrap();
        assert!((height - 2.0).abs() < 0.02 && sigma < 0.03, "{height} +- {sigma}");
    }

    #[test]
    fn flat_roofs_above_the_ground_are_not_the_ground() {
        let mut rng = fastrand::Rng::with_seed(5);
        let roofs = (0..120).map(|_| Vector3::new(rng.f64() * 3.0, 1.5, 3.0 + 4.0 * rng.f64()));
        let (height, _) = height(Outlook::Flight, &scene(250, roofs)).unwrap();
        assert!((height - 2.0).abs() < 0.03, "{height}");
    }

    #[test]
    fn a_cloud_without_a_plane_has_no_ground() {
        let mut rng = fastrand::Rng::with_seed(5);
        let cloud = (0..300).map(|_| Vector3::from_fn(|_, _| 8.0 * (rng.f64() - 0.5)) + Vector3::z() * 8.0);
        assert_eq!(height(Outlook::Flight, &scene(0, cloud)), None);
        assert_eq!(height(Outlook::Road, &scene(5, [])), None);
    }

    #[test]
    fn ground_that_was_seen_ahead_is_remembered_below() {
        let mut ground = Ground::new(Outlook::Flight);
        ground.update(&scene(200, []), &Se3::identity());
        let ahead = Se3 { translation: Vector3::new(0.0, 0.5, 5.0), ..Se3::identity() };
        ground.update(&[], &ahead);
        let height = ground.plane().unwrap().height_of(&ahead.translation);
        assert!((height - 1.5).abs() < 0.02, "{height}");
    }
}
