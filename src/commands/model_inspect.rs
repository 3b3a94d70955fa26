//! `kestrel model inspect`.

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;

use anyhow::Context;
use nn::{Network, StepInfo};
use serde_json::{Value, json};

use crate::cli::ModelInspectArgs;
use crate::logging::answer;

/// A network with a time for each of its layers.
struct Inspected {
    network: Network,
    /// Milliseconds, one for each step.
    times_ms: Vec<f64>,
    parameters: u64,
    file_bytes: usize,
}

pub(super) fn model_inspect(args: &ModelInspectArgs) -> anyhow::Result<ExitCode> {
    let bytes = fs::read(&args.file).with_context(|| format!("{}: can't be read", args.file.display()))?;
    let network = Network::read(&bytes, args.engine.kernel())
        .with_context(|| args.file.display().to_string())?
        .with_threads(args.engine.threads)?;
    let parameters = nn::parameters(&bytes)?;
    let inspected = Inspected::new(network, args.runs, parameters, bytes.len())?;
    answer(&if args.json { inspected.json().to_string() } else { inspected.text() })?;
    Ok(ExitCode::SUCCESS)
}

impl Inspected {
    fn new(mut network: Network, runs: usize, parameters: u64, file_bytes: usize) -> anyhow::Result<Self> {
        network.run()?;
        let runs = (0..runs).map(|_| network.run_timed()).collect::<Result<Vec<_>, _>>()?;
        let of_step = |step: usize| super::median(runs.iter().map(|run| run[step].as_secs_f64() * 1e3));
        let times_ms = (0..network.steps().len()).map(of_step).collect();
        Ok(Self { network, times_ms, parameters, file_bytes })
    }

    fn layers(&self) -> impl Iterator<Item = (StepInfo<'_>, f64)> {
        self.network.steps().zip(self.times_ms.iter().copied())
    }

    fn multiply_adds(&self) -> u64 {
        self.network.steps().map(|step| step.multiply_adds).sum()
    }

    fn json(&self) -> Value {
        let layer = |(step, ms): (StepInfo<'_>, f64)| {
            json!({
                "node": step.node,
                "op": step.op,
                "kernel": step.kernel,
                "is_float": step.is_float,
                "multiply_adds": step.multiply_adds,
                "parameter_bytes": step.parameter_bytes,
                "activation_bytes": step.activation_bytes,
                "ms": ms,
            })
        };
        let port = |port: &nn::Port| json!({ "name": port.name, "shape": port.shape });
        json!({
            "kernel": self.network.kernel().name(),
            "threads": self.network.threads(),
            "file_bytes": self.file_bytes,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds(),
            "arena_bytes": self.network.plan().arena,
            "working_bytes": self.network.working_bytes(),
            "ms": self.times_ms.iter().sum::<f64>(),
            "inputs": self.network.inputs().map(port).collect::<Vec<_>>(),
            "outputs": self.network.outputs().map(port).collect::<Vec<_>>(),
            "float_ops": self.network.plan().float_ops().collect::<Vec<_>>(),
            "layers": self.layers().map(layer).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{:>9} {:>9} {:>10} {:>10}  {:11} {:17} node\n",
            "ms", "M mul", "B params", "B moved", "kernel", "op"
        );
        for (step, ms) in self.layers() {
            let millions = step.multiply_adds as f64 / 1e6;
            let StepInfo { parameter_bytes, activation_bytes, kernel, op, node, .. } = step;
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "{ms:9.4} {millions:9.2} {parameter_bytes:10} {activation_bytes:10}  {kernel:11} {op:17} {node}"
            );
        }
        text + &self.summary()
    }

    fn summary(&self) -> String {
        let float_ops: Vec<_> = self.network.plan().float_ops().collect();
        let in_float = if float_ops.is_empty() { "nothing".to_owned() } else { float_ops.join(", ") };
        format!(
            "\n{:.3} ms a run on {}, {} threads; {:.1} million multiplications, {} parameters, {} bytes of file\narena {} bytes, with scratch {}\nin float: {in_float}\n",
            self.times_ms.iter().sum::<f64>(),
            self.network.kernel(),
            self.network.threads(),
            self.multiply_adds() as f64 / 1e6,
            self.parameters,
            self.file_bytes,
            self.network.plan().arena,
            self.network.working_bytes(),
        )
    }
}
