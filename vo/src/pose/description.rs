//! What the file of a pose network says of itself.

use nalgebra::{UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

use crate::error::VoError;

/// Where ONNX files hold the description, as JSON.
const KEY: &str = "kestrel.pose";

/// What a pose network sees, and what its outputs `translation` and `rotation` mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoseDescription {
    /// What the means of `translation` and `rotation` are multiplied by: then they are a translation in the unit of the
    /// depth network that learnt with it, and angles in radians.
    pub unit: f32,
    /// The images that it sees at once.
    #[serde(default)]
    pub images: PoseImages,
    /// What `rotation` is.
    #[serde(default)]
    pub rotation: RotationForm,
}

/// The images that a pose network sees at once, one behind the other along the channels; the motion is from the last but one in
/// time to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoseImages {
    /// The earlier one, the later one.
    #[default]
    Pair,
    /// Of three in a row the middle one, the first and the last (SfMLearner's).
    Triple,
}

/// What three angles in radians mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationForm {
    /// A rotation vector: axis times angle.
    #[default]
    Vector,
    /// Euler angles `x y z` of the rotation `Rx Ry Rz` (SfMLearner's).
    Euler,
}

impl PoseImages {
    /// Which of three images in a row it sees, counted from the first, in its order.
    pub fn order(self) -> &'static [usize] {
        match self {
            Self::Pair => &[1, 2],
            Self::Triple => &[1, 0, 2],
        }
    }
}

impl RotationForm {
    /// The rotation of three angles.
    pub fn rotation(self, angles: Vector3<f64>) -> UnitQuaternion<f64> {
        match self {
            Self::Vector => UnitQuaternion::from_scaled_axis(angles),
            Self::Euler => {
                let [x, y, z] = [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()];
                let about = |axis, angle| UnitQuaternion::from_axis_angle(&axis, angle);
                about(x, angles.x) * about(y, angles.y) * about(z, angles.z)
            }
        }
    }
}

impl PoseDescription {
    /// What the metadata of the ONNX file in `bytes` says.
    ///
    /// # Errors
    /// [`VoError::Network`] where they are no ONNX file, [`VoError::Description`] where it describes no pose network.
    pub fn of_file(bytes: &[u8]) -> Result<Self, VoError> {
        let metadata = nn::metadata(bytes)?;
        let text = metadata.get(KEY).ok_or_else(|| VoError::Description {
            expected: "the metadata of a pose network (kestrel.pose)",
            found: "none".to_owned(),
        })?;
        let description: Result<Self, _> = serde_json::from_str(text);
        match description {
            Ok(description) if description.unit.is_finite() && description.unit != 0.0 => Ok(description),
            _ => Err(VoError::Description {
                expected: "a finite unit other than 0 in kestrel.pose",
                found: text.clone(),
            }),
        }
    }

    /// Key and value that say this in the metadata of a file.
    pub fn metadata(&self) -> (String, String) {
        (KEY.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }
}
