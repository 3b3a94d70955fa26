//! VEDAI: aerial images in colour (`NAME_co.png`) and infrared (`NAME_ir.png`) with oriented boxes.
//!
//! Labels come as `annotation1024.csv` (a header, `image_id,x,y,orient,x1..x4,y1..y4,class,...`), as
//! `annotation512.txt` or `annotation1024.txt` (`id x y orient x1..x4 y1..y4 class contained occluded`), or as a file
//! `NAME.txt` for each image, whose rows have another order: `x y orient class contained occluded x1..x4 y1..y4`. Their
//! pixels are those of images as wide as the name of the file or folder says, else those of the images at hand. Format:
//! <https://downloads.greyc.fr/vedai/>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{folder_of_images, id_of, images_below, set_folder};
use super::source::Problems;
use super::{LabelSet, LabelSource, LabelledBox, LabelledImage};
use crate::DatasetError;
use crate::decode::header_size;
use crate::folder::first_existing;
use crate::text::{Line, TextFile};

/// Which images of VEDAI: both show the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VedaiBand {
    /// Red, green, blue: `_co`.
    #[default]
    Color,
    /// Near infrared: `_ir`.
    Infrared,
}

/// The numbers of the classes and what they stand for.
const CLASSES: [(i64, &str); 11] = [
    (1, "car"),
    (2, "truck"),
    (4, "tractor"),
    (5, "camping car"),
    (7, "motorcycle"),
    (8, "bus"),
    (9, "van"),
    (10, "other"),
    (11, "pickup"),
    (23, "boat"),
    (31, "plane"),
];

/// Files that label all images.
const WHOLE: [&str; 8] = [
    "annotation512.txt",
    "annotation1024.txt",
    "annotation1024.csv",
    "annotation512.csv",
    "labels/annotation512.txt",
    "labels/annotation1024.txt",
    "labels/annotation1024.csv",
    "labels/annotation512.csv",
];
/// Folders with a file for each image.
const SINGLE: [&str; 4] = ["labels", "Annotations512", "Annotations1024", "annotations"];
/// Sides of the images that the dataset has in pixels.
const SIDES: [usize; 2] = [512, 1024];

pub(super) fn read_color(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    read(source, VedaiBand::Color, problems)
}

pub(super) fn read_infrared(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    read(source, VedaiBand::Infrared, problems)
}

fn read(source: &LabelSource, band: VedaiBand, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    let labels = Labels::find(source, problems)?;
    let folder = folder_of_images(&set_folder(source));
    let mut images = Vec::new();
    for path in images_below(&folder)?.into_iter().filter(|path| is_of_band(path, band)) {
        let Some(size) = problems.keep(header_size(&path))? else { continue };
        let id = id_of(&path, &folder);
        let Some(boxes) = labels.of_image(&id, problems)? else {
            if source.unlabelled_are_empty {
                images.push(LabelledImage { id, path, size, boxes: Vec::new() });
            } else {
                problems.report(labels.missing(&path))?;
            }
            continue;
        };
        let factor = labels.side().map_or(1.0, |side| size.0 as f64 / side as f64);
        let boxes = boxes.iter().map(|b| b.scaled(factor)).collect();
        images.push(LabelledImage { id, path, size, boxes });
    }
    if images.is_empty() {
        let (expected, found) = ("labelled images NAME_co.png or NAME_ir.png".to_owned(), "none".to_owned());
        return Err(DatasetError::Content { expected, found, path: folder });
    }
    let category_ids = CLASSES.iter().zip(0..).map(|((id, _), index)| (*id, index)).collect();
    Ok(LabelSet { classes: CLASSES.map(|(_, name)| name.to_owned()).to_vec(), category_ids, images })
}

fn is_of_band(path: &Path, band: VedaiBand) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let [own, other] = match band {
        VedaiBand::Color => ["_co", "_ir"],
        VedaiBand::Infrared => ["_ir", "_co"],
    };
    // Copies of one band go without the suffix.
    name.ends_with(own) || !name.ends_with(other)
}

/// Where the labels are.
enum Labels {
    /// All of one file, by the number of the image.
    Whole { path: PathBuf, boxes: BTreeMap<u64, Vec<LabelledBox>> },
    /// A file for each image.
    Single { folder: PathBuf },
}

