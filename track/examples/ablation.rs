//! What each part of the tracker is worth: the success on sequences of boxes with one part left out after the other.
//!
//! `cargo run --release -p kestrel-track --example ablation -- SEQUENCE...`, where a sequence is a folder with images in
//! `img/` and one `x,y,w,h` per image in `groundtruth_rect.txt` (OTB) or `NAME.txt` (UAV123). Prints the mean over the
//! sequences of the area under the success curve (21 thresholds from 0 to 1, first frame counted) and milliseconds of wall
//! time per frame.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use datasets::{Dataset, SourceSpec};
use geometry::{BoundingBox, Frame};
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
    truth: Vec<BoundingBox>,
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let sequences = arguments.iter().map(|path| read(Path::new(path))).collect::<Result<Vec<_>, _>>()?;
    println!(
        "{} sequences, {} frames",
        sequences.len(),
        sequences.iter().map(|s| s.truth.len()).sum::<usize>()
    );
    for (name, switch) in VARIANTS {
        let mut config = TrackerConfig::default();
        switch(&mut config);
        let runs: Vec<_> =
            sequences.iter().map(|sequence| run(sequence, &config)).collect::<Result<_, _>>()?;
        let count = runs.len().max(1) as f64;
        let (auc, ms) =
            runs.iter().fold((0.0, 0.0), |sum, run| (sum.0 + run.0 / count, sum.1 + run.1 / count));
        println!("{name:30} {auc:.3}  {ms:.2} ms");
        if name == "all parts" {
            for (sequence, (auc, _)) in sequences.iter().zip(&runs) {
                println!("    {:26} {auc:.3}", sequence.name);
            }
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Sequence, Box<dyn Error>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let candidates = [folder.join("groundtruth_rect.txt"), folder.join(format!("{name}.txt"))];
    let file = candidates.iter().find(|path| path.exists()).ok_or("expected a file of boxes")?;
    let row = |line: &str| {
        let numbers = line.split([',', '\t', ' ']).filter(|part| !part.is_empty());
        let numbers: Vec<f32> = numbers.map(str::trim).map(str::parse).collect::<Result<_, _>>()?;
        let [x, y, width, height] = numbers[..] else { return Err("expected four numbers".into()) };
        Ok::<_, Box<dyn Error>>(BoundingBox::new(x, y, width, height))
    };
    let truth: Vec<_> = fs::read_to_string(file)?.lines().map(row).collect::<Result<_, _>>()?;
    let mut source = datasets::open(&SourceSpec::new(folder.join("img").to_string_lossy()))?;
    let mut frames = Vec::new();
    while frames.len() < truth.len().min(MAX_FRAMES)
        && let Some(frame) = source.next_frame()?
    {
        frames.push(frame);
    }
    let truth = truth.into_iter().take(frames.len()).collect();
    Ok(Sequence { name, frames, truth })
}

/// Area under the success curve, and milliseconds per frame.
fn run(sequence: &Sequence, config: &TrackerConfig) -> Result<(f64, f64), Box<dyn Error>> {
    let mut tracker = Tracker::new(config.clone());
    tracker.init(&sequence.frames[0], sequence.truth[0])?;
    let mut overlaps = vec![1.0];
    let began = Instant::now();
    for (frame, truth) in sequence.frames.iter().zip(&sequence.truth).skip(1) {
        overlaps.push(tracker.update(frame)?.bounding_box.iou(truth));
    }
    let ms = began.elapsed().as_secs_f64() * 1e3 / overlaps.len() as f64;
    let success = |k: u8| overlaps.iter().filter(|overlap| **overlap > f32::from(k) * 0.05).count() as f64;
    let auc = (0..21).map(success).sum::<f64>() / (21.0 * overlaps.len() as f64);
    Ok((auc, ms))
}
