//! Detections as COCO's result files have them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Rectangle;
use crate::EvalError;

/// How a file of results names an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageKey {
    /// By its number in the truth's file, or where its name is a number, by that.
    Number(i64),
    /// By its name.
    Name(String),
}

/// One detection.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultBox {
    /// In which image.
    pub image: ImageKey,
    /// The number of its class in the truth's files.
    pub category: i64,
    /// The name of its class, where the file has it.
    pub category_name: Option<String>,
    /// Where, in pixels.
    pub rectangle: Rectangle,
    /// Confidence.
    pub score: f64,
}

/// A file of detections.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionResults {
    /// The file.
    pub path: PathBuf,
    /// Its rows, as they stand.
    pub boxes: Vec<ResultBox>,
}

#[derive(Deserialize)]
struct Row {
    image_id: Value,
    category_id: i64,
    #[serde(default)]
    category: Option<String>,
    bbox: [f64; 4],
    score: f64,
}

impl DetectionResults {
    /// Reads a JSON array of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`
    /// (<https://cocodataset.org/#format-results>); an image may go by its name instead of a number, and `category` may name
    /// the class.
    ///
    /// # Errors
    /// [`EvalError::Read`] where the file can't be read, [`EvalError::Row`] where it is something else,
    /// [`EvalError::Content`] for a box of negative size or an image that is neither number nor name.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        let path = path.as_ref().to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| EvalError::Read { path: path.clone(), source })?;
        let rows: Vec<Row> = serde_json::from_str(&text).map_err(|error| EvalError::Row {
            path: path.clone(),
            line: error.line(),
            expected: "an array of image_id, category_id, bbox and score".to_owned(),
            found: error.to_string(),
        })?;
        let boxes = rows.into_iter().enumerate().map(|(index, row)| {
            row.checked().map_err(|(expected, found)| EvalError::Content {
                path: path.clone(),
                expected: expected.to_owned(),
                found: format!("{found} in detection {index}, counted from 0"),
            })
        });
        let boxes = boxes.collect::<Result<_, _>>()?;
        Ok(Self { path, boxes })
    }
}

impl Row {
    fn checked(self) -> Result<ResultBox, (&'static str, String)> {
        let image = match (self.image_id.as_i64(), self.image_id) {
            (Some(number), _) => ImageKey::Number(number),
            (None, Value::String(name)) => ImageKey::Name(name),
            (None, other) => return Err(("the number or the name of an image", other.to_string())),
        };
        let [x, y, width, height] = self.bbox;
        if width < 0.0 || height < 0.0 {
            return Err(("a width and height of at least 0", format!("{width} and {height}")));
        }
        let rectangle = Rectangle::new(x, y, width, height);
        let Self { category_id: category, category: category_name, score, .. } = self;
        Ok(ResultBox { image, category, category_name, rectangle, score })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<DetectionResults, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.json");
        std::fs::write(&path, content).unwrap();
        DetectionResults::read(path).map_err(|error| error.to_string())
    }

    #[test]
    fn images_go_by_number_or_name() {
        let results = read(
            r#"[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.25},
                {"image_id": "a1", "category_id": 2, "bbox": [0, 0, 0, 0], "score": 1, "id": 9}]"#,
        )
        .unwrap();
        assert_eq!(results.boxes[0].image, ImageKey::Number(7));
        assert_eq!(results.boxes[0].rectangle, Rectangle::new(1.0, 2.0, 3.0, 4.5));
        assert_eq!((&results.boxes[1].image, results.boxes[1].category), (&ImageKey::Name("a1".into()), 2));
        assert_eq!(results.boxes[1].category_name, None);
        let named = read(
            r#"[{"image_id": 7, "category_id": 1, "category": "van", "bbox": [1, 2, 3, 4], "score": 0.5}]"#,
        );
        assert_eq!(named.unwrap().boxes[0].category_name.as_deref(), Some("van"));
        assert_eq!(read("[]").unwrap().boxes, []);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (content, said) in [
            ("{}", "line 1: expected an array of image_id, category_id, bbox and score"),
            (
                r#"[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, NaN], "score": 1}]"#,
                "expected an array",
            ),
            (
                r#"[{"image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 4], "score": 1}]"#,
                "expected a width and height of at least 0, found -3 and 4 in detection 0",
            ),
            (
                r#"[{"image_id": null, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]"#,
                "expected the number or the name of an image, found null",
            ),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(said) && error.contains("found.json"), "{error}");
        }
    }
}
