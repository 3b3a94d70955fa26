//! `kestrel replay`: a recorded flight once more.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use datasets::Dataset;
use runtime::Replay;
use runtime::run::{RunDirectory, TRAJECTORY_KITTI};

use crate::cli::ReplayArgs;
use crate::commands::ensure_apart;
use crate::commands::run::{cancel_on_signal, observer, own_truth};
use crate::finish::{Landed, Truth};
use crate::logging::say;
use crate::snapshots::Snapshots;

pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut truth = Truth::None;
    let replay = Replay::open(&args.run, |manifest| {
        let source = datasets::open_ahead(&manifest.source.to_spec(), manifest.source.to_window())?;
        truth = own_truth(&source);
        Ok(Box::new(source) as Box<dyn Dataset>)
    })?;
    let title = format!("{}, replayed", replay.manifest().source.name);
    let out = args.out.clone().unwrap_or_else(|| args.run.join("replay"));
    ensure_apart(&args.run, &out)?;
    let run = RunDirectory::create(&out)?;
    let snapshots = Arc::new(Mutex::new(Snapshots::default()));
    let replay = replay.with_recording(!args.no_recording).observed_by(observer(None, &snapshots));
    let summary = replay.cancelled_by(cancel_on_signal()?).run(run.clone())?;
    say(if same_trajectory(args, &run) {
        "the trajectory is that of the recorded flight, to the last byte"
    } else {
        "the trajectory differs from that of the recorded flight: see both run.toml for versions and numbers"
    });
    let snapshots = snapshots.lock().unwrap_or_else(PoisonError::into_inner);
    Landed { title, run: &run, summary, truth, snapshots: &snapshots, json: args.json }.finish()
}

fn same_trajectory(args: &ReplayArgs, run: &RunDirectory) -> bool {
    let read = |folder: &std::path::Path| std::fs::read(folder.join(TRAJECTORY_KITTI)).ok();
    read(&args.run).is_some_and(|recorded| Some(recorded) == read(run.path()))
}
