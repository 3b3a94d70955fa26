//! The scale over time: a gated Kalman filter on its logarithm.
//!
//! Errors of scale multiply, so the logarithm has the errors that a Kalman filter wants. The scale of a map without loop
//! closure walks at random with the way flown (Strasdat et al. 2010), which is the process noise. Innovations beyond
//! the gate are set aside; where they go on agreeing with each other, it is the filter that was wrong.

use crate::median::median;

/// A direct reading of the logarithm of metres per map unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) log_scale: f64,
    /// Its standard deviation; for small values that of the scale relative to itself.
    pub(crate) sigma: f64,
}

/// Relative drift of the scale over a way as long as the scene is deep.
const DRIFT_PER_DEPTH: f64 = 0.01;
/// First readings together are believed no better than this, and a later one no better than the second.
const MIN_FIRST_SIGMA: f64 = 0.01;
const MIN_SIGMA: f64 = 1e-3;
/// Innovations up to this many standard deviations count in full (Huber 1964), and beyond the gate not at all.
const HUBER: f64 = 1.5;
const GATE: f64 = 4.0;
/// The scale begins as the median of so many readings, none of which can be judged by the others before.
const OPENING: usize = 9;
/// So many refused readings in a row that agree with each other, over a way longer than this many depths, outvote the
/// filter.
const OUTVOTING: usize = 8;
const PATIENCE_DEPTHS: f64 = 2.0;
/// Median distance from their median up to which refused readings agree with each other.
const AGREEING: f64 = 0.05;

/// Estimates the scale from readings of any kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScaleFilter {
    state: Option<State>,
    /// The first readings.
    opening: Vec<f64>,
    /// Readings refused since one was accepted.
    refused: Vec<f64>,
    depths_since_accepted: f64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    log_scale: f64,
    variance: f64,
}

impl ScaleFilter {
    /// A filter that takes the scale for known exactly.
    pub(crate) fn exact(scale: f64) -> Self {
        let state = State { log_scale: scale.ln(), variance: 0.0 };
        Self { state: Some(state), opening: vec![state.log_scale; OPENING], ..Self::default() }
    }

    /// Metres per map unit, and the standard deviation relative to it.
    pub(crate) fn scale(&self) -> Option<(f64, f64)> {
        self.state.map(|state| (state.log_scale.exp(), state.variance.sqrt()))
    }

    /// The camera went `depths` times the depth of the scene.
    pub(crate) fn travel(&mut self, depths: f64) {
        if let Some(state) = &mut self.state {
            state.variance += DRIFT_PER_DEPTH.powi(2) * depths;
        }
        self.depths_since_accepted += depths;
    }

    /// The unit has become another one, with this standard deviation relative to what it was.
    pub(crate) fn doubt(&mut self, sigma: f64) {
        if let Some(state) = &mut self.state {
            state.variance += sigma.powi(2);
        }
        self.refused.clear();
    }

    /// Takes a reading, as far as it is to be believed.
    pub(crate) fn read(&mut self, reading: Reading) {
        if !(reading.log_scale.is_finite() && reading.sigma.is_finite()) {
            return;
        }
        if self.opening.len() < OPENING {
            self.opening.push(reading.log_scale);
            return self.begin(&self.opening.clone(), reading.sigma);
        }
        let Some(state) = &mut self.state else { return };
        let mut noise = reading.sigma.max(MIN_SIGMA).powi(2);
        let innovation = reading.log_scale - state.log_scale;
        let deviations = innovation.abs() / (state.variance + noise).sqrt();
        if deviations > GATE {
            self.refused.push(reading.log_scale);
            return self.be_outvoted(reading.sigma);
        }
        noise *= (deviations / HUBER).max(1.0);
        let gain = state.variance / (state.variance + noise);
        state.log_scale += gain * innovation;
        state.variance *= 1.0 - gain;
        self.refused.clear();
        self.depths_since_accepted = 0.0;
    }

    /// Begins at the median of readings, which are as sure as they say and no surer than they agree.
    fn begin(&mut self, readings: &[f64], sigma: f64) {
        let (log_scale, spread) = median_and_spread(readings);
        let sigma = sigma.max(spread) / (readings.len() as f64).sqrt();
        let variance = sigma.max(MIN_FIRST_SIGMA).powi(2);
        self.state = Some(State { log_scale, variance });
        self.refused.clear();
        self.depths_since_accepted = 0.0;
    }

    /// Begins anew at what the refused readings agree on, where that has gone on for long enough.
    fn be_outvoted(&mut self, sigma: f64) {
        let Some(first) = self.refused.len().checked_sub(OUTVOTING) else { return };
        let newest = self.refused.split_off(first);
        self.refused.clear();
        if self.depths_since_accepted > PATIENCE_DEPTHS && median_and_spread(&newest).1 < AGREEING {
            self.begin(&newest, sigma);
        } else {
            self.refused = newest;
        }
    }
}

