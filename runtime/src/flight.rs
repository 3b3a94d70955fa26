//! From a source to a run directory: the facade.

mod branches;
mod views;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datasets::{Dataset, SourceInfo, SourceSpec, WindowSpec};
use geometry::Frame;
#[cfg(feature = "viewer")]
use geometry::Trajectory;
#[cfg(feature = "viewer")]
use rerun::RecordingStream;
use serde_json::Map;
use track::{Tracker, TrackerConfig};
use vo::{NetworkPrior, ScaleSource, VisualOdometry, VoConfig};

use crate::RuntimeError;
use crate::graph::{
    CancelFlag, Entrance, Graph, HungStage, Input, Limiter, Port, Schedule, Supervision, Watch, process_cpu,
};
use crate::run::{
    FlightTable, MANIFEST, Manifest, RunDirectory, SourceTable, VersionsTable, write_scale_samples,
};
#[cfg(feature = "viewer")]
use crate::sinks::RerunTarget;
use crate::sinks::files::{Disk, Storage};
use crate::sinks::{
    DepthObserver, DepthSink, DetectionObserver, DetectionSink, Observer, PoseSink, Progress, ProgressSink,
    Recorder, RecorderInput, RecorderSink, TargetObserver, TargetSink,
};
use crate::stages::{
    Anchor, DepthChoice, DepthEstimate, DepthFactory, DepthScaledOdometry, DetectChoice, Detected,
    DetectorFactory, EstimatorFactory, Followed, FollowerFactory, OdometryStage, PoseChoice, PoseEstimate,
    PoseFactory, TargetChoice,
};
use crate::summary::{Ended, FlightSummary, SourceLog};

/// The numbers of a flight.
#[derive(Clone, Debug, PartialEq)]
pub struct FlightConfig {
    /// Threads to fly, inline to evaluate.
    pub schedule: Schedule,
    /// Numbers of the estimator.
    pub vo: VoConfig,
    /// The target to follow, if any.
    pub follow: Option<TargetChoice>,
    /// What the user typed for the source; a replay opens it again.
    pub source_spec: SourceSpec,
    /// Which of its frames are flown; a replay flies the same.
    pub window: WindowSpec,
    /// Frames of a live source under way at once; more are dropped. A recorded source waits for each of its frames.
    pub max_in_flight: u64,
    /// Longest time for one frame before the odometry counts as stalled.
    pub odometry_deadline: Duration,
    /// The same for the tracker.
    pub follow_deadline: Duration,
    /// The same for the detector. Long, because a slow one is no hung one: of a large frame it has to look at a hundred parts, and a
    /// stage that misses its deadline again and again ends the flight.
    pub detect_deadline: Duration,
    /// The same for the depth network.
    pub depth_deadline: Duration,
    /// The same for the pose network.
    pub pose_deadline: Duration,
    /// Frames at the start that the latencies leave out.
    pub warm_up_frames: u64,
    /// Source errors in a row that end the flight.
    pub max_source_errors: usize,
    /// Longest silence of a live source.
    pub source_timeout: Duration,
    /// Whether the frames are stored; `None` for only those of a live source, which can't be had again.
    pub stores_frames: Option<bool>,
    /// Whether a recording for the rerun viewer is written into the run directory.
    pub recording: bool,
    /// Images per second of flight that the recording and the live viewer are sent at most, 0 for none; poses, points and
    /// plots are sent for every frame. An image costs about as much CPU time as it takes to decode.
    pub image_rate_hz: f64,
    /// A viewer to be shown everything live.
    pub viewer: Viewer,
}

/// A live viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// None.
    #[default]
    Headless,
    /// One that listens at this address: `rerun+http://127.0.0.1:9876/proxy`.
    Connect(String),
    /// The `rerun` on the path, started for this flight.
    Spawn,
}

impl Default for FlightConfig {
    fn default() -> Self {
        Self {
            schedule: Schedule::Threads,
            vo: VoConfig::default(),
            follow: None,
            source_spec: SourceSpec::default(),
            window: WindowSpec::default(),
            max_in_flight: 2,
            odometry_deadline: Duration::from_secs(2),
            follow_deadline: Duration::from_secs(2),
            detect_deadline: Duration::from_secs(60),
            depth_deadline: Duration::from_secs(10),
            pose_deadline: Duration::from_secs(10),
            warm_up_frames: 10,
            max_source_errors: 50,
            source_timeout: Duration::from_secs(10),
            stores_frames: None,
            recording: false,
            image_rate_hz: 5.0,
            viewer: Viewer::Headless,
        }
    }
}

