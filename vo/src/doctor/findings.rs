//! What all frames together tell.

use std::sync::Arc;

use geometry::PinholeCamera;
use serde::Serialize;

use super::border::{Content, Crop};
use super::motion::{Motion, Motions, Sight};
use super::shutter::{Bands, RowWobble};
use super::snippets::{Limits, Snippet, Usable, best_step, find};
use super::verdict::{Verdict, judge};
use crate::median::median;
use crate::two_view::PlaneFit;

/// Limits of lengths, as shares of the image's width.
const PARALLAX: f64 = 0.003;
const MOST: f64 = 0.16;
/// A camera by which points move less than this within [`LONGEST_STEP_S`], as a share of the image's width, stands.
const STILL: f64 = 0.004;
/// Limits that no length has part in.
const PARALLAX_SHARE: f64 = 0.04;
const STOPS: f64 = 0.2;
const SHOWN_SHARE: f64 = 0.3;
const GAP: f64 = 1.6;
/// A frame is blurred where its edges are so many times as wide as those of the video's sharp quarter ...
const BLURRED: f64 = 1.6;
/// ... and always, or never, where they are so many pixels wide; of an image about 640 pixels wide, as it is looked at.
const BLURRED_PX: [f64; 2] = [4.0, 6.0];
/// Frames further apart than this are not learnt from together, in seconds.
const LONGEST_STEP_S: f64 = 1.0;
/// Frames that differ by less, in grey values, are one frame twice.
const SAME: f64 = 0.05;
/// Pairs of frames that are looked at for a plane, and windows for the shutter: at most, and one in so many frames.
const SAMPLES: usize = 40;
const SAMPLED: usize = 5;
/// Matches this many pixels off a plane are no part of it, in the image that is looked at.
const THRESHOLD_PX: f64 = 1.0;
/// A view is flat where no more of the matches than this stick out.
const FLAT_RELIEF: f64 = 0.08;

/// What was found in a video. Shares are of all frames; pixels are those of the video.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Whether to learn from it.
    pub verdict: Verdict,
    /// Why, the weightiest first.
    pub reasons: Vec<String>,
    /// Frames that can be learnt from.
    pub usable_snippets: Vec<Snippet>,
    /// Share of the frames that are in a snippet.
    pub usable_share: f64,
    /// Frames, those that can't be read included.
    pub frames: usize,
    /// Frames that can't be read or have another size than the first.
    pub unreadable_frames: usize,
    /// Of these, those of another size.
    pub odd_sizes: usize,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Frames a second, by the median of the times between them.
    pub frame_rate_hz: Option<f64>,
    /// Times between frames that are longer than they should be: frames are missing there.
    pub gaps: usize,
    /// Width of the edges in the median frame, in pixels: 2 to 4 where it is sharp, more by what it is smeared; `None` where
    /// there are no edges to measure.
    pub edge_width_px: Option<f64>,
    /// Share of frames that are blurred, or show no edges.
    pub blurred_share: f64,
    /// Times when the brightness jumps from one frame to the next.
    pub exposure_jumps: usize,
    /// Times when one frame shows another scene than the one before.
    pub cuts: usize,
    /// Share of frames that repeat the one before.
    pub repeated_share: f64,
    /// Share of frames in which the camera stands.
    pub static_share: f64,
    /// Share of frames in which it turns and does little else.
    pub turning_share: f64,
    /// Share of frames in which it moves enough to tell depth.
    pub moving_share: f64,
    /// Frames from one to the next that suit most of the video.
    pub frame_step: usize,
    /// Median way of points over that step, in pixels.
    pub flow_px: Option<f64>,
    /// What of it a turn of the camera does not explain, in pixels; a quarter of the points show more.
    pub parallax_px: Option<f64>,
    /// Share of the views in which hardly anything sticks out of a plane; `None` where none could be judged.
    pub planar_share: Option<f64>,
    /// How far rows of the image shake against each other, in pixels; `None` where it can't be told from noise.
    pub row_wobble_px: Option<f64>,
    /// Whether black bars are cut off in `crop`.
    pub has_bars: bool,
    /// The part of the image to learn from.
    pub crop: Crop,
    /// Width and height to learn at.
    pub training_size: [usize; 2],
}

/// How frames were looked at.
pub(super) struct View {
    /// Width and height of the video's frames.
    pub(super) size: (usize, usize),
    pub(super) factor: usize,
    pub(super) camera: Arc<PinholeCamera>,
    pub(super) content: Content,
}

impl View {
    /// Width of a pixel on the plane `z = 1`.
    fn pixel(&self) -> f64 {
        1.0 / self.camera.focal().x
    }

    fn limits(&self, sights: &[Sight]) -> Limits {
        let width = self.camera.width() as f64;
        Limits {
            parallax_px: PARALLAX * width,
            parallax_share: PARALLAX_SHARE,
            most_px: MOST * width,
            edge_width_px: blurred_px(sights),
            stops: STOPS,
            shown_share: SHOWN_SHARE,
            gap: GAP,
        }
    }
}

