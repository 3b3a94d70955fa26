//! Float networks to networks on bytes: an ONNX file and calibration images in, an ONNX file with `QuantizeLinear` and
//! `DequantizeLinear` (QDQ) out, for any engine that reads those.
//!
//! Weights get signed bytes with a scale for each output channel, activations unsigned bytes with a scale and a zero
//! point for each tensor, biases 32 bits. Before that, batch normalisation goes into the convolutions. Nodes that
//! the engine can't run on bytes stay in float, and so does what would lose too much; [`QuantizeReport`] says which and
//! why.

mod equalize;
mod filters;
mod fold;
mod histogram;
mod observe;
mod opset;
mod placement;
mod range;
mod rewrite;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use tract_onnx::pb::StringStringEntryProto;

use self::histogram::Histogram;
use self::observe::Observations;
use self::placement::{Exceptions, Placement, Verdict};
use self::weights::QuantizedFilters;
use crate::error::NnError;
use crate::kernels::Quantisation;
use crate::onnx::{self, Graph, Port};
use crate::plan::lower;
use crate::probe::Probe;
pub use equalize::Equalizer;
pub use range::RangeChoice;

/// How to quantise.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizeOptions {
    /// How the range of an activation is chosen.
    pub range: RangeChoice,
    /// Whether biases take back what rounding the weights adds to the mean of a channel.
    pub correct_bias: bool,
    /// Names of nodes that stay in float.
    pub keep_float: Vec<String>,
    /// What would keep less signal to noise than this in bytes stays in float; decibels.
    pub min_sqnr_db: f64,
    /// Written into the file beside what it says of itself already: key and value.
    pub metadata: Vec<(String, String)>,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        Self {
            range: RangeChoice::MeanSquare,
            correct_bias: true,
            keep_float: Vec::new(),
            min_sqnr_db: 10.0,
            metadata: Vec::new(),
        }
    }
}

/// A float network on its way to bytes.
///
/// ```no_run
/// use kestrel_nn::quantize::{QuantizeOptions, Quantizer};
///
/// # fn images() -> Vec<Vec<f32>> { Vec::new() }
/// let float = std::fs::read("depth.onnx")?;
/// let mut quantizer = Quantizer::new(&float)?;
/// for image in images() {
///     quantizer.observe(&[image])?;
/// }
/// std::fs::write("depth_int8.onnx", quantizer.finish(&QuantizeOptions::default())?.file)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Quantizer {
    graph: Graph,
    probe: Probe,
    outputs: Vec<Port>,
    observations: Observations,
    folded: usize,
}

/// A quantiser that is making a file.
struct Finishing<'a> {
    of: &'a Quantizer,
    options: &'a QuantizeOptions,
    exceptions: Exceptions,
}

/// A network on bytes.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The ONNX file.
    pub file: Vec<u8>,
    /// What was done.
    pub report: QuantizeReport,
}

/// What became of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizeReport {
    /// Calibration images seen.
    pub samples: usize,
    /// Nodes that went into the convolutions before them.
    pub folded: usize,
    /// Nodes that compute on bytes.
    pub on_bytes: usize,
    /// Nodes that compute in float.
    pub in_float: Vec<InFloat>,
    /// Tensors that became bytes.
    pub tensors: Vec<TensorRange>,
}

/// A node that computes in float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFloat {
    /// Its name, or that of its first output.
    pub node: String,
    /// What it computes.
    pub op: String,
    /// Why not on bytes.
    pub reason: String,
}

/// The bytes of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRange {
    /// Its name in the float file.
    pub name: String,
    /// What the bytes stand for.
    pub quantisation: Quantisation,
    /// Signal to noise of the calibration images' values in these bytes, in decibels.
    pub sqnr_db: f64,
}

impl Quantizer {
    /// Reads the float network in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// [`NnError::File`] where they are no network of fixed shapes, it has bytes or no convolutions, is older than
    /// operator set 13 in more than name, an output is no tensor of floats of fixed shape, or tract can't run it; [`NnError::Node`] where a constant is broken.
    pub fn new(bytes: &[u8]) -> Result<Self, NnError> {
        let (graph, folded) = fold::fold(float_network(bytes)?);
        let probe = Probe::new(&graph)?;
        let outputs = outputs(&graph, &probe)?;
        let placement = Placement::new(&graph, probe.tensors(), &Exceptions::default());
        if placement.tensors.is_empty() {
            return Err(problem("a network without a convolution to quantise"));
        }
        let observations = Observations::new(&graph, &placement, probe.tensors());
        Ok(Self { graph, probe, outputs, observations, folded })
    }

    /// Names and shapes of what goes in.
    pub fn inputs(&self) -> &[Port] {
        &self.graph.inputs
    }

