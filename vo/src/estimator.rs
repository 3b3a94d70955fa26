//! The estimator: one frame in, one odometry out.

use std::sync::Arc;

use geometry::{Frame, PinholeCamera, Se3, Timestamp};
use nalgebra::{Matrix6, Vector3, Vector6};

use crate::covariance::PoseCovariance;
use crate::features::{Expectation, Feature, FeatureTracker};
use crate::initializer::{FirstMap, Initializer};
use crate::lens::{LensEstimate, LensResidual};
use crate::map::{Keyframe, Map, rays, rays_before};
use crate::motion::LastFrame;
use crate::scale::MetricScale;
use crate::tracking::{PoseEstimate, Tracking};
use crate::{DepthPrior, KeyframeView, Odometry, PointView, ScaleSample, TrackView, TrackingState, VoConfig};

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

/// What is left of a map that was given up.
#[derive(Clone, Debug)]
struct EndedMap {
    /// The last frame that had a pose in it.
    last: LastFrame,
    /// Median depth that it had in view at its end.
    depth: f64,
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
        self.phase =
            Phase::Initializing(Initializer::new(start, pixel_size(&frame.camera), self.lens.residual()));
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
        let mut map = Map::new(pixel_size(&frame.camera), self.lens, depth);
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
        let poses: Vec<_> = map.keyframes().map(|k| (k.stamp, k.camera_from_world)).collect();
        let last_known = poses.len().checked_sub(2).map(|i| poses[i]);
        if let (Some((stamp, camera_from_world)), Some(last)) = (last_known, self.last.as_mut()) {
            (last.stamp, last.camera_from_world) = (stamp, camera_from_world);
        }
        self.phase = Phase::Tracking(Box::new(Tracking::new(map, self.config.max_tracks)));
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

    fn estimate_pose(&mut self, frame: &Frame, starts: impl Iterator<Item = Se3>) -> Option<PoseEstimate> {
        let (Some(features), Phase::Tracking(tracking)) = (&self.features, &mut self.phase) else {
            return None;
        };
        tracking.estimate_pose(features.features(), starts, pixel_size(&frame.camera))
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
        features.retain(|f| !tracking.map.knows(f.id) || tracking.is_inlier(f.id));
        let mut camera_from_world = estimate.camera_from_world;
        let is_keyframe = tracking.needs_keyframe(features.features(), &camera_from_world, frame);
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
        self.tracked(frame, is_keyframe)
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
        let initializer = Initializer::new(last.camera_from_world, pixel_size(&frame.camera), lens);
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

    fn tracked(&self, frame: &Frame, is_keyframe: bool) -> Odometry {
        let mut odometry = self.not_tracking(frame, TrackingState::Tracking);
        if let Phase::Tracking(tracking) = &self.phase {
            odometry.inlier_count = tracking.inlier_count();
            odometry.tracks.iter_mut().for_each(|track| track.inlier = tracking.is_inlier(track.id));
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

/// Size of a pixel on the plane `z = 1`.
pub(crate) fn pixel_size(camera: &PinholeCamera) -> f64 {
    2.0 / camera.focal().sum()
}

fn track_view(feature: &Feature, inlier: bool) -> TrackView {
    TrackView {
        id: feature.id,
        pixel: feature.pixel.into(),
        previous_pixel: feature.previous_pixel().into(),
        inlier,
    }
}