/// A flight about to begin.
///
/// ```no_run
/// # use kestrel_runtime::{Flight, FlightConfig, run::RunDirectory};
/// let run = RunDirectory::create("out".as_ref())?;
/// let source = datasets::open(&datasets::SourceSpec::new("world:nadir"))?;
/// let flight = Flight::new(source, FlightConfig::default()).into_run(run);
/// let summary = flight.observed_by(|progress| eprintln!("{:.1} fps", progress.fps)).run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Flight {
    source: Box<dyn Dataset>,
    config: FlightConfig,
    estimator: EstimatorFactory,
    follower: FollowerFactory,
    detector: Option<(DetectChoice, DetectorFactory)>,
    depth: Option<(DepthChoice, DepthFactory)>,
    pose: Option<(PoseChoice, PoseFactory)>,
    run: Option<RunDirectory>,
    storage: Arc<dyn Storage>,
    observer: Observer,
    target_observer: TargetObserver,
    detection_observer: DetectionObserver,
    depth_observer: DepthObserver,
    cancel: CancelFlag,
    escalate: Box<dyn FnMut(&HungStage)>,
}

impl Flight {
    /// A flight over `source` that nobody watches and that leaves nothing behind.
    pub fn new(source: Box<dyn Dataset>, config: FlightConfig) -> Self {
        let vo = config.vo.clone();
        Self {
            source,
            config,
            estimator: Arc::new(move || Box::new(VisualOdometry::new(vo.clone()))),
            follower: Arc::new(|| Box::new(Tracker::new(TrackerConfig::default()))),
            detector: None,
            depth: None,
            pose: None,
            run: None,
            storage: Arc::new(Disk),
            observer: Box::new(|_| ()),
            target_observer: Box::new(|_| ()),
            detection_observer: Box::new(|_| ()),
            depth_observer: Box::new(|_| ()),
            cancel: CancelFlag::default(),
            escalate: Box::new(|_| ()),
        }
    }

    /// Records into `run`.
    pub fn into_run(self, run: RunDirectory) -> Self {
        Self { run: Some(run), ..self }
    }

    /// Makes the recorder's files by `storage` instead of on the disk.
    pub fn with_storage(self, storage: Arc<dyn Storage>) -> Self {
        Self { storage, ..self }
    }

    /// Flies another estimator than [`VisualOdometry`].
    pub fn with_estimator(self, estimator: EstimatorFactory) -> Self {
        Self { estimator, ..self }
    }

    /// Flies [`VisualOdometry`] that reads its scale from `prior` ([`vo::ScaleSource::Depth`]).
    pub fn with_depth_prior(self, prior: Arc<NetworkPrior>) -> Self {
        let vo = self.config.vo.clone();
        self.with_estimator(Arc::new(move || {
            let odometry = VisualOdometry::new(vo.clone());
            Box::new(DepthScaledOdometry::new(odometry, Arc::clone(&prior)))
        }))
    }

    /// Follows the target with another follower than [`Tracker`].
    pub fn with_follower(self, follower: FollowerFactory) -> Self {
        Self { follower, ..self }
    }

    /// Looks for objects as `choice` says, with what `factory` makes.
    pub fn with_detector(self, choice: DetectChoice, factory: DetectorFactory) -> Self {
        Self { detector: Some((choice, factory)), ..self }
    }

    /// Sees depth as `choice` says, with what `factory` makes.
    pub fn with_depth(self, choice: DepthChoice, factory: DepthFactory) -> Self {
        Self { depth: Some((choice, factory)), ..self }
    }

    /// Sees motion by a network too, as `choice` says, with what `factory` makes.
    pub fn with_pose(self, choice: PoseChoice, factory: PoseFactory) -> Self {
        Self { pose: Some((choice, factory)), ..self }
    }

    /// Tells `observer` of every frame whose depth was seen, in order; what sees depth waits for it.
    pub fn depth_observed_by(self, observer: impl FnMut(&Arc<DepthEstimate>) + Send + 'static) -> Self {
        Self { depth_observer: Box::new(observer), ..self }
    }

    /// Tells `observer` of every frame that reached the detector, in order; the detector waits for it.
    pub fn detections_observed_by(self, observer: impl FnMut(&Arc<Detected>) + Send + 'static) -> Self {
        Self { detection_observer: Box::new(observer), ..self }
    }

