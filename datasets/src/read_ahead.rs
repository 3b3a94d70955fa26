//! Decoding on a thread of its own, ahead of use.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use geometry::Frame;

use crate::{Dataset, DatasetError, GroundTruth, SourceInfo};

/// How long dropping waits for a read that is under way (a camera that does not answer may take ten seconds).
const PATIENCE: Duration = Duration::from_secs(1);

/// A source that is read on a thread of its own, up to `capacity` frames ahead.
///
/// Frames and errors arrive in the order the source gave them. A live source is read at most one frame ahead: what is
/// not taken in time gets lost in the camera's own queue, and what is taken is fresh.
pub struct ReadAhead {
    info: SourceInfo,
    ground_truth: Option<GroundTruth>,
    /// `None` once the end has been seen.
    frames: Option<Receiver<Reading>>,
    /// Disconnects when the thread has let go of the source.
    stopped: Receiver<()>,
}

/// What [`Dataset::next_frame`] returned.
type Reading = Result<Option<Frame>, DatasetError>;

impl ReadAhead {
    /// Starts to read `source`, keeping at most `capacity` frames (at least one; one for a live source) waiting.
    ///
    /// # Errors
    /// [`DatasetError::Capture`] where the system grants no thread.
    pub fn new(source: impl Dataset + 'static, capacity: usize) -> Result<Self, DatasetError> {
        let (info, ground_truth) = (source.info().clone(), source.ground_truth().cloned());
        let capacity = if info.live { 1 } else { capacity.max(1) };
        let (sender, frames) = bounded(capacity);
        let (stop_sender, stopped) = bounded(0);
        let reader = thread::Builder::new().name("read-ahead".into());
        let started = reader.spawn(move || read_all(source, &sender, stop_sender));
        match started {
            Ok(_) => Ok(Self { info, ground_truth, frames: Some(frames), stopped }),
            Err(error) => Err(DatasetError::Capture { source_name: info.name, reason: error.to_string() }),
        }
    }
}

/// Reads until the source ends or nobody listens. Takes the source and the stop signal so that they are dropped in this
/// order: who waits for the signal may open the device again.
fn read_all(source: impl Dataset, frames: &Sender<Reading>, stopped: Sender<()>) {
    // Reverse order of declaration: the source goes first, also when it panics.
    let _stopped = stopped;
    let mut source = source;
    loop {
        let reading = source.next_frame();
        let end = matches!(reading, Ok(None));
        if frames.send(reading).is_err() || end {
            return;
        }
    }
}

impl Dataset for ReadAhead {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some(frames) = &self.frames else { return Ok(None) };
        let reading = frames.recv();
        if !matches!(reading, Ok(Ok(Some(_)) | Err(_))) {
            self.frames = None;
        }
        // The thread says when the source ends; one that goes without a word has panicked.
        reading.unwrap_or_else(|_| {
            Err(DatasetError::Capture {
                source_name: self.info.name.clone(),
                reason: "its reader crashed; see the log".into(),
            })
        })
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        self.ground_truth.as_ref()
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // A send that waits fails now, and the thread ends.
        self.frames = None;
        if self.stopped.recv_timeout(PATIENCE).is_err_and(|error| error.is_timeout()) {
            tracing::warn!(source = self.info.name, "a read does not end; its thread is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use super::*;
    use crate::scripted::Scripted;

    #[test]
    fn frames_and_errors_keep_their_order() {
        let mut source = ReadAhead::new(Scripted::of(5).failing_at(2), 2).unwrap();
        assert_eq!(source.info().frame_count, Some(5));
        for seq in 0..5 {
            match source.next_frame() {
                Ok(frame) => assert_eq!(frame.unwrap().seq, seq),
                Err(error) => assert!(seq == 2 && matches!(error, DatasetError::Image { .. })),
            }
        }
        assert!(source.next_frame().unwrap().is_none());
        assert!(source.next_frame().unwrap().is_none());
    }

    fn read_ahead_of(source: Scripted, capacity: usize) -> usize {
        let made = Arc::clone(&source.made);
        let _reader = ReadAhead::new(source, capacity).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        // The queue full and one frame in hand.
        while made.load(Ordering::SeqCst) < capacity.min(2) + 1 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(50));
        made.load(Ordering::SeqCst)
    }

    #[test]
    fn reading_stops_at_the_capacity() {
        assert_eq!(read_ahead_of(Scripted::of(100), 2), 3);
        assert_eq!(read_ahead_of(Scripted::of(100).live(), 8), 2);
    }

    #[test]
    fn dropping_stops_the_thread_and_releases_the_source() {
        let scripted = Scripted::of(usize::MAX);
        let made = Arc::clone(&scripted.made);
        let mut source = ReadAhead::new(scripted, 4).unwrap();
        source.next_frame().unwrap();
        let start = Instant::now();
        drop(source);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert_eq!(made.load(Ordering::SeqCst), usize::MAX, "the source is still held");
    }

    #[test]
    fn a_crash_is_an_error_and_then_the_end() {
        let mut source = ReadAhead::new(Scripted::of(5).panicking_at(1), 4).unwrap();
        assert!(source.next_frame().unwrap().is_some());
        assert!(matches!(source.next_frame(), Err(DatasetError::Capture { .. })));
        assert!(source.next_frame().unwrap().is_none());
    }
}
