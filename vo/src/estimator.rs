//! The estimator: one frame in, one odometry out.

use std::sync::Arc;

use geometry::{Frame, PinholeCamera, Se3, Timestamp};
use nalgebra::{Matrix6, Vector2, Vector3, Vector6};

use crate::bundle::{RobustCost, refine_pose, variance_of_median};
use crate::covariance::{ALIKE, PoseCovariance};
use crate::features::{Expectation, Feature, FeatureTracker};
use crate::initializer::{FirstMap, Initializer};
use crate::lens::{LensEstimate, LensResidual};
use crate::map::{Keyframe, Map, rays, rays_before};
use crate::median::median;
use crate::motion::LastFrame;
use crate::scale::MetricScale;
use crate::{DepthPrior, KeyframeView, Odometry, PointView, ScaleSample, TrackView, TrackingState, VoConfig};

/// Fewer points that agree with the pose, and the frame is lost.
const MIN_INLIERS: usize = 15;
/// Error up to which a point agrees with the pose, in pixels.
const INLIER_PX: f64 = 2.5;
/// Observations are no better than this, in pixels.
const MIN_NOISE_PX: f64 = 0.05;
/// Width of the robust cost that first finds a frame's pose, in pixels.
const POSE_SCALE_PX: f64 = 1.5;
/// Features that are searched widely, to know where the others are.
const SCOUTS: usize = 60;
/// Error with which a scout still counts, in pixels.
const SCOUT_SCALE_PX: f64 = 3.0;
/// Median motion since the last keyframe, beyond rotation, that makes a new one; as a share of the image's width.
const KEYFRAME_MOTION: f64 = 0.02;
/// Share of the last keyframe's points that must still be seen.
const KEYFRAME_OVERLAP: f64 = 0.8;
/// A frame that sees fewer features than this share of the wanted ones gets more.
const FEATURE_SHARE: usize = 2;
/// A frame that shows less than this share of the features that the one before showed is blurred or mostly covered.
const DIMMED_SHARE: f64 = 0.35;
/// Time for which such frames are passed over, in seconds.
const MAX_DIMMED_S: f64 = 0.6;
/// A rotation that differs by more than this from the expected one is a jerk, in radians.
const MAX_DIMMED_JERK_RAD: f64 = 0.03;
/// Time without a pose after which the map is given up, in seconds.
const MAX_LOST_S: f64 = 1.0;
/// Time without frames after which the map is given up, in seconds.
const MAX_GAP_S: f64 = 2.0;
/// Standard deviation of the unit that another map takes over from the last one, relative to it: the median depth in view
/// then and now.
const UNIT_SIGMA: f64 = 0.25;

/// Monocular visual odometry: a value without threads, clock or input of its own.
#[derive(Debug)]
pub struct VisualOdometry {
    config: VoConfig,
    features: Option<FeatureTracker>,
    phase: Phase,
    last: Option<LastFrame>,
    /// What is known of the lens from earlier maps.
    lens: LensEstimate,
    /// The end of the last map, if there was one.
    ended: Option<EndedMap>,
    reset_count: u32,
    scale: MetricScale,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for a first map; it will begin at the last pose.
    Initializing(Initializer),
    Tracking(Box<Tracking>),
}

#[derive(Debug)]
struct Tracking {
    map: Map,
    /// Points seen by the newest keyframe.
    keyframe_points: usize,
    /// No pose since the last frame that is kept.
    lost: bool,
}

/// What is left of a map that was given up.
#[derive(Clone, Debug)]
struct EndedMap {
    /// The last frame that had a pose in it.
    last: LastFrame,
    /// Median depth that it had in view at its end.
    depth: f64,
}

/// A point in the world and where the camera sees it on the plane `z = 1`.
type Sighting = (Vector3<f64>, Vector2<f64>);

/// A pose with what supports it.
struct PoseEstimate {
    camera_from_world: Se3,
    covariance: Matrix6<f64>,
    inliers: Vec<u64>,
}

impl VisualOdometry {
    /// An estimator that has seen nothing.
    pub fn new(config: VoConfig) -> Self {
        Self {
            scale: MetricScale::new(&config.scale),
            config,
            features: None,
            phase: Phase::Initializing(Initializer::new(Se3::identity(), 1.0, LensResidual::default())),
            last: None,
            lens: LensEstimate::default(),
            ended: None,
            reset_count: 0,
        }
    }

