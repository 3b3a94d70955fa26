//! Lists of images: the parts of a split.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::LabelledImage;
use crate::DatasetError;
use crate::text::TextFile;

/// Images by name, as files of splits list them: `00000010`, `images/train/MOS156.jpg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNames {
    /// The file of the list.
    pub path: PathBuf,
    names: BTreeSet<String>,
}

impl ImageNames {
    /// Reads a list with one image in a row. Folders, endings and the suffix of VEDAI's bands are no part of a name.
    ///
    /// # Errors
    /// [`DatasetError::Io`] where the file can't be read, [`DatasetError::Content`] where it lists nothing.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let file = TextFile::read(path)?;
        let names: BTreeSet<String> = file.lines().map(|line| bare_name(Path::new(line.text))).collect();
        if names.is_empty() {
            return Err(file.unexpected("names of images, one in a row", "none"));
        }
        Ok(Self { path: path.to_owned(), names })
    }

    /// Whether the list names this image.
    pub fn contains(&self, image: &LabelledImage) -> bool {
        self.names.contains(&bare_name(&image.path))
    }

    /// Number of different names.
    #[expect(clippy::len_without_is_empty, reason = "a list of nothing is an error")]
    pub fn len(&self) -> usize {
        self.names.len()
    }
}

fn bare_name(path: &Path) -> String {
    let is_image = path.extension().is_some_and(|extension| {
        let extension = extension.to_string_lossy().to_lowercase();
        matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "txt" | "xml")
    });
    // A dot may also stand within a name.
    let name = if is_image { path.file_stem() } else { path.file_name() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let bare = name.strip_suffix("_co").or_else(|| name.strip_suffix("_ir")).map(str::to_owned);
    bare.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_folder_ending_and_band() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.txt");
        std::fs::write(&path, "00000010\n./images/train/MOS156.jpg\nMOS156.jpg\nflight.3\n").unwrap();
        let names = ImageNames::read(&path).unwrap();
        assert_eq!(names.len(), 3);
        let image =
            |path: &str| LabelledImage { id: "7".into(), path: path.into(), size: (1, 1), boxes: Vec::new() };
        for (path, is_named) in [
            ("set/00000010_co.png", true),
            ("00000010_ir.png", true),
            ("a/MOS156.png", true),
            ("flight.3.png", true),
            ("MOS15.jpg", false),
        ] {
            assert_eq!(names.contains(&image(path)), is_named, "{path}");
        }
        std::fs::write(&path, "\n").unwrap();
        let error = ImageNames::read(&path).unwrap_err().to_string();
        assert!(error.contains("expected names of images, one in a row, found none"), "{error}");
    }
}
