//! What a training has come to, measured on images that it does not learn from.

use std::fmt;
use std::thread;

use anyhow::{Context, anyhow};
use datasets::labels::{BoxRole, ClassMap, LabelSet, LabelledImage};
use detect::Detector;
use eval::detection::{DetectionImage, DetectionReport, FoundBox};
use nn::kernels::Kernel;

use crate::commands::detection_source::RunningDetector;
use crate::commands::labels;
use crate::logging::say;

/// Images that are measured on, and how.
pub(super) struct Validation {
    classes: Vec<String>,
    sets: Vec<HeldOut>,
}

/// Those of one folder, which has a figure of its own: scenes differ too much for one figure of all.
struct HeldOut {
    name: String,
    images: Vec<LabelledImage>,
    /// For each class of the labels its index among those that are measured.
    class_of: Vec<Option<usize>>,
}

impl Validation {
    /// Measures how `classes` are found in at most `most` images of each of the named `sets`, evenly spread over it. Sets
    /// that show none of the classes are left out.
    pub(super) fn new(classes: &[String], sets: Vec<(String, LabelSet)>, most: usize) -> Self {
        let held_out = |(name, set): (String, LabelSet)| HeldOut {
            name,
            class_of: set.classes.iter().map(|of| classes.iter().position(|class| class == of)).collect(),
            images: evenly(set.images, most),
        };
        let sets = sets.into_iter().map(held_out).filter(HeldOut::has_objects).collect();
        Self { classes: classes.to_vec(), sets }
    }

    /// Whether there is anything to measure on.
    pub(super) fn is_possible(&self) -> bool {
        !self.sets.is_empty()
    }

    /// How many images it takes.
    pub(super) fn images(&self) -> usize {
        self.sets.iter().map(|set| set.images.len()).sum()
    }

    /// What [`Validated::figures`] are of.
    pub(super) fn figure_names(&self) -> Vec<String> {
        let both = |of: String| [format!("ap50{of}"), format!("ap{of}")];
        let of_set = |set: &HeldOut| {
            let name = &set.name;
            let per_class = self.classes.iter().map(move |class| format!(" {name} {class}"));
            std::iter::once(format!(" {name}")).chain(per_class).flat_map(both).collect::<Vec<_>>()
        };
        both(String::new()).into_iter().chain(self.sets.iter().flat_map(of_set)).collect()
    }

    /// Measures the detector in the bytes of an ONNX file. An image that can't be read is named and left out from now on.
    pub(super) fn run(&mut self, onnx: &[u8]) -> anyhow::Result<Validated> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let open = |_| {
            let detector = Detector::read(onnx, Kernel::best())?;
            Ok(RunningDetector::new(detector, false, &ClassMap::default()))
        };
        let mut detectors: Vec<RunningDetector> = (0..threads).map(open).collect::<anyhow::Result<_>>()?;
        let mut sets = Vec::with_capacity(self.sets.len());
        for set in &mut self.sets {
            let images = set.look(&mut detectors)?;
            let report = set.has_objects().then(|| DetectionReport::measure(&self.classes, &images));
            sets.push((set.name.clone(), report.transpose()?));
        }
        Ok(Validated { sets })
    }
}

impl HeldOut {
    fn has_objects(&self) -> bool {
        let mut boxes = self.images.iter().flat_map(|image| &image.boxes);
        boxes.any(|of| of.role == BoxRole::Object && self.class_of[of.class_id as usize].is_some())
    }

    /// The images with what the detectors, which share the work, find in them.
    fn look(&mut self, detectors: &mut [RunningDetector]) -> anyhow::Result<Vec<DetectionImage>> {
        let share = self.images.len().div_ceil(detectors.len()).max(1);
        let found: Vec<Option<Vec<FoundBox>>> = thread::scope(|scope| {
            let shares = self.images.chunks(share).zip(detectors);
            let started: Vec<_> = shares
                .map(|(images, detector)| {
                    scope.spawn(|| images.iter().map(|image| find(detector, image)).collect())
                })
                .collect();
            let ended = started.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(anyhow!("a thread that measured has panicked")))
            });
            let shares: anyhow::Result<Vec<Vec<_>>> = ended.collect();
            shares.map(|shares| shares.concat())
        })?;
        let seen = self.images.iter().zip(&found).filter_map(|(image, found)| {
            let truth = labels::truth(image, |class| self.class_of[class as usize]);
            found.clone().map(|found| DetectionImage { found, ..truth })
        });
        let seen = seen.collect();
        let mut was_read = found.iter().map(Option::is_some);
        self.images.retain(|_| was_read.next() == Some(true));
        Ok(seen)
    }
}

/// What is in an image; nothing where it can't be read.
fn find(detector: &mut RunningDetector, image: &LabelledImage) -> anyhow::Result<Option<Vec<FoundBox>>> {
    match image.frame() {
        Ok(frame) => {
            let found = detector.find_in(&frame).with_context(|| image.path.display().to_string())?;
            Ok(Some(found))
        }
        Err(error) => {
            say(&format!("{error}: no longer measured on"));
            Ok(None)
        }
    }
}

