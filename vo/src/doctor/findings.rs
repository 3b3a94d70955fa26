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
use crate::two_view::{PlaneFit, fit_plane};

/// Limits of lengths, as shares of the image's width.
const PARALLAX: f64 = 0.0016;
const MOST: f64 = 0.16;
/// A camera moves by less than this over the longest time looked at, as a share of the image's width: it stands.
const STILL: f64 = 0.002;
/// Limits that no length has part in.
const PARALLAX_SHARE: f64 = 0.04;
/// Sharp footage lies between 0.23 and 0.33, a smear of five pixels of 640 makes it 0.43 to 0.5.
pub(super) const BLUR: f64 = 0.5;
const STOPS: f64 = 0.2;
const SHOWN_SHARE: f64 = 0.3;
const GAP: f64 = 1.6;
/// Frames further apart than this are not learnt from together, in seconds.
const LONGEST_STEP_S: f64 = 1.5;
/// Frames that differ by less, in grey values, are one frame twice.
const SAME: f64 = 0.05;
/// Pairs of frames that are looked at for a plane, and windows for the shutter.
const SAMPLES: usize = 40;
/// A plane that explains this share of what a camera in motion explains is all that is seen.
const PLANE_SHARE: f64 = 0.9;
/// A camera in motion has to explain this share of the matches, or nothing can be said.
const RIGID_SHARE: f64 = 0.5;
/// Matches this many pixels off are none.
const THRESHOLD_PX: f64 = 1.0;

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
    /// Blur of the median frame, from 0 (sharp) to 1.
    pub blur: f64,
    /// Share of frames that are too blurred.
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
    /// What of it a turn of the camera does not explain, in pixels.
    pub parallax_px: Option<f64>,
    /// Share of the views that a single plane explains; `None` where none could be judged.
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

    fn limits(&self) -> Limits {
        let width = self.camera.width() as f64;
        Limits {
            parallax_px: PARALLAX * width,
            parallax_share: PARALLAX_SHARE,
            most_px: MOST * width,
            blur: BLUR,
            stops: STOPS,
            shown_share: SHOWN_SHARE,
            gap: GAP,
        }
    }
}

/// Everything, from what was seen; `view` is `None` where no frame could be read.
pub(super) fn diagnose(sights: &[Sight], view: Option<View>, odd_sizes: usize) -> Diagnosis {
    let mut diagnosis = Diagnosis { frames: sights.len(), odd_sizes, ..Diagnosis::default() };
    diagnosis.unreadable_frames = sights.iter().filter(|sight| !sight.is_readable()).count();
    if let Some(view) = view {
        let interval_s = interval_s(sights);
        diagnosis.of_images(sights, &view);
        diagnosis.of_neighbours(sights, interval_s, &view.limits());
        let longest =
            interval_s.map_or(usize::MAX, |interval_s| (LONGEST_STEP_S / interval_s).max(1.0) as usize);
        let motions = Motions::of(sights, view.pixel(), longest);
        diagnosis.of_motion(sights, &view, &motions);
        let usable = Usable::new(sights, &view.limits(), interval_s);
        diagnosis.usable_snippets = find(&usable, &motions, &view.limits());
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
    fn of_images(&mut self, sights: &[Sight], view: &View) {
        let blurs = || sights.iter().filter(|sight| sight.is_readable()).map(|sight| sight.blur);
        self.size = [view.size.0, view.size.1];
        self.blur = median(blurs()).unwrap_or(1.0);
        self.blurred_share = self.share(blurs().filter(|blur| *blur > BLUR).count());
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

    fn of_motion(&mut self, sights: &[Sight], view: &View, motions: &Motions) {
        let limits = view.limits();
        let mut states = vec![State::Unknown; sights.len()];
        for first in 0..sights.len() {
            let moving = motions.from(first).find(|(_, motion)| limits.is_moving(motion));
            let longest = motions.from(first).next_back();
            let Some((step, motion)) = moving.or(longest) else { continue };
            let state = match moving {
                Some(_) => State::Moving,
                None if motion.flow_px < STILL * view.camera.width() as f64 => State::Still,
                None => State::Turning,
            };
            states[first..=first + step].iter_mut().for_each(|of| *of = (*of).max(state));
        }
        let share = |state: State| self.share(states.iter().filter(|of| **of == state).count());
        (self.static_share, self.turning_share, self.moving_share) =
            (share(State::Still), share(State::Turning), share(State::Moving));
        self.planar_share = planar_share(sights, view, motions);
        let factor = view.factor as f64 / view.pixel();
        self.row_wobble_px = row_wobble(sights, view)
            .filter(|[wobble, noise]| wobble > noise)
            .map(|[wobble, _]| wobble * factor);
    }

    fn of_snippets(&mut self, view: &View, motions: &Motions) {
        let frames = self.usable_snippets.iter().map(Snippet::frames).sum();
        self.usable_share = self.share(frames);
        self.frame_step = best_step(motions, self.frames, &view.limits());
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

/// What the camera does; the later ones go before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Unknown,
    Still,
    Turning,
    Moving,
}

/// Share of views far apart that a plane explains as well as anything does.
fn planar_share(sights: &[Sight], view: &View, motions: &Motions) -> Option<f64> {
    let limits = view.limits();
    let farthest = |first: usize| {
        let mut suited =
            motions.from(first).filter(|(_, m)| limits.is_moving(m) && m.most_px <= limits.most_px);
        suited.next_back().map(|(step, _)| (first, first + step))
    };
    let pairs: Vec<(usize, usize)> = (0..sights.len()).filter_map(farthest).collect();
    let fits = evenly(&pairs).filter_map(|(first, second)| {
        let fit = fit_plane(&sights[first].matches(&sights[second])?, THRESHOLD_PX * view.pixel())?;
        (fit.rigid_share > RIGID_SHARE).then_some(fit.plane_share > PLANE_SHARE * fit.rigid_share)
    });
    let fits: Vec<bool> = fits.collect();
    let planar = fits.iter().filter(|is_planar| **is_planar).count() as f64;
    (!fits.is_empty()).then(|| planar / fits.len() as f64)
}

/// How far rows shake against each other, and the noise, on the plane `z = 1`.
fn row_wobble(sights: &[Sight], view: &View) -> Option<[f64; 2]> {
    let firsts: Vec<usize> = (0..sights.len().saturating_sub(3)).collect();
    let (focal, center) = (view.camera.focal().y, view.camera.center().y);
    let (top, bottom) = (-center / focal, (view.camera.height() as f64 - center) / focal);
    let fit = |first: usize| -> Option<PlaneFit> {
        fit_plane(&sights[first].matches(&sights[first + 1])?, THRESHOLD_PX * view.pixel())
    };
    let mut wobble = RowWobble::default();
    for first in evenly(&firsts) {
        let bands = |index: usize| Some(Bands::of(&fit(first + index)?, top, bottom));
        if let (Some(a), Some(b), Some(c)) = (bands(0), bands(1), bands(2)) {
            wobble.add(&[a, b, c]);
        }
    }
    wobble.result()
}

/// At most [`SAMPLES`] of these, evenly.
fn evenly<T: Copy>(of: &[T]) -> impl Iterator<Item = T> {
    let count = of.len().min(SAMPLES);
    (0..count).map(move |index| of[index * of.len() / count])
}

#[cfg(test)]
mod tests {
    use super::super::motion::STEPS;
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
        assert!(STEPS.contains(&diagnosis.frame_step));
    }
}