    /// Tells `observer` of every frame that the tracker took, in order; the tracker waits for it.
    pub fn target_observed_by(self, observer: impl FnMut(&Arc<Followed>) + Send + 'static) -> Self {
        Self { target_observer: Box::new(observer), ..self }
    }

    /// Tells `observer` of every frame, in order and without exception; the estimator waits for it.
    pub fn observed_by(self, observer: impl FnMut(&Progress) + Send + 'static) -> Self {
        Self { observer: Box::new(observer), ..self }
    }

    /// Ends early, and cleanly, when `cancel` says so.
    pub fn cancelled_by(self, cancel: CancelFlag) -> Self {
        Self { cancel, ..self }
    }

    /// Calls `escalate` where a stage hangs for good; see [`Watch::escalate`].
    pub fn escalating_to(self, escalate: impl FnMut(&HungStage) + 'static) -> Self {
        Self { escalate: Box::new(escalate), ..self }
    }

    /// Flies to the end of the source.
    ///
    /// # Errors
    /// [`RuntimeError`] where the flight can't begin or its metrics not be written. What goes wrong on the way is in the
    /// summary: see [`FlightSummary::is_clean`].
    pub fn run(self) -> Result<FlightSummary, RuntimeError> {
        let limiter = match self.source.info().live {
            true => Limiter::Drop(self.config.max_in_flight),
            // One at a time: a second would only wait, and make the latency look worse than it is.
            false => Limiter::Wait(1),
        };
        let source_timeout = self.source.info().live.then_some(self.config.source_timeout);
        let graph = Graph::new(self.config.schedule).with_warm_up(self.config.warm_up_frames);
        let (cancel, patience) = (self.cancel.clone(), self.config.max_source_errors);
        self.fly(graph, limiter, source_timeout, move |source, entrance, step, log| {
            pump(source, entrance, step, &cancel, patience, log)
        })
    }

    pub(crate) fn cancel_flag(&self) -> CancelFlag {
        self.cancel.clone()
    }

    pub(crate) fn set_recording(&mut self, recording: bool) {
        self.config.recording = recording;
    }

    pub(crate) fn set_image_rate(&mut self, image_rate_hz: f64) {
        self.config.image_rate_hz = image_rate_hz;
    }

    /// What both a flight and a replay do, around the function that feeds the entrance.
    pub(crate) fn fly(
        mut self,
        graph: Graph,
        limiter: Limiter,
        source_timeout: Option<Duration>,
        feed: impl FnOnce(&mut dyn Dataset, &Entrance, &dyn Fn(), &Log) -> Ended + Send + 'static,
    ) -> Result<FlightSummary, RuntimeError> {
        let info = self.source.info().clone();
        let mut summary = FlightSummary::of(&info, self.config.warm_up_frames, &self.config.vo.scale);
        let sinks = self.open_sinks(&info)?;
        let graph = self.build(graph, limiter, info.live, &sinks);
        let (meters, log) = (graph.meters(), Log::default());
        let (began, cpu_before) = (Instant::now(), process_cpu());
        let mut source = self.source;
        let source_log = Arc::clone(&log);
        let mut watch = Watch { cancel: self.cancel.clone(), escalate: &mut self.escalate, source_timeout };
        let hung = graph.run(&mut watch, move |entrance, step| {
            let ended = feed(&mut *source, entrance, step, &source_log);
            lock(&source_log).ended = Some(ended);
        });
        let hung = hung.map_err(RuntimeError::Thread)?;
        sinks.end_recording();
        lock(&log).cancelled = self.cancel.is_cancelled();
        summary.measure(&meters, sinks.progress.tally(), began.elapsed(), process_cpu() - cpu_before);
        summary.measure_target(&meters, sinks.target.as_ref().map(TargetSink::tally));
        let choice = self.detector.as_ref().map(|(choice, _)| choice);
        summary.measure_detections(&meters, choice.zip(sinks.detections.as_ref().map(DetectionSink::tally)));
        let choice = self.depth.as_ref().map(|(choice, _)| choice);
        summary.measure_depth(&meters, choice.zip(sinks.depth.as_ref().map(DepthSink::looks)));
        let choice = self.pose.as_ref().map(|(choice, _)| choice);
        summary.measure_pose(&meters, choice.zip(sinks.pose.as_ref().map(PoseSink::poses)));
        summary.end(&hung, lock(&log).clone());
        summary.recording_faults = sinks.faults();
        if let Some(run) = &self.run
            && let Err(error) = summary.write(run, Map::new())
        {
            // A full disk must not cost the summary itself.
            summary.recording_faults.push(error.to_string());
        }
        Ok(summary)
    }

