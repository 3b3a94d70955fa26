//! From the nodes of a file to the steps of a plan.
//!
//! A layer that lies between `DequantizeLinear` and `QuantizeLinear` becomes one step over bytes. All other nodes run in
//! float, with conversions where bytes meet floats.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::NodeProto;

use super::tail::{Tail, quantisation};
use super::value::{Bytes, Order, Value, Weights};
use super::{Buffer, BufferId, FloatId, Op, Plan, Step, arena, budget, expansions, in_place, volume};
use crate::error::NnError;
use crate::float::{FloatOp, FloatSpec, Named, float_tensor};
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
    let inputs: Vec<_> = inputs.collect();
    for index in 0..graph.nodes.len() {
        if !lowering.is_done[index] {
            lowering.node(index)?;
        }
    }
    lowering.run_pending()?;
    let outputs: Vec<_> = graph.outputs.iter().map(|name| lowering.output(name)).collect::<Result<_, _>>()?;
    let Lowering { mut steps, mut buffers, floats, .. } = lowering;
    in_place::write_parts_in_place(&mut steps, &buffers);
    expansions::fuse(&mut steps, &mut buffers);
    let arena = arena::place(&steps, &mut buffers);
    let lengths: Vec<_> = floats.iter().map(|shape| shape.iter().product()).collect();
    let kept = inputs.iter().chain(&outputs).map(|&(_, id)| id);
    let float_places = arena::place_floats(&steps, &lengths, kept);
    let plan = Plan { steps, buffers, arena, floats, float_places, inputs, outputs };
    budget::check(&plan)?;
    Ok(plan)
}

