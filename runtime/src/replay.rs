//! Flying a recorded run again.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datasets::{Dataset, DatasetError};
use vo::NetworkPrior;

use crate::flight::{DETECT, FOLLOW, Log, ODOMETRY, next_frame, note_error};
use crate::graph::{CancelFlag, Entrance, Graph, Limiter, Outcome, Schedule};
use crate::run::{
    AdmittedRow, DepthTable, DetectTable, DetectionRow, FollowTable, Manifest, PoseTable, RunDirectory,
    StoredFrames, TargetRow, detection_record, odometry_record, read_admitted, read_detections, read_target,
    target_record,
};
use crate::sinks::Progress;
use crate::stages::{
    DepthEstimate, DepthFactory, Detected, DetectorFactory, EstimatorFactory, Followed, FollowerFactory,
    PoseFactory,
};
use crate::summary::Ended;
use crate::{Flight, FlightConfig, FlightSummary, RuntimeError};

/// A replay about to begin: the frames that a flight let in, and its restarts, once more and inline. The estimator sees
/// exactly what it saw in flight, so the trajectory is the same to the last byte wherever it is deterministic.
pub struct Replay {
    manifest: Manifest,
    rows: Vec<AdmittedRow>,
    target_rows: Vec<TargetRow>,
    detection_rows: Vec<DetectionRow>,
    flight: Flight,
}

/// Replays the run in `run_dir` into `out_dir`; `open` opens the source of a run whose frames are not stored with it.
///
/// # Errors
/// As [`Replay::open`] and [`Replay::run`].
pub fn replay(
    run_dir: &Path,
    out_dir: &Path,
    open: impl FnOnce(&Manifest) -> Result<Box<dyn Dataset>, DatasetError>,
) -> Result<FlightSummary, RuntimeError> {
    Replay::open(run_dir, open)?.run(RunDirectory::create(out_dir)?)
}

impl Replay {
    /// Reads a run and opens its frames: those stored with it, or else the source that `open` gives.
    ///
    /// # Errors
    /// [`RuntimeError`] where the run can't be understood or its source not be opened.
    pub fn open(
        run_dir: &Path,
        open: impl FnOnce(&Manifest) -> Result<Box<dyn Dataset>, DatasetError>,
    ) -> Result<Self, RuntimeError> {
        let (manifest, rows) = (Manifest::read(run_dir)?, read_admitted(run_dir)?);
        let (target_rows, detection_rows) = (read_target(run_dir)?, read_detections(run_dir)?);
        let source: Box<dyn Dataset> = match manifest.source.frames_stored {
            true => Box::new(StoredFrames::open(run_dir)?),
            false => open(&manifest)?,
        };
        let config = FlightConfig {
            schedule: Schedule::Inline,
            vo: manifest.to_vo_config(run_dir)?,
            follow: manifest.follow.map(FollowTable::to_choice),
            source_spec: manifest.source.to_spec(),
            window: manifest.source.to_window(),
            max_in_flight: manifest.flight.max_in_flight,
            odometry_deadline: Duration::from_millis(manifest.flight.odometry_deadline_ms),
            warm_up_frames: manifest.flight.warm_up_frames,
            stores_frames: Some(false),
            ..FlightConfig::default()
        };
        Ok(Self { manifest, rows, target_rows, detection_rows, flight: Flight::new(source, config) })
    }

    /// What was flown.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Replays with another estimator: the one that flew, or one to compare with it.
    pub fn with_estimator(self, estimator: EstimatorFactory) -> Self {
        Self { flight: self.flight.with_estimator(estimator), ..self }
    }

    /// As [`Flight::with_depth_prior`].
    pub fn with_depth_prior(self, prior: Arc<NetworkPrior>) -> Self {
        Self { flight: self.flight.with_depth_prior(prior), ..self }
    }

    /// Replays with another follower than [`Tracker`](track::Tracker).
    pub fn with_follower(self, follower: FollowerFactory) -> Self {
        Self { flight: self.flight.with_follower(follower), ..self }
    }

    /// Looks for objects again with what `factory` makes, where the flight did; without this, a replay doesn't.
    pub fn with_detector(self, factory: DetectorFactory) -> Self {
        match self.manifest.detect.as_ref().map(DetectTable::to_choice) {
            Some(choice) => Self { flight: self.flight.with_detector(choice, factory), ..self },
            None => self,
        }
    }

    /// Sees depth again with what `factory` makes, where the flight did; without this, a replay doesn't.
    pub fn with_depth(self, factory: DepthFactory) -> Self {
        match self.manifest.depth.as_ref().map(DepthTable::to_choice) {
            Some(choice) => Self { flight: self.flight.with_depth(choice, factory), ..self },
            None => self,
        }
    }

