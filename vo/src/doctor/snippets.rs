//! Which frames a trainer may take.

use serde::{Deserialize, Serialize};

use super::motion::{Motion, Motions, STEPS, Sight};

/// Steps in one video differ from the one that suits it best by this factor at most.
const MOST_UNLIKE: usize = 2;
/// Shorter snippets are not worth their margins, in frames with neighbours on both sides.
const LEAST_TARGETS: usize = 5;

/// Frames `first`, `first + 1`, ... `last`, any of which may be learnt from together with the frames `step` before and after
/// it, as long as these are in the range too. Frames count from 0, unreadable ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// First frame.
    pub first: usize,
    /// Last frame.
    pub last: usize,
    /// Frames from one to the next of three that are learnt from together.
    pub step: usize,
}

impl Snippet {
    /// Frames that have neighbours on both sides.
    pub fn targets(&self) -> usize {
        (self.last + 1 - self.first).saturating_sub(2 * self.step)
    }

    /// Frames in the range.
    pub fn frames(&self) -> usize {
        self.last + 1 - self.first
    }
}

/// What makes frames fit for learning. Pixels are those of the image that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Parallax has to be at least this many pixels ...
    pub(super) parallax_px: f64,
    /// ... and this share of the flow, or the camera does little but turn.
    pub(super) parallax_share: f64,
    /// Nearly all points have to move less than this many pixels, or views hardly overlap and warps go astray.
    pub(super) most_px: f64,
    /// A frame with wider edges is blurred, and left out.
    pub(super) edge_width_px: f64,
    /// Brightness may change by this many stops from a frame to the next.
    pub(super) stops: f64,
    /// A frame that shows less of the features of the one before is another scene.
    pub(super) shown_share: f64,
    /// Frames further apart in time than this many times the usual are not neighbours.
    pub(super) gap: f64,
}

impl Limits {
    /// Whether edges are too wide, or none are left.
    pub(super) fn is_blurred(&self, sight: &Sight) -> bool {
        sight.is_readable() && sight.edge_width_px.is_none_or(|width| width > self.edge_width_px)
    }

    pub(super) fn is_moving(&self, motion: &Motion) -> bool {
        motion.parallax_px >= self.parallax_px && motion.parallax_px >= self.parallax_share * motion.flow_px
    }

    pub(super) fn suits(&self, motion: &Motion) -> bool {
        self.is_moving(motion) && motion.most_px <= self.most_px
    }
}

/// For each frame whether it can be used, and whether the one after it belongs to it.
pub(super) struct Usable {
    frames: Vec<bool>,
    joined: Vec<bool>,
}

impl Usable {
    pub(super) fn new(sights: &[Sight], limits: &Limits, interval_s: Option<f64>) -> Self {
        let is_usable = |sight: &Sight| sight.is_readable() && !limits.is_blurred(sight);
        let is_joined = |pair: &[Sight]| {
            let [first, second] = pair else { return false };
            let seconds = second.stamp.zip(first.stamp).map(|(second, first)| second.secs_since(first));
            let is_gap = seconds.zip(interval_s).is_some_and(|(seconds, usual)| seconds > limits.gap * usual);
            !is_gap
                && second.shown_share >= limits.shown_share
                && second.brightening.is_some_and(|stops| stops.abs() <= limits.stops)
        };
        Self {
            frames: sights.iter().map(is_usable).collect(),
            joined: sights.windows(2).map(is_joined).collect(),
        }
    }
}

/// The step that suits the video: the smallest of those by which nearly as many frames can be learnt from as by the best one;
/// 1 where none can.
pub(super) fn best_step(usable: &Usable, motions: &Motions, limits: &Limits) -> usize {
    let is_taken = vec![false; usable.frames.len()];
    let targets = STEPS.map(|step| {
        let snippets = runs(usable, motions, limits, &is_taken, step);
        snippets.iter().map(Snippet::targets).sum::<usize>()
    });
    let most = targets.into_iter().max().unwrap_or(0);
    let is_good = |targets: usize| targets > 0 && targets * 10 >= most * 9;
    STEPS.into_iter().zip(targets).find(|(_, targets)| is_good(*targets)).map_or(1, |(step, _)| step)
}

