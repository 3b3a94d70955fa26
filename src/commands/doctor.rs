//! `kestrel doctor`: will a video do to learn from?

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::ensure;
use datasets::{Dataset, SourceInfo, SourceSpec, WindowSpec, open_ahead};
use serde_json::{Value, json};
use vo::doctor::{Diagnosis, Doctor, Snippet, Verdict};

use crate::cli::DoctorArgs;
use crate::commands::UNUSABLE;
use crate::logging::{answer, say};
use crate::progress::FrameProgress;

/// Messages about single frames that are shown; a broken video has thousands.
const MESSAGES: usize = 5;
/// Snippets that the table lists, the longest first.
const SNIPPETS: usize = 8;

pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let spec = SourceSpec {
        source: args.source.clone(),
        calibration: args.camera.calibration.clone(),
        fov_deg: args.camera.fov,
    };
    let (skip, stride, max_frames) = (args.window.skip, args.window.stride, args.window.max_frames);
    let mut source = open_ahead(&spec, WindowSpec { skip, stride, max_frames })?;
    ensure!(!source.info().live, "expected a recorded source, found {}, which is live", source.info().name);
    let diagnosis = examine(&mut source)?;
    let info = source.info();
    answer(&if args.json { summary(&diagnosis, info)?.to_string() } else { text(&diagnosis, info) })?;
    let is_usable = diagnosis.verdict != Verdict::Unusable;
    Ok(if is_usable { ExitCode::SUCCESS } else { ExitCode::from(UNUSABLE) })
}

fn examine(source: &mut dyn Dataset) -> anyhow::Result<Diagnosis> {
    let mut doctor = Doctor::default();
    let mut bar = FrameProgress::new(source.info().frame_count.map(|count| count as u64));
    let mut messages = 0;
    loop {
        match source.next_frame() {
            Ok(None) => break,
            Ok(Some(frame)) => doctor.examine(&frame),
            Err(error) => {
                if messages < MESSAGES {
                    say(&format!("frame {}: {error}", doctor.frames()));
                }
                messages += 1;
                doctor.miss_frame();
            }
        }
        bar.update(doctor.frames() as u64, String::new);
    }
    bar.finish();
    ensure!(doctor.frames() > 0, "expected at least one frame, found none in {}", source.info().name);
    Ok(doctor.diagnose())
}

fn summary(diagnosis: &Diagnosis, info: &SourceInfo) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(diagnosis)?;
    value["source"] = json!(info.name);
    value["assumptions"] = json!(info.assumptions);
    Ok(value)
}

fn text(of: &Diagnosis, info: &SourceInfo) -> String {
    let reasons: String = of.reasons.iter().map(|reason| format!("- {reason}\n")).collect();
    let assumptions: String = info.assumptions.iter().map(|note| format!("- {note}\n")).collect();
    format!(
        "{}: {}\n{reasons}\n{}\n{}\n{assumptions}",
        info.name,
        of.verdict,
        measurements(of),
        snippets(&of.usable_snippets)
    )
}

fn measurements(of: &Diagnosis) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let pixels = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.1} px"));
    let [width, height] = of.size;
    let crop = of.crop;
    let [learnt_width, learnt_height] = of.training_size;
    let rate = of.frame_rate_hz.map_or_else(String::new, |rate| format!(", {rate:.1} a second"));
    let rows = [
        ("frames", format!("{}{rate}, {} unreadable, {width}x{height}", of.frames, of.unreadable_frames)),
        ("usable", format!("{} in {} snippets", percent(of.usable_share), of.usable_snippets.len())),
        (
            "camera",
            format!(
                "moves in {}, turns in {}, stands in {}",
                percent(of.moving_share),
                percent(of.turning_share),
                percent(of.static_share)
            ),
        ),
        (
            "between frames",
            format!(
                "step {}: points move {}, {} of it by parallax (medians)",
                of.frame_step,
                pixels(of.flow_px),
                pixels(of.parallax_px)
            ),
        ),
        (
            "scene",
            of.planar_share
                .map_or_else(|| "unknown".to_owned(), |s| format!("flat in {} of the views", percent(s))),
        ),
        (
            "blur",
            format!(
                "edges {} wide (median), too much of it in {}",
                pixels(of.edge_width_px),
                percent(of.blurred_share)
            ),
        ),
        (
            "breaks",
            format!(
                "{} gaps, {} cuts, {} jumps of brightness, {} repeated",
                of.gaps,
                of.cuts,
                of.exposure_jumps,
                percent(of.repeated_share)
            ),
        ),
        ("rows shake by", pixels(of.row_wobble_px).replace("unknown", "no more than noise")),
        (
            "suggested",
            format!(
                "crop {}x{} at {},{}, learn at {learnt_width}x{learnt_height}",
                crop.width, crop.height, crop.x, crop.y
            ),
        ),
    ];
    rows.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
}

fn snippets(of: &[Snippet]) -> String {
    let mut longest: Vec<&Snippet> = of.iter().collect();
    longest.sort_by_key(|snippet| std::cmp::Reverse(snippet.targets()));
    let mut text = String::new();
    for Snippet { first, last, step } in longest.iter().take(SNIPPETS) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "frames {first} to {last}, step {step}");
    }
    if longest.len() > SNIPPETS {
        let _ = writeln!(text, "and {} shorter ones (--json lists all)", longest.len() - SNIPPETS);
    }
    text
}
