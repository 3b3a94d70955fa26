//! What goes wrong with detectors.

use std::path::PathBuf;

use nn::NnError;
use thiserror::Error;

/// Why a detector can't be made or run.
#[derive(Debug, Error)]
pub enum DetectError {
    /// A file can't be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The network can't be made or run.
    #[error(transparent)]
    Network(#[from] NnError),
    /// The file does not describe a detector, or not the one that it holds.
    #[error("expected {expected}, found {found}")]
    Description {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
}
