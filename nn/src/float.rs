//! Nodes in floats, by tract.

use std::fmt;
use std::sync::Arc;

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto, tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, Tensor, TractResult, TypedModel,
    TypedRunnableModel, tvec,
};

use crate::error::NnError;
use crate::onnx;

/// One node of a network as tract runs it.
pub struct FloatOp {
    runnable: Arc<TypedRunnableModel>,
    inputs: Vec<Vec<usize>>,
    name: String,
    multiply_adds: u64,
    parameter_bytes: usize,
}

impl fmt::Debug for FloatOp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FloatOp")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

/// Floats with a name and a shape.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [usize],
}

impl FloatOp {
    /// Prepares `node` of `model`, whose `inputs` are tensors and `constants` all that is constant; returns it with the
    /// shapes of its outputs.
    ///
    /// # Errors
    /// [`NnError::Node`] where tract does not know the node or its outputs are no floats of fixed shape.
    pub(crate) fn new(
        model: &ModelProto,
        node: &NodeProto,
        inputs: &[Named<'_>],
        constants: Vec<TensorProto>,
    ) -> Result<(Self, Vec<Vec<usize>>), NnError> {
        let refuse = |problem: String| NnError::Node {
            node: onnx::name(node).to_owned(),
            op: node.op_type.clone(),
            problem,
        };
        let parameter_bytes = constants.iter().map(|constant| constant.raw_data.len()).sum();
        let shape_of = |index: usize| shape_of(node.input.get(index)?, inputs, &constants);
        let weights = [shape_of(0), shape_of(1)];
        let graph = GraphProto {
            node: vec![node.clone()],
            name: onnx::name(node).to_owned(),
            initializer: constants,
            input: inputs.iter().map(value_info).collect(),
            output: node
                .output
                .iter()
                .map(|name| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() })
                .collect(),
            ..GraphProto::default()
        };
        let model = ModelProto { graph: Some(graph), ..model.clone() };
        let typed = typed(&model).map_err(|error| refuse(format!("tract can't prepare it: {error:#}")))?;
        let shapes =
            (0..node.output.len()).map(|index| output_shape(&typed, index)).collect::<Option<Vec<_>>>();
        let shapes = shapes.ok_or_else(|| refuse("expected outputs of f32 and fixed shape".into()))?;
        let runnable =
            typed.into_runnable().map_err(|error| refuse(format!("tract can't run it: {error:#}")))?;
        let op = Self {
            runnable,
            inputs: inputs.iter().map(|input| input.shape.to_vec()).collect(),
            name: node.op_type.clone(),
            multiply_adds: multiply_adds(node, &weights, &shapes).unwrap_or(0),
            parameter_bytes,
        };
        Ok((op, shapes))
    }

    /// What it computes, by the name that ONNX has for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Multiplications with an addition each; none for nodes without weights.
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
    pub(crate) fn run(&self, inputs: &[&[f32]], mut write: impl FnMut(usize, &[f32])) -> Result<(), NnError> {
        let result: TractResult<()> = (|| {
            let mut values = tvec!();
            for (shape, input) in self.inputs.iter().zip(inputs) {
                values.push(Tensor::from_shape(shape, input)?.into_tvalue());
            }
            for (index, output) in self.runnable.run(values)?.iter().enumerate() {
                write(index, output.try_as_plain_ram()?.as_slice::<f32>()?);
            }
            Ok(())
        })();
        result.map_err(|error| NnError::File { problem: format!("a node that tract can't run: {error:#}") })
    }
}

/// The shape of what a node reads by this name.
fn shape_of(name: &str, inputs: &[Named<'_>], constants: &[TensorProto]) -> Option<Vec<usize>> {
    if let Some(input) = inputs.iter().find(|input| input.name == name) {
        return Some(input.shape.to_vec());
    }
    let constant = constants.iter().find(|constant| constant.name == name)?;
    constant.dims.iter().map(|&length| usize::try_from(length).ok()).collect()
}

/// Each value of a convolution's output takes as many as a filter has weights, each value of a product of matrices as
/// many as a row of the left one has.
fn multiply_adds(node: &NodeProto, inputs: &[Option<Vec<usize>>; 2], outputs: &[Vec<usize>]) -> Option<u64> {
    let volume = |shape: &[usize]| shape.iter().product::<usize>() as u64;
    let [Some(left), Some(right)] = inputs else { return None };
    match &*node.op_type {
        "Conv" => Some(volume(outputs.first()?) * volume(right.get(1..)?)),
        "ConvTranspose" => Some(volume(left) * volume(right.get(1..)?)),
        "MatMul" | "Gemm" => Some(volume(outputs.first()?) * *left.last()? as u64),
        _ => None,
    }
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

fn typed(model: &ModelProto) -> TractResult<TypedModel> {
    tract_onnx::onnx().model_for_proto_model(model)?.into_optimized()
}

fn output_shape(model: &TypedModel, index: usize) -> Option<Vec<usize>> {
    let fact = model.output_fact(index).ok()?;
    let is_float = fact.datum_type == tract_onnx::prelude::DatumType::F32;
    fact.shape.as_concrete().filter(|_| is_float).map(<[usize]>::to_vec)
}

fn value_info(input: &Named<'_>) -> ValueInfoProto {
    let dimension = |&length: &usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(length as i64)),
        ..tensor_shape_proto::Dimension::default()
    };
    let shape = TensorShapeProto { dim: input.shape.iter().map(dimension).collect() };
    let elem_type = tensor_proto::DataType::Float as i32;
    let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape: Some(shape) });
    let r#type = Some(TypeProto { value: Some(value), ..TypeProto::default() });
    ValueInfoProto { name: input.name.to_owned(), r#type, ..ValueInfoProto::default() }
}
