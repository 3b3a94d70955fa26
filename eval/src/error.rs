//! What can go wrong between a file of estimates and a figure.

use std::path::PathBuf;

use thiserror::Error;

/// Why estimates can't be read, joined, evaluated or shown.
#[derive(Debug, Error)]
pub enum EvalError {
    /// The file can't be opened or is not text.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row is not what its format asks for.
    #[error("{path}, line {line}: expected {expected}, found {found}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What the format asks for.
        expected: String,
        /// What the row holds.
        found: String,
    },
    /// The file has no rows.
    #[error("{path}: expected at least one pose, found none")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Rows of one file are counted, those of the other stamped, and their numbers differ.
    #[error(
        "cannot join {ground_truth} ground truth with {estimate} estimate: frame numbers and stamps have nothing in common, \
         and joining row by row needs equally many rows, found {ground_truth_rows} and {estimate_rows}"
    )]
    CannotJoin {
        /// Format of the ground truth.
        ground_truth: String,
        /// Its number of poses.
        ground_truth_rows: usize,
        /// Format of the estimate.
        estimate: String,
        /// Its number of poses.
        estimate_rows: usize,
    },
    /// Not one pose of the estimate has a partner.
    #[error(
        "expected poses of the same moments, found no match between {ground_truth} ground-truth poses ({ground_truth_span}) \
         and {estimate} estimated poses ({estimate_span}), joined {rule}"
    )]
    NothingMatches {
        /// Number of ground-truth poses.
        ground_truth: usize,
        /// Their first and last stamp.
        ground_truth_span: String,
        /// Number of estimated poses.
        estimate: usize,
        /// Their first and last stamp.
        estimate_span: String,
        /// How they were joined.
        rule: String,
    },
    /// A file or folder as a whole is not what it should be.
    #[error("{path}: expected {expected}, found {found}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What was needed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// What a peer left behind is not what was agreed.
    #[error("{path}: expected {expected}, found {found}")]
    Peer {
        /// The file.
        path: PathBuf,
        /// What a peer leaves.
        expected: String,
        /// What this one left.
        found: String,
    },
    /// A number of the protocol makes no sense.
    #[error("expected {expected}, found {found}")]
    Protocol {
        /// What the protocol needs.
        expected: &'static str,
        /// What was asked for.
        found: String,
    },
    /// A chart could not be drawn.
    #[error("cannot draw chart `{chart}`: {reason}")]
    Chart {
        /// Title of the chart.
        chart: String,
        /// What the plotting library said.
        reason: String,
    },
    /// A sample frame could not be compressed.
    #[error("cannot embed frame `{caption}`: {reason}")]
    Frame {
        /// Caption of the frame.
        caption: String,
        /// What the image library said.
        reason: String,
    },
    /// A report could not be written.
    #[error("cannot write report {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
