//! Where a labelled set is and how it is written.

use std::path::PathBuf;

use super::{LabelSet, VedaiBand, au_air, coco, dota, vedai, voc, yolo};
use crate::DatasetError;

/// How labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFormat {
    /// YOLO: `NAME.txt` for each image with rows `class x_center y_center width height` as shares of the image, or with the
    /// corners of a polygon; `classes.txt` or `data.yaml` with the names.
    Yolo,
    /// VEDAI: `annotation1024.csv`, `annotation512.txt` or a text file for each image; images of one band.
    Vedai(VedaiBand),
    /// Pascal VOC: an XML file for each image.
    Voc,
    /// COCO: one JSON file for all images.
    Coco,
    /// DOTA: a text file for each image with four corners, class and difficulty.
    Dota,
    /// AU-AIR: one JSON file for all images.
    AuAir,
}

/// A labelled set on disk.
///
/// `folder` holds `images/` and `labels/` with the same names, in subfolders too; or the labels lie beside the images.
/// The names that a dataset itself gives the two (`JPEGImages`, `Annotations`, `labelTxt`, `Vehicules512`) will do as
/// well. Where one file labels all images, `folder` may be that file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSource {
    /// The set's folder, or the file that labels it.
    pub folder: PathBuf,
    /// How it is written.
    pub format: LabelFormat,
    /// A file with the names of the classes, one in a row; without it the one that the folder holds.
    pub classes: Option<PathBuf>,
    /// An image without a file of labels shows nothing that is labelled, instead of being an error.
    pub unlabelled_are_empty: bool,
}

/// A set as far as it can be read, and what can't.
#[derive(Debug)]
pub struct Survey {
    /// What could be read.
    pub set: LabelSet,
    /// Why the rest could not, in the order of the files.
    pub problems: Vec<DatasetError>,
}

type Reader = fn(&LabelSource, &mut Problems) -> Result<LabelSet, DatasetError>;

impl LabelFormat {
    /// One line for each format.
    fn reader(self) -> Reader {
        match self {
            Self::Yolo => yolo::read,
            Self::Vedai(VedaiBand::Color) => vedai::read_color,
            Self::Vedai(VedaiBand::Infrared) => vedai::read_infrared,
            Self::Voc => voc::read,
            Self::Coco => coco::read,
            Self::Dota => dota::read,
            Self::AuAir => au_air::read,
        }
    }
}

impl LabelSource {
    /// The set in `folder`, with its own names of classes.
    pub fn new(folder: impl Into<PathBuf>, format: LabelFormat) -> Self {
        Self { folder: folder.into(), format, classes: None, unlabelled_are_empty: false }
    }

    /// Reads all labels and the size of each image; pixels are not decoded.
    ///
    /// # Errors
    /// The first thing that is wrong: [`DatasetError::Io`] for files that can't be read, [`DatasetError::Line`] and
    /// [`DatasetError::Content`] for labels that are not what the format says, images without labels and labels without
    /// an image, [`DatasetError::Image`] for images without a readable header.
    pub fn read(&self) -> Result<LabelSet, DatasetError> {
        self.format.reader()(self, &mut Problems::fatal())
    }

    /// Reads what can be read, and lists everything that can't.
    ///
    /// # Errors
    /// Where nothing can be read at all: no images, no names of classes.
    pub fn survey(&self) -> Result<Survey, DatasetError> {
        let mut problems = Problems::collected();
        let set = self.format.reader()(self, &mut problems)?;
        Ok(Survey { set, problems: problems.found })
    }
}

/// What becomes of something wrong: an error at once, or a line in a list.
pub(super) struct Problems {
    are_fatal: bool,
    found: Vec<DatasetError>,
}

impl Problems {
    fn fatal() -> Self {
        Self { are_fatal: true, found: Vec::new() }
    }

    fn collected() -> Self {
        Self { are_fatal: false, found: Vec::new() }
    }

    pub(super) fn report(&mut self, problem: DatasetError) -> Result<(), DatasetError> {
        if self.are_fatal {
            return Err(problem);
        }
        self.found.push(problem);
        Ok(())
    }

    /// The value, or `None` where it is a problem that has been written down.
    pub(super) fn keep<T>(&mut self, value: Result<T, DatasetError>) -> Result<Option<T>, DatasetError> {
        match value {
            Ok(value) => Ok(Some(value)),
            Err(problem) => self.report(problem).map(|()| None),
        }
    }
}
