//! Several targets with identities: CLEAR MOT, identity and HOTA measures.
//!
//! | measure | paper | what pairs boxes |
//! |---|---|---|
//! | MOTA, MOTP | Bernardin, Stiefelhagen, JIVP 2008 | each frame by itself, pairs of the frame before first |
//! | IDF1 | Ristani et al., ECCV workshops 2016 | one identity of the estimate for each of the truth, over all frames |
//! | HOTA | Luiten et al., IJCV 2021 | each frame by itself, pairs that go well together over all frames first |

mod clear;
mod format;
mod hota;
mod identity;

use std::fmt;

use serde::Serialize;

pub use format::MotTracks;

use self::format::Matched;
use crate::figure::{Side, significant, text_table};
use crate::{EvalError, Figure, figures_table};

/// Boxes with less in common are not the same, for MOTA and IDF1.
const SAME_OVERLAP: f64 = 0.5;
/// A sum of roundings below a threshold is still the threshold.
const ROUNDING: f64 = f64::EPSILON;

const CLEAR: &str = "CLEAR MOT, boxes are the same from IoU 0.5 on";
const IDENTITY: &str = "one estimated identity for each true one, boxes are the same from IoU 0.5 on";
const HOTA: &str = "mean over IoU thresholds 0.05, 0.1 .. 0.95";

/// How well targets were found and kept apart. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MultiObjectReport {
    /// 1 - (misses + false positives + identity switches) / true boxes; below 0 where there are more errors than boxes.
    pub mota: f64,
    /// Mean overlap of the pairs that MOTA counts.
    pub motp: f64,
    /// Share of boxes, of truth and estimate together, that the best pairing of identities explains.
    pub idf1: f64,
    /// Its precision.
    pub id_precision: f64,
    /// Its recall.
    pub id_recall: f64,
    /// Geometric mean of detection and association accuracy.
    pub hota: f64,
    /// HOTA's detection accuracy.
    pub detection_accuracy: f64,
    /// HOTA's association accuracy.
    pub association_accuracy: f64,
    /// HOTA's localisation accuracy: mean overlap of its pairs.
    pub localisation_accuracy: f64,
    /// True boxes that no estimate is the same as.
    pub misses: usize,
    /// Estimates that are the same as no true box.
    pub false_positives: usize,
    /// How often a target went on under another identity.
    pub id_switches: usize,
    /// How often a target that had been followed was found again.
    pub fragmentations: usize,
    /// Targets followed in at least 80 % of their frames.
    pub mostly_tracked: usize,
    /// Targets followed in less than 20 % of their frames.
    pub mostly_lost: usize,
    /// Frames with a box in truth or estimate.
    pub frames: usize,
    /// Boxes of the truth.
    pub truth_boxes: usize,
    /// Identities of the truth.
    pub truth_identities: usize,
    /// Boxes of the estimate.
    pub estimated_boxes: usize,
    /// Identities of the estimate.
    pub estimated_identities: usize,
}

impl MultiObjectReport {
    /// Measures tracks against the truth.
    ///
    /// # Errors
    /// [`EvalError::Content`] where the truth has no boxes.
    pub fn measure(truth: &MotTracks, estimate: &MotTracks) -> Result<Self, EvalError> {
        let matched = Matched::new(truth, estimate);
        if matched.truth_boxes() == 0 {
            let (expected, found) = ("at least one box to be found".to_owned(), "none".to_owned());
            return Err(EvalError::Content { path: truth.path.clone(), expected, found });
        }
        let clear = clear::measure(&matched);
        let identity = identity::measure(&matched);
        let hota = hota::measure(&matched);
        Ok(Self {
            mota: clear.mota,
            motp: clear.motp,
            idf1: identity.f1,
            id_precision: identity.precision,
            id_recall: identity.recall,
            hota: hota.hota,
            detection_accuracy: hota.detection,
            association_accuracy: hota.association,
            localisation_accuracy: hota.localisation,
            misses: clear.misses,
            false_positives: clear.false_positives,
            id_switches: clear.switches,
            fragmentations: clear.fragmentations,
            mostly_tracked: clear.mostly_tracked,
            mostly_lost: clear.mostly_lost,
            frames: matched.frames.len(),
            truth_boxes: matched.truth_boxes(),
            truth_identities: matched.truth_counts.len(),
            estimated_boxes: matched.estimate_boxes(),
            estimated_identities: matched.estimate_counts.len(),
        })
    }

    /// Every figure with its protocol.
    pub fn figures(&self) -> Vec<Figure> {
        let share = |name: &str, value: f64, protocol: &str| {
            Figure::new(name, value, "1").protocol(protocol).count(self.frames, "frames")
        };
        let count = |name: &str, value: usize| {
            Figure::new(name, value as f64, "1").protocol(CLEAR).count(self.truth_boxes, "boxes")
        };
        vec![
            share("HOTA", self.hota, HOTA),
            share("DetA", self.detection_accuracy, HOTA),
            share("AssA", self.association_accuracy, HOTA),
            share("LocA", self.localisation_accuracy, HOTA),
            share("IDF1", self.idf1, IDENTITY),
            share("MOTA", self.mota, CLEAR),
            share("MOTP", self.motp, CLEAR),
            count("misses", self.misses),
            count("false positives", self.false_positives),
            count("identity switches", self.id_switches),
            count("fragmentations", self.fragmentations),
        ]
    }
}

impl fmt::Display for MultiObjectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&figures_table(&self.figures()))
    }
}

/// Trackers side by side as a table for a terminal.
pub fn multi_object_table(trackers: &[(String, MultiObjectReport)]) -> String {
    let number = Side::Right;
    text_table(&multi_object_rows(trackers), &[Side::Left, number, number, number, number, number, number])
}

/// A header, then a row for each tracker.
pub(crate) fn multi_object_rows(trackers: &[(String, MultiObjectReport)]) -> Vec<[String; 7]> {
    let header =
        ["tracker", "HOTA", "IDF1", "MOTA", "misses", "false positives", "switches"].map(str::to_owned);
    let row = |(name, of): &(String, MultiObjectReport)| {
        let [hota, idf1, mota] = [of.hota, of.idf1, of.mota].map(significant);
        let counts = [of.misses, of.false_positives, of.id_switches].map(|count| count.to_string());
        let [misses, false_positives, switches] = counts;
        [name.clone(), hota, idf1, mota, misses, false_positives, switches]
    };
    std::iter::once(header).chain(trackers.iter().map(row)).collect()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests;
