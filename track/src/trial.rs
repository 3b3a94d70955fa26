//! Keeping only what has stood a time of trial.

/// Frames on trial.
const TRIAL_FRAMES: u32 = 10;

/// Something that is believed once the target has stayed beyond doubt for a while.
#[derive(Debug)]
pub(crate) struct Trial<T> {
    candidate: Option<T>,
    frames_left: u32,
}

impl<T> Default for Trial<T> {
    fn default() -> Self {
        Self { candidate: None, frames_left: 0 }
    }
}

impl<T> Trial<T> {
    /// Nothing is on trial.
    pub(crate) fn is_free(&self) -> bool {
        self.candidate.is_none()
    }

    /// Begins a trial.
    pub(crate) fn begin(&mut self, candidate: T) {
        (self.candidate, self.frames_left) = (Some(candidate), TRIAL_FRAMES);
    }

    /// One more frame without doubt; what has now stood its trial.
    pub(crate) fn pass_frame(&mut self) -> Option<T> {
        self.frames_left = self.frames_left.saturating_sub(1);
        self.candidate.take_if(|_| self.frames_left == 0)
    }

    /// What is on trial has failed.
    pub(crate) fn fail(&mut self) {
        self.candidate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_beyond_doubt_is_believed() {
        let mut trial = Trial::default();
        trial.begin('a');
        assert!((1..TRIAL_FRAMES).all(|_| trial.pass_frame().is_none()) && !trial.is_free());
        assert_eq!(trial.pass_frame(), Some('a'));
        trial.begin('b');
        trial.fail();
        assert!((0..2 * TRIAL_FRAMES).all(|_| trial.pass_frame().is_none()));
    }
}
