//! `kestrel detect`: what is in images or in a video, drawn and as a file.

mod drawings;
mod inputs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use detect::{Detector, Tiling};
use eval::detection::{Annotation, FoundBox, annotated};
use geometry::Detection;
use runtime::graph::thread_cpu;
use runtime::run::keep_earlier;
use serde_json::{Value, json};

use crate::cli::DetectArgs;
use crate::commands::run::cancel_on_signal;
use crate::commands::{INCOMPLETE, ensure_apart, replace_file};
use crate::detector_file::DetectorFile;
use crate::logging::{answer, say};
use crate::progress::FrameProgress;
use drawings::Drawings;
use inputs::{Input, Inputs};

/// What was found, as COCO's result files have it.
const RESULTS: &str = "detections.json";
/// Smaller pictures are enlarged to this, so that lines and letters don't hide what they point at.
const LEAST_SIDE: usize = 960;

pub(super) fn detect(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let file = DetectorFile::open(args.detector.as_deref())?;
    let mut looker = Looker::new(file.detector()?, args);
    let mut inputs = Inputs::open(&args.source, &args.window)?;
    ensure_apart(Path::new(&args.source), &args.out)?;
    make_ready(&args.out)?;
    let mut drawings = Drawings::new(&args.out, &inputs);
    let cancel = cancel_on_signal()?;
    let mut bar = FrameProgress::new(inputs.count());
    while !cancel.is_cancelled()
        && let Some(input) = inputs.next()
    {
        match input {
            Ok(input) => {
                let found = looker.look(&input)?;
                let annotations = Annotation::of_boxes(&found, looker.detector.classes());
                let picture = annotated(&input.frame, &annotations, LEAST_SIDE..=usize::MAX);
                drawings.add(&input, &picture.with_context(|| input.name.clone())?)?;
            }
            Err(error) => {
                say(&format!("left out: {error:#}"));
                looker.unread += 1;
            }
        }
        bar.update((looker.images + looker.unread) as u64, || format!("{} objects", looker.rows.len()));
    }
    bar.finish();
    replace_file(&args.out.join(RESULTS), looker.results().as_bytes())?;
    let drawn = drawings.finish();
    let summary = looker.summary(args, file.name(), &drawn);
    answer(&if args.json { format!("{summary:#}") } else { looker.text(args, &drawn) })?;
    ensure!(looker.images > 0, "expected at least one image that can be read, found none");
    Ok(if looker.unread > 0 { ExitCode::from(INCOMPLETE) } else { ExitCode::SUCCESS })
}

/// An earlier result is kept by another name; a folder of something else is left alone.
fn make_ready(out: &Path) -> anyhow::Result<()> {
    if out.join(RESULTS).exists() {
        keep_earlier(out)?;
    }
    fs::create_dir_all(out).with_context(|| format!("{}: can't make the folder", out.display()))?;
    let is_empty = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(is_empty, "expected an empty folder or an earlier result for --out, found {}", out.display());
    Ok(())
}

/// A detector with what it has found so far.
struct Looker {
    detector: Detector,
    rows: Vec<Value>,
    images: usize,
    unread: usize,
    /// CPU time of the detector alone.
    cpu: Duration,
}

impl Looker {
    fn new(detector: Detector, args: &DetectArgs) -> Self {
        let detector = match args.score {
            Some(score) => detector.with_score_threshold(score),
            None => detector,
        };
        let detector = if args.whole { detector.with_tiling(Tiling::Whole) } else { detector };
        Self { detector, rows: Vec::new(), images: 0, unread: 0, cpu: Duration::ZERO }
    }

    fn look(&mut self, input: &Input) -> anyhow::Result<Vec<FoundBox>> {
        let before = thread_cpu();
        let found = self.detector.detect(&input.frame).with_context(|| input.name.clone())?;
        self.cpu += thread_cpu() - before;
        self.images += 1;
        let classes = self.detector.classes();
        self.rows.extend(found.iter().map(|found| row(&input.id, found, classes)));
        Ok(found.iter().map(FoundBox::from).collect())
    }

    /// How many of each class, those without any included.
    fn objects(&self) -> BTreeMap<&str, usize> {
        let mut objects: BTreeMap<&str, usize> =
            self.detector.classes().iter().map(|class| (class.as_str(), 0)).collect();
        for class in self.rows.iter().filter_map(|row| row["category"].as_str()) {
            *objects.entry(class).or_default() += 1;
        }
        objects
    }

    fn results(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(Value::to_string).collect();
        format!("[\n{}\n]\n", rows.join(",\n"))
    }

    fn cpu_ms_per_image(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.images.max(1) as f64
    }

    fn summary(&self, args: &DetectArgs, detector: &str, drawn: &str) -> Value {
        json!({
            "out": args.out.display().to_string(),
            "detections": args.out.join(RESULTS).display().to_string(),
            "drawn": drawn,
            "detector": detector,
            "images": self.images,
            "unread_images": self.unread,
            "objects": self.objects(),
            "cpu_ms_per_image": self.cpu_ms_per_image(),
        })
    }

    fn text(&self, args: &DetectArgs, drawn: &str) -> String {
        let objects = self.objects().into_iter().map(|(class, count)| format!("{count} {class}"));
        let unread = if self.unread > 0 { format!(", {} unread", self.unread) } else { String::new() };
        format!(
            "{} images{unread}: {}; {:.1} ms CPU an image (the detector; reading and drawing left out)\n  {drawn}\n  {}",
            self.images,
            objects.collect::<Vec<_>>().join(", "),
            self.cpu_ms_per_image(),
            args.out.join(RESULTS).display()
        )
    }
}

/// A row as <https://cocodataset.org/#format-results> has it, and the name of the class, since numbers of classes are those of a
/// set of labels and a detector has never heard of the set.
fn row(image: &Value, found: &Detection, classes: &[String]) -> Value {
    let b = &found.bounding_box;
    json!({
        "image_id": image,
        "category_id": found.class_id,
        "category": classes.get(found.class_id as usize),
        "bbox": [b.x, b.y, b.width, b.height],
        "score": found.score,
    })
}
