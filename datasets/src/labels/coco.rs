//! COCO: one JSON file with `images`, `annotations` and `categories`.
//!
//! Boxes are `[x, y, width, height]` in pixels from the image's upper left edge. Images come in the order of their ids, as
//! pycocotools takes them. The files of the images need not be there to read the labels. Format:
//! <https://cocodataset.org/#format-data>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::files::{annotation_file, folder_of_images, image_path, set_folder};
use super::source::Problems;
use super::{BoxRole, LabelSet, LabelSource, LabelledBox, LabelledImage};
use crate::DatasetError;
use crate::text::TextFile;

#[derive(Deserialize)]
struct Annotations {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: usize,
    height: usize,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    id: Value,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: Value,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

pub(super) fn read(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    let file = TextFile::read(&annotation_file(source, "json")?)?;
    let read: Annotations = parse(&file, "COCO's images, annotations and categories")?;
    let (classes, category_ids) = categories(&file, read.categories)?;
    let images_folder = folder_of_images(&set_folder(source));
    let mut images = BTreeMap::new();
    for image in read.images {
        let path = image_path(&images_folder, &image.file_name);
        let size = (image.width, image.height);
        let labelled = LabelledImage { id: image.id.to_string(), path, size, boxes: Vec::new() };
        if images.insert(image.id, labelled).is_some() {
            problems.report(file.unexpected("each image once", format!("image {} twice", image.id)))?;
        }
    }
    for annotation in &read.annotations {
        let image = images.get_mut(&annotation.image_id);
        let labelled = annotation.labelled_box(&file, &category_ids, image.is_some());
        if let (Some(labelled), Some(image)) = (problems.keep(labelled)?, image) {
            image.boxes.push(labelled);
        }
    }
    if images.is_empty() {
        return Err(file.unexpected("at least one image", "none"));
    }
    Ok(LabelSet { classes, category_ids, images: images.into_values().collect() })
}

/// The whole file, or where it is not as expected.
pub(super) fn parse<'a, T: Deserialize<'a>>(file: &'a TextFile, what: &str) -> Result<T, DatasetError> {
    serde_json::from_str(&file.content)
        .map_err(|error| file.unexpected_at(Some(error.line()), what, error.to_string()))
}

/// Names in the order of the numbers, and their indices.
fn categories(
    file: &TextFile,
    mut categories: Vec<Category>,
) -> Result<(Vec<String>, BTreeMap<i64, u32>), DatasetError> {
    categories.sort_by_key(|category| category.id);
    let (mut names, mut indices) = (Vec::new(), BTreeMap::new());
    for Category { id, name } in categories {
        if names.contains(&name) || indices.insert(id, names.len() as u32).is_some() {
            return Err(file.unexpected("each category once", format!("{id} `{name}` twice")));
        }
        names.push(name);
    }
    Ok((names, indices))
}

impl Annotation {
    fn labelled_box(
        &self,
        file: &TextFile,
        categories: &BTreeMap<i64, u32>,
        has_image: bool,
    ) -> Result<LabelledBox, DatasetError> {
        let unexpected = |expected: &str, found: String| {
            file.unexpected(expected, format!("{found} in annotation {}", self.id))
        };
        if !has_image {
            return Err(unexpected("an image_id among the images", self.image_id.to_string()));
        }
        let class_id = categories.get(&self.category_id).copied();
        let class_id = class_id
            .ok_or_else(|| unexpected("a category_id among the categories", self.category_id.to_string()))?;
        let [x, y, width, height] = self.bbox;
        if width < 0.0 || height < 0.0 {
            return Err(unexpected("a width and height of at least 0", format!("{width} and {height}")));
        }
        let role = if self.is_crowd() { BoxRole::Crowd } else { BoxRole::Object };
        let found = LabelledBox::new(class_id, x, y, width, height);
        Ok(LabelledBox { role, outline_area_px: self.area, ..found })
    }

