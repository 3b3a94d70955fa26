//! Frames against a map: where the features are, and from where they are seen.

use geometry::{Frame, PinholeCamera, Se3, Timestamp};
use nalgebra::{Matrix6, Vector2, Vector3};

use crate::bundle::{RobustCost, refine_pose, variance_of_median};
use crate::covariance::{ALIKE, PoseCovariance};
use crate::estimator::pixel_size;
use crate::features::{Expectation, Feature, FeatureTracker};
use crate::lens::LensResidual;
use crate::map::{Keyframe, Map, rays};
use crate::median::median_in;

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

/// A map and the features that are followed against it.
#[derive(Debug)]
pub(crate) struct Tracking {
    pub(crate) map: Map,
    /// No pose since the last frame that is kept.
    pub(crate) lost: bool,
    /// Points seen by the newest keyframe.
    keyframe_points: usize,
    /// Features that agree with the pose last estimated, ascending.
    inliers: Vec<u64>,
    scratch: Scratch,
}

/// A point in the world and where the camera sees it on the plane `z = 1`.
type Sighting = (Vector3<f64>, Vector2<f64>);

/// What each frame needs room for.
#[derive(Debug)]
struct Scratch {
    seen: Vec<Sighting>,
    ids: Vec<u64>,
    values: Vec<f64>,
}

/// A pose and how far it may be off, in the camera's frame.
pub(crate) struct PoseEstimate {
    pub(crate) camera_from_world: Se3,
    pub(crate) covariance: Matrix6<f64>,
}

impl Tracking {
    /// With a map that has begun, and room for `max_tracks` features.
    pub(crate) fn new(map: Map, max_tracks: usize) -> Self {
        let scratch = Scratch {
            seen: Vec::with_capacity(max_tracks),
            ids: Vec::with_capacity(max_tracks),
            values: Vec::with_capacity(max_tracks),
        };
        let keyframe_points = map.point_count();
        Self { map, lost: false, keyframe_points, inliers: Vec::with_capacity(max_tracks), scratch }
    }

