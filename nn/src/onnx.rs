//! ONNX files as graphs that can be asked: what makes a tensor, what reads it, what is constant.

use std::collections::BTreeMap;
use std::io::Cursor;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::Framework;

use crate::error::NnError;

/// A constant tensor, its last dimension varying fastest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// Values of the types that networks have constants of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
}

/// A named tensor of `f32` that goes into or comes out of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// Length of each dimension, the slowest first.
    pub shape: Vec<usize>,
}

/// A graph with its constants taken out.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) model: ModelProto,
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) constants: BTreeMap<String, Constant>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<String>,
    readers: BTreeMap<String, Vec<usize>>,
}

impl Graph {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`NnError::File`] where the bytes are no ONNX model or its inputs have no fixed shape; [`NnError::Node`] where a
    /// constant is broken.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, NnError> {
        let file = |problem: String| NnError::File { problem };
        let mut model = tract_onnx::onnx()
            .proto_model_for_read(&mut Cursor::new(bytes))
            .map_err(|error| file(format!("no ONNX model: {error:#}")))?;
        let graph = model.graph.take().ok_or_else(|| file("a model without a graph".into()))?;
        let mut constants = BTreeMap::new();
        for tensor in &graph.initializer {
            constants.insert(tensor.name.clone(), constant(tensor, &tensor.name, "Initializer")?);
        }
        let (held, nodes): (Vec<_>, Vec<_>) =
            graph.node.into_iter().partition(|node| node.op_type == "Constant");
        for node in held {
            if let Some(output) = node.output.first() {
                constants.insert(output.clone(), held_constant(&node)?);
            }
        }
        nodes.iter().try_for_each(check_arity)?;
        let inputs = graph.input.iter().filter(|input| !constants.contains_key(&input.name));
        let inputs = inputs.map(port).collect::<Result<_, _>>()?;
        let readers = readers(&nodes);
        let outputs = graph.output.into_iter().map(|output| output.name).collect();
        Ok(Self { model, nodes, constants, inputs, outputs, readers })
    }

    /// The same network with other nodes and constants.
    pub(crate) fn with(self, nodes: Vec<NodeProto>, constants: BTreeMap<String, Constant>) -> Self {
        let readers = readers(&nodes);
        Self { nodes, constants, readers, ..self }
    }

    /// Looks anew who reads what, after inputs of nodes have changed.
    pub(crate) fn index(&mut self) {
        self.readers = readers(&self.nodes);
    }

    /// The nodes that read `tensor`, one as often as it reads it.
    pub(crate) fn readers(&self, tensor: &str) -> &[usize] {
        self.readers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// Whether `tensor` comes out of the network.
    pub(crate) fn is_output(&self, tensor: &str) -> bool {
        self.outputs.iter().any(|output| output == tensor)
    }

    /// The file that holds this network, its outputs told as `outputs`; constants that nothing reads are left out.
    pub(crate) fn to_model(&self, outputs: &[Port]) -> ModelProto {
        let is_used = |name: &str| !self.readers(name).is_empty() || self.is_output(name);
        let used = self.constants.iter().filter(|(name, _)| is_used(name));
        let graph = GraphProto {
            name: "kestrel".into(),
            node: self.nodes.clone(),
            initializer: used.map(|(name, constant)| constant.to_proto(name)).collect(),
            input: self.inputs.iter().map(Port::to_proto).collect(),
            output: outputs.iter().map(Port::to_proto).collect(),
            ..GraphProto::default()
        };
        ModelProto { graph: Some(graph), ..self.model.clone() }
    }

    /// The one node that reads `tensor`, where there is just one and the tensor is no output of the network.
    pub(crate) fn only_reader(&self, tensor: &str) -> Option<usize> {
        match self.readers.get(tensor).map(Vec::as_slice) {
            Some(&[reader]) if !self.is_output(tensor) => Some(reader),
            _ => None,
        }
    }

    /// The constant that is input `index` of `node`.
    pub(crate) fn constant(&self, node: &NodeProto, index: usize) -> Option<&Constant> {
        self.constants.get(node.input.get(index)?)
    }
}