    /// Reads the scale from `prior` too, whatever else tells it.
    pub fn with_depth_prior(mut self, prior: Arc<dyn DepthPrior>) -> Self {
        self.scale.set_prior(prior);
        self
    }

    /// A height above the ground, straight down, in metres: from a rangefinder, while flying. It may come before the frame of
    /// its moment, or up to three seconds after it.
    pub fn add_height(&mut self, stamp: Timestamp, height_m: f64) {
        self.scale.add_height(ScaleSample { stamp, value: height_m });
    }

    /// A speed of the camera through the world in metres per second, while flying. It must come before the frame that follows
    /// its moment.
    pub fn add_speed(&mut self, stamp: Timestamp, speed_mps: f64) {
        self.scale.add_speed(ScaleSample { stamp, value: speed_mps });
    }

    /// Takes the next frame and says where its camera is.
    ///
    /// The world is the first frame's camera, its unit the metre where [`VoConfig::scale`] tells it and else the median depth
    /// of the first map. Never fails: a frame that can't be used (black, of another size, after a long gap) is
    /// [`TrackingState::Lost`] or starts a new map, which [`Odometry::reset_count`] counts. What was lost is looked for for a
    /// second; a new map goes on from the predicted pose, turned as far as the images told, with the depth that was last in
    /// view for its scale.
    pub fn register_frame(&mut self, frame: &Frame) -> Odometry {
        let in_map_units = self.register(frame);
        self.scale.apply(in_map_units)
    }

    fn register(&mut self, frame: &Frame) -> Odometry {
        if self.must_restart(frame) {
            self.restart(frame);
        }
        let (previous, predicted) = self.last.as_ref().map_or_else(
            || (Se3::identity(), Se3::identity()),
            |last| (last.camera_from_world, last.predict(frame.stamp)),
        );
        let Some(features) = self.features.as_mut() else {
            return self.not_tracking(frame, TrackingState::Lost);
        };
        features.begin(frame);
        match &mut self.phase {
            Phase::Initializing(_) => {
                features.follow(&frame.camera, |feature| Expectation::Around(feature.pixel));
                self.initialize(frame)
            }
            Phase::Tracking(tracking) => {
                match tracking.follow(features, &frame.camera, &previous, &predicted) {
                    Some(predicted) => self.track(frame, &predicted),
                    None => self.coast(frame),
                }
            }
        }
    }

    fn must_restart(&self, frame: &Frame) -> bool {
        let resized = self.features.as_ref().is_none_or(|f| f.size() != frame.size());
        let gap = self.last.as_ref().is_some_and(|last| frame.stamp.secs_since(last.stamp).abs() > MAX_GAP_S);
        let lost_for_long = |last: &LastFrame| frame.stamp.secs_since(last.stamp) > MAX_LOST_S;
        let lost = matches!(&self.phase, Phase::Tracking(tracking) if tracking.lost);
        resized || gap || (lost && self.last.as_ref().is_some_and(lost_for_long))
    }

    /// Forgets all features and the map and waits for a new one.
    fn restart(&mut self, frame: &Frame) {
        self.give_up_map();
        self.last = self.coasted(frame.stamp);
        let next_id = self.features.as_ref().map_or(0, FeatureTracker::next_id);
        let (width, height) = frame.size();
        self.features = Some(FeatureTracker::new(width, height, self.config.max_tracks, next_id));
        let start = self.last.as_ref().map_or_else(Se3::identity, |last| last.camera_from_world);
        self.phase = Phase::Initializing(Initializer::new(start, pixel_size(frame), self.lens.residual()));
    }

    fn give_up_map(&mut self) {
        if let Phase::Tracking(tracking) = &self.phase {
            self.reset_count += 1;
            self.lens = tracking.map.lens();
            let depth = tracking.map.depth();
            self.ended = self.last.clone().map(|last| EndedMap { last, depth });
        }
    }

    /// What is known of a moment in which nothing is seen.
    fn coasted(&self, stamp: Timestamp) -> Option<LastFrame> {
        match &self.phase {
            Phase::Tracking(tracking) => {
                let depth = tracking.map.depth();
                self.last.as_ref().map(|last| last.coasted(stamp, depth))
            }
            Phase::Initializing(_) => self.last.clone(),
        }
    }

