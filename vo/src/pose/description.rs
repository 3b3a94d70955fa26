//! What the file of a pose network says of itself.

use serde::{Deserialize, Serialize};

use crate::error::VoError;

/// Where ONNX files hold the description, as JSON.
const KEY: &str = "kestrel.pose";

/// What the outputs of a pose network mean: those of [`crate::networks::LightPose`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoseDescription {
    /// What the means of `translation` and `rotation` are multiplied by: then they are a translation in the unit of the
    /// depth network that learnt with it, and a rotation vector in radians.
    pub unit: f32,
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
