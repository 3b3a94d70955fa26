//! One of the two regressions as a tracker sees it: a template, its answers, and how far they could be believed so far.

use crate::features::FeatureMap;
use crate::response::{PART_COUNT, Response, Template};

/// Share of a new frame in what is remembered of the answers.
const MEMORY_RATE: f32 = 0.05;
/// An answer this many cells from where the target was agrees with it by `exp(-1/2)`.
const AGREEMENT_CELLS: f32 = 1.5;

/// A template with the answers of its parts to the last map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// What is looked for.
    pub(crate) template: Template,
    /// Answers of its parts.
    pub(crate) parts: [Response; PART_COUNT],
    /// The answer of the whole.
    pub(crate) response: Response,
    /// Mean of its peaks.
    mean_peak: f32,
    /// How often and how clearly it was right, in `(0, 1]`.
    reliability: f32,
    frames: u32,
}

impl Stream {
    /// Answers of the parts to `map`.
    pub(crate) fn look(&mut self, map: &FeatureMap, reach: usize) {
        self.template.part_responses(map, reach, &mut self.parts);
    }

    /// How much it counts, and the factor that brings its peaks to about 1.
    pub(crate) fn weight_and_scale(&self) -> (f32, f32) {
        match self.frames {
            0 => (1.0, 1.0 / self.response.peak().1.max(1e-6)),
            _ => (self.reliability, 1.0 / self.mean_peak.max(1e-6)),
        }
    }

    /// Notes that the target was found at `shift` cells.
    pub(crate) fn confirm(&mut self, shift: [f32; 2]) {
        let (index, peak) = self.response.peak();
        let own = self.response.shift(index);
        let squared = (own[0] - shift[0]).powi(2) + (own[1] - shift[1]).powi(2);
        let agreement = (-squared / (2.0 * AGREEMENT_CELLS * AGREEMENT_CELLS)).exp();
        self.frames += 1;
        let rate = MEMORY_RATE.max(1.0 / self.frames as f32);
        self.mean_peak += (peak - self.mean_peak) * rate;
        self.reliability += (agreement - self.reliability) * rate;
        self.reliability = self.reliability.max(0.05);
    }
}

/// The answer of several streams: each brought to peaks of about 1, then the mean by weight.
pub(crate) fn fuse<'a>(
    streams: impl Iterator<Item = (&'a Stream, f32)> + Clone,
    by_reliability: bool,
    out: &mut Response,
) {
    let weight = |stream: &Stream, share: f32| match by_reliability {
        true => share * stream.weight_and_scale().0,
        false => share,
    };
    let total: f32 = streams.clone().map(|(stream, share)| weight(stream, share)).sum();
    out.values.fill(0.0);
    for (stream, share) in streams {
        if out.values.len() != stream.response.values.len() {
            *out = Response::zeros(stream.response.reach);
        }
        let factor = weight(stream, share) * stream.weight_and_scale().1 / total.max(1e-6);
        let sums = out.values.iter_mut().zip(&stream.response.values);
        sums.for_each(|(sum, value)| *sum += factor * value);
    }
}
