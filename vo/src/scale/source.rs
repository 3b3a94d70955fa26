//! Where metres come from.

use std::sync::Arc;

use geometry::Timestamp;
use nalgebra::Vector2;

/// A measured value with its moment, in the clock of the frames' stamps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleSample {
    /// When it was measured.
    pub stamp: Timestamp,
    /// Metres or metres per second; what is not finite or not above 0 is ignored.
    pub value: f64,
}

/// What tells the metres per map unit, which one camera alone can't know.
///
/// Heights and speeds can also be given while flying, whatever the source:
/// [`VisualOdometry::add_height`](crate::VisualOdometry::add_height),
/// [`VisualOdometry::add_speed`](crate::VisualOdometry::add_speed).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ScaleSource {
    /// Nothing: lengths stay in map units and nothing claims to be metres.
    #[default]
    None,
    /// Metres per map unit. The unit is the median depth of the scene where the first map begins, so this is how far away,
    /// in metres, the scene is there: `Fixed(30.0)` for a camera that looks down from 30 m. Taken as exact
    /// there; its uncertainty grows with the way and with every new map.
    Fixed(f64),
    /// Height in metres of a camera above the road that it looks along, mounted roughly upright (row axis level to about
    /// fifteen degrees).
    CameraHeight(f64),
    /// Heights above the ground in metres, straight down, from a rangefinder or a barometer; in the order of their stamps.
    HeightAboveGround(Arc<[ScaleSample]>),
    /// Speeds of the camera through the world in metres per second, climb included; in the order of their stamps.
    Velocity(Arc<[ScaleSample]>),
    /// A depth network with so many metres in a unit of its depth, which the estimator is given by
    /// [`VisualOdometry::with_depth_prior`](crate::VisualOdometry::with_depth_prior): [`crate::NetworkPrior`].
    Depth(f64),
}

impl ScaleSource {
    /// Name in files and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fixed(_) => "fixed",
            Self::CameraHeight(_) => "camera-height",
            Self::HeightAboveGround(_) => "agl",
            Self::Velocity(_) => "velocity",
            Self::Depth(_) => "depth",
        }
    }

    /// The samples that come with it.
    pub fn samples(&self) -> Option<&[ScaleSample]> {
        match self {
            Self::HeightAboveGround(samples) | Self::Velocity(samples) => Some(samples),
            Self::None | Self::Fixed(_) | Self::CameraHeight(_) | Self::Depth(_) => None,
        }
    }
}

/// Metric depth with its uncertainty, such as a depth network gives it.
pub trait DepthPrior: Send + Sync {
    /// Depth along the optical axis in metres at `pixel` `(x, y)` of the frame with this stamp, and its standard deviation in
    /// metres; `None` where it is not known.
    fn depth_at(&self, stamp: Timestamp, pixel: Vector2<f64>) -> Option<(f64, f64)>;

    /// Standard deviation of the error that all its depths share, wherever they are seen, as a share of them.
    fn shared_sigma(&self) -> f64 {
        0.02
    }
}
