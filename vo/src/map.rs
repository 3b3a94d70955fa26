//! What the estimator remembers: a window of keyframes and the points they saw.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use geometry::{Se3, Timestamp};
use nalgebra::{Vector2, Vector3};

use crate::bundle::{
    LENS_HELD, Options, Point, Pose, Problem, RobustCost, Summary, View, variance_of_median,
};
use crate::covariance::{ALIKE, PoseCovariance};
use crate::features::Feature;
use crate::lens::LensEstimate;
use crate::median::median;
use crate::two_view::triangulate;

/// Keyframes whose poses are still adjusted.
const FREE_KEYFRAMES: usize = 8;
/// Keyframes remembered; older ones hold the map in place until they leave.
const MAX_KEYFRAMES: usize = 30;
/// Observations further than this from their prediction are taken out, in pixels.
const OUTLIER_PX: f64 = 2.0;
/// Width of the robust cost, over the median error of an observation: three and a half deviations of what scatters normally.
const COST_WIDTH: f64 = 3.0;
/// And in pixels: what a median may be and still mean noise.
const COST_WIDTH_PX: Range<f64> = 0.1..1.0;
/// Weight of the newest window's median error against those of the windows before.
const NOISE_GAIN: f64 = 0.1;
const MAX_ITERATIONS: usize = 4;
/// Two rays to a new point must differ by this many pixels beyond what rotation explains.
const MIN_PARALLAX_PX: f64 = 1.0;
/// And a point in the middle of the scene's depth would have to differ by this many: where the camera did not move from
/// its place, what differs is an error of rotation or of sight, and would make a point that is wrong and near.
const MIN_MEDIAN_PARALLAX_PX: f64 = 4.0;
/// Fewer points tell no depth of the scene.
const MIN_DEPTHS: usize = 40;
/// The scene's depth changes by no larger factor from keyframe to keyframe.
const MAX_DEPTH_CHANGE: f64 = 1.1;

/// Keyframes from one look at the lens to the next: a third of those remembered.
const CALIBRATION_INTERVAL: u64 = 10;
/// Median error of an observation before anything is known of it, in pixels.
const NOISE_PX: f64 = 0.2;
/// A lens of which nothing is known: what keeps its estimation from running away.
const LOOSE_LENS_SIGMA: f64 = 0.1;

/// Inverse depth below which a point is not shown.
const FARTHEST_SHOWN: f64 = 0.02;

/// Rays by feature identity: what one frame saw.
pub(crate) type Rays = BTreeMap<u64, Vector2<f64>>;

#[derive(Clone, Debug)]
pub(crate) struct Keyframe {
    pub(crate) stamp: Timestamp,
    pub(crate) camera_from_world: Se3,
    pub(crate) rays: Rays,
    /// As it was when this was the newest.
    pub(crate) covariance: PoseCovariance,
}

impl Keyframe {
    fn center(&self) -> Vector3<f64> {
        self.camera_from_world.inverse().translation
    }
}

#[derive(Clone, Debug)]
struct MapPoint {
    /// Number of the keyframe that saw it first.
    host: u64,
    ray_in_host: Vector2<f64>,
    inverse_depth: f64,
}

/// Keyframes in the order of their stamps, numbered from the first ever, and points by feature identity.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    keyframes: VecDeque<Keyframe>,
    first_number: u64,
    points: BTreeMap<u64, MapPoint>,
    /// Size of a pixel on the plane `z = 1`.
    pixel: f64,
    lens: LensEstimate,
    depth: f64,
    /// Median error of an observation, on the plane `z = 1`.
    noise: f64,
}

impl Map {
    /// A map without anything in it, for a camera whose pixels measure `pixel` on the plane `z = 1`, before a scene with
    /// this median depth.
    pub(crate) fn new(pixel: f64, lens: LensEstimate, depth: f64) -> Self {
        let noise = NOISE_PX * pixel;
        Self {
            depth,
            noise,
            keyframes: VecDeque::new(),
            first_number: 0,
            points: BTreeMap::new(),
            pixel,
            lens,
        }
    }

    /// What is known of the lens by now.
    pub(crate) fn lens(&self) -> LensEstimate {
        self.lens
    }

    /// How much an error counts, by the noise of late.
    pub(crate) fn robust_cost(&self) -> RobustCost {
        let narrowest = COST_WIDTH_PX.start * self.pixel;
        RobustCost::new((COST_WIDTH * self.noise).clamp(narrowest, COST_WIDTH_PX.end * self.pixel))
    }

    /// Covariance of a camera at `center` that is known as well as the newest keyframe.
    pub(crate) fn covariance_at(&self, center: &Vector3<f64>) -> PoseCovariance {
        let newest = self.keyframes.back();
        newest.map_or_else(PoseCovariance::zero, |k| k.covariance.carried(&(center - k.center())))
    }

    pub(crate) fn keyframes(&self) -> impl Iterator<Item = &Keyframe> {
        self.keyframes.iter()
    }

    /// The keyframes that are still adjusted.
    pub(crate) fn free_keyframes(&self) -> impl Iterator<Item = &Keyframe> {
        self.keyframes.iter().skip(self.keyframes.len().saturating_sub(FREE_KEYFRAMES))
    }