impl Constant {
    /// The values, where they are `f32`.
    pub(crate) fn floats(&self) -> Option<&[f32]> {
        match &self.values {
            Values::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The first value, of whatever type.
    pub(crate) fn first_number(&self) -> Option<f64> {
        let whole = || Some(*self.integers()?.first()? as f64);
        self.floats().and_then(|values| values.first()).map(|&value| value.into()).or_else(whole)
    }

    /// The constant as a file has it.
    pub(crate) fn to_proto(&self, name: &str) -> TensorProto {
        let (data_type, raw_data) = match &self.values {
            Values::I8(values) => {
                (DataType::Int8, values.iter().map(|value| value.cast_unsigned()).collect())
            }
            Values::U8(values) => (DataType::Uint8, values.clone()),
            Values::I32(values) => (DataType::Int32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Values::I64(values) => (DataType::Int64, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Values::F32(values) => (DataType::Float, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        };
        TensorProto {
            name: name.to_owned(),
            dims: self.shape.iter().map(|&length| length as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..TensorProto::default()
        }
    }

    /// The values, where they are whole numbers of any size.
    pub(crate) fn integers(&self) -> Option<Vec<i64>> {
        match &self.values {
            Values::I8(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::U8(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::I32(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::I64(values) => Some(values.clone()),
            Values::F32(_) => None,
        }
    }
}

impl Port {
    /// The port as a file has it.
    pub(crate) fn to_proto(&self) -> ValueInfoProto {
        let dimension = |&length: &usize| tensor_shape_proto::Dimension {
            value: Some(Dimension::DimValue(length as i64)),
            ..tensor_shape_proto::Dimension::default()
        };
        let shape = TensorShapeProto { dim: self.shape.iter().map(dimension).collect() };
        let elem_type = DataType::Float as i32;
        let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape: Some(shape) });
        let r#type = Some(TypeProto { value: Some(value), ..TypeProto::default() });
        ValueInfoProto { name: self.name.clone(), r#type, ..ValueInfoProto::default() }
    }
}

fn readers(nodes: &[NodeProto]) -> BTreeMap<String, Vec<usize>> {
    let mut readers = BTreeMap::<_, Vec<usize>>::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            readers.entry(name.clone()).or_default().push(index);
        }
    }
    readers
}

/// Whole numbers of an attribute.
pub(crate) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| &*attribute.ints)
}

/// The whole number of an attribute.
pub(crate) fn int(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

/// The number of an attribute.
pub(crate) fn float(node: &NodeProto, name: &str) -> Option<f32> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.f)
}

/// The text of an attribute.
pub(crate) fn text<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [u8]> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| &*attribute.s)
}

/// The name of a node, or of what it makes where it has none.
pub(crate) fn name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

fn port(value: &ValueInfoProto) -> Result<Port, NnError> {
    let refuse = |problem: &str| NnError::File { problem: format!("input {}: {problem}", value.name) };
    let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(refuse("expected a tensor"));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(refuse("expected values of f32"));
    }
    let Some(shape) = &tensor.shape else { return Err(refuse("expected a shape")) };
    let shape = shape.dim.iter().map(|dimension| match dimension.value {
        Some(Dimension::DimValue(length)) if length > 0 => usize::try_from(length).ok(),
        _ => None,
    });
    let shape: Option<Vec<_>> = shape.collect();
    let shape = shape.ok_or_else(|| refuse("expected a fixed length above zero for each dimension"))?;
    crate::plan::volume(&shape).ok_or_else(|| refuse("expected a tensor that fits memory"))?;
    Ok(Port { name: value.name.clone(), shape })
}

/// `Ok` where a node has as many inputs and outputs as everyone takes for granted.
fn check_arity(node: &NodeProto) -> Result<(), NnError> {
    let least = if node.op_type.ends_with("uantizeLinear") { 2 } else { 0 };
    let found = [node.input.len(), node.output.iter().take_while(|output| !output.is_empty()).count()];
    if found[0] >= least && found[1] > 0 {
        return Ok(());
    }
    let problem = format!("expected {least} inputs and one output or more, found {found:?}");
    Err(NnError::Node { node: name(node).to_owned(), op: node.op_type.clone(), problem })
}

