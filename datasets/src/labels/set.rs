//! What all formats become.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use geometry::{BoundingBox, Frame};

use super::ClassMap;
use crate::DatasetError;
use crate::image_file::read_image_of_size;

/// Images with their boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSet {
    /// Names of the classes; [`LabelledBox::class_id`] is an index into them.
    pub classes: Vec<String>,
    /// The number that the set's own files have for a class, to the index of the class: other tools write detections with
    /// the former. They are the same in YOLO's format.
    pub category_ids: BTreeMap<i64, u32>,
    /// In natural order of their names, or as their file lists them.
    pub images: Vec<LabelledImage>,
}

/// One image with everything that is labelled in it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImage {
    /// Unique in its set: the number that its file has for it (COCO), else the path below the folder of images without the
    /// extension.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// `(width, height)` in pixels.
    pub size: (usize, usize),
    /// In the order of the file.
    pub boxes: Vec<LabelledBox>,
}

/// What a box asks of a detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoxRole {
    /// To be found.
    #[default]
    Object,
    /// An object that may be found or missed: neither counts ("difficult").
    Optional,
    /// A region of many objects, any number of which may be found or missed (COCO's `iscrowd`).
    Crowd,
}

/// One labelled object.
///
/// In double precision, because boxes of whole pixels put overlaps on the thresholds of evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledBox {
    /// Index into [`LabelSet::classes`].
    pub class_id: u32,
    /// Left edge in pixels; 0 is the left edge of the image. May lie outside the image, as labelled.
    pub x: f64,
    /// Top edge in pixels.
    pub y: f64,
    /// Width in pixels, at least 0.
    pub width: f64,
    /// Height in pixels, at least 0.
    pub height: f64,
    /// Corners `(x, y)` in pixels of the oriented box, in the order of the file, where the format has such boxes.
    pub corners: Option<[(f64, f64); 4]>,
    /// Area of the object's outline in square pixels, where the format has it (COCO).
    pub outline_area_px: Option<f64>,
    /// What it asks of a detector.
    pub role: BoxRole,
}

impl LabelledBox {
    /// An axis-aligned box; `(x, y)` is its top-left corner.
    pub const fn new(class_id: u32, x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { class_id, x, y, width, height, corners: None, outline_area_px: None, role: BoxRole::Object }
    }

    /// The axis-aligned box around four corners, which are kept.
    pub fn from_corners(class_id: u32, corners: [(f64, f64); 4]) -> Self {
        let around = Self::around(class_id, &corners);
        Self { corners: Some(corners), ..around }
    }

    /// The axis-aligned box around points.
    pub(super) fn around(class_id: u32, points: &[(f64, f64)]) -> Self {
        let lowest = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::INFINITY, f64::min);
        let highest = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (x, y) = (lowest(|p| p.0), lowest(|p| p.1));
        Self::new(class_id, x, y, highest(|p| p.0) - x, highest(|p| p.1) - y)
    }

    /// The same box in an image whose sides are `factor` times as long.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            x: self.x * factor,
            y: self.y * factor,
            width: self.width * factor,
            height: self.height * factor,
            corners: self.corners.map(|corners| corners.map(|(x, y)| (x * factor, y * factor))),
            outline_area_px: self.outline_area_px.map(|area| area * factor * factor),
            ..*self
        }
    }

    /// In single precision, as detections are.
    pub fn bounding_box(&self) -> BoundingBox {
        BoundingBox::new(self.x as f32, self.y as f32, self.width as f32, self.height as f32)
    }

    /// Area of the box in square pixels.
    pub fn area(&self) -> f64 {
        self.width * self.height
    }

    /// Share of the box's area that lies outside an image of this size; 0 where it has no area.
    pub fn share_outside(&self, (width, height): (usize, usize)) -> f64 {
        let inside =
            |start: f64, side: f64, room: usize| ((start + side).min(room as f64) - start.max(0.0)).max(0.0);
        let area = self.area();
        let visible = inside(self.x, self.width, width) * inside(self.y, self.height, height);
        if area > 0.0 { (1.0 - visible / area).max(0.0) } else { 0.0 }
    }
}

impl LabelledImage {
    /// The scene by the image's name, as [`scene_name`] has it. Images of one scene must not be split into training
    /// and validation: neighbouring frames show the same objects.
    pub fn scene(&self) -> &str {
        scene_name(&self.id)
    }

    /// The image, decoded now, with stamp and number 0 and a camera of an assumed field of view (70 degrees).
    ///
    /// # Errors
    /// [`DatasetError::Io`] where the file can't be read, [`DatasetError::Image`] where it does not decode to its end,
    /// [`DatasetError::Content`] where it is no longer of [`size`](Self::size).
    pub fn frame(&self) -> Result<Frame, DatasetError> {
        read_image_of_size(&self.path, self.size)
    }
}

