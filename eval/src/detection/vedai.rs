//! VEDAI's original protocol: Razakarivony, Jurie, "Vehicle detection in aerial imagery: a small target detection
//! benchmark", JVCIR 2016, as its development kit computes it.
//!
//! A detection is a point. It is right where it lies in the ellipse that fits an object's oriented box, and the first
//! to do so; later ones on the same object count neither way. Ten folds are measured each by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::average_precision::mean;
use crate::figure::{Side, significant, text_table};
use crate::tracking::{data_rows, numbers, row_error};
use crate::{EvalError, Figure, figures_table};

/// The classes of the protocol that later papers measure by (SuperYOLO and others): COCO's average precision at an
/// overlap of 0.5, with the boxes around the oriented ones. Motorcycles, buses and planes are too few.
pub const MODERN_VEDAI_CLASSES: [&str; 8] =
    ["car", "pickup", "camping car", "truck", "other", "tractor", "boat", "van"];

/// False positives per image at which recall is read.
const FPPI: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// Where the curve of recalls is taken to end.
const ENDLESS_FPPI: f64 = 1e8;
/// Recalls at which precision is read: 0, 0.1 .. 1.
const RECALLS: u32 = 11;
/// The annotations count pixels from 1, the detections from 0.
const FIRST_PIXEL: f64 = 1.0;

/// A vehicle as `annotation1024.csv` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct VedaiObject {
    /// Number of its image.
    pub image: u64,
    /// Its centre in pixels, counted from 1.
    pub center: (f64, f64),
    /// Direction of its longer side in radians.
    pub orientation_rad: f64,
    /// Its corners in pixels, counted from 1.
    pub corners: [(f64, f64); 4],
    /// Number of its class; 1 is a car.
    pub class: u32,
    /// The fold, from 0, that tests on its image; some images are in none.
    pub test_fold: Option<u32>,
}

/// A point that a detector found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VedaiDetection {
    /// Number of the image.
    pub image: u64,
    /// Left to right in pixels, counted from 0.
    pub x: f64,
    /// Downwards in pixels, counted from 0.
    pub y: f64,
    /// Confidence, on any scale.
    pub score: f64,
}

/// One fold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VedaiFold {
    /// Its number, from 1.
    pub fold: u32,
    /// Average precision: mean over the recalls 0, 0.1 .. 1 of the best precision with at least that recall.
    pub ap: f64,
    /// Recall at 0.01, 0.1, 1 and 10 false positives per image.
    pub recall_at_fppi: [f64; 4],
    /// Detections.
    pub detections: usize,
    /// Objects to be found.
    pub objects: usize,
    /// Objects found.
    pub true_positives: usize,
    /// Detections of nothing.
    pub false_positives: usize,
    /// Images of the fold's test set.
    pub images: usize,
}

/// A detector over all folds. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VedaiReport {
    /// Number of the class.
    pub class: u32,
    /// Mean average precision of the folds.
    pub mean_ap: f64,
    /// Standard deviation of the folds' average precision, divided by their number less one; `None` for one fold.
    pub ap_deviation: Option<f64>,
    /// False positives per image that recalls are read at.
    pub fppi: [f64; 4],
    /// Mean over the folds of the recall at each of them.
    pub mean_recall_at_fppi: [f64; 4],
    /// Fold by fold.
    pub folds: Vec<VedaiFold>,
}

impl VedaiReport {
    /// How it was measured.
    const PROTOCOL: &str = "VEDAI: centre of the detection in the object's ellipse, each object once, AP over 11 recalls, mean \
         over the folds";

