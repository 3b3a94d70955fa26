//! Labelled images to pictures that are learnt from.

use datasets::DatasetError;
use datasets::labels::{BoxRole, LabelSet, LabelledBox, LabelledImage};
use geometry::RgbImage;

use super::augment::{Picture, Target};

/// The images of `set`, decoded, its classes by the number that their name has in `classes`; boxes of other classes are
/// background. Optional objects and crowds are neither to be found nor to be missed.
///
/// # Errors
/// [`DatasetError`] with the first image that can't be read.
pub fn pictures(set: &LabelSet, classes: &[String]) -> Result<Vec<Picture>, DatasetError> {
    set.images.iter().map(|image| picture(image, set, classes)).collect()
}

fn picture(image: &LabelledImage, set: &LabelSet, classes: &[String]) -> Result<Picture, DatasetError> {
    let frame = image.frame()?;
    let pixels = match &frame.rgb {
        Some(rgb) => RgbImage::clone(rgb),
        None => {
            RgbImage::from_fn(frame.gray.width(), frame.gray.height(), |x, y| [frame.gray.pixel(x, y)[0]; 3])
        }
    };
    let targets = image.boxes.iter().filter_map(|labelled| target(labelled, set, classes));
    Ok(Picture::new(pixels, targets.collect()))
}

fn target(labelled: &LabelledBox, set: &LabelSet, classes: &[String]) -> Option<Target> {
    let name = set.classes.get(labelled.class_id as usize)?;
    let class_id = classes.iter().position(|class| class == name)? as u32;
    let bounding_box = labelled.bounding_box();
    let is_object = labelled.role == BoxRole::Object;
    bounding_box.is_valid().then_some(Target { bounding_box, class_id: is_object.then_some(class_id) })
}
