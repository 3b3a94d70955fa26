//! `kestrel demo`: the whole way, from a camera that does not exist to a report.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use datasets::{Dataset, SourceSpec, WindowSpec};
use runtime::run::RunDirectory;
use runtime::{Flight, FlightConfig};

use crate::cli::DemoArgs;
use crate::commands::run::{fly, looking, output_config, own_truth};
use crate::commands::world::motion;
use crate::detections::DetectionFilm;
use crate::detector_file::DetectorFile;
use crate::finish::Landed;
use crate::logging::say;
use crate::snapshots::Snapshots;
use crate::target::TargetFilm;

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let spec = format!("world:{}?seed={}&frames={}", motion(args.motion).name(), args.seed, args.frames);
    say(&format!("flying {spec}: rendered, tracked and recorded on the fly"));
    let config = FlightConfig { source_spec: SourceSpec::new(spec), ..output_config(&args.output)? };
    let source = datasets::open_ahead(&config.source_spec, WindowSpec::default())?;
    let (title, truth) = (source.info().name.clone(), own_truth(&source));
    let detector = DetectorFile::for_flight(&args.detector)?;
    let run = RunDirectory::create(&args.out)?;
    let snapshots = Arc::new(Mutex::new(Snapshots::default()));
    let objects = Arc::new(Mutex::new(DetectionFilm::default()));
    let flight = Flight::new(Box::new(source), config).into_run(run.clone());
    let flight = looking(flight, detector, &objects);
    let summary = fly(flight, Some(args.frames as usize), &snapshots)?;
    let snapshots = snapshots.lock().unwrap_or_else(PoisonError::into_inner);
    let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
    Landed {
        title,
        run: &run,
        summary,
        truth,
        snapshots: &snapshots,
        film: &TargetFilm::default(),
        target_truth: None,
        objects: &objects,
        json: args.output.json,
    }
    .finish()
}
