//! Frames to odometry.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use geometry::{DepthImage, Frame, Se3};
use vo::{NetworkPrior, Odometry, TrackingState, VisualOdometry};

use crate::graph::{Packet, Stage, StageError};

/// Anything that says where the camera is, frame by frame: no threads, no clock, the same answers for the same frames.
pub trait Estimator: Send + 'static {
    /// Takes the next frame and says where its camera is.
    fn register_frame(&mut self, frame: &Frame) -> Odometry;

    /// Depth of the frame registered last, where the estimator has it.
    fn depth(&self) -> Option<Arc<DepthImage>> {
        None
    }
}

impl Estimator for VisualOdometry {
    fn register_frame(&mut self, frame: &Frame) -> Odometry {
        Self::register_frame(self, frame)
    }
}

/// Odometry that reads its scale from a depth network.
pub struct DepthScaledOdometry {
    odometry: VisualOdometry,
    prior: Arc<NetworkPrior>,
}

impl DepthScaledOdometry {
    /// `odometry` with `prior`.
    pub fn new(odometry: VisualOdometry, prior: Arc<NetworkPrior>) -> Self {
        Self { odometry: odometry.with_depth_prior(Arc::clone(&prior) as _), prior }
    }
}

impl Estimator for DepthScaledOdometry {
    fn register_frame(&mut self, frame: &Frame) -> Odometry {
        self.prior.show(frame);
        self.odometry.register_frame(frame)
    }
}

/// Makes an estimator that has seen nothing.
pub type EstimatorFactory = Arc<dyn Fn() -> Box<dyn Estimator> + Send + Sync>;

/// A frame with what the estimator says about it.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The frame; shares its pixels with all other stages.
    pub frame: Frame,
    /// Where its camera is.
    pub odometry: Odometry,
    /// Depth of the frame, where the estimator has it.
    pub depth: Option<Arc<DepthImage>>,
}

/// Runs an [`Estimator`], and carries the trajectory on where a restart would let it begin at the origin again.
pub struct OdometryStage {
    factory: EstimatorFactory,
    anchor: Anchor,
    estimator: Box<dyn Estimator>,
    life: Life,
}

/// What outlives a restart. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Anchor(Arc<Mutex<Life>>);

/// From one restart to the next.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// Counts the restarts, so that a stage that was given up can no longer move the anchor.
    generation: u64,
    /// Where the estimator's world lies in the flight's.
    world_from_estimator: Se3,
    /// Added to the estimator's own count.
    reset_count: u32,
    /// Whether anything came of it.
    used: bool,
}

impl Default for Life {
    fn default() -> Self {
        Self { generation: 0, world_from_estimator: Se3::identity(), reset_count: 0, used: false }
    }
}

impl Anchor {
    fn lock(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the next life where the last one ended.
    fn next_life(&self) -> Life {
        let mut life = self.lock();
        life.generation += 1;
        life.reset_count += u32::from(life.used);
        life.used = false;
        *life
    }

    /// Notes where the camera is, if `generation` is still the living one.
    fn note(&self, generation: u64, odometry: &Odometry) {
        let mut life = self.lock();
        if life.generation == generation && odometry.world_from_camera.is_finite() {
            life.world_from_estimator = odometry.world_from_camera;
            life.reset_count = odometry.reset_count;
            life.used = true;
        }
    }
}

impl OdometryStage {
    /// A fresh estimator that goes on from `anchor`.
    pub fn new(factory: EstimatorFactory, anchor: Anchor) -> Self {
        let (estimator, life) = (factory(), anchor.next_life());
        Self { factory, anchor, estimator, life }
    }

    fn in_flight_world(&self, odometry: Odometry) -> Odometry {
        let world_from_estimator = self.life.world_from_estimator;
        let mut odometry = Odometry {
            world_from_camera: world_from_estimator * odometry.world_from_camera,
            velocity_in_world: world_from_estimator.rotation * odometry.velocity_in_world,
            reset_count: self.life.reset_count + odometry.reset_count,
            ..odometry
        };
        for point in &mut odometry.points {
            point.point_in_world = world_from_estimator * point.point_in_world;
        }
        for keyframe in &mut odometry.keyframes {
            keyframe.world_from_camera = world_from_estimator * keyframe.world_from_camera;
        }
        odometry
    }
}

impl Stage for OdometryStage {
    type Input = Frame;
    type Output = Registered;

    fn process(&mut self, input: &Packet<Frame>) -> Result<Option<Registered>, StageError> {
        let in_own_world = self.estimator.register_frame(&input.payload);
        let odometry = self.in_flight_world(in_own_world);
        if odometry.state == TrackingState::Tracking && !odometry.world_from_camera.is_finite() {
            return Err("expected a finite pose, found NaN or infinity".into());
        }
        self.anchor.note(self.life.generation, &odometry);
        let frame = (*input.payload).clone();
        Ok(Some(Registered { frame, odometry, depth: self.estimator.depth() }))
    }

    fn reset(&mut self) {
        self.estimator = (self.factory)();
        self.life = self.anchor.next_life();
    }
}
