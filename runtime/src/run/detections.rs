//! `detections.csv`: what was found, look by look.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use geometry::{BoundingBox, Timestamp};

use super::directory::io_error;
use super::target::branch_record;
use super::{AdmittedRow, DETECTIONS};
use crate::RuntimeError;
use crate::graph::BranchRecord;
use crate::stages::Detected;

/// First line of `detections.csv`.
pub(crate) const DETECTIONS_HEADER: &str = "seq,stamp_ns,class,score,x,y,w,h,id,state";

/// One row of `detections.csv`: an object in a frame, or a frame without any.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRow {
    /// Number of the frame.
    pub seq: u64,
    /// Its stamp.
    pub stamp: Timestamp,
    /// What it says.
    pub outcome: DetectionOutcome,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectionOutcome {
    /// There is an object: state `found`.
    Found {
        /// Name of its class.
        class: String,
        /// In `[0, 1]`.
        score: f32,
        /// Where, in pixels.
        bounding_box: BoundingBox,
        /// The same as long as it is taken for the same object.
        id: Option<u64>,
    },
    /// The detector looked and found nothing: state `nothing`.
    Nothing,
    /// It did not look at this frame: state `passed`.
    Passed,
    /// The frame cost it a restart: state `restarted`.
    Restarted,
}

impl DetectionRow {
    /// The rows of a frame that was processed: one at least.
    pub fn of(seq: u64, detected: &Detected, classes: &[String]) -> Vec<Self> {
        let stamp = detected.frame.stamp;
        let outcomes: Vec<_> = match &detected.look {
            None => vec![DetectionOutcome::Passed],
            Some(look) if look.is_empty() => vec![DetectionOutcome::Nothing],
            Some(look) => look
                .iter()
                .map(|found| DetectionOutcome::Found {
                    class: in_a_field(classes, found.detection.class_id),
                    score: found.detection.score,
                    bounding_box: found.detection.bounding_box,
                    id: found.id,
                })
                .collect(),
        };
        outcomes.into_iter().map(|outcome| Self { seq, stamp, outcome }).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [seq, stamp, class, score, x, y, width, height, id, state] = *fields.as_slice() else {
            return None;
        };
        let outcome = match state {
            "nothing" => DetectionOutcome::Nothing,
            "passed" => DetectionOutcome::Passed,
            "restarted" => DetectionOutcome::Restarted,
            "found" => DetectionOutcome::Found {
                class: class.to_owned(),
                score: score.parse().ok()?,
                bounding_box: BoundingBox::new(
                    x.parse().ok()?,
                    y.parse().ok()?,
                    width.parse().ok()?,
                    height.parse().ok()?,
                ),
                id: if id.is_empty() { None } else { Some(id.parse().ok()?) },
            },
            _ => return None,
        };
        Some(Self { seq: seq.parse().ok()?, stamp: Timestamp::from_nanos(stamp.parse().ok()?), outcome })
    }
}

/// The name of a class as it may stand between commas.
fn in_a_field(classes: &[String], class_id: u32) -> String {
    let name = classes.get(class_id as usize).cloned().unwrap_or_else(|| class_id.to_string());
    name.replace([',', '\n', '\r'], "_")
}

/// As a line of the file. Holds nothing that depends on time of day or on load, so that replays compare by bytes.
impl Display for DetectionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},", self.seq, self.stamp.as_nanos())?;
        match &self.outcome {
            DetectionOutcome::Nothing => f.write_str(",,,,,,,nothing"),
            DetectionOutcome::Passed => f.write_str(",,,,,,,passed"),
            DetectionOutcome::Restarted => f.write_str(",,,,,,,restarted"),
            DetectionOutcome::Found { class, score, bounding_box: b, id } => {
                let id = id.map_or_else(String::new, |id| id.to_string());
                write!(
                    f,
                    "{class},{score:.4},{:.2},{:.2},{:.2},{:.2},{id},found",
                    b.x, b.y, b.width, b.height
                )
            }
        }
    }
}

/// The rows of `detections.csv` in `run_dir`, in the order of the flight; none where nobody looked.
///
/// # Errors
/// [`RuntimeError::Io`], and [`RuntimeError::Line`] for a row that is no row.
pub fn read_detections(run_dir: &Path) -> Result<Vec<DetectionRow>, RuntimeError> {
    let path = run_dir.join(DETECTIONS);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(io_error("read", &path))?,
    };
    let rows = text.lines().enumerate().skip(1);
    rows.map(|(index, line)| {
        DetectionRow::parse(line).ok_or_else(|| RuntimeError::Line {
            expected: DETECTIONS_HEADER,
            found: format!("`{line}`"),
            line: index + 1,
            path: path.clone(),
        })
    })
    .collect()
}

/// Which frames never reached the detector of the recorded flight, and which restarted it.
pub(crate) fn detection_record(admitted: &[AdmittedRow], rows: &[DetectionRow]) -> BranchRecord {
    let reached = rows.iter().map(|row| (row.seq, row.outcome == DetectionOutcome::Restarted));
    branch_record(admitted, reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, outcome: DetectionOutcome) -> DetectionRow {
        DetectionRow { seq, stamp: Timestamp::from_nanos(5 * seq as i64), outcome }
    }

    fn found(id: Option<u64>) -> DetectionOutcome {
        let bounding_box = BoundingBox::new(1.25, 2.5, 30.0, 40.75);
        DetectionOutcome::Found { class: "fire engine".to_owned(), score: 0.8125, bounding_box, id }
    }

    #[test]
    fn rows_survive_the_file() {
        let rows = [
            row(0, found(Some(7))),
            row(0, found(None)),
            row(1, DetectionOutcome::Passed),
            row(2, DetectionOutcome::Restarted),
            row(4, DetectionOutcome::Nothing),
        ];
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_detections(folder.path()).unwrap(), []);
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(folder.path().join(DETECTIONS), format!("{DETECTIONS_HEADER}\n{lines}")).unwrap();
        assert_eq!(read_detections(folder.path()).unwrap(), rows);
        assert!(lines.starts_with("0,0,fire engine,0.8125,1.25,2.50,30.00,40.75,7,found\n"), "{lines}");
        let commas = DETECTIONS_HEADER.matches(',').count();
        assert!(lines.lines().all(|line| line.matches(',').count() == commas), "{lines}");
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for bad in
            ["1,5,,,,,,,,gone", "1,5,car,0.5,1,2,3,x,,found", "1,5,car,0.5,1,2,3,4,-1,found", "1,5,passed"]
        {
            let text = format!("{DETECTIONS_HEADER}\n0,5,,,,,,,,passed\n{bad}\n");
            fs::write(folder.path().join(DETECTIONS), text).unwrap();
            let error = read_detections(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}` at line 3")), "{error}");
        }
    }

    #[test]
    fn names_of_classes_don_t_break_rows() {
        assert_eq!(in_a_field(&["car, red".to_owned()], 0), "car_ red");
        assert_eq!(in_a_field(&[], 3), "3");
    }
}