    fn initialize(&mut self, frame: &Frame) -> Odometry {
        let (Some(features), Phase::Initializing(initializer)) = (self.features.as_mut(), &mut self.phase)
        else {
            return self.not_tracking(frame, TrackingState::Initializing);
        };
        features.replenish(&frame.camera);
        match initializer.add(frame.stamp, rays(features.features())) {
            Some(first) => self.begin_map(frame, first),
            None => self.wait(frame),
        }
    }

    /// Still no map: the camera turns where it is.
    fn wait(&mut self, frame: &Frame) -> Odometry {
        let Phase::Initializing(initializer) = &self.phase else {
            return self.not_tracking(frame, TrackingState::Initializing);
        };
        let camera_from_world = initializer.camera_from_world();
        let twist = self.last.as_ref().map_or_else(Vector6::zeros, |last| last.twist);
        let covariance = self
            .ended
            .as_ref()
            .map_or_else(Matrix6::identity, |ended| ended.last.coasted(frame.stamp, ended.depth).covariance);
        self.last = Some(LastFrame { stamp: frame.stamp, camera_from_world, twist, covariance });
        self.not_tracking(frame, TrackingState::Initializing)
    }

    /// The map starts where waiting for it began and, where there was one before, with what lay before the camera as far
    /// away as it was then.
    fn begin_map(&mut self, frame: &Frame, first: FirstMap) -> Odometry {
        let depth = self.ended.as_ref().map_or(1.0, |ended| ended.depth);
        let mut map = Map::new(pixel_size(frame), self.lens, depth);
        let (start, mut problem) = (first.start, first.problem);
        self.scale.begin_map(&start.inverse(), self.ended.as_ref().map(|_| UNIT_SIGMA));
        problem.scale(depth);
        for pose in &mut problem.poses {
            pose.camera_from_world = pose.camera_from_world * start;
        }
        // The first map of all is the world.
        let known = self.last.as_ref().filter(|_| self.ended.is_some());
        let covariance = known.map_or_else(PoseCovariance::zero, |last| {
            PoseCovariance::from_camera_frame(&last.covariance, &start.inverse())
        });
        map.adopt(&problem, first.frames, &first.ids, &covariance);
        let keyframe_points = map.point_count();
        let poses: Vec<_> = map.keyframes().map(|k| (k.stamp, k.camera_from_world)).collect();
        let last_known = poses.len().checked_sub(2).map(|i| poses[i]);
        if let (Some((stamp, camera_from_world)), Some(last)) = (last_known, self.last.as_mut()) {
            (last.stamp, last.camera_from_world) = (stamp, camera_from_world);
        }
        self.phase = Phase::Tracking(Box::new(Tracking { map, keyframe_points, lost: false }));
        let predicted = poses.last().map_or(start, |(_, pose)| *pose);
        let odometry = self.track(frame, &predicted);
        self.with_map(odometry)
    }

    fn track(&mut self, frame: &Frame, predicted: &Se3) -> Odometry {
        let last = self.last.as_ref().map(|last| last.camera_from_world);
        if let Some(estimate) = self.estimate_pose(frame, [Some(*predicted), last].into_iter().flatten()) {
            return self.go_on(frame, &estimate);
        }
        let Some(turn) = self.turned_away(frame) else { return self.coast(frame) };
        match self.estimate_pose(frame, std::iter::once(turn.camera_from_world())) {
            Some(estimate) => self.go_on(frame, &estimate),
            None => self.lose(frame, turn),
        }
    }

    fn estimate_pose(&self, frame: &Frame, starts: impl Iterator<Item = Se3>) -> Option<PoseEstimate> {
        let (Some(features), Phase::Tracking(tracking)) = (&self.features, &self.phase) else { return None };
        tracking.estimate_pose(features.features(), starts, pixel_size(frame))
    }

    /// Whether so little is seen of what the last frame showed that the frame is better passed over; not where a jerk
    /// explains it, because after that the next frame would show no more.
    fn is_dimmed(&self, frame: &Frame, estimate: &PoseEstimate) -> bool {
        let few = self.features.as_ref().is_some_and(|features| features.shown_share() < DIMMED_SHARE);
        let lost = matches!(&self.phase, Phase::Tracking(tracking) if tracking.lost);
        let steady = |last: &LastFrame| {
            let jerk = last.predict(frame.stamp).rotation.angle_to(&estimate.camera_from_world.rotation);
            (lost || jerk < MAX_DIMMED_JERK_RAD) && frame.stamp.secs_since(last.stamp) < MAX_DIMMED_S
        };
        few && self.last.as_ref().is_some_and(steady)
    }

