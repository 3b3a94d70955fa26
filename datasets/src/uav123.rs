//! UAV123, UAV20L and their ten-frames-a-second form: images in `data_seq/UAV123/car1`, boxes `x,y,width,height` in
//! `anno/UAV123/car1_2.txt`, `NaN` where the target is out of view.
//!
//! The source is the file with the boxes, because several sequences share the images of one folder; or a folder `car1_2` with
//! `car1_2.txt` and the images beside it or in `img/`. Format: <https://cemse.kaust.edu.sa/ivul/uav123>.

use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::folder::{folder_name, list_images};
use crate::open::Format;
use crate::target::{TargetSequence, images_of_boxes, read_boxes};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a UAV123 sequence (anno/UAV123/NAME.txt, or a folder NAME with NAME.txt)",
    recognise: |spec| locate(spec.path()).is_some(),
    open: |spec| Ok(Box::new(find(spec.path())?.open(spec)?)),
};

/// Sequences that begin behind the first image of their folder, with the number of their first image at thirty frames a
/// second, as the benchmark's configuration lists them.
const STARTS: [(&str, usize); 32] = [
    ("bird1_2", 775),
    ("bird1_3", 1573),
    ("car1_2", 751),
    ("car1_3", 1627),
    ("car6_2", 487),
    ("car6_3", 1807),
    ("car6_4", 2953),
    ("car6_5", 3925),
    ("car8_2", 1357),
    ("car16_2", 415),
    ("group1_2", 1333),
    ("group1_3", 2515),
    ("group1_4", 3925),
    ("group2_2", 907),
    ("group2_3", 1771),
    ("group3_2", 1567),
    ("group3_3", 2827),
    ("group3_4", 4369),
    ("person2_2", 1189),
    ("person4_2", 1501),
    ("person5_2", 877),
    ("person7_2", 1249),
    ("person8_2", 1075),
    ("person12_2", 601),
    ("person14_2", 847),
    ("person14_3", 1813),
    ("person17_2", 1501),
    ("person19_2", 1243),
    ("person19_3", 2791),
    ("truck4_2", 577),
    ("uav1_2", 1555),
    ("uav1_3", 2473),
];

/// Every third image is in the form at ten frames a second.
const TEN_FPS: (&str, usize) = ("10fps", 3);

/// Where a sequence lies.
struct Location {
    name: String,
    boxes: PathBuf,
    images: PathBuf,
    /// Images of the folder before the sequence's first.
    before: usize,
}

fn locate(source: &Path) -> Option<Location> {
    if source.is_dir() { in_one_folder(source) } else { in_benchmark(source) }
}

/// `car1_2/car1_2.txt` with its own images only.
fn in_one_folder(folder: &Path) -> Option<Location> {
    let name = folder_name(folder);
    let boxes = folder.join(format!("{name}.txt"));
    let img = folder.join("img");
    let images = if img.is_dir() { img } else { folder.to_owned() };
    boxes.is_file().then_some(Location { name, boxes, images, before: 0 })
}

/// `anno/UAV123/car1_2.txt`.
fn in_benchmark(boxes: &Path) -> Option<Location> {
    let name = boxes.file_name()?.to_str()?.strip_suffix(".txt")?.to_owned();
    let edition = boxes.parent()?;
    let annotations = edition.parent()?;
    let is_annotation = annotations.file_name()? == "anno" && boxes.is_file();
    let sequences = annotations.with_file_name("data_seq");
    // The annotations of UAV20L lie beside those of UAV123 and share its images.
    let editions = [edition.file_name()?.to_str()?, "UAV123"];
    let folders = editions.iter().flat_map(|edition| {
        let whole = [name.as_str(), name.rsplit_once('_').map_or(name.as_str(), |(folder, _)| folder)];
        whole.map(|folder| sequences.join(edition).join(folder))
    });
    let images = folders.into_iter().find(|folder| folder.is_dir())?;
    let step = if editions[0].ends_with(TEN_FPS.0) { TEN_FPS.1 } else { 1 };
    let is_shared = images.file_name()? != name.as_str();
    let start = STARTS.iter().find(|(late, _)| is_shared && *late == name).map_or(1, |(_, start)| *start);
    is_annotation.then_some(Location { name, boxes: boxes.to_owned(), images, before: (start - 1) / step })
}

