//! Runs one ONNX file and says how long that takes; `bench/engine` compares it with other engines:
//! `cargo run --release -p kestrel-nn --example model_run -- FILE [--input RAW_F32] [--output FILE] [--threads N]
//! [--kernel NAME] [--bench RUNS] [--steps] [--serve]`.
//!
//! `--serve` takes orders from the standard input, one run for each line `run`, and answers with its CPU and wall time
//! in milliseconds, so that engines can take turns.

use std::error::Error;
use std::fs;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use kestrel_nn::Network;
use kestrel_nn::kernels::Kernel;
use nix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Arguments(Vec<String>);

impl Arguments {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|argument| argument == name)?;
        self.0.get(place + 1).map(String::as_str)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments(std::env::args().skip(1).collect());
    let file =
        arguments.0.first().filter(|file| !file.starts_with('-')).ok_or("expected an ONNX file first")?;
    let kernel = arguments.value("--kernel").map_or(Ok(Kernel::best()), str::parse)?;
    let threads = arguments.value("--threads").map_or(Ok(1), str::parse)?;
    let start = Instant::now();
    let mut network = Network::open(file.as_ref(), kernel)?.with_threads(threads)?;
    let load = start.elapsed();
    if let Some(input) = arguments.value("--input") {
        fill(network.input(0), &fs::read(input)?)?;
    }
    let mut out = std::io::stdout().lock();
    if arguments.has("--serve") {
        serve(&mut network, &mut out)?;
    } else {
        let runs = arguments.value("--bench").map_or(Ok(1), str::parse)?;
        bench(&mut network, load, runs, &mut out)?;
    }
    if arguments.has("--steps") {
        print_steps(&mut network, &mut out)?;
    }
    if let Some(output) = arguments.value("--output") {
        let values = (0..network.outputs().len()).flat_map(|index| network.output(index).to_vec());
        fs::write(output, values.flat_map(f32::to_le_bytes).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn fill(input: &mut [f32], bytes: &[u8]) -> Result<()> {
    let (values, rest) = bytes.as_chunks();
    if values.len() != input.len() || !rest.is_empty() {
        return Err(format!("expected {} values of input, found {} bytes", input.len(), bytes.len()).into());
    }
    for (place, &value) in input.iter_mut().zip(values) {
        *place = f32::from_le_bytes(value);
    }
    Ok(())
}

/// CPU time of the process.
fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// CPU and wall time of one run, in milliseconds.
fn timed(network: &mut Network) -> Result<[f64; 2]> {
    let (cpu, wall) = (cpu_time()?, Instant::now());
    network.run()?;
    let times = [cpu_time()?.saturating_sub(cpu), wall.elapsed()];
    Ok(times.map(|time| time.as_secs_f64() * 1e3))
}

fn serve(network: &mut Network, out: &mut impl Write) -> Result<()> {
    network.run()?;
    writeln!(out, "ready {}", network.kernel())?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        if line? != "run" {
            break;
        }
        let [cpu_ms, wall_ms] = timed(network)?;
        writeln!(out, "{cpu_ms:.4} {wall_ms:.4}")?;
        out.flush()?;
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn bench(network: &mut Network, load: Duration, runs: usize, out: &mut impl Write) -> Result<()> {
    network.run()?;
    let times = (0..runs).map(|_| timed(network)).collect::<Result<Vec<_>>>()?;
    let [cpu_ms, wall_ms] = [0, 1].map(|clock| median(times.iter().map(|times| times[clock])));
    writeln!(
        out,
        "{{\"cpu_ms_median\": {cpu_ms:.4}, \"wall_ms_median\": {wall_ms:.4}, \"load_ms\": {:.1}, \"kernel\": \"{}\"}}",
        load.as_secs_f64() * 1e3,
        network.kernel()
    )?;
    Ok(())
}

/// Each step with its time, the median of eleven runs.
fn print_steps(network: &mut Network, out: &mut impl Write) -> Result<()> {
    let times = (0..11).map(|_| Ok(network.run_timed()?)).collect::<Result<Vec<_>>>()?;
    for (index, step) in network.steps().enumerate() {
        let ms = median(times.iter().map(|times| times[index].as_secs_f64() * 1e3));
        let rate = step.multiply_adds as f64 / ms / 1e6;
        writeln!(
            out,
            "{ms:8.4} ms {rate:7.1} G/s {:9} B {:10} B  {:7} {:18} {}",
            step.activation_bytes, step.parameter_bytes, step.kernel, step.op, step.node
        )?;
    }
    Ok(())
}
