//! What a VOT dataset says is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::EvalError;
use crate::tracking::Polygon;

/// The sequences of a dataset, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct VotDataset {
    /// The file it was read from.
    pub path: PathBuf,
    /// Each sequence.
    pub sequences: Vec<VotSequence>,
}

/// One sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct VotSequence {
    /// Its name.
    pub name: String,
    /// Width and height of its images in pixels.
    pub image_size: (usize, usize),
    /// Where the target is, frame by frame.
    pub truth: Vec<Polygon>,
    /// For each attribute, which frames have it.
    pub attributes: BTreeMap<String, Vec<bool>>,
}

/// The attributes of VOT2018, by the names that the file gives them.
const ATTRIBUTES: [&str; 5] = ["camera_motion", "illum_change", "motion_change", "occlusion", "size_change"];

#[derive(Deserialize)]
struct Entry {
    width: usize,
    height: usize,
    gt_rect: Vec<Vec<f64>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl VotDataset {
    /// Reads `VOT2018.json` and its like: one object per sequence, with `width`, `height`, `gt_rect` (per frame `x y width
    /// height` or the corners of a polygon) and for each attribute a 0 or 1 per frame.
    ///
    /// # Errors
    /// [`EvalError::Read`] where the file can't be read, [`EvalError::Content`] where it is something else.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        let unexpected = |expected: &str, found: String| EvalError::Content {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        let entries: BTreeMap<String, Entry> = serde_json::from_str(&text).map_err(|error| {
            unexpected("an object of sequences, each with width, height and gt_rect", error.to_string())
        })?;
        let sequences: Result<Vec<_>, _> =
            entries.into_iter().map(|(name, entry)| sequence(name, &entry)).collect();
        let sequences =
            sequences.map_err(|found| unexpected("four numbers or a polygon for each frame", found))?;
        if sequences.is_empty() {
            return Err(unexpected("at least one sequence", "none".to_owned()));
        }
        Ok(Self { path: path.to_owned(), sequences })
    }

    /// Every attribute that a sequence has, by name.
    pub(super) fn attributes(&self) -> BTreeSet<String> {
        self.sequences.iter().flat_map(|sequence| sequence.attributes.keys().cloned()).collect()
    }
}

impl VotSequence {
    /// Whether `frame` has the attribute.
    pub(super) fn has_attribute(&self, name: &str, frame: usize) -> bool {
        self.attributes.get(name).is_some_and(|has| has.get(frame) == Some(&true))
    }
}

/// The sequence, or what is wrong with it.
fn sequence(name: String, entry: &Entry) -> Result<VotSequence, String> {
    let truth = entry.gt_rect.iter().enumerate().map(|(frame, numbers)| {
        let bad =
            || format!("{} numbers or one that is not finite in frame {frame} of `{name}`", numbers.len());
        Polygon::from_numbers(numbers).ok_or_else(bad)
    });
    let truth: Vec<Polygon> = truth.collect::<Result<_, _>>()?;
    if truth.is_empty() {
        return Err(format!("no frames in `{name}`"));
    }
    let flags = |attribute: &str| {
        let frames = entry.rest.get(attribute)?.as_array()?;
        Some((attribute.to_owned(), frames.iter().map(|flag| flag.as_f64() == Some(1.0)).collect()))
    };
    let attributes = ATTRIBUTES.into_iter().filter_map(flags).collect();
    Ok(VotSequence { name, image_size: (entry.width, entry.height), truth, attributes })
}
