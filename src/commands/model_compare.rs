//! `kestrel model compare`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use nn::{Comparison, Difference};
use serde_json::{Value, json};

use crate::cli::ModelCompareArgs;
use crate::images::Samples;
use crate::logging::answer;

pub(super) fn model_compare(args: &ModelCompareArgs) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}: can't be read", path.display()));
    let [first, second] = [read(&args.first)?, read(&args.second)?];
    let comparison = Comparison::new(&first, &second, args.engine.kernel());
    let names = || format!("{} and {}", args.first.display(), args.second.display());
    let mut comparison = comparison.with_context(names)?;
    let samples = Samples::new(&args.images, &args.preprocessing, &first, &comparison.inputs())?;
    for inputs in samples.iter() {
        comparison.observe(&inputs?)?;
    }
    answer(&if args.json { json(&comparison, samples.len()).to_string() } else { text(&comparison) })?;
    Ok(ExitCode::SUCCESS)
}

fn json(comparison: &Comparison, images: usize) -> Value {
    let row = |row: &Difference| {
        json!({
            "name": row.name,
            // JSON has no infinity, which stands for no difference.
            "sqnr_db": Some(row.sqnr_db()).filter(|db| db.is_finite()),
            "largest_difference": row.largest,
            "largest_value": row.reach,
        })
    };
    json!({
        "images": images,
        "tensors": comparison.tensors().iter().map(row).collect::<Vec<_>>(),
        "outputs": comparison.outputs().iter().map(row).collect::<Vec<_>>(),
    })
}

fn text(comparison: &Comparison) -> String {
    let mut text = format!("{:>8} {:>12} {:>12}  tensor\n", "SQNR dB", "difference", "of at most");
    for row in comparison.tensors() {
        write_row(&mut text, row, "");
    }
    for row in comparison.outputs() {
        write_row(&mut text, row, " (output, by this engine)");
    }
    text
}

fn write_row(text: &mut String, row: &Difference, note: &str) {
    // Writing to a string can't fail.
    let _ =
        writeln!(text, "{:8.1} {:12.5} {:12.5}  {}{note}", row.sqnr_db(), row.largest, row.reach, row.name);
}
