//! What a flight leaves behind: everything that a replay and an evaluation need, written as it happens.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use geometry::Timestamp;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;
use vo::{Odometry, TrackingState};

use super::files::{LineFile, Storage};
use super::trajectory_log::TrajectoryLog;
use crate::graph::{Admission, Fault, Loss, Outcome, Packet, Stage, StageError};
use crate::run::{ADMITTED, FRAMES, ODOMETRY, RunDirectory, TRAJECTORY_KITTI, TRAJECTORY_TUM};
use crate::stages::Registered;

/// What the recorder takes: the word of the entrance on each frame, and the odometry of those that were let in.
#[derive(Debug)]
pub enum RecorderInput {
    /// From the entrance, for every input frame, before anything else about it.
    Admission(Arc<Admission>),
    /// From the odometry.
    Registered(Arc<Registered>),
}

/// Writes the files of a run. Rows come in the order of the frames, each as soon as it is known what became of the frame.
pub struct Recorder {
    admitted: LineFile,
    trajectory: TrajectoryLog,
    odometry: LineFile,
    frames: Option<FrameFolder>,
    pending: VecDeque<Pending>,
}

struct Pending {
    seq: u64,
    stamp: Timestamp,
    outcome: Option<Outcome>,
    registered: Option<Arc<Registered>>,
}

/// One line of `odometry.jsonl`. Holds nothing that depends on time of day or on load, so that replays compare by bytes.
#[derive(Serialize)]
struct OdometryRow<'a> {
    seq: u64,
    stamp_ns: i64,
    state: &'a str,
    position: [f64; 3],
    orientation_xyzw: [f64; 4],
    velocity_in_world: [f64; 3],
    inliers: usize,
    tracks: usize,
    scale: Option<f64>,
    scale_sigma: Option<f64>,
    reset_count: u32,
}

impl Recorder {
    /// Makes the files of `run`. A file that can't be made is a fault to be told at the end, and the flight goes on.
    pub fn create(run: &RunDirectory, storage: &Arc<dyn Storage>, stores_frames: bool) -> Self {
        let file = |name: &str| LineFile::create(storage, run.path().join(name));
        let mut recorder = Self {
            admitted: file(ADMITTED),
            trajectory: TrajectoryLog::new(file(TRAJECTORY_TUM), file(TRAJECTORY_KITTI)),
            odometry: file(ODOMETRY),
            frames: stores_frames.then(|| FrameFolder::create(storage, run.path().join(FRAMES))),
            pending: VecDeque::new(),
        };
        recorder.admitted.line(|line| line.push_str("seq,stamp_ns,outcome"));
        recorder
    }

    /// Whether a scale is to come, so that poses from before it are held back to be written in metres.
    pub fn awaiting_scale(mut self, awaits: bool) -> Self {
        self.trajectory.await_scale(awaits);
        self
    }

    /// What could not be recorded, one sentence per file.
    pub fn faults(&self) -> Vec<String> {
        let [tum, kitti] = self.trajectory.files();
        let files = [&self.admitted, tum, kitti, &self.odometry].map(LineFile::fault);
        let frames = self.frames.as_ref().and_then(|frames| frames.fault.as_deref());
        files.into_iter().chain([frames]).flatten().map(str::to_string).collect()
    }

    fn admit(&mut self, seq: u64, stamp: Timestamp, admission: &Admission) {
        let outcome = Some(admission.outcome).filter(|outcome| *outcome != Outcome::Admitted);
        if let (Some(folder), Some(frame), None) = (&mut self.frames, &admission.frame, outcome) {
            folder.store(seq, frame);
        }
        self.pending.push_back(Pending { seq, stamp, outcome, registered: None });
    }

    fn resolve(&mut self, seq: u64, outcome: Outcome, registered: Option<Arc<Registered>>) {
        let waiting = self.pending.iter_mut().find(|p| p.seq == seq && p.outcome.is_none());
        if let Some(pending) = waiting {
            (pending.outcome, pending.registered) = (Some(outcome), registered);
        }
        self.write_resolved();
    }

    fn write_resolved(&mut self) {
        while let Some(pending) = self.pending.pop_front_if(|p| p.outcome.is_some()) {
            self.write(&pending);
        }
    }

    fn write(&mut self, pending: &Pending) {
        let Pending { seq, stamp, outcome, registered } = pending;
        if let Some(registered) = registered {
            self.write_odometry(*seq, *stamp, &registered.odometry);
        }
        let outcome = outcome.unwrap_or(Outcome::Failed);
        self.admitted.line(|line| {
            let _ = write!(line, "{seq},{},{}", stamp.as_nanos(), outcome.as_str());
        });
        self.trajectory.push(*stamp, registered.as_ref().map(|registered| &registered.odometry));
    }

