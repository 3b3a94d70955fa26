//! Which nodes compute on bytes, and which tensors become bytes for that.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::NodeProto;

use super::filters::{Filters, bias};
use crate::onnx::{self, Graph, Port};

/// How a node computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// From bytes to bytes.
    Bytes,
    /// As part of the node on bytes before it.
    Fused,
    /// In float, for this reason.
    Float(String),
}

/// What becomes of a network.
#[derive(Debug)]
pub(super) struct Placement {
    /// One for each node.
    pub(super) verdicts: Vec<Verdict>,
    /// The tensors that become bytes, each with its group: one range for all of a group.
    pub(super) tensors: BTreeMap<String, usize>,
}

/// What keeps parts of a network in float, each with its reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions {
    /// Nodes, by their names.
    pub(super) nodes: BTreeMap<String, String>,
    /// Tensors, with every node that reads or writes them.
    pub(super) tensors: BTreeMap<String, String>,
}

/// What a kind of node can do with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Worth making bytes for.
    Anchor,
    /// New values from bytes.
    Computes,
    /// The values of its first input, some of them or the largest of some.
    Moves,
}

/// Ops whose first input is all that is not constant.
const UNARY: &[(&str, Kind)] = &[
    ("AveragePool", Kind::Computes),
    ("GlobalAveragePool", Kind::Computes),
    ("Relu", Kind::Computes),
    ("Clip", Kind::Computes),
    ("LeakyRelu", Kind::Computes),
    ("Elu", Kind::Computes),
    ("Sigmoid", Kind::Computes),
    ("Tanh", Kind::Computes),
    ("HardSigmoid", Kind::Computes),
    ("HardSwish", Kind::Computes),
    ("MaxPool", Kind::Moves),
    ("Resize", Kind::Moves),
    ("Transpose", Kind::Moves),
    ("Reshape", Kind::Moves),
    ("Flatten", Kind::Moves),
    ("Squeeze", Kind::Moves),
    ("Unsqueeze", Kind::Moves),
    ("Slice", Kind::Moves),
    ("Gather", Kind::Moves),
    ("Identity", Kind::Moves),
];

/// Ops whose result passes a ReLU or Clip behind them before it becomes bytes.
const FUSING: &[&str] = &["Conv", "ConvTranspose", "Add", "AveragePool", "GlobalAveragePool"];

impl Placement {
    /// The placement for `graph`, of whose tensors of floats `tensors` tells the shapes.
    pub(super) fn new(graph: &Graph, tensors: &[Port], exceptions: &Exceptions) -> Self {
        let shapes = tensors.iter().chain(&graph.inputs).map(|port| (&*port.name, &*port.shape)).collect();
        let mut placing =
            Placing { graph, shapes, exceptions, verdicts: BTreeMap::new(), bytes: BTreeSet::new() };
        for index in 0..graph.nodes.len() {
            placing.node(index);
        }
        let verdicts: Vec<_> = placing.verdicts.into_values().collect();
        let tensors = groups(graph, &verdicts, &placing.bytes);
        Self { verdicts, tensors }
    }

    /// For each group its tensors.
    pub(super) fn groups(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for (tensor, &group) in &self.tensors {
            groups.entry(group).or_default().push(&**tensor);
        }
        groups
    }
}

/// A placement in the making.
struct Placing<'g> {
    graph: &'g Graph,
    shapes: BTreeMap<&'g str, &'g [usize]>,
    exceptions: &'g Exceptions,
    verdicts: BTreeMap<usize, Verdict>,
    /// Tensors that are bytes.
    bytes: BTreeSet<String>,
}

