//! Names of classes: a text file with one in a row, or the `names` of Ultralytics' `data.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

use super::source::Problems;
use super::{LabelSet, LabelSource, LabelledBox, LabelledImage, files};
use crate::DatasetError;
use crate::folder::first_existing;
use crate::text::TextFile;

/// Where labelling tools leave them.
const USUAL: [&str; 6] =
    ["classes.txt", "labels/classes.txt", "obj.names", "classes.names", "data.yaml", "dataset.yaml"];

/// The names that the source brings, or those of its `classes`.
pub(super) fn read(source: &LabelSource) -> Result<Vec<String>, DatasetError> {
    let path = source.classes.clone().or_else(|| usual(&source.folder));
    let missing = || DatasetError::Content {
        expected: "names of the classes (classes.txt or data.yaml, or another file named)".to_owned(),
        found: "none".to_owned(),
        path: source.folder.clone(),
    };
    from_file(&path.ok_or_else(missing)?)
}

/// The file of names in a folder.
fn usual(folder: &Path) -> Option<PathBuf> {
    first_existing(folder, &USUAL)
}

/// The names in one file.
fn from_file(path: &Path) -> Result<Vec<String>, DatasetError> {
    let file = TextFile::read(path)?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let names = match is_yaml {
        true => yaml_names(&file)?,
        false => file.lines().map(|line| line.text.to_owned()).collect(),
    };
    if names.is_empty() {
        return Err(file.unexpected("at least one class", "none"));
    }
    let earlier = |(index, name): &(usize, &String)| names[..*index].contains(name);
    match names.iter().enumerate().find(earlier) {
        Some((_, name)) => Err(file.unexpected("each class once", format!("`{name}` twice"))),
        None => Ok(names),
    }
}

/// A list, or a table of numbers from 0.
fn yaml_names(file: &TextFile) -> Result<Vec<String>, DatasetError> {
    let documents = YamlLoader::load_from_str(&file.content);
    let documents = documents.map_err(|error| file.unexpected("YAML", error.to_string()))?;
    let unexpected = |found: &str| file.unexpected("names of classes under `names`", found);
    let names = documents.first().map(|root| &root["names"]).ok_or_else(|| unexpected("nothing"))?;
    let text = |name: &Yaml| match name {
        Yaml::String(text) => Ok(text.clone()),
        // Names that look like numbers.
        Yaml::Integer(number) => Ok(number.to_string()),
        _ => Err(unexpected("something that is no name")),
    };
    match names {
        Yaml::Array(names) => names.iter().map(text).collect(),
        Yaml::Hash(names) => {
            let in_order = names.keys().zip(0..).all(|(key, index)| key.as_i64() == Some(index));
            if !in_order {
                return Err(unexpected("keys that do not count from 0"));
            }
            names.values().map(text).collect()
        }
        _ => Err(unexpected("none")),
    }
}

/// Classes of a format that names them in every row: those of a file of names, or whatever comes.
pub(super) struct NamedClasses {
    names: Vec<String>,
    are_fixed: bool,
}

impl NamedClasses {
    /// A set in which each image has a file of its own, which ends in `extension`, and `boxes` reads it.
    pub(super) fn read_set(
        source: &LabelSource,
        extension: &'static str,
        problems: &mut Problems,
        boxes: fn(&TextFile, &mut Self, &mut Problems) -> Result<Vec<LabelledBox>, DatasetError>,
    ) -> Result<LabelSet, DatasetError> {
        let mut classes = Self::of(source)?;
        let of_file =
            |file: &TextFile, _: (usize, usize), problems: &mut Problems| boxes(file, &mut classes, problems);
        let images = files::read_pairs(source, extension, problems, of_file)?;
        Ok(classes.into_set(images))
    }

    /// The names of the source's file where it has one.
    fn of(source: &LabelSource) -> Result<Self, DatasetError> {
        let file = source.classes.clone().or_else(|| usual(&source.folder));
        let names = file.as_deref().map(from_file).transpose()?;
        Ok(Self { are_fixed: names.is_some(), names: names.unwrap_or_default() })
    }

    /// The index of a class; `None` for one that the file of names does not have.
    pub(super) fn id(&mut self, name: &str) -> Option<u32> {
        let known = self.names.iter().position(|known| known == name);
        if known.is_none() && !self.are_fixed {
            self.names.push(name.to_owned());
            return Some(self.names.len() as u32 - 1);
        }
        known.map(|index| index as u32)
    }

    /// What a class may be, for errors.
    pub(super) fn expected(&self) -> String {
        format!("one of the classes {}", self.names.join(", "))
    }

    /// The set; classes that no file named are in the order of the alphabet, so that it does not depend on the images.
    fn into_set(self, mut images: Vec<LabelledImage>) -> LabelSet {
        let mut classes = self.names.clone();
        if !self.are_fixed {
            classes.sort();
        }
        let place = |name: &String| classes.iter().position(|class| class == name).unwrap_or(0) as u32;
        let places: Vec<u32> = self.names.iter().map(place).collect();
        for b in images.iter_mut().flat_map(|image| &mut image.boxes) {
            b.class_id = places[b.class_id as usize];
        }
        LabelSet { category_ids: counted(classes.len()), classes, images }
    }
}

/// The categories of a format that counts its classes from 0.
pub(super) fn counted(classes: usize) -> BTreeMap<i64, u32> {
    (0..classes).map(|id| (id as i64, id as u32)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(file: &str, content: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), content).unwrap();
        from_file(&usual(folder.path()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_come_from_rows_lists_and_tables() {
        for (file, content) in [
            ("classes.txt", "\u{feff}car\r\nlarge truck\r\n\r\n"),
            ("data.yaml", "nc: 2\nnames: [car, large truck]\n"),
            ("dataset.yaml", "names:\n  0: car\n  1: large truck\n"),
        ] {
            assert_eq!(names(file, content).unwrap(), ["car", "large truck"], "{file}");
        }
    }

    #[test]
    fn what_names_nothing_is_told() {
        for (file, content, said) in [
            ("classes.txt", "\n", "expected at least one class, found none"),
            ("classes.txt", "car\nbus\ncar\n", "expected each class once, found `car` twice"),
            ("data.yaml", "nc: 2\n", "expected names of classes under `names`, found none"),
            ("data.yaml", "names: {1: car}\n", "found keys that do not count from 0"),
            ("data.yaml", "names: [[car]]\n", "found something that is no name"),
            ("data.yaml", "names: [", "expected YAML"),
            ("data.yaml", "", "found nothing"),
        ] {
            let error = names(file, content).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
