//! Labelled images to pictures that are learnt from.

use datasets::DatasetError;
use datasets::labels::{BoxRole, LabelSet, LabelledBox, LabelledImage};
use geometry::{Frame, RgbImage};

use super::augment::{Picture, Target};

/// The images of `set`, decoded, its classes by the number that their name has in `classes`; boxes of other classes are
/// background. Optional objects and crowds are neither to be found nor to be missed. An image that can't be read is left
/// out, and `unreadable` is told why: one of thousands is no reason to learn nothing.
pub fn pictures(
    set: &LabelSet,
    classes: &[String],
    mut unreadable: impl FnMut(DatasetError),
) -> Vec<Picture> {
    let decoded = set.images.iter().map(|image| labelled(image, set, classes));
    decoded.filter_map(|picture| picture.map_err(&mut unreadable).ok()).collect()
}

fn labelled(image: &LabelledImage, set: &LabelSet, classes: &[String]) -> Result<Picture, DatasetError> {
    let class_of = |id: u32| {
        let name = set.classes.get(id as usize)?;
        classes.iter().position(|class| class == name)
    };
    Ok(picture(&image.frame()?, targets(&image.boxes, class_of)))
}

/// A frame in colour, grey where it has none.
pub(super) fn picture(frame: &Frame, targets: Vec<Target>) -> Picture {
    let gray = &frame.gray;
    let pixels = match &frame.rgb {
        Some(rgb) => RgbImage::clone(rgb),
        None => RgbImage::from_fn(gray.width(), gray.height(), |x, y| [gray.pixel(x, y)[0]; 3]),
    };
    Picture::new(pixels, targets)
}

/// The boxes of those classes that `class_of` knows, as they are learnt.
pub(super) fn targets(boxes: &[LabelledBox], class_of: impl Fn(u32) -> Option<usize>) -> Vec<Target> {
    let target = |of: &LabelledBox| {
        let (class_id, bounding_box) = (class_of(of.class_id)? as u32, of.bounding_box());
        let is_object = of.role == BoxRole::Object;
        bounding_box.is_valid().then_some(Target { bounding_box, class_id: is_object.then_some(class_id) })
    };
    boxes.iter().filter_map(target).collect()
}
