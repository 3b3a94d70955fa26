//! VOT: `groundtruth.txt` with a rotated box per frame, eight numbers (the corners' x and y) or four (`x,y,width,height`), and
//! images beside it or in `color/`. A file `NAME.tag` has a 1 for each frame with that attribute.
//!
//! Trackers of upright boxes are shown a box around the corners' mean, of the upright hull's proportions and the polygon's area. The
//! hull itself is larger than the target, the more so the further it is turned. Format:
//! <https://www.votchallenge.net/howto/overview.html>.

use std::fs;
use std::path::{Path, PathBuf};

use geometry::BoundingBox;

use crate::DatasetError;
use crate::folder::{folder_name, list_images};
use crate::open::Format;
use crate::target::{TargetSequence, images_of_boxes, numbers};
use crate::text::{Line, TextFile};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a VOT sequence folder (groundtruth.txt, images beside it or in color)",
    recognise: |spec| image_folder(spec.path()).is_some(),
    open: |spec| Ok(Box::new(find(spec.path())?.open(spec)?)),
};

const TRUTH: &str = "groundtruth.txt";

fn image_folder(folder: &Path) -> Option<PathBuf> {
    let has_images = |folder: &PathBuf| list_images(folder).is_ok_and(|images| !images.is_empty());
    let folders = [folder.join("color"), folder.to_owned()];
    folders.into_iter().find(has_images).filter(|_| folder.join(TRUTH).is_file())
}

fn find(folder: &Path) -> Result<TargetSequence, DatasetError> {
    let images_folder = image_folder(folder).unwrap_or_else(|| folder.to_owned());
    let boxes = TextFile::read(&folder.join(TRUTH))?.lines().map(read_box).collect::<Result<Vec<_>, _>>()?;
    let images = images_of_boxes(list_images(&images_folder)?, 0, boxes.len(), &images_folder)?;
    Ok(TargetSequence {
        name: format!("VOT {}", folder_name(folder)),
        folder: images_folder,
        images,
        boxes,
        attributes: read_attributes(folder)?,
        assumptions: Vec::new(),
    })
}

fn read_box(line: Line<'_>) -> Result<Option<BoundingBox>, DatasetError> {
    let numbers = numbers(line)?;
    let found = match numbers.as_slice() {
        &[x, y, width, height] => BoundingBox::new(x, y, width, height),
        &[ax, ay, bx, by, cx, cy, dx, dy] => upright(&[(ax, ay), (bx, by), (cx, cy), (dx, dy)]),
        other => return Err(line.unexpected("4 or 8 values per region", other.len().to_string())),
    };
    Ok(Some(found).filter(BoundingBox::is_valid))
}

/// The upright box that stands for a polygon.
fn upright(corners: &[(f32, f32); 4]) -> BoundingBox {
    let mean = |of: fn(&(f32, f32)) -> f32| corners.iter().map(of).sum::<f32>() / 4.0;
    let side = |of: fn(&(f32, f32)) -> f32| {
        let values = || corners.iter().map(of);
        values().fold(f32::NEG_INFINITY, f32::max) - values().fold(f32::INFINITY, f32::min)
    };
    let (width, height) = (side(|corner| corner.0), side(|corner| corner.1));
    let scale = (area(corners) / (width * height)).sqrt();
    let (width, height) = (scale * width, scale * height);
    BoundingBox::new(
        mean(|corner| corner.0) - width / 2.0,
        mean(|corner| corner.1) - height / 2.0,
        width,
        height,
    )
}

fn area(corners: &[(f32, f32); 4]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let doubled: f32 = corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
    doubled.abs() / 2.0
}

/// The attributes that a frame of the sequence has, by name.
fn read_attributes(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let mut attributes = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "tag") {
            let tag = TextFile::read(&path)?;
            if tag.lines().any(|line| line.text == "1") {
                attributes.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
            }
        }
    }
    attributes.sort();
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use image::GrayImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Dataset, SourceSpec, TargetTruth, open as open_source};

    fn sequence(images: &str, truth: &str) -> TempDir {
        let root = tempdir().unwrap();
        fs::create_dir_all(root.path().join(images)).unwrap();
        for number in 1..=2 {
            GrayImage::new(32, 24).save(root.path().join(images).join(format!("{number:08}.png"))).unwrap();
        }
        fs::write(root.path().join(TRUTH), truth).unwrap();
        root
    }

    fn open(path: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        open_source(&SourceSpec::new(path.to_string_lossy()))
    }

    fn target(root: &TempDir) -> TargetTruth {
        open(root.path()).unwrap().ground_truth().unwrap().target.clone().unwrap()
    }

    #[test]
    fn polygons_become_boxes_of_their_area() {
        // A square of side 10 turned by 45 degrees about (20, 10): the hull is twice as large.
        let half = 50.0_f32.sqrt();
        let diamond = format!("20,{},{},10,20,{},{},10", 10.0 - half, 20.0 + half, 10.0 + half, 20.0 - half);
        let target = target(&sequence("color", &format!("{diamond}\n10,5,20,5,20,11,10,11\n")));
        let (turned, upright) = (target.boxes[0].1.unwrap(), target.boxes[1].1.unwrap());
        for (found, expected) in [
            (turned, BoundingBox::new(15.0, 5.0, 10.0, 10.0)),
            (upright, BoundingBox::new(10.0, 5.0, 10.0, 6.0)),
        ] {
            assert!(found.iou(&expected) > 0.9999, "{found:?}");
        }
    }

    #[test]
    fn images_may_lie_beside_and_regions_be_boxes() {
        let root = sequence("", "1,2,3,4\nnan,nan,nan,nan\n");
        fs::write(root.path().join("occlusion.tag"), "0\n1\n").unwrap();
        fs::write(root.path().join("size_change.tag"), "0\n0\n").unwrap();
        let target = target(&root);
        assert_eq!(
            (target.boxes[0].1, target.boxes[1].1),
            (Some(BoundingBox::new(1.0, 2.0, 3.0, 4.0)), None)
        );
        assert_eq!(target.attributes, ["occlusion"]);
    }

    #[test]
    fn regions_of_other_shapes_are_told() {
        let root = sequence("color", "1,2,3,4\n1,2,3,4,5,6\n");
        let error = open(root.path()).err().unwrap().to_string();
        assert!(error.starts_with("expected 4 or 8 values per region, found 6 at line 2"), "{error}");
    }
}