    fn go_on(&mut self, frame: &Frame, estimate: &PoseEstimate) -> Odometry {
        if self.is_dimmed(frame, estimate) {
            return self.coast(frame);
        }
        let (Some(features), Phase::Tracking(tracking)) = (self.features.as_mut(), &mut self.phase) else {
            return self.not_tracking(frame, TrackingState::Lost);
        };
        tracking.lost = false;
        let map = &tracking.map;
        features.retain(|f| map.point(f.id).is_none() || estimate.inliers.binary_search(&f.id).is_ok());
        let mut camera_from_world = estimate.camera_from_world;
        let is_keyframe = tracking.needs_keyframe(features.features(), estimate, frame);
        if is_keyframe {
            camera_from_world = tracking.insert_keyframe(frame.stamp, camera_from_world, features.features());
            let first_new = features.next_id();
            features.replenish(&frame.camera);
            // Where a feature is seen first, it is by definition: the best place for its ray to begin.
            tracking.map.begin_in_newest(rays(features.features()), first_new);
        } else if features.features().len() * FEATURE_SHARE < self.config.max_tracks {
            features.replenish(&frame.camera);
        }
        let covariance =
            tracking.covariance(&camera_from_world, (!is_keyframe).then_some(&estimate.covariance));
        self.move_to(frame.stamp, camera_from_world, &covariance);
        self.tracked(frame, estimate, is_keyframe)
    }

    /// The camera has turned away from all that the map knows, but sees where to.
    fn lose(&mut self, frame: &Frame, initializer: Initializer) -> Odometry {
        self.give_up_map();
        self.phase = Phase::Initializing(initializer);
        if let Some(features) = self.features.as_mut() {
            features.replenish(&frame.camera);
        }
        self.wait(frame)
    }

    /// How another map may begin where the features are seen on as a turn on the spot would show them.
    fn turned_away(&self, frame: &Frame) -> Option<Initializer> {
        let (last, features) = (self.last.as_ref()?, self.features.as_ref()?.features());
        let Phase::Tracking(tracking) = &self.phase else { return None };
        let lens = tracking.map.lens().residual();
        let initializer = Initializer::new(last.camera_from_world, pixel_size(frame), lens);
        initializer.with_turn((last.stamp, rays_before(features)), (frame.stamp, rays(features)))
    }

    /// Nothing to learn from this frame: the camera is taken to go on as it did, and the next frame is compared with
    /// the last one that was good.
    fn coast(&mut self, frame: &Frame) -> Odometry {
        if let (Some(features), Phase::Tracking(tracking)) = (self.features.as_mut(), &mut self.phase) {
            features.refuse();
            tracking.lost = true;
        }
        let mut odometry = self.reported(frame, TrackingState::Lost, self.coasted(frame.stamp).as_ref());
        odometry.tracks.clear();
        odometry
    }

    fn move_to(&mut self, stamp: Timestamp, camera_from_world: Se3, covariance: &Matrix6<f64>) {
        let twist = self.last.as_ref().map_or_else(Vector6::zeros, |last| {
            let dt_s = stamp.secs_since(last.stamp);
            let moved = (camera_from_world * last.camera_from_world.inverse()).log();
            if dt_s > 0.0 { moved / dt_s } else { last.twist }
        });
        self.last = Some(LastFrame { stamp, camera_from_world, twist, covariance: *covariance });
    }

    fn not_tracking(&self, frame: &Frame, state: TrackingState) -> Odometry {
        self.reported(frame, state, self.last.as_ref())
    }

    fn reported(&self, frame: &Frame, state: TrackingState, last: Option<&LastFrame>) -> Odometry {
        let tracks = self.features.as_ref().map_or(&[][..], FeatureTracker::features);
        Odometry {
            stamp: frame.stamp,
            seq: frame.seq,
            world_from_camera: last.map_or_else(Se3::identity, |last| last.camera_from_world.inverse()),
            velocity_in_world: last.map_or_else(Vector3::zeros, LastFrame::velocity_in_world),
            covariance: last.map_or_else(Matrix6::identity, |last| last.covariance),
            state,
            reset_count: self.reset_count,
            inlier_count: 0,
            scale: None,
            scale_sigma: None,
            tracks: tracks.iter().map(|f| track_view(f, false)).collect(),
            points: Vec::new(),
            keyframes: Vec::new(),
        }
    }