/// What a `Constant` holds, in one of the forms that ONNX has for it.
fn held_constant(node: &NodeProto) -> Result<Constant, NnError> {
    let held = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    let vector = |values: Values| Constant { shape: vec![values.len()], values };
    let scalar = |values| Constant { shape: Vec::new(), values };
    let tensor = held("value").and_then(|attribute| attribute.t.as_ref());
    if let Some(tensor) = tensor {
        return constant(tensor, name(node), &node.op_type);
    }
    let number = held("value_float").map(|attribute| scalar(Values::F32(vec![attribute.f])));
    let constant = number
        .or_else(|| held("value_floats").map(|attribute| vector(Values::F32(attribute.floats.clone()))))
        .or_else(|| held("value_int").map(|attribute| scalar(Values::I64(vec![attribute.i]))))
        .or_else(|| held("value_ints").map(|attribute| vector(Values::I64(attribute.ints.clone()))))
        .ok_or_else(|| NnError::Node {
            node: name(node).to_owned(),
            op: node.op_type.clone(),
            problem: "expected numbers in a dense tensor or list".into(),
        });
    finite(constant?, name(node), &node.op_type)
}

/// The constant, where its floats are numbers. A single one may be infinite, as bounds are.
fn finite(constant: Constant, node: &str, op: &str) -> Result<Constant, NnError> {
    let values = constant.floats().unwrap_or_default();
    let is_number = |value: f32| value.is_finite() || (values.len() == 1 && value.is_infinite());
    match values.iter().find(|value| !is_number(**value)) {
        None => Ok(constant),
        Some(value) => {
            let problem = format!("expected finite values, found {value}");
            Err(NnError::Node { node: node.to_owned(), op: op.to_owned(), problem })
        }
    }
}

/// The constant that `tensor` is, which `node` holds.
///
/// # Errors
/// [`NnError::Node`] where it is in another file, is not as long as it says, or holds what is no number.
pub(crate) fn constant(tensor: &TensorProto, node: &str, op: &str) -> Result<Constant, NnError> {
    let refuse = |problem: String| NnError::Node { node: node.to_owned(), op: op.to_owned(), problem };
    if tensor.data_location == Some(1) || !tensor.external_data.is_empty() {
        return Err(refuse("its values lie in another file, which is not read".into()));
    }
    let shape: Result<Vec<_>, _> = tensor.dims.iter().map(|&length| usize::try_from(length)).collect();
    let shape =
        shape.map_err(|_| refuse(format!("expected lengths of dimensions, found {:?}", tensor.dims)))?;
    let expected =
        crate::plan::volume(&shape).ok_or_else(|| refuse(format!("{shape:?} does not fit memory")))?;
    let values = values(tensor).ok_or_else(|| refuse(format!("values of ONNX type {}", tensor.data_type)))?;
    let found = values.len();
    if found != expected {
        return Err(refuse(format!("expected {expected} values for {shape:?}, found {found}")));
    }
    finite(Constant { shape, values }, node, op)
}

fn values(tensor: &TensorProto) -> Option<Values> {
    let raw = &tensor.raw_data;
    let narrow = |small: &[i32]| small.iter().map(|&value| value as u8).collect::<Vec<_>>();
    Some(match DataType::try_from(tensor.data_type).ok()? {
        DataType::Uint8 if raw.is_empty() => Values::U8(narrow(&tensor.int32_data)),
        DataType::Uint8 => Values::U8(raw.clone()),
        DataType::Int8 if raw.is_empty() => {
            Values::I8(narrow(&tensor.int32_data).into_iter().map(u8::cast_signed).collect())
        }
        DataType::Int8 => Values::I8(raw.iter().map(|&byte| byte.cast_signed()).collect()),
        DataType::Int32 if raw.is_empty() => Values::I32(tensor.int32_data.clone()),
        DataType::Int32 => Values::I32(little_endian(raw, i32::from_le_bytes)?),
        DataType::Int64 if raw.is_empty() => Values::I64(tensor.int64_data.clone()),
        DataType::Int64 => Values::I64(little_endian(raw, i64::from_le_bytes)?),
        DataType::Float if raw.is_empty() => Values::F32(tensor.float_data.clone()),
        DataType::Float => Values::F32(little_endian(raw, f32::from_le_bytes)?),
        _ => return None,
    })
}

fn little_endian<T, const N: usize>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (chunks, rest) = raw.as_chunks();
    rest.is_empty().then(|| chunks.iter().map(|&chunk| value(chunk)).collect())
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::I8(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }
}
