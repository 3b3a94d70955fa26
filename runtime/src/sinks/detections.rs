//! What was found: to the application, into the counts and into `detections.csv`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{LineFile, Storage};
use crate::graph::{Loss, Packet, Stage, StageError};
use crate::run::{DETECTIONS, DETECTIONS_HEADER, DetectionOutcome, DetectionRow, RunDirectory};
use crate::stages::Detected;

/// Told of every frame that reached the detector, on a thread that it waits for: be quick.
pub type DetectionObserver = Box<dyn FnMut(&Arc<Detected>) + Send>;

/// What was found, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionTally {
    /// Frames that the detector looked at.
    pub looks: u64,
    /// Objects found, for each class; an object counts at each look.
    pub per_class: Vec<u64>,
    /// Identities that were given out.
    pub identities: u64,
}

/// The sink of the detector. Clones share counts and file, so that a restart goes on where it was.
#[derive(Clone)]
pub struct DetectionSink {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    observer: DetectionObserver,
    classes: Vec<String>,
    tally: DetectionTally,
    file: Option<LineFile>,
}

impl DetectionSink {
    /// A sink that tells `observer`; `classes` are the names of the detector's.
    pub fn new(observer: DetectionObserver, classes: Vec<String>) -> Self {
        let tally = DetectionTally { per_class: vec![0; classes.len()], ..DetectionTally::default() };
        Self { shared: Arc::new(Mutex::new(Shared { observer, classes, tally, file: None })) }
    }

    /// Writes `detections.csv` into `run` too. A file that can't be made is a fault to be told at the end.
    pub fn recording_into(self, run: &RunDirectory, storage: &Arc<dyn Storage>) -> Self {
        let mut file = LineFile::create(storage, run.path().join(DETECTIONS));
        file.line(|line| line.push_str(DETECTIONS_HEADER));
        self.lock().file = Some(file);
        self
    }

    /// The counts so far.
    pub fn tally(&self) -> DetectionTally {
        self.lock().tally.clone()
    }

    /// Why the file is not complete.
    pub fn fault(&self) -> Option<String> {
        self.lock().file.as_ref().and_then(|file| file.fault().map(str::to_owned))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn write(&mut self, row: &DetectionRow) {
        if let Some(file) = &mut self.file {
            file.line(|line| {
                let _ = write!(line, "{row}");
            });
        }
    }

    fn count(&mut self, detected: &Detected) {
        let Some(look) = &detected.look else { return };
        self.tally.looks += 1;
        for found in look {
            if let Some(count) = self.tally.per_class.get_mut(found.detection.class_id as usize) {
                *count += 1;
            }
            let identities = found.id.map_or(0, |id| id + 1);
            self.tally.identities = self.tally.identities.max(identities);
        }
    }
}

impl Stage for DetectionSink {
    type Input = Detected;
    type Output = ();

    fn process(&mut self, input: &Packet<Detected>) -> Result<Option<()>, StageError> {
        let mut shared = self.lock();
        shared.count(&input.payload);
        let rows = DetectionRow::of(input.seq, &input.payload, &shared.classes);
        rows.iter().for_each(|row| shared.write(row));
        (shared.observer)(&input.payload);
        Ok(Some(()))
    }

    fn reset(&mut self) {}

    fn lost(&mut self, loss: &Loss) {
        if loss.fault.restarts() {
            let outcome = DetectionOutcome::Restarted;
            self.lock().write(&DetectionRow { seq: loss.seq, stamp: loss.stamp, outcome });
        }
    }
}
