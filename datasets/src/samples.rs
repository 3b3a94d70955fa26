//! Measured values over time, such as the heights of a rangefinder.

use std::path::Path;

use geometry::Timestamp;

use crate::DatasetError;
use crate::text::{Increasing, TextFile};

/// The rows `stamp_s value` of a text file, with stamps in seconds of the dataset's clock; `#` begins a comment. `what`
/// names the columns in errors (`stamp_s height_m`).
///
/// # Errors
/// [`DatasetError`] for a file that can't be read or has no row; with its line for a row that is not two finite numbers,
/// for a value that is not above 0, and for a stamp that is not after the one before.
pub fn read_samples(path: &Path, what: &str) -> Result<Vec<(Timestamp, f64)>, DatasetError> {
    let file = TextFile::read(path)?;
    let (mut samples, mut increasing) = (Vec::new(), Increasing::default());
    for line in file.lines() {
        let [_, value] = line.numbers::<2>(&format!("numbers `{what}`"))?;
        let stamp = increasing.check(line.seconds()?, line)?;
        if value <= 0.0 {
            return Err(line.unexpected(format!("a value above 0 in `{what}`"), value.to_string()));
        }
        samples.push((stamp, value));
    }
    if samples.is_empty() {
        return Err(file.unexpected(format!("rows `{what}`"), "none"));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<(Timestamp, f64)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agl.txt");
        std::fs::write(&path, content).unwrap();
        read_samples(&path, "stamp_s height_m").map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_exact() {
        let samples = read("# stamp_s height_m\n1305031110.043299 30.5\n\n1305031110.143299, 31\n").unwrap();
        let stamp = |tenths: i64| Timestamp::from_nanos(1_305_031_110_043_299_000 + tenths * 100_000_000);
        assert_eq!(samples, [(stamp(0), 30.5), (stamp(1), 31.0)]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (content, expected) in [
            ("0.0 30\n0.1\n", "expected 2 numbers `stamp_s height_m`, found 1 at line 2"),
            ("0.0 30 1\n", "expected 2 numbers `stamp_s height_m`, found 3 at line 1"),
            ("# head\n0.0 high\n", "found `high` at line 2"),
            ("0.0 NaN\n", "found `NaN` at line 1"),
            ("0.0 30\n0.1 -2\n", "expected a value above 0 in `stamp_s height_m`, found -2 at line 2"),
            ("0.1 30\n0.1 30\n", "expected a time after 0.100000000 s, found 0.100000000 s at line 2"),
            ("# nothing\n", "expected rows `stamp_s height_m`, found none"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(expected) && error.contains("agl.txt"), "{error}");
        }
    }
}