    pub(crate) fn newest(&self) -> Option<&Keyframe> {
        self.keyframes.back()
    }

    /// Number of points.
    pub(crate) fn point_count(&self) -> usize {
        self.points.len()
    }

    /// Identity and position in the world of the points that are not so far off that only their direction is known.
    pub(crate) fn near_points(&self) -> impl Iterator<Item = (u64, Vector3<f64>)> {
        let near = self.points.iter().filter(|(_, point)| point.inverse_depth > FARTHEST_SHOWN);
        near.filter_map(|(id, point)| Some((*id, self.in_world(point)?)))
    }

    /// Whether feature `id` has a point.
    pub(crate) fn knows(&self, id: u64) -> bool {
        self.points.contains_key(&id)
    }

    /// Position in the world of the point of feature `id`.
    pub(crate) fn point(&self, id: u64) -> Option<Vector3<f64>> {
        self.points.get(&id).and_then(|point| self.in_world(point))
    }

    fn in_world(&self, point: &MapPoint) -> Option<Vector3<f64>> {
        let host = self.keyframe(point.host)?;
        let ray = self.lens.residual().correct(&point.ray_in_host);
        Some(host.camera_from_world.inverse() * (ray.push(1.0) / point.inverse_depth))
    }

    fn keyframe(&self, number: u64) -> Option<&Keyframe> {
        self.keyframes.get(usize::try_from(number.checked_sub(self.first_number)?).ok()?)
    }

    /// Median depth of the scene in view, which changes little from keyframe to keyframe.
    pub(crate) fn depth(&self) -> f64 {
        self.depth
    }

    fn measure_depth(&mut self) {
        let Some(newest) = self.newest() else { return };
        let seen = newest.rays.keys().filter_map(|id| self.point(*id));
        let depths: Vec<f64> = seen.map(|point| (newest.camera_from_world * point).z).collect();
        if depths.len() < MIN_DEPTHS {
            return;
        }
        if let Some(depth) = median(depths.into_iter()) {
            self.depth = depth.clamp(self.depth / MAX_DEPTH_CHANGE, self.depth * MAX_DEPTH_CHANGE);
        }
    }

    /// Adds a keyframe, starts the points that have parallax by now, and adjusts the window.
    pub(crate) fn insert(&mut self, keyframe: Keyframe) {
        self.keyframes.push_back(keyframe);
        if self.keyframes.len() > MAX_KEYFRAMES {
            self.keyframes.pop_front();
            self.first_number += 1;
            let first = self.first_number;
            self.points.retain(|_, point| point.host >= first);
        }
        self.start_points();
        self.adjust();
        self.measure_depth();
        let number = self.first_number + self.keyframes.len() as u64;
        if self.keyframes.len() == MAX_KEYFRAMES && number.is_multiple_of(CALIBRATION_INTERVAL) {
            self.calibrate();
        }
    }

    /// Adds the features that have begun in the newest keyframe to what it saw: of `rays`, those from identity `first` on.
    pub(crate) fn begin_in_newest(&mut self, mut rays: Rays, first: u64) {
        if let Some(newest) = self.keyframes.back_mut() {
            newest.rays.extend(rays.split_off(&first));
        }
    }

    /// Adds a keyframe with points already known: how a map begins.
    ///
    /// `covariance` is that of the first of its poses.
    pub(crate) fn adopt(
        &mut self,
        problem: &Problem,
        frames: Vec<(Timestamp, Rays)>,
        ids: &[u64],
        covariance: &PoseCovariance,
    ) {
        for (pose, (stamp, rays)) in problem.poses.iter().zip(frames) {
            let camera_from_world = pose.camera_from_world;
            self.keyframes.push_back(Keyframe { stamp, camera_from_world, rays, covariance: *covariance });
        }
        for (id, point) in ids.iter().zip(&problem.points) {
            let (host, ray_in_host) = (self.first_number + point.host as u64, point.ray_in_host);
            self.points.insert(*id, MapPoint { host, ray_in_host, inverse_depth: point.inverse_depth });
        }
        self.start_points();
        self.adjust();
    }

    fn start_points(&mut self) {
        let Some(newest) = self.keyframes.back() else { return };
        let min_baseline = MIN_MEDIAN_PARALLAX_PX * self.pixel * self.depth;
        let mut started = Vec::new();
        for (id, ray) in newest.rays.iter().filter(|(id, _)| !self.points.contains_key(id)) {
            let Some((index, host)) =
                self.keyframes.iter().enumerate().find(|(_, k)| k.rays.contains_key(id))
            else {
                continue;
            };
            let newest_from_host = newest.camera_from_world * host.camera_from_world.inverse();
            if newest_from_host.translation.norm() < min_baseline {
                continue;
            }
            let ray_in_host = host.rays[id];
            if let Some(inverse_depth) = self.triangulated(&newest_from_host, ray_in_host, *ray) {
                let host = self.first_number + index as u64;
                started.push((*id, MapPoint { host, ray_in_host, inverse_depth }));
            }
        }
        self.points.extend(started);
    }

