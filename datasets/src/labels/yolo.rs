//! YOLO: one text file for each image, one row for each object.
//!
//! A row is `class x_center y_center width height`, in shares of the image's width and height, or `class x1 y1 x2 y2 x3
//! y3 ...` with three corners of an outline or more; four are an oriented box. Format:
//! <https://docs.ultralytics.com/datasets/detect/> and <https://docs.ultralytics.com/datasets/obb/>.

use super::source::Problems;
use super::{LabelSet, LabelSource, LabelledBox, class_names, files};
use crate::DatasetError;
use crate::text::{Line, TextFile};

/// Boxes may reach beyond the image; coordinates that lie so many images away are no shares but pixels.
const FARTHEST_SHARE: f64 = 2.0;

pub(super) fn read(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    let classes = class_names::read(source)?;
    let images = files::read_pairs(source, "txt", problems, |file, size, problems| {
        boxes(file, size, classes.len(), problems)
    })?;
    Ok(LabelSet { category_ids: class_names::counted(classes.len()), classes, images })
}

fn boxes(
    file: &TextFile,
    size: (usize, usize),
    classes: usize,
    problems: &mut Problems,
) -> Result<Vec<LabelledBox>, DatasetError> {
    let mut boxes = Vec::new();
    for line in file.lines() {
        boxes.extend(problems.keep(parse(line, size, classes))?);
    }
    Ok(boxes)
}

fn parse(
    line: Line<'_>,
    (width, height): (usize, usize),
    classes: usize,
) -> Result<LabelledBox, DatasetError> {
    let numbers = line.all_numbers("class and shares of the image")?;
    let (class, shares) = numbers.split_first().ok_or_else(|| line.unexpected(ROW, "nothing"))?;
    let class_id = class_id(*class, classes).ok_or_else(|| {
        line.unexpected(format!("a class from 0 to {}", classes.saturating_sub(1)), format!("{class}"))
    })?;
    if let Some(far) = shares.iter().find(|share| share.abs() > FARTHEST_SHARE) {
        return Err(line.unexpected("shares of the image's width and height", format!("{far}")));
    }
    let (w, h) = (width as f64, height as f64);
    match *shares {
        [x, y, across, down] if across >= 0.0 && down >= 0.0 => {
            Ok(LabelledBox::new(class_id, (x - across / 2.0) * w, (y - down / 2.0) * h, across * w, down * h))
        }
        [_, _, across, down] => {
            Err(line.unexpected("a width and height of at least 0", format!("{across} and {down}")))
        }
        _ if shares.len() >= 6 && shares.len() % 2 == 0 => {
            let points: Vec<_> = shares.chunks_exact(2).map(|p| (p[0] * w, p[1] * h)).collect();
            Ok(match points.as_slice() {
                &[a, b, c, d] => LabelledBox::from_corners(class_id, [a, b, c, d]),
                points => LabelledBox::around(class_id, points),
            })
        }
        _ => Err(line.unexpected(ROW, format!("{} numbers", numbers.len()))),
    }
}

const ROW: &str = "class x_center y_center width height, or class and an outline";

