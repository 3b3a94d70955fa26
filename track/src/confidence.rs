//! Whether what was found is the target: this answer against those before.

use crate::memory::Likeness;
use crate::response::Response;

/// Share of a new frame in the history.
const RATE: f32 = 0.05;
/// Frames after which the history says something; the first answers are those of a template that has seen nothing else.
const SETTLING_FRAMES: u32 = 8;

/// Heights of peaks and how far they stood out, while the target was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    mean: [f32; 2],
    frames: u32,
}

impl History {
    /// How much an answer whose best value is `peak` is like those before, in `[0, 1]`: the geometric mean of both ratios. 1
    /// while too little is known.
    pub(crate) fn judge(&self, response: &Response, peak: f32) -> f32 {
        if self.frames < SETTLING_FRAMES {
            return 1.0;
        }
        let now = [peak, response.peak_to_energy()];
        let ratio = |i: usize| (now[i] / self.mean[i].max(1e-6)).clamp(0.0, 1.0);
        let likeness = (ratio(0) * ratio(1)).sqrt();
        if likeness.is_finite() { likeness } else { 0.0 }
    }

    /// Takes an answer in.
    pub(crate) fn note(&mut self, response: &Response, peak: f32) {
        self.frames += 1;
        let rate = RATE.max(1.0 / self.frames as f32);
        for (mean, now) in self.mean.iter_mut().zip([peak, response.peak_to_energy()]) {
            *mean += (now - *mean) * rate;
        }
    }
}

/// Constant, and weights of how usual the answer is, the likeness in shape and the distance in colour.
const LOGISTIC: [f32; 4] = [-2.0, 4.0, 5.0, -12.0];

/// How sure it is that what was found is the target, in `[0, 1]`, if one is as likely as the other beforehand. The weights are
/// near those of logistic regressions on whether the true box was overlapped by more than half or not at all, over the
/// frames of all sequences in `docs/tracking.md`. `usual` is what [`History::judge`] says.
pub(crate) fn confidence(usual: f32, likeness: Likeness) -> f32 {
    let [constant, by_usual, by_shape, by_colour] = LOGISTIC;
    let sum = constant + by_usual * usual + by_shape * likeness.shape + by_colour * likeness.colour_distance;
    1.0 / (1.0 + (-sum).exp())
}

/// What bets would be on.
pub(crate) fn odds(confidence: f32) -> f32 {
    confidence / (1.0 - confidence).max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hill(height: f32, floor: f32) -> Response {
        let mut response = Response::zeros(10);
        let side = response.side();
        for (i, value) in response.values.iter_mut().enumerate() {
            let (x, y) = ((i % side) as f32 - 10.0, (i / side) as f32 - 10.0);
            // A floor that rises and falls, as answers to clutter do.
            *value = height * (-(x * x + y * y) / 4.0).exp() + floor * (3.0 * x).sin() * (2.0 * y).sin();
        }
        response
    }

    #[test]
    fn looks_and_answers_both_count() {
        let like = Likeness { shape: 0.5, colour_distance: 0.02 };
        let unlike = Likeness { shape: 0.0, colour_distance: 0.3 };
        assert!(confidence(1.0, like) > 0.95 && confidence(0.2, like) < confidence(1.0, like));
        assert!(confidence(1.0, unlike) < 0.2 && confidence(0.2, unlike) < 0.01);
        assert!((odds(0.75) - 3.0).abs() < 1e-6 && odds(1.0).is_finite());
    }

    #[test]
    fn an_answer_like_those_before_is_believed_and_one_to_clutter_is_not() {
        let mut history = History::default();
        for _ in 0..20 {
            let seen = hill(1.0, 0.1);
            history.note(&seen, seen.peak().1);
        }
        let judged = |response: &Response| history.judge(response, response.peak().1);
        assert!(judged(&hill(1.0, 0.1)) > 0.95);
        assert!(judged(&hill(0.6, 0.1)) < 0.9);
        assert!(judged(&hill(0.1, 0.1)) < 0.35);
        assert!(judged(&Response::zeros(10)) < 1e-3);
    }
}
