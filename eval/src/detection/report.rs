//! A detector's figures by COCO's protocol.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::average_precision::{Curve, Ranked, mean};
use super::confusion::judge;
use super::matching::{AreaRange, ClassInImage, MAX_DETECTIONS};
use super::{Confusion, DetectionImage, ImageVerdict, OperatingPoint, TruthRole};
use crate::figure::{Side, significant, text_table};
use crate::{EvalError, Figure, figures_table};

/// Larger than any object.
const ENDLESS: f64 = 1e10;
/// Objects are small below 32 by 32 pixels, large from 96 by 96 on; sizes on the bound are both.
const ALL: AreaRange = (0.0, ENDLESS);
const SMALL: AreaRange = (0.0, 32.0 * 32.0);
const MEDIUM: AreaRange = (32.0 * 32.0, 96.0 * 96.0);
const LARGE: AreaRange = (96.0 * 96.0, ENDLESS);
/// Places of the overlaps 0.5 and 0.75 among the thresholds.
const IOU_50: usize = 0;
const IOU_75: usize = 5;

/// How good a detector is. As JSON, the fields are the keys, and `per_class` is an object with the names of the classes.
///
/// Figures are `None` where nothing of that kind is to be found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectionReport {
    /// Average precision over overlaps 0.5, 0.55 .. 0.95: COCO's main figure.
    pub ap: Option<f64>,
    /// Average precision at overlaps from 0.5 on.
    pub ap50: Option<f64>,
    /// Average precision at overlaps from 0.75 on.
    pub ap75: Option<f64>,
    /// `ap` of objects below 32 x 32 pixels.
    pub ap_small: Option<f64>,
    /// `ap` of objects from 32 x 32 to 96 x 96 pixels.
    pub ap_medium: Option<f64>,
    /// `ap` of objects from 96 x 96 pixels on.
    pub ap_large: Option<f64>,
    /// Average recall over the overlaps, with the best detection of each image.
    pub ar_1: Option<f64>,
    /// With the ten best.
    pub ar_10: Option<f64>,
    /// With the hundred best.
    pub ar_100: Option<f64>,
    /// `ar_100` of objects below 32 x 32 pixels.
    pub ar_small: Option<f64>,
    /// `ar_100` of objects from 32 x 32 to 96 x 96 pixels.
    pub ar_medium: Option<f64>,
    /// `ar_100` of objects from 96 x 96 pixels on.
    pub ar_large: Option<f64>,
    /// Class by class.
    #[serde(serialize_with = "by_name")]
    pub per_class: Vec<ClassReport>,
    /// Images that were measured.
    pub images: usize,
    /// Objects to be found.
    pub objects: usize,
    /// Of these, those below 32 x 32 pixels; sizes on a bound count on both its sides.
    pub objects_small: usize,
    /// Those from 32 x 32 to 96 x 96 pixels.
    pub objects_medium: usize,
    /// Those from 96 x 96 pixels on.
    pub objects_large: usize,
    /// Detections, of any score.
    pub detections: usize,
    /// The score with the best F1 over all classes, at overlaps from 0.5 on.
    pub operating_point: Option<OperatingPoint>,
    /// What is taken for what at the operating point.
    pub confusion: Confusion,
    /// Scene by scene, the worst first; empty where each image is a scene of its own.
    pub scenes: Vec<SceneReport>,
    /// What was right and wrong in each image at the operating point; for pictures, not for JSON.
    #[serde(skip)]
    pub verdicts: Vec<ImageVerdict>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub class: String,
    /// Average precision over overlaps 0.5, 0.55 .. 0.95.
    pub ap: Option<f64>,
    /// At overlaps from 0.5 on.
    pub ap50: Option<f64>,
    /// At overlaps from 0.75 on.
    pub ap75: Option<f64>,
    /// Objects to be found.
    pub objects: usize,
    /// Detections, of any score.
    pub detections: usize,
    /// The score with the best F1.
    pub operating_point: Option<OperatingPoint>,
    /// The best precision with at least the recall 0, 0.01 .. 1, at overlaps from 0.5 on.
    #[serde(skip)]
    pub precision: Vec<f64>,
}

/// The images of one scene.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SceneReport {
    /// Its name.
    pub scene: String,
    /// Average precision at overlaps from 0.5 on, over the classes that are there.
    pub ap50: Option<f64>,
    /// Number of its images.
    pub images: usize,
    /// Objects to be found.
    pub objects: usize,
    /// Objects missed at the operating point of all scenes.
    pub missed: usize,
    /// Detections that are wrong there.
    pub wrong: usize,
}

