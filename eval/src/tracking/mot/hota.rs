//! Higher order tracking accuracy: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking",
//! IJCV 2021.

use geometry::assign;

use super::format::{Matched, MatchedFrame};
use super::{ROUNDING, ratio};

pub(super) struct Hota {
    pub(super) hota: f64,
    pub(super) detection: f64,
    pub(super) association: f64,
    pub(super) localisation: f64,
}

/// Thresholds 0.05, 0.1 .. 0.95.
const THRESHOLDS: usize = 19;

/// A pair of boxes: true identity, estimated identity, overlap.
type Pair = (usize, usize, f64);

pub(super) fn measure(matched: &Matched) -> Hota {
    let alignment = alignment(matched);
    let pairs: Vec<Pair> = matched.frames.iter().flat_map(|frame| pair(frame, &alignment)).collect();
    let mean = |value: fn(&Hota) -> f64, all: &[Hota]| all.iter().map(value).sum::<f64>() / all.len() as f64;
    let all: Vec<Hota> =
        (1..=THRESHOLDS).map(|step| at_threshold(0.05 * step as f64, &pairs, matched)).collect();
    Hota {
        hota: mean(|of| of.hota, &all),
        detection: mean(|of| of.detection, &all),
        association: mean(|of| of.association, &all),
        localisation: mean(|of| of.localisation, &all),
    }
}

/// How well two identities go together over all frames: a soft Jaccard index, in which boxes that overlap several others count
/// for each in part.
fn alignment(matched: &Matched) -> Vec<Vec<f64>> {
    let mut common = matched.pairs();
    for frame in &matched.frames {
        let of_truth: Vec<f64> = frame.overlaps.iter().map(|row| row.iter().sum()).collect();
        let mut of_estimate = vec![0.0; frame.estimate.len()];
        frame.pairs().for_each(|(_, estimate, iou)| of_estimate[estimate] += iou);
        for (truth, estimate, iou) in frame.pairs() {
            let either = of_truth[truth] + of_estimate[estimate] - iou;
            common[frame.truth[truth]][frame.estimate[estimate]] += ratio(iou, either);
        }
    }
    for (row, &truth) in common.iter_mut().zip(&matched.truth_counts) {
        for (value, &estimate) in row.iter_mut().zip(&matched.estimate_counts) {
            *value = ratio(*value, (truth + estimate) as f64 - *value);
        }
    }
    common
}

/// Pairs the boxes of a frame: overlapping ones, of identities that go together.
fn pair(frame: &MatchedFrame, alignment: &[Vec<f64>]) -> Vec<Pair> {
    let weight = |truth: usize, estimate: usize| {
        alignment[frame.truth[truth]][frame.estimate[estimate]] * frame.overlaps[truth][estimate]
    };
    let row = |truth: usize| (0..frame.estimate.len()).map(|estimate| weight(truth, estimate)).collect();
    let weights: Vec<Vec<f64>> = (0..frame.truth.len()).map(row).collect();
    let pairs = assign(&weights).into_iter();
    pairs.map(|(t, e)| (frame.truth[t], frame.estimate[e], frame.overlaps[t][e])).collect()
}

fn at_threshold(threshold: f64, pairs: &[Pair], matched: &Matched) -> Hota {
    let mut together = matched.pairs();
    let (mut true_positives, mut overlap) = (0.0, 0.0);
    for &(truth, estimate, iou) in pairs.iter().filter(|pair| pair.2 >= threshold - ROUNDING) {
        together[truth][estimate] += 1.0;
        true_positives += 1.0;
        overlap += iou;
    }
    let boxes = (matched.truth_boxes() + matched.estimate_boxes()) as f64;
    let detection = ratio(true_positives, boxes - true_positives);
    let association = ratio(association(&together, matched), true_positives);
    // Where nothing is near enough to be paired, nothing is off.
    let localisation = if true_positives > 0.0 { overlap / true_positives } else { 1.0 };
    Hota { hota: (detection * association).sqrt(), detection, association, localisation }
}

/// Sum over all pairs of boxes of how much of their identities' boxes are paired with each other.
fn association(together: &[Vec<f64>], matched: &Matched) -> f64 {
    let rows = together.iter().zip(&matched.truth_counts);
    let of_row = |(row, &truth): (&Vec<f64>, &usize)| {
        let cells = row.iter().zip(&matched.estimate_counts);
        cells.map(|(&n, &estimate)| n * ratio(n, (truth + estimate) as f64 - n)).sum::<f64>()
    };
    rows.map(of_row).sum()
}
