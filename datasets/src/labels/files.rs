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
pub(super) struct Layout {
    images: PathBuf,
    labels: PathBuf,
    /// Ending of label files.
    extension: &'static str,
}

/// An image and the file that labels it.
pub(super) struct Pair {
    pub(super) id: String,
    pub(super) image: PathBuf,
    /// `None` where the image is taken to show nothing.
    pub(super) label: Option<PathBuf>,
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

impl Layout {
    /// `images/` and `labels/` where they are; else one folder for both.
    pub(super) fn of(folder: &Path, extension: &'static str) -> Self {
        let or = |name: &str, other: &Path| {
            let own = folder.join(name);
            if own.is_dir() { own } else { other.to_owned() }
        };
        let images = or("images", folder);
        Self { labels: or("labels", &images), images, extension }
    }

    /// Every image with its label; an image without one, or a label without its image, is a problem.
    pub(super) fn pairs(
        &self,
        source: &LabelSource,
        problems: &mut Problems,
    ) -> Result<Vec<Pair>, DatasetError> {
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
