//! The target of a flight, for the report: pictures of it while it is followed, and its figures afterwards.

use std::path::Path;
use std::sync::{Arc, Mutex};

use datasets::TargetTruth;
use eval::tracking::{FilmPicture, OnePassReport, Rectangle};
use eval::{EvalError, Figure, FollowedTarget, SampleFrame, TargetGrade, TargetSample};
use geometry::{BoundingBox, Timestamp};
use runtime::TargetSummary;
use runtime::run::{TargetOutcome, read_target};
use runtime::stages::{Followed, Sight};

use crate::films::developed;
use crate::spread::Spread;

/// Pictures spread over the flight, and pictures of the first changes between seen, unsure and lost.
const SPREAD: usize = 8;
const CHANGES: usize = 8;

/// Pictures of the target, made while it is followed.
#[derive(Debug)]
pub(crate) struct TargetFilm {
    spread: Spread<Scene>,
    changes: Vec<Scene>,
    last: Option<Sight>,
}

#[derive(Clone, Debug)]
struct Scene {
    seq: u64,
    confidence: f32,
    grade: TargetGrade,
    picture: FilmPicture,
}

impl Default for TargetFilm {
    fn default() -> Self {
        Self { spread: Spread::new(SPREAD), changes: Vec::new(), last: None }
    }
}

impl TargetFilm {
    /// What looks at every frame that the tracker took.
    pub(crate) fn observer(film: &Arc<Mutex<Self>>) -> impl FnMut(&Arc<Followed>) + Send + use<> {
        let film = Arc::clone(film);
        move |followed| developed(&film).offer(followed)
    }

    fn offer(&mut self, followed: &Followed) {
        let Some(track) = &followed.target else { return };
        let sight = Sight::of(track);
        let scene = || {
            let (frame, grade) = (&followed.frame, grade(sight));
            let picture = FilmPicture::of_target(frame, &track.bounding_box.into(), grade.color());
            Scene { seq: frame.seq, confidence: track.confidence, grade, picture }
        };
        let is_change = self.last.is_some_and(|last| last != sight);
        if is_change && self.changes.len() < CHANGES {
            self.changes.push(scene());
        }
        self.last = Some(sight);
        self.spread.offer(scene);
    }

    /// Rows of pictures in the order of the flight.
    fn strips(&self) -> Result<Vec<SampleFrame>, EvalError> {
        let mut scenes: Vec<&Scene> = self.spread.kept().iter().chain(&self.changes).collect();
        scenes.sort_by_key(|scene| scene.seq);
        scenes.dedup_by_key(|scene| scene.seq);
        scenes.chunks(FilmPicture::PER_STRIP).map(strip).collect()
    }
}

fn strip(scenes: &[&Scene]) -> Result<SampleFrame, EvalError> {
    let told =
        |scene: &&Scene| format!("frame {}: {} ({:.2})", scene.seq, scene.grade.name(), scene.confidence);
    let caption: Vec<_> = scenes.iter().map(told).collect();
    let pictures: Vec<_> = scenes.iter().map(|scene| scene.picture.clone()).collect();
    FilmPicture::strip(caption.join(" · "), &pictures)
}

fn grade(sight: Sight) -> TargetGrade {
    match sight {
        Sight::Confident => TargetGrade::Confident,
        Sight::Unsure => TargetGrade::Unsure,
        Sight::Lost => TargetGrade::Lost,
    }
}

/// What a flight knows of its target in the end.
pub(crate) struct TargetReport {
    /// Measured against the boxes of the dataset.
    one_pass: Option<OnePassReport>,
    section: FollowedTarget,
}

/// One answer of the tracker.
struct Row {
    stamp: Timestamp,
    bounding_box: BoundingBox,
    confidence: f32,
    sight: Sight,
}

impl TargetReport {
    /// Reads `target.csv` of `run`, and measures it where the dataset has the target's boxes.
    ///
    /// # Errors
    /// Where the file can't be read or the strips not be drawn.
    pub(crate) fn read(run: &Path, film: &TargetFilm, truth: Option<&TargetTruth>) -> anyhow::Result<Self> {
        let all = read_target(run)?;
        let began = all.first().map_or(Timestamp::ZERO, |row| row.stamp);
        let answers = all.iter().filter_map(|row| match row.outcome {
            TargetOutcome::Followed { bounding_box, confidence, sight } => {
                Some(Row { stamp: row.stamp, bounding_box, confidence, sight })
            }
            TargetOutcome::Waiting | TargetOutcome::Restarted => None,
        });
        let answers: Vec<Row> = answers.collect();
        let overlap =
            |row: &Row| truth?.box_at(row.stamp).map(|truth| f64::from(truth.iou(&row.bounding_box)));
        let sample = |row: &Row| TargetSample {
            time_s: row.stamp.secs_since(began),
            confidence: row.confidence.into(),
            grade: grade(row.sight),
            overlap: overlap(row),
        };
        let samples = answers.iter().map(sample).collect();
        let one_pass = truth.and_then(|truth| measured(&answers, truth));
        Ok(Self { one_pass, section: FollowedTarget { samples, strips: film.strips()? } })
    }

    /// The part of the report.
    pub(crate) fn section(&self) -> FollowedTarget {
        self.section.clone()
    }

    /// What `metrics.json` holds beside the counts.
    pub(crate) fn one_pass(&self) -> Option<&OnePassReport> {
        self.one_pass.as_ref()
    }

    /// Every figure with its protocol.
    pub(crate) fn figures(&self, summary: &TargetSummary) -> Vec<Figure> {
        let frames = summary.frames as usize;
        let figure = |name: &str, value: f64, unit: &str, protocol: &str| {
            Figure::new(name, value, unit).protocol(protocol).count(frames, "frames")
        };
        let percent = |of: u64| 100.0 * of as f64 / summary.frames.max(1) as f64;
        let by_itself = "as the tracker says, from the choice on";
        let mut figures = vec![
            figure("target held", summary.held_percent, "%", by_itself),
            figure("target unsure", percent(summary.unsure_frames), "%", by_itself),
            figure("target lost", percent(summary.lost_frames), "%", by_itself),
            figure("CPU, tracker", summary.cpu_ms_per_frame, "ms/frame", "its own thread"),
        ];
        figures.extend(self.one_pass.iter().flat_map(OnePassReport::figures));
        figures
    }
}

/// The answers against the truth of the same frames; `None` where they have none in common.
fn measured(answers: &[Row], truth: &TargetTruth) -> Option<OnePassReport> {
    let nothing = Rectangle::new(f64::NAN, f64::NAN, 0.0, 0.0);
    let of_frame = |row: &Row| truth.box_at(row.stamp).map_or(nothing, Rectangle::from);
    let truth: Vec<Rectangle> = answers.iter().map(of_frame).collect();
    let estimate: Vec<Rectangle> = answers.iter().map(|row| row.bounding_box.into()).collect();
    OnePassReport::measure(&truth, &estimate).ok()
}