    /// Looks at what the network makes of a calibration image: `inputs` as [`Quantizer::inputs`] has them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `inputs` are not what the network takes, [`NnError::File`] where tract fails or a tensor
    /// holds what is no finite number.
    pub fn observe(&mut self, inputs: &[Vec<f32>]) -> Result<(), NnError> {
        self.observations.add(&self.graph, &self.probe, inputs)
    }

    /// The network on bytes, after the calibration images that were observed so far.
    ///
    /// # Errors
    /// [`NnError::File`] where no calibration image was seen or a node to keep in float is none of the network's, and
    /// [`NnError::Node`] where a node of the result can't be run.
    pub fn finish(&self, options: &QuantizeOptions) -> Result<Quantized, NnError> {
        if self.observations.samples == 0 {
            return Err(problem("no calibration image"));
        }
        let exceptions = kept(&self.graph, &options.keep_float)?;
        Finishing { of: self, options, exceptions }.finish()
    }
}

impl Finishing<'_> {
    /// Makes files until nothing more has to stay in float.
    fn finish(mut self) -> Result<Quantized, NnError> {
        let Quantizer { graph, probe, outputs, .. } = self.of;
        loop {
            let placement = Placement::new(graph, probe.tensors(), &self.exceptions);
            let tensors = self.ranges(&placement);
            let filters = self.filters(&placement, &tensors);
            if self.except_lossy(&tensors, &filters) {
                continue;
            }
            let steps = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.quantisation)).collect();
            let mut quantized = rewrite::rewrite(graph, &placement, &steps, &filters);
            self.describe(&mut quantized);
            let file = encoded(&quantized, outputs);
            if self.except_unplanned(&file, &filters)? {
                continue;
            }
            return Ok(Quantized { file, report: self.report(&placement, tensors) });
        }
    }

    /// What the bytes of each tensor stand for.
    fn ranges(&self, placement: &Placement) -> Vec<TensorRange> {
        let histograms = &self.of.observations.histograms;
        let mut tensors = Vec::new();
        for members in placement.groups().into_values() {
            let mut whole = Histogram::new();
            for histogram in members.iter().filter_map(|&tensor| histograms.get(tensor)) {
                whole.merge(histogram);
            }
            let range = self.options.range.range(&whole);
            let quantisation = range::steps_over(match *members {
                [tensor] => self.within_reach(tensor, range),
                _ => range,
            });
            let of = |&name: &&str| TensorRange {
                name: name.to_owned(),
                quantisation,
                sqnr_db: histograms.get(name).map_or(f64::INFINITY, |histogram| histogram.sqnr_db(range)),
            };
            tensors.extend(members.iter().map(of));
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    }

    /// `range` without what the one function that reads `tensor` makes no difference of.
    fn within_reach(&self, tensor: &str, [low, high]: [f32; 2]) -> [f32; 2] {
        /// Beyond this a sigmoid is within half a step of 0 or 1.
        const SIGMOID: f32 = 6.25;
        let reader = self.of.graph.only_reader(tensor).map(|index| &*self.of.graph.nodes[index].op_type);
        let [least, most] = match reader {
            Some("Sigmoid") => [-SIGMOID, SIGMOID],
            Some("Tanh") => [-SIGMOID / 2.0, SIGMOID / 2.0],
            Some("Elu") => [-SIGMOID, f32::INFINITY],
            _ => return [low, high],
        };
        [low.max(least), high.min(most)]
    }

    /// The parameters of each convolution on bytes.
    fn filters(&self, placement: &Placement, tensors: &[TensorRange]) -> BTreeMap<usize, QuantizedFilters> {
        let scales: BTreeMap<_, _> = tensors.iter().map(|t| (&*t.name, t.quantisation.scale)).collect();
        let on_bytes = placement.verdicts.iter().enumerate().filter(|(_, v)| **v == Verdict::Bytes);
        let of = |(index, _): (usize, &Verdict)| {
            let node = &self.of.graph.nodes[index];
            let scale = *scales.get(&**node.input.first()?)?;
            let means = self.of.observations.means(&node.input[0]).filter(|_| self.options.correct_bias);
            Some((index, QuantizedFilters::new(&self.of.graph, node, scale, means.as_deref())?))
        };
        on_bytes.filter_map(of).collect()
    }

    /// Excepts what keeps too little signal in bytes; whether there was any.
    fn except_lossy(&mut self, tensors: &[TensorRange], filters: &BTreeMap<usize, QuantizedFilters>) -> bool {
        let Self { of, options, exceptions } = self;
        let least = options.min_sqnr_db;
        let before = exceptions.len();
        for tensor in tensors.iter().filter(|tensor| tensor.sqnr_db < least) {
            let reason = format!("tensor {} would keep {:.1} dB in bytes", tensor.name, tensor.sqnr_db);
            exceptions.tensors.insert(tensor.name.clone(), reason);
        }
        for (&index, filters) in filters.iter().filter(|(_, filters)| filters.sqnr_db < least) {
            let reason = format!("its weights would keep {:.1} dB in bytes", filters.sqnr_db);
            exceptions.nodes.insert(onnx::name(&of.graph.nodes[index]).to_owned(), reason);
        }
        exceptions.len() > before
    }

    /// Excepts convolutions that the plan of `file` runs in float all the same; whether there was any.
    fn except_unplanned(
        &mut self,
        file: &[u8],
        filters: &BTreeMap<usize, QuantizedFilters>,
    ) -> Result<bool, NnError> {
        let plan = lower(&Graph::read(file)?)?;
        let in_float: BTreeSet<_> = plan.float_ops().collect();
        let before = self.exceptions.len();
        for &index in filters.keys() {
            let name = onnx::name(&self.of.graph.nodes[index]);
            if in_float.contains(name) {
                let reason = "the engine has no quantised form for it".to_owned();
                self.exceptions.nodes.insert(name.to_owned(), reason);
            }
        }
        Ok(self.exceptions.len() > before)
    }

    /// Writes down where the file comes from.
    fn describe(&self, graph: &mut Graph) {
        graph.model.producer_name = "kestrel".into();
        graph.model.producer_version = env!("CARGO_PKG_VERSION").into();
        for (key, value) in &self.options.metadata {
            let properties = &mut graph.model.metadata_props;
            properties.retain(|property| property.key != *key);
            properties.push(StringStringEntryProto { key: key.clone(), value: value.clone() });
        }
    }

    fn report(&self, placement: &Placement, tensors: Vec<TensorRange>) -> QuantizeReport {
        let nodes = self.of.graph.nodes.iter().zip(&placement.verdicts);
        let in_float = nodes.filter_map(|(node, verdict)| match verdict {
            Verdict::Float(reason) => Some(InFloat {
                node: onnx::name(node).to_owned(),
                op: node.op_type.clone(),
                reason: reason.clone(),
            }),
            Verdict::Bytes | Verdict::Fused => None,
        });
        let in_float: Vec<_> = in_float.collect();
        QuantizeReport {
            samples: self.of.observations.samples,
            folded: self.of.folded,
            on_bytes: placement.verdicts.len() - in_float.len(),
            in_float,
            tensors,
        }
    }
}

