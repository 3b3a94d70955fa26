//! What a tracker left behind: a folder or a ZIP of VOT's result files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::VotDataset;
use crate::EvalError;
use crate::tracking::Polygon;
use crate::tracking::rectangle::{data_rows, numbers, row_error};

/// What a result file says about one frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// `1`: the tracker was shown the target.
    Initialised,
    /// `2`: its answer no longer touched the target.
    Failed,
    /// `0`: it had failed before and was not asked.
    Skipped,
    /// Where it thought the target is.
    Region(Polygon),
}

/// The runs over each sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct VotResults {
    /// The folder or the archive they were read from.
    pub path: PathBuf,
    runs: BTreeMap<String, Vec<Vec<Answer>>>,
}

/// The experiment that is measured where there are several; the others are not supervised or run against the clock.
const EXPERIMENT: &str = "baseline";

impl VotResults {
    /// Reads every `SEQUENCE/SEQUENCE_001.txt`, `_002` and so on, at any depth; where there are folders `baseline`, only those
    /// below them.
    ///
    /// # Errors
    /// [`EvalError::Read`] where something can't be read, [`EvalError::Content`] where there are no such files or those of
    /// several trackers, [`EvalError::Row`] for a row that is neither a code nor a region.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        let path = path.as_ref();
        let mut files = BTreeMap::new();
        let read = if path.is_dir() { read_folder(path, &mut files) } else { read_archive(path, &mut files) };
        read.map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        if files.keys().any(|file| is_baseline(file)) {
            files.retain(|file, _| is_baseline(file));
        }
        let mut named: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
        let mut runs: BTreeMap<String, Vec<Vec<Answer>>> = BTreeMap::new();
        for (file, text) in files {
            let Some(name) = run_of(&file) else { continue };
            if let Some(other) = named.insert(name.clone(), file.clone()) {
                return Err(twice(path, &other, &file));
            }
            runs.entry(name.0).or_default().push(parse(&path.join(&file), &text)?);
        }
        if runs.is_empty() {
            let expected =
                "result files of VOT's supervised experiment, SEQUENCE/SEQUENCE_001.txt".to_owned();
            return Err(EvalError::Content { path: path.to_owned(), expected, found: "none".to_owned() });
        }
        Ok(Self { path: path.to_owned(), runs })
    }

    /// The runs over a sequence.
    pub fn of(&self, sequence: &str) -> &[Vec<Answer>] {
        self.runs.get(sequence).map_or(&[], Vec::as_slice)
    }

    /// How often each sequence of the dataset was run: all as often, and all frames.
    pub(super) fn repetitions(&self, dataset: &VotDataset) -> Result<usize, EvalError> {
        let unexpected = |expected, found| EvalError::Content { path: self.path.clone(), expected, found };
        let repetitions = dataset.sequences.first().map_or(0, |first| self.of(&first.name).len());
        for sequence in &dataset.sequences {
            let (name, runs) = (&sequence.name, self.of(&sequence.name));
            if runs.len() != repetitions.max(1) {
                let expected = format!("{} run(s) over sequence `{name}`", repetitions.max(1));
                return Err(unexpected(expected, runs.len().to_string()));
            }
            let frames = sequence.truth.len();
            if let Some(run) = runs.iter().find(|run| run.len() != frames) {
                return Err(unexpected(
                    format!("{frames} frames of sequence `{name}`"),
                    run.len().to_string(),
                ));
            }
        }
        Ok(repetitions)
    }
}

fn is_baseline(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == EXPERIMENT)
}

/// Sequence and number of the run that a file holds, where it holds one.
fn run_of(file: &Path) -> Option<(String, String)> {
    let sequence = file.parent()?.file_name()?.to_str()?;
    let (name, number) = file.file_name()?.to_str()?.strip_suffix(".txt")?.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (name == sequence && is_number).then(|| (sequence.to_owned(), number.to_owned()))
}

fn twice(path: &Path, one: &Path, other: &Path) -> EvalError {
    let expected = "the results of one tracker".to_owned();
    EvalError::Content {
        path: path.to_owned(),
        expected,
        found: format!("{} and {}", one.display(), other.display()),
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Answer>, EvalError> {
    let expected = "0, 1, 2, x y width height or a polygon";
    let answer = |(line, row)| {
        let found = match numbers(row) {
            Ok(numbers) => match answer(&numbers) {
                Some(answer) => return Ok(answer),
                None => format!("`{}`", row.chars().take(40).collect::<String>()),
            },
            Err(field) => field,
        };
        Err(row_error(path, line, expected, found))
    };
    data_rows(text).map(answer).collect()
}

fn answer(numbers: &[f64]) -> Option<Answer> {
    match numbers {
        [0.0] => Some(Answer::Skipped),
        [1.0] => Some(Answer::Initialised),
        [2.0] => Some(Answer::Failed),
        numbers => Polygon::from_numbers(numbers).map(Answer::Region),
    }
}

/// Adds every run below `folder` by its path in it.
fn read_folder(folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(current)? {
            let path = entry?.path();
            let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            if path.is_dir() {
                open.push(path);
            } else if run_of(&relative).is_some() {
                files.insert(relative, std::fs::read_to_string(&path)?);
            }
        }
    }
    Ok(())
}

/// Adds every run in an archive.
fn read_archive(path: &Path, files: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(path)?)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = PathBuf::from(entry.name()?.into_owned());
        if run_of(&name).is_some() {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            files.insert(name, text);
        }
    }
    Ok(())
}
