//! Images and the files that label them, one beside the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::Problems;
use super::{LabelSource, LabelledBox, LabelledImage};
use crate::DatasetError;
use crate::decode::header_size;
use crate::folder::list_images;
use crate::text::TextFile;

/// Folders of a set.
struct Layout {
    images: PathBuf,
    labels: PathBuf,
    /// Ending of label files.
    extension: &'static str,
}

/// An image and the file that labels it.
struct Pair {
    id: String,
    image: PathBuf,
    /// `None` where the image is taken to show nothing.
    label: Option<PathBuf>,
}

/// Reads the boxes of each image from its own file.
///
/// `boxes` gets the file, the image's size in pixels, and where its problems go.
pub(super) fn read_pairs(
    source: &LabelSource,
    extension: &'static str,
    problems: &mut Problems,
    mut boxes: impl FnMut(&TextFile, (usize, usize), &mut Problems) -> Result<Vec<LabelledBox>, DatasetError>,
) -> Result<Vec<LabelledImage>, DatasetError> {
    let mut images = Vec::new();
    for pair in Layout::of(&source.folder, extension).pairs(source, problems)? {
        let Some(size) = problems.keep(header_size(&pair.image))? else { continue };
        let boxes = match &pair.label {
            Some(path) => match problems.keep(TextFile::read(path))? {
                Some(file) => boxes(&file, size, problems)?,
                None => continue,
            },
            None => Vec::new(),
        };
        images.push(LabelledImage { id: pair.id, path: pair.image, size, boxes });
    }
    Ok(images)
}

/// What datasets call their folders of images; the first is ours.
const IMAGES: [&str; 4] = ["images", "JPEGImages", "Vehicules512", "Vehicules1024"];
/// What they call those of labels.
const LABELS: [&str; 4] = ["labels", "Annotations", "annotations", "labelTxt"];

impl Layout {
    /// Folders for images and for labels where they are; else one for both.
    fn of(folder: &Path, extension: &'static str) -> Self {
        let images = folder_of_images(folder);
        let labels = first_folder(folder, &LABELS).unwrap_or_else(|| images.clone());
        Self { labels, images, extension }
    }

    /// Every image with its label; an image without one, or a label without its image, is a problem.
    fn pairs(&self, source: &LabelSource, problems: &mut Problems) -> Result<Vec<Pair>, DatasetError> {
        let mut pairs = Vec::new();
        for image in images_below(&self.images)? {
            let id = id_of(&image, &self.images);
            let label = self.labels.join(format!("{id}.{}", self.extension));
            if label.is_file() {
                pairs.push(Pair { id, image, label: Some(label) });
            } else if source.unlabelled_are_empty {
                pairs.push(Pair { id, image, label: None });
            } else {
                problems.report(self.missing_label(&label, &image))?;
            }
        }
        if pairs.is_empty() {
            let (expected, found) = ("labelled PNG or JPEG images".to_owned(), "none".to_owned());
            return Err(DatasetError::Content { expected, found, path: self.images.clone() });
        }
        self.report_orphans(&pairs, problems)?;
        Ok(pairs)
    }

    fn missing_label(&self, label: &Path, image: &Path) -> DatasetError {
        DatasetError::Content {
            expected: format!("a file of labels {} (empty where nothing is to be seen)", label.display()),
            found: "none".to_owned(),
            path: image.to_owned(),
        }
    }

    /// Files in a folder of labels that label no image. Beside images lie lists and notes too.
    fn report_orphans(&self, pairs: &[Pair], problems: &mut Problems) -> Result<(), DatasetError> {
        if self.labels == self.images {
            return Ok(());
        }
        let used: BTreeSet<&Path> = pairs.iter().filter_map(|pair| pair.label.as_deref()).collect();
        let is_label = |path: &PathBuf| {
            let has_extension = path.extension().is_some_and(|extension| extension == self.extension);
            has_extension && !path.ends_with("classes.txt")
        };
        let orphans = files_below(&self.labels)?.into_iter().filter(is_label);
        for path in orphans.filter(|path| !used.contains(path.as_path())) {
            let expected = format!("an image of the same name below {}", self.images.display());
            problems.report(DatasetError::Content { expected, found: "none".to_owned(), path })?;
        }
        Ok(())
    }
}

fn first_folder(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_dir())
}

/// Where a set has its images: in a folder of their own, or in `folder` itself.
pub(super) fn folder_of_images(folder: &Path) -> PathBuf {
    first_folder(folder, &IMAGES).unwrap_or_else(|| folder.to_owned())
}

/// The folder of a set, where the file that labels it may have been named instead.
pub(super) fn set_folder(source: &LabelSource) -> PathBuf {
    if source.folder.is_dir() {
        return source.folder.clone();
    }
    let beside = source.folder.with_file_name("");
    let is_of_labels = LABELS.iter().any(|name| beside.ends_with(name));
    match beside.parent().filter(|_| is_of_labels) {
        Some(folder) => folder.to_owned(),
        None => beside,
    }
}

/// The one file that labels all images: the source itself, or the only one with this ending in its folder of labels or
/// in the set's.
pub(super) fn annotation_file(source: &LabelSource, extension: &str) -> Result<PathBuf, DatasetError> {
    let folder = &source.folder;
    if !folder.is_dir() {
        return Ok(folder.clone());
    }
    let has_extension = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let expected = || format!("one .{extension} file of labels, in labels/ or in the folder itself");
    let unexpected =
        |found: String| DatasetError::Content { expected: expected(), found, path: folder.clone() };
    for folder in first_folder(folder, &LABELS).iter().chain([folder]) {
        let entries = entries(folder)?.into_iter().filter(|(_, is_folder)| !is_folder).map(|(path, _)| path);
        let mut files: Vec<PathBuf> = entries.filter(has_extension).collect();
        match files.len() {
            0 => {}
            1 => return Ok(files.swap_remove(0)),
            many => return Err(unexpected(format!("{many}; name the file itself"))),
        }
    }
    Err(unexpected("none".to_owned()))
}

/// Where the image that a file of labels calls `name` is, or would be.
pub(super) fn image_path(images: &Path, name: &str) -> PathBuf {
    let whole = images.join(name);
    // Some files name images by paths of the machine that they were written on.
    let last = Path::new(name).file_name().map(|name| images.join(name)).filter(|path| path.is_file());
    match last {
        Some(last) if !whole.is_file() => last,
        _ => whole,
    }
}

/// The path below `folder` without its extension, with `/` on every system.
pub(super) fn id_of(image: &Path, folder: &Path) -> String {
    let below = image.strip_prefix(folder).unwrap_or(image).with_extension("");
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// The images in a folder and below it, in natural order folder by folder.
pub(super) fn images_below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut images = list_images(folder)?;
    for inner in folders_in(folder)? {
        images.extend(images_below(&inner)?);
    }
    Ok(images)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files: Vec<PathBuf> =
        entries(folder)?.into_iter().filter(|(_, is_folder)| !is_folder).map(|(path, _)| path).collect();
    for inner in folders_in(folder)? {
        files.extend(files_below(&inner)?);
    }
    Ok(files)
}

/// Without links, which may lead back.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    Ok(entries(folder)?.into_iter().filter(|(_, is_folder)| *is_folder).map(|(path, _)| path).collect())
}

/// Everything in a folder by name, and whether it is a folder.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?.is_dir()))
    };
    let entries = fs::read_dir(folder).map_err(io)?.map(entry).collect::<std::io::Result<Vec<_>>>();
    let mut entries = entries.map_err(io)?;
    entries.sort();
    Ok(entries)
}
