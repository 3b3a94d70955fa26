//! `kestrel demo`: the whole way, from a camera that does not exist to a report.

use std::process::ExitCode;

use datasets::{Dataset, SourceSpec, WindowSpec};
use runtime::run::RunDirectory;
use runtime::{Flight, FlightConfig};

use crate::cli::DemoArgs;
use crate::commands::run::{Lookers, fly, looking, output_config, own_truth};
use crate::commands::world::motion;
use crate::films::Films;
use crate::finish::Landed;
use crate::logging::say;

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let spec = format!("world:{}?seed={}&frames={}", motion(args.motion).name(), args.seed, args.frames);
    say(&format!("flying {spec}: rendered, tracked and recorded on the fly"));
    let config = FlightConfig { source_spec: SourceSpec::new(spec), ..output_config(&args.output)? };
    let source = datasets::open_ahead(&config.source_spec, WindowSpec::default())?;
    let (title, truth) = (source.info().name.clone(), own_truth(&source));
    let lookers = Lookers::for_flight(&args.detector, &args.depth, &args.pose)?;
    let run = RunDirectory::create(&args.out)?;
    let films = Films::default();
    let flight = Flight::new(Box::new(source), config).into_run(run.clone());
    let flight = looking(flight, lookers, &films);
    let summary = fly(flight, Some(args.frames as usize), &films)?;
    Landed { title, run: &run, summary, truth, films: &films, target_truth: None, json: args.output.json }
        .finish()
}
