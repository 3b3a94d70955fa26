//! `kestrel eval vedai`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use eval::Report;
use eval::detection::{VedaiDetection, VedaiReport, read_vedai_annotations, read_vedai_detections};

use crate::cli::EvalVedaiArgs;
use crate::commands::ensure_replaceable;
use crate::logging::{answer, say};

pub(super) fn eval_vedai(args: &EvalVedaiArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
    }
    let objects = read_vedai_annotations(&args.annotations)?;
    let report = VedaiReport::measure(&objects, &folds(&args.detections)?, args.class)?;
    if let Some(path) = &args.report {
        let page = Report::new(args.detections.display().to_string());
        page.subtitle(format!("against {}", args.annotations.display())).vedai(report.clone()).write(path)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() })?;
    Ok(ExitCode::SUCCESS)
}

/// The detections of each fold that a folder has, by the number at the end of the file's name.
fn folds(folder: &Path) -> anyhow::Result<BTreeMap<u32, Vec<VedaiDetection>>> {
    let mut files: BTreeMap<u32, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let Some(fold) = fold_of(&path)
            && let Some(other) = files.insert(fold, path.clone())
        {
            bail!("expected one file for fold {fold}, found {} and {}", other.display(), path.display());
        }
    }
    ensure!(
        !files.is_empty(),
        "{}: expected detections NAME_01.txt to NAME_10.txt, found none",
        folder.display()
    );
    files.iter().map(|(fold, path)| Ok((*fold, read_vedai_detections(path)?))).collect()
}

/// 7 for `car_07.txt`.
fn fold_of(path: &Path) -> Option<u32> {
    let is_text = path.extension().is_some_and(|extension| extension == "txt");
    let stem = path.file_stem()?.to_str().filter(|_| is_text)?;
    stem.rsplit('_').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_told_by_the_end_of_the_name() {
        let fold = |name: &str| fold_of(Path::new(name));
        assert_eq!(
            (fold("d/car_07.txt"), fold("10.txt"), fold("camping_car_01.txt")),
            (Some(7), Some(10), Some(1))
        );
        assert_eq!((fold("car.txt"), fold("car_07.csv")), (None, None));
    }
}
