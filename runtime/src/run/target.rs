//! `target.csv`: where the target was thought to be, frame by frame.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use geometry::{BoundingBox, Timestamp};

use super::directory::io_error;
use super::{AdmittedRow, TARGET};
use crate::RuntimeError;
use crate::graph::{BranchRecord, Outcome};
use crate::stages::{Followed, Sight};

/// First line of `target.csv`.
pub(crate) const TARGET_HEADER: &str = "seq,stamp_ns,x,y,w,h,confidence,state";

/// One row of `target.csv`: one frame that reached the tracker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetRow {
    /// Number of the frame.
    pub seq: u64,
    /// Its stamp.
    pub stamp: Timestamp,
    /// What came of it.
    pub outcome: TargetOutcome,
}

/// What the tracker made of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetOutcome {
    /// The target is yet to be chosen: state `waiting`.
    Waiting,
    /// There is an answer: state `confident`, `unsure` or `lost`.
    Followed {
        /// Where, in pixels.
        bounding_box: BoundingBox,
        /// In `[0, 1]`.
        confidence: f32,
        /// What it is worth.
        sight: Sight,
    },
    /// The frame cost the tracker a restart: state `restarted`.
    Restarted,
}

impl TargetRow {
    /// The row of a frame that was processed.
    pub fn of(seq: u64, followed: &Followed) -> Self {
        let outcome =
            followed.target.as_ref().map_or(TargetOutcome::Waiting, |track| TargetOutcome::Followed {
                bounding_box: track.bounding_box,
                confidence: track.confidence,
                sight: Sight::of(track),
            });
        Self { seq, stamp: followed.frame.stamp, outcome }
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [seq, stamp, x, y, width, height, confidence, state] = *fields.as_slice() else { return None };
        let outcome = match state {
            "waiting" => TargetOutcome::Waiting,
            "restarted" => TargetOutcome::Restarted,
            _ => TargetOutcome::Followed {
                bounding_box: BoundingBox::new(
                    x.parse().ok()?,
                    y.parse().ok()?,
                    width.parse().ok()?,
                    height.parse().ok()?,
                ),
                confidence: confidence.parse().ok()?,
                sight: Sight::from_name(state)?,
            },
        };
        Some(Self { seq: seq.parse().ok()?, stamp: Timestamp::from_nanos(stamp.parse().ok()?), outcome })
    }
}

/// As a line of the file. Holds nothing that depends on time of day or on load, so that replays compare by bytes.
impl Display for TargetRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},", self.seq, self.stamp.as_nanos())?;
        match &self.outcome {
            TargetOutcome::Waiting => f.write_str(",,,,,waiting"),
            TargetOutcome::Restarted => f.write_str(",,,,,restarted"),
            TargetOutcome::Followed { bounding_box: b, confidence, sight } => {
                let state = sight.as_str();
                write!(f, "{:.2},{:.2},{:.2},{:.2},{confidence:.4},{state}", b.x, b.y, b.width, b.height)
            }
        }
    }
}

/// The rows of `target.csv` in `run_dir`, in the order of the flight; none where nothing was followed.
///
/// # Errors
/// [`RuntimeError::Io`], and [`RuntimeError::Line`] for a row that is no row.
pub fn read_target(run_dir: &Path) -> Result<Vec<TargetRow>, RuntimeError> {
    let path = run_dir.join(TARGET);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(io_error("read", &path))?,
    };
    let rows = text.lines().enumerate().skip(1);
    rows.map(|(index, line)| {
        TargetRow::parse(line).ok_or_else(|| RuntimeError::Line {
            expected: TARGET_HEADER,
            found: format!("`{line}`"),
            line: index + 1,
            path: path.clone(),
        })
    })
    .collect()
}

/// Which frames the odometry of the recorded flight was restarted by.
pub(crate) fn odometry_record(admitted: &[AdmittedRow]) -> BranchRecord {
    let restarted = admitted.iter().filter(|row| row.outcome == Outcome::Restarted);
    BranchRecord { restarted: restarted.map(|row| row.seq).collect(), ..BranchRecord::default() }
}

