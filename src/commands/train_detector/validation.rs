//! What a training has come to, measured on images that it does not learn from.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Context;
use datasets::labels::{BoxRole, ClassMap, LabelSet, LabelledImage};
use detect::Detector;
use eval::SampleFrame;
use eval::detection::{DetectionImage, DetectionReport, FoundBox, ImageVerdict, detection_picture};
use nn::kernels::Kernel;

use crate::commands::detection_source::RunningDetector;
use crate::commands::labels;
use crate::logging::say;

/// Images of each set that are shown.
const PICTURES: usize = 3;

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

    /// Images of each set with what was found in them.
    pub(super) fn pictures(&self, validated: &Validated) -> anyhow::Result<Vec<SampleFrame>> {
        let reports = validated.sets.iter().map(|(_, report)| report);
        let pictures = self.sets.iter().zip(reports).filter_map(|(set, report)| {
            let report = report.as_ref()?;
            Some(set.pictures(report))
        });
        Ok(pictures.collect::<anyhow::Result<Vec<_>>>()?.concat())
    }

    /// Measures the detector in the bytes of an ONNX file. An image that can't be read is named and left out from now on.
    /// `progress` is told how many images are done.
    pub(super) fn run(&mut self, onnx: &[u8], progress: &mut dyn FnMut(usize)) -> anyhow::Result<Validated> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let open = |_| {
            let detector = Detector::read(onnx, Kernel::best())?;
            Ok(RunningDetector::new(detector, false, &ClassMap::default()))
        };
        let mut detectors: Vec<RunningDetector> = (0..threads).map(open).collect::<anyhow::Result<_>>()?;
        let mut sets = Vec::with_capacity(self.sets.len());
        let mut done = 0;
        for set in &mut self.sets {
            let images = set.look(&mut detectors, &mut || {
                done += 1;
                progress(done);
            })?;
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

    /// The images with what the detectors, which share the work, find in them. `done` is told of each image.
    fn look(
        &mut self,
        detectors: &mut [RunningDetector],
        done: &mut dyn FnMut(),
    ) -> anyhow::Result<Vec<DetectionImage>> {
        let images = &self.images;
        let mut found: Vec<Option<Vec<FoundBox>>> = vec![None; images.len()];
        let next = &AtomicUsize::new(0);
        thread::scope(|scope| {
            let (sender, results) = sync_channel(detectors.len());
            for detector in detectors {
                let sender = sender.clone();
                scope.spawn(move || {
                    while let Some((index, image)) = numbered(images, next)
                        && sender.send((index, find(detector, image))).is_ok()
                    {}
                });
            }
            // The channel closes with the last of the threads; they end when nobody listens.
            drop(sender);
            for (index, result) in results {
                found[index] = result?;
                done();
            }
            anyhow::Ok(())
        })?;
        let seen = images.iter().zip(&found).filter_map(|(image, found)| {
            let truth = labels::truth(image, |class| self.class_of[class as usize]);
            found.clone().map(|found| DetectionImage { found, ..truth })
        });
        let seen = seen.collect();
        let mut was_read = found.iter().map(Option::is_some);
        self.images.retain(|_| was_read.next() == Some(true));
        Ok(seen)
    }

    /// A few of the images with objects, evenly spread: the same ones each time, so that one sees what has been learnt.
    fn pictures(&self, report: &DetectionReport) -> anyhow::Result<Vec<SampleFrame>> {
        let shows_objects = |verdict: &&ImageVerdict| verdict.right.len() + verdict.missed.len() > 0;
        let verdicts = evenly(report.verdicts.iter().filter(shows_objects).collect(), PICTURES);
        let picture = |verdict: &ImageVerdict| {
            let image = &self.images[verdict.image];
            Ok(detection_picture(format!("{}, {}", self.name, image.id), &image.frame()?, verdict)?)
        };
        verdicts.into_iter().map(picture).collect()
    }
}

/// The next image that nobody has taken.
fn numbered<'a>(images: &'a [LabelledImage], next: &AtomicUsize) -> Option<(usize, &'a LabelledImage)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, images.get(index)?))
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
fn evenly<T>(images: Vec<T>, most: usize) -> Vec<T> {
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