fn by_name<S: Serializer>(classes: &[ClassReport], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(classes.iter().map(|class| (&class.class, class)))
}

/// One class over all images: all its objects, and those of each size.
struct Measured {
    all: Ranked,
    small: Ranked,
    medium: Ranked,
    large: Ranked,
}

impl Measured {
    fn new(images: &[DetectionImage], class: usize) -> Self {
        let in_images: Vec<_> = images.iter().map(|image| ClassInImage::new(image, class)).collect();
        let ranked = |area: AreaRange| ranked(&in_images, area);
        Self { all: ranked(ALL), small: ranked(SMALL), medium: ranked(MEDIUM), large: ranked(LARGE) }
    }
}

fn ranked(in_images: &[ClassInImage<'_>], area: AreaRange) -> Ranked {
    let (mut objects, mut outcomes) = (0, Vec::new());
    for in_image in in_images {
        let (count, mut matched) = in_image.matched(area);
        objects += count;
        outcomes.append(&mut matched);
    }
    Ranked::new(objects, outcomes)
}

impl DetectionReport {
    /// How it was measured.
    pub(super) const PROTOCOL: &str = "COCO: precision at 101 recalls, the 100 best detections of each image and class, mean over \
         the classes with objects; crowds and difficult objects count neither way";

    /// Measures detections against the truth. `classes` names the classes of the boxes; those without objects count in
    /// no mean.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where nothing is to be found, a box has a class without a name, or a score or box is not
    /// finite.
    pub fn measure(classes: &[String], images: &[DetectionImage]) -> Result<Self, EvalError> {
        check(classes, images)?;
        let measured: Vec<_> = (0..classes.len()).map(|class| Measured::new(images, class)).collect();
        let over_classes =
            |figure: &dyn Fn(&Measured) -> Option<f64>| mean(measured.iter().filter_map(figure));
        let detections = measured.iter().flat_map(|class| class.all.counted()).collect();
        let count = |of: fn(&Measured) -> &Ranked| measured.iter().map(|class| of(class).objects).sum();
        let objects = count(|class| &class.all);
        let operating_point = OperatingPoint::best(objects, detections);
        // Without a right detection, all are wrong.
        let score = operating_point.map_or(f64::NEG_INFINITY, |point| point.score);
        let (confusion, verdicts) = judge(classes, images, score);
        Ok(Self {
            ap: over_classes(&|class| class.all.average_precision()),
            ap50: over_classes(&|class| class.all.average_precision_at(IOU_50)),
            ap75: over_classes(&|class| class.all.average_precision_at(IOU_75)),
            ap_small: over_classes(&|class| class.small.average_precision()),
            ap_medium: over_classes(&|class| class.medium.average_precision()),
            ap_large: over_classes(&|class| class.large.average_precision()),
            ar_1: over_classes(&|class| class.all.average_recall(1)),
            ar_10: over_classes(&|class| class.all.average_recall(10)),
            ar_100: over_classes(&|class| class.all.average_recall(MAX_DETECTIONS)),
            ar_small: over_classes(&|class| class.small.average_recall(MAX_DETECTIONS)),
            ar_medium: over_classes(&|class| class.medium.average_recall(MAX_DETECTIONS)),
            ar_large: over_classes(&|class| class.large.average_recall(MAX_DETECTIONS)),
            per_class: classes.iter().zip(&measured).enumerate().map(|of| class_report(of, images)).collect(),
            images: images.len(),
            objects,
            objects_small: count(|class| &class.small),
            objects_medium: count(|class| &class.medium),
            objects_large: count(|class| &class.large),
            detections: images.iter().map(|image| image.found.len()).sum(),
            operating_point,
            scenes: scenes(classes.len(), images, &verdicts),
            confusion,
            verdicts,
        })
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name: &str, value: Option<f64>, objects: usize| {
            Figure::new(name, value, "1").protocol(Self::PROTOCOL).count(objects, "objects")
        };
        vec![
            figure("AP at IoU 0.5", self.ap50, self.objects),
            figure("AP at IoU 0.5:0.95", self.ap, self.objects),
            figure("AP at IoU 0.75", self.ap75, self.objects),
            figure("AP, objects below 32x32 px", self.ap_small, self.objects_small),
            figure("AP, 32x32 to 96x96 px", self.ap_medium, self.objects_medium),
            figure("AP, from 96x96 px on", self.ap_large, self.objects_large),
            figure("recall, 100 detections", self.ar_100, self.objects),
        ]
    }

    /// A header and a row for each class.
    pub(crate) fn class_rows(&self) -> Vec<[String; 8]> {
        let header = ["class", "AP50", "AP", "AP75", "objects", "best score", "precision", "recall"];
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), significant);
        let row = |class: &ClassReport| {
            let point = class.operating_point;
            [
                class.class.clone(),
                number(class.ap50),
                number(class.ap),
                number(class.ap75),
                class.objects.to_string(),
                number(point.map(|point| point.score)),
                number(point.map(|point| point.precision)),
                number(point.map(|point| point.recall)),
            ]
        };
        std::iter::once(header.map(str::to_owned)).chain(self.per_class.iter().map(row)).collect()
    }

    /// The images with the most errors at the operating point, worst first.
    pub fn worst_images(&self) -> Vec<&ImageVerdict> {
        let mut worst: Vec<_> = self.verdicts.iter().filter(|verdict| verdict.errors() > 0).collect();
        worst.sort_by_key(|verdict| std::cmp::Reverse(verdict.errors()));
        worst
    }
}

