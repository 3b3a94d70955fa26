//! What goes wrong with networks and the kernels that run them.

use thiserror::Error;

/// Why a layer or a network can't be built or run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NnError {
    /// No kernel goes by that name, or this processor can't run it.
    #[error("expected one of the kernels of this machine ({available}), found {name}")]
    Kernel {
        /// The name asked for.
        name: String,
        /// Names of the kernels that run here, separated by commas.
        available: String,
    },
    /// A parameter, input or output has another number of values than the layer's shape says.
    #[error("expected {expected} values of {what}, found {found}")]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// Values that the shape asks for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A size, stride or padding that makes no layer.
    #[error("expected {expected}, found {found}")]
    Shape {
        /// What a layer of this kind needs.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A file that is no network of fixed shapes.
    #[error("expected an ONNX network of fixed shapes, found {problem}")]
    File {
        /// What it is instead.
        problem: String,
    },
    /// A node of a network that can't be run.
    #[error("node {node} ({op}): {problem}")]
    Node {
        /// Its name, or that of its first output.
        node: String,
        /// What it computes.
        op: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Threads that can't be had.
    #[error("expected threads for a network, found {threads}: {problem}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        problem: String,
    },
    /// A channel whose sums or rescaled results don't fit 32 bits, or whose scale is no positive number.
    #[error(
        "expected sums and results of 32 bits, found channel {channel} to reach {reach} times {multiplier}"
    )]
    Range {
        /// The output channel.
        channel: usize,
        /// Largest magnitude of its sum, over all inputs.
        reach: i64,
        /// Its factor from sums to output steps.
        multiplier: String,
    },
}

/// `Ok` where `found` values of `what` are as many as `expected`.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), NnError> {
    if expected == found { Ok(()) } else { Err(NnError::Length { what, expected, found }) }
}
