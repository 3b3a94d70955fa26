//! What ONNX files say of themselves.

use std::collections::BTreeMap;

use prost::Message;
use tract_onnx::pb::ModelProto;

use crate::error::NnError;

/// Keys and values in the metadata of the ONNX file in `bytes`.
///
/// # Errors
/// [`NnError::File`] where the bytes are no ONNX file.
pub fn metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>, NnError> {
    let model = ModelProto::decode(bytes)
        .map_err(|error| NnError::File { problem: format!("no ONNX model: {error}") })?;
    Ok(model.metadata_props.into_iter().map(|property| (property.key, property.value)).collect())
}
