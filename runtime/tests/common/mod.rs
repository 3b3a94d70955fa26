//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datasets::{Dataset, DatasetError, SourceInfo};
use detect::DetectError;
use geometry::{BoundingBox, Detection, Frame, GrayImage, PinholeCamera, Se3, Timestamp, Track, TrackState};
use kestrel_runtime::graph::{BranchCounters, CancelFlag, Graph, Watch};
use kestrel_runtime::run::RunDirectory;
use kestrel_runtime::stages::{
    DetectorFactory, Estimator, EstimatorFactory, Follower, FollowerFactory, ObjectDetector,
};
use kestrel_runtime::{Flight, FlightSummary, Replay};
use nalgebra::{Matrix6, Vector3, Vector6};
use track::TrackError;
use vo::{KeyframeView, Odometry, PointView, TrackView, TrackingState};

/// Frame `seq` of a 30 Hz camera of 16 x 12 pixels.
pub fn frame(seq: u64) -> Frame {
    frame_at(seq, seq as i64 * 33_333_333)
}

/// A frame with a stamp of its own.
pub fn frame_at(seq: u64, nanos: i64) -> Frame {
    Frame {
        stamp: Timestamp::from_nanos(nanos),
        seq,
        gray: Arc::new(GrayImage::from_fn(16, 12, |x, y| [(x * 7 + y * 13 + seq as usize * 3) as u8])),
        rgb: None,
        camera: camera(),
    }
}

/// The camera of [`frame`].
pub fn camera() -> Arc<PinholeCamera> {
    Arc::new(PinholeCamera::from_horizontal_fov(16, 12, 1.2).unwrap())
}

/// Runs a graph over frames, with nobody watching.
pub fn run(graph: Graph, frames: Vec<Frame>) {
    let mut escalate = |_: &_| panic!("nothing hangs here");
    let mut watch = Watch { cancel: CancelFlag::default(), escalate: &mut escalate, source_timeout: None };
    graph
        .run(&mut watch, move |entrance, step| {
            frames.into_iter().for_each(|frame| {
                entrance.offer(frame);
                step();
            });
        })
        .unwrap();
}

/// Flies into the folder `out`.
pub fn fly_into(out: &Path, flight: Flight) -> FlightSummary {
    flight.into_run(RunDirectory::create(out).unwrap()).run().unwrap()
}

/// The flight of `run` again, over `source` unless the frames are stored; without injected faults, which come from the
/// record.
pub fn replay_of(run: &Path, source: Option<Made>) -> Replay {
    let open = |_: &_| Ok(Box::new(source.unwrap()) as Box<dyn Dataset>);
    Replay::open(run, open).unwrap().with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
}

/// Flies `replay` into the folder `out`.
pub fn replay_into(out: &Path, replay: Replay) -> FlightSummary {
    replay.run(RunDirectory::create(out).unwrap()).unwrap()
}

/// What is in those files of a run.
pub fn contents(run: &Path, names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| fs::read(run.join(name)).unwrap()).collect()
}

/// In = out + dropped + failed.
pub fn assert_counted(branch: &str, c: BranchCounters) {
    assert_eq!(c.received, c.out + c.dropped + c.failed, "{branch}: {c:?}");
}

/// The same of every branch of a flight.
pub fn assert_balanced(summary: &FlightSummary) {
    summary.branches.iter().for_each(|branch| assert_counted(&branch.name, branch.counters));
}

/// A source of made frames, some of which can't be read.
pub struct Made {
    info: SourceInfo,
    frames: std::vec::IntoIter<Option<Frame>>,
    /// Pause before each frame, as a camera has.
    pub period: Duration,
}

impl Made {
    /// A recorded source of frames `0..count`.
    pub fn recorded(count: u64) -> Self {
        Self::of((0..count).map(|seq| Some(frame(seq))).collect(), false)
    }

    /// A source of `frames`; `None` is an error.
    pub fn of(frames: Vec<Option<Frame>>, live: bool) -> Self {
        let info = SourceInfo {
            name: "made".into(),
            camera: camera(),
            frame_count: Some(frames.len()),
            frame_rate: Some(30.0),
            live,
            assumptions: vec!["the world is flat".into()],
        };
        Self { info, frames: frames.into_iter(), period: Duration::ZERO }
    }
}

impl Dataset for Made {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        std::thread::sleep(self.period);
        let torn = || DatasetError::Image { path: "made/000007.png".into(), reason: "truncated".into() };
        self.frames.next().map(|frame| frame.ok_or_else(torn)).transpose()
    }
}

/// An estimator whose poses depend on every frame it has seen, and on nothing else.
pub struct DeadReckoning {
    travelled: f64,
    frames: u64,
    /// Fails on these frames, the first time they are seen.
    pub faults: Arc<Mutex<Vec<u64>>>,
    /// Time that each frame takes.
    pub period: Duration,
}

impl DeadReckoning {
    /// A factory of estimators that panic once on each of `faults`.
    pub fn factory(faults: &[u64], period: Duration) -> EstimatorFactory {
        let faults = Arc::new(Mutex::new(faults.to_vec()));
        Arc::new(move || Box::new(Self { travelled: 0.0, frames: 0, faults: Arc::clone(&faults), period }))
    }
}