    fn write_odometry(&mut self, seq: u64, stamp: Timestamp, odometry: &Odometry) {
        let pose = odometry.world_from_camera;
        let row = OdometryRow {
            seq,
            stamp_ns: stamp.as_nanos(),
            state: state_name(odometry.state),
            position: pose.translation.into(),
            orientation_xyzw: pose.xyzw(),
            velocity_in_world: odometry.velocity_in_world.into(),
            inliers: odometry.inlier_count,
            tracks: odometry.tracks.len(),
            scale: odometry.scale,
            scale_sigma: odometry.scale_sigma,
            reset_count: odometry.reset_count,
        };
        // A row of plain numbers has no way to fail; were there one, the row would be left out.
        if let Ok(json) = serde_json::to_string(&row) {
            self.odometry.line(|line| line.push_str(&json));
        }
    }
}

fn state_name(state: TrackingState) -> &'static str {
    match state {
        TrackingState::Initializing => "initializing",
        TrackingState::Tracking => "tracking",
        TrackingState::Lost => "lost",
    }
}

/// The frames of a live flight, without loss: `frames/000042.png` in grey, `frames/000042.rgb.png` where there is colour.
struct FrameFolder {
    path: PathBuf,
    storage: Arc<dyn Storage>,
    fault: Option<String>,
}

impl FrameFolder {
    fn create(storage: &Arc<dyn Storage>, path: PathBuf) -> Self {
        let mut folder = Self { path, storage: Arc::clone(storage), fault: None };
        if let Err(error) = std::fs::create_dir_all(&folder.path) {
            folder.fail(&error.to_string());
        }
        folder
    }

    fn store(&mut self, seq: u64, frame: &geometry::Frame) {
        let (width, height) = frame.size();
        self.store_image(&frame_file(seq), frame.gray.as_slice(), width, height, ExtendedColorType::L8);
        if let Some(rgb) = &frame.rgb {
            self.store_image(&color_file(seq), rgb.as_slice(), width, height, ExtendedColorType::Rgb8);
        }
    }

    fn store_image(
        &mut self,
        name: &str,
        pixels: &[u8],
        width: usize,
        height: usize,
        color: ExtendedColorType,
    ) {
        if self.fault.is_some() {
            return;
        }
        let path = self.path.join(name);
        let mut png = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Up);
        let encoded = encoder.write_image(pixels, width as u32, height as u32, color);
        let written = encoded.map_err(|error| error.to_string()).and_then(|()| {
            let write = |mut file: Box<dyn super::files::Record>| file.write_all(&png);
            self.storage.create(&path).and_then(write).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            self.fail(&error);
            // Half an image is no image.
            let _ = std::fs::remove_file(&path);
        }
    }

    fn fail(&mut self, error: &str) {
        let fault = format!("can't write frames to {}: {error}; those before are kept", self.path.display());
        tracing::error!("{fault}");
        self.fault = Some(fault);
    }
}

/// Name of a frame's grey image in the folder of frames.
pub(crate) fn frame_file(seq: u64) -> String {
    format!("{seq:06}.png")
}

/// Name of a frame's colour image in the folder of frames.
pub(crate) fn color_file(seq: u64) -> String {
    format!("{seq:06}.rgb.png")
}

/// The recorder as a sink. Clones share the files, so that a restart goes on where it was.
#[derive(Clone)]
pub struct RecorderSink {
    recorder: Arc<Mutex<Recorder>>,
}

impl RecorderSink {
    /// A sink that writes with `recorder`.
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder: Arc::new(Mutex::new(recorder)) }
    }

    /// What could not be recorded so far.
    pub fn faults(&self) -> Vec<String> {
        self.lock().faults()
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for RecorderSink {
    type Input = RecorderInput;
    type Output = ();

    fn process(&mut self, input: &Packet<RecorderInput>) -> Result<Option<()>, StageError> {
        let mut recorder = self.lock();
        match &*input.payload {
            RecorderInput::Admission(admission) => {
                recorder.admit(input.seq, input.stamp, admission);
                // A frame that was not let in needs no answer and may already be at the head.
                recorder.write_resolved();
            }
            RecorderInput::Registered(registered) => {
                recorder.resolve(input.seq, Outcome::Admitted, Some(Arc::clone(registered)));
            }
        }
        Ok(Some(()))
    }

    fn reset(&mut self) {}

    fn lost(&mut self, loss: &Loss) {
        let outcome = match loss.fault {
            Fault::NoOutput => Outcome::Admitted,
            Fault::BadStamp { .. } => Outcome::Failed,
            _ => Outcome::Restarted,
        };
        self.lock().resolve(loss.seq, outcome, None);
    }

    fn finish(&mut self) -> Result<(), StageError> {
        let mut recorder = self.lock();
        while let Some(pending) = recorder.pending.pop_front() {
            recorder.write(&pending);
        }
        recorder.trajectory.finish();
        Ok(())
    }
}