/// A plan in the making.
pub(super) struct Lowering<'g> {
    pub(super) graph: &'g Graph,
    pub(super) steps: Vec<Step>,
    pub(super) values: BTreeMap<String, Value>,
    buffers: Vec<Buffer>,
    floats: Vec<Vec<usize>>,
    /// Tensors of bytes that exist as floats as well.
    as_floats: BTreeMap<String, FloatId>,
    /// Nodes that will run in float, all together.
    pending: Vec<usize>,
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
            as_floats: BTreeMap::new(),
            pending: Vec::new(),
            is_done: vec![false; graph.nodes.len()],
        }
    }

    /// Makes steps of a node, or leaves it to those that run in float. What reads its result there waits with it.
    fn node(&mut self, index: usize) -> Result<(), NnError> {
        let node = &self.graph.nodes[index];
        if node.op_type == "QuantizeLinear" && self.is_pending(node.input.first()) {
            self.run_pending()?;
        }
        let on_bytes = match &*node.op_type {
            "QuantizeLinear" => self.quantise(node),
            "DequantizeLinear" => self.dequantise(node),
            "Conv" => self.convolve(node),
            "ConvTranspose" => self.convolve_transposed(node),
            "MaxPool" => self.max_pool(node),
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" => self.average_pool(node),
            "Resize" | "Upsample" => self.resize(node),
            "Slice" => self.slice(node),
            "Gather" => self.gather(node),
            "Add" => self.add(node),
            "Concat" => self.concatenate(node),
            "Transpose" => self.transpose(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Identity" | "Dropout" => self.rename(node),
            _ => self.apply(node),
        };
        let is_done = on_bytes.is_some()
            || (matches!(&*node.op_type, "Conv" | "ConvTranspose") && self.convolve_floats(node)?.is_some());
        if !is_done {
            self.pending.push(index);
        }
        Ok(())
    }

    pub(super) fn is_pending(&self, tensor: Option<&String>) -> bool {
        let makes = |&index: &usize| self.graph.nodes[index].output.iter().any(|name| Some(name) == tensor);
        self.pending.iter().any(makes)
    }

    /// A new buffer of as many bytes as `shape` has values.
    pub(super) fn new_bytes(&mut self, shape: Vec<usize>, order: Order, quantisation: Quantisation) -> Bytes {
        let length = volume(&shape).unwrap_or(budget::TOO_MUCH);
        self.buffers.push(Buffer { length, offset: 0 });
        Bytes {
            buffer: self.buffers.len() - 1,
            shape,
            order,
            quantisation,
            is_read_once: true,
            function: None,
        }
    }

    /// Adds a step.
    pub(super) fn push(&mut self, node: &NodeProto, op: Op) {
        self.steps.push(Step { node: onnx::name(node).to_owned(), op });
    }

    /// Takes nodes as done.
    pub(super) fn pass_over(&mut self, nodes: impl IntoIterator<Item = usize>) {
        for index in nodes {
            self.is_done[index] = true;
        }
    }

    /// Names the bytes that a tail ends in, and passes over its nodes.
    pub(super) fn finish(&mut self, tail: Tail, bytes: Bytes) {
        self.pass_over(tail.nodes);
        self.values.insert(tail.output, Value::Bytes(bytes));
    }

    /// What the input of a node stands for, where that is bytes.
    pub(super) fn dequantised(&self, node: &NodeProto, index: usize) -> Option<&Bytes> {
        self.function_of_bytes(node, index).filter(|bytes| bytes.function.is_none())
    }

    /// What the input of a node stands for, where that is bytes or a function of bytes.
    pub(super) fn function_of_bytes(&self, node: &NodeProto, index: usize) -> Option<&Bytes> {
        match self.values.get(node.input.get(index)?) {
            Some(Value::Dequantised(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn new_float(&mut self, shape: Vec<usize>) -> FloatId {
        self.floats.push(shape);
        self.floats.len() - 1
    }

    /// The shape of a tensor of floats.
    pub(super) fn float_shape(&self, float: FloatId) -> &[usize] {
        &self.floats[float]
    }

    /// Bytes of floats, or of bytes in another scale.
    fn quantise(&mut self, node: &NodeProto) -> Option<()> {
        let to = quantisation(self.graph, node)?;
        let bytes = match self.values.get(&node.input[0])?.clone() {
            Value::Dequantised(bytes) if bytes.quantisation == to && bytes.function.is_none() => bytes,
            Value::Dequantised(bytes) => self.mapped(node, bytes, to),
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
            let is_read_once =
                bytes.is_read_once && readers.iter().all(|name| self.graph.only_reader(name).is_some());
            Value::Dequantised(Bytes {
                quantisation: quantisation(self.graph, node)?,
                is_read_once,
                function: None,
                ..bytes.clone()
            })
        } else {
            return None;
        };
        self.values.insert(node.output[0].clone(), value);
        Some(())
    }

    /// Bytes in another quantisation, by a table; within the layer that makes them where that can be.
    fn mapped(&mut self, node: &NodeProto, bytes: Bytes, to: Quantisation) -> Bytes {
        let table = bytes.table_to(to);
        if self.is_mapped_before(&bytes, &table) {
            return Bytes { quantisation: to, function: None, ..bytes };
        }
        let output = self.new_bytes(bytes.shape, bytes.order, to);
        self.push(node, Op::Map { input: bytes.buffer, output: output.buffer, table });
        output
    }

    /// Has the layers that make bytes look them up in a table; whether they can.
    pub(super) fn is_mapped_before(&mut self, bytes: &Bytes, table: &[u8; 256]) -> bool {
        let can_be = bytes.is_read_once && self.takes_table(bytes.buffer);
        if can_be {
            self.add_table(bytes.buffer, table);
        }
        can_be
    }

    /// Whether the layers that make these bytes could look them up in a table.
    fn takes_table(&self, buffer: BufferId) -> bool {
        let mut writers = self.steps.iter().filter(|step| step.op.writes() == Some(buffer)).peekable();
        let takes = |step: &Step| match &step.op {
            Op::Convolve { .. } | Op::ConvolveDepthwise { .. } => true,
            Op::Select { input, .. } => self.takes_table(*input),
            _ => false,
        };
        writers.peek().is_some() && writers.all(takes)
    }

    fn add_table(&mut self, buffer: BufferId, table: &[u8; 256]) {
        let mut before = None;
        for step in self.steps.iter_mut().filter(|step| step.op.writes() == Some(buffer)) {
            match &mut step.op {
                Op::Convolve { layer, .. } | Op::ConvolveDepthwise { layer, .. } => {
                    layer.requantisation.then(table);
                }
                Op::Select { input, .. } => before = Some(*input),
                _ => {}
            }
        }
        if let Some(before) = before {
            self.add_table(before, table);
        }
    }

    /// Has the nodes that wait for it run in float, as one piece where tract can.
    ///
    /// # Errors
    /// [`NnError::Node`] with the first of them that can't be run.
    pub(super) fn run_pending(&mut self) -> Result<(), NnError> {
        let pending = std::mem::take(&mut self.pending);
        match self.in_float(&pending) {
            Err(_) if pending.len() > 1 => pending.iter().try_for_each(|&index| self.in_float(&[index])),
            result => result,
        }
    }

    /// Hands nodes to tract.
    fn in_float(&mut self, indices: &[usize]) -> Result<(), NnError> {
        let graph = self.graph;
        let nodes: Vec<_> = indices.iter().map(|&index| &graph.nodes[index]).collect();
        let Some(&first) = nodes.first() else { return Ok(()) };
        let made: BTreeSet<_> = nodes.iter().flat_map(|node| &node.output).collect();
        let (mut inputs, mut constants) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (node, name) in nodes.iter().flat_map(|&node| node.input.iter().map(move |name| (node, name))) {
            if name.is_empty() || made.contains(name) || !seen.insert(name) {
                continue;
            }
            if let Some(constant) = graph.constants.get(name) {
                constants.push(constant.to_proto(name));
            } else if let Some(Value::Weights(weights)) = self.values.get(name) {
                constants.push(float_tensor(name, &weights.shape, &weights.floats()));
            } else {
                inputs.push((name, self.float(node, name)?));
            }
        }
        let is_needed = |name: &&&String| {
            let mut readers = graph.readers(name).iter();
            !name.is_empty()
                && (graph.outputs.contains(name) || readers.any(|reader| !indices.contains(reader)))
        };
        let outputs: Vec<_> = made.iter().filter(is_needed).map(|&name| name.clone()).collect();
        let named: Vec<_> =
            inputs.iter().map(|(name, id)| Named { name, shape: &self.floats[*id] }).collect();
        let spec =
            FloatSpec { model: &graph.model, nodes: &nodes, inputs: &named, constants, outputs: &outputs };
        let (model, shapes) = FloatOp::new(spec)?;
        if let Some(shape) = shapes.iter().find(|shape| volume(shape).is_none()) {
            return Err(refusal(first, format!("an output of shape {shape:?} does not fit memory")));
        }
        let outputs = outputs.into_iter().zip(shapes).map(|(name, shape)| {
            let float = self.new_float(shape);
            self.values.insert(name, Value::Float(float));
            float
        });
        let outputs = outputs.collect();
        let inputs = inputs.into_iter().map(|(_, id)| id).collect();
        self.push(first, Op::Float { inputs, outputs, model });
        Ok(())
    }

    /// The floats of a tensor, dequantised if need be.
    fn float(&mut self, node: &NodeProto, name: &str) -> Result<FloatId, NnError> {
        match self.values.get(name).cloned() {
            Some(Value::Float(float)) => Ok(float),
            Some(Value::Dequantised(bytes)) => Ok(self.in_floats(node, name, &bytes)),
            Some(Value::Bytes(_) | Value::Weights(_)) => {
                Err(refusal(node, format!("expected floats, found the quantised tensor {name}")))
            }
            None => Err(refusal(node, format!("nothing makes its input {name}"))),
        }
    }

    /// Floats of what bytes stand for.
    fn in_floats(&mut self, node: &NodeProto, name: &str, bytes: &Bytes) -> FloatId {
        if let Some(&float) = self.as_floats.get(name) {
            return float;
        }
        let output = self.new_float(bytes.shape.clone());
        let function = bytes.function.is_some().then(|| bytes.table_to_floats());
        let (input, channels, quantisation) = (bytes.buffer, bytes.channels(), bytes.quantisation);
        self.push(node, Op::Dequantise { input, output, channels, quantisation, function });
        self.as_floats.insert(name.to_owned(), output);
        output
    }

    fn output(&mut self, name: &str) -> Result<(Port, FloatId), NnError> {
        let of_network =
            NodeProto { name: name.to_owned(), op_type: "output".into(), ..NodeProto::default() };
        let float = self.float(&of_network, name)?;
        Ok((Port { name: name.to_owned(), shape: self.floats[float].clone() }, float))
    }
}

fn refusal(node: &NodeProto, problem: String) -> NnError {
    NnError::Node { node: onnx::name(node).to_owned(), op: node.op_type.clone(), problem }
}
