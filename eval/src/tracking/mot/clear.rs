//! CLEAR MOT: Bernardin, Stiefelhagen, "Evaluating Multiple Object Tracking Performance", JIVP 2008.

use geometry::assign;

use super::format::{Matched, MatchedFrame};
use super::{ROUNDING, SAME_OVERLAP, ratio};

pub(super) struct Clear {
    pub(super) mota: f64,
    pub(super) motp: f64,
    pub(super) misses: usize,
    pub(super) false_positives: usize,
    pub(super) switches: usize,
    pub(super) fragmentations: usize,
    pub(super) mostly_tracked: usize,
    pub(super) mostly_lost: usize,
}

/// More than all overlaps of a frame can sum up to: pairs that go on from the frame before come first.
const GOES_ON: f64 = 1000.0;
const MOSTLY_TRACKED: f64 = 0.8;
const MOSTLY_LOST: f64 = 0.2;

/// What is known of a true identity.
#[derive(Clone, Default)]
struct Target {
    /// The identity that it had in the frame before.
    just_now: Option<usize>,
    /// The last identity that it had.
    last: Option<usize>,
    followed: usize,
    /// Stretches of frames in which it was followed.
    stretches: usize,
}

pub(super) fn measure(matched: &Matched) -> Clear {
    let mut targets = vec![Target::default(); matched.truth_counts.len()];
    let (mut pairs, mut overlap, mut switches) = (0, 0.0, 0);
    // A frame without anything to pair says nothing about what goes on.
    for frame in matched.frames.iter().filter(|frame| !frame.truth.is_empty() && !frame.estimate.is_empty()) {
        let found = pair(frame, &targets);
        let was: Vec<Option<usize>> = targets.iter_mut().map(|target| target.just_now.take()).collect();
        for (truth, estimate) in found {
            let (identity, estimated) = (frame.truth[truth], frame.estimate[estimate]);
            let target = &mut targets[identity];
            pairs += 1;
            overlap += frame.overlaps[truth][estimate];
            switches += usize::from(target.last.is_some_and(|last| last != estimated));
            target.stretches += usize::from(was[identity].is_none());
            target.followed += 1;
            target.just_now = Some(estimated);
            target.last = Some(estimated);
        }
    }
    let (misses, false_positives) = (matched.truth_boxes() - pairs, matched.estimate_boxes() - pairs);
    let shares = || {
        targets.iter().zip(&matched.truth_counts).map(|(of, &count)| ratio(of.followed as f64, count as f64))
    };
    Clear {
        mota: 1.0 - ratio((misses + false_positives + switches) as f64, matched.truth_boxes() as f64),
        motp: ratio(overlap, pairs as f64),
        misses,
        false_positives,
        switches,
        fragmentations: targets.iter().map(|target| target.stretches.saturating_sub(1)).sum(),
        mostly_tracked: shares().filter(|share| *share > MOSTLY_TRACKED).count(),
        mostly_lost: shares().filter(|share| *share < MOSTLY_LOST).count(),
    }
}

/// Pairs of boxes that are the same.
fn pair(frame: &MatchedFrame, targets: &[Target]) -> Vec<(usize, usize)> {
    let is_same = |iou: f64| iou >= SAME_OVERLAP - ROUNDING;
    let weight = |truth: usize, estimate: usize| {
        let iou = frame.overlaps[truth][estimate];
        let goes_on = targets[frame.truth[truth]].just_now == Some(frame.estimate[estimate]);
        if is_same(iou) { iou + if goes_on { GOES_ON } else { 0.0 } } else { 0.0 }
    };
    let row = |truth: usize| (0..frame.estimate.len()).map(|estimate| weight(truth, estimate)).collect();
    let weights: Vec<Vec<f64>> = (0..frame.truth.len()).map(row).collect();
    let pairs = assign(&weights).into_iter();
    pairs.filter(|&(truth, estimate)| is_same(frame.overlaps[truth][estimate])).collect()
}