/// The median, and the median distance from it.
fn median_and_spread(values: &[f64]) -> (f64, f64) {
    let center = median(values.iter().copied()).unwrap_or(0.0);
    (center, median(values.iter().map(|value| (value - center).abs())).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings of a true scale with 2 % noise, each after a way of a thirtieth of the depth.
    fn fly(filter: &mut ScaleFilter, steps: usize, mut truth: impl FnMut(usize) -> Option<f64>) {
        let mut rng = fastrand::Rng::with_seed(7);
        for step in 0..steps {
            filter.travel(1.0 / 30.0);
            // Twelve uniform numbers make a normal one.
            let normal = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
            if let Some(scale) = truth(step) {
                filter.read(Reading { log_scale: scale.ln() + 0.02 * normal, sigma: 0.02 });
            }
        }
    }

    /// Error relative to the truth.
    fn error(filter: &ScaleFilter, truth: f64) -> f64 {
        (filter.scale().unwrap().0 / truth - 1.0).abs()
    }

    #[test]
    fn many_readings_make_it_sure() {
        let mut filter = ScaleFilter::default();
        assert_eq!(filter.scale(), None);
        fly(&mut filter, 200, |_| Some(30.0));
        let sigma = filter.scale().unwrap().1;
        assert!(error(&filter, 30.0) < 0.015 && sigma < 0.01, "{:?}", filter.scale());
        assert!(error(&filter, 30.0) < 4.0 * sigma, "it claims to know better than it does");
    }

    #[test]
    fn one_reading_in_three_may_be_far_off() {
        let mut filter = ScaleFilter::default();
        fly(&mut filter, 200, |step| Some(if step % 3 == 0 { 21.0 } else { 30.0 }));
        assert!(error(&filter, 30.0) < 0.02, "{:?}", filter.scale());
    }

    #[test]
    fn a_roof_under_the_rangefinder_does_not_move_it() {
        let mut filter = ScaleFilter::default();
        // 15 m long at 30 m height: half a depth.
        fly(&mut filter, 200, |step| Some(if (100..115).contains(&step) { 24.0 } else { 30.0 }));
        let mut over_roof = ScaleFilter::default();
        fly(&mut over_roof, 115, |step| Some(if step >= 100 { 24.0 } else { 30.0 }));
        assert!(error(&over_roof, 30.0) < 0.02, "{:?}", over_roof.scale());
        assert!(error(&filter, 30.0) < 0.02, "{:?}", filter.scale());
    }

    #[test]
    fn a_wrong_beginning_is_outvoted() {
        let mut filter = ScaleFilter::default();
        fly(&mut filter, 60, |step| Some(if step < 2 { 15.0 } else { 30.0 }));
        assert!(error(&filter, 30.0) < 0.02, "{:?}", filter.scale());
    }

    #[test]
    fn a_lasting_jump_is_followed_in_the_end() {
        let mut filter = ScaleFilter::default();
        fly(&mut filter, 300, |step| Some(if step < 100 { 30.0 } else { 40.0 }));
        assert!(error(&filter, 40.0) < 0.02, "{:?}", filter.scale());
    }

    #[test]
    fn slow_drift_is_followed() {
        let mut filter = ScaleFilter::default();
        let truth = |step: usize| 30.0 * (1.0 + 5e-4 * step as f64);
        fly(&mut filter, 400, |step| Some(truth(step)));
        assert!(error(&filter, truth(399)) < 0.03, "{:?}", filter.scale());
    }

    #[test]
    fn without_readings_it_becomes_less_sure() {
        let mut filter = ScaleFilter::default();
        fly(&mut filter, 200, |_| Some(30.0));
        let (scale, before) = filter.scale().unwrap();
        fly(&mut filter, 300, |_| None);
        let (after_scale, after) = filter.scale().unwrap();
        assert!((after_scale - scale).abs() < 1e-12);
        // Ten depths.
        assert!(after > 0.03 && after > 3.0 * before, "{before} {after}");
    }

    #[test]
    fn a_doubtful_unit_is_put_right_by_the_next_readings() {
        let mut filter = ScaleFilter::default();
        fly(&mut filter, 200, |_| Some(30.0));
        filter.doubt(0.25);
        assert!(error(&filter, 30.0) < 0.02 && filter.scale().unwrap().1 > 0.2, "{:?}", filter.scale());
        fly(&mut filter, 10, |_| Some(37.0));
        assert!(error(&filter, 37.0) < 0.02 && filter.scale().unwrap().1 < 0.03, "{:?}", filter.scale());
    }

    #[test]
    fn nonsense_is_no_reading() {
        let mut filter = ScaleFilter::default();
        filter.read(Reading { log_scale: f64::NAN, sigma: 0.1 });
        filter.read(Reading { log_scale: 1.0, sigma: f64::INFINITY });
        assert_eq!(filter.scale(), None);
    }
}