/// A class as a number, where it is whole and known.
fn class_id(number: f64, classes: usize) -> Option<u32> {
    let is_known = number.fract() == 0.0 && number >= 0.0 && number < classes as f64;
    is_known.then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use geometry::test_data::shared_data;
    use image::{GrayImage, RgbImage};
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::labels::LabelFormat;

    /// A set of images of 64x32 with a label file each.
    fn set(labels: &[(&str, &str)]) -> TempDir {
        let root = tempdir().unwrap();
        for (name, rows) in labels {
            let (image, label) = (
                root.path().join(format!("images/{name}.png")),
                root.path().join(format!("labels/{name}.txt")),
            );
            for path in [&image, &label] {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            GrayImage::new(64, 32).save(image).unwrap();
            fs::write(label, rows).unwrap();
        }
        fs::write(root.path().join("classes.txt"), "car\ntruck\n").unwrap();
        root
    }

    fn source(folder: &Path) -> LabelSource {
        LabelSource::new(folder, LabelFormat::Yolo)
    }

    fn error_of(rows: &str) -> String {
        source(set(&[("a", rows)]).path()).read().unwrap_err().to_string()
    }

    #[test]
    fn shares_become_pixels_from_edge_to_edge() {
        let root = set(&[("a10", "1 0.5 0.5 0.25 0.5\n0 0 0.25 0.5 0.5\n"), ("a9", "")]);
        let set = source(root.path()).read().unwrap();
        assert_eq!(set.classes, ["car", "truck"]);
        let ids: Vec<&str> = set.images.iter().map(|image| image.id.as_str()).collect();
        assert_eq!((ids, set.images[0].size), (vec!["a9", "a10"], (64, 32)));
        assert!(set.images[0].boxes.is_empty());
        let boxes = [LabelledBox::new(1, 24.0, 8.0, 16.0, 16.0), LabelledBox::new(0, -16.0, 0.0, 32.0, 16.0)];
        assert_eq!(set.images[1].boxes, boxes);
        assert_eq!(set.images[1].boxes[0].bounding_box(), geometry::BoundingBox::new(24.0, 8.0, 16.0, 16.0));
    }

    #[test]
    fn outlines_become_boxes_around_them() {
        let root = set(&[("a", "0 .5 0 1 .5 .5 1 0 .5\n0 0 0 .5 0 .25 .5\n")]);
        let boxes = &source(root.path()).read().unwrap().images[0].boxes;
        assert_eq!((boxes[0].x, boxes[0].width, boxes[0].height), (0.0, 64.0, 32.0));
        assert_eq!(boxes[0].corners.map(|corners| corners[1]), Some((64.0, 16.0)));
        assert_eq!(boxes[1], LabelledBox::new(0, 0.0, 0.0, 32.0, 16.0));
    }

    #[test]
    fn subfolders_and_labels_beside_their_images() {
        let root = set(&[("train/a", "0 .5 .5 .5 .5"), ("val/a", "")]);
        let set = source(root.path()).read().unwrap();
        assert_eq!((set.images[0].id.as_str(), set.images[1].id.as_str()), ("train/a", "val/a"));
        let beside = tempdir().unwrap();
        RgbImage::new(64, 32).save(beside.path().join("x1.jpg")).unwrap();
        fs::write(beside.path().join("x1.txt"), "0 .5 .5 .5 .5").unwrap();
        fs::write(beside.path().join("obj.names"), "car\n").unwrap();
        fs::write(beside.path().join("train.txt"), "x1.jpg\n").unwrap();
        let set = source(beside.path()).read().unwrap();
        assert_eq!((set.images.len(), set.images[0].boxes.len()), (1, 1));
        assert_eq!(set.images[0].frame().unwrap().size(), (64, 32));
    }

    #[test]
    fn wrong_rows_are_told_with_their_place() {
        for (rows, said) in [
            ("0 .5 .5 .5 .5\n2 .5 .5 .5 .5", "expected a class from 0 to 1, found 2 at line 2 of"),
            ("-1 .5 .5 .5 .5", "expected a class from 0 to 1, found -1"),
            ("0.5 .5 .5 .5 .5", "expected a class from 0 to 1, found 0.5"),
            ("0 NaN .5 .5 .5", "found `NaN` at line 1"),
            ("0 .5 .5 -.5 .5", "expected a width and height of at least 0, found -0.5 and 0.5"),
            ("0 320 200 40 20", "expected shares of the image's width and height, found 320"),
            ("0 .5 .5 .5", "or class and an outline, found 4 numbers"),
            ("0 .5 .5 .5 .5 .9", "or class and an outline, found 6 numbers"),
        ] {
            let error = error_of(rows);
            assert!(error.contains(said) && error.contains("a.txt"), "{error}");
        }
    }

    #[test]
    fn a_survey_lists_everything_that_is_wrong() {
        let root = set(&[("a", "0 .5 .5 .5 .5\n7 .5 .5 .5 .5\n0 .5\n"), ("b", ""), ("c", ""), ("d", "")]);
        fs::remove_file(root.path().join("labels/b.txt")).unwrap();
        fs::remove_file(root.path().join("images/c.png")).unwrap();
        fs::write(root.path().join("images/d.png"), "no image").unwrap();
        let survey = source(root.path()).survey().unwrap();
        assert_eq!((survey.set.images.len(), survey.set.images[0].boxes.len()), (1, 1));
        let said: Vec<String> = survey.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5, "{said:#?}");
        for part in ["a file of labels", "an image of the same name", "found 7 at line 2", "can't decode"] {
            assert!(said.iter().any(|problem| problem.contains(part)), "{part}: {said:#?}");
        }
        let lenient = LabelSource { unlabelled_are_empty: true, ..source(root.path()) };
        assert_eq!(lenient.survey().unwrap().problems.len(), 4);
    }

    #[test]
    fn a_set_of_nothing_is_no_set() {
        let root = tempdir().unwrap();
        let error = |source: LabelSource| source.read().unwrap_err().to_string();
        assert!(error(source(root.path())).contains("expected names of the classes"));
        fs::write(root.path().join("classes.txt"), "car").unwrap();
        assert!(error(source(root.path())).contains("expected labelled PNG or JPEG images, found none"));
        assert!(error(source(&root.path().join("nowhere"))).contains("nowhere"));
        let named = LabelSource { classes: Some(root.path().join("other.txt")), ..source(root.path()) };
        assert!(error(named).contains("other.txt"));
    }

    #[test]
    fn the_real_ones() {
        let Some(root) = shared_data("detect") else { return };
        for (name, images, boxes, scenes) in
            [("cats", 170, 740, 10), ("aerial_cars", 122, 3597, 7), ("simd", 190, 993, 190)]
        {
            let set = source(&root.join(name)).read().unwrap();
            let found = set.images.iter().map(|image| image.boxes.len()).sum::<usize>();
            assert_eq!((set.images.len(), found, set.scenes().len()), (images, boxes, scenes), "{name}");
            assert!(set.images[0].frame().unwrap().rgb.is_some());
        }
    }
}