impl fmt::Display for DetectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = Side::Right;
        let sides = [Side::Left, right, right, right, right, right, right, right];
        write!(f, "{}\n{}", figures_table(&self.figures()), text_table(&self.class_rows(), &sides))
    }
}

fn class_report(
    (index, (name, measured)): (usize, (&String, &Measured)),
    images: &[DetectionImage],
) -> ClassReport {
    let all = &measured.all;
    let found = images.iter().flat_map(|image| &image.found);
    ClassReport {
        class: name.clone(),
        ap: all.average_precision(),
        ap50: all.average_precision_at(IOU_50),
        ap75: all.average_precision_at(IOU_75),
        objects: all.objects,
        detections: found.filter(|found| found.class == index).count(),
        operating_point: OperatingPoint::best(all.objects, all.counted().collect()),
        precision: all.curve(IOU_50, MAX_DETECTIONS).map_or_else(Vec::new, |curve: Curve| curve.precision),
    }
}

fn scenes(classes: usize, images: &[DetectionImage], verdicts: &[ImageVerdict]) -> Vec<SceneReport> {
    let mut by_scene: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, image) in images.iter().enumerate() {
        by_scene.entry(&image.scene).or_default().push(index);
    }
    if by_scene.len() == images.len() {
        return Vec::new();
    }
    let mut scenes: Vec<SceneReport> = by_scene
        .into_iter()
        .map(|(scene, indices)| scene_report(scene, &indices, classes, images, verdicts))
        .collect();
    let value = |scene: &SceneReport| scene.ap50.unwrap_or(f64::INFINITY);
    scenes.sort_by(|a, b| value(a).total_cmp(&value(b)));
    scenes
}

fn scene_report(
    scene: &str,
    indices: &[usize],
    classes: usize,
    images: &[DetectionImage],
    verdicts: &[ImageVerdict],
) -> SceneReport {
    let ap50 = |class: usize| {
        let in_images: Vec<_> =
            indices.iter().map(|index| ClassInImage::new(&images[*index], class)).collect();
        ranked(&in_images, ALL).average_precision_at(IOU_50)
    };
    let truth = indices.iter().flat_map(|index| &images[*index].truth);
    let verdicts = || indices.iter().map(|index| &verdicts[*index]);
    SceneReport {
        scene: scene.to_owned(),
        ap50: mean((0..classes).filter_map(ap50)),
        images: indices.len(),
        objects: truth.filter(|truth| truth.role == TruthRole::Object).count(),
        missed: verdicts().map(|verdict| verdict.missed.len()).sum(),
        wrong: verdicts().map(|verdict| verdict.wrong.len()).sum(),
    }
}