impl Labels {
    fn find(source: &LabelSource, problems: &mut Problems) -> Result<Self, DatasetError> {
        let folder = &source.folder;
        if !folder.is_dir() {
            return Self::whole(folder.clone(), problems);
        }
        if let Some(path) = first_existing(folder, &WHOLE) {
            return Self::whole(path, problems);
        }
        let single = SINGLE.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
        // Or beside the images.
        Ok(Self::Single { folder: single.unwrap_or_else(|| folder_of_images(folder)) })
    }

    fn whole(path: PathBuf, problems: &mut Problems) -> Result<Self, DatasetError> {
        let file = TextFile::read(&path)?;
        let is_header = |line: &Line<'_>| line.text.starts_with("image_id");
        let mut boxes: BTreeMap<u64, Vec<LabelledBox>> = BTreeMap::new();
        for line in file.lines().filter(|line| !is_header(line)) {
            if let Some((image, found)) = problems.keep(whole_row(line))? {
                boxes.entry(image).or_default().push(found);
            }
        }
        Ok(Self::Whole { path, boxes })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Whole { path, .. } => path,
            Self::Single { folder } => folder,
        }
    }

    /// Side of the images whose pixels the labels are in, where their name tells it.
    fn side(&self) -> Option<usize> {
        let name = self.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        SIDES.into_iter().find(|side| name.contains(&side.to_string()))
    }

    /// The boxes of an image as they are labelled; `None` where it is not.
    fn of_image(&self, id: &str, problems: &mut Problems) -> Result<Option<Vec<LabelledBox>>, DatasetError> {
        let name = id.strip_suffix("_co").or_else(|| id.strip_suffix("_ir")).unwrap_or(id);
        match self {
            Self::Whole { boxes, .. } => {
                let last = name.rsplit('/').next().unwrap_or(name);
                Ok(last.parse().ok().and_then(|number: u64| boxes.get(&number)).cloned())
            }
            Self::Single { folder } => {
                let path = folder.join(format!("{name}.txt"));
                if !path.is_file() {
                    return Ok(None);
                }
                let file = TextFile::read(&path)?;
                let mut boxes = Vec::new();
                for line in file.lines() {
                    boxes.extend(problems.keep(single_row(line))?);
                }
                Ok(Some(boxes))
            }
        }
    }

    fn missing(&self, image: &Path) -> DatasetError {
        let expected = format!("labels of the image in {}", self.path().display());
        DatasetError::Content { expected, found: "none".to_owned(), path: image.to_owned() }
    }
}

/// `id x y orient x1..x4 y1..y4 class`, and whatever follows.
fn whole_row(line: Line<'_>) -> Result<(u64, LabelledBox), DatasetError> {
    let row: [f64; 13] = line.first_numbers("numbers: id x y orient x1..x4 y1..y4 class")?;
    if row[0] < 0.0 || row[0].fract() != 0.0 {
        return Err(line.unexpected("the number of an image", format!("{}", row[0])));
    }
    Ok((row[0] as u64, labelled(line, row[12], &row[4..12])?))
}

/// `x y orient class contained occluded x1..x4 y1..y4`.
fn single_row(line: Line<'_>) -> Result<LabelledBox, DatasetError> {
    let row: [f64; 14] = line.numbers("numbers: x y orient class contained occluded x1..x4 y1..y4")?;
    labelled(line, row[3], &row[6..])
}