    /// The graph, from the entrance to the sinks.
    fn build(&self, mut graph: Graph, limiter: Limiter, is_live: bool, sinks: &Sinks) -> Graph {
        let source = graph.entrance(limiter);

        let (estimator, anchor) = (Arc::clone(&self.estimator), Anchor::default());
        let deadline = Supervision::with_deadline(self.config.odometry_deadline);
        let odometry = graph.stage(ODOMETRY, source.frames.block(ROOM), deadline, move || {
            Ok(OdometryStage::new(Arc::clone(&estimator), anchor.clone()))
        });

        let progress = sinks.progress.clone();
        graph.sink("progress", odometry.block(ROOM), Supervision::default(), move || Ok(progress.clone()));

        let detected = self.add_detector(&mut graph, &source.frames, is_live, sinks);
        let looks = Looks {
            followed: self.add_follower(&mut graph, &source.frames, detected.as_ref(), is_live, sinks),
            detected,
            depth: self.add_depth(&mut graph, &source.frames, is_live, sinks),
            pose: self.add_pose(&mut graph, &source.frames, is_live, sinks),
        };

        if let Some(recorder) = sinks.recorder.clone() {
            let everything = Input::merged(
                RECORDER_ROOM,
                [source.admissions.map(RecorderInput::Admission), odometry.map(RecorderInput::Registered)],
            );
            graph.sink("recorder", everything, Supervision::default(), move || Ok(recorder.clone()));
        }

        self.add_views(&mut graph, &odometry, &looks, sinks);
        graph
    }

    fn open_sinks(&mut self, info: &SourceInfo) -> Result<Sinks, RuntimeError> {
        let observer = std::mem::replace(&mut self.observer, Box::new(|_| ()));
        let progress = ProgressSink::new(observer, info.frame_count);
        let target_observer = std::mem::replace(&mut self.target_observer, Box::new(|_| ()));
        let stores_frames = self.config.stores_frames.unwrap_or(info.live);
        let recorder = match &self.run {
            Some(run) => {
                run.write(MANIFEST, &self.manifest(info, stores_frames).to_toml()?)?;
                let scale = &self.config.vo.scale;
                write_scale_samples(run, scale)?;
                let recorder = Recorder::create(run, &self.storage, stores_frames);
                Some(RecorderSink::new(recorder.awaiting_scale(*scale != ScaleSource::None)))
            }
            None => None,
        };
        #[cfg(feature = "viewer")]
        let truth = self.source.ground_truth().and_then(|truth| truth.trajectory.clone());
        let target = self.config.follow.map(|_| match &self.run {
            Some(run) => TargetSink::new(target_observer).recording_into(run, &self.storage),
            None => TargetSink::new(target_observer),
        });
        let detection_observer = std::mem::replace(&mut self.detection_observer, Box::new(|_| ()));
        let detections = self.detector.as_ref().map(|(choice, _)| {
            let sink = DetectionSink::new(detection_observer, choice.classes.clone());
            self.run.iter().fold(sink, |sink, run| sink.recording_into(run, &self.storage))
        });
        let depth_observer = std::mem::replace(&mut self.depth_observer, Box::new(|_| ()));
        let depth = self.depth.as_ref().map(|_| DepthSink::new(depth_observer));
        let pose = self.pose.as_ref().map(|_| {
            let sink = PoseSink::default();
            self.run.iter().fold(sink, |sink, run| sink.recording_into(run, &self.storage))
        });
        Ok(Sinks {
            progress,
            recorder,
            target,
            detections,
            depth,
            pose,
            #[cfg(feature = "viewer")]
            recording: self.open_recording(truth.as_ref())?,
            #[cfg(feature = "viewer")]
            viewer: self.open_viewer()?,
            #[cfg(feature = "viewer")]
            truth,
        })
    }

    fn manifest(&self, info: &SourceInfo, frames_stored: bool) -> Manifest {
        let config = &self.config;
        Manifest {
            source: SourceTable {
                spec: config.source_spec.source.clone(),
                calibration: config.source_spec.calibration.clone(),
                fov_deg: config.source_spec.fov_deg,
                skip: config.window.skip,
                stride: config.window.stride,
                max_frames: config.window.max_frames,
                name: info.name.clone(),
                live: info.live,
                frames_stored,
                assumptions: info.assumptions.clone(),
                camera: (&*info.camera).into(),
            },
            flight: FlightTable {
                schedule: config.schedule,
                max_in_flight: config.max_in_flight,
                odometry_deadline_ms: config.odometry_deadline.as_millis() as u64,
                warm_up_frames: config.warm_up_frames,
            },
            vo: (&config.vo).into(),
            scale: (&config.vo.scale).into(),
            follow: config.follow.as_ref().map(Into::into),
            detect: self.detector.as_ref().map(|(choice, _)| choice.into()),
            depth: self.depth.as_ref().map(|(choice, _)| choice.into()),
            pose: self.pose.as_ref().map(|(choice, _)| choice.into()),
            versions: VersionsTable::default(),
        }
    }
}

