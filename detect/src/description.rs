//! What the file of a detector says of itself.

use serde::{Deserialize, Serialize};

use crate::error::DetectError;
use crate::priors::Level;

/// Where ONNX files hold the description, as JSON.
const KEY: &str = "kestrel.detector";

/// What the outputs of a detector's network mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Priors of each feature map, in the order of the outputs `scores_STRIDE` and `boxes_STRIDE`.
    pub levels: Vec<Level>,
    /// Below this score nothing is reported.
    pub score_threshold: f32,
    /// Of boxes of one class that overlap by more than this, one stays.
    pub max_iou: f32,
}

impl Description {
    /// What the metadata of the ONNX file in `bytes` says.
    ///
    /// # Errors
    /// [`DetectError::Network`] where they are no ONNX file, [`DetectError::Description`] where it describes no detector.
    pub fn of_file(bytes: &[u8]) -> Result<Self, DetectError> {
        let metadata = nn::metadata(bytes)?;
        let text = metadata.get(KEY).ok_or_else(|| DetectError::Description {
            expected: "the metadata of a detector, written by `kestrel train detector`",
            found: format!("no `{KEY}`"),
        })?;
        let description: Self = serde_json::from_str(text).map_err(|error| DetectError::Description {
            expected: "a description of classes and priors",
            found: error.to_string(),
        })?;
        description.check()
    }

    /// Key and value that say this in the metadata of a file.
    pub fn metadata(&self) -> (String, String) {
        let text = serde_json::to_string(self).unwrap_or_default();
        (KEY.to_owned(), text)
    }

    fn check(self) -> Result<Self, DetectError> {
        let is_positive = |shape: &[f32; 2]| shape.iter().all(|side| side.is_finite() && *side > 0.0);
        let are_levels_sound = self.levels.iter().all(|level| {
            level.stride > 0 && !level.shapes.is_empty() && level.shapes.iter().all(is_positive)
        });
        let expected = "classes, and strides with shapes of positive size";
        if self.classes.is_empty() || self.levels.is_empty() || !are_levels_sound {
            return Err(DetectError::Description { expected, found: format!("{self:?}") });
        }
        Ok(self)
    }
}
