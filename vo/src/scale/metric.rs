//! From an odometry in map units to one in metres.

use std::sync::Arc;

use geometry::{Se3, Timestamp};
use nalgebra::{Vector2, Vector3};

use super::chain::{MetricChain, Scale};
use super::filter::{Reading, ScaleFilter};
use super::ground::{Ground, Outlook};
use super::samples::{Passage, Samples, Way};
use super::{DepthPrior, ScaleSample, ScaleSource};
use crate::median::median;
use crate::{Odometry, PointView, TrackView, TrackingState};

/// Standard deviation of a measured height: metres, and a share of it.
const HEIGHT_SIGMA_M: f64 = 0.1;
const HEIGHT_SIGMA_SHARE: f64 = 0.01;
/// The same for the height at which a camera is mounted: the car nods.
const MOUNT_SIGMA_SHARE: f64 = 0.02;
/// The same for a measured speed.
const SPEED_SIGMA_MPS: f64 = 0.1;
const SPEED_SIGMA_SHARE: f64 = 0.02;
/// Speeds are compared over this time, long enough for the way to stand out from the noise of two poses.
const SPEED_SPAN_S: f64 = 0.5;
/// A reading with a larger standard deviation says too little.
const MAX_SIGMA: f64 = 0.5;
/// Points with a prior depth that a reading takes at least.
const MIN_PRIOR_POINTS: usize = 20;
/// A network's depths are wrong together: a reading is no better than this share of one depth's standard deviation.
const PRIOR_ALIKE: f64 = 0.5;
/// What is in view is another scene after a way of this many of its median depths: priors' readings in between share their
/// error.
const SAME_SCENE_DEPTHS: f64 = 1.0;
/// The ground under the camera is another after a way of this many heights: readings in between share its error.
const SAME_GROUND_HEIGHTS: f64 = 0.5;

/// Keeps the metric scale of the map, and makes odometry metric.
pub(crate) struct MetricScale {
    source: ScaleSource,
    filter: ScaleFilter,
    chain: MetricChain,
    heights: Samples,
    speeds: Samples,
    prior: Option<Arc<dyn DepthPrior>>,
    ground: Option<Ground>,
    way: Way,
    /// Median depth of the points before the camera, in map units.
    depth: f64,
    /// Way flown since the last reading from the ground, in map units; infinite before the first.
    since_ground: f64,
    /// The same since the last reading from the prior.
    since_prior: f64,
    /// End of the time over which speeds were compared last.
    speed_read_until: Option<Timestamp>,
}

impl std::fmt::Debug for MetricScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricScale").field("scale", &self.filter.scale()).finish_non_exhaustive()
    }
}

impl MetricScale {
    pub(crate) fn new(source: &ScaleSource) -> Self {
        let samples = Samples::new(source.samples().unwrap_or_default());
        let (heights, speeds) = match source {
            ScaleSource::Velocity(_) => (Samples::default(), samples),
            _ => (samples, Samples::default()),
        };
        let ground = match source {
            ScaleSource::CameraHeight(_) => Some(Ground::new(Outlook::Road)),
            ScaleSource::HeightAboveGround(_) => Some(Ground::new(Outlook::Flight)),
            _ => None,
        };
        Self {
            source: source.clone(),
            filter: opened(source),
            chain: MetricChain::default(),
            heights,
            speeds,
            prior: None,
            ground,
            way: Way::default(),
            depth: 1.0,
            since_ground: f64::INFINITY,
            since_prior: f64::INFINITY,
            speed_read_until: None,
        }
    }

    pub(crate) fn set_prior(&mut self, prior: Arc<dyn DepthPrior>) {
        self.prior = Some(prior);
    }

    pub(crate) fn add_height(&mut self, sample: ScaleSample) {
        self.ground.get_or_insert_with(|| Ground::new(Outlook::Flight));
        self.heights.push(sample);
    }

    pub(crate) fn add_speed(&mut self, sample: ScaleSample) {
        self.speeds.push(sample);
    }

    /// Another map begins with the camera where the last one had it. Where it keeps the unit of the last one, `unit_sigma`
    /// is the standard deviation with which it does, relative to the unit.
    pub(crate) fn begin_map(&mut self, world_from_camera: &Se3, unit_sigma: Option<f64>) {
        match unit_sigma {
            Some(sigma) => self.filter.doubt(sigma),
            None => self.filter = opened(&self.source),
        }
        self.chain.begin_map(&world_from_camera.translation, self.scale());
        self.ground.iter_mut().for_each(Ground::clear);
        self.way.clear();
        (self.since_ground, self.since_prior, self.speed_read_until) = (f64::INFINITY, f64::INFINITY, None);
    }

