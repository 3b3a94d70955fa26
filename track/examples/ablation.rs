//! What each part of the tracker is worth: how well it does on sequences of boxes with one part left out after the other.
//!
//! `cargo run --release -p kestrel-track --example ablation -- [--only VARIANT] [--starts N] SEQUENCE...`, where a sequence is a
//! folder in one of the layouts that `datasets` knows (OTB, UAV123, DTB70, VOT). A pixel more or less in the first box can decide
//! whether a target is lost a hundred frames later: with `--starts`, up to [`STARTS`], each sequence is begun as often, the
//! first box moved by a pixel each time but the first. Prints means over the sequences: the area under the
//! success curve of OTB's one-pass protocol, as `kestrel eval tracking` has it; the share of frames
//! without the target whose confidence is [`TRUSTED`] or more; the share of frames where the target is held but whose
//! confidence is less; frames from the target's return until it is held again; milliseconds of wall time per frame.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use datasets::SourceSpec;
use eval::tracking::{OnePassReport, Rectangle};
use geometry::{BoundingBox, Frame};
use kestrel_track::{Tracker, TrackerConfig};

type Switch = fn(&mut TrackerConfig);

const VARIANTS: [(&str, Switch); 16] = [
    ("all parts", |_| ()),
    ("no kernel stream", |c| c.kernel_stream = false),
    ("no convolution stream", |c| c.convolution_stream = false),
    ("no cross-patch similarity", |c| c.cross_patch_similarity = false),
    ("no deformable parts", |c| c.deformable_parts = false),
    ("no reliability in the fusion", |c| c.reliability_fusion = false),
    ("no fast memory", |c| c.fast_memory = false),
    ("no colour", |c| c.colour = false),
    ("no scale", |c| c.scale = false),
    ("no rotation", |c| c.rotation = false),
    ("aspect too", |c| c.aspect = true),
    ("no occlusion gate", |c| c.occlusion_gate = false),
    ("no redetection", |c| c.redetection = false),
    ("no long memory", |c| c.long_memory = false),
    ("no ego-motion", |c| c.ego_motion = false),
    ("every frame learnt", |c| c.learning_interval = 1),
];

/// Most frames of a sequence.
const MAX_FRAMES: usize = 500;
/// A confidence of so much is believed.
const TRUSTED: f32 = 0.5;
/// An overlap of more than this holds the target.
const HELD: f32 = 0.5;

/// By how many pixels the first box is moved.
const STARTS: [(f32, f32); 5] = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];

struct Sequence {
    name: String,
    frames: Vec<Frame>,
    truth: Vec<Option<BoundingBox>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut option = |name: &str| {
        let is_given = arguments.first().is_some_and(|first| first == name) && arguments.len() > 1;
        if is_given { arguments.drain(..2).nth(1) } else { None }
    };
    let only = option("--only");
    let starts = option("--starts").map_or(Ok(1), |starts| starts.parse::<usize>())?;
    let variants = VARIANTS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name));
    let mut sums: Vec<_> = variants.map(|variant| (variant, Means::default())).collect();
    let mut frames = 0;
    heading("");
    for path in &arguments {
        let sequence = read(Path::new(path))?;
        frames += sequence.frames.len();
        for (at, ((_, switch), means)) in sums.iter_mut().enumerate() {
            let mut config = TrackerConfig::default();
            switch(&mut config);
            let mut own = Means::default();
            for start in STARTS.iter().take(starts.max(1)) {
                own.add(&run(&sequence, &config, *start)?.all());
            }
            if at == 0 {
                print(&format!("    {}", sequence.name), &own.figures());
            }
            means.add(&own.figures());
        }
    }
    heading(&format!("{} sequences, {frames} frames", arguments.len()));
    sums.iter().for_each(|((name, _), means)| print(name, &means.figures()));
    Ok(())
}

fn read(folder: &Path) -> Result<Sequence, Box<dyn Error>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut source = datasets::open(&SourceSpec::new(folder.to_string_lossy()))?;
    let truth = source.ground_truth().and_then(|truth| truth.target.clone());
    let boxes = truth.ok_or("expected boxes of one target")?.boxes;
    let mut frames = Vec::new();
    while frames.len() < boxes.len().min(MAX_FRAMES)
        && let Some(frame) = source.next_frame()?
    {
        frames.push(frame);
    }
    let truth = boxes.into_iter().map(|(_, target)| target).take(frames.len()).collect();
    Ok(Sequence { name, frames, truth })
}

/// How one sequence went.
#[derive(Clone, Copy)]
struct Figures {
    /// Area under the success curve where the target is seen.
    auc: Option<f64>,
    /// Share of frames without the target that are trusted.
    false_trust: Option<f64>,
    /// Share of frames that hold the target and are not trusted.
    false_doubt: Option<f64>,
    /// Mean of frames until a target that came back is held.
    regained: Option<f64>,
    /// Milliseconds per frame.
    ms: Option<f64>,
}

