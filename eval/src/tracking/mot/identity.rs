//! Identity measures: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking",
//! ECCV workshops 2016.

use geometry::assign;

use super::format::Matched;
use super::{ROUNDING, SAME_OVERLAP, ratio};

pub(super) struct Identity {
    pub(super) f1: f64,
    pub(super) precision: f64,
    pub(super) recall: f64,
}

/// Pairs true with estimated identities so that as many boxes as possible are explained.
pub(super) fn measure(matched: &Matched) -> Identity {
    let mut same = matched.pairs();
    for frame in &matched.frames {
        for (truth, estimate, _) in frame.pairs().filter(|(_, _, iou)| *iou >= SAME_OVERLAP - ROUNDING) {
            same[frame.truth[truth]][frame.estimate[estimate]] += 1.0;
        }
    }
    let explained: f64 = assign(&same).into_iter().map(|(truth, estimate)| same[truth][estimate]).sum();
    let (truth, estimate) = (matched.truth_boxes() as f64, matched.estimate_boxes() as f64);
    Identity {
        f1: ratio(2.0 * explained, truth + estimate),
        precision: ratio(explained, estimate),
        recall: ratio(explained, truth),
    }
}
