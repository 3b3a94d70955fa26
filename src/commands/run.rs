//! `kestrel run`: from a source to a run directory.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::ensure;
use datasets::{Dataset, SourceSpec, TargetTruth, WindowSpec};
use runtime::graph::{CancelFlag, Schedule};
use runtime::run::RunDirectory;
use runtime::sinks::Progress;
use runtime::stages::{
    DepthChoice, DepthFactory, DetectChoice, DetectorFactory, Pointer, PoseChoice, PoseFactory, TargetChoice,
};
use runtime::{Flight, FlightConfig, FlightSummary, Viewer};
use vo::{ScaleSample, ScaleSource};

use crate::cli::{FlightDepthArgs, FlightDetectorArgs, FlightPoseArgs, OutputArgs, RunArgs, ScaleArg};
use crate::commands::{HUNG, ensure_apart};
use crate::depths::{self, DepthFilm};
use crate::detections::DetectionFilm;
use crate::detector_file::DetectorFile;
use crate::films::{Films, developed};
use crate::finish::{Landed, Truth, truth_file};
use crate::logging::say;
use crate::poses;
use crate::progress::FrameProgress;
use crate::target::TargetFilm;

pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut config = FlightConfig {
        source_spec: SourceSpec {
            source: whole_path(&args.source),
            calibration: args.camera.calibration.as_ref().map(std::path::absolute).transpose()?,
            fov_deg: args.camera.fov,
        },
        window: WindowSpec {
            skip: args.window.skip,
            stride: args.window.stride,
            max_frames: args.window.max_frames,
        },
        schedule: if args.inline { Schedule::Inline } else { Schedule::Threads },
        stores_frames: args.store_frames.then_some(true),
        follow: args.follow.choice(),
        ..output_config(&args.output)?
    };
    if let Some(max_tracks) = args.max_tracks {
        config.vo.max_tracks = max_tracks as usize;
    }
    config.vo.scale = scale_source(args)?;
    let lookers = Lookers::for_flight(&args.detector, &args.depth, &args.pose)?;
    let network = lookers.depth.as_ref().map(|(choice, _)| (&*choice.network, &*choice.fingerprint));
    let prior = match config.vo.scale {
        ScaleSource::Depth(metres_per_unit) => Some(depths::prior(metres_per_unit, network)?),
        _ => None,
    };
    let source = datasets::open_ahead(&config.source_spec, config.window)?;
    let truth = match &args.gt {
        Some(path) => truth_file(path)?,
        None => own_truth(&source),
    };
    let title = source.info().name.clone();
    for assumption in &source.info().assumptions {
        say(&format!("note: {assumption}"));
    }
    let frame_count = source.info().frame_count;
    ensure!(
        frame_count != Some(0),
        "expected at least one frame, found none in {} as cut by --skip",
        args.source
    );
    ensure_in_view(config.follow.as_ref(), &source)?;
    ensure_identified(config.follow.as_ref(), lookers.detector.is_some())?;
    let target_truth = own_target(&source);
    ensure_apart(Path::new(&args.source), &args.out)?;
    // Everything that can be wrong with the input is known by now, so that nothing is touched for its sake.
    let run = RunDirectory::create(&args.out)?;
    let films = Films::default();
    let flight = Flight::new(Box::new(source), config).into_run(run.clone());
    let flight = match prior {
        Some(prior) => flight.with_depth_prior(prior),
        None => flight,
    };
    let flight = looking(flight, lookers, &films).target_observed_by(TargetFilm::observer(&films.target));
    let summary = fly(flight, frame_count, &films)?;
    Landed { title, run: &run, summary, truth, films: &films, target_truth, json: args.output.json }.finish()
}

/// What looks for objects, at depth and at motion beside the odometry, if anything does.
pub(super) struct Lookers {
    detector: Option<(DetectChoice, DetectorFactory)>,
    depth: Option<(DepthChoice, DepthFactory)>,
    pose: Option<(PoseChoice, PoseFactory)>,
}

impl Lookers {
    /// What the user asked for.
    ///
    /// # Errors
    /// Where a file can't be read or holds another network.
    pub(super) fn for_flight(
        detector: &FlightDetectorArgs,
        depth: &FlightDepthArgs,
        pose: &FlightPoseArgs,
    ) -> anyhow::Result<Self> {
        let (detector, depth) = (DetectorFile::for_flight(detector)?, depths::for_flight(depth)?);
        Ok(Self { detector, depth, pose: poses::for_flight(pose)? })
    }
}

/// The flight with them in it; `films` keep what they see.
pub(super) fn looking(flight: Flight, Lookers { detector, depth, pose }: Lookers, films: &Films) -> Flight {
    let flight = match pose {
        Some((choice, factory)) => flight.with_pose(choice, factory),
        None => flight,
    };
    let flight = match detector {
        Some((choice, factory)) => flight
            .with_detector(choice, factory)
            .detections_observed_by(DetectionFilm::observer(&films.objects)),
        None => flight,
    };
    match depth {
        Some((choice, factory)) => {
            flight.with_depth(choice, factory).depth_observed_by(DepthFilm::observer(&films.depths))
        }
        None => flight,
    }
}