impl LabelSet {
    /// The same set with other class names: boxes whose class the map drops are gone, classes of one name are one class.
    #[must_use]
    pub fn mapped(mut self, map: &ClassMap) -> Self {
        let (classes, indices) = map.apply(&self.classes);
        let class_of = |id: u32| indices.get(id as usize).copied().flatten();
        for image in &mut self.images {
            let boxes = image.boxes.iter();
            let kept = boxes.filter_map(|b| Some(LabelledBox { class_id: class_of(b.class_id)?, ..*b }));
            image.boxes = kept.collect();
        }
        let categories = self.category_ids.into_iter();
        let category_ids = categories.filter_map(|(category, id)| Some((category, class_of(id)?))).collect();
        Self { classes, category_ids, images: self.images }
    }

    /// The images for which `belongs` holds, and the others.
    pub fn partition(self, belongs: impl Fn(&LabelledImage) -> bool) -> (Self, Self) {
        let (chosen, others) = self.images.into_iter().partition(belongs);
        let with =
            |images| Self { classes: self.classes.clone(), category_ids: self.category_ids.clone(), images };
        (with(chosen), with(others))
    }

    /// The names of all scenes.
    pub fn scenes(&self) -> BTreeSet<&str> {
        self.images.iter().map(LabelledImage::scene).collect()
    }

    /// Number of boxes of each class.
    pub fn boxes_per_class(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for b in self.images.iter().flat_map(|image| &image.boxes) {
            if let Some(count) = counts.get_mut(b.class_id as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// The index of a class by its name.
    pub fn class_id(&self, name: &str) -> Option<u32> {
        self.classes.iter().position(|class| class == name).map(|index| index as u32)
    }
}

/// The scene that an image's name tells: what stands before its last number (`MOS` for `MOS156`, `DJI_0005` for
/// `DJI_0005-0186`, `0` for `0_15`). Where nothing stands there, the image is a scene of its own. A suffix of VEDAI's
/// bands is no part of the name.
pub fn scene_name(id: &str) -> &str {
    let name = id.strip_suffix("_co").or_else(|| id.strip_suffix("_ir")).unwrap_or(id);
    let before_number = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let scene = before_number.trim_end_matches(['-', '_', ' ', '.', '/']);
    if scene.is_empty() || before_number.len() == name.len() { name } else { scene }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_what_stands_before_the_last_number() {
        for (name, scene) in [
            ("MOS156", "MOS"),
            ("DJI_0005-0186", "DJI_0005"),
            ("DJI-00760-00001", "DJI-00760"),
            ("0_15", "0"),
            ("0004", "0004"),
            ("00000057_co", "00000057"),
            ("train/0004", "train"),
            ("frame_20190829091111_x_0001973", "frame_20190829091111_x"),
            ("street", "street"),
        ] {
            assert_eq!(scene_name(name), scene, "{name}");
        }
    }

    fn image(id: &str, boxes: Vec<LabelledBox>) -> LabelledImage {
        LabelledImage { id: id.into(), path: format!("{id}.png").into(), size: (100, 50), boxes }
    }

    fn set() -> LabelSet {
        let b = |class_id| LabelledBox::new(class_id, 1.0, 2.0, 3.0, 4.0);
        LabelSet {
            classes: ["car", "tree", "truck"].map(str::to_owned).to_vec(),
            category_ids: [(1, 0), (5, 1), (7, 2)].into(),
            images: vec![image("a1", vec![b(0), b(1)]), image("b1", vec![b(2)])],
        }
    }

    #[test]
    fn a_map_joins_renames_and_drops() {
        let mapped = set().mapped(&ClassMap::parse("truck=vehicle,tree=,car=vehicle").unwrap());
        assert_eq!(mapped.classes, ["vehicle"]);
        assert_eq!(mapped.category_ids, [(1, 0), (7, 0)].into());
        assert_eq!(mapped.boxes_per_class(), [2]);
        assert_eq!(mapped.images[0].boxes, [LabelledBox::new(0, 1.0, 2.0, 3.0, 4.0)]);
    }

    #[test]
    fn parts_keep_the_classes() {
        let (held_out, training) = set().partition(|image| image.scene() == "b");
        assert_eq!(set().scenes().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((held_out.images.len(), training.images.len()), (1, 1));
        assert_eq!((held_out.classes.len(), training.class_id("truck")), (3, Some(2)));
    }

    #[test]
    fn boxes_around_corners_and_outside() {
        let b = LabelledBox::from_corners(0, [(4.0, 1.0), (6.0, 3.0), (4.0, 5.0), (2.0, 3.0)]);
        assert_eq!((b.x, b.y, b.width, b.height, b.area()), (2.0, 1.0, 4.0, 4.0, 16.0));
        let half = b.scaled(0.5);
        assert_eq!((half.x, half.width, half.corners.map(|c| c[1])), (1.0, 2.0, Some((3.0, 1.5))));
        assert_eq!(
            (b.share_outside((4, 10)), b.share_outside((10, 10)), b.share_outside((1, 10))),
            (0.5, 0.0, 1.0)
        );
        assert_eq!(LabelledBox::new(0, 5.0, 5.0, 0.0, 3.0).share_outside((4, 4)), 0.0);
    }
}