/// Edges wider than this are blurred, in a video of these frames.
fn blurred_px(sights: &[Sight]) -> f64 {
    let mut widths: Vec<f64> = sights.iter().filter_map(|sight| sight.edge_width_px).collect();
    widths.sort_unstable_by(f64::total_cmp);
    let sharp = widths.get(widths.len() / 4).copied().unwrap_or_default();
    (BLURRED * sharp).clamp(BLURRED_PX[0], BLURRED_PX[1])
}

/// Everything, from what was seen; `view` is `None` where no frame could be read.
pub(super) fn diagnose(sights: &[Sight], view: Option<View>, odd_sizes: usize) -> Diagnosis {
    let mut diagnosis = Diagnosis { frames: sights.len(), odd_sizes, ..Diagnosis::default() };
    diagnosis.unreadable_frames = sights.iter().filter(|sight| !sight.is_readable()).count();
    if let Some(view) = view {
        let (interval_s, limits) = (interval_s(sights), view.limits(sights));
        diagnosis.of_images(sights, &view, &limits);
        diagnosis.of_neighbours(sights, interval_s, &limits);
        let longest =
            interval_s.map_or(usize::MAX, |interval_s| (LONGEST_STEP_S / interval_s).max(1.0) as usize);
        let motions = Motions::of(sights, view.pixel(), longest);
        diagnosis.of_motion(sights, &view, &motions, &limits);
        let usable = Usable::new(sights, &limits, interval_s);
        diagnosis.frame_step = best_step(&usable, &motions, &limits);
        diagnosis.usable_snippets = find(&usable, &motions, &limits, diagnosis.frame_step);
        diagnosis.of_snippets(&view, &motions);
    }
    (diagnosis.verdict, diagnosis.reasons) = judge(&diagnosis);
    diagnosis
}

/// Median time between neighbours.
fn interval_s(sights: &[Sight]) -> Option<f64> {
    median(intervals(sights)).filter(|seconds| *seconds > 0.0)
}

fn intervals(sights: &[Sight]) -> impl Iterator<Item = f64> {
    sights.windows(2).filter_map(|pair| Some(pair[1].stamp?.secs_since(pair[0].stamp?)))
}

impl Diagnosis {
    fn of_images(&mut self, sights: &[Sight], view: &View, limits: &Limits) {
        self.size = [view.size.0, view.size.1];
        let widths = sights.iter().filter_map(|sight| sight.edge_width_px);
        self.edge_width_px = median(widths).map(|width| width * view.factor as f64);
        self.blurred_share = self.share(sights.iter().filter(|sight| limits.is_blurred(sight)).count());
        self.has_bars = view.content.has_bars();
        (self.crop, self.training_size) = view.content.suggestion(view.factor);
    }

    fn of_neighbours(&mut self, sights: &[Sight], interval_s: Option<f64>, limits: &Limits) {
        self.frame_rate_hz = interval_s.map(|seconds| 1.0 / seconds);
        let is_gap = |seconds: f64| interval_s.is_some_and(|usual| seconds > limits.gap * usual);
        self.gaps = intervals(sights).filter(|seconds| is_gap(*seconds)).count();
        let jumps = sights.iter().filter_map(|sight| sight.brightening);
        self.exposure_jumps = jumps.filter(|stops| stops.abs() > limits.stops).count();
        let later = || sights.iter().skip(1).filter(|sight| sight.is_readable());
        self.cuts = later().filter(|sight| sight.shown_share < limits.shown_share).count();
        let is_same = |sight: &&Sight| sight.difference.is_some_and(|difference| difference < SAME);
        self.repeated_share = self.share(later().filter(is_same).count());
    }

    fn of_motion(&mut self, sights: &[Sight], view: &View, motions: &Motions, limits: &Limits) {
        let still_px = STILL * view.camera.width() as f64;
        let states: Vec<State> =
            (0..sights.len()).map(|frame| State::of(frame, motions, limits, still_px)).collect();
        let share = |state: State| self.share(states.iter().filter(|of| **of == state).count());
        (self.static_share, self.turning_share, self.moving_share) =
            (share(State::Still), share(State::Turning), share(State::Moving));
        self.planar_share = planar_share(sights, view, motions, limits);
        let factor = view.factor as f64 / view.pixel();
        self.row_wobble_px = row_wobble(sights, view)
            .filter(|[wobble, noise]| wobble > noise)
            .map(|[wobble, _]| wobble * factor);
    }

    fn of_snippets(&mut self, view: &View, motions: &Motions) {
        let frames = self.usable_snippets.iter().map(Snippet::frames).sum();
        self.usable_share = self.share(frames);
        let over = |value: fn(&Motion) -> f64| {
            let known = (0..self.frames).filter_map(|first| motions.get(first, self.frame_step));
            median(known.map(|motion| value(&motion) * view.factor as f64))
        };
        (self.flow_px, self.parallax_px) = (over(|m| m.flow_px), over(|m| m.parallax_px));
    }

    fn share(&self, frames: usize) -> f64 {
        frames as f64 / self.frames.max(1) as f64
    }
}

/// What the camera does around a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Still,
    Turning,
    Moving,
}

