//! From the nodes of a file to the steps of a plan.
//!
//! A layer that lies between `DequantizeLinear` and `QuantizeLinear` becomes one step over bytes. All other nodes run in
//! float, with conversions where bytes meet floats.

use std::collections::BTreeMap;

use tract_onnx::pb::NodeProto;

use super::tail::{Tail, quantisation};
use super::value::{Bytes, Order, Value, Weights};
use super::{Buffer, BufferId, FloatId, Op, Plan, Step, arena, volume};
use crate::error::NnError;
use crate::float::{FloatOp, Named, float_tensor};
use crate::kernels::Quantisation;
use crate::onnx::{self, Graph, Port};

/// The plan of a graph.
///
/// # Errors
/// [`NnError::Node`] with the first node that can run neither on bytes nor in float.
pub(crate) fn lower(graph: &Graph) -> Result<Plan, NnError> {
    let mut lowering = Lowering::new(graph);
    let inputs = graph.inputs.iter().map(|port| {
        let float = lowering.new_float(port.shape.clone());
        lowering.values.insert(port.name.clone(), Value::Float(float));
        (port.clone(), float)
    });
    let inputs = inputs.collect();
    for index in 0..graph.nodes.len() {
        if !lowering.is_done[index] {
            lowering.node(&graph.nodes[index])?;
        }
    }
    let outputs = graph.outputs.iter().map(|name| lowering.output(name)).collect::<Result<_, _>>()?;
    let Lowering { steps, mut buffers, floats, .. } = lowering;
    let arena = arena::place(&steps, &mut buffers);
    Ok(Plan { steps, buffers, arena, floats, inputs, outputs })
}

/// A plan in the making.
pub(super) struct Lowering<'g> {
    pub(super) graph: &'g Graph,
    pub(super) steps: Vec<Step>,
    pub(super) values: BTreeMap<String, Value>,
    buffers: Vec<Buffer>,
    floats: Vec<Vec<usize>>,
    is_done: Vec<bool>,
}

