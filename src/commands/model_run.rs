//! `kestrel model run`.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use nn::Network;
use runtime::graph::process_cpu;
use serde_json::json;

use crate::cli::ModelRunArgs;
use crate::logging::answer;

pub(super) fn model_run(args: &ModelRunArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let network = Network::open(&args.file, args.engine.kernel());
    let network = network.with_context(|| args.file.display().to_string())?;
    let mut network = network.with_threads(args.engine.threads)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    fill(&mut network, args)?;
    network.run()?;
    let times = (0..args.bench).map(|_| timed(&mut network)).collect::<anyhow::Result<Vec<_>>>()?;
    let [cpu_ms, wall_ms] = [0, 1].map(|clock| super::median(times.iter().map(|times| times[clock])));
    let outputs = (0..network.outputs().len()).flat_map(|index| network.output(index));
    let bytes: Vec<_> = outputs.flat_map(|value| value.to_le_bytes()).collect();
    fs::write(&args.output, bytes).with_context(|| format!("can't write {}", args.output.display()))?;
    let kernel = network.kernel();
    answer(&if args.json {
        json!({
            "cpu_ms_median": cpu_ms,
            "wall_ms_median": wall_ms,
            "load_ms": load_ms,
            "runs": args.bench,
            "threads": network.threads(),
            "kernel": kernel.name(),
            "outputs": network.outputs().map(|port| json!({ "name": port.name, "shape": port.shape })).collect::<Vec<_>>(),
        })
        .to_string()
    } else {
        format!("{wall_ms:.3} ms a run, {cpu_ms:.3} ms of CPU, on {kernel}; loaded in {load_ms:.0} ms")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the inputs, one behind the other.
fn fill(network: &mut Network, args: &ModelRunArgs) -> anyhow::Result<()> {
    let bytes = fs::read(&args.input).with_context(|| format!("{}: can't be read", args.input.display()))?;
    let lengths: Vec<usize> = network.inputs().map(|port| port.shape.iter().product()).collect();
    let expected = lengths.iter().sum::<usize>() * size_of::<f32>();
    ensure!(
        bytes.len() == expected,
        "{}: expected {expected} bytes for inputs {:?}, found {}",
        args.input.display(),
        network.inputs().map(|port| &*port.shape).collect::<Vec<_>>(),
        bytes.len()
    );
    let mut values = bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value));
    for index in 0..lengths.len() {
        network.input(index).iter_mut().zip(&mut values).for_each(|(place, value)| *place = value);
    }
    Ok(())
}

/// CPU and wall time of one run, in milliseconds.
fn timed(network: &mut Network) -> anyhow::Result<[f64; 2]> {
    let (cpu, wall) = (process_cpu(), Instant::now());
    network.run()?;
    Ok([process_cpu().saturating_sub(cpu), wall.elapsed()].map(|time| time.as_secs_f64() * 1e3))
}
