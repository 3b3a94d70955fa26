//! The numbers of the estimator.

use crate::ScaleSource;

/// What [`VisualOdometry`](crate::VisualOdometry) can be told. The defaults are meant to fit every camera.
#[derive(Clone, Debug, PartialEq)]
pub struct VoConfig {
    /// Features kept in view.
    pub max_tracks: usize,
    /// What tells the metres.
    pub scale: ScaleSource,
}

impl Default for VoConfig {
    fn default() -> Self {
        Self { max_tracks: 350, scale: ScaleSource::None }
    }
}
