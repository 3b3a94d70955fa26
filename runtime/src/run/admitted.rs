//! Reading what became of each frame.

use std::fs;
use std::path::Path;

use geometry::Timestamp;

use super::ADMITTED;
use super::directory::io_error;
use crate::RuntimeError;
use crate::graph::Outcome;

/// One row of `admitted.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmittedRow {
    /// Number of the frame.
    pub seq: u64,
    /// Its stamp.
    pub stamp: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

impl AdmittedRow {
    /// Whether the stages were given the frame.
    pub fn was_let_in(&self) -> bool {
        matches!(self.outcome, Outcome::Admitted | Outcome::Restarted)
    }
}

/// The rows of `admitted.csv` in `run_dir`, in the order of the flight.
///
/// # Errors
/// [`RuntimeError::Io`], and [`RuntimeError::Line`] for a row that is no row.
pub fn read_admitted(run_dir: &Path) -> Result<Vec<AdmittedRow>, RuntimeError> {
    let path = run_dir.join(ADMITTED);
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let rows = text.lines().enumerate().skip(1);
    rows.map(|(index, line)| {
        parse(line).ok_or_else(|| RuntimeError::Line {
            expected: "seq,stamp_ns,outcome",
            found: format!("`{line}`"),
            line: index + 1,
            path: path.clone(),
        })
    })
    .collect()
}

fn parse(line: &str) -> Option<AdmittedRow> {
    let mut fields = line.split(',');
    let seq = fields.next()?.parse().ok()?;
    let stamp = Timestamp::from_nanos(fields.next()?.parse().ok()?);
    let outcome = Outcome::from_name(fields.next()?)?;
    fields.next().is_none().then_some(AdmittedRow { seq, stamp, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(ADMITTED), "seq,stamp_ns,outcome\n0,5,admitted\n1,x,dropped\n").unwrap();
        let error = read_admitted(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`1,x,dropped` at line 3"), "{error}");
    }
}
