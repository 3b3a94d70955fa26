//! What goes wrong when frames are read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a source can't be opened or a frame not be read. Says what was expected, what was found and where.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// A file can't be opened or read.
    #[error("can't read {path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder can't be made or written.
    #[error("can't write {path}: {source}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of a text file is not what its format says.
    #[error("expected {expected}, found {found} at line {line} of {path}", path = path.display())]
    Line {
        /// What the format asks for.
        expected: String,
        /// What stands there.
        found: String,
        /// Counted from 1.
        line: usize,
        /// Which file.
        path: PathBuf,
    },
    /// A file or folder as a whole is not what it should be.
    #[error("expected {expected}, found {found} in {path}", path = path.display())]
    Content {
        /// What was needed.
        expected: String,
        /// What is there.
        found: String,
        /// Where.
        path: PathBuf,
    },
    /// What was asked for makes no sense by itself.
    #[error("expected {expected}, found {found}")]
    Argument {
        /// What is needed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An image does not decode.
    #[error("can't decode image {path}: {reason}", path = path.display())]
    Image {
        /// Which.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// A camera, video or pipeline does not deliver.
    #[error("can't capture from {source_name}: {reason}")]
    Capture {
        /// The device, file or pipeline.
        source_name: String,
        /// Why.
        reason: String,
    },
}
