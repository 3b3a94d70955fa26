//! One file per subcommand.

mod completions;
mod data_check;
mod demo;
mod depth;
mod detect;
mod detection_source;
mod doctor;
mod eval_depth;
mod eval_detection;
mod eval_odometry;
mod eval_peers;
mod eval_tracking;
mod eval_vedai;
mod labels;
mod model_compare;
mod model_inspect;
mod model_quantize;
mod model_run;
mod pose;
mod replay;
mod run;
mod track;
#[cfg(feature = "train")]
mod train_detector;
#[cfg(feature = "train")]
mod train_vo;
#[cfg(feature = "train")]
mod training;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};

#[cfg(feature = "train")]
use crate::cli::TrainCommand;
use crate::cli::{Cli, Command, DataCommand, EvalCommand, ModelCommand};

/// The run ended, but some of its frames or files are incomplete.
pub(crate) const INCOMPLETE: u8 = 3;
/// A video that nothing can be learnt from.
pub(crate) const UNUSABLE: u8 = 4;
/// A stage hung for good; `EX_SOFTWARE` of sysexits.
pub(crate) const HUNG: i32 = 70;

/// Does what was typed.
pub(crate) fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Depth(args) => depth::depth(&args),
        Command::Pose(args) => pose::pose(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Eval(EvalCommand::Odometry(args)) => eval_odometry::eval_odometry(&args),
        Command::Eval(EvalCommand::Peers(args)) => eval_peers::eval_peers(&args),
        Command::Eval(EvalCommand::Tracking(args)) => eval_tracking::eval_tracking(&args),
        Command::Eval(EvalCommand::Detection(args)) => eval_detection::eval_detection(&args),
        Command::Eval(EvalCommand::Depth(args)) => eval_depth::eval_depth(&args),
        Command::Eval(EvalCommand::Vedai(args)) => eval_vedai::eval_vedai(&args),
        Command::Data(DataCommand::Check(args)) => data_check::data_check(&args),
        Command::Model(ModelCommand::Run(args)) => model_run::model_run(&args),
        Command::Model(ModelCommand::Inspect(args)) => model_inspect::model_inspect(&args),
        Command::Model(ModelCommand::Quantize(args)) => model_quantize::model_quantize(&args),
        Command::Model(ModelCommand::Compare(args)) => model_compare::model_compare(&args),
        Command::Detect(args) => detect::detect(&args),
        Command::Track(args) => track::track(&args),
        #[cfg(feature = "train")]
        Command::Train(TrainCommand::Detector(args)) => train_detector::train_detector(&args),
        #[cfg(feature = "train")]
        Command::Train(TrainCommand::Vo(args)) => train_vo::train_vo(&args),
        Command::World(args) => world::world(&args),
        Command::Completions { shell } => completions::completions(shell),
    }
}

/// Only an earlier report may be replaced: a slip of the finger must not cost a trajectory.
fn ensure_replaceable(path: &Path) -> anyhow::Result<()> {
    let is_report =
        std::fs::read_to_string(path).map_or(!path.exists(), |text| text.starts_with("<!doctype html>"));
    ensure!(is_report, "expected a new file or an earlier report for --report, found {}", path.display());
    Ok(())
}

/// The file's name; its whole path where several files share it.
fn name_of(path: &Path, all: &[PathBuf]) -> String {
    let is_unique = all.iter().filter(|other| other.file_name() == path.file_name()).count() == 1;
    let name = path.file_name().filter(|_| is_unique).unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Refuses an output folder around the input: an earlier run there is moved away, and the input would go with it.
fn ensure_apart(input: &Path, out: &Path) -> anyhow::Result<()> {
    let is_around =
        input.canonicalize().ok().zip(out.canonicalize().ok()).is_some_and(|(i, o)| i.starts_with(o));
    ensure!(!is_around, "expected another folder for --out, found {}, which holds the input", out.display());
    Ok(())
}

/// Puts `bytes` in the place of the file at `path`: whole, or what was there stays.
fn replace_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let replaced = std::fs::write(&next, bytes).and_then(|()| std::fs::rename(&next, path));
    if replaced.is_err() {
        // A part of it is of no use; that it can't be removed either is the smaller evil.
        let _ = std::fs::remove_file(&next);
    }
    replaced.with_context(|| format!("can't write {}", path.display()))
}

/// The value in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
