//! `kestrel model quantize`.

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use nn::quantize::{Equalizer, QuantizeOptions, QuantizeReport, Quantizer};
use serde_json::{Value, json};

use crate::cli::ModelQuantizeArgs;
use crate::images::Samples;
use crate::logging::answer;
use crate::progress::FrameProgress;

pub(super) fn model_quantize(args: &ModelQuantizeArgs) -> anyhow::Result<ExitCode> {
    let in_file = || args.input.display().to_string();
    let is_same =
        args.input.canonicalize().ok().zip(args.output.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    ensure!(
        !is_same,
        "expected another file for the result, found {}, which is the float network",
        in_file()
    );
    let float = fs::read(&args.input).with_context(|| format!("{}: can't be read", in_file()))?;
    let mut quantizer = Quantizer::new(&float).with_context(in_file)?;
    let samples = Samples::new(&args.calibration, &args.images, &float, quantizer.inputs())?;
    if args.equalize {
        quantizer = Quantizer::new(&equalized(&float, &samples)?).with_context(in_file)?;
    }
    watched(&samples, |inputs| Ok(quantizer.observe(inputs)?))?;
    let quantized = quantizer.finish(&options(args, &samples)).with_context(in_file)?;
    fs::write(&args.output, &quantized.file)
        .with_context(|| format!("can't write {}", args.output.display()))?;
    let bytes = [float.len(), quantized.file.len()];
    let report = &quantized.report;
    answer(&if args.json { json(report, bytes).to_string() } else { text(report, bytes) })?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &ModelQuantizeArgs, samples: &Samples) -> QuantizeOptions {
    QuantizeOptions {
        range: args.range,
        correct_bias: !args.no_bias_correction,
        keep_float: args.keep_float.clone(),
        min_sqnr_db: args.min_sqnr,
        metadata: samples.preprocessing.metadata(),
    }
}

fn equalized(float: &[u8], samples: &Samples) -> anyhow::Result<Vec<u8>> {
    let mut equalizer = Equalizer::new(float)?;
    watched(samples, |inputs| Ok(equalizer.observe(inputs)?))?;
    Ok(equalizer.finish()?)
}

/// Shows every sample to `see`, with a bar that says how far along it is.
fn watched(samples: &Samples, mut see: impl FnMut(&[Vec<f32>]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut bar = FrameProgress::new(Some(samples.len() as u64));
    for (index, inputs) in samples.iter().enumerate() {
        see(&inputs?)?;
        bar.update(index as u64 + 1, || "calibration".to_owned());
    }
    bar.finish();
    Ok(())
}

fn json(report: &QuantizeReport, [float_bytes, bytes]: [usize; 2]) -> Value {
    let node =
        |node: &nn::quantize::InFloat| json!({ "node": node.node, "op": node.op, "reason": node.reason });
    let tensor = |tensor: &nn::quantize::TensorRange| {
        json!({
            "name": tensor.name,
            "scale": tensor.quantisation.scale,
            "zero_point": tensor.quantisation.zero_point,
            // JSON has no infinity, which stands for no loss.
            "sqnr_db": Some(tensor.sqnr_db).filter(|db| db.is_finite()),
        })
    };
    json!({
        "images": report.samples,
        "folded": report.folded,
        "on_bytes": report.on_bytes,
        "in_float": report.in_float.iter().map(node).collect::<Vec<_>>(),
        "tensors": report.tensors.iter().map(tensor).collect::<Vec<_>>(),
        "float_bytes": float_bytes,
        "bytes": bytes,
    })
}

fn text(report: &QuantizeReport, [float_bytes, bytes]: [usize; 2]) -> String {
    let QuantizeReport { samples, folded, on_bytes, in_float, tensors } = report;
    let mut text = format!(
        "{on_bytes} nodes on bytes, {} in float, {folded} folded; {} tensors calibrated on {samples} images; {float_bytes} bytes became {bytes}\n",
        in_float.len(),
        tensors.len(),
    );
    for node in in_float {
        // Writing to a string can't fail.
        let _ = writeln!(text, "in float: {} ({}): {}", node.node, node.op, node.reason);
    }
    if let Some(worst) = tensors.iter().min_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db)) {
        let _ = writeln!(text, "the tensor that loses most: {}, {:.1} dB", worst.name, worst.sqnr_db);
    }
    text
}
