//! The command line as people and scripts meet it: the real binary on tiny data.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside test functions")]

mod bad_input;
mod common;
mod data_check;
mod depth;
mod detect;
mod doctor;
mod eval;
mod eval_detection;
mod eval_tracking;
mod follow;
mod help;
mod model;
mod pose;
mod replay;
mod run;
mod scale;
mod track;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_vo;
mod world;