impl Figures {
    fn all(&self) -> [Option<f64>; 5] {
        [self.auc, self.false_trust, self.false_doubt, self.regained, self.ms]
    }
}

/// One frame of a run.
struct Answer {
    overlap: Option<f32>,
    confidence: f32,
}

fn run(sequence: &Sequence, config: &TrackerConfig, start: (f32, f32)) -> Result<Figures, Box<dyn Error>> {
    let mut tracker = Tracker::new(config.clone());
    let first = sequence.truth.first().copied().flatten().ok_or("expected a target in the first frame")?;
    let first = BoundingBox { x: first.x + start.0, y: first.y + start.1, ..first };
    tracker.init(&sequence.frames[0], first)?;
    let mut answers = vec![Answer { overlap: Some(1.0), confidence: 1.0 }];
    let mut boxes = vec![first.into()];
    let began = Instant::now();
    for (frame, truth) in sequence.frames.iter().zip(&sequence.truth).skip(1) {
        let track = tracker.update(frame)?;
        let overlap = truth.map(|truth| track.bounding_box.iou(&truth));
        boxes.push(track.bounding_box.into());
        answers.push(Answer { overlap, confidence: track.confidence });
    }
    let ms = began.elapsed().as_secs_f64() * 1e3 / answers.len() as f64;
    let out_of_view = Rectangle::new(f64::NAN, f64::NAN, 0.0, 0.0);
    let truth: Vec<_> =
        sequence.truth.iter().map(|truth| truth.map_or(out_of_view, Rectangle::from)).collect();
    let auc = OnePassReport::measure(&truth, &boxes)?.auc;
    let is_held = |answer: &Answer| answer.overlap.is_some_and(|overlap| overlap > HELD);
    let is_absent = |answer: &Answer| answer.overlap.is_none();
    Ok(Figures {
        auc: Some(auc),
        false_trust: share(&answers, is_absent, |answer| answer.confidence >= TRUSTED),
        false_doubt: share(&answers, is_held, |answer| answer.confidence < TRUSTED),
        regained: mean_wait(&answers, is_held),
        ms: Some(ms),
    })
}

/// Of the answers of one kind, the share that is of another too.
fn share(
    answers: &[Answer],
    among: impl Fn(&Answer) -> bool,
    counts: impl Fn(&Answer) -> bool,
) -> Option<f64> {
    let all = answers.iter().filter(|answer| among(answer)).count();
    let counted = answers.iter().filter(|answer| among(answer) && counts(answer)).count();
    (all > 0).then(|| counted as f64 / all as f64)
}

/// Mean of frames from a return until the target is held, or until it is gone again.
fn mean_wait(answers: &[Answer], is_held: impl Fn(&Answer) -> bool) -> Option<f64> {
    let presences = answers.split(|answer| answer.overlap.is_none()).skip(1).filter(|part| !part.is_empty());
    let waits: Vec<_> =
        presences.map(|part| part.iter().take_while(|answer| !is_held(answer)).count()).collect();
    (!waits.is_empty()).then(|| waits.iter().sum::<usize>() as f64 / waits.len() as f64)
}

/// Means of each figure over the sequences that have it.
#[derive(Default)]
struct Means {
    sums: [f64; 5],
    counts: [usize; 5],
}

impl Means {
    fn add(&mut self, figures: &[Option<f64>; 5]) {
        for (i, figure) in figures.iter().enumerate() {
            self.sums[i] += figure.unwrap_or(0.0);
            self.counts[i] += usize::from(figure.is_some());
        }
    }

    fn figures(&self) -> [Option<f64>; 5] {
        std::array::from_fn(|i| (self.counts[i] > 0).then(|| self.sums[i] / self.counts[i] as f64))
    }
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn print(name: &str, figures: &[Option<f64>; 5]) {
    let column = |i: usize| match (figures[i], i) {
        (None, _) => "-".into(),
        (Some(value), 0) => format!("{value:.3}"),
        (Some(value), 1 | 2) => format!("{:.0} %", 100.0 * value),
        (Some(value), _) => format!("{value:.1}"),
    };
    let columns: Vec<String> = (0..5).map(column).collect();
    let [auc, false_trust, false_doubt, regained, ms] = &columns[..] else { return };
    println!("{name:44} {auc:>6} {false_trust:>8} {false_doubt:>8} {regained:>8} {ms:>6}");
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn heading(text: &str) {
    println!("{text:44} {:>6} {:>8} {:>8} {:>8} {:>6}", "AUC", "trusted", "doubted", "regained", "ms");
}