/// What tells the metres, with the samples read.
fn scale_source(args: &RunArgs) -> anyhow::Result<ScaleSource> {
    Ok(match &args.scale {
        ScaleArg::None => ScaleSource::None,
        ScaleArg::Fixed(metres_per_unit) => ScaleSource::Fixed(*metres_per_unit),
        ScaleArg::CameraHeight(height_m) => ScaleSource::CameraHeight(*height_m),
        ScaleArg::HeightAboveGround(file) => {
            ScaleSource::HeightAboveGround(samples(file, "stamp_s height_m")?)
        }
        ScaleArg::Depth(metres) => ScaleSource::Depth(depths::metres_per_unit(&args.depth, *metres)?),
        ScaleArg::Velocity(file) => ScaleSource::Velocity(samples(file, "stamp_s speed_mps")?),
    })
}

fn samples(file: &Path, what: &str) -> anyhow::Result<Arc<[ScaleSample]>> {
    let rows = datasets::read_samples(file, what)?;
    Ok(rows.into_iter().map(|(stamp, value)| ScaleSample { stamp, value }).collect())
}

/// The truth that a dataset brings.
pub(super) fn own_truth(source: &dyn Dataset) -> Truth {
    let trajectory = source.ground_truth().and_then(|truth| truth.trajectory.clone());
    trajectory.map_or(Truth::None, Truth::Trajectory)
}

/// The true boxes of the target that a dataset brings.
pub(super) fn own_target(source: &dyn Dataset) -> Option<TargetTruth> {
    source.ground_truth().and_then(|truth| truth.target.clone())
}

/// Refuses a target outside the frames.
fn ensure_in_view(choice: Option<&TargetChoice>, source: &dyn Dataset) -> anyhow::Result<()> {
    let camera = &source.info().camera;
    let (width, height) = (camera.width(), camera.height());
    let is_inside = choice.is_none_or(|choice| choice.target.is_inside(width, height));
    ensure!(is_inside, "expected a box or a point inside the {width}x{height} image for --follow");
    Ok(())
}

/// Refuses an identity that nobody gives.
pub(super) fn ensure_identified(choice: Option<&TargetChoice>, is_looking: bool) -> anyhow::Result<()> {
    let needs_detector = choice.is_some_and(|choice| matches!(choice.target, Pointer::Identity(_)));
    ensure!(
        is_looking || !needs_detector,
        "expected a detector, which gives the ids of --follow: leave --no-detector out"
    );
    Ok(())
}

/// A path as seen from anywhere, so that a replay finds it; what is no path stays as it is.
fn whole_path(source: &str) -> String {
    let path = Path::new(source);
    let whole = path.exists().then(|| std::path::absolute(path).ok()).flatten();
    whole.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or_else(|| source.to_owned())
}

/// What the options about viewer and recording mean.
pub(super) fn output_config(args: &OutputArgs) -> anyhow::Result<FlightConfig> {
    let has_viewer = cfg!(feature = "viewer");
    ensure!(has_viewer || args.viewer.is_none(), "this build has no viewer; leave out --viewer");
    let viewer = match &args.viewer {
        Some(address) => Viewer::Connect(address.clone()),
        None if has_viewer && !args.headless && is_on_path("rerun") => Viewer::Spawn,
        None => Viewer::Headless,
    };
    let recording = has_viewer && !args.no_recording;
    Ok(FlightConfig { viewer, recording, image_rate_hz: args.image_rate, ..FlightConfig::default() })
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Flies with a progress bar; Ctrl-C ends the flight with everything written.
pub(super) fn fly(
    flight: Flight,
    frame_count: Option<usize>,
    films: &Films,
) -> anyhow::Result<FlightSummary> {
    let flight = flight.observed_by(observer(frame_count, films)).cancelled_by(cancel_on_signal()?);
    let flight = flight.escalating_to(|stage| {
        say(&format!("kestrel: {stage}"));
        std::process::exit(HUNG);
    });
    Ok(flight.run()?)
}

/// Keeps the bar and the snapshots.
pub(super) fn observer(frame_count: Option<usize>, films: &Films) -> impl FnMut(&Progress) + Send + use<> {
    let mut bar = FrameProgress::new(frame_count.map(|count| count as u64));
    let snapshots = Arc::clone(&films.snapshots);
    move |progress| {
        developed(&snapshots).offer(&progress.latest);
        let odometry = &progress.latest.odometry;
        bar.update(progress.frames_done, || {
            format!("{:.1} fps, {:?}, {} inliers", progress.fps, odometry.state, odometry.inlier_count)
        });
        if Some(progress.frames_done) == frame_count.map(|count| count as u64) {
            bar.finish();
        }
    }
}

/// A flag that Ctrl-C and SIGTERM raise.
pub(super) fn cancel_on_signal() -> anyhow::Result<CancelFlag> {
    let cancel = CancelFlag::default();
    let flag = cancel.clone();
    ctrlc::set_handler(move || flag.cancel())?;
    Ok(cancel)
}
