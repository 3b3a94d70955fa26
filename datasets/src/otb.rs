//! OTB and DTB70: `img/` with images and `groundtruth_rect.txt` with one box per frame, `x y width height`, separated by commas,
//! tabs or blanks.
//!
//! A sequence with two targets has `groundtruth_rect.1.txt` and `.2.txt`; the file itself may be named as the source. In
//! some sequences the boxes begin late, as the benchmark's page says, and images behind the last box are left out.
//! `attrs.txt` lists attributes. Format: <http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html> and
//! <https://github.com/flyers/drone-tracking>.

use std::fs;
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::folder::{first_existing, folder_name, list_images};
use crate::open::Format;
use crate::target::{TargetSequence, images_of_boxes, read_boxes};
use crate::text::TextFile;

pub(crate) const FORMAT: Format = Format {
    looks_like: "an OTB or DTB70 sequence folder (img, groundtruth_rect.txt)",
    recognise: |spec| truth_file(spec.path()).is_some(),
    open: |spec| Ok(Box::new(find(spec.path())?.open(spec)?)),
};

/// In the order of preference.
const TRUTH: [&str; 3] = ["groundtruth_rect.txt", "groundtruth_rect.1.txt", "groundtruth_rect.2.txt"];

/// Sequences whose boxes begin behind the first image, with the number of images before. (BlurCar1, 3 and 4 begin late
/// too, but with their first image.)
const LATE: [(&str, usize); 1] = [("David", 299)];

/// The file with the boxes, where `source` is a sequence's folder or that file, and the images are there.
fn truth_file(source: &Path) -> Option<PathBuf> {
    let is_truth = |name: &str| source.ends_with(name);
    let truth = match TRUTH.iter().any(|name| is_truth(name)) {
        true => source.to_owned(),
        false => first_existing(source, &TRUTH)?,
    };
    (truth.is_file() && truth.with_file_name("img").is_dir()).then_some(truth)
}

fn find(source: &Path) -> Result<TargetSequence, DatasetError> {
    // Recognised by it; the usual one where it has gone since.
    let truth = truth_file(source).unwrap_or_else(|| source.join(TRUTH[0]));
    let (folder, images_folder) = (truth.with_file_name(""), truth.with_file_name("img"));
    let sequence = folder_name(&folder);
    let boxes = read_boxes(&truth)?;
    let images = list_images(&images_folder)?;
    let before = |&&(name, _): &&(&str, usize)| name == sequence && images.len() > boxes.len();
    let first = LATE.iter().find(before).map_or(0, |(_, first)| *first);
    let behind = images.len().saturating_sub(first + boxes.len());
    let images = images_of_boxes(images, first, boxes.len(), &images_folder)?;
    let mut assumptions = Vec::new();
    if behind > 0 {
        assumptions.push(format!("{behind} images behind the last box are left out."));
    }
    if source.is_dir() && TRUTH[1..].iter().any(|name| truth.ends_with(name)) {
        assumptions
            .push(format!("One of several targets: that of {}; name a file for another.", truth.display()));
    }
    Ok(TargetSequence {
        name: format!("OTB layout {sequence}"),
        folder: images_folder,
        images,
        boxes,
        attributes: read_attributes(&folder)?,
        assumptions,
    })
}

