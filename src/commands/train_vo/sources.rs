//! From what was typed to clips.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use datasets::{Dataset, DatasetError, SourceSpec, Undistorted, Window, WindowSpec, open};
use geometry::Trajectory;
use vo::train::{Clip, ClipOptions};

use crate::cli::TrainVoArgs;
use crate::logging::say;
use crate::progress::FrameProgress;

/// A source that teaches.
pub(super) struct Lesson {
    pub(super) clip: Clip,
    /// Where its camera truly was, where it says so.
    pub(super) truth: Option<Trajectory>,
}

/// The clips of all `paths`, in the size that networks see. A source that teaches nothing is named and left out.
///
/// # Errors
/// Where a source can't be opened, or none teaches anything.
pub(super) fn lessons(paths: &[String], args: &TrainVoArgs) -> anyhow::Result<Vec<Lesson>> {
    let options = ClipOptions {
        step: args.window.stride,
        is_guided: args.guidance > 0.0,
        is_examined: args.only_usable,
    };
    let mut lessons = Vec::new();
    let mut last = None;
    for path in paths.iter().flat_map(|path| sequences(path)) {
        let mut source = source(&path, args).with_context(|| path.clone())?;
        let mut progress = FrameProgress::new(source.info().frame_count.map(|count| count as u64));
        for assumption in &source.info().assumptions {
            say(&format!("{path}: {assumption}"));
        }
        let update = |done: usize| progress.update(done as u64, || format!("of {path}"));
        let clip = Clip::read(&mut source, [args.height, args.width], options, update);
        progress.finish();
        match clip {
            Ok(clip) => {
                let Clip { frames, snippets, still, unread, .. } = &clip;
                let known = frames.iter().filter(|frame| frame.sight.is_some()).count();
                let guided =
                    if options.is_guided { format!(", {known} known by odometry") } else { String::new() };
                let (frames, snippets) = (frames.len(), snippets.len());
                say(&format!(
                    "{path}: {frames} frames{guided}, {snippets} snippets; {still} still, {unread} unread"
                ));
                let truth = source.ground_truth().and_then(|truth| truth.trajectory.clone());
                lessons.push(Lesson { clip, truth });
            }
            Err(error) => {
                say(&format!("{path}: not learnt from: {error}"));
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if lessons.is_empty() => Err(error.into()),
        _ => Ok(lessons),
    }
}

/// All frames are read, whatever lies between those of a snippet: each may begin one.
fn source(path: &str, args: &TrainVoArgs) -> Result<Undistorted<Window<Box<dyn Dataset>>>, DatasetError> {
    let spec = SourceSpec {
        source: path.to_owned(),
        calibration: args.camera.calibration.clone(),
        fov_deg: args.camera.fov,
    };
    let window = WindowSpec { skip: args.window.skip, max_frames: args.window.max_frames, stride: 1 };
    Undistorted::new(Window::new(open(&spec)?, window))
}

/// `path`, or what lies in it, where it is a folder of sources: KITTI's odometry benchmark (`sequences/00`), or a folder of
/// folders with images, as those prepared for SfMLearner.
fn sequences(path: &str) -> Vec<String> {
    let below = Path::new(path).join("sequences");
    let folder = if below.is_dir() { below } else { PathBuf::from(path) };
    if open(&SourceSpec::new(folder.to_string_lossy())).is_ok() {
        return vec![folder.to_string_lossy().into_owned()];
    }
    let is_source = |path: &PathBuf| open(&SourceSpec::new(path.to_string_lossy())).is_ok();
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(is_source).collect();
    found.sort();
    match found.is_empty() {
        // What it is will be said by what can't open it.
        true => vec![path.to_owned()],
        false => found.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    }
}
