//! The network with `QuantizeLinear` and `DequantizeLinear` where tensors become bytes.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};

use super::filters::floats;
use super::placement::{Placement, Verdict};
use super::weights::QuantizedFilters;
use crate::kernels::Quantisation;
use crate::onnx::{self, Constant, Graph, Values};

/// The quantised form of `graph`: each tensor of `steps` goes through bytes, each convolution on bytes has the parameters
/// that `filters` holds for its node.
pub(super) fn rewrite(
    graph: &Graph,
    placement: &Placement,
    steps: &BTreeMap<String, Quantisation>,
    filters: &BTreeMap<usize, QuantizedFilters>,
) -> Graph {
    let mut rewriting = Rewriting {
        graph,
        steps,
        nodes: Vec::new(),
        constants: graph.constants.clone(),
        dequantized: BTreeMap::new(),
        made_on_bytes: made_on_bytes(graph, placement),
        names: names(graph),
    };
    for input in &graph.inputs {
        rewriting.through_bytes(&input.name, &input.name);
    }
    for (index, (node, verdict)) in graph.nodes.iter().zip(&placement.verdicts).enumerate() {
        rewriting.node(node, verdict, filters.get(&index));
    }
    let Rewriting { nodes, constants, .. } = rewriting;
    graph.clone().with(nodes, constants)
}

/// Outputs of nodes on bytes and of what is fused with them.
fn made_on_bytes(graph: &Graph, placement: &Placement) -> BTreeSet<String> {
    let on_bytes =
        graph.nodes.iter().zip(&placement.verdicts).filter(|(_, v)| !matches!(v, Verdict::Float(_)));
    on_bytes.flat_map(|(node, _)| node.output.iter().cloned()).collect()
}

fn names(graph: &Graph) -> BTreeSet<String> {
    let of_nodes = graph.nodes.iter().flat_map(|node| node.output.iter().chain([&node.name]));
    of_nodes
        .chain(graph.constants.keys())
        .cloned()
        .chain(graph.inputs.iter().map(|i| i.name.clone()))
        .collect()
}

/// A network in the making.
struct Rewriting<'a> {
    graph: &'a Graph,
    steps: &'a BTreeMap<String, Quantisation>,
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, Constant>,
    /// What stands for tensors that went through bytes.
    dequantized: BTreeMap<String, String>,
    made_on_bytes: BTreeSet<String>,
    /// All names that are taken.
    names: BTreeSet<String>,
}

impl Rewriting<'_> {
    fn node(&mut self, node: &NodeProto, verdict: &Verdict, filters: Option<&QuantizedFilters>) {
        let mut node = NodeProto { name: onnx::name(node).to_owned(), ..node.clone() };
        let in_float = matches!(verdict, Verdict::Float(_));
        for input in &mut node.input {
            let reads_floats = in_float && !self.made_on_bytes.contains(input);
            if let Some(dequantized) = self.dequantized.get(input).filter(|_| !reads_floats) {
                input.clone_from(dequantized);
            }
        }
        if let Some(filters) = filters {
            let weights = self.weights(&node, filters);
            node.input.truncate(1);
            node.input.extend(weights);
        }
        let mut made = Vec::new();
        for output in node.output.iter_mut().filter(|output| self.steps.contains_key(&**output)) {
            let tensor = output.clone();
            if self.graph.is_output(&tensor) {
                *output = fresh(&mut self.names, format!("{tensor}_unquantized"));
            }
            made.push((output.clone(), tensor));
        }
        self.nodes.push(node);
        for (made, tensor) in made {
            self.through_bytes(&made, &tensor);
        }
    }

    /// Quantises what `made` holds and dequantises it again, under its own name where it comes out of the network.
    fn through_bytes(&mut self, made: &str, tensor: &str) {
        let Some(&steps) = self.steps.get(tensor) else { return };
        let scale = self.constant(tensor, "scale", floats(Vec::new(), vec![steps.scale]));
        let zero_point = Constant { shape: Vec::new(), values: Values::U8(vec![steps.zero_point]) };
        let zero_point = self.constant(tensor, "zero_point", zero_point);
        let bytes = fresh(&mut self.names, format!("{tensor}_quantized"));
        let back = if self.graph.is_output(tensor) {
            tensor.to_owned()
        } else {
            fresh(&mut self.names, format!("{tensor}_dequantized"))
        };
        let parameters = [scale, zero_point];
        self.push("QuantizeLinear", &format!("{tensor}_quantize"), made, &parameters, &bytes, None);
        self.push("DequantizeLinear", &format!("{tensor}_dequantize"), &bytes, &parameters, &back, None);
        self.dequantized.insert(tensor.to_owned(), back);
    }

    /// Names of what stands for the weights and the bias of a convolution.
    fn weights(&mut self, node: &NodeProto, filters: &QuantizedFilters) -> [String; 2] {
        let channels = filters.scales.len();
        let input_scale = self.steps_behind(&node.input[0]).map_or(1.0, |steps| steps.scale);
        let bias_scales: Vec<_> = filters.scales.iter().map(|scale| scale * input_scale).collect();
        let bias = Constant { shape: vec![channels], values: Values::I32(filters.bias.clone()) };
        let zeros = Values::I8(vec![0; channels]);
        let weights = filters.weights.clone();
        let weights =
            self.dequantize(&node.output[0], "weight", weights, &filters.scales, zeros, filters.axis);
        let zeros = Values::I32(vec![0; channels]);
        let bias = self.dequantize(&node.output[0], "bias", bias, &bias_scales, zeros, 0);
        [weights, bias]
    }

    /// The steps of the tensor that `dequantized` stands for.
    fn steps_behind(&self, dequantized: &str) -> Option<Quantisation> {
        let (tensor, _) = self.dequantized.iter().find(|(_, name)| *name == dequantized)?;
        self.steps.get(tensor).copied()
    }

    /// A constant of whole numbers as floats.
    fn dequantize(
        &mut self,
        node: &str,
        what: &str,
        values: Constant,
        scales: &[f32],
        zeros: Values,
        axis: i64,
    ) -> String {
        let shape = vec![scales.len()];
        let values = self.constant(node, what, values);
        let scale = self.constant(node, &format!("{what}_scale"), floats(shape.clone(), scales.to_vec()));
        let zeros = self.constant(node, &format!("{what}_zero_point"), Constant { shape, values: zeros });
        let output = fresh(&mut self.names, format!("{node}_{what}_dequantized"));
        let name = format!("{node}_{what}_dequantize");
        self.push("DequantizeLinear", &name, &values, &[scale, zeros], &output, Some(axis));
        output
    }

    fn constant(&mut self, tensor: &str, what: &str, constant: Constant) -> String {
        let name = fresh(&mut self.names, format!("{tensor}_{what}"));
        self.constants.insert(name.clone(), constant);
        name
    }

    fn push(
        &mut self,
        op: &str,
        name: &str,
        input: &str,
        parameters: &[String; 2],
        output: &str,
        axis: Option<i64>,
    ) {
        let axis = axis.map(|axis| AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int as i32,
            i: axis,
            ..AttributeProto::default()
        });
        self.nodes.push(NodeProto {
            name: fresh(&mut self.names, name.to_owned()),
            op_type: op.to_owned(),
            input: [input.to_owned()].into_iter().chain(parameters.clone()).collect(),
            output: vec![output.to_owned()],
            attribute: axis.into_iter().collect(),
            ..NodeProto::default()
        });
    }
}

/// `name`, or with a number behind it where it is taken.
fn fresh(names: &mut BTreeSet<String>, name: String) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
    let free = free.unwrap_or(name);
    names.insert(free.clone());
    free
}
