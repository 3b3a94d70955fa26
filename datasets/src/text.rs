//! Text files of numbers, read line by line, with errors that say where.

use std::fs;
use std::path::{Path, PathBuf};

use geometry::{Timestamp, Trajectory, TrajectoryError};

use crate::DatasetError;

/// A text file held whole, so that every error can name its line.
pub(crate) struct TextFile {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
}

/// One line that carries data.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    file: &'a TextFile,
    /// Counted from 1.
    pub(crate) number: usize,
    /// Without surrounding white space.
    pub(crate) text: &'a str,
}

impl TextFile {
    pub(crate) fn read(path: &Path) -> Result<Self, DatasetError> {
        match fs::read_to_string(path) {
            // Editors on Windows begin files with a byte order mark.
            Ok(content) => {
                let content = content.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(content);
                Ok(Self { path: path.to_owned(), content })
            }
            Err(source) => Err(DatasetError::Io { path: path.to_owned(), source }),
        }
    }

    /// The lines that are neither empty nor a comment (`#`).
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let numbered = self.content.lines().enumerate();
        let lines = numbered.map(|(i, text)| Line { file: self, number: i + 1, text: text.trim() });
        lines.filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
    }

    /// An error about the file as a whole.
    pub(crate) fn unexpected(&self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        DatasetError::Content { expected: expected.into(), found: found.into(), path: self.path.clone() }
    }

    /// An error at line `number`, or about the whole file where the line is not known.
    pub(crate) fn unexpected_at(
        &self,
        number: Option<usize>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> DatasetError {
        let (expected, found) = (expected.into(), found.into());
        match number {
            Some(line) => DatasetError::Line { expected, found, line, path: self.path.clone() },
            None => self.unexpected(expected, found),
        }
    }
}

impl<'a> Line<'a> {
    /// What is left of the line after `prefix`.
    pub(crate) fn after(self, prefix: &str) -> Option<Self> {
        self.text.strip_prefix(prefix).map(|rest| Self { text: rest.trim(), ..self })
    }

    pub(crate) fn unexpected(self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        self.file.unexpected_at(Some(self.number), expected, found)
    }

    /// The fields, separated by white space or commas.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'a str> {
        self.text.split([',', ' ', '\t']).filter(|field| !field.is_empty())
    }

    /// The line's finite numbers, which are to be exactly `N`; `what` names them in errors (`values per pose`).
    pub(crate) fn numbers<const N: usize>(self, what: &str) -> Result<[f64; N], DatasetError> {
        let values = self.all_numbers(what)?;
        let found = values.len();
        values.try_into().map_err(|_| self.unexpected(format!("{N} {what}"), found.to_string()))
    }

    /// As [`numbers`](Self::numbers), where more may follow.
    pub(crate) fn first_numbers<const N: usize>(self, what: &str) -> Result<[f64; N], DatasetError> {
        let values = self.all_numbers(what)?;
        let found = values.len();
        let first = values.get(..N).and_then(|first| first.try_into().ok());
        first.ok_or_else(|| self.unexpected(format!("at least {N} {what}"), found.to_string()))
    }

    /// All fields as finite numbers.
    pub(crate) fn all_numbers(self, what: &str) -> Result<Vec<f64>, DatasetError> {
        let parse = |field: &str| {
            let value = field.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| self.unexpected(format!("finite numbers as {what}"), format!("`{field}`")))
        };
        self.fields().map(parse).collect()
    }

    /// The first field as a stamp in seconds.
    pub(crate) fn seconds(self) -> Result<Timestamp, DatasetError> {
        let field = self.fields().next().unwrap_or_default();
        parse_seconds(field).ok_or_else(|| self.unexpected("a time in seconds", format!("`{field}`")))
    }

    /// The first field as a stamp in integer nanoseconds.
    pub(crate) fn nanoseconds(self) -> Result<Timestamp, DatasetError> {
        let field = self.fields().next().unwrap_or_default();
        let nanos = field.parse().map(Timestamp::from_nanos);
        nanos.map_err(|_| self.unexpected("a time in integer nanoseconds", format!("`{field}`")))
    }
}

/// Seconds written as `1305031110.043299`, without a detour over a float, which would lose the last digits of a
/// Unix time. Exponents (`1.037359e-01`) go over the float.
pub(crate) fn parse_seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !plain(whole) || !plain(fraction) {
        return Timestamp::from_secs_f64(text.parse().ok()?);
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let whole = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?;
    Some(Timestamp::from_nanos(whole.checked_add(nanos)?))
}

/// Stamps that have to increase from line to line.
#[derive(Default)]
pub(crate) struct Increasing {
    last: Option<Timestamp>,
}

impl Increasing {
    /// `stamp`, read from `line`, where it is after the one before.
    pub(crate) fn check(&mut self, stamp: Timestamp, line: Line<'_>) -> Result<Timestamp, DatasetError> {
        match self.last.replace(stamp) {
            Some(last) if last >= stamp => {
                Err(line.unexpected(format!("a time after {last} s"), format!("{stamp} s")))
            }
            _ => Ok(stamp),
        }
    }
}

/// A trajectory from a file of stamped poses.
///
/// Motion capture files repeat stamps now and then (TUM fr2_desk does); the later row is left out and counted, with
/// a sentence in `assumptions`.
pub(crate) fn read_trajectory(
    file: &TextFile,
    assumptions: &mut Vec<String>,
    mut parse: impl FnMut(Line<'_>) -> Result<(Timestamp, geometry::Se3), DatasetError>,
) -> Result<Trajectory, DatasetError> {
    let (mut trajectory, mut left_out) = (Trajectory::new(), 0);
    for line in file.lines() {
        let (stamp, pose) = parse(line)?;
        match trajectory.push(stamp, pose) {
            Ok(()) => {}
            Err(TrajectoryError::NotIncreasing { .. }) => left_out += 1,
            Err(error) => return Err(line.unexpected("a finite pose", error.to_string())),
        }
    }
    if trajectory.is_empty() {
        return Err(file.unexpected("ground truth poses", "none"));
    }
    if left_out > 0 {
        assumptions.push(format!(
            "{left_out} of the poses in {} have a time that is not after the one before; they were left out.",
            file.path.display()
        ));
    }
    Ok(trajectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_to_the_nanosecond() {
        let nanos = |text| parse_seconds(text).map(Timestamp::as_nanos);
        assert_eq!(nanos("1305031110.043299"), Some(1_305_031_110_043_299_000));
        assert_eq!(nanos("7"), Some(7_000_000_000));
        assert_eq!(nanos("1.037359e-01"), Some(103_735_900));
        assert_eq!(nanos("-0.5"), Some(-500_000_000));
        assert_eq!(nanos("NaN"), None);
        assert_eq!(nanos("soon"), None);
        assert_eq!(nanos("99999999999999999999"), None);
    }

    #[test]
    fn errors_count_comments_and_empty_lines() {
        let file = TextFile { path: "poses.txt".into(), content: "# head\n\n1 2 3\n1 2\n".into() };
        let results: Vec<_> = file.lines().map(|line| line.numbers::<3>("values")).collect();
        assert_eq!(*results[0].as_ref().unwrap(), [1.0, 2.0, 3.0]);
        let error = results[1].as_ref().unwrap_err().to_string();
        assert_eq!(error, "expected 3 values, found 2 at line 4 of poses.txt");
    }
}
