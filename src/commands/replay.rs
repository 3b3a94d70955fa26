//! `kestrel replay`: a recorded flight once more.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use datasets::Dataset;
use runtime::Replay;
use runtime::run::{FollowTable, RunDirectory, ScaleTable, TRAJECTORY_KITTI};

use crate::cli::ReplayArgs;
use crate::commands::run::{cancel_on_signal, ensure_identified, observer, own_target, own_truth};
use crate::commands::{INCOMPLETE, ensure_apart};
use crate::depths::{self, DepthFilm};
use crate::detections::DetectionFilm;
use crate::detector_file::DetectorFile;
use crate::films::Films;
use crate::finish::{Landed, Truth};
use crate::logging::say;
use crate::poses;
use crate::target::TargetFilm;

pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let (mut truth, mut target_truth) = (Truth::None, None);
    let replay = Replay::open(&args.run, |manifest| {
        let source = datasets::open_ahead(&manifest.source.to_spec(), manifest.source.to_window())?;
        (truth, target_truth) = (own_truth(&source), own_target(&source));
        Ok(Box::new(source) as Box<dyn Dataset>)
    })?;
    let title = format!("{}, replayed", replay.manifest().source.name);
    let flown = replay.manifest().detect.as_ref().filter(|_| !args.no_detector);
    let detector = flown.map(DetectorFile::as_flown).transpose()?;
    ensure_identified(replay.manifest().follow.map(FollowTable::to_choice).as_ref(), detector.is_some())?;
    let flown = replay.manifest().depth.as_ref().filter(|_| !args.no_depth);
    let depth = flown.map(depths::as_flown).transpose()?;
    let network = flown.map(|flown| (&*flown.network, &*flown.fingerprint));
    let prior = match replay.manifest().scale {
        ScaleTable::Depth { metres_per_unit } => Some(depths::prior(metres_per_unit, network)?),
        _ => None,
    };
    let flown = replay.manifest().pose.as_ref().filter(|_| !args.no_pose);
    let pose = flown.map(poses::as_flown).transpose()?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("replay"));
    ensure_apart(&args.run, &out)?;
    let run = RunDirectory::create(&out)?;
    let films = Films::default();
    let replay = replay.with_recording(!args.no_recording).with_image_rate(args.image_rate);
    let replay = replay
        .observed_by(observer(None, &films))
        .target_observed_by(TargetFilm::observer(&films.target))
        .detections_observed_by(DetectionFilm::observer(&films.objects))
        .depth_observed_by(DepthFilm::observer(&films.depths));
    let replay = match detector {
        Some(detector) => replay.with_detector(detector),
        None => replay,
    };
    let replay = match depth {
        Some(depth) => replay.with_depth(depth),
        None => replay,
    };
    let replay = match pose {
        Some(pose) => replay.with_pose(pose),
        None => replay,
    };
    let replay = match prior {
        Some(prior) => replay.with_depth_prior(prior),
        None => replay,
    };
    let summary = replay.cancelled_by(cancel_on_signal()?).run(run.clone())?;
    let likeness = likeness(&read(&args.run)?, &read(run.path())?);
    say(likeness.sentence());
    let landed = Landed { title, run: &run, summary, truth, films: &films, target_truth, json: args.json };
    let code = landed.finish()?;
    Ok(if likeness == Likeness::Different { ExitCode::from(INCOMPLETE) } else { code })
}

fn read(run: &Path) -> anyhow::Result<String> {
    let path = run.join(TRAJECTORY_KITTI);
    std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
}

/// How a replayed trajectory compares with the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Same,
    /// The recording stops before the flight did: a full disk, a killed process.
    SameAsFarAsRecorded,
    Different,
}

fn likeness(recorded: &str, replayed: &str) -> Likeness {
    match replayed.strip_prefix(recorded) {
        Some("") => Likeness::Same,
        Some(_) => Likeness::SameAsFarAsRecorded,
        None => Likeness::Different,
    }
}

impl Likeness {
    fn sentence(self) -> &'static str {
        match self {
            Self::Same => "the trajectory is that of the recorded flight, to the last byte",
            Self::SameAsFarAsRecorded => {
                "the trajectory is that of the recorded flight as far as that was recorded"
            }
            Self::Different => {
                "the trajectory differs from that of the recorded flight: see both run.toml for versions and numbers"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_cut_short_is_told_from_another_trajectory() {
        assert_eq!(likeness("a\nb\n", "a\nb\n"), Likeness::Same);
        assert_eq!(likeness("a\n", "a\nb\n"), Likeness::SameAsFarAsRecorded);
        assert_eq!(likeness("a\nc\n", "a\nb\n"), Likeness::Different);
    }
}