impl Placing<'_> {
    fn node(&mut self, index: usize) {
        if self.verdicts.contains_key(&index) {
            return;
        }
        let node = &self.graph.nodes[index];
        let verdict = match self.refusal(index, node) {
            Some(reason) => Verdict::Float(reason),
            None => {
                self.take(index, node);
                Verdict::Bytes
            }
        };
        self.verdicts.insert(index, verdict);
    }

    /// Makes bytes of what goes into a node and of what comes out of it, with what is fused behind it.
    fn take(&mut self, index: usize, node: &NodeProto) {
        let (fused, output) = self.tail(index);
        self.verdicts.extend(fused.into_iter().map(|index| (index, Verdict::Fused)));
        self.bytes.insert(output);
        let images: Vec<_> = self.images(node).map(str::to_owned).collect();
        self.bytes.extend(images);
    }

    /// The activations that are part of the node at `index`, and the tensor that comes out at the end.
    fn tail(&self, index: usize) -> (Vec<usize>, String) {
        let node = &self.graph.nodes[index];
        let (mut fused, mut output) = (Vec::new(), node.output[0].clone());
        if !FUSING.contains(&&*node.op_type) {
            return (fused, output);
        }
        while let Some(reader) = self.graph.only_reader(&output) {
            let follower = &self.graph.nodes[reader];
            let bounds = matches!(&*follower.op_type, "Relu" | "Clip") && follower.input[0] == output;
            if !bounds || !self.is_constant_but_first(follower) || self.exception(follower).is_some() {
                break;
            }
            fused.push(reader);
            output.clone_from(&follower.output[0]);
        }
        (fused, output)
    }

    /// Why a node can't compute on bytes.
    fn refusal(&self, index: usize, node: &NodeProto) -> Option<String> {
        if let Some(reason) = self.exception(node) {
            return Some(reason.clone());
        }
        let Some(kind) = self.kind(node) else { return Some("it has no quantised form".into()) };
        let (_, output) = self.tail(index);
        let mut touched = self.images(node).map(str::to_owned).chain([output]);
        if let Some(reason) = touched.find_map(|tensor| self.exceptions.tensors.get(&tensor)) {
            return Some(reason.clone());
        }
        let mut images = self.images(node);
        let comes_from_bytes = images.all(|image| self.bytes.contains(image) && self.is_made(image));
        (kind != Kind::Anchor && !comes_from_bytes).then(|| "what it reads is computed in float".into())
    }

    fn exception(&self, node: &NodeProto) -> Option<&String> {
        self.exceptions.nodes.get(onnx::name(node))
    }

    /// Whether a node on bytes makes `tensor`, rather than that it becomes bytes for the sake of another reader.
    fn is_made(&self, tensor: &str) -> bool {
        let makes = |(&index, verdict): (&usize, &Verdict)| {
            !matches!(verdict, Verdict::Float(_)) && self.graph.nodes[index].output[0] == tensor
        };
        self.verdicts.iter().any(makes)
    }

    /// What a node can do with bytes, as far as itself and the shapes around it tell.
    fn kind(&self, node: &NodeProto) -> Option<Kind> {
        let shape = |tensor: &String| self.shapes.get(&**tensor).copied();
        let output = shape(node.output.first()?)?;
        let has_one_output = node.output.iter().skip(1).all(String::is_empty);
        match &*node.op_type {
            "Conv" | "ConvTranspose" => {
                let filters = Filters::of(self.graph, node)?;
                bias(self.graph, node, filters.outputs)?;
                let is_image = shape(&node.input[0])?.len() == 4 && self.is_image(&node.input[0]);
                (filters.axis().is_some() && is_image).then_some(Kind::Anchor)
            }
            "Add" => {
                let is_sum = node.input.iter().all(|input| shape(input) == Some(output));
                (is_sum && node.input.len() == 2).then_some(Kind::Computes)
            }
            "Concat" => node.input.iter().all(|input| self.is_image(input)).then_some(Kind::Computes),
            op => {
                let kind = UNARY.iter().find(|(name, _)| *name == op)?.1;
                let is_cubic = op == "Resize" && onnx::text(node, "mode") == Some(b"cubic");
                (has_one_output && self.is_constant_but_first(node) && !is_cubic).then_some(kind)
            }
        }
    }

    /// The inputs of a node that are no constants.
    fn images<'a>(&'a self, node: &'a NodeProto) -> impl Iterator<Item = &'a str> {
        node.input.iter().map(String::as_str).filter(|input| self.is_image(input))
    }

    fn is_image(&self, tensor: &str) -> bool {
        !tensor.is_empty() && !self.graph.constants.contains_key(tensor)
    }

    fn is_constant_but_first(&self, node: &NodeProto) -> bool {
        let is_first_image = node.input.first().is_some_and(|input| self.is_image(input));
        is_first_image && !node.input.iter().skip(1).any(|input| self.is_image(input))
    }
}

/// Groups tensors that have the same values, and what is concatenated with the whole where nothing else reads it: it
/// loses nothing by the whole's scale that it would not lose there, and no byte has to change.
fn groups(graph: &Graph, verdicts: &[Verdict], bytes: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut groups: BTreeMap<String, usize> =
        bytes.iter().enumerate().map(|(group, tensor)| (tensor.clone(), group)).collect();
    let on_bytes = || graph.nodes.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Bytes);
    let moves = |op: &str| UNARY.contains(&(op, Kind::Moves));
    for (node, _) in on_bytes().filter(|(node, _)| moves(&node.op_type)) {
        unite(&mut groups, &node.input[0], &node.output[0]);
    }
    for (node, _) in on_bytes().filter(|(node, _)| node.op_type == "Concat") {
        for input in &node.input {
            let group = groups.get(input).copied();
            let mut members = groups.iter().filter(|(_, other)| Some(**other) == group);
            if members.all(|(tensor, _)| graph.only_reader(tensor).is_some()) {
                unite(&mut groups, input, &node.output[0]);
            }
        }
    }
    groups
}

fn unite(groups: &mut BTreeMap<String, usize>, a: &str, b: &str) {
    if let (Some(&from), Some(&to)) = (groups.get(a), groups.get(b)) {
        groups.values_mut().filter(|group| **group == from).for_each(|group| *group = to);
    }
}
