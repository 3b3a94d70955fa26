//! Where the one target of a tracking sequence is: what the layouts of OTB, UAV123, DTB70 and VOT have in common.

use std::path::{Path, PathBuf};

use geometry::{BoundingBox, Timestamp};

use crate::calibration::choose_camera;
use crate::sequence::{Found, Image, ImageSequence, size_of, stamps};
use crate::text::{Line, TextFile};
use crate::{DatasetError, GroundTruth, SourceSpec};

/// Where one target is, frame by frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetTruth {
    /// Stamp of each frame, in their order, and the target's box there; `None` where it is out of view.
    ///
    /// Boxes are as the files have them. OTB, UAV123 and DTB70 count pixels from 1, so theirs lie one pixel to the right of
    /// and below where a [`Frame`](geometry::Frame) has them; results in the same numbers compare with those of the
    /// benchmarks' tools.
    pub boxes: Vec<(Timestamp, Option<BoundingBox>)>,
    /// What makes the sequence hard, as the benchmark abbreviates it: `SV` for scale variation, `OCC` for occlusion.
    pub attributes: Vec<String>,
}

impl TargetTruth {
    /// The target's box in the frame of this stamp; `None` where it is out of view or the frame is none of these.
    pub fn box_at(&self, stamp: Timestamp) -> Option<BoundingBox> {
        let index = self.boxes.binary_search_by_key(&stamp, |(stamp, _)| *stamp).ok()?;
        self.boxes[index].1
    }
}

/// A tracking sequence before its first image is looked at.
pub(crate) struct TargetSequence {
    /// For reports: `VOT ants1`.
    pub(crate) name: String,
    /// Folder of the images, for messages.
    pub(crate) folder: PathBuf,
    /// As many as boxes.
    pub(crate) images: Vec<PathBuf>,
    pub(crate) boxes: Vec<Option<BoundingBox>>,
    pub(crate) attributes: Vec<String>,
    pub(crate) assumptions: Vec<String>,
}

impl TargetSequence {
    pub(crate) fn open(self, spec: &SourceSpec) -> Result<ImageSequence, DatasetError> {
        let Self { name, folder, images, boxes, attributes, mut assumptions } = self;
        let stamps = stamps(images.len(), None, &mut assumptions)?;
        let size = size_of(images.iter().map(PathBuf::as_path), &folder)?;
        let camera = choose_camera(spec, || Ok(None), size, &mut assumptions)?;
        let target = TargetTruth { boxes: stamps.iter().copied().zip(boxes).collect(), attributes };
        let images = stamps.into_iter().zip(images).map(|(stamp, path)| Image { stamp, path }).collect();
        let ground_truth = Some(GroundTruth { target: Some(target), ..GroundTruth::default() });
        Ok(ImageSequence::new(Found { name, images, camera, assumptions, ground_truth }))
    }
}

/// One box per line, `x y width height`, separated by commas, tabs or blanks.
pub(crate) fn read_boxes(path: &Path) -> Result<Vec<Option<BoundingBox>>, DatasetError> {
    let file = TextFile::read(path)?;
    let boxes = file.lines().map(|line| {
        let [x, y, width, height] = numbers(line)?.try_into().map_err(|found: Vec<f32>| {
            line.unexpected("4 values per box: x, y, width, height", found.len().to_string())
        })?;
        Ok(Some(BoundingBox::new(x, y, width, height)).filter(BoundingBox::is_valid))
    });
    boxes.collect()
}

/// Numbers, NaN among them: it stands for a target out of view.
pub(crate) fn numbers(line: Line<'_>) -> Result<Vec<f32>, DatasetError> {
    let number = |field: &str| {
        field.parse().map_err(|_| line.unexpected("numbers or NaN as values per box", format!("`{field}`")))
    };
    line.fields().map(number).collect()
}

/// The images from `first` (from 0) on that the `boxes` belong to.
///
/// # Errors
/// [`DatasetError::Content`] where there are fewer images than boxes.
pub(crate) fn images_of_boxes(
    images: Vec<PathBuf>,
    first: usize,
    boxes: usize,
    folder: &Path,
) -> Result<Vec<PathBuf>, DatasetError> {
    let found = images.len();
    let images: Vec<PathBuf> = images.into_iter().skip(first).take(boxes).collect();
    if images.len() == boxes && boxes > 0 {
        return Ok(images);
    }
    let behind = if first == 0 { String::new() } else { format!(" behind the first {first}") };
    Err(DatasetError::Content {
        expected: format!("at least one image and as many as boxes, {boxes}{behind}"),
        found: format!("{found} images"),
        path: folder.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn boxes_by_commas_tabs_and_blanks_and_none_out_of_view() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("boxes.txt");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            read_boxes(&path)
        };
        let expected = Some(BoundingBox::new(1.0, 2.0, 3.0, 4.0));
        assert_eq!(read("1,2,3,4\n1\t2\t3\t4\r\n1 2 3 4\n").unwrap(), [expected; 3]);
        assert_eq!(read("NaN,NaN,NaN,NaN\n1,2,0,4\n1,2,3,4\n").unwrap(), [None, None, expected]);
        let error = read("1,2,3,4\n1,2,3\n").unwrap_err().to_string();
        assert!(
            error.starts_with("expected 4 values per box: x, y, width, height, found 3 at line 2"),
            "{error}"
        );
        assert!(read("1,2,wide,4\n").unwrap_err().to_string().contains("found `wide` at line 1"));
    }

    #[test]
    fn boxes_are_found_by_stamp() {
        let stamp = Timestamp::from_nanos;
        let target = BoundingBox::new(1.0, 2.0, 3.0, 4.0);
        let truth =
            TargetTruth { boxes: vec![(stamp(0), Some(target)), (stamp(5), None)], ..TargetTruth::default() };
        assert_eq!([0, 5, 7].map(|nanos| truth.box_at(stamp(nanos))), [Some(target), None, None]);
    }

    #[test]
    fn too_few_images_are_told() {
        let images = vec![PathBuf::from("1.jpg"), PathBuf::from("2.jpg"), PathBuf::from("3.jpg")];
        let take = |first, boxes| images_of_boxes(images.clone(), first, boxes, Path::new("img"));
        assert_eq!(take(1, 2).unwrap(), images[1..]);
        let error = take(1, 3).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected at least one image and as many as boxes, 3 behind the first 1, found 3 images in img"
        );
        assert!(take(0, 0).is_err());
    }
}