    /// 0 and 1, or a word of JSON.
    fn is_crowd(&self) -> bool {
        self.iscrowd.as_bool().unwrap_or_else(|| self.iscrowd.as_f64().is_some_and(|number| number > 0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::labels::LabelFormat;

    fn content(annotations: &Value) -> Value {
        json!({
            "images": [
                {"id": 12, "file_name": "b.jpg", "width": 64, "height": 32},
                {"id": 3, "file_name": "/home/me/a.jpg", "width": 32, "height": 16},
            ],
            "annotations": annotations,
            "categories": [{"id": 7, "name": "truck"}, {"id": 3, "name": "car"}],
        })
    }

    fn set(content: &Value) -> TempDir {
        let root = tempdir().unwrap();
        fs::create_dir_all(root.path().join("labels")).unwrap();
        fs::create_dir_all(root.path().join("images")).unwrap();
        fs::write(root.path().join("images/a.jpg"), "").unwrap();
        fs::write(root.path().join("labels/any.json"), content.to_string()).unwrap();
        root
    }

    fn read(content: &Value) -> Result<LabelSet, DatasetError> {
        LabelSource::new(set(content).path(), LabelFormat::Coco).read()
    }

    #[test]
    fn ids_are_translated_and_crowds_known() {
        let root = set(&content(&json!([
            {"id": 1, "image_id": 12, "category_id": 7, "bbox": [1, 2, 3.5, 4], "area": 9.25, "iscrowd": 0},
            {"id": 2, "image_id": 12, "category_id": 3, "bbox": [0, 0, 64, 32], "iscrowd": 1},
        ])));
        let set = LabelSource::new(root.path(), LabelFormat::Coco).read().unwrap();
        assert_eq!(
            (set.classes.clone(), set.category_ids.get(&7)),
            (vec!["car".to_owned(), "truck".to_owned()], Some(&1))
        );
        let [a, b] = set.images.as_slice() else { panic!("two images") };
        assert_eq!((a.id.as_str(), a.path.is_file(), b.id.as_str(), b.size), ("3", true, "12", (64, 32)));
        let truck = LabelledBox::new(1, 1.0, 2.0, 3.5, 4.0);
        assert_eq!(b.boxes[0], LabelledBox { outline_area_px: Some(9.25), ..truck });
        assert_eq!(b.boxes[1].role, BoxRole::Crowd);
        let named = LabelSource::new(root.path().join("labels/any.json"), LabelFormat::Coco);
        assert_eq!(named.read().unwrap(), set);
        fs::write(root.path().join("labels/other.json"), "{}").unwrap();
        let error = LabelSource::new(root.path(), LabelFormat::Coco).read().unwrap_err().to_string();
        assert!(error.contains("found 2; name the file itself"), "{error}");
    }

    #[test]
    fn what_does_not_belong_together_is_told() {
        let annotation = |changed: &str, value: Value| {
            let mut annotation = json!({"id": 5, "image_id": 12, "category_id": 7, "bbox": [1, 2, 3, 4]});
            annotation[changed] = value;
            content(&json!([annotation]))
        };
        let mut twice = content(&json!([]));
        twice["images"][1]["id"] = json!(12);
        for (content, said) in [
            (
                annotation("image_id", json!(1)),
                "expected an image_id among the images, found 1 in annotation 5",
            ),
            (annotation("category_id", json!(1)), "expected a category_id among the categories, found 1"),
            (annotation("bbox", json!([1, 2, -3, 4])), "found -3 and 4 in annotation 5"),
            (annotation("bbox", json!([1, 2, 3])), "expected COCO's images, annotations and categories"),
            (
                annotation("bbox", json!([1, 2, 3, null])),
                "expected COCO's images, annotations and categories",
            ),
            (twice, "expected each image once, found image 12 twice"),
            (json!([]), "expected COCO's images, annotations and categories"),
        ] {
            let error = read(&content).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("any.json"), "{error}");
        }
    }
}