/// A box from the number of its class, four x and four y.
fn labelled(line: Line<'_>, class: f64, corners: &[f64]) -> Result<LabelledBox, DatasetError> {
    let class_id = CLASSES.iter().position(|(id, _)| *id as f64 == class);
    let class_id = class_id.ok_or_else(|| {
        let known = CLASSES.map(|(id, name)| format!("{id} ({name})")).join(", ");
        line.unexpected(format!("a class {known}"), format!("{class}"))
    })?;
    let (x, y) = corners.split_at(4);
    Ok(LabelledBox::from_corners(class_id as u32, [(x[0], y[0]), (x[1], y[1]), (x[2], y[2]), (x[3], y[3])]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use geometry::test_data::shared_data;
    use image::GrayImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::labels::LabelFormat;

    const CSV: &str = "image_id,x,y,orient,x1,x2,x3,x4,y1,y2,y3,y4,class,FLAG1,FLAG2,test_fold\n\
                       7,22.0,8.0,0.1,8.0,32.0,36.0,12.0,4.0,4.0,12.0,12.0,11,1,0,\n9,1,1,0,0,1,1,0,0,0,1,1,1,1,0,3\n";

    /// Images of 64x64 with both bands.
    fn set(labels: &[(&str, &str)]) -> TempDir {
        let root = tempdir().unwrap();
        fs::create_dir(root.path().join("images")).unwrap();
        for (band, value) in [("co", 10), ("ir", 20)] {
            let image = GrayImage::from_pixel(64, 64, image::Luma([value]));
            image.save(root.path().join(format!("images/00000007_{band}.png"))).unwrap();
        }
        for (name, content) in labels {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn read(root: &Path, band: VedaiBand) -> Result<LabelSet, DatasetError> {
        LabelSource::new(root, LabelFormat::Vedai(band)).read()
    }

    #[test]
    fn all_ways_of_writing_say_the_same() {
        let expected = {
            let corners = [(8.0, 4.0), (32.0, 4.0), (36.0, 12.0), (12.0, 12.0)];
            LabelledBox::from_corners(8, corners).scaled(1.0 / 16.0)
        };
        for labels in [
            ("annotation1024.csv", CSV),
            ("annotation512.txt", "00000007 11 4 .1 4 16 18 6 2 2 6 6 11 1 0\n"),
            ("labels/annotation1024.txt", "00000007 22 8 .1 8 32 36 12 4 4 12 12 11 1 0\n"),
            ("labels/00000007.txt", "1.375 .5 .1 11 1 0 .5 2 2.25 .75 .25 .25 .75 .75\n"),
            ("Annotations512/00000007.txt", "11 4 .1 11 1 0 4 16 18 6 2 2 6 6\n"),
        ] {
            let root = set(&[labels]);
            let set = read(root.path(), VedaiBand::Color).unwrap();
            assert_eq!((set.images.len(), set.images[0].id.as_str()), (1, "00000007_co"));
            assert_eq!(set.images[0].boxes, [expected], "{}", labels.0);
            assert_eq!((set.classes[8].as_str(), set.category_ids.get(&11)), ("pickup", Some(&8)));
        }
    }

    #[test]
    fn either_band_is_read() {
        let root = set(&[("annotation1024.csv", CSV)]);
        for (band, value) in [(VedaiBand::Color, 10), (VedaiBand::Infrared, 20)] {
            let set = read(root.path(), band).unwrap();
            assert_eq!(set.images[0].frame().unwrap().gray.pixel(0, 0), [value]);
        }
        let named = read(&root.path().join("annotation1024.csv"), VedaiBand::Color).unwrap();
        assert_eq!(named.images.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (labels, said) in [
            (
                ("annotation512.txt", "7 1 1 0 1 2 3 4 1 2 3 4 3 0 0\n"),
                "(pickup), 23 (boat), 31 (plane), found 3 at line 1",
            ),
            (("annotation512.txt", "7 1 1 0 1 2 3\n"), "expected at least 13 numbers"),
            (
                ("annotation512.txt", "7.5 1 1 0 1 2 3 4 1 2 3 4 1\n"),
                "expected the number of an image, found 7.5",
            ),
            (("annotation512.txt", "8 1 1 0 1 2 3 4 1 2 3 4 1 0 0\n"), "expected labels of the image in"),
            (("labels/00000007.txt", "1 1 0 1 0 0 1 2 3 4 1 2 3\n"), "expected 14 numbers"),
            (("labels/00000008.txt", ""), "expected labels of the image in"),
        ] {
            let error = read(set(&[labels]).path(), VedaiBand::Color).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_real_ones() {
        let Some(root) = shared_data("vedai") else { return };
        for band in [VedaiBand::Color, VedaiBand::Infrared] {
            let set = read(&root, band).unwrap();
            let boxes: Vec<usize> = set.images.iter().map(|image| image.boxes.len()).collect();
            let csv = fs::read_to_string(root.join("annotation1024.csv")).unwrap();
            let rows = |id: &str| csv.lines().filter(|row| row.split(',').next() == Some(id)).count();
            assert_eq!(boxes, [rows("0"), rows("57")]);
            // Half of the corners in the csv: 554..607, 996..1021.
            let truck = set.images[0].boxes[0];
            assert_eq!((truck.x, truck.y, truck.width, truck.height), (277.0, 498.0, 26.5, 12.5));
        }
    }
}