/// Names of the stages that a replay lets restart where they did in flight.
pub(crate) const ODOMETRY: &str = "odometry";
pub(crate) const FOLLOW: &str = "follow";
pub(crate) const DETECT: &str = "detect";
pub(crate) const DEPTH: &str = "depth";
pub(crate) const POSE: &str = "pose";
/// Messages a consumer may fall behind.
const ROOM: usize = 4;
/// The same for the recorder, which may have to wait for the disk.
const RECORDER_ROOM: usize = 32;
/// Source errors kept with their text.
const ERRORS_KEPT: usize = 100;

/// The sinks whose state is read after the flight.
struct Sinks {
    progress: ProgressSink,
    recorder: Option<RecorderSink>,
    target: Option<TargetSink>,
    detections: Option<DetectionSink>,
    depth: Option<DepthSink>,
    pose: Option<PoseSink>,
    #[cfg(feature = "viewer")]
    recording: Option<RecordingStream>,
    #[cfg(feature = "viewer")]
    viewer: Option<RerunTarget>,
    #[cfg(feature = "viewer")]
    truth: Option<Trajectory>,
}

/// What looks at frames beside the odometry, where it does.
#[cfg_attr(not(feature = "viewer"), expect(dead_code, reason = "only viewers ask"))]
struct Looks {
    followed: Option<Port<Followed>>,
    detected: Option<Port<Detected>>,
    depth: Option<Port<DepthEstimate>>,
    pose: Option<Port<PoseEstimate>>,
}

impl Sinks {
    /// Writes the end of the recording, once nobody writes into it any more.
    fn end_recording(&self) {
        #[cfg(feature = "viewer")]
        if let Some(recording) = &self.recording {
            recording.finalize_deferred_sinks();
        }
    }

    /// What could not be recorded.
    fn faults(&self) -> Vec<String> {
        let of_recorder = self.recorder.iter().flat_map(RecorderSink::faults);
        let of_target = self.target.iter().filter_map(TargetSink::fault);
        let of_detections = self.detections.iter().filter_map(DetectionSink::fault);
        let of_pose = self.pose.iter().filter_map(PoseSink::fault);
        of_recorder.chain(of_target).chain(of_detections).chain(of_pose).collect()
    }
}

pub(crate) type Log = Arc<Mutex<SourceLog>>;

pub(crate) fn lock(log: &Log) -> std::sync::MutexGuard<'_, SourceLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Feeds the entrance from the source until one of them ends.
fn pump(
    source: &mut dyn Dataset,
    entrance: &Entrance,
    step: &dyn Fn(),
    cancel: &CancelFlag,
    max_errors: usize,
    log: &Log,
) -> Ended {
    let mut errors_in_a_row = 0;
    while !cancel.is_cancelled() && !entrance.is_closed() {
        match next_frame(source) {
            Ok(Some(frame)) => {
                errors_in_a_row = 0;
                entrance.offer(frame);
            }
            Ok(None) => return Ended::EndOfSource,
            Err(error) => {
                errors_in_a_row += 1;
                note_error(log, error);
                entrance.fail();
            }
        }
        step();
        if errors_in_a_row > max_errors {
            return Ended::TooManySourceErrors;
        }
    }
    if cancel.is_cancelled() { Ended::Cancelled } else { Ended::SourceSilent }
}

/// The next frame, or why there is none; a source that panics has an error.
pub(crate) fn next_frame(source: &mut dyn Dataset) -> Result<Option<Frame>, String> {
    let result = catch_unwind(AssertUnwindSafe(|| source.next_frame()));
    result.map_err(|panic| format!("the source panicked: {}", text_of(&*panic)))?.map_err(|e| e.to_string())
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

pub(crate) fn note_error(log: &Log, error: String) {
    tracing::error!("{error}");
    let mut log = lock(log);
    if log.errors.len() < ERRORS_KEPT {
        log.errors.push(error);
    }
}