    fn triangulated(
        &self,
        newest_from_host: &Se3,
        ray_in_host: Vector2<f64>,
        ray: Vector2<f64>,
    ) -> Option<f64> {
        let lens = self.lens.residual();
        let (ray_in_host, ray) = (lens.correct(&ray_in_host), lens.correct(&ray));
        let rotated = newest_from_host.rotation * ray_in_host.push(1.0);
        let parallax = (rotated.xy() / rotated.z - ray).norm();
        let inverse_depth = triangulate(newest_from_host, &(ray_in_host, ray))?;
        let q = rotated + newest_from_host.translation * inverse_depth;
        let error = (q.xy() / q.z - ray).norm();
        let sound =
            parallax > MIN_PARALLAX_PX * self.pixel && error < 2.0 * self.pixel && inverse_depth > 0.0;
        sound.then_some(inverse_depth)
    }

    /// Bundle adjustment of the newest keyframes with all points they see.
    fn adjust(&mut self) {
        let first_free = self.keyframes.len().saturating_sub(FREE_KEYFRAMES).max(1);
        let summary = self.adjust_from(first_free);
        let covariance = summary.newest_covariance * (ALIKE * variance_of_median(self.noise));
        let Some((anchor, newest)) = self.keyframes.get(first_free - 1).zip(self.keyframes.back()) else {
            return;
        };
        let covariance = anchor.covariance.carried(&(newest.center() - anchor.center())).plus(&covariance);
        if let Some(newest) = self.keyframes.back_mut() {
            newest.covariance = covariance;
        }
    }

    fn adjust_from(&mut self, first_free: usize) -> Summary {
        let (mut problem, ids) = self.problem(first_free);
        let summary = problem.solve(&self.options(LENS_HELD));
        for (keyframe, pose) in self.keyframes.iter_mut().zip(&problem.poses) {
            keyframe.camera_from_world = pose.camera_from_world;
        }
        let view = View::new(&problem);
        self.noise += NOISE_GAIN * (view.median_error().min(COST_WIDTH_PX.end * self.pixel) - self.noise);
        for (id, point) in ids.iter().zip(&problem.points) {
            self.take_back(*id, point, &view);
        }
        summary
    }

    /// Asks all remembered keyframes what the calibration left of the lens's distortion.
    ///
    /// All their poses are free: poses that are held were found with the lens as it was, and would only confirm it.
    fn calibrate(&mut self) {
        let (mut problem, _) = self.problem(1);
        let summary = problem.solve(&self.options((NOISE_PX * self.pixel / LOOSE_LENS_SIGMA).powi(2)));
        let sigma = (variance_of_median(self.noise) / summary.lens_information).sqrt();
        if self.lens.update(problem.lens.k, sigma) {
            self.adjust_from(1);
        }
    }

    fn options(&self, lens_information: f64) -> Options {
        Options { max_iterations: MAX_ITERATIONS, robust: self.robust_cost(), lens_information }
    }

    fn problem(&self, first_free: usize) -> (Problem, Vec<u64>) {
        let first_free = first_free.max(1).min(self.keyframes.len());
        let pose = |(i, k): (usize, &Keyframe)| Pose {
            camera_from_world: k.camera_from_world,
            fixed: i < first_free,
        };
        let poses = self.keyframes.iter().enumerate().map(pose).collect();
        let (mut points, mut ids) = (Vec::new(), Vec::new());
        for (id, point) in &self.points {
            let host = (point.host - self.first_number) as usize;
            let seen = self.keyframes.iter().enumerate().skip(host + 1);
            let observations: Vec<_> = seen.filter_map(|(i, k)| Some((i, *k.rays.get(id)?))).collect();
            if observations.last().is_some_and(|(i, _)| *i >= first_free) {
                let (ray_in_host, inverse_depth) = (point.ray_in_host, point.inverse_depth);
                points.push(Point { host, ray_in_host, inverse_depth, observations });
                ids.push(*id);
            }
        }
        (Problem { poses, points, lens: self.lens.residual() }, ids)
    }

    /// Takes an adjusted point back and removes the observations that do not fit it.
    fn take_back(&mut self, id: u64, adjusted: &Point, view: &View<'_>) {
        let limit = OUTLIER_PX * self.pixel;
        let mut left = adjusted.observations.len();
        for (pose, residual) in view.residuals(adjusted) {
            if residual.is_none_or(|residual| residual.norm() > limit) {
                self.keyframes[pose].rays.remove(&id);
                left -= 1;
            }
        }
        match self.points.get_mut(&id) {
            Some(point) if left > 0 => point.inverse_depth = adjusted.inverse_depth,
            _ => drop(self.points.remove(&id)),
        }
    }
}

/// The rays of `features` by identity.
pub(crate) fn rays(features: &[Feature]) -> Rays {
    features.iter().map(|f| (f.id, f.ray)).collect()
}

/// The same in the frame before, of those that were there.
pub(crate) fn rays_before(features: &[Feature]) -> Rays {
    features.iter().map(|f| (f.id, f.before.ray)).collect()
}