    fn tracked(&self, frame: &Frame, estimate: &PoseEstimate, is_keyframe: bool) -> Odometry {
        let mut odometry = self.not_tracking(frame, TrackingState::Tracking);
        odometry.inlier_count = estimate.inliers.len();
        for track in &mut odometry.tracks {
            track.inlier = estimate.inliers.binary_search(&track.id).is_ok();
        }
        if is_keyframe { self.with_map(odometry) } else { odometry }
    }

    fn with_map(&self, mut odometry: Odometry) -> Odometry {
        if let Phase::Tracking(tracking) = &self.phase {
            let map = &tracking.map;
            odometry.points =
                map.near_points().map(|(id, point_in_world)| PointView { id, point_in_world }).collect();
            let view = |k: &Keyframe| KeyframeView {
                stamp: k.stamp,
                world_from_camera: k.camera_from_world.inverse(),
            };
            odometry.keyframes = map.free_keyframes().map(view).collect();
        }
        odometry
    }
}

impl Tracking {
    /// Follows the features into a new image and gives back a better prediction of its pose.
    ///
    /// A few scouts with points in the map are searched widely; the pose that they give tells where the others are. Where
    /// the features have been lost and no scout finds them, neither would anything else: `None`.
    fn follow(
        &self,
        features: &mut FeatureTracker,
        camera: &PinholeCamera,
        previous: &Se3,
        predicted: &Se3,
    ) -> Option<Se3> {
        let scouted = self.scout(features, camera, predicted);
        let scouted = scouted.or_else(|| self.scout(features, camera, previous));
        if self.lost && scouted.is_none() {
            return None;
        }
        let pose = scouted.unwrap_or(*predicted);
        let current_from_previous = pose * previous.inverse();
        let lens = self.map.lens().residual();
        features.follow(camera, |feature| {
            let point = self.map.point(feature.id);
            let in_camera = match point {
                Some(point) => pose * point,
                // Far away, for all we know.
                None => current_from_previous.rotation * lens.correct(&feature.ray).push(1.0),
            };
            match project(camera, &lens, &in_camera) {
                Some(pixel) if point.is_some() && scouted.is_some() => Expectation::Near(pixel),
                Some(pixel) => Expectation::Around(pixel),
                None => Expectation::Around(feature.pixel),
            }
        });
        Some(pose)
    }

    /// The pose from where a few features seem to be; `None` where they do not agree.
    fn scout(&self, features: &FeatureTracker, camera: &PinholeCamera, predicted: &Se3) -> Option<Se3> {
        let mapped = features.features().iter().filter_map(|f| Some((f, self.map.point(f.id)?)));
        let mapped: Vec<(&Feature, Vector3<f64>)> = mapped.collect();
        let lens = self.map.lens().residual();
        let scouts = mapped.iter().step_by(mapped.len().div_ceil(SCOUTS).max(1));
        let seen: Vec<Sighting> = scouts
            .filter_map(|(feature, point)| {
                let guess = project(camera, &lens, &(*predicted * *point))?;
                let pixel = features.approach(feature, guess).map(f64::from);
                Some((*point, lens.correct(&camera.unproject(&pixel)?.xy())))
            })
            .collect();
        let pixel = 2.0 / camera.focal().sum();
        let (pose, _) = refine_pose(predicted, &seen, RobustCost::new(SCOUT_SCALE_PX * pixel));
        let agree =
            seen.iter().filter(|(point, ray)| error(&pose, point, ray) < SCOUT_SCALE_PX * pixel).count();
        (pose.is_finite() && agree >= MIN_INLIERS.max(seen.len() / 2)).then_some(pose)
    }

