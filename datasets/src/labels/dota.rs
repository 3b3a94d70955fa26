//! DOTA: one text file for each image, rows `x1 y1 x2 y2 x3 y3 x4 y4 class difficult` in pixels.
//!
//! The first rows may be `imagesource:` and `gsd:`. Format: <https://captain-whu.github.io/DOTA/dataset.html>.

use super::class_names::NamedClasses;
use super::source::Problems;
use super::{BoxRole, LabelSet, LabelSource, LabelledBox};
use crate::DatasetError;
use crate::text::{Line, TextFile};

/// How rows about the whole image begin.
const HEADERS: [&str; 2] = ["imagesource:", "gsd:"];

pub(super) fn read(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    NamedClasses::read_set(source, "txt", problems, boxes)
}

fn boxes(
    file: &TextFile,
    classes: &mut NamedClasses,
    problems: &mut Problems,
) -> Result<Vec<LabelledBox>, DatasetError> {
    let is_object = |line: &Line<'_>| !HEADERS.iter().any(|header| line.text.starts_with(header));
    let mut boxes = Vec::new();
    for line in file.lines().filter(is_object) {
        boxes.extend(problems.keep(parse(line, classes))?);
    }
    Ok(boxes)
}

fn parse(line: Line<'_>, classes: &mut NamedClasses) -> Result<LabelledBox, DatasetError> {
    let fields: Vec<&str> = line.fields().collect();
    let (corners, class, difficult) = match fields.as_slice() {
        [corners @ .., class] if corners.len() == 8 => (corners, class, "0"),
        [corners @ .., class, difficult] if corners.len() == 8 => (corners, class, *difficult),
        _ => return Err(line.unexpected(ROW, format!("{} fields", fields.len()))),
    };
    let mut numbers = [0.0; 8];
    for (number, field) in numbers.iter_mut().zip(corners) {
        let parsed = field.parse().ok().filter(|value: &f64| value.is_finite());
        *number = parsed.ok_or_else(|| line.unexpected(ROW, format!("`{field}`")))?;
    }
    let class_id = classes.id(class).ok_or_else(|| line.unexpected(classes.expected(), *class))?;
    let [x1, y1, x2, y2, x3, y3, x4, y4] = numbers;
    let found = LabelledBox::from_corners(class_id, [(x1, y1), (x2, y2), (x3, y3), (x4, y4)]);
    let role = if difficult == "0" { BoxRole::Object } else { BoxRole::Optional };
    Ok(LabelledBox { role, ..found })
}

const ROW: &str = "x1 y1 x2 y2 x3 y3 x4 y4 class difficult";

#[cfg(test)]
mod tests {
    use std::fs;

    use image::GrayImage;
    use tempfile::tempdir;

    use super::*;
    use crate::labels::LabelFormat;

    fn read(rows: &str) -> Result<LabelSet, DatasetError> {
        let root = tempdir().unwrap();
        for folder in ["images", "labelTxt"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        GrayImage::new(64, 32).save(root.path().join("images/P0001.png")).unwrap();
        fs::write(root.path().join("labelTxt/P0001.txt"), rows).unwrap();
        LabelSource::new(root.path(), LabelFormat::Dota).read()
    }

    #[test]
    fn corners_are_kept_with_the_box_around_them() {
        let rows = "imagesource:GoogleEarth\ngsd:0.146\n10 5 20 5 22 15 12 15 small-vehicle 1\n\
                    0.0 0.0 4.0 0.0 4.0 4.0 0.0 4.0 large-vehicle\n";
        let set = read(rows).unwrap();
        assert_eq!(set.classes, ["large-vehicle", "small-vehicle"]);
        let boxes = &set.images[0].boxes;
        assert_eq!((boxes[0].x, boxes[0].y, boxes[0].width, boxes[0].height), (10.0, 5.0, 12.0, 10.0));
        assert_eq!((boxes[0].corners.map(|c| c[2]), boxes[0].role), (Some((22.0, 15.0)), BoxRole::Optional));
        assert_eq!((boxes[1].class_id, boxes[1].role), (0, BoxRole::Object));
    }

    #[test]
    fn wrong_rows_are_told() {
        for (rows, said) in [
            ("1 2 3 4 car 0\n", "found 6 fields at line 1"),
            ("1 2 3 4 5 6 7 inf car 0\n", "found `inf` at line 1"),
        ] {
            let error = read(rows).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(ROW), "{error}");
        }
    }
}