impl<'g> Lowering<'g> {
    fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            steps: Vec::new(),
            values: BTreeMap::new(),
            buffers: Vec::new(),
            floats: Vec::new(),
            is_done: vec![false; graph.nodes.len()],
        }
    }

    fn node(&mut self, node: &NodeProto) -> Result<(), NnError> {
        let on_bytes = match &*node.op_type {
            "QuantizeLinear" => self.quantise(node),
            "DequantizeLinear" => self.dequantise(node),
            "Conv" => self.convolve(node),
            "Add" => self.add(node),
            "Concat" => self.concatenate(node),
            "Transpose" => self.transpose(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Identity" | "Dropout" => self.rename(node),
            _ => self.map(node),
        };
        if on_bytes.is_some() { Ok(()) } else { self.in_float(node) }
    }

    /// A new buffer of as many bytes as `shape` has values.
    pub(super) fn new_bytes(&mut self, shape: Vec<usize>, order: Order, quantisation: Quantisation) -> Bytes {
        self.buffers.push(Buffer { length: shape.iter().product(), offset: 0 });
        Bytes { buffer: self.buffers.len() - 1, shape, order, quantisation, is_read_once: false }
    }

    /// Adds a step.
    pub(super) fn push(&mut self, node: &NodeProto, op: Op) {
        self.steps.push(Step { node: onnx::name(node).to_owned(), op });
    }

    /// Names the bytes that a tail ends in, and passes over its nodes.
    pub(super) fn finish(&mut self, tail: Tail, bytes: Bytes) {
        for index in tail.nodes {
            self.is_done[index] = true;
        }
        self.values.insert(tail.output, Value::Bytes(bytes));
    }

    /// What the input of a node stands for, where that is bytes.
    pub(super) fn dequantised(&self, node: &NodeProto, index: usize) -> Option<&Bytes> {
        match self.values.get(node.input.get(index)?) {
            Some(Value::Dequantised(bytes)) => Some(bytes),
            _ => None,
        }
    }

    fn new_float(&mut self, shape: Vec<usize>) -> FloatId {
        self.floats.push(shape);
        self.floats.len() - 1
    }

    /// Bytes of floats, or of bytes in another scale.
    fn quantise(&mut self, node: &NodeProto) -> Option<()> {
        let to = quantisation(self.graph, node)?;
        let bytes = match self.values.get(&node.input[0])?.clone() {
            Value::Dequantised(bytes) if bytes.quantisation == to => bytes,
            Value::Dequantised(bytes) => {
                let table = bytes.quantisation.table_to(to, |value| value);
                self.mapped(node, &bytes, table, to)
            }
            Value::Float(input) => {
                let shape = self.floats[input].clone();
                let order = Order::of_image(&shape);
                let output = self.new_bytes(shape, order, to);
                let channels = output.channels();
                self.push(node, Op::Quantise { input, output: output.buffer, channels, quantisation: to });
                output
            }
            Value::Bytes(_) | Value::Weights(_) => return None,
        };
        self.values.insert(node.output[0].clone(), Value::Bytes(bytes));
        Some(())
    }

    /// No step: whoever reads the result knows what its bytes stand for.
    fn dequantise(&mut self, node: &NodeProto) -> Option<()> {
        let value = if let Some(constant) = self.graph.constant(node, 0) {
            Value::Weights(Weights::new(self.graph, node, constant)?)
        } else if let Some(Value::Bytes(bytes)) = self.values.get(&node.input[0]) {
            let readers = [&node.input[0], &node.output[0]];
            let is_read_once = readers.iter().all(|name| self.graph.only_reader(name).is_some());
            Value::Dequantised(Bytes {
                quantisation: quantisation(self.graph, node)?,
                is_read_once,
                ..bytes.clone()
            })
        } else {
            return None;
        };
        self.values.insert(node.output[0].clone(), value);
        Some(())
    }

    /// New bytes by a table.
    pub(super) fn mapped(
        &mut self,
        node: &NodeProto,
        bytes: &Bytes,
        table: Box<[u8; 256]>,
        to: Quantisation,
    ) -> Bytes {
        let output = self.new_bytes(bytes.shape.clone(), bytes.order, to);
        self.push(node, Op::Map { input: bytes.buffer, output: output.buffer, table });
        output
    }

    /// Hands a node to tract.
    fn in_float(&mut self, node: &NodeProto) -> Result<(), NnError> {
        let graph = self.graph;
        let (mut inputs, mut constants) = (Vec::new(), Vec::new());
        let mut names: Vec<_> = node.input.iter().filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if let Some(constant) = graph.constants.get(name) {
                constants.push(constant.to_proto(name));
            } else if let Some(Value::Weights(weights)) = self.values.get(name) {
                constants.push(float_tensor(name, &weights.shape, &weights.floats()));
            } else {
                inputs.push((name, self.float(node, name)?));
            }
        }
        let named: Vec<_> =
            inputs.iter().map(|(name, id)| Named { name, shape: &self.floats[*id] }).collect();
        let (model, shapes) = FloatOp::new(&graph.model, node, &named, constants)?;
        let mut outputs = Vec::new();
        for (name, shape) in node.output.iter().zip(shapes) {
            if volume(&shape).is_none() {
                let problem = format!("an output of shape {shape:?} does not fit memory");
                return Err(refusal(node, problem));
            }
            let float = self.new_float(shape);
            self.values.insert(name.clone(), Value::Float(float));
            outputs.push(float);
        }
        let inputs = inputs.into_iter().map(|(_, id)| id).collect();
        self.push(node, Op::Float { inputs, outputs, model });
        Ok(())
    }

    /// The floats of a tensor, dequantised if need be.
    fn float(&mut self, node: &NodeProto, name: &str) -> Result<FloatId, NnError> {
        match self.values.get(name).cloned() {
            Some(Value::Float(float)) => Ok(float),
            Some(Value::Dequantised(bytes)) => {
                let output = self.new_float(bytes.shape.clone());
                let (channels, quantisation) = (bytes.channels(), bytes.quantisation);
                self.push(node, Op::Dequantise { input: bytes.buffer, output, channels, quantisation });
                self.values.insert(name.to_owned(), Value::Float(output));
                Ok(output)
            }
            Some(Value::Bytes(_) | Value::Weights(_)) => {
                Err(refusal(node, format!("expected floats, found the quantised tensor {name}")))
            }
            None => Err(refusal(node, format!("nothing makes its input {name}"))),
        }
    }

    fn output(&mut self, name: &str) -> Result<(Port, FloatId), NnError> {
        let of_network =
            NodeProto { name: name.to_owned(), op_type: "output".into(), ..NodeProto::default() };
        let float = self.float(&of_network, name)?;
        Ok((Port { name: name.to_owned(), shape: self.floats[float].clone() }, float))
    }

    /// Whether the buffer's bytes come out of a convolution without table, which could apply one itself.
    pub(super) fn table_of(&mut self, buffer: BufferId) -> Option<&mut Option<Box<[u8; 256]>>> {
        let step = self.steps.iter_mut().rev().find(|step| step.op.writes() == Some(buffer))?;
        match &mut step.op {
            Op::Convolve { layer, .. } | Op::ConvolveDepthwise { layer, .. } => {
                Some(&mut layer.requantisation.table).filter(|table| table.is_none())
            }
            _ => None,
        }
    }
}

fn refusal(node: &NodeProto, problem: String) -> NnError {
    NnError::Node { node: onnx::name(node).to_owned(), op: node.op_type.clone(), problem }
}