    /// Measures the detections of some folds, numbered from 1, against the annotations of all images.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where there are no folds, a fold comes twice, has no such objects, or has detections in
    /// images that it does not test on: those of another fold's test set are its training set.
    pub fn measure(
        objects: &[VedaiObject],
        folds: &BTreeMap<u32, Vec<VedaiDetection>>,
        class: u32,
    ) -> Result<Self, EvalError> {
        let measured = folds.iter().map(|(fold, found)| VedaiFold::measure(objects, *fold, found, class));
        let folds: Vec<VedaiFold> = measured.collect::<Result<_, _>>()?;
        let mean_ap = mean(folds.iter().map(|fold| fold.ap));
        let mean_ap = mean_ap.ok_or_else(|| EvalError::Protocol {
            expected: "detections of at least one fold",
            found: "none".to_owned(),
        })?;
        let count = folds.len() as f64;
        let squares: f64 = folds.iter().map(|fold| (fold.ap - mean_ap).powi(2)).sum();
        let recall = |at: usize| folds.iter().map(|fold| fold.recall_at_fppi[at]).sum::<f64>() / count;
        Ok(Self {
            class,
            mean_ap,
            ap_deviation: (folds.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            fppi: FPPI,
            mean_recall_at_fppi: std::array::from_fn(recall),
            folds,
        })
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name: String, value: Option<f64>| {
            Figure::new(name, value, "1").protocol(Self::PROTOCOL).count(self.folds.len(), "folds")
        };
        let recalls = self.fppi.iter().zip(self.mean_recall_at_fppi);
        let recalls = recalls.map(|(fppi, recall)| figure(format!("recall at {fppi} FPPI"), Some(recall)));
        let mean = figure("AP, mean of the folds".to_owned(), Some(self.mean_ap));
        let deviation = figure("AP, deviation of the folds".to_owned(), self.ap_deviation);
        [mean, deviation].into_iter().chain(recalls).collect()
    }

    /// A header and a row for each fold.
    pub(crate) fn rows(&self) -> Vec<[String; 9]> {
        let header = ["fold", "AP", "at .01", "at .1", "at 1", "at 10", "detections", "objects", "found"];
        let row = |fold: &VedaiFold| {
            let [a, b, c, d] = fold.recall_at_fppi.map(significant);
            let counts = [fold.detections, fold.objects, fold.true_positives].map(|count| count.to_string());
            let [detections, objects, found] = counts;
            [fold.fold.to_string(), significant(fold.ap), a, b, c, d, detections, objects, found]
        };
        std::iter::once(header.map(str::to_owned)).chain(self.folds.iter().map(row)).collect()
    }
}

impl fmt::Display for VedaiReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", figures_table(&self.figures()), text_table(&self.rows(), &[Side::Right; 9]))
    }
}

impl VedaiFold {
    fn measure(
        objects: &[VedaiObject],
        fold: u32,
        found: &[VedaiDetection],
        class: u32,
    ) -> Result<Self, EvalError> {
        let of_fold = objects.iter().filter(|object| object.test_fold.map(|index| index + 1) == Some(fold));
        let images: BTreeSet<u64> = of_fold.clone().map(|object| object.image).collect();
        if let Some(strange) = found.iter().find(|found| !images.contains(&found.image)) {
            return Err(EvalError::Protocol {
                expected: "detections in the images that their fold tests on",
                found: format!("image {:08} in fold {fold}, which may have trained on it", strange.image),
            });
        }
        let truth: Vec<Ellipse> = of_fold.filter(|object| object.class == class).map(Ellipse::of).collect();
        if truth.is_empty() {
            let found = format!("none of class {class} in fold {fold}");
            return Err(EvalError::Protocol { expected: "objects to be found in every fold", found });
        }
        let judged = judge(&truth, found);
        let points = points(&judged, truth.len(), images.len());
        Ok(Self {
            fold,
            ap: average_precision(&points),
            recall_at_fppi: FPPI.map(|fppi| recall_at(&points, fppi)),
            detections: found.len(),
            objects: truth.len(),
            true_positives: points.len(),
            false_positives: judged.len() - points.len(),
            images: images.len(),
        })
    }
}

