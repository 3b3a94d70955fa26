//! `kestrel eval tracking`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use datasets::{Dataset, SourceSpec, is_target_sequence, open};
use eval::tracking::{
    FrameScore, Loss, MotTracks, MultiObjectReport, OnePassReport, OnePassSuite, Rectangle, SequenceReport,
    TrackerRecord, VotDataset, VotProtocol, VotReport, VotResults, film_strip, multi_object_table,
    read_rectangles, suites_table, vot_table,
};
use eval::{Report, SampleFrame};
use geometry::Frame;
use serde_json::{Value, json};

use crate::cli::{EvalTrackingArgs, TrackingProtocol};
use crate::commands::{ensure_replaceable, name_of};
use crate::logging::{answer, say};

/// Film strips in a report; those of the longest losses.
const STRIPS: usize = 12;

pub(super) fn eval_tracking(args: &EvalTrackingArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
    }
    let (text, json, page) = match args.protocol {
        TrackingProtocol::Otb => one_pass(args)?,
        TrackingProtocol::Vot => supervised(args)?,
        TrackingProtocol::Mot => multi_object(args)?,
    };
    if let Some(path) = &args.report {
        page.write(path)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json { serde_json::to_string_pretty(&json)? } else { text })?;
    Ok(ExitCode::SUCCESS)
}

/// What a protocol leaves for the terminal, for scripts and for the report.
type Answer = (String, Value, Report);

fn one_pass(args: &EvalTrackingArgs) -> anyhow::Result<Answer> {
    let ground_truth = args.gt.as_deref().context("expected ground truth, --gt")?;
    let sequences = sequences(ground_truth, args)?;
    let suite = |est: &PathBuf| {
        let of_sequence = |sequence: &Sequence| sequence.measure(est, args.max_frames);
        let reports: Vec<SequenceReport> =
            sequences.iter().map(of_sequence).collect::<anyhow::Result<_>>()?;
        let record = TrackerRecord::read(est)?;
        let name = record.as_ref().map_or_else(|| name_of(est, &args.est), |record| record.name.clone());
        let cpu_ms = record.and_then(|record| record.cpu_ms_per_frame);
        Ok(OnePassSuite::new(name, reports)?.with_cpu_ms(cpu_ms))
    };
    let suites: Vec<OnePassSuite> = args.est.iter().map(suite).collect::<anyhow::Result<_>>()?;
    let page = suites.iter().cloned().fold(page(args, ground_truth), Report::one_pass);
    let strips = if args.report.is_some() { strips(&suites, &sequences)? } else { Vec::new() };
    let text = match suites.as_slice() {
        [suite] if suite.sequences.len() == 1 => suite.sequences[0].report.to_string(),
        [suite] => suite.to_string(),
        several => suites_table(several),
    };
    let json = one_or_all(suites.iter().map(serde_json::to_value).collect::<Result<_, _>>()?);
    Ok((text, json, strips.into_iter().fold(page, Report::frame)))
}

fn supervised(args: &EvalTrackingArgs) -> anyhow::Result<Answer> {
    let path = args.dataset.as_deref().context("expected a dataset, --dataset")?;
    let dataset = VotDataset::read(path)?;
    let measure = |results: &PathBuf| {
        let report = VotReport::measure(&dataset, &VotResults::read(results)?, &VotProtocol::default())?;
        Ok((name_of(results, &args.results), report))
    };
    let trackers: Vec<(String, VotReport)> =
        args.results.iter().map(measure).collect::<anyhow::Result<_>>()?;
    let page = trackers.iter().cloned().fold(page(args, path), |page, (name, report)| page.vot(name, report));
    let text = match trackers.as_slice() {
        [(_, report)] => report.to_string(),
        several => vot_table(several),
    };
    Ok((text, named(&trackers)?, page))
}

fn multi_object(args: &EvalTrackingArgs) -> anyhow::Result<Answer> {
    let path = args.gt.as_deref().context("expected ground truth, --gt")?;
    let truth = MotTracks::read_truth(path)?;
    let measure = |est: &PathBuf| {
        let report = MultiObjectReport::measure(&truth, &MotTracks::read_estimate(est)?)?;
        Ok((name_of(est, &args.est), report))
    };
    let trackers: Vec<(String, MultiObjectReport)> =
        args.est.iter().map(measure).collect::<anyhow::Result<_>>()?;
    let add = |page: Report, (name, report): (String, MultiObjectReport)| page.multi_object(name, report);
    let page = trackers.iter().cloned().fold(page(args, path), add);
    let text = match trackers.as_slice() {
        [(_, report)] => report.to_string(),
        several => multi_object_table(several),
    };
    Ok((text, named(&trackers)?, page))
}

fn page(args: &EvalTrackingArgs, truth: &Path) -> Report {
    let all = [args.est.as_slice(), args.results.as_slice()].concat();
    let names: Vec<String> = all.iter().map(|path| name_of(path, &all)).collect();
    Report::new(names.join(", ")).subtitle(format!("against {}", truth.display()))
}

/// The reports, each with the name of its tracker.
fn named(trackers: &[(String, impl serde::Serialize)]) -> anyhow::Result<Value> {
    let named = trackers.iter().map(|(name, report)| {
        let mut value = serde_json::to_value(report)?;
        value["tracker"] = json!(name);
        Ok(value)
    });
    Ok(one_or_all(named.collect::<anyhow::Result<_>>()?))
}

fn one_or_all(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) }
}

/// The truth about one target.
struct Sequence {
    name: String,
    truth: Vec<Rectangle>,
    attributes: Vec<String>,
    /// Where its frames are, as far as that is known.
    frames: Option<SourceSpec>,
}