/// `most` of the images, evenly spread.
fn evenly(images: Vec<LabelledImage>, most: usize) -> Vec<LabelledImage> {
    let (all, most) = (images.len(), most.min(images.len()));
    let begins_a_share = |index: usize| index * most / all != (index + 1) * most / all;
    images
        .into_iter()
        .enumerate()
        .filter(|(index, _)| begins_a_share(*index))
        .map(|(_, image)| image)
        .collect()
}

/// What was measured, by COCO's protocol, set by set; nothing of a set whose images can't be read any more.
pub(super) struct Validated {
    sets: Vec<(String, Option<DetectionReport>)>,
}

impl Validated {
    /// The figure that networks are compared by: AP at overlaps from 0.5 on, mean over the sets, so that the largest does
    /// not decide alone.
    pub(super) fn ap50(&self) -> Option<f64> {
        self.mean(|report| report.ap50)
    }

    /// Mean over the sets of AP over overlaps from 0.5 to 0.95.
    pub(super) fn ap(&self) -> Option<f64> {
        self.mean(|report| report.ap)
    }

    fn mean(&self, figure: impl Fn(&DetectionReport) -> Option<f64>) -> Option<f64> {
        let figures: Vec<f64> =
            self.sets.iter().filter_map(|(_, report)| report.as_ref().and_then(&figure)).collect();
        (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
    }

    /// AP50 and AP: mean over the sets, then of each set, over all its classes and class by class.
    pub(super) fn figures(&self, classes: usize) -> Vec<Option<f64>> {
        let of_set = |(_, report): &(String, Option<DetectionReport>)| match report {
            None => vec![None; 2 * (1 + classes)],
            Some(report) => {
                let per_class = report.per_class.iter().flat_map(|class| [class.ap50, class.ap]);
                [report.ap50, report.ap].into_iter().chain(per_class).collect()
            }
        };
        [self.ap50(), self.ap()].into_iter().chain(self.sets.iter().flat_map(of_set)).collect()
    }
}

impl fmt::Display for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        write!(f, "AP50 {}, AP {}", number(self.ap50()), number(self.ap()))?;
        if let [_, _, ..] = self.sets.as_slice() {
            let of_set = |(name, report): &(String, Option<DetectionReport>)| {
                format!("{name} {}", number(report.as_ref().and_then(|report| report.ap50)))
            };
            let sets: Vec<String> = self.sets.iter().map(of_set).collect();
            write!(f, " (AP50 of {})", sets.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datasets::labels::LabelledBox;
    use eval::detection::{Rectangle, TruthBox};

    use super::*;

    fn image(name: String) -> LabelledImage {
        let boxes = vec![LabelledBox::new(1, 4.0, 4.0, 20.0, 10.0)];
        LabelledImage { path: format!("{name}.png").into(), id: name, size: (64, 48), boxes }
    }

    #[test]
    fn images_are_spread_over_the_whole_set() {
        let names = |count: usize, most: usize| -> Vec<String> {
            let images = (0..count).map(|index| image(index.to_string())).collect();
            evenly(images, most).into_iter().map(|image| image.id).collect()
        };
        assert_eq!(names(10, 3), ["3", "6", "9"]);
        assert_eq!(names(2, 5), ["0", "1"]);
        assert!(names(0, 5).is_empty() && names(5, 0).is_empty());
    }

    #[test]
    fn each_set_has_figures_of_its_own_and_none_without_objects() {
        let classes = vec!["tree".to_owned(), "car".to_owned()];
        let set = |images| LabelSet { classes: classes.clone(), images, ..LabelSet::default() };
        let sets =
            vec![("a".to_owned(), set(vec![image("1".into())])), ("empty".to_owned(), set(Vec::new()))];
        let validation = Validation::new(&["car".to_owned()], sets, 9);
        assert_eq!(validation.figure_names(), ["ap50", "ap", "ap50 a", "ap a", "ap50 a car", "ap a car"]);
        assert_eq!((validation.images(), &*validation.sets[0].class_of), (1, &[None, Some(0)][..]));
        let trees =
            Validation::new(&["tree".to_owned()], vec![("a".to_owned(), set(vec![image("1".into())]))], 9);
        assert!(!trees.is_possible());
    }

    #[test]
    fn every_set_counts_the_same() {
        let report = |x: f64| {
            let at = |x: f64| Rectangle::new(x, 0.0, 10.0, 10.0);
            let found = vec![FoundBox { class: 0, rectangle: at(x), score: 0.5 }];
            let truth = vec![TruthBox::new(0, at(0.0))];
            let image = DetectionImage { truth, found, ..DetectionImage::default() };
            Some(DetectionReport::measure(&["car".to_owned()], &[image]).unwrap())
        };
        let sets = [("a", report(0.0)), ("b", report(40.0)), ("gone", None)];
        let validated = Validated { sets: sets.map(|(name, report)| (name.to_owned(), report)).into() };
        assert_eq!(validated.to_string(), "AP50 0.500, AP 0.500 (AP50 of a 1.000, b 0.000, gone –)");
        let figures = validated.figures(1).into_iter().map(|of| of.map_or(-1.0, |figure| figure.round()));
        let (right, wrong, unknown) = ([1.0; 4], [0.0; 4], [-1.0; 4]);
        assert_eq!(figures.skip(2).collect::<Vec<_>>(), [right, wrong, unknown].concat());
    }
}
