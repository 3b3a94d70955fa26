//! `kestrel eval odometry`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use eval::{
    Alignment, Comparison, OdometryProtocol, OdometryReport, Report, evaluate_files, read_trajectory,
};

use crate::cli::{AlignArg, EvalOdometryArgs};
use crate::commands::{ensure_replaceable, name_of};
use crate::logging::{answer, say};

pub(super) fn eval_odometry(args: &EvalOdometryArgs) -> anyhow::Result<ExitCode> {
    let protocol = protocol(args);
    let ground_truth = read_trajectory(&args.gt)?;
    let measured = args.est.iter().map(|path| {
        let report = evaluate_files(&ground_truth, &read_trajectory(path)?, &protocol)?;
        Ok((name_of(path, &args.est), report))
    });
    let measured: Vec<(String, OdometryReport)> = measured.collect::<anyhow::Result<_>>()?;
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
        write_report(path, &args.gt, &measured)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json { json(&measured)? } else { text(&measured) })?;
    Ok(ExitCode::SUCCESS)
}

fn protocol(args: &EvalOdometryArgs) -> OdometryProtocol {
    OdometryProtocol {
        lengths_m: args.lengths.clone(),
        step: args.step,
        max_time_difference: Duration::from_secs_f64(args.max_time_difference),
        ..OdometryProtocol::aligned_by(alignment(args.align))
    }
}

fn alignment(align: AlignArg) -> Alignment {
    match align {
        AlignArg::None => Alignment::None,
        AlignArg::Scale => Alignment::Scale,
        AlignArg::Se3 => Alignment::Se3,
        AlignArg::Sim3 => Alignment::Sim3,
    }
}

fn json(measured: &[(String, OdometryReport)]) -> anyhow::Result<String> {
    Ok(match measured {
        [(_, report)] => serde_json::to_string_pretty(report)?,
        several => {
            serde_json::to_string_pretty(&several.iter().map(|(_, report)| report).collect::<Vec<_>>())?
        }
    })
}

fn text(measured: &[(String, OdometryReport)]) -> String {
    let part = |(name, report): &(String, OdometryReport)| format!("{name}\n{report}");
    let mut parts: Vec<String> = measured.iter().map(part).collect();
    if measured.len() > 1 {
        parts.push(comparison(measured).to_string());
    }
    parts.join("\n")
}

fn comparison(measured: &[(String, OdometryReport)]) -> Comparison {
    measured.iter().fold(Comparison::new(), |table, (name, report)| table.run(name, report, None))
}

fn write_report(
    path: &Path,
    ground_truth: &Path,
    measured: &[(String, OdometryReport)],
) -> anyhow::Result<()> {
    let names: Vec<&str> = measured.iter().map(|(name, _)| name.as_str()).collect();
    let page = Report::new(names.join(", ")).subtitle(format!("against {}", ground_truth.display()));
    let page = measured.iter().fold(page, |page, (name, report)| page.odometry(name, report.clone()));
    Ok(page.write(path)?)
}