    /// Takes the odometry of the next frame in map units, and gives it back in metres where they are known.
    pub(crate) fn apply(&mut self, odometry: Odometry) -> Odometry {
        if odometry.state == TrackingState::Tracking {
            self.learn(&odometry);
        }
        self.chain.revise(&odometry.keyframes);
        self.chain.set_scale(self.scale());
        self.in_metres(odometry)
    }

    /// What the filter knows, and what no number of readings can tell it: they are all wrong by the same share.
    fn scale(&self) -> Option<Scale> {
        let shared = self.prior.as_ref().map_or_else(|| bias(&self.source), |prior| prior.shared_sigma());
        self.filter.scale().map(|(factor, sigma)| (factor, sigma.hypot(shared)))
    }

    fn learn(&mut self, odometry: &Odometry) {
        if !odometry.points.is_empty() {
            self.look_around(odometry);
        }
        let begins = self.way.newest().is_none();
        for keyframe in odometry.keyframes.iter().filter(|_| begins) {
            self.pass(keyframe.stamp, keyframe.world_from_camera.translation);
        }
        self.pass(odometry.stamp, odometry.world_from_camera.translation);
        self.read_heights();
        self.read_speeds(odometry);
        if !odometry.points.is_empty() {
            self.read_mount(odometry);
            self.read_prior(odometry);
        }
    }

    fn look_around(&mut self, odometry: &Odometry) {
        let camera_from_world = odometry.world_from_camera.inverse();
        let depths = odometry.points.iter().map(|p| (camera_from_world * p.point_in_world).z);
        self.depth = median(depths.filter(|depth| *depth > 0.0)).unwrap_or(0.0).max(1e-6);
        if let Some(ground) = &mut self.ground {
            ground.update(&odometry.points, &odometry.world_from_camera);
        }
    }

    fn pass(&mut self, stamp: Timestamp, position: Vector3<f64>) {
        let step = self.way.newest().map_or(0.0, |last| (position - last.position).norm());
        self.filter.travel(step / self.depth);
        self.since_ground += step;
        self.since_prior += step;
        let plane = self.ground.as_ref().and_then(Ground::plane);
        let height = plane.map(|plane| plane.height_of(&position)).filter(|height| *height > 0.0);
        self.way.push(Passage { stamp, position, height });
    }

    /// What the heights measured since the last frame say.
    fn read_heights(&mut self) {
        let Some(newest) = self.way.newest() else { return };
        let ratio = |sample: ScaleSample| {
            let log_scale = (sample.value / self.way.height_at(sample.stamp)?).ln();
            Some((log_scale, HEIGHT_SIGMA_M / sample.value + HEIGHT_SIGMA_SHARE))
        };
        let (logs, sigmas): (Vec<f64>, Vec<f64>) =
            self.heights.take_until(newest.stamp).filter_map(ratio).unzip();
        let count = logs.len() as f64;
        if let (Some(log_scale), Some(sigma)) = (median(logs.into_iter()), median(sigmas.into_iter())) {
            self.read_ground(log_scale, sigma / count.sqrt());
        }
    }

    /// What the height of the camera says.
    fn read_mount(&mut self, odometry: &Odometry) {
        let ScaleSource::CameraHeight(height_m) = self.source else { return };
        if let Some(height) = self.way.height_at(odometry.stamp) {
            self.read_ground((height_m / height).ln(), MOUNT_SIGMA_SHARE);
        }
    }

    /// A reading against the ground, whose error does not average out before the ground is another.
    fn read_ground(&mut self, log_scale: f64, sensor_sigma: f64) {
        let (Some(plane), Some(newest)) = (self.ground.as_ref().and_then(Ground::plane), self.way.newest())
        else {
            return;
        };
        let stretch = SAME_GROUND_HEIGHTS * newest.height.unwrap_or(self.depth);
        let alike = (stretch / self.since_ground.max(1e-3 * stretch)).max(1.0);
        let sigma = sensor_sigma.hypot(plane.sigma * alike.sqrt());
        self.since_ground = 0.0;
        self.read(log_scale, sigma);
    }

    /// What the speeds say about the way of the last half second.
    fn read_speeds(&mut self, odometry: &Odometry) {
        let (Some(from), Some(to)) = (self.way.before(SPEED_SPAN_S), self.way.newest()) else { return };
        if self.speed_read_until.is_some_and(|until| from.stamp < until) {
            return;
        }
        let span_s = to.stamp.secs_since(from.stamp);
        let Some(way_m) = self.speeds.integral(from.stamp, to.stamp).filter(|_| span_s < 2.0 * SPEED_SPAN_S)
        else {
            return;
        };
        let way = (to.position - from.position).norm();
        let noise = odometry.covariance.fixed_view::<3, 3>(0, 0).trace().max(0.0).sqrt();
        let share = SPEED_SIGMA_SHARE + SPEED_SIGMA_MPS * span_s / way_m;
        let until = to.stamp;
        self.speed_read_until = Some(until);
        self.speeds.forget_before(until);
        self.read((way_m / way).ln(), share.hypot(noise / way));
    }

