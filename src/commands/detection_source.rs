//! Where detections come from.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use datasets::labels::{ClassMap, LabelSet, LabelledImage};
use detect::{Detector, Tiling, non_maximum_suppression};
use eval::detection::{DetectionResults, FoundBox, ImageKey};
use geometry::{Detection, Frame};
use runtime::graph::process_cpu;

/// A detector, or what one has left.
pub(super) trait DetectionSource {
    /// Names of the classes that it finds, as `--map` renames them; those of its boxes are indices into them.
    fn classes(&self) -> &[String];

    /// What it finds in an image.
    ///
    /// # Errors
    /// Where the image can't be read or the detector fails.
    fn find(&mut self, image: &LabelledImage) -> anyhow::Result<Vec<FoundBox>>;

    /// CPU time of all threads that it took to find, without reading images; `None` where nobody measured it.
    fn cpu(&self) -> Option<Duration>;
}

/// Detections from a file, for the images of one set.
pub(super) struct RecordedDetections {
    classes: Vec<String>,
    /// By the id of the image.
    found: HashMap<String, Vec<FoundBox>>,
}

impl RecordedDetections {
    /// Reads COCO's result files. Images and classes go by the names and numbers of `set`; `dropped` are the numbers of
    /// classes that are not measured. A row that names its class goes by that, as `map` renames it.
    ///
    /// # Errors
    /// Where the file can't be read or is of another set: an image or a class is not in it.
    pub(super) fn read(
        path: &Path,
        set: &LabelSet,
        dropped: &BTreeSet<i64>,
        map: &ClassMap,
    ) -> anyhow::Result<Self> {
        let ids = Ids::of(set);
        let mut classes = set.classes.clone();
        let mut found: HashMap<String, Vec<FoundBox>> = HashMap::new();
        for of in DetectionResults::read(path)?.boxes {
            let id = ids.find(&of.image).with_context(|| path.display().to_string())?;
            let class = match (&of.category_name, set.category_ids.get(&of.category)) {
                (Some(name), _) => map.name_of(name).map(|name| index_of(name, &mut classes)),
                (None, Some(class)) => Some(*class as usize),
                (None, None) if dropped.contains(&of.category) => None,
                _ => bail!("{}: expected categories of the set, found {}", path.display(), of.category),
            };
            let (rectangle, score) = (of.rectangle, of.score);
            let found_box = class.map(|class| FoundBox { class, rectangle, score });
            found.entry(id.to_owned()).or_default().extend(found_box);
        }
        Ok(Self { classes, found })
    }
}

impl DetectionSource for RecordedDetections {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn find(&mut self, image: &LabelledImage) -> anyhow::Result<Vec<FoundBox>> {
        Ok(self.found.remove(&image.id).unwrap_or_default())
    }

    fn cpu(&self) -> Option<Duration> {
        None
    }
}

/// Where `name` is among `names`; it is added where it is new.
fn index_of(name: &str, names: &mut Vec<String>) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// A detector that looks at the images now.
pub(super) struct RunningDetector {
    detector: Detector,
    classes: Vec<String>,
    /// For each class of the detector its number among `classes`.
    class_ids: Vec<Option<u32>>,
    cpu: Duration,
}

impl RunningDetector {
    /// A score this low still says something about precision at full recall.
    const SCORE_THRESHOLD: f32 = 0.02;
    /// Of boxes that `map` makes one class of, and that overlap by more than this, one stays.
    const MAX_IOU: f32 = 0.5;

    /// `detector` as it is measured, its classes renamed by `map`: also what it is not sure of counts.
    pub(super) fn new(detector: Detector, whole: bool, map: &ClassMap) -> Self {
        let detector = detector.with_score_threshold(Self::SCORE_THRESHOLD);
        let detector = if whole { detector.with_tiling(Tiling::Whole) } else { detector };
        let (classes, class_ids) = map.apply(detector.classes());
        Self { detector, classes, class_ids, cpu: Duration::ZERO }
    }

