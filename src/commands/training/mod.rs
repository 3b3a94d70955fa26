//! What every training shows: a file of curves, and a page with plots of them.

mod curves;
mod plots;

pub(super) use curves::{Curves, Row, Table};
pub(super) use plots::{mean, of_time, plot, time_figures};

/// All that a training needs to go on.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// What it was asked to do.
pub(super) const CONFIGURATION: &str = "config.json";
/// Its curves.
pub(super) const CURVES: &str = "curves.csv";
/// The page about it.
pub(super) const PAGE: &str = "report.html";