/// Which frames never reached the tracker of the recorded flight, and which restarted it.
pub(crate) fn target_record(admitted: &[AdmittedRow], rows: &[TargetRow]) -> BranchRecord {
    branch_record(admitted, rows.iter().map(|row| (row.seq, row.outcome == TargetOutcome::Restarted)))
}

/// The same of any branch, by the frames that reached it and whether each restarted it. What lies behind the last was not
/// recorded: a full disk, a killed process.
pub(super) fn branch_record(
    admitted: &[AdmittedRow],
    rows: impl Iterator<Item = (u64, bool)>,
) -> BranchRecord {
    let reached: BTreeMap<u64, bool> = rows.collect();
    let last = reached.last_key_value().map(|(seq, _)| *seq);
    let let_in = admitted.iter().filter(|row| row.was_let_in()).map(|row| row.seq);
    let dropped = let_in.filter(|seq| last.is_some_and(|last| *seq < last) && !reached.contains_key(seq));
    let dropped = dropped.collect();
    let restarted = reached.iter().filter(|(_, restarts)| **restarts).map(|(seq, _)| *seq).collect();
    BranchRecord { restarted, dropped }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn row(seq: u64, outcome: TargetOutcome) -> TargetRow {
        TargetRow { seq, stamp: Timestamp::from_nanos(5 * seq as i64), outcome }
    }

    fn seen(sight: Sight) -> TargetOutcome {
        let bounding_box = BoundingBox::new(-1.25, 2.5, 30.0, 40.75);
        TargetOutcome::Followed { bounding_box, confidence: 0.8125, sight }
    }

    #[test]
    fn rows_survive_the_file() {
        let rows = [
            row(0, TargetOutcome::Waiting),
            row(1, seen(Sight::Confident)),
            row(2, seen(Sight::Unsure)),
            row(3, TargetOutcome::Restarted),
            row(5, seen(Sight::Lost)),
        ];
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_target(folder.path()).unwrap(), []);
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(folder.path().join(TARGET), format!("{TARGET_HEADER}\n{lines}")).unwrap();
        assert_eq!(read_target(folder.path()).unwrap(), rows);
        assert!(lines.contains("\n1,5,-1.25,2.50,30.00,40.75,0.8125,confident\n"), "{lines}");
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for bad in ["1,5,1,2,3,confident", "1,5,1,2,3,4,0.5,sure", "1,5,a,2,3,4,0.5,lost", "x,5,,,,,,waiting"]
        {
            fs::write(folder.path().join(TARGET), format!("{TARGET_HEADER}\n0,5,,,,,,waiting\n{bad}\n"))
                .unwrap();
            let error = read_target(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}` at line 3")), "{error}");
        }
    }

    #[test]
    fn a_record_tells_what_was_dropped_and_what_was_not_recorded() {
        let outcomes = [Outcome::Admitted, Outcome::Dropped, Outcome::Restarted, Outcome::Admitted];
        let admitted: Vec<_> = outcomes
            .into_iter()
            .chain([Outcome::Admitted; 3])
            .zip(0..)
            .map(|(outcome, seq)| AdmittedRow { seq, stamp: Timestamp::ZERO, outcome })
            .collect();
        let rows =
            [row(0, TargetOutcome::Waiting), row(3, TargetOutcome::Restarted), row(5, seen(Sight::Lost))];
        let record = target_record(&admitted, &rows);
        assert_eq!(record.restarted, BTreeSet::from([3]));
        assert_eq!(
            record.dropped,
            BTreeSet::from([2, 4]),
            "1 was dropped by the entrance, 6 was not recorded"
        );
        assert_eq!(target_record(&admitted, &[]), BranchRecord::default());
        assert_eq!(odometry_record(&admitted).restarted, BTreeSet::from([2]));
    }
}
