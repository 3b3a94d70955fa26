//! What the application sees while it flies.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use vo::TrackingState;

use crate::graph::{Loss, Packet, Stage, StageError};
use crate::stages::Registered;

/// The state of the flight after a frame.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Frames that came out of the estimator.
    pub frames_done: u64,
    /// Frames in the source, where known.
    pub frame_count: Option<usize>,
    /// Frames per second over the last second or so.
    pub fps: f64,
    /// The frame and what is known of it.
    pub latest: Arc<Registered>,
}

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Frames with a pose of their own.
    pub tracked_frames: u64,
    /// Re-initialisations and restarts.
    pub resets: u32,
    /// Metres per map unit as known last, and the standard deviation relative to it.
    pub scale: Option<(f64, f64)>,
}

/// Told of every frame, on a thread that the estimator waits for: be quick.
pub type Observer = Box<dyn FnMut(&Progress) + Send>;

/// Counts, and tells the observer.
#[derive(Clone)]
pub struct ProgressSink {
    shared: Arc<Mutex<Shared>>,
    frame_count: Option<usize>,
}

struct Shared {
    observer: Observer,
    tally: Tally,
    frames_done: u64,
    admitted: VecDeque<Instant>,
}

/// Frames over which the rate is taken.
const RATE_WINDOW: usize = 31;

impl ProgressSink {
    /// A sink that tells `observer`. Clones are the same sink, so that a restart loses no count.
    pub fn new(observer: Observer, frame_count: Option<usize>) -> Self {
        let admitted = VecDeque::with_capacity(RATE_WINDOW + 1);
        let shared = Shared { observer, tally: Tally::default(), frames_done: 0, admitted };
        Self { shared: Arc::new(Mutex::new(shared)), frame_count }
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).tally
    }
}

impl Stage for ProgressSink {
    type Input = Registered;
    type Output = ();

    fn process(&mut self, input: &Packet<Registered>) -> Result<Option<()>, StageError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let odometry = &input.payload.odometry;
        shared.tally.tracked_frames += u64::from(odometry.state == TrackingState::Tracking);
        shared.tally.resets = odometry.reset_count;
        shared.tally.scale = odometry.scale.zip(odometry.scale_sigma);
        shared.frames_done += 1;
        shared.admitted.extend(input.trace.as_ref().map(|trace| trace.admitted));
        if shared.admitted.len() > RATE_WINDOW {
            shared.admitted.pop_front();
        }
        let progress = Progress {
            frames_done: shared.frames_done,
            frame_count: self.frame_count,
            fps: rate(&shared.admitted),
            latest: Arc::clone(&input.payload),
        };
        (shared.observer)(&progress);
        Ok(Some(()))
    }

    fn reset(&mut self) {}

    fn lost(&mut self, _loss: &Loss) {}
}

fn rate(admitted: &VecDeque<Instant>) -> f64 {
    let span = admitted.front().zip(admitted.back()).map_or(0.0, |(a, b)| (*b - *a).as_secs_f64());
    if span > 0.0 { (admitted.len() - 1) as f64 / span } else { 0.0 }
}
