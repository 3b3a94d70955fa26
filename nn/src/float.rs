//! Nodes in floats, by tract.

use std::fmt;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto};
use tract_onnx::prelude::{
    DatumType, IntoTValue, TValue, TVec, Tensor, TractResult, TypedModel, TypedNode, TypedRunnableModel,
};
use tract_onnx::tract_core::ops::Cost;

use crate::error::NnError;
use crate::onnx;
use crate::tract::{guarded, runnable, typed};

/// Nodes of a network, each of which reads what others before it make, as tract runs them: in one piece, so that it can
/// fuse them.
pub struct FloatOp {
    runnable: Arc<TypedRunnableModel>,
    inputs: Vec<Vec<usize>>,
    nodes: Vec<FloatNode>,
    multiply_adds: u64,
    parameter_bytes: usize,
}

/// A node that runs in float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatNode {
    /// Its name, or that of its first output.
    pub name: String,
    /// What it computes, by the name that ONNX has for it.
    pub op: String,
}

impl fmt::Debug for FloatOp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FloatOp")
            .field("nodes", &self.nodes)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

/// Floats with a name and a shape.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [usize],
}

impl Named<'_> {
    fn port(&self) -> onnx::Port {
        onnx::Port { name: self.name.to_owned(), shape: self.shape.to_vec() }
    }
}

/// Nodes to be run in float, and what they read and make.
pub(crate) struct FloatSpec<'a> {
    pub(crate) model: &'a ModelProto,
    pub(crate) nodes: &'a [&'a NodeProto],
    pub(crate) inputs: &'a [Named<'a>],
    /// All that is constant.
    pub(crate) constants: Vec<TensorProto>,
    pub(crate) outputs: &'a [String],
}

/// What came out of a run.
pub(crate) struct FloatOutputs(TVec<TValue>);

impl FloatOutputs {
    /// Copies the output at `index`.
    ///
    /// # Errors
    /// [`NnError::File`] where there is none or it has another length.
    pub(crate) fn copy_to(&self, index: usize, values: &mut [f32]) -> Result<(), NnError> {
        let output = self.0.get(index).and_then(|output| output.try_as_plain_ram().ok());
        match output.as_ref().and_then(|output| output.as_slice::<f32>().ok()) {
            Some(output) if output.len() == values.len() => {
                values.copy_from_slice(output);
                Ok(())
            }
            _ => Err(NnError::File { problem: format!("a node in float without {} values", values.len()) }),
        }
    }
}

impl FloatOp {
    /// Prepares nodes; returns them with the shapes of their outputs.
    ///
    /// # Errors
    /// [`NnError::Node`], with the first node, where tract does not know one of them or the outputs are no floats of
    /// fixed shape.
    pub(crate) fn new(spec: FloatSpec<'_>) -> Result<(Self, Vec<Vec<usize>>), NnError> {
        let FloatSpec { model, nodes, inputs, constants, outputs } = spec;
        let node =
            |node: &&NodeProto| FloatNode { name: onnx::name(node).to_owned(), op: node.op_type.clone() };
        let nodes_of_model = nodes.iter().map(|&node| node.clone()).collect();
        let nodes: Vec<_> = nodes.iter().map(node).collect();
        let refuse = |problem: String| {
            let FloatNode { name, op } = nodes.first().cloned().unwrap_or_else(FloatNode::none);
            NnError::Node { node: name, op, problem }
        };
        let parameter_bytes = constants.iter().map(|constant| constant.raw_data.len()).sum();
        let output = |name: &String| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() };
        let graph = GraphProto {
            node: nodes_of_model,
            name: "float".into(),
            initializer: constants,
            input: inputs.iter().map(|input| input.port().to_proto()).collect(),
            output: outputs.iter().map(output).collect(),
            ..GraphProto::default()
        };
        let model = ModelProto { graph: Some(graph), ..model.clone() };
        let prepared = guarded(|| typed(&model)?.into_decluttered());
        let typed = prepared.map_err(|error| refuse(format!("tract can't prepare it: {error}")))?;
        let shapes = (0..outputs.len()).map(|index| output_shape(&typed, index)).collect::<Option<Vec<_>>>();
        let shapes =
            shapes.ok_or_else(|| refuse("expected outputs of f32 and fixed shape, with values".into()))?;
        let multiply_adds = multiply_adds(&typed);
        let runnable = guarded(|| runnable(typed));
        let runnable = runnable.map_err(|error| refuse(format!("tract can't run it: {error}")))?;
        let inputs = inputs.iter().map(|input| input.shape.to_vec()).collect();
        Ok((Self { runnable, inputs, nodes, multiply_adds, parameter_bytes }, shapes))
    }

    /// The nodes, in the order in which they are computed.
    pub fn nodes(&self) -> &[FloatNode] {
        &self.nodes
    }

    /// What it computes, by the name that ONNX has for it where it is one node.
    pub fn name(&self) -> &str {
        match &*self.nodes {
            [node] => &node.op,
            _ => "float nodes",
        }
    }

    /// Multiplications with an addition each.
    pub fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }

    /// Bytes of its constants.
    pub fn parameter_bytes(&self) -> usize {
        self.parameter_bytes
    }

    /// Computes the outputs.
    ///
    /// # Errors
    /// [`NnError::File`] where tract fails.
    pub(crate) fn run<'a>(&self, inputs: impl Iterator<Item = &'a [f32]>) -> Result<FloatOutputs, NnError> {
        let tensor =
            |(shape, input): (&Vec<usize>, &[f32])| Ok(Tensor::from_shape(shape, input)?.into_tvalue());
        let values = self.inputs.iter().zip(inputs).map(tensor);
        let result = guarded(|| self.runnable.run(values.collect::<TractResult<_>>()?));
        let problem = |error| NnError::File { problem: format!("a node that tract can't run: {error}") };
        result.map(FloatOutputs).map_err(problem)
    }
}

impl FloatNode {
    fn none() -> Self {
        Self { name: String::new(), op: String::new() }
    }
}

/// What tract counts as multiplications with an addition.
fn multiply_adds(model: &TypedModel) -> u64 {
    let of_node = |node: &TypedNode| -> Option<i64> {
        let costs = node.op.cost(&model.node_input_facts(node.id).ok()?).ok()?;
        let counts = costs.iter().filter(|(cost, _)| matches!(cost, Cost::FMA(_)));
        counts.map(|(_, count)| count.to_i64().ok()).sum()
    };
    model.nodes().iter().filter_map(of_node).sum::<i64>().try_into().unwrap_or(0)
}

/// Floats as a constant of a model.
pub(crate) fn float_tensor(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&length| length as i64).collect(),
        data_type: tensor_proto::DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

fn output_shape(model: &TypedModel, index: usize) -> Option<Vec<usize>> {
    let fact = model.output_fact(index).ok()?;
    let is_float = fact.datum_type == DatumType::F32;
    fact.shape.as_concrete().filter(|shape| is_float && !shape.contains(&0)).map(<[usize]>::to_vec)
}
