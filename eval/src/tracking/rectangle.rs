//! Boxes as benchmarks write them.

use std::path::Path;

use geometry::BoundingBox;

use crate::EvalError;

/// An axis-aligned box in pixels, `(x, y)` its top-left corner.
///
/// In double precision: overlaps of boxes with whole numbers lie on the thresholds of the curves, and single precision would
/// decide such ties by its rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl From<BoundingBox> for Rectangle {
    fn from(of: BoundingBox) -> Self {
        Self::new(of.x.into(), of.y.into(), of.width.into(), of.height.into())
    }
}

impl From<Rectangle> for BoundingBox {
    fn from(of: Rectangle) -> Self {
        Self::new(of.x as f32, of.y as f32, of.width as f32, of.height as f32)
    }
}

impl Rectangle {
    /// A box from its top-left corner and size.
    pub const fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width, height }
    }

    /// Whether all four numbers are finite and both sides positive. Benchmarks write boxes that are not where the target
    /// is out of view, trackers where they have lost it.
    pub fn is_valid(&self) -> bool {
        [self.x, self.y, self.width, self.height].iter().all(|v| v.is_finite())
            && self.width > 0.0
            && self.height > 0.0
    }

    /// Area in square pixels.
    pub fn area(&self) -> f64 {
        self.width * self.height
    }

    /// Area common to both, in square pixels.
    pub fn common_area(&self, other: &Self) -> f64 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, in `[0, 1]`; 0 where either box has no area.
    pub fn iou(&self, other: &Self) -> f64 {
        let common = self.common_area(other);
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// Distance between the centres in pixels.
    pub fn center_distance(&self, other: &Self) -> f64 {
        let dx = (self.x + self.width / 2.0) - (other.x + other.width / 2.0);
        let dy = (self.y + self.height / 2.0) - (other.y + other.height / 2.0);
        dx.hypot(dy)
    }
}

/// Reads one box per frame, rows `x y width height` with an optional confidence behind, separated by commas, tabs or
/// blanks. Lines that start with `#` and empty ones are skipped; `NaN` is a number.
///
/// # Errors
/// [`EvalError::Read`] where the file can't be read, [`EvalError::Content`] where it has no rows, [`EvalError::Row`] for
/// a row that is not four or five numbers.
pub fn read_rectangles(path: impl AsRef<Path>) -> Result<Vec<Rectangle>, EvalError> {
    let path = path.as_ref();
    let text =
        std::fs::read_to_string(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    let rectangles: Vec<Rectangle> = data_rows(&text)
        .map(|(line, row)| parse(row).map_err(|found| row_error(path, line, EXPECTED, found)))
        .collect::<Result<_, _>>()?;
    if rectangles.is_empty() {
        let (expected, found) = ("at least one box".to_owned(), "none".to_owned());
        return Err(EvalError::Content { path: path.to_owned(), expected, found });
    }
    Ok(rectangles)
}

const EXPECTED: &str = "x, y, width, height, and perhaps a confidence";

fn parse(row: &str) -> Result<Rectangle, String> {
    match numbers(row)?.as_slice() {
        &[x, y, width, height] | &[x, y, width, height, _] => Ok(Rectangle::new(x, y, width, height)),
        other => Err(format!("{} numbers", other.len())),
    }
}

/// The lines that carry data, with their numbers from 1.
pub(crate) fn data_rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let numbered = lines.map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The fields as numbers, NaN among them, or the first field that is none.
pub(crate) fn numbers(row: &str) -> Result<Vec<f64>, String> {
    let fields = row.split(|c: char| c == ',' || c.is_whitespace()).filter(|field| !field.is_empty());
    fields.map(|field| field.parse().map_err(|_| format!("`{}`", shown(field)))).collect()
}

pub(crate) fn row_error(path: &Path, line: usize, expected: &str, found: String) -> EvalError {
    EvalError::Row { path: path.to_owned(), line, expected: expected.to_owned(), found }
}

/// A field as a message may show it.
fn shown(field: &str) -> String {
    field.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<Rectangle>, EvalError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.txt");
        std::fs::write(&path, content).unwrap();
        read_rectangles(path)
    }

    #[test]
    fn any_separator_will_do() {
        let expected = vec![Rectangle::new(1.0, 2.5, 3.0, 4.0); 2];
        for rows in [
            "1,2.5,3,4\n1, 2.5, 3, 4\n",
            "1\t2.5\t3\t4\r\n1 2.5 3 4 0.9",
            "# x y w h\n1,2.5,3,4,1\n\n1 2.5,3\t4",
        ] {
            assert_eq!(read(rows).unwrap(), expected, "{rows}");
        }
    }

    #[test]
    fn a_lost_target_may_be_nan() {
        let rows = read("NaN,NaN,NaN,NaN\n0,0,0,0\n1,1,2,2\n").unwrap();
        assert_eq!(rows.iter().map(Rectangle::is_valid).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn a_bad_row_is_told_with_its_line() {
        for (content, end) in [
            (
                "1,2,3,4\n1,2,3\n",
                "boxes.txt, line 2: expected x, y, width, height, and perhaps a confidence, found 3 numbers",
            ),
            (
                "\n1,2,three,4\n",
                "line 2: expected x, y, width, height, and perhaps a confidence, found `three`",
            ),
            ("# nothing\n", "boxes.txt: expected at least one box, found none"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.ends_with(end), "{error}");
        }
    }

    #[test]
    fn half_overlapping_boxes_share_a_third() {
        let (a, b) = (Rectangle::new(0.0, 0.0, 2.0, 2.0), Rectangle::new(1.0, 0.0, 2.0, 2.0));
        assert_eq!((a.iou(&b), a.center_distance(&b)), (1.0 / 3.0, 1.0));
        assert_eq!(a.iou(&Rectangle::new(2.0, 0.0, 2.0, 2.0)), 0.0);
        assert_eq!(a.iou(&Rectangle::new(0.0, 0.0, f64::NAN, 2.0)), 0.0);
    }
}
