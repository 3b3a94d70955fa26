//! What is known of the target: to the application, into the counts and into `target.csv`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{LineFile, Storage};
use crate::graph::{Loss, Packet, Stage, StageError};
use crate::run::{RunDirectory, TARGET, TARGET_HEADER, TargetOutcome, TargetRow};
use crate::stages::{Followed, Sight};

/// Told of every frame that the tracker took, on a thread that the tracker waits for: be quick.
pub type TargetObserver = Box<dyn FnMut(&Arc<Followed>) + Send>;

/// In how many frames the target was seen, and how well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetTally {
    /// Frames in which it was seen for certain, that of the choice included.
    pub confident: u64,
    /// Frames in which it was probably seen.
    pub unsure: u64,
    /// Frames in which it was not seen.
    pub lost: u64,
}

/// The sink of the tracker. Clones share counts and file, so that a restart goes on where it was.
#[derive(Clone)]
pub struct TargetSink {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    observer: TargetObserver,
    tally: TargetTally,
    file: Option<LineFile>,
}

impl TargetSink {
    /// A sink that tells `observer`.
    pub fn new(observer: TargetObserver) -> Self {
        let shared = Shared { observer, tally: TargetTally::default(), file: None };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Writes `target.csv` into `run` too. A file that can't be made is a fault to be told at the end.
    pub fn recording_into(self, run: &RunDirectory, storage: &Arc<dyn Storage>) -> Self {
        let mut file = LineFile::create(storage, run.path().join(TARGET));
        file.line(|line| line.push_str(TARGET_HEADER));
        self.lock().file = Some(file);
        self
    }

    /// The counts so far.
    pub fn tally(&self) -> TargetTally {
        self.lock().tally
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
    fn write(&mut self, row: &TargetRow) {
        if let Some(file) = &mut self.file {
            file.line(|line| {
                let _ = write!(line, "{row}");
            });
        }
    }

    fn count(&mut self, row: &TargetRow) {
        let TargetOutcome::Followed { sight, .. } = row.outcome else { return };
        match sight {
            Sight::Confident => self.tally.confident += 1,
            Sight::Unsure => self.tally.unsure += 1,
            Sight::Lost => self.tally.lost += 1,
        }
    }
}

impl Stage for TargetSink {
    type Input = Followed;
    type Output = ();

    fn process(&mut self, input: &Packet<Followed>) -> Result<Option<()>, StageError> {
        let mut shared = self.lock();
        let row = TargetRow::of(input.seq, &input.payload);
        shared.count(&row);
        shared.write(&row);
        (shared.observer)(&input.payload);
        Ok(Some(()))
    }

    fn reset(&mut self) {}

    fn lost(&mut self, loss: &Loss) {
        if loss.fault.restarts() {
            let row = TargetRow { seq: loss.seq, stamp: loss.stamp, outcome: TargetOutcome::Restarted };
            self.lock().write(&row);
        }
    }
}
