//! `kestrel data check`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use datasets::labels::{Finding, LabelSet, Severity, Survey, check};
use serde_json::{Value, json};

use crate::cli::DataCheckArgs;
use crate::commands::labels;
use crate::logging::answer;

/// Findings of a kind that are listed on a terminal; `--json` has all.
const SHOWN: usize = 10;

pub(super) fn data_check(args: &DataCheckArgs) -> anyhow::Result<ExitCode> {
    let folders = std::iter::once(&args.dir).chain(&args.against);
    let parts = folders.map(|folder| {
        let survey = labels::source(folder, &args.labels).survey()?;
        let set = match &args.labels.map {
            Some(map) => survey.set.mapped(map),
            None => survey.set,
        };
        Ok(Survey { set, problems: survey.problems })
    });
    let parts: Vec<Survey> = parts.collect::<anyhow::Result<_>>()?;
    let findings = check(&parts, args.min_side);
    let sets: Vec<&LabelSet> = parts.iter().map(|part| &part.set).collect();
    let is_bad = |finding: &Finding| args.strict || finding.kind.severity() == Severity::Error;
    let is_clean = !findings.iter().any(is_bad);
    answer(&match args.json {
        true => serde_json::to_string_pretty(&as_json(&sets, &findings, is_clean))?,
        false => text(&sets, &findings),
    })?;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(sets: &[&LabelSet], findings: &[Finding], is_clean: bool) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "kind": finding.kind.name(),
            "severity": severity(finding),
            "image": finding.image.as_ref().map(|image| image.display().to_string()),
            "message": finding.message,
        })
    };
    json!({
        "clean": is_clean,
        "images": images(sets),
        "boxes": boxes(sets),
        "counts": counts(findings),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn severity(finding: &Finding) -> &'static str {
    match finding.kind.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn images(sets: &[&LabelSet]) -> usize {
    sets.iter().map(|set| set.images.len()).sum()
}

/// Number of boxes of each class.
fn boxes(sets: &[&LabelSet]) -> BTreeMap<String, usize> {
    let mut boxes = BTreeMap::new();
    for set in sets {
        for (class, count) in set.classes.iter().zip(set.boxes_per_class()) {
            *boxes.entry(class.clone()).or_default() += count;
        }
    }
    boxes
}

fn counts(findings: &[Finding]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.kind.name()).or_default() += 1;
    }
    counts
}

fn text(sets: &[&LabelSet], findings: &[Finding]) -> String {
    let boxes: Vec<String> = boxes(sets).iter().map(|(class, count)| format!("{class} {count}")).collect();
    let mut lines = vec![format!("{} images; boxes: {}", images(sets), boxes.join(", "))];
    for of_kind in findings.chunk_by(|a, b| a.kind == b.kind) {
        lines.extend(of_kind.iter().take(SHOWN).map(|finding| format!("{} {finding}", severity(finding))));
        if of_kind.len() > SHOWN {
            lines.push(format!("  ... and {} more ({})", of_kind.len() - SHOWN, of_kind[0].kind.name()));
        }
    }
    let errors = findings.iter().filter(|finding| finding.kind.severity() == Severity::Error).count();
    lines.push(format!("{errors} errors, {} warnings", findings.len() - errors));
    lines.join("\n")
}
