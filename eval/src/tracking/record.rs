//! What a tracker says about itself, beside its results.

use std::path::Path;

use serde::Deserialize;

use crate::EvalError;

/// Name of the file in a folder of results.
const RECORD: &str = "tracker.json";

/// One JSON object; `bench/peers/trackers.py` writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TrackerRecord {
    /// Name of the tracker.
    pub name: String,
    /// CPU time per frame over all threads without the reading of images, milliseconds.
    pub cpu_ms_per_frame: Option<f64>,
}

impl TrackerRecord {
    /// Reads `tracker.json` in a folder; `None` where there is no such file.
    ///
    /// # Errors
    /// [`EvalError::Read`] where it can't be read, [`EvalError::Content`] where it is something else.
    pub fn read(folder: &Path) -> Result<Option<Self>, EvalError> {
        let path = folder.join(RECORD);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|source| EvalError::Read { path: path.clone(), source })?;
        let record: Self =
            serde_json::from_str(&text).map_err(|error| unexpected(&path, error.to_string()))?;
        match record.cpu_ms_per_frame {
            Some(ms) if ms < 0.0 => Err(unexpected(&path, format!("{ms} ms"))),
            _ => Ok(Some(record)),
        }
    }
}

fn unexpected(path: &Path, found: String) -> EvalError {
    let expected = "a tracker's name and its CPU time of 0 ms or more".to_owned();
    EvalError::Content { path: path.to_owned(), expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_may_be_missing_but_not_be_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let read = || TrackerRecord::read(folder.path()).map_err(|error| error.to_string());
        assert_eq!(read(), Ok(None));
        std::fs::write(
            folder.path().join(RECORD),
            r#"{"name": "KCF", "cpu_ms_per_frame": 1.5, "version": "4"}"#,
        )
        .unwrap();
        assert_eq!(read(), Ok(Some(TrackerRecord { name: "KCF".to_owned(), cpu_ms_per_frame: Some(1.5) })));
        for content in [r#"{"name": "KCF", "cpu_ms_per_frame": -1}"#, "{}"] {
            std::fs::write(folder.path().join(RECORD), content).unwrap();
            assert!(read().unwrap_err().contains("tracker.json: expected a tracker's name and its CPU time"));
        }
    }
}
