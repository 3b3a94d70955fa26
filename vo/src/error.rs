//! What goes wrong with networks that see depth.

use std::path::PathBuf;

use nn::NnError;
use thiserror::Error;

/// Why a network of odometry can't be had or run.
#[derive(Debug, Error)]
pub enum VoError {
    /// A file can't be read.
    #[error("can't read {path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The network can't be made or run.
    #[error(transparent)]
    Network(#[from] NnError),
    /// The file does not describe a network of the kind wanted, or not the one that it holds.
    #[error("expected {expected}, found {found}")]
    Description {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
}
