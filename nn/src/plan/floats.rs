//! Convolutions in floats that have a kernel of our own.

use tract_onnx::pb::NodeProto;

use super::images::{numbers, window};
use super::lower::Lowering;
use super::tail::bounds;
use super::value::Value;
use super::{FloatConvolutionKind, FloatConvolutionLayer, FloatId, Op, volume};
use crate::architecture::Activation;
use crate::error::NnError;
use crate::float::FloatNode;
use crate::kernels::Window;
use crate::onnx::{self, Constant};

impl Lowering<'_> {
    /// A convolution in floats, with the function behind it; `None`, with nothing done, where it has no kernel here.
    ///
    /// # Errors
    /// [`NnError::Node`] with the first of the nodes before it that can't be run.
    pub(super) fn convolve_floats(&mut self, node: &NodeProto) -> Result<Option<()>, NnError> {
        let Some(form) = Form::new(self, node) else { return Ok(None) };
        if self.is_pending(node.input.first()) {
            self.run_pending()?;
        }
        let Some((input, layer)) = self.float_layer(node, form) else { return Ok(None) };
        let behind = self.function_behind(node);
        let last = behind.map_or(node, |(index, _)| &self.graph.nodes[index]);
        let output = self.new_float(layer.output().to_vec());
        let named =
            |node: &NodeProto| FloatNode { name: onnx::name(node).to_owned(), op: node.op_type.clone() };
        let layer = FloatConvolutionLayer {
            function: behind.map(|(_, function)| function),
            nodes: std::iter::once(node).chain(behind.map(|_| last)).map(named).collect(),
            ..layer
        };
        self.push(node, Op::ConvolveFloats { input, output, layer: Box::new(layer) });
        self.pass_over(behind.map(|(index, _)| index));
        self.values.insert(last.output[0].clone(), Value::Float(output));
        Ok(Some(()))
    }

    /// The layer, without the function behind it, where its input is floats that fit the weights.
    fn float_layer(&self, node: &NodeProto, form: Form) -> Option<(FloatId, FloatConvolutionLayer)> {
        let Some(Value::Float(input)) = self.values.get(node.input.first()?) else { return None };
        let shape = <[usize; 4]>::try_from(self.float_shape(*input)).ok()?;
        let Form { weights, bias, kernel, padding, stride, groups, extra } = form;
        let [first, second] = [weights.shape[0], weights.shape[1]];
        let channels = shape[1];
        let (kind, filters, read) = match extra {
            Some(extra) => {
                let mut size = [0; 2];
                for axis in 0..2 {
                    let whole = (shape[2 + axis] - 1) * stride + kernel + extra[axis];
                    size[axis] = whole.checked_sub(2 * padding)?;
                }
                (FloatConvolutionKind::Transposed { size }, second, first)
            }
            None if groups > 1 => (FloatConvolutionKind::Depthwise, first, groups * second),
            None => (FloatConvolutionKind::Dense, first, second),
        };
        let layer = FloatConvolutionLayer {
            input: shape,
            filters,
            kernel,
            padding,
            stride,
            kind,
            weights: weights.floats()?.to_vec(),
            bias,
            function: None,
            nodes: Vec::new(),
        };
        let fits_back = match kind {
            // As many windows as there are steps, which is how they are shared out.
            FloatConvolutionKind::Transposed { size } => (0..2).all(|axis| {
                let windows = (size[axis] + 2 * padding).checked_sub(kernel).map(|rest| rest / stride + 1);
                windows == Some(shape[2 + axis]) && size[axis].div_ceil(stride) == shape[2 + axis]
            }),
            _ => shape[2..].iter().all(|length| length + 2 * padding >= kernel),
        };
        let fits = read == channels && fits_back && volume(&layer.output()).is_some();
        fits.then_some((*input, layer))
    }

    /// The node that applies a function to what `node` makes, where nothing else reads that.
    fn function_behind(&self, node: &NodeProto) -> Option<(usize, Activation)> {
        let index = self.graph.only_reader(&node.output[0])?;
        Some((index, activation(self, &self.graph.nodes[index])?))
    }
}

/// What a node says of its convolution.
struct Form<'g> {
    weights: &'g Constant,
    bias: Vec<f32>,
    kernel: usize,
    padding: usize,
    stride: usize,
    groups: usize,
    /// Rows and columns that a transposed one adds at the end; `None` for others.
    extra: Option<[usize; 2]>,
}

/// Greater strides are left to tract: the kernels part an image by the remainders under the stride, in memory that grows
/// with its square.
const MOST_STRIDE: usize = 4;

impl<'g> Form<'g> {
    /// `None` where it is not the same along rows and columns, has groups but those of a depthwise one, or is one of those and
    /// not padded by half its odd kernel.
    fn new(lowering: &Lowering<'g>, node: &NodeProto) -> Option<Self> {
        let graph = lowering.graph;
        let weights = graph.constant(node, 1)?;
        let &[first, second, rows, columns] = &*weights.shape else { return None };
        let window = window(node, [rows, columns])?;
        let ([stride, _], [padding, _]) = (window.stride, window.padding_before);
        let ends = [padding; 2];
        let is_square = window
            == Window { size: [rows; 2], stride: [stride; 2], padding_before: ends, padding_after: ends };
        let is_middling = rows % 2 == 1 && padding == rows / 2;
        let groups = usize::try_from(onnx::int(node, "group").unwrap_or(1)).ok()?;
        let extra = match &*node.op_type {
            "ConvTranspose" if onnx::ints(node, "output_shape").is_none_or(<[i64]>::is_empty) => {
                Some(<[usize; 2]>::try_from(numbers(node, "output_padding", &[0; 2])?).ok()?)
            }
            "ConvTranspose" => return None,
            _ => None,
        };
        let filters = if extra.is_some() { second } else { first };
        let is_depthwise = extra.is_none() && groups == first && second == 1 && is_middling;
        let fits_groups = groups == 1 || is_depthwise;
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => graph.constant(node, 2)?.floats()?.to_vec(),
            None => Vec::new(),
        };
        let has_values = weights.floats()?.len() == weights.shape.iter().product::<usize>();
        let is_form = is_square
            && (1..=MOST_STRIDE).contains(&stride)
            && extra.is_none_or(|extra| extra.iter().all(|&extra| extra < stride))
            && padding < rows
            && filters > 0
            && fits_groups
            && has_values
            && (bias.is_empty() || bias.len() == filters)
            && node.output.len() == 1;
        is_form.then_some(Self { weights, bias, kernel: rows, padding, stride, groups, extra })
    }
}

/// The function of single values that a node is, where convolutions can apply it.
fn activation(lowering: &Lowering<'_>, node: &NodeProto) -> Option<Activation> {
    let number = |name: &str, default: f32| onnx::float(node, name).unwrap_or(default);
    match &*node.op_type {
        "Elu" => (number("alpha", 1.0) == 1.0).then_some(Activation::Elu),
        "Sigmoid" => Some(Activation::Sigmoid),
        "HardSigmoid" => {
            let is_ours = number("alpha", 0.2) == 1.0 / 6.0 && number("beta", 0.5) == 0.5;
            is_ours.then_some(Activation::HardSigmoid)
        }
        _ => match bounds(lowering.graph, node)? {
            [0.0, f32::INFINITY] => Some(Activation::Relu),
            [0.0, 6.0] => Some(Activation::Relu6),
            _ => None,
        },
    }
}