/// What an object takes up, in pixels counted from 0.
struct Ellipse {
    image: u64,
    center: (f64, f64),
    orientation_rad: f64,
    half_length: f64,
    half_width: f64,
}

impl Ellipse {
    /// Length and width are means of the two longest and the two shortest sides; a side counts the pixels at both its
    /// ends, with the sign of its direction, as the development kit does.
    fn of(object: &VedaiObject) -> Self {
        let side = |index: usize| {
            let (from, to) = (object.corners[index], object.corners[(index + 1) % 4]);
            (from.0 - to.0 + 1.0).hypot(from.1 - to.1 + 1.0)
        };
        let mut sides: [f64; 4] = std::array::from_fn(side);
        sides.sort_by(f64::total_cmp);
        Self {
            image: object.image,
            center: (object.center.0 - FIRST_PIXEL, object.center.1 - FIRST_PIXEL),
            orientation_rad: object.orientation_rad,
            half_length: (sides[2] + sides[3]) / 4.0,
            half_width: (sides[0] + sides[1]) / 4.0,
        }
    }

    fn contains(&self, point: &VedaiDetection) -> bool {
        let (x, y) = (point.x - self.center.0, point.y - self.center.1);
        let (sin, cos) = self.orientation_rad.sin_cos();
        let along = (cos * x + sin * y) / self.half_length;
        let across = (cos * y - sin * x) / self.half_width;
        self.image == point.image && along * along + across * across <= 1.0
    }
}

/// The score of each detection that counts, best first, and whether it is right. An object is found once, by the first
/// detection; of several objects around a detection, the first that is still free.
fn judge(truth: &[Ellipse], found: &[VedaiDetection]) -> Vec<(f64, bool)> {
    let mut found: Vec<&VedaiDetection> = found.iter().collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut is_found = vec![false; truth.len()];
    let mut judged = Vec::with_capacity(found.len());
    for detection in found {
        let around: Vec<usize> = (0..truth.len()).filter(|index| truth[*index].contains(detection)).collect();
        let free = around.iter().find(|index| !is_found[**index]);
        if let Some(index) = free {
            is_found[*index] = true;
        }
        if free.is_some() || around.is_empty() {
            judged.push((detection.score, free.is_some()));
        }
    }
    judged
}

/// The curve at each object found.
struct Point {
    recall: f64,
    precision: f64,
    fppi: f64,
}

fn points(judged: &[(f64, bool)], objects: usize, images: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for (score, _) in judged.iter().filter(|(_, is_right)| *is_right) {
        let found = points.len() + 1;
        let errors = judged.iter().filter(|(other, is_right)| !is_right && other >= score).count();
        points.push(Point {
            recall: found as f64 / objects as f64,
            precision: found as f64 / (found + errors) as f64,
            fppi: errors as f64 / images as f64,
        });
    }
    points
}

fn average_precision(points: &[Point]) -> f64 {
    let best = |index: u32| {
        // As the development kit rounds it: 0.3, 0.6 and 0.7 come out a trifle higher, and just that recall does not
        // reach them.
        let least = f64::from(index) * 0.1;
        let reached = points.iter().filter(|point| point.recall >= least);
        reached.map(|point| point.precision).fold(0.0, f64::max)
    };
    (0..RECALLS).map(best).sum::<f64>() / f64::from(RECALLS)
}

/// Linear between the points, from nothing on; behind the last one the recall stays.
fn recall_at(points: &[Point], fppi: f64) -> f64 {
    let last = points.last().map_or(0.0, |point| point.recall);
    let between = points.iter().map(|point| (point.fppi, point.recall));
    let line: Vec<(f64, f64)> =
        std::iter::once((0.0, 0.0)).chain(between).chain([(ENDLESS_FPPI, last)]).collect();
    let spanning =
        line.windows(2).find(|ends| ends[0].0 <= fppi && fppi <= ends[1].0 && ends[0].0 < ends[1].0);
    spanning.map_or(last, |ends| {
        let share = (fppi - ends[0].0) / (ends[1].0 - ends[0].0);
        ends[0].1 + share * (ends[1].1 - ends[0].1)
    })
}