    /// What prior depths of the tracked points say.
    fn read_prior(&mut self, odometry: &Odometry) {
        let Some(prior) = &self.prior else { return };
        let camera_from_world = odometry.world_from_camera.inverse();
        let ratio = |(track, point): (&TrackView, &PointView)| {
            let pixel = Vector2::new(f64::from(track.pixel[0]), f64::from(track.pixel[1]));
            let (depth_m, sigma_m) = prior.depth_at(odometry.stamp, pixel)?;
            let depth = (camera_from_world * point.point_in_world).z;
            let log_scale = (depth_m / depth).ln();
            (depth > 0.0 && depth_m > 0.0).then_some((log_scale, sigma_m / depth_m))
        };
        let inliers = odometry.tracks.iter().filter(|track| track.inlier);
        let (logs, sigmas): (Vec<f64>, Vec<f64>) =
            inliers.filter_map(|track| ratio((track, point_of(odometry, track.id)?))).unzip();
        if logs.len() < MIN_PRIOR_POINTS {
            return;
        }
        if let (Some(log_scale), Some(sigma)) = (median(logs.into_iter()), median(sigmas.into_iter())) {
            let stretch = SAME_SCENE_DEPTHS * self.depth;
            let alike = (stretch / self.since_prior.max(1e-3 * stretch)).max(1.0);
            let sigma = PRIOR_ALIKE * sigma * alike.sqrt();
            // What would say too little waits until there is more of it.
            if sigma < MAX_SIGMA {
                self.since_prior = 0.0;
                self.read(log_scale, sigma);
            }
        }
    }

    fn read(&mut self, log_scale: f64, sigma: f64) {
        if sigma < MAX_SIGMA {
            self.filter.read(Reading { log_scale, sigma });
        }
    }

    fn in_metres(&self, mut odometry: Odometry) -> Odometry {
        let scale = self.chain.scale();
        odometry.scale = scale.map(|(factor, _)| factor);
        odometry.scale_sigma = scale.map(|(_, sigma)| sigma);
        self.scale_covariance(&mut odometry, scale);
        let metric = |in_map: &Vector3<f64>| self.chain.place(in_map).metric;
        odometry.world_from_camera.translation = metric(&odometry.world_from_camera.translation);
        odometry.velocity_in_world *= scale.map_or(1.0, |(factor, _)| factor);
        odometry.points.iter_mut().for_each(|p| p.point_in_world = metric(&p.point_in_world));
        for keyframe in &mut odometry.keyframes {
            if let Some(place) = self.chain.keyframe(keyframe.stamp) {
                keyframe.world_from_camera.translation = place.metric;
            }
        }
        odometry
    }

    /// The pose's error in metres, and along the way what the scale's error makes of it.
    fn scale_covariance(&self, odometry: &mut Odometry, scale: Option<Scale>) {
        let Some((factor, _)) = scale else { return };
        let covariance = &mut odometry.covariance;
        covariance.fixed_rows_mut::<3>(0).scale_mut(factor);
        covariance.fixed_columns_mut::<3>(0).scale_mut(factor);
        let pose = &odometry.world_from_camera;
        let camera_from_world = pose.rotation.inverse().to_rotation_matrix();
        let in_world = self.chain.place(&pose.translation).scale_covariance;
        let mut translation = covariance.fixed_view_mut::<3, 3>(0, 0);
        translation += camera_from_world * in_world * camera_from_world.inverse();
    }
}

/// Standard deviation of the error that all readings of a source share, as a share of the scale.
fn bias(source: &ScaleSource) -> f64 {
    match source {
        ScaleSource::Fixed(_) => 0.0,
        // A height measured with a tape, a car that squats, a road that is not flat.
        ScaleSource::CameraHeight(_) => 0.02,
        // A rangefinder's calibration; a slope, along which straight down is not the shortest way to the ground.
        ScaleSource::HeightAboveGround(_) | ScaleSource::None | ScaleSource::Depth(_) => 0.005,
        // Wind, where the speed is that through the air; slip, where it is that of wheels.
        ScaleSource::Velocity(_) => 0.01,
    }
}

fn opened(source: &ScaleSource) -> ScaleFilter {
    match source {
        ScaleSource::Fixed(metres_per_unit) => ScaleFilter::exact(*metres_per_unit),
        _ => ScaleFilter::default(),
    }
}

fn point_of(odometry: &Odometry, id: u64) -> Option<&PointView> {
    let index = odometry.points.binary_search_by_key(&id, |point| point.id).ok()?;
    odometry.points.get(index)
}