    /// Follows the features into a new image and gives back a better prediction of its pose.
    ///
    /// A few scouts with points in the map are searched widely; the pose that they give tells where the others are. Where
    /// the features have been lost and no scout finds them, neither would anything else: `None`.
    pub(crate) fn follow(
        &mut self,
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
    fn scout(&mut self, features: &FeatureTracker, camera: &PinholeCamera, predicted: &Se3) -> Option<Se3> {
        let (map, seen) = (&self.map, &mut self.scratch.seen);
        let lens = map.lens().residual();
        let mapped = features.features().iter().filter(|f| map.knows(f.id));
        let every = mapped.clone().count().div_ceil(SCOUTS).max(1);
        seen.clear();
        seen.extend(mapped.step_by(every).filter_map(|feature| {
            let point = map.point(feature.id)?;
            let guess = project(camera, &lens, &(*predicted * point))?;
            let pixel = features.approach(feature, guess).map(f64::from);
            Some((point, lens.correct(&camera.unproject(&pixel)?.xy())))
        }));
        let width = SCOUT_SCALE_PX * pixel_size(camera);
        let (pose, _) = refine_pose(predicted, seen, RobustCost::new(width));
        let agree = seen.iter().filter(|sighting| error(&pose, sighting) < width).count();
        (pose.is_finite() && agree >= MIN_INLIERS.max(seen.len() / 2)).then_some(pose)
    }

    /// The pose from all points seen, from the first start that leads to enough agreement.
    pub(crate) fn estimate_pose(
        &mut self,
        features: &[Feature],
        mut starts: impl Iterator<Item = Se3>,
        pixel: f64,
    ) -> Option<PoseEstimate> {
        let lens = self.map.lens().residual();
        let Scratch { seen, ids, .. } = &mut self.scratch;
        seen.clear();
        ids.clear();
        for feature in features {
            if let Some(point) = self.map.point(feature.id) {
                seen.push((point, lens.correct(&feature.ray)));
                ids.push(feature.id);
            }
        }
        starts.find_map(|start| self.pose_from(&start, pixel))
    }

    /// The pose from the points in the scratch; `None` where too few of them agree with it.
    fn pose_from(&mut self, start: &Se3, pixel: f64) -> Option<PoseEstimate> {
        let Scratch { seen, ids, values } = &mut self.scratch;
        let limit = INLIER_PX * pixel;
        let (pose, _) = refine_pose(start, seen, RobustCost::new(POSE_SCALE_PX * pixel));
        let (pose, information) = refine_pose(&pose, seen, self.map.robust_cost());
        let agreeing = ids.iter().zip(seen.iter()).filter(|(_, sighting)| error(&pose, sighting) < limit);
        self.inliers.clear();
        self.inliers.extend(agreeing.map(|(id, _)| *id));
        if !pose.is_finite() || self.inliers.len() < MIN_INLIERS.max(seen.len() / 4) {
            return None;
        }
        let errors = seen.iter().map(|sighting| error(&pose, sighting)).filter(|error| *error < limit);
        let variance = variance_of_median(median_in(values, errors)?).max((MIN_NOISE_PX * pixel).powi(2));
        let covariance = information.try_inverse().unwrap_or_else(Matrix6::identity) * (ALIKE * variance);
        Some(PoseEstimate { camera_from_world: pose, covariance })
    }

    /// Whether feature `id` agrees with the pose last estimated.
    pub(crate) fn is_inlier(&self, id: u64) -> bool {
        self.inliers.binary_search(&id).is_ok()
    }

    /// Number of features that agree with the pose last estimated.
    pub(crate) fn inlier_count(&self) -> usize {
        self.inliers.len()
    }

    /// Whether a frame at the pose last estimated shows much that the newest keyframe does not.
    pub(crate) fn needs_keyframe(
        &mut self,
        features: &[Feature],
        camera_from_world: &Se3,
        frame: &Frame,
    ) -> bool {
        let Some(keyframe) = self.map.newest() else { return true };
        let current_from_keyframe = *camera_from_world * keyframe.camera_from_world.inverse();
        let moved = |f: &Feature| {
            let rotated = current_from_keyframe.rotation * keyframe.rays.get(&f.id)?.push(1.0);
            Some((rotated.xy() / rotated.z - f.ray).norm())
        };
        let motion = median_in(&mut self.scratch.values, features.iter().filter_map(moved));
        let few = (self.inliers.len() as f64) < KEYFRAME_OVERLAP * self.keyframe_points as f64;
        let far = KEYFRAME_MOTION * frame.camera.width() as f64 * pixel_size(&frame.camera);
        few || motion.is_none_or(|motion| motion > far)
    }

    /// That of the newest keyframe, and what the fit to its map adds.
    pub(crate) fn covariance(&self, camera_from_world: &Se3, fit: Option<&Matrix6<f64>>) -> Matrix6<f64> {
        let world_from_camera = camera_from_world.inverse();
        let carried = self.map.covariance_at(&world_from_camera.translation);
        carried.in_camera_frame(&world_from_camera) + fit.copied().unwrap_or_else(Matrix6::zeros)
    }

    /// Adds a keyframe and adjusts the map; gives back the adjusted pose.
    pub(crate) fn insert_keyframe(
        &mut self,
        stamp: Timestamp,
        camera_from_world: Se3,
        features: &[Feature],
    ) -> Se3 {
        let covariance = PoseCovariance::zero();
        self.map.insert(Keyframe { stamp, camera_from_world, rays: rays(features), covariance });
        self.keyframe_points = features.iter().filter(|f| self.map.knows(f.id)).count();
        self.map.newest().map_or(camera_from_world, |k| k.camera_from_world)
    }
}

fn project(camera: &PinholeCamera, lens: &LensResidual, q: &Vector3<f64>) -> Option<Vector2<f32>> {
    let ray = (q.z > 0.0).then(|| lens.observe(&(q.xy() / q.z)))?;
    camera.project(&ray.push(1.0)).map(|pixel| pixel.map(|v| v as f32))
}

/// On the plane `z = 1`; infinite behind the camera.
fn error(camera_from_world: &Se3, (point, ray): &Sighting) -> f64 {
    let q = *camera_from_world * *point;
    if q.z > 0.0 { (q.xy() / q.z - ray).norm() } else { f64::INFINITY }
}
