//! What the file of a depth network says of itself.

use serde::{Deserialize, Serialize};

use crate::error::VoError;

/// Where ONNX files hold the description, as JSON.
const KEY: &str = "kestrel.depth";

/// What the output of a depth network means. How its input is made stands beside it, as for every network
/// ([`nn::preprocess::Preprocessing`]).
///
/// ```
/// use kestrel_vo::{DepthDescription, DepthQuantity, OutputActivation};
///
/// // SfMLearner: 10 * sigmoid + 0.01 is the inverse depth; the sigmoid is the network's last layer.
/// let description = DepthDescription {
///     output: "disparity".to_owned(),
///     quantity: DepthQuantity::InverseDepth,
///     activation: OutputActivation::None,
///     slope: 10.0,
///     offset: 0.01,
///     metres_per_unit: None,
/// };
/// let (key, value) = description.metadata();
/// assert_eq!(key, "kestrel.depth");
/// assert!(value.contains("\"quantity\":\"inverse_depth\""));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthDescription {
    /// Name of the output that is read, `[1, 1, height, width]`; others are left alone.
    pub output: String,
    /// What `slope * activation(output) + offset` is.
    pub quantity: DepthQuantity,
    /// What is still to be done to the output's values.
    #[serde(default)]
    pub activation: OutputActivation,
    /// Factor of them then, not 0.
    pub slope: f32,
    /// Added to them then.
    pub offset: f32,
    /// Metres in one unit of depth; `None` where the network knows no scale, as one that learnt from a single camera.
    #[serde(default)]
    pub metres_per_unit: Option<f32>,
}

/// What a depth network tells of each pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthQuantity {
    /// One over the distance along the optical axis ("disparity").
    InverseDepth,
    /// The distance along the optical axis.
    Depth,
}

/// What a network leaves to its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputActivation {
    /// Nothing.
    #[default]
    None,
    /// The logistic function: eight bits hold logits of small and great values equally well.
    Sigmoid,
}

impl OutputActivation {
    pub(super) fn of(self, value: f32) -> f32 {
        match self {
            Self::None => value,
            Self::Sigmoid => 1.0 / (1.0 + (-value).exp()),
        }
    }
}

impl DepthDescription {
    /// What the metadata of the ONNX file in `bytes` says.
    ///
    /// # Errors
    /// [`VoError::Network`] where they are no ONNX file, [`VoError::Description`] where it describes no depth network.
    pub fn of_file(bytes: &[u8]) -> Result<Self, VoError> {
        let metadata = nn::metadata(bytes)?;
        let text = metadata.get(KEY).ok_or_else(|| VoError::Description {
            expected: "the metadata of a depth network (kestrel.depth)",
            found: "none".to_owned(),
        })?;
        let description: Self = serde_json::from_str(text).map_err(|error| VoError::Description {
            expected: "a description of output, quantity, slope and offset in kestrel.depth",
            found: error.to_string(),
        })?;
        description.check()
    }

    /// Key and value that say this in the metadata of a file.
    pub fn metadata(&self) -> (String, String) {
        (KEY.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }

    fn check(self) -> Result<Self, VoError> {
        let is_unit = self.metres_per_unit.is_none_or(|metres| metres.is_finite() && metres > 0.0);
        if self.slope.is_finite() && self.slope != 0.0 && self.offset.is_finite() && is_unit {
            return Ok(self);
        }
        let expected = "a finite slope other than 0, a finite offset and a unit above 0 in kestrel.depth";
        Err(VoError::Description { expected, found: format!("{self:?}") })
    }
}