/// Reads `annotation1024.csv`: `image_id,x,y,orient,x1..x4,y1..y4,class,FLAG1,FLAG2,test_fold`, the last empty for
/// images in no fold.
///
/// # Errors
/// [`EvalError::Read`] where the file can't be read, [`EvalError::Row`] for a row that is something else,
/// [`EvalError::Content`] where it has none.
pub fn read_vedai_annotations(path: impl AsRef<Path>) -> Result<Vec<VedaiObject>, EvalError> {
    read_rows(path.as_ref(), OBJECT, |row| {
        if row.starts_with("image_id") { Ok(None) } else { object(row).map(Some) }
    })
}

/// Reads the detections of one fold, rows `image x y score`.
///
/// # Errors
/// As [`read_vedai_annotations`].
pub fn read_vedai_detections(path: impl AsRef<Path>) -> Result<Vec<VedaiDetection>, EvalError> {
    read_rows(path.as_ref(), DETECTION, |row| match numbers(row)?.as_slice() {
        values if !values.iter().all(|value| value.is_finite()) => {
            Err("numbers that are not finite".to_owned())
        }
        &[image, x, y, score] => Ok(Some(VedaiDetection { image: whole(image)?, x, y, score })),
        other => Err(format!("{} numbers", other.len())),
    })
}

const OBJECT: &str = "image_id,x,y,orient,x1..x4,y1..y4,class,FLAG1,FLAG2,test_fold";
const DETECTION: &str = "image x y score";

fn read_rows<T>(
    path: &Path,
    expected: &str,
    parse: impl Fn(&str) -> Result<Option<T>, String>,
) -> Result<Vec<T>, EvalError> {
    let path: PathBuf = path.to_owned();
    let text =
        std::fs::read_to_string(&path).map_err(|source| EvalError::Read { path: path.clone(), source })?;
    let mut rows = Vec::new();
    for (line, row) in data_rows(&text) {
        rows.extend(parse(row).map_err(|found| row_error(&path, line, expected, found))?);
    }
    if rows.is_empty() {
        let (expected, found) = (format!("rows `{expected}`"), "none".to_owned());
        return Err(EvalError::Content { path, expected, found });
    }
    Ok(rows)
}

fn object(row: &str) -> Result<VedaiObject, String> {
    let (values, fold) = row.rsplit_once(',').ok_or_else(|| "no commas".to_owned())?;
    let fold = Some(fold.trim()).filter(|fold| !fold.is_empty()).map(one_number).transpose()?;
    // An empty field would move all behind it.
    let values: Vec<f64> = values.split(',').map(one_number).collect::<Result<_, _>>()?;
    if values.len() != 15 {
        return Err(format!("{} fields", values.len() + 1));
    }
    Ok(VedaiObject {
        image: whole(values[0])?,
        center: (values[1], values[2]),
        orientation_rad: values[3],
        corners: std::array::from_fn(|index| (values[4 + index], values[8 + index])),
        class: whole(values[12])? as u32,
        test_fold: fold.map(whole).transpose()?.map(|fold| fold as u32),
    })
}

fn one_number(field: &str) -> Result<f64, String> {
    let number = field.trim().parse().ok().filter(|value: &f64| value.is_finite());
    number.ok_or_else(|| format!("`{}` where a finite number is to stand", field.trim()))
}

fn whole(value: f64) -> Result<u64, String> {
    let is_whole = value >= 0.0 && value.fract() == 0.0 && value < f64::from(u32::MAX);
    if is_whole { Ok(value as u64) } else { Err(format!("{value} where a whole number is to stand")) }
}

#[cfg(test)]
mod tests;