/// Abbreviations separated by commas; few sequences bring them.
fn read_attributes(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let path = folder.join("attrs.txt");
    if fs::metadata(&path).is_err() {
        return Ok(Vec::new());
    }
    let file = TextFile::read(&path)?;
    Ok(file.lines().flat_map(|line| line.fields().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use geometry::test_data::shared_data;
    use geometry::{BoundingBox, Timestamp};
    use image::GrayImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Dataset, SourceSpec, open as open_source};

    fn sequence(name: &str, images: usize, boxes: usize) -> TempDir {
        let root = tempdir().unwrap();
        let folder = root.path().join(name);
        fs::create_dir_all(folder.join("img")).unwrap();
        for number in 1..=images {
            GrayImage::from_pixel(32, 24, image::Luma([number as u8]))
                .save(folder.join(format!("img/{number:04}.png")))
                .unwrap();
        }
        fs::write(folder.join(TRUTH[0]), rows(boxes)).unwrap();
        root
    }

    fn rows(boxes: usize) -> String {
        (0..boxes).map(|frame| format!("{},5,6,7\n", frame + 1)).collect()
    }

    fn open(path: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        open_source(&SourceSpec::new(path.to_string_lossy()))
    }

    fn first_pixel(source: &mut dyn Dataset) -> u8 {
        source.next_frame().unwrap().unwrap().gray.pixel(0, 0)[0]
    }

    #[test]
    fn frames_come_with_their_boxes_and_what_is_behind_is_left_out() {
        let root = sequence("Cat", 5, 3);
        let mut source = open(&root.path().join("Cat")).unwrap();
        assert_eq!((source.info().name.as_str(), source.info().frame_count), ("OTB layout Cat", Some(3)));
        assert!(
            source.info().assumptions.iter().any(|said| said == "2 images behind the last box are left out.")
        );
        let target = source.ground_truth().unwrap().target.clone().unwrap();
        assert_eq!((target.boxes.len(), target.attributes.len()), (3, 0));
        assert_eq!(target.boxes[2].1, Some(BoundingBox::new(3.0, 5.0, 6.0, 7.0)));
        assert_eq!(target.box_at(Timestamp::from_nanos(200_000_000)), target.boxes[2].1);
        assert_eq!(first_pixel(&mut *source), 1);
    }

    #[test]
    fn a_sequence_whose_boxes_begin_late() {
        // Only where images and boxes do not go together already: some copies are cut.
        let root = sequence("David", 4, 4);
        assert_eq!(first_pixel(&mut *open(&root.path().join("David")).unwrap()), 1);
        let root = sequence("David", 4, 3);
        let error = open(&root.path().join("David")).err().unwrap().to_string();
        assert!(error.contains("as many as boxes, 3 behind the first 299, found 4 images"), "{error}");
    }

    #[test]
    fn one_of_two_targets() {
        let root = sequence("Jogging", 3, 3);
        let folder = root.path().join("Jogging");
        fs::rename(folder.join(TRUTH[0]), folder.join(TRUTH[1])).unwrap();
        fs::write(folder.join(TRUTH[2]), "9,9,9,9\n9,9,9,9\n").unwrap();
        let frames = |path: &Path| open(path).unwrap().info().frame_count;
        assert_eq!((frames(&folder), frames(&folder.join(TRUTH[2]))), (Some(3), Some(2)));
        let assumptions = open(&folder).unwrap().info().assumptions.clone();
        assert!(assumptions.iter().any(|said| said.starts_with("One of several targets")), "{assumptions:?}");
    }

    #[test]
    fn broken_sequences_are_told() {
        let root = sequence("Cat", 2, 3);
        let error = open(&root.path().join("Cat")).err().unwrap().to_string();
        assert!(error.contains("as many as boxes, 3, found 2 images"), "{error}");
        fs::write(root.path().join("Cat").join(TRUTH[0]), "").unwrap();
        assert!(open(&root.path().join("Cat")).is_err());
    }

    #[test]
    fn the_real_ones() {
        let Some(root) = shared_data("track/OTB100") else { return };
        for (name, frames, attributes) in
            [("Crossing", 120, 5), ("Couple", 140, 5), ("Football1", 74, 3), ("Skiing", 81, 0)]
        {
            let mut source = open(&root.join(name)).unwrap();
            let target = source.ground_truth().unwrap().target.clone().unwrap();
            assert_eq!(
                (source.info().frame_count, target.attributes.len()),
                (Some(frames), attributes),
                "{name}"
            );
            assert!(target.boxes.iter().all(|(_, target)| target.is_some()));
            assert!(source.next_frame().unwrap().is_some());
        }
    }
}