impl Exceptions {
    fn len(&self) -> usize {
        self.nodes.len() + self.tensors.len()
    }
}

/// Reads a network that has no bytes yet.
fn float_network(bytes: &[u8]) -> Result<Graph, NnError> {
    let mut graph = Graph::read(bytes)?;
    opset::upgrade(&mut graph)?;
    let is_quantised = |op: &str| op.starts_with("QLinear") || op.contains("QuantizeLinear");
    match graph.nodes.iter().find(|node| is_quantised(&node.op_type)) {
        Some(node) => Err(problem(&format!(
            "one that is quantised already: node {} ({})",
            onnx::name(node),
            node.op_type
        ))),
        None => Ok(graph),
    }
}

/// The exceptions that the user asks for.
fn kept(graph: &Graph, names: &[String]) -> Result<Exceptions, NnError> {
    let mut exceptions = Exceptions::default();
    for name in names {
        if !graph.nodes.iter().any(|node| onnx::name(node) == name) {
            return Err(problem(&format!("no node of the name {name}, which is to stay in float")));
        }
        exceptions.nodes.insert(name.clone(), "asked for".into());
    }
    Ok(exceptions)
}

/// Names and shapes of what comes out.
fn outputs(graph: &Graph, probe: &Probe) -> Result<Vec<Port>, NnError> {
    let port = |name: &String| {
        let port = probe.tensors().iter().find(|port| port.name == *name);
        port.cloned()
            .ok_or_else(|| problem(&format!("output {name} that is no tensor of f32 and fixed shape")))
    };
    graph.outputs.iter().map(port).collect()
}

fn encoded(graph: &Graph, outputs: &[Port]) -> Vec<u8> {
    graph.to_model(outputs).encode_to_vec()
}

fn problem(problem: &str) -> NnError {
    NnError::File { problem: problem.to_owned() }
}

/// The ratio of two powers in decibels; infinite where there is no noise.
pub(crate) fn decibels(signal: f64, noise: f64) -> f64 {
    if noise > 0.0 { 10.0 * (signal / noise).log10() } else { f64::INFINITY }
}