impl Estimator for DeadReckoning {
    fn register_frame(&mut self, frame: &Frame) -> Odometry {
        std::thread::sleep(self.period);
        let fault = self.faults.lock().unwrap().pop_if(|seq| *seq == frame.seq);
        if fault.is_some() {
            std::panic::resume_unwind(Box::new("injected"));
        }
        let sum: u64 = frame.gray.as_slice().iter().map(|v| u64::from(*v)).sum();
        self.travelled += 0.01 + sum as f64 * 1e-7 + self.travelled * 1e-3;
        self.frames += 1;
        let pose = Se3::exp(&Vector6::new(self.travelled, 0.0, 0.1, 0.0, 1e-3 * self.travelled, 0.0));
        Odometry {
            stamp: frame.stamp,
            seq: frame.seq,
            world_from_camera: pose,
            velocity_in_world: Vector3::new(0.3, 0.0, 0.0),
            covariance: Matrix6::identity(),
            state: if self.frames < 3 { TrackingState::Initializing } else { TrackingState::Tracking },
            reset_count: 0,
            inlier_count: 40,
            scale: None,
            scale_sigma: None,
            tracks: vec![TrackView { id: 1, pixel: [4.0, 5.0], previous_pixel: [3.0, 5.0], inlier: true }],
            points: vec![PointView { id: 1, point_in_world: Vector3::new(1.0, 2.0, 5.0) }],
            keyframes: vec![KeyframeView { stamp: frame.stamp, world_from_camera: pose }],
        }
    }
}

/// A recorded source that makes its frames as they are asked for.
pub struct Endless {
    info: SourceInfo,
    next: u64,
    count: u64,
}

impl Endless {
    /// Frames `0..count`.
    pub fn new(count: u64) -> Self {
        let info = SourceInfo { frame_count: Some(count as usize), ..Made::recorded(0).info };
        Self { info, next: 0, count }
    }
}

impl Dataset for Endless {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        self.next += 1;
        Ok((self.next <= self.count).then(|| frame(self.next - 1)))
    }
}

/// A follower whose box depends on every frame it has seen, and on nothing else.
pub struct Drifter {
    at: Option<BoundingBox>,
    faults: Faults,
    period: Duration,
}

/// What a [`Drifter`] does once on a frame of that number.
pub type Faults = Arc<Mutex<Vec<(u64, Injected)>>>;

/// What is to happen on that frame, once.
fn take_fault(faults: &Faults, seq: u64) -> Option<Injected> {
    let mut faults = faults.lock().unwrap();
    let found = faults.iter().position(|(at, _)| *at == seq);
    found.map(|index| faults.remove(index).1)
}

/// Ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    Panic,
    Error,
    Stall,
}

impl Drifter {
    /// A factory of followers that fail once as `faults` say, and need `period` for a frame.
    pub fn factory(faults: &[(u64, Injected)], period: Duration) -> FollowerFactory {
        let faults = Faults::new(Mutex::new(faults.to_vec()));
        Arc::new(move || Box::new(Self { at: None, faults: Arc::clone(&faults), period }))
    }
}

impl Follower for Drifter {
    fn init(&mut self, _frame: &Frame, target: BoundingBox) -> Result<(), TrackError> {
        self.at = Some(target);
        Ok(())
    }

    fn update(&mut self, frame: &Frame) -> Result<Track, TrackError> {
        std::thread::sleep(self.period);
        match take_fault(&self.faults, frame.seq) {
            Some(Injected::Panic) => std::panic::resume_unwind(Box::new("injected")),
            Some(Injected::Error) => return Err(TrackError::NoTarget),
            Some(Injected::Stall) => std::thread::sleep(Duration::from_millis(400)),
            None => {}
        }
        let at = self.at.as_mut().ok_or(TrackError::NoTarget)?;
        let sum: u32 = frame.gray.as_slice().iter().map(|v| u32::from(*v)).sum();
        at.x += 0.01 * at.x + sum as f32 * 1e-4;
        let state = if frame.seq % 10 == 9 { TrackState::Lost } else { TrackState::Confirmed };
        let confidence = 0.3 + 0.1 * (frame.seq % 7) as f32;
        Ok(Track { id: 0, stamp: frame.stamp, bounding_box: *at, confidence, state })
    }
}

/// A detector whose boxes depend on the frame's pixels and on nothing else.
pub struct Seer {
    faults: Faults,
    period: Duration,
}

impl Seer {
    /// A factory of detectors that fail once as `faults` say, and need `period` for a look.
    pub fn factory(faults: &[(u64, Injected)], period: Duration) -> DetectorFactory {
        let faults = Faults::new(Mutex::new(faults.to_vec()));
        Arc::new(move || Ok(Box::new(Self { faults: Arc::clone(&faults), period })))
    }
}

impl ObjectDetector for Seer {
    fn detect(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
        std::thread::sleep(self.period);
        match take_fault(&self.faults, frame.seq) {
            Some(Injected::Panic) => std::panic::resume_unwind(Box::new("injected")),
            Some(Injected::Error) => {
                return Err(DetectError::Description { expected: "luck", found: "none".to_owned() });
            }
            Some(Injected::Stall) => std::thread::sleep(Duration::from_millis(400)),
            None => {}
        }
        let sum: u32 = frame.gray.as_slice().iter().map(|v| u32::from(*v)).sum();
        let count = sum as usize % 3;
        let found = |at: usize| Detection {
            bounding_box: BoundingBox::new(1.0 + 5.0 * at as f32 + (sum % 7) as f32 * 0.1, 3.0, 4.0, 4.0),
            class_id: at as u32,
            score: 0.9 - 0.1 * at as f32,
        };
        Ok((0..count).map(found).collect())
    }
}
