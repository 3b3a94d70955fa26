//! `kestrel eval detection`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use datasets::labels::{ClassMap, ImageNames, LabelSet};
use eval::detection::{DetectionImage, DetectionReport, FoundBox, MODERN_VEDAI_CLASSES, detection_picture};
use eval::{Report, SampleFrame};
use serde_json::{Value, json};

use crate::cli::{EvalDetectionArgs, LabelFormatArg};
use crate::commands::detection_source::{DetectionSource, RecordedDetections, RunningDetector};
use crate::commands::{ensure_replaceable, labels};
use crate::detector_file::DetectorFile;
use crate::logging::{answer, say};
use crate::model_file::VEHICLES;
use crate::progress::FrameProgress;

/// Images with the most errors that a report shows.
const PICTURES: usize = 12;
/// Of these, so many of one scene.
const OF_ONE_SCENE: usize = 3;

pub(super) fn eval_detection(args: &EvalDetectionArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
    }
    let labelled = Labelled::read(args)?;
    let measured = measure(&labelled, &mut *source(args, &labelled)?)?;
    if let Some(path) = &args.report {
        page(args, &labelled.set, &measured)?.write(path)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json { serde_json::to_string_pretty(&measured.json()?)? } else { measured.text() })?;
    Ok(ExitCode::SUCCESS)
}

/// The detector that is to be measured, or what one has found.
fn source(args: &EvalDetectionArgs, labelled: &Labelled) -> anyhow::Result<Box<dyn DetectionSource>> {
    let map = args.labels.map.clone().unwrap_or_default();
    if let Some(detections) = &args.detections {
        return Ok(Box::new(RecordedDetections::read(detections, &labelled.set, &labelled.dropped, &map)?));
    }
    let file = DetectorFile::open(args.model.as_deref())?;
    Ok(Box::new(RunningDetector::new(file.detector()?, args.whole, &map)))
}

/// A set as it is to be measured.
struct Labelled {
    set: LabelSet,
    /// Numbers of the classes that are left out.
    dropped: BTreeSet<i64>,
    notes: Vec<String>,
}

impl Labelled {
    fn read(args: &EvalDetectionArgs) -> anyhow::Result<Self> {
        let set = labels::source(&args.data, &args.labels).read()?;
        let mut notes = Vec::new();
        let map = match &args.labels.map {
            Some(map) => {
                let unused = map.unused(&set.classes).join(", ");
                if !unused.is_empty() {
                    notes.push(format!("--map names classes that the labels don't have: {unused}"));
                }
                map.clone()
            }
            None if is_vedai(args) => {
                notes.push(format!("VEDAI, modern protocol: {} only", MODERN_VEDAI_CLASSES.join(", ")));
                modern_vedai(&set)?
            }
            None => ClassMap::default(),
        };
        let set = match args.fold {
            Some(fold) => of_fold(set, fold, args)?,
            None => set,
        };
        refuse_training_images(&set, &args.trained_on)?;
        let all = set.category_ids.clone();
        let set = set.mapped(&map);
        let dropped = all.into_keys().filter(|category| !set.category_ids.contains_key(category)).collect();
        Ok(Self { set, dropped, notes })
    }
}

fn is_vedai(args: &EvalDetectionArgs) -> bool {
    matches!(args.labels.format, LabelFormatArg::Vedai | LabelFormatArg::VedaiInfrared)
}

/// Drops the classes that the modern protocol leaves out.
fn modern_vedai(set: &LabelSet) -> anyhow::Result<ClassMap> {
    let others = set.classes.iter().filter(|class| !MODERN_VEDAI_CLASSES.contains(&class.as_str()));
    let pairs: Vec<String> = others.map(|class| format!("{class}=")).collect();
    Ok(ClassMap::parse(&pairs.join(","))?)
}

/// The test images of a fold, which must all be there: figures of some of them are not comparable.
fn of_fold(set: LabelSet, fold: u32, args: &EvalDetectionArgs) -> anyhow::Result<LabelSet> {
    ensure!(is_vedai(args), "expected --format vedai with --fold, found another");
    let folder =
        if args.data.is_dir() { args.data.as_path() } else { args.data.parent().unwrap_or(Path::new("")) };
    let list = |name: String| ImageNames::read(&folder.join("folds").join(name));
    let (test, training) = (list(format!("fold{fold:02}test.txt"))?, list(format!("fold{fold:02}.txt"))?);
    let (set, _) = set.partition(|image| test.contains(image));
    ensure!(
        set.images.len() == test.len(),
        "expected all {} images of {}, found {}",
        test.len(),
        test.path.display(),
        set.images.len()
    );
    refuse(&set, &training)?;
    Ok(set)
}

fn refuse_training_images(set: &LabelSet, lists: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    lists.iter().try_for_each(|path| refuse(set, &ImageNames::read(path.as_ref())?))
}