    /// What is in a frame.
    ///
    /// # Errors
    /// Where the network fails.
    pub(super) fn find_in(&mut self, frame: &Frame) -> anyhow::Result<Vec<FoundBox>> {
        let before = process_cpu();
        let found = self.detector.detect(frame)?;
        self.cpu += process_cpu() - before;
        let renamed = found.into_iter().filter_map(|detection| {
            let class_id = self.class_ids[detection.class_id as usize]?;
            Some(Detection { class_id, ..detection })
        });
        let found = non_maximum_suppression(renamed.collect(), Self::MAX_IOU);
        Ok(found.iter().map(FoundBox::from).collect())
    }
}

impl DetectionSource for RunningDetector {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn find(&mut self, image: &LabelledImage) -> anyhow::Result<Vec<FoundBox>> {
        self.find_in(&image.frame()?)
    }

    fn cpu(&self) -> Option<Duration> {
        Some(self.cpu)
    }
}

/// What the images of a set may be called, to their ids; `None` for what several are called.
struct Ids<'a>(HashMap<&'a str, Option<&'a str>>);

impl<'a> Ids<'a> {
    fn of(set: &'a LabelSet) -> Self {
        let mut ids: HashMap<&str, Option<&str>> = HashMap::new();
        for image in &set.images {
            let id = Some(image.id.as_str());
            for name in names(image) {
                let known = ids.entry(name).or_insert(id);
                *known = known.filter(|known| Some(*known) == id);
            }
        }
        // Their own ids before names of files.
        ids.extend(set.images.iter().map(|image| (image.id.as_str(), Some(image.id.as_str()))));
        Self(ids)
    }

    fn find(&self, key: &ImageKey) -> anyhow::Result<&'a str> {
        let name = match key {
            ImageKey::Name(name) => name.clone(),
            ImageKey::Number(number) => number.to_string(),
        };
        let id = self.0.get(name.as_str());
        let id = id.with_context(|| format!("expected images of the set, found `{name}`"))?;
        id.with_context(|| format!("expected names of single images, found `{name}`, which several have"))
    }
}

/// The id, and the name of the file; where it is a number, without zeros in front too; VEDAI's without the band.
fn names(image: &LabelledImage) -> impl Iterator<Item = &str> {
    let id = image.id.as_str();
    let stem = image.path.file_stem().and_then(|stem| stem.to_str());
    let without_band = id.strip_suffix("_co").or_else(|| id.strip_suffix("_ir"));
    let names = [Some(id), stem, without_band].into_iter().flatten();
    names.flat_map(|name| [name, without_zeros(name)])
}

/// `0` for `0000`.
fn without_zeros(name: &str) -> &str {
    let rest = name.trim_start_matches('0');
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number, rest) {
        (false, _) => name,
        (true, "") => &name[name.len() - 1..],
        (true, rest) => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(images: &[(&str, &str)]) -> LabelSet {
        let image = |(id, path): &(&str, &str)| LabelledImage {
            id: (*id).to_owned(),
            path: path.into(),
            size: (64, 32),
            boxes: Vec::new(),
        };
        LabelSet { images: images.iter().map(image).collect(), ..LabelSet::default() }
    }

    #[test]
    fn images_go_by_id_name_and_number() {
        let set = set(&[("00000010_co", "a/00000010_co.png"), ("train/7", "train/7.png"), ("0", "0.png")]);
        let ids = Ids::of(&set);
        let find = |key: ImageKey| ids.find(&key).map_err(|error| error.to_string());
        for (key, id) in [("00000010", "00000010_co"), ("train/7", "train/7"), ("7", "train/7")] {
            assert_eq!(find(ImageKey::Name(key.to_owned())), Ok(id));
        }
        assert_eq!((find(ImageKey::Number(10)), find(ImageKey::Number(0))), (Ok("00000010_co"), Ok("0")));
        assert_eq!(find(ImageKey::Number(11)).unwrap_err(), "expected images of the set, found `11`");
    }

    #[test]
    fn an_id_goes_before_a_name_and_no_name_is_guessed() {
        let crossed = set(&[("1", "images/2.jpg"), ("2", "images/1.jpg")]);
        assert_eq!(Ids::of(&crossed).find(&ImageKey::Number(2)).unwrap(), "2");
        let twice = set(&[("train/7", "train/7.png"), ("val/7", "val/7.png")]);
        let error = Ids::of(&twice).find(&ImageKey::Number(7)).unwrap_err().to_string();
        assert!(error.contains("found `7`, which several have"), "{error}");
    }
}