fn check(classes: &[String], images: &[DetectionImage]) -> Result<(), EvalError> {
    let error = |expected: &'static str, found: String| Err(EvalError::Protocol { expected, found });
    for image in images {
        let classes_of = image.truth.iter().map(|truth| truth.class);
        let mut all = classes_of.chain(image.found.iter().map(|found| found.class));
        if let Some(class) = all.find(|class| *class >= classes.len()) {
            return error("classes that have a name", format!("{class} in {}", image.name));
        }
        let is_finite =
            |of: &super::Rectangle| [of.x, of.y, of.width, of.height].iter().all(|v| v.is_finite());
        let is_number =
            image.found.iter().all(|found| found.score.is_finite() && is_finite(&found.rectangle));
        if !is_number || !image.truth.iter().all(|truth| is_finite(&truth.rectangle)) {
            return error("finite boxes and scores", format!("others in {}", image.name));
        }
    }
    let is_object = |image: &DetectionImage| image.truth.iter().any(|truth| truth.role == TruthRole::Object);
    if !images.iter().any(is_object) {
        return error("an object to be found", format!("none in {} images", images.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{FoundBox, Rectangle, TruthBox};
    use super::*;

    fn at(x: f64) -> Rectangle {
        Rectangle::new(x, 0.0, 10.0, 10.0)
    }

    fn image(scene: &str, truth: &[f64], found: &[(f64, f64)]) -> DetectionImage {
        DetectionImage {
            name: scene.to_owned(),
            scene: scene.to_owned(),
            truth: truth.iter().map(|x| TruthBox::new(0, at(*x))).collect(),
            found: found
                .iter()
                .map(|(x, score)| FoundBox { class: 0, rectangle: at(*x), score: *score })
                .collect(),
        }
    }

    fn measure(images: &[DetectionImage]) -> Result<DetectionReport, EvalError> {
        DetectionReport::measure(&["car".to_owned()], images)
    }

    #[test]
    fn half_found_with_one_error_between() {
        // Right, wrong, right of four: precision 1 up to recall 1/4, 2/3 up to 1/2.
        let images = [image("a", &[0.0, 20.0, 40.0, 60.0], &[(0.0, 0.9), (200.0, 0.8), (20.0, 0.7)])];
        let report = measure(&images).unwrap();
        let expected = (26.0 + 25.0 * 2.0 / 3.0) / 101.0;
        assert!((report.ap50.unwrap() - expected).abs() < 1e-12, "{report}");
        assert_eq!((report.ap, report.ap_large), (report.ap50, None));
        assert_eq!((report.objects, report.objects_small, report.objects_large), (4, 4, 0));
        assert_eq!(report.operating_point.unwrap().score, 0.7);
        assert_eq!((report.verdicts[0].wrong.len(), report.verdicts[0].missed.len()), (1, 2));
    }

    #[test]
    fn scenes_come_worst_first() {
        let good = image("good", &[0.0], &[(0.0, 0.9)]);
        let bad = image("bad", &[0.0, 30.0], &[(100.0, 0.9)]);
        let report = measure(&[good.clone(), bad, good.clone()]).unwrap();
        let names: Vec<_> = report.scenes.iter().map(|scene| (scene.scene.as_str(), scene.ap50)).collect();
        assert_eq!(names, [("bad", Some(0.0)), ("good", Some(1.0))]);
        assert_eq!((report.scenes[0].missed, report.scenes[0].wrong), (2, 1));
        assert_eq!(report.worst_images()[0].image, 1);
        assert!(measure(&[good]).unwrap().scenes.is_empty());
    }

    #[test]
    fn json_has_a_key_for_each_class() {
        let json = serde_json::to_value(measure(&[image("a", &[0.0], &[(0.0, 1.0)])]).unwrap()).unwrap();
        let ap50 = json["per_class"]["car"]["ap50"].as_f64().unwrap();
        assert!((ap50 - 1.0).abs() < 1e-12 && json["images"] == 1, "{json}");
        assert!(json["ap_large"].is_null());
    }

    #[test]
    fn nonsense_is_refused() {
        for (images, said) in [
            (vec![image("a", &[], &[(0.0, 0.5)])], "expected an object to be found, found none in 1 images"),
            (
                vec![image("a", &[0.0], &[(0.0, f64::NAN)])],
                "expected finite boxes and scores, found others in a",
            ),
            (vec![image("a", &[f64::INFINITY], &[])], "expected finite boxes and scores"),
        ] {
            assert!(measure(&images).unwrap_err().to_string().contains(said));
        }
        let nameless = DetectionReport::measure(&[], &[image("a", &[0.0], &[])]);
        assert!(
            nameless.unwrap_err().to_string().contains("expected classes that have a name, found 0 in a")
        );
    }
}
