//! What the detector found in a flight, for the report: pictures with boxes, counts over time and figures.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use eval::detection::{Annotation, FoundBox, annotated};
use eval::{DetectedObjects, DetectorLook, Figure, SampleFrame};
use geometry::{Timestamp, class_color};
use runtime::DetectionSummary;
use runtime::run::{DetectionOutcome, DetectionRow, read_detections};
use runtime::stages::{Detected, Found};

use crate::films::developed;
use crate::spread::Spread;

/// Pictures in a report; they are chosen from twice as many.
const PICTURES: usize = 6;
/// Smaller pictures are enlarged and larger ones reduced to these lengths of the longer side.
const SIDES: std::ops::RangeInclusive<usize> = 640..=960;

/// Looks spread over a flight.
#[derive(Debug)]
pub(crate) struct DetectionFilm(Spread<Arc<Detected>>);

impl Default for DetectionFilm {
    fn default() -> Self {
        Self(Spread::new(PICTURES))
    }
}

impl DetectionFilm {
    /// What looks at every frame that reached the detector.
    pub(crate) fn observer(film: &Arc<Mutex<Self>>) -> impl FnMut(&Arc<Detected>) + Send + use<> {
        let film = Arc::clone(film);
        move |detected| {
            if detected.look.is_some() {
                developed(&film).0.offer(|| Arc::clone(detected));
            }
        }
    }

    /// Of those kept, the looks that found the most, in the order of the flight.
    fn pictures(&self, classes: &[String]) -> anyhow::Result<Vec<SampleFrame>> {
        let found = |detected: &&Arc<Detected>| detected.look.as_ref().map_or(0, Vec::len);
        let mut kept: Vec<&Arc<Detected>> = self.0.kept().iter().filter(|look| found(look) > 0).collect();
        kept.sort_by_key(|look| std::cmp::Reverse(found(look)));
        kept.truncate(PICTURES);
        kept.sort_by_key(|look| look.frame.seq);
        kept.into_iter().map(|look| picture(look, classes)).collect()
    }
}

fn picture(detected: &Detected, classes: &[String]) -> anyhow::Result<SampleFrame> {
    let (frame, found) = (&detected.frame, detected.look.as_deref().unwrap_or_default());
    let annotations: Vec<_> = found.iter().map(|found| annotation(found, classes)).collect();
    let caption =
        format!("frame {}, {:.2} s: {}", frame.seq, frame.stamp.as_secs_f64(), counted(found, classes));
    let drawn = annotated(frame, &annotations, SIDES).with_context(|| caption.clone())?;
    Ok(SampleFrame::from_rgb(caption, &drawn)?)
}

/// The box of an object with its class, its identity and its score.
fn annotation(found: &Found, classes: &[String]) -> Annotation {
    let FoundBox { class, rectangle, score } = FoundBox::from(&found.detection);
    let name = classes.get(class).map_or("", String::as_str);
    let id = found.id.map_or_else(String::new, |id| id.to_string());
    let label = format!("{name} {id} {score:.2}");
    Annotation { rectangle, label, short_label: id, color: class_color(class) }
}

/// `3 car, 1 bus`.
fn counted(found: &[Found], classes: &[String]) -> String {
    let count =
        |class: usize| found.iter().filter(|found| found.detection.class_id as usize == class).count();
    let counts = classes.iter().enumerate().map(|(class, name)| (count(class), name));
    let counts: Vec<_> =
        counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    counts.join(", ")
}

/// What a flight knows of the objects in it in the end.
pub(crate) struct DetectionReport(DetectedObjects);

impl DetectionReport {
    /// Reads `detections.csv` of `run`.
    ///
    /// # Errors
    /// Where the file can't be read or the pictures not be drawn.
    pub(crate) fn read(run: &Path, film: &DetectionFilm, classes: &[String]) -> anyhow::Result<Self> {
        let looks = looks(&read_detections(run)?, classes);
        Ok(Self(DetectedObjects { classes: classes.to_vec(), looks, pictures: film.pictures(classes)? }))
    }

    /// The part of the report.
    pub(crate) fn section(&self) -> DetectedObjects {
        self.0.clone()
    }
}

/// The rows of each look together.
fn looks(rows: &[DetectionRow], classes: &[String]) -> Vec<DetectorLook> {
    let began = rows.first().map_or(Timestamp::ZERO, |row| row.stamp);
    let frames = rows.chunk_by(|a, b| a.seq == b.seq);
    let look = |frame: &[DetectionRow]| {
        let is_look = |row: &DetectionRow| {
            matches!(row.outcome, DetectionOutcome::Found { .. } | DetectionOutcome::Nothing)
        };
        let first = frame.first().filter(|row| is_look(row))?;
        let count = |name: &String| {
            let is_one = |row: &&DetectionRow| matches!(&row.outcome, DetectionOutcome::Found { class, .. } if class == name);
            frame.iter().filter(is_one).count()
        };
        let time_s = first.stamp.secs_since(began);
        Some(DetectorLook { time_s, counts: classes.iter().map(count).collect() })
    };
    frames.filter_map(look).collect()
}

/// Every figure with its protocol.
pub(crate) fn figures(summary: &DetectionSummary) -> Vec<Figure> {
    let looks = summary.looks as usize;
    let per_look = summary.objects as f64 / summary.looks.max(1) as f64;
    let every = format!("one look in {} frames", summary.every);
    vec![
        Figure::new("objects per look", per_look, "").protocol(&every).count(looks, "looks"),
        Figure::new("identities", summary.identities as f64, "")
            .protocol("objects told apart from look to look")
            .count(looks, "looks"),
        Figure::new("CPU, detector", summary.cpu_ms_per_frame, "ms/frame")
            .protocol("its own thread, over all frames that reached it")
            .count(summary.frames as usize, "frames"),
        Figure::new("CPU, a look", summary.cpu_ms_per_look, "ms")
            .protocol("the same, over the looks")
            .count(looks, "looks"),
    ]
}

#[cfg(test)]
mod tests {
    use geometry::BoundingBox;

    use super::*;

    fn row(seq: u64, outcome: DetectionOutcome) -> DetectionRow {
        DetectionRow { seq, stamp: Timestamp::from_nanos(1_000_000_000 + 500_000_000 * seq as i64), outcome }
    }

    fn found(class: &str) -> DetectionOutcome {
        let bounding_box = BoundingBox::new(1.0, 2.0, 3.0, 4.0);
        DetectionOutcome::Found { class: class.to_owned(), score: 0.5, bounding_box, id: None }
    }

    #[test]
    fn rows_of_a_frame_are_one_look() {
        let classes = ["car", "bus"].map(str::to_owned);
        let rows = [
            row(0, found("car")),
            row(0, found("bus")),
            row(0, found("car")),
            row(1, DetectionOutcome::Passed),
            row(2, DetectionOutcome::Nothing),
            row(3, DetectionOutcome::Restarted),
            row(4, found("bus")),
        ];
        let expected = [(0.0, [2, 1]), (1.0, [0, 0]), (2.0, [0, 1])];
        let expected = expected.map(|(time_s, counts)| DetectorLook { time_s, counts: counts.to_vec() });
        assert_eq!(looks(&rows, &classes), expected);
        assert_eq!(looks(&[], &classes), []);
    }
}
