//! What can go wrong around a flight.

use std::io;
use std::path::PathBuf;

use geometry::Timestamp;
use thiserror::Error;

/// Why a flight or a replay did not begin, or could not be brought to an end. What goes wrong in between costs frames
/// and is told in the [`FlightSummary`](crate::FlightSummary).
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// A file or folder of the run can't be made, read or written.
    #[error("can't {action} {path}: {source}", path = path.display())]
    Io {
        /// `create`, `read`, `write` or `rename`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds a file of ours without a run to go with it.
    #[error("expected a folder without {name}, found one in {path}: move it away or choose another folder", path = path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The file in the way.
        name: &'static str,
    },
    /// A file of a recorded run is not what it should be.
    #[error("expected {expected}, found {found} at line {line} of {path}", path = path.display())]
    Line {
        /// What the format asks for.
        expected: &'static str,
        /// What stands there.
        found: String,
        /// Counted from 1.
        line: usize,
        /// Which file.
        path: PathBuf,
    },
    /// `run.toml` can't be understood.
    #[error("can't understand {path}: {reason}", path = path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The source of a replay can't be opened or read.
    #[error("can't replay: {0}")]
    Source(#[from] datasets::DatasetError),
    /// The source of a replay is not the one that was recorded.
    #[error(
        "can't replay: expected frame {seq} with stamp {expected} s as in the recorded flight, found {found}"
    )]
    ReplayMismatch {
        /// Number of the frame.
        seq: u64,
        /// Recorded stamp.
        expected: Timestamp,
        /// What the source gave.
        found: String,
    },
    /// The system gives no threads.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    /// The viewer or its recording can't be opened.
    #[error("can't open the viewer at {target}: {reason}")]
    Viewer {
        /// File or address.
        target: String,
        /// Why.
        reason: String,
    },
}