    /// Sees motion by a network again with what `factory` makes, where the flight did; without this, a replay doesn't.
    pub fn with_pose(self, factory: PoseFactory) -> Self {
        match self.manifest.pose.as_ref().map(PoseTable::to_choice) {
            Some(choice) => Self { flight: self.flight.with_pose(choice, factory), ..self },
            None => self,
        }
    }

    /// As [`Flight::depth_observed_by`].
    pub fn depth_observed_by(self, observer: impl FnMut(&Arc<DepthEstimate>) + Send + 'static) -> Self {
        Self { flight: self.flight.depth_observed_by(observer), ..self }
    }

    /// As [`Flight::detections_observed_by`].
    pub fn detections_observed_by(self, observer: impl FnMut(&Arc<Detected>) + Send + 'static) -> Self {
        Self { flight: self.flight.detections_observed_by(observer), ..self }
    }

    /// As [`Flight::observed_by`].
    pub fn observed_by(self, observer: impl FnMut(&Progress) + Send + 'static) -> Self {
        Self { flight: self.flight.observed_by(observer), ..self }
    }

    /// As [`Flight::target_observed_by`].
    pub fn target_observed_by(self, observer: impl FnMut(&Arc<Followed>) + Send + 'static) -> Self {
        Self { flight: self.flight.target_observed_by(observer), ..self }
    }

    /// As [`Flight::cancelled_by`].
    pub fn cancelled_by(self, cancel: CancelFlag) -> Self {
        Self { flight: self.flight.cancelled_by(cancel), ..self }
    }

    /// Whether a recording for the rerun viewer is written too.
    pub fn with_recording(mut self, recording: bool) -> Self {
        self.flight.set_recording(recording);
        self
    }

    /// Images per second of flight in that recording: see [`FlightConfig::image_rate_hz`](crate::FlightConfig::image_rate_hz).
    pub fn with_image_rate(mut self, image_rate_hz: f64) -> Self {
        self.flight.set_image_rate(image_rate_hz);
        self
    }

    /// Flies it again, into `run`.
    ///
    /// # Errors
    /// [`RuntimeError::ReplayMismatch`] where the source gives other frames than the recorded flight had; else as
    /// [`Flight::run`].
    pub fn run(self, run: RunDirectory) -> Result<FlightSummary, RuntimeError> {
        let flight = self.flight.into_run(run);
        let graph = Graph::new(Schedule::Inline)
            .with_warm_up(self.manifest.flight.warm_up_frames)
            .without_stamp_checks()
            .repeating(ODOMETRY, odometry_record(&self.rows))
            .repeating(FOLLOW, target_record(&self.rows, &self.target_rows))
            .repeating(DETECT, detection_record(&self.rows, &self.detection_rows));
        let (cancel, rows) = (flight.cancel_flag(), self.rows);
        let stored = self.manifest.source.frames_stored;
        let mismatch = Arc::new(Mutex::new(None));
        let found = Arc::clone(&mismatch);
        let summary = flight.fly(graph, Limiter::Wait(1), None, move |source, entrance, step, log| {
            let repeated = rows.iter().take_while(|_| !cancel.is_cancelled()).try_for_each(|row| {
                let frame =
                    if stored { stored_frame(source, row, log) } else { recorded_frame(source, row, log) };
                repeat(entrance, row, frame?);
                step();
                Ok(())
            });
            *found.lock().unwrap_or_else(PoisonError::into_inner) = repeated.err();
            if cancel.is_cancelled() { Ended::Cancelled } else { Ended::EndOfSource }
        })?;
        let mismatch = mismatch.lock().unwrap_or_else(PoisonError::into_inner).take();
        mismatch.map_or(Ok(summary), Err)
    }
}

type Found = Result<Option<geometry::Frame>, RuntimeError>;

/// Of the frames of a live flight only those that were let in were stored.
fn stored_frame(source: &mut dyn Dataset, row: &AdmittedRow, log: &Log) -> Found {
    if row.was_let_in() { recorded_frame(source, row, log) } else { Ok(None) }
}

/// A recorded source gives every frame again, in the same order.
fn recorded_frame(source: &mut dyn Dataset, row: &AdmittedRow, log: &Log) -> Found {
    let mismatch = |found| RuntimeError::ReplayMismatch { seq: row.seq, expected: row.stamp, found };
    match next_frame(source) {
        Ok(Some(frame)) if frame.stamp == row.stamp || row.outcome != Outcome::Admitted => Ok(Some(frame)),
        Ok(Some(frame)) => Err(mismatch(format!("{} s", frame.stamp))),
        Ok(None) => Err(mismatch("the end of the source".into())),
        Err(error) => {
            note_error(log, error);
            Ok(None)
        }
    }
}

fn repeat(entrance: &Entrance, row: &AdmittedRow, frame: Option<geometry::Frame>) {
    let outcome = match (row.outcome, &frame) {
        (Outcome::Admitted, None) => Outcome::Failed,
        (outcome, _) => outcome,
    };
    entrance.repeat(row.seq, row.stamp, outcome, frame);
}