fn find(source: &Path) -> Result<TargetSequence, DatasetError> {
    let Some(Location { name, boxes, images: folder, before }) = locate(source) else {
        let (expected, found) = (FORMAT.looks_like.to_owned(), "none".to_owned());
        return Err(DatasetError::Content { expected, found, path: source.to_owned() });
    };
    let boxes = read_boxes(&boxes)?;
    let images = images_of_boxes(list_images(&folder)?, before, boxes.len(), &folder)?;
    let (attributes, assumptions) = (Vec::new(), Vec::new());
    Ok(TargetSequence { name: format!("UAV123 {name}"), folder, images, boxes, attributes, assumptions })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use geometry::test_data::shared_data;
    use image::{GrayImage, Luma};
    use tempfile::tempdir;

    use super::*;
    use crate::{Dataset, SourceSpec, open as open_source};

    fn open(path: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        open_source(&SourceSpec::new(path.to_string_lossy()))
    }

    fn write_images(folder: &Path, count: usize) {
        fs::create_dir_all(folder).unwrap();
        for number in 1..=count {
            let pixel = Luma([(number % 251) as u8]);
            GrayImage::from_pixel(8, 6, pixel).save(folder.join(format!("{number:06}.png"))).unwrap();
        }
    }

    fn write_boxes(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "1,2,3,4\nNaN,NaN,NaN,NaN\n2,2,3,4\n").unwrap();
    }

    #[test]
    fn sequences_share_the_images_of_a_folder() {
        let root = tempdir().unwrap();
        write_images(&root.path().join("data_seq/UAV123_10fps/car16"), 145);
        for (name, first) in [("car16_1", 1), ("car16_2", 139)] {
            let boxes = root.path().join(format!("anno/UAV123_10fps/{name}.txt"));
            write_boxes(&boxes);
            let mut source = open(&boxes).unwrap();
            assert_eq!(source.info().name, format!("UAV123 {name}"));
            assert_eq!(source.next_frame().unwrap().unwrap().gray.pixel(0, 0), [first], "{name}");
            let target = source.ground_truth().unwrap().target.clone().unwrap();
            assert_eq!(target.boxes.iter().map(|of| of.1.is_some()).collect::<Vec<_>>(), [true, false, true]);
        }
    }

    #[test]
    fn a_whole_folder_may_have_an_underscore_in_its_name() {
        let root = tempdir().unwrap();
        write_images(&root.path().join("data_seq/UAV123/person1_s"), 3);
        let boxes = root.path().join("anno/UAV123/person1_s.txt");
        write_boxes(&boxes);
        assert_eq!(open(&boxes).unwrap().info().frame_count, Some(3));
        // The long ones have boxes of their own for the same images.
        let long = root.path().join("anno/UAV20L/person1_s.txt");
        write_boxes(&long);
        assert!(open(&long).is_ok());
    }

    #[test]
    fn a_text_file_elsewhere_is_no_sequence() {
        let root = tempdir().unwrap();
        write_boxes(&root.path().join("boxes/UAV123/car1.txt"));
        assert!(open(&root.path().join("boxes/UAV123/car1.txt")).is_err());
        write_images(&root.path().join("data_seq/UAV123/car1_2"), 2);
        let boxes = root.path().join("anno/UAV123/car1_2.txt");
        write_boxes(&boxes);
        assert!(open(&boxes).err().unwrap().to_string().contains("as many as boxes, 3, found 2 images"));
    }

    #[test]
    fn starts_at_ten_frames_a_second_are_whole() {
        for (name, start) in STARTS {
            assert_eq!((start - 1) % TEN_FPS.1, 0, "{name}");
        }
    }

    #[test]
    fn the_real_one() {
        let Some(folder) = shared_data("track/UAV123_10fps/car16_1") else { return };
        let mut source = open(&folder).unwrap();
        assert_eq!(source.info().frame_count, Some(80));
        assert_eq!(source.next_frame().unwrap().unwrap().size(), (1280, 720));
    }
}
