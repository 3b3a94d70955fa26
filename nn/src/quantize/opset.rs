//! Networks of older operator sets. Scales for each channel came with set 13.

use std::collections::BTreeMap;

use tract_onnx::pb::NodeProto;

use crate::error::NnError;
use crate::onnx::{self, Constant, Graph, Values};

/// The set that brought `DequantizeLinear` along an axis.
const NEEDED: i64 = 13;

/// The oldest set that can be told in terms of the one needed.
const OLDEST: i64 = 11;

/// Ops that take their list of whole numbers as an input since set 13, and the attribute that held it before.
const BECAME_INPUTS: &[(&str, &str)] =
    &[("Squeeze", "axes"), ("Unsqueeze", "axes"), ("ReduceSum", "axes"), ("Split", "split")];

/// Ops that flattened their input at the axis before set 13.
const FLATTENED: &[&str] = &["Softmax", "LogSoftmax", "Hardmax"];

/// Tells the graph in operator set 13 where it is of an older one.
///
/// # Errors
/// [`NnError::File`] where it is older than set 11, [`NnError::Node`] with a node that set 13 can't tell.
pub(super) fn upgrade(graph: &mut Graph) -> Result<(), NnError> {
    let imports = &mut graph.model.opset_import;
    let import = imports.iter_mut().find(|import| import.domain.is_empty() || import.domain == "ai.onnx");
    let found = import.as_ref().map_or(0, |import| import.version);
    if found < OLDEST {
        let problem = format!("one of operator set {found}; expected {OLDEST} or newer, {NEEDED} at best");
        return Err(NnError::File { problem });
    }
    let Some(import) = import.filter(|_| found < NEEDED) else { return Ok(()) };
    import.version = NEEDED;
    for node in &mut graph.nodes {
        upgrade_node(node, &mut graph.constants)?;
    }
    graph.index();
    Ok(())
}

fn upgrade_node(node: &mut NodeProto, constants: &mut BTreeMap<String, Constant>) -> Result<(), NnError> {
    if FLATTENED.contains(&&*node.op_type) && onnx::int(node, "axis") != Some(-1) {
        return Err(NnError::Node {
            node: onnx::name(node).to_owned(),
            op: node.op_type.clone(),
            problem: format!(
                "its axis meant another thing before operator set {NEEDED}; export the network for that set"
            ),
        });
    }
    let became = BECAME_INPUTS.iter().find(|(op, _)| *op == node.op_type);
    if let Some((_, attribute)) = became
        && let Some(numbers) = onnx::ints(node, attribute)
    {
        let name = format!("{}_{attribute}", onnx::name(node));
        let constant = Constant { shape: vec![numbers.len()], values: Values::I64(numbers.to_vec()) };
        constants.insert(name.clone(), constant);
        node.attribute.retain(|held| held.name != *attribute);
        node.input.push(name);
    }
    Ok(())
}