impl Sequence {
    /// From a file of boxes; its frames are known where it lies in its benchmark.
    fn from_file(path: &Path) -> anyhow::Result<Self> {
        let frames = is_target_sequence(path).then(|| SourceSpec::new(path.to_string_lossy()));
        // In most benchmarks the folder has the name, and the file is called the same everywhere.
        let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let is_common = stem.starts_with("groundtruth");
        let name = if is_common { folder_of(path).unwrap_or(stem) } else { stem };
        Ok(Self { name, truth: read_rectangles(path)?, attributes: Vec::new(), frames })
    }

    /// From a folder as its benchmark lays it out.
    fn from_benchmark(folder: &Path) -> anyhow::Result<Self> {
        let spec = SourceSpec::new(folder.to_string_lossy());
        let source = open(&spec)?;
        let target = source.ground_truth().and_then(|truth| truth.target.clone());
        let target =
            target.with_context(|| format!("{}: expected the boxes of a target", folder.display()))?;
        let name = folder.canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let out_of_view = Rectangle::new(f64::NAN, f64::NAN, f64::NAN, f64::NAN);
        let truth = target.boxes.iter().map(|(_, of)| of.map_or(out_of_view, Rectangle::from)).collect();
        Ok(Self { name, truth, attributes: target.attributes, frames: Some(spec) })
    }

    /// Measures the boxes in a file, or in the file of the sequence's name in a folder.
    fn measure(&self, est: &Path, max_frames: Option<usize>) -> anyhow::Result<SequenceReport> {
        let path = if est.is_dir() { est.join(format!("{}.txt", self.name)) } else { est.to_owned() };
        let estimate = read_rectangles(&path)?;
        let frames = max_frames.unwrap_or(self.truth.len()).min(self.truth.len());
        let estimate = &estimate[..estimate.len().min(max_frames.unwrap_or(usize::MAX))];
        let report = OnePassReport::measure(&self.truth[..frames], estimate).with_context(|| {
            format!("{} cannot be measured; --max-frames N measures the first N", path.display())
        })?;
        Ok(SequenceReport { name: self.name.clone(), attributes: self.attributes.clone(), report })
    }
}

/// Name of the folder that a file lies in.
fn folder_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    Some(path.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// The sequence or sequences that the ground truth is of.
fn sequences(ground_truth: &Path, args: &EvalTrackingArgs) -> anyhow::Result<Vec<Sequence>> {
    let mut sequences = if !ground_truth.is_dir() {
        vec![Sequence::from_file(ground_truth)?]
    } else if is_target_sequence(ground_truth) {
        vec![Sequence::from_benchmark(ground_truth)?]
    } else {
        sequences_in(ground_truth)?
    };
    if let Some(frames) = &args.frames {
        ensure!(
            sequences.len() == 1,
            "expected ground truth of one sequence with --frames, found {}",
            sequences.len()
        );
        sequences.iter_mut().for_each(|sequence| sequence.frames = Some(SourceSpec::new(frames)));
    }
    let is_single = |est: &&PathBuf| !est.is_dir();
    if let Some(file) = args.est.iter().find(is_single).filter(|_| sequences.len() > 1) {
        bail!(
            "expected a folder with a file NAME.txt for each of {} sequences, found {}",
            sequences.len(),
            file.display()
        );
    }
    Ok(sequences)
}

/// Every sequence and every file of boxes in a folder, by name.
fn sequences_in(folder: &Path) -> anyhow::Result<Vec<Sequence>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut sequences = Vec::new();
    for path in paths {
        if path.is_dir() && is_target_sequence(&path) {
            sequences.push(Sequence::from_benchmark(&path)?);
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "txt") {
            sequences.push(Sequence::from_file(&path)?);
        }
    }
    ensure!(
        !sequences.is_empty(),
        "{}: expected tracking sequences or files of boxes, found none",
        folder.display()
    );
    Ok(sequences)
}

/// The longest losses of all trackers, as pictures.
fn strips(suites: &[OnePassSuite], sequences: &[Sequence]) -> anyhow::Result<Vec<SampleFrame>> {
    let losses =
        suites.iter().flat_map(|suite| suite.longest_losses().into_iter().map(move |loss| (suite, loss)));
    let mut losses: Vec<(&OnePassSuite, Loss<'_>)> = losses.collect();
    losses.sort_by_key(|(_, loss)| std::cmp::Reverse(loss.frames));
    let source = |loss: &Loss<'_>| sequences.iter().find(|of| of.name == loss.sequence.name)?.frames.as_ref();
    let shown = losses.iter().filter_map(|(suite, loss)| Some((suite, loss, source(loss)?))).take(STRIPS);
    shown.map(|(suite, loss, source)| strip(&suite.tracker, loss, source)).collect()
}

fn strip(tracker: &str, loss: &Loss<'_>, source: &SourceSpec) -> anyhow::Result<SampleFrame> {
    let moments = moments(loss, source)?;
    let numbers: Vec<String> = moments.iter().map(|(_, score)| score.frame.to_string()).collect();
    let caption = format!(
        "{tracker}, {}: {} frames without the target; frames {} from 0, truth green, estimate orange",
        loss.sequence.name,
        loss.frames,
        numbers.join(", ")
    );
    Ok(film_strip(caption, &moments)?)
}

/// The frames that show a loss.
fn moments(loss: &Loss<'_>, spec: &SourceSpec) -> anyhow::Result<Vec<(Frame, FrameScore)>> {
    let mut source = open(spec)?;
    let (mut next, mut moments) = (0, Vec::new());
    for score in loss.moments().into_iter().map(|index| loss.sequence.report.scores[index]) {
        while next < score.frame && source.skip_frame()? {
            next += 1;
        }
        let Some(frame) = source.next_frame()? else { break };
        next += 1;
        moments.push((frame, score));
    }
    Ok(moments)
}