fn refuse(set: &LabelSet, training: &ImageNames) -> anyhow::Result<()> {
    let shared: Vec<&str> =
        set.images.iter().filter(|image| training.contains(image)).map(|image| image.id.as_str()).collect();
    ensure!(
        shared.is_empty(),
        "expected images that the detector was not trained on, found {} of {} in {}, {} the first",
        shared.len(),
        set.images.len(),
        training.path.display(),
        shared.first().copied().unwrap_or_default()
    );
    Ok(())
}

/// What came out.
struct Measured {
    report: DetectionReport,
    cpu_ms_per_image: Option<f64>,
    notes: Vec<String>,
}

/// Asks the source for its detections in every image. Classes that only the labels or only the source has are left out.
fn measure(labelled: &Labelled, source: &mut dyn DetectionSource) -> anyhow::Result<Measured> {
    let set = &labelled.set;
    let known = source.classes().to_vec();
    let classes: Vec<String> = set.classes.iter().filter(|class| known.contains(class)).cloned().collect();
    ensure!(
        !classes.is_empty(),
        "expected a class that labels and detector share (--map joins names), found {} and {}",
        set.classes.join(", "),
        known.join(", ")
    );
    let place = |names: &[String]| -> Vec<Option<usize>> {
        names.iter().map(|name| classes.iter().position(|class| class == name)).collect()
    };
    let (of_labels, of_source) = (place(&set.classes), place(&known));
    let mut left_out = 0;
    let mut images: Vec<DetectionImage> = Vec::with_capacity(set.images.len());
    let mut bar = FrameProgress::new(Some(set.images.len() as u64));
    for image in &set.images {
        let mut measured = labels::truth(image, |class| of_labels[class as usize]);
        let found = source.find(image).with_context(|| image.path.display().to_string())?;
        let of_classes = |found: &FoundBox| Some(FoundBox { class: of_source[found.class]?, ..*found });
        measured.found = found.iter().filter_map(of_classes).collect();
        left_out += found.len() - measured.found.len();
        images.push(measured);
        bar.update(images.len() as u64, String::new);
    }
    bar.finish();
    let cpu_ms = source.cpu().map(|cpu| cpu.as_secs_f64() * 1e3 / images.len() as f64);
    let mut notes = labelled.notes.clone();
    notes.extend(unknown_note(set, &of_labels));
    if left_out > 0 {
        notes.push(format!("{left_out} detections of classes that are not labelled are left out"));
    }
    Ok(Measured { report: DetectionReport::measure(&classes, &images)?, cpu_ms_per_image: cpu_ms, notes })
}

/// What the detector does not know.
fn unknown_note(set: &LabelSet, of_labels: &[Option<usize>]) -> Option<String> {
    let counts = set.classes.iter().zip(set.boxes_per_class()).zip(of_labels);
    let unknown = counts.filter(|((_, count), place)| place.is_none() && *count > 0);
    let unknown: Vec<String> = unknown.map(|((class, count), _)| format!("{class} ({count})")).collect();
    (!unknown.is_empty()).then(|| {
        format!("labels of classes that the detector does not know are left out: {}", unknown.join(", "))
    })
}

impl Measured {
    fn json(&self) -> anyhow::Result<Value> {
        let mut value = serde_json::to_value(&self.report)?;
        value["cpu_ms_per_image"] = json!(self.cpu_ms_per_image);
        value["notes"] = json!(self.notes);
        Ok(value)
    }

    fn text(&self) -> String {
        let time = self.cpu_ms_per_image.map(|ms| format!("{ms:.2} ms CPU an image, reading it left out\n"));
        let notes: String = self.notes.iter().map(|note| format!("- {note}\n")).collect();
        format!("{}\n{}{notes}", self.report, time.unwrap_or_default())
    }
}

fn page(args: &EvalDetectionArgs, set: &LabelSet, measured: &Measured) -> anyhow::Result<Report> {
    let measured_file = args.model.as_ref().or(args.detections.as_ref());
    let name = measured_file.and_then(|file| file.file_name());
    let name = name.map_or(VEHICLES.name.into(), |name| name.to_string_lossy());
    let page = Report::new(format!("{name} on {}", args.data.display()));
    let page = page.subtitle(format!("{} images", set.images.len()));
    let page = measured.notes.iter().fold(page, Report::note).detection(measured.report.clone());
    let pictures = pictures(set, &measured.report)?;
    Ok(pictures.into_iter().fold(page, Report::frame))
}

/// The images with the most errors, as far as they are there: results can be measured without them. Neighbouring frames
/// show the same errors, so that few of each scene will do.
fn pictures(set: &LabelSet, report: &DetectionReport) -> anyhow::Result<Vec<SampleFrame>> {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pictures = Vec::new();
    for verdict in report.worst_images() {
        let image = &set.images[verdict.image];
        let of_scene = shown.entry(image.scene()).or_default();
        if *of_scene < OF_ONE_SCENE && pictures.len() < PICTURES && image.path.is_file() {
            *of_scene += 1;
            pictures.push(detection_picture(image.id.as_str(), &image.frame()?, verdict)?);
        }
    }
    Ok(pictures)
}