    /// The pose from all points seen, from the first start that leads to enough agreement.
    fn estimate_pose(
        &self,
        features: &[Feature],
        starts: impl Iterator<Item = Se3>,
        pixel: f64,
    ) -> Option<PoseEstimate> {
        let lens = self.map.lens().residual();
        let (ids, seen): (Vec<u64>, Vec<Sighting>) = features
            .iter()
            .filter_map(|f| Some((f.id, (self.map.point(f.id)?, lens.correct(&f.ray)))))
            .unzip();
        let candidates = starts.map(|start| {
            let (pose, _) = refine_pose(&start, &seen, RobustCost::new(POSE_SCALE_PX * pixel));
            let (pose, information) = refine_pose(&pose, &seen, self.map.robust_cost());
            let agrees =
                |(point, ray): &(Vector3<f64>, Vector2<f64>)| error(&pose, point, ray) < INLIER_PX * pixel;
            let inliers: Vec<u64> =
                ids.iter().zip(&seen).filter(|(_, s)| agrees(s)).map(|(id, _)| *id).collect();
            let variance =
                inlier_variance(&pose, &seen, INLIER_PX * pixel).max((MIN_NOISE_PX * pixel).powi(2));
            let covariance = information.try_inverse().unwrap_or_else(Matrix6::identity) * (ALIKE * variance);
            PoseEstimate { camera_from_world: pose, covariance, inliers }
        });
        let enough = MIN_INLIERS.max(seen.len() / 4);
        let mut candidates =
            candidates.filter(|c| c.camera_from_world.is_finite() && c.inliers.len() >= enough);
        candidates.next()
    }

    fn needs_keyframe(&self, features: &[Feature], estimate: &PoseEstimate, frame: &Frame) -> bool {
        let Some(keyframe) = self.map.newest() else { return true };
        let current_from_keyframe = estimate.camera_from_world * keyframe.camera_from_world.inverse();
        let moved = |f: &Feature| {
            let rotated = current_from_keyframe.rotation * keyframe.rays.get(&f.id)?.push(1.0);
            Some((rotated.xy() / rotated.z - f.ray).norm())
        };
        let motion = median(features.iter().filter_map(moved)).unwrap_or(f64::INFINITY);
        let few = (estimate.inliers.len() as f64) < KEYFRAME_OVERLAP * self.keyframe_points as f64;
        few || motion > KEYFRAME_MOTION * frame.camera.width() as f64 * pixel_size(frame)
    }

    /// That of the newest keyframe, and what the fit to its map adds.
    fn covariance(&self, camera_from_world: &Se3, fit: Option<&Matrix6<f64>>) -> Matrix6<f64> {
        let world_from_camera = camera_from_world.inverse();
        let carried = self.map.covariance_at(&world_from_camera.translation);
        carried.in_camera_frame(&world_from_camera) + fit.copied().unwrap_or_else(Matrix6::zeros)
    }

    /// Adds a keyframe and adjusts the map; gives back the adjusted pose.
    fn insert_keyframe(&mut self, stamp: Timestamp, camera_from_world: Se3, features: &[Feature]) -> Se3 {
        let covariance = PoseCovariance::zero();
        self.map.insert(Keyframe { stamp, camera_from_world, rays: rays(features), covariance });
        self.keyframe_points = features.iter().filter(|f| self.map.point(f.id).is_some()).count();
        self.map.newest().map_or(camera_from_world, |k| k.camera_from_world)
    }
}

fn project(camera: &PinholeCamera, lens: &LensResidual, q: &Vector3<f64>) -> Option<Vector2<f32>> {
    let ray = (q.z > 0.0).then(|| lens.observe(&(q.xy() / q.z)))?;
    camera.project(&ray.push(1.0)).map(|pixel| pixel.map(|v| v as f32))
}

fn error(camera_from_world: &Se3, point: &Vector3<f64>, ray: &Vector2<f64>) -> f64 {
    let q = *camera_from_world * *point;
    if q.z > 0.0 { (q.xy() / q.z - ray).norm() } else { f64::INFINITY }
}

/// Variance of a sighting along one axis, by the median error of those that agree with a pose.
fn inlier_variance(camera_from_world: &Se3, seen: &[Sighting], limit: f64) -> f64 {
    let errors = seen.iter().map(|(point, ray)| error(camera_from_world, point, ray));
    variance_of_median(median(errors.filter(|error| *error < limit)).unwrap_or(limit))
}

/// Size of a pixel on the plane `z = 1`.
fn pixel_size(frame: &Frame) -> f64 {
    2.0 / frame.camera.focal().sum()
}

fn track_view(feature: &Feature, inlier: bool) -> TrackView {
    TrackView {
        id: feature.id,
        pixel: feature.pixel.into(),
        previous_pixel: feature.previous_pixel().into(),
        inlier,
    }
}