/// Ranges of frames to learn from: as many as can be with the step that suits the video best, then what steps like it can
/// use of the rest.
pub(super) fn find(usable: &Usable, motions: &Motions, limits: &Limits, best: usize) -> Vec<Snippet> {
    let mut steps = STEPS.to_vec();
    // Where it takes many times as long as elsewhere in the video to show parallax, the camera hardly moves.
    steps.retain(|step| (best.div_ceil(MOST_UNLIKE)..=best * MOST_UNLIKE).contains(step));
    steps.sort_by_key(|step| step.abs_diff(best) + usize::from(*step > best));
    let mut is_taken = vec![false; usable.frames.len()];
    let mut snippets = Vec::new();
    for step in steps {
        for snippet in runs(usable, motions, limits, &is_taken, step) {
            is_taken[snippet.first..=snippet.last].fill(true);
            snippets.push(snippet);
        }
    }
    snippets.sort_by_key(|snippet| snippet.first);
    snippets
}

/// Ranges of frames not yet taken in which each frame and the one a step later suit each other.
fn runs(usable: &Usable, motions: &Motions, limits: &Limits, is_taken: &[bool], step: usize) -> Vec<Snippet> {
    let is_free = |frame: usize| usable.frames[frame] && !is_taken[frame];
    let suits = |first: usize| {
        let last = first + step;
        last < usable.frames.len()
            && (first..=last).all(is_free)
            && usable.joined[first..last].iter().all(|joined| *joined)
            && motions.get(first, step).is_some_and(|motion| limits.suits(&motion))
    };
    let (mut runs, mut first) = (Vec::new(), 0);
    while first < usable.frames.len() {
        let count = (first..).take_while(|frame| suits(*frame)).count();
        // The frames a step after those that suit belong to the range; some have to have neighbours on both sides.
        let is_long = count >= step + LEAST_TARGETS;
        if is_long {
            runs.push(Snippet { first, last: first + count - 1 + step, step });
        }
        first += count + if is_long { step } else { 1 };
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::super::motion::tests::{PIXEL, flying, turning};
    use super::*;

    pub(crate) const LIMITS: Limits = Limits {
        parallax_px: 1.0,
        parallax_share: 0.04,
        most_px: 80.0,
        edge_width_px: 6.0,
        stops: 0.2,
        shown_share: 0.3,
        gap: 1.5,
    };

    fn snippets(sights: &[Sight]) -> Vec<Snippet> {
        let (usable, motions) =
            (Usable::new(sights, &LIMITS, Some(0.05)), Motions::of(sights, PIXEL, usize::MAX));
        find(&usable, &motions, &LIMITS, best_step(&usable, &motions, &LIMITS))
    }

    #[test]
    fn a_flight_is_one_snippet_with_the_step_that_suits_its_speed() {
        assert_eq!(snippets(&flying(40, 0.3)), [Snippet { first: 0, last: 39, step: 1 }]);
        let slow = snippets(&flying(40, 0.04));
        assert_eq!((slow.len(), slow[0].first, slow[0].last), (1, 0, 39));
        assert!(slow[0].step > 2 && slow[0].targets() == 40 - 2 * slow[0].step, "{slow:?}");
    }

    #[test]
    fn what_is_blurred_dark_cut_or_missing_parts_snippets() {
        let mut sights = flying(60, 0.3);
        sights[10].edge_width_px = Some(9.0);
        sights[20].brightening = Some(-0.5);
        sights[30] = Sight::default();
        sights[45].shown_share = 0.1;
        let found: Vec<[usize; 2]> = snippets(&sights).iter().map(|s| [s.first, s.last]).collect();
        assert_eq!(found, [[0, 9], [11, 19], [20, 29], [31, 44], [45, 59]]);
        let mut gap = flying(20, 0.3);
        for sight in &mut gap[8..] {
            sight.stamp = sight.stamp.and_then(|s| geometry::Timestamp::from_secs_f64(s.as_secs_f64() + 0.2));
        }
        assert_eq!(snippets(&gap).len(), 2);
    }

    #[test]
    fn turning_and_standing_are_no_snippets() {
        assert!(snippets(&turning(30, 0.01)).is_empty());
        assert!(snippets(&flying(30, 0.0)).is_empty());
        assert!(snippets(&flying(2, 0.3)).is_empty());
    }
}
