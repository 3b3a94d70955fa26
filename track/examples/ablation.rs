//! What each part of the tracker is worth: sequences of boxes with one part left out after the other.
//!
//! `cargo run --release -p kestrel-track --example ablation -- SEQUENCE...`, where a sequence is a folder of OTB, UAV123, DTB70 or
//! VOT. Prints the mean over the sequences of the success AUC of OTB's one-pass protocol, as `kestrel eval tracking` has it, and
//! milliseconds of wall time per frame.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use datasets::{Dataset, SourceSpec};
use eval::tracking::{OnePassReport, OnePassSuite, Rectangle, SequenceReport};
use geometry::Frame;
use kestrel_track::{Tracker, TrackerConfig};

type Switch = fn(&mut TrackerConfig);

const VARIANTS: [(&str, Switch); 14] = [
    ("all parts", |_| ()),
    ("no kernel stream", |c| c.kernel_stream = false),
    ("no convolution stream", |c| c.convolution_stream = false),
    ("no cross-patch similarity", |c| c.cross_patch_similarity = false),
    ("no deformable parts", |c| c.deformable_parts = false),
    ("no reliability in the fusion", |c| c.reliability_fusion = false),
    ("no fast memory", |c| c.fast_memory = false),
    ("no colour", |c| c.colour = false),
    ("no scale", |c| c.scale = false),
    ("aspect too", |c| c.aspect = true),
    ("no occlusion gate", |c| c.occlusion_gate = false),
    ("no redetection", |c| c.redetection = false),
    ("no ego-motion", |c| c.ego_motion = false),
    ("every frame learnt", |c| c.learning_interval = 1),
];

/// Most frames of a sequence.
const MAX_FRAMES: usize = 250;

struct Sequence {
    name: String,
    frames: Vec<Frame>,
    /// One per frame; not a number where the target is out of view.
    truth: Vec<Rectangle>,
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let sequences = arguments.iter().map(|path| read(Path::new(path))).collect::<Result<Vec<_>, _>>()?;
    let frames: usize = sequences.iter().map(|sequence| sequence.frames.len()).sum();
    println!("{} sequences, {frames} frames", sequences.len());
    for (name, switch) in VARIANTS {
        let mut config = TrackerConfig::default();
        switch(&mut config);
        let began = Instant::now();
        let reports = sequences.iter().map(|sequence| run(sequence, &config)).collect::<Result<_, _>>()?;
        let ms = began.elapsed().as_secs_f64() * 1e3 / frames.max(1) as f64;
        let suite = OnePassSuite::new(name, reports)?;
        println!("{name:30} {:.3}  {ms:.2} ms", suite.auc);
        if name == "all parts" {
            let each = suite.sequences.iter();
            each.for_each(|sequence| println!("    {:26} {:.3}", sequence.name, sequence.report.auc));
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Sequence, Box<dyn Error>> {
    let mut source = datasets::open(&SourceSpec::new(folder.to_string_lossy()))?;
    let target = source.ground_truth().and_then(|truth| truth.target.clone());
    let target =
        target.ok_or_else(|| format!("expected boxes of a target, found none in {}", folder.display()))?;
    let mut frames = Vec::new();
    while frames.len() < target.boxes.len().min(MAX_FRAMES)
        && let Some(frame) = source.next_frame()?
    {
        frames.push(frame);
    }
    let out_of_view = Rectangle::new(f64::NAN, f64::NAN, 0.0, 0.0);
    let boxes = target.boxes.iter().take(frames.len());
    let truth = boxes.map(|(_, target)| target.map_or(out_of_view, Rectangle::from)).collect();
    Ok(Sequence { name: source.info().name.clone(), frames, truth })
}

fn run(sequence: &Sequence, config: &TrackerConfig) -> Result<SequenceReport, Box<dyn Error>> {
    let mut tracker = Tracker::new(config.clone());
    let mut boxes = vec![sequence.truth[0]];
    tracker.init(&sequence.frames[0], sequence.truth[0].into())?;
    for frame in &sequence.frames[1..] {
        boxes.push(tracker.update(frame)?.bounding_box.into());
    }
    let report = OnePassReport::measure(&sequence.truth, &boxes)?;
    Ok(SequenceReport { name: sequence.name.clone(), attributes: Vec::new(), report })
}