impl State {
    /// By how points move from it on or, near the end of what shows the same, up to it.
    fn of(frame: usize, motions: &Motions, limits: &Limits, still_px: f64) -> Self {
        let (after, before): (Vec<Motion>, Vec<Motion>) =
            (motions.from(frame).collect(), motions.until(frame).collect());
        let motions = if after.len() < before.len() { before } else { after };
        match motions.last() {
            None => Self::Unknown,
            _ if motions.iter().any(|motion| limits.is_moving(motion)) => Self::Moving,
            Some(motion) if motion.flow_px < still_px => Self::Still,
            Some(_) => Self::Turning,
        }
    }
}

/// Share of the pairs of frames that see the most parallax in which hardly anything sticks out of a plane.
fn planar_share(sights: &[Sight], view: &View, motions: &Motions, limits: &Limits) -> Option<f64> {
    let pairs: Vec<(usize, usize)> = (0..sights.len())
        .filter_map(|first| Some((first, first + motions.farthest(first, limits)?)))
        .collect();
    let threshold = THRESHOLD_PX * view.pixel();
    let is_planar = |(first, second): (usize, usize)| {
        let matches = sights[first].matches(&sights[second])?;
        let relief = PlaneFit::of(&matches, threshold)?.relief_share(&matches);
        Some(relief <= FLAT_RELIEF)
    };
    let judged: Vec<bool> = evenly(&pairs, sights.len()).filter_map(is_planar).collect();
    let planar = judged.iter().filter(|is_planar| **is_planar).count() as f64;
    (!judged.is_empty()).then(|| planar / judged.len() as f64)
}

/// How far rows shake against each other, and the noise, on the plane `z = 1`.
fn row_wobble(sights: &[Sight], view: &View) -> Option<[f64; 2]> {
    let firsts: Vec<usize> = (0..sights.len().saturating_sub(3)).collect();
    let (focal, center) = (view.camera.focal().y, view.camera.center().y);
    let (top, bottom) = (-center / focal, (view.camera.height() as f64 - center) / focal);
    let bands = |first: usize| {
        let matches = sights[first].matches(&sights[first + 1])?;
        let fit = PlaneFit::of(&matches, THRESHOLD_PX * view.pixel())?;
        Some(Bands::of(&fit.residuals(&matches), top, bottom))
    };
    let mut wobble = RowWobble::default();
    for first in evenly(&firsts, sights.len()) {
        if let (Some(a), Some(b), Some(c)) = (bands(first), bands(first + 1), bands(first + 2)) {
            wobble.add(&[a, b, c]);
        }
    }
    wobble.result()
}

/// As many of these, evenly, as are to be sampled of a video of `frames`.
fn evenly<T: Copy>(of: &[T], frames: usize) -> impl Iterator<Item = T> {
    let count = of.len().min(SAMPLES).min(frames.div_ceil(SAMPLED));
    (0..count).map(move |index| of[index * of.len() / count])
}

#[cfg(test)]
mod tests {
    use super::super::motion::tests::{flying, turning};
    use super::*;

    fn view() -> View {
        let camera = PinholeCamera::new(640, 480, 450.0, 450.0, 319.5, 239.5).unwrap();
        View { size: (1280, 960), factor: 2, camera: Arc::new(camera), content: Content::new(640, 480) }
    }

    #[test]
    fn a_flight_moves_and_a_turn_does_not() {
        let flight = diagnose(&flying(60, 0.2), Some(view()), 0);
        assert_eq!((flight.moving_share, flight.turning_share, flight.size), (1.0, 0.0, [1280, 960]));
        assert_eq!((flight.planar_share, flight.frame_rate_hz), (Some(0.0), Some(20.0)));
        assert!(flight.usable_share > 0.95 && flight.parallax_px.unwrap() > 2.0, "{flight:?}");
        let turn = diagnose(&turning(60, 0.01), Some(view()), 0);
        assert_eq!((turn.turning_share, turn.moving_share, turn.usable_share), (1.0, 0.0, 0.0));
        let still = diagnose(&flying(60, 0.0), Some(view()), 0);
        assert_eq!((still.static_share, still.verdict), (1.0, Verdict::Unusable));
        assert!(turn.row_wobble_px.is_none(), "{turn:?}");
    }

    #[test]
    fn nothing_seen_is_nothing_found() {
        let nothing = diagnose(&[Sight::default(), Sight::default()], None, 1);
        assert_eq!((nothing.frames, nothing.unreadable_frames, nothing.odd_sizes), (2, 2, 1));
        assert_eq!(nothing.verdict, Verdict::Unusable);
    }

    #[test]
    fn steps_stay_within_a_time() {
        let mut slow = flying(60, 0.2);
        for (index, sight) in slow.iter_mut().enumerate() {
            sight.stamp = geometry::Timestamp::from_secs_f64(index as f64 * 2.0);
        }
        let diagnosis = diagnose(&slow, Some(view()), 0);
        assert!(diagnosis.usable_snippets.iter().all(|snippet| snippet.step == 1), "{diagnosis:?}");
        assert_eq!(diagnosis.frame_step, 1);
    }
}
