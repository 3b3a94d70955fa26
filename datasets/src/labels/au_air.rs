//! AU-AIR: one JSON file; `annotations` lists images, each with `bbox`es `{top, left, height, width, class}` in pixels,
//! and `categories` names the classes. Format: <https://bozcani.github.io/auairdataset>.

use serde::Deserialize;

use super::class_names::counted;
use super::coco::parse;
use super::files::{annotation_file, folder_of_images, id_of, image_path, set_folder};
use super::source::Problems;
use super::{LabelSet, LabelSource, LabelledBox, LabelledImage};
use crate::DatasetError;
use crate::decode::header_size;
use crate::text::TextFile;

#[derive(Deserialize)]
struct Annotations {
    categories: Vec<String>,
    annotations: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    image_name: String,
    bbox: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    top: f64,
    left: f64,
    height: f64,
    width: f64,
    class: usize,
}

pub(super) fn read(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    let file = TextFile::read(&annotation_file(source, "json")?)?;
    let read: Annotations = parse(&file, "AU-AIR's categories and annotations")?;
    let folder = folder_of_images(&set_folder(source));
    let classes = read.categories;
    let mut images = Vec::new();
    for image in &read.annotations {
        let path = image_path(&folder, &image.image_name);
        // The file tells a size for each image too, but under a misspelt name.
        let Some(size) = problems.keep(header_size(&path))? else { continue };
        let mut boxes = Vec::new();
        for labelled in &image.bbox {
            boxes.extend(problems.keep(labelled.checked(&file, image, classes.len()))?);
        }
        images.push(LabelledImage { id: id_of(&path, &folder), path, size, boxes });
    }
    if images.is_empty() {
        return Err(file.unexpected("at least one image that can be read", "none"));
    }
    Ok(LabelSet { category_ids: counted(classes.len()), classes, images })
}

impl Labelled {
    fn checked(&self, file: &TextFile, image: &Image, classes: usize) -> Result<LabelledBox, DatasetError> {
        let unexpected = |expected: String, found: String| {
            file.unexpected(expected, format!("{found} for {}", image.image_name))
        };
        if self.class >= classes {
            let expected = format!("a class from 0 to {}", classes.saturating_sub(1));
            return Err(unexpected(expected, self.class.to_string()));
        }
        if self.width < 0.0 || self.height < 0.0 {
            let expected = "a width and height of at least 0".to_owned();
            return Err(unexpected(expected, format!("{} and {}", self.width, self.height)));
        }
        Ok(LabelledBox::new(self.class as u32, self.left, self.top, self.width, self.height))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::GrayImage;
    use serde_json::{Value, json};
    use tempfile::tempdir;

    use super::*;
    use crate::labels::LabelFormat;

    fn read(boxes: &Value) -> Result<LabelSet, DatasetError> {
        let root = tempdir().unwrap();
        fs::create_dir(root.path().join("images")).unwrap();
        GrayImage::new(64, 32).save(root.path().join("images/frame_x_0000117.png")).unwrap();
        let content = json!({
            "info": {"year": "2019"}, "categories": ["Human", "Car"],
            "annotations": [{"image_name": "frame_x_0000117.png", "image_width:": 64.0, "image_height": 32.0, "bbox": boxes}],
        });
        fs::write(root.path().join("annotations.json"), content.to_string()).unwrap();
        LabelSource::new(root.path(), LabelFormat::AuAir).read()
    }

    #[test]
    fn frames_come_with_their_boxes() {
        let boxes = json!([{"top": 3, "left": 5, "height": 10, "width": 20, "class": 1}]);
        let set = read(&boxes).unwrap();
        assert_eq!((set.classes.len(), set.images[0].scene()), (2, "frame_x"));
        assert_eq!(set.images[0].boxes, [LabelledBox::new(1, 5.0, 3.0, 20.0, 10.0)]);
    }

    #[test]
    fn wrong_boxes_are_told() {
        for (labelled, said) in [
            (
                json!({"top": 3, "left": 5, "height": 10, "width": 20, "class": 2}),
                "expected a class from 0 to 1, found 2",
            ),
            (
                json!({"top": 3, "left": 5, "height": -1, "width": 20, "class": 1}),
                "found 20 and -1 for frame_x_0000117.png",
            ),
            (json!({"top": 3}), "expected AU-AIR's categories and annotations"),
        ] {
            let error = read(&json!([labelled])).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("annotations.json"), "{error}");
        }
    }
}
