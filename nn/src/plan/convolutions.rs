//! Convolutions that have a quantised form.

use std::array::from_fn;

use tract_onnx::pb::NodeProto;

use super::images::{image, numbers, window};
use super::lower::Lowering;
use super::narrow::widened;
use super::tail::Tail;
use super::value::{Order, Value, Weights};
use super::{ConvolutionLayer, Op, View};
use crate::kernels::{Convolution, Depthwise, ImageShape, Quantisation, Requantisation, Window};
use crate::onnx;

/// All of these are `None`, with nothing done, where a node has no quantised form.
impl Lowering<'_> {
    pub(super) fn convolve(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let weights = self.weights(node, 0)?;
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let &[output_channels, _, rows, columns] = &*weights.shape else { return None };
        let (image, window) = (image(&input)?, window(node, [rows, columns])?);
        let groups = onnx::int(node, "group").unwrap_or(1);
        let is_depthwise = groups > 1;
        let fits = if is_depthwise {
            fits_depthwise(&image, &window, &weights.shape, groups)
        } else {
            Convolution::takes(&window)
        };
        if !fits {
            return None;
        }
        let [height, width] = window.places(image).ok()?;
        let layer = ConvolutionLayer {
            input: image,
            input_zero_point: input.quantisation.zero_point,
            window,
            output_channels,
            weights: if is_depthwise { in_bytes(&weights.steps)? } else { channels_last(weights)? },
            bias: self.bias(node, input.quantisation, weights, output_channels)?,
            requantisation: requantisation(&tail, input.quantisation, weights, output_channels),
            multiply_adds: (weights.steps.len() * height * width) as u64,
        };
        let layer = if is_depthwise { layer } else { widened(layer) };
        let shape = vec![1, output_channels, height, width];
        let bytes = self.new_bytes(shape, Order::ChannelsLast, tail.quantisation);
        let (buffer, row_step) = (bytes.buffer, width * output_channels);
        let output = View { buffer, first: 0, step: layer.output_channels, row_step };
        let (input, layer) = (input.buffer, Box::new(layer));
        self.push(
            node,
            if is_depthwise {
                Op::ConvolveDepthwise { input, output, layer, expansion: None }
            } else {
                Op::Convolve { input, output, layer }
            },
        );
        self.finish(tail, bytes);
        Some(())
    }

    /// A transposed convolution, as one convolution for each place that a pixel can have under the stride: each computes
    /// every n-th pixel of the output.
    pub(super) fn convolve_transposed(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let weights = self.weights(node, 1)?;
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let image = image(&input)?;
        let transposed = Transposed::new(node, &weights.shape, image)?;
        let &[_, output_channels, ..] = &*weights.shape else { return None };
        let [height, width] = transposed.output;
        let requantisation = requantisation(&tail, input.quantisation, weights, output_channels);
        let bias = self.bias(node, input.quantisation, weights, output_channels)?;
        let phases = transposed.stride.iter().product::<usize>();
        let phase = |phase: [usize; 2]| {
            let window = transposed.window(phase)?;
            let layer = ConvolutionLayer {
                input: image,
                input_zero_point: input.quantisation.zero_point,
                window,
                output_channels,
                weights: transposed.weights(phase, weights)?,
                bias: bias.clone(),
                requantisation: requantisation.clone(),
                multiply_adds: (weights.steps.len() * image.height * image.width) as u64 / phases as u64,
            };
            Some((phase, layer))
        };
        let [rows, columns] = transposed.stride;
        let phases = (0..phases).map(|index| phase([index / columns, index % columns]));
        let phases = phases.collect::<Option<Vec<_>>>()?;
        let shape = vec![1, output_channels, height, width];
        let bytes = self.new_bytes(shape, Order::ChannelsLast, tail.quantisation);
        for ([y, x], layer) in phases {
            let output = View {
                buffer: bytes.buffer,
                first: (y * width + x) * output_channels,
                step: columns * output_channels,
                row_step: rows * width * output_channels,
            };
            self.push(node, Op::Convolve { input: input.buffer, output, layer: Box::new(layer) });
        }
        self.finish(tail, bytes);
        Some(())
    }

    /// The weights of a convolution, whose output channels are the dimension `axis`.
    fn weights(&self, node: &NodeProto, axis: usize) -> Option<&Weights> {
        match self.values.get(node.input.get(1)?)? {
            Value::Weights(weights) if weights.is_scaled_along(axis) => Some(weights),
            _ => None,
        }
    }

    /// The bias of a convolution in steps of input scale times weight scale.
    fn bias(
        &self,
        node: &NodeProto,
        input: Quantisation,
        weights: &Weights,
        channels: usize,
    ) -> Option<Vec<i32>> {
        let Some(name) = node.input.get(2).filter(|name| !name.is_empty()) else {
            return Some(vec![0; channels]);
        };
        let steps: Vec<i64> = match (self.values.get(name), self.graph.constants.get(name)) {
            (Some(Value::Weights(bias)), _) => bias.steps.clone(),
            (None, Some(constant)) => {
                let of = |(channel, &value): (usize, &f32)| {
                    (f64::from(value) / (f64::from(input.scale) * f64::from(weights.scale(channel))))
                        .round_ties_even() as i64
                };
                constant.floats()?.iter().enumerate().map(of).collect()
            }
            _ => return None,
        };
        let steps: Result<Vec<_>, _> = steps.into_iter().map(i32::try_from).collect();
        steps.ok().filter(|steps| steps.len() == channels)
    }
}

/// A transposed convolution of one group without dilation.
///
/// Output row `o` is the sum over window rows `k` and input rows `i` with `o + padding = stride * i + k`. For the rows
/// `o = phase + stride * m` the window rows are every `stride`-th one: these are a convolution of stride one, its
/// window upside down.
struct Transposed {
    input: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    output: [usize; 2],
}

impl Transposed {
    fn new(node: &NodeProto, weights: &[usize], image: ImageShape) -> Option<Self> {
        let &[input_channels, _, rows, columns] = weights else { return None };
        let is_plain = onnx::int(node, "group").unwrap_or(1) == 1
            && onnx::ints(node, "output_shape").is_none_or(<[i64]>::is_empty)
            && input_channels == image.channels;
        let window = window(node, [rows, columns]).filter(|_| is_plain)?;
        let extra = <[usize; 2]>::try_from(numbers(node, "output_padding", &[0; 2])?).ok()?;
        let input = [image.height, image.width];
        let Window { size, stride, padding_before: padding, padding_after } = window;
        let length = |axis: usize| {
            let whole = (input[axis] - 1) * stride.get(axis)? + size[axis] + extra[axis];
            whole.checked_sub(padding[axis] + padding_after[axis])
        };
        let output = [length(0)?, length(1)?];
        let has_all_phases = (0..2).all(|axis| stride[axis] > 0 && output[axis] >= stride[axis]);
        has_all_phases.then_some(Self { input, size, stride, padding, output })
    }

    /// The first of the window's rows or columns that a phase takes, and how many it takes.
    fn taps(&self, phase: usize, axis: usize) -> [usize; 2] {
        let first = (phase + self.padding[axis]) % self.stride[axis];
        [first, self.size[axis].saturating_sub(first).div_ceil(self.stride[axis])]
    }

    /// The window of a phase; none where a phase would take no weights or would have to skip rows of the input.
    fn window(&self, phase: [usize; 2]) -> Option<Window> {
        let [mut before, mut after, mut size] = [[0; 2]; 3];
        for axis in 0..2 {
            let [_, taps] = self.taps(phase[axis], axis);
            let places = (self.output[axis] - phase[axis]).div_ceil(self.stride[axis]);
            let ahead = (phase[axis] + self.padding[axis]) / self.stride[axis];
            size[axis] = taps;
            before[axis] = taps.checked_sub(1)?.checked_sub(ahead)?;
            after[axis] = (places + taps - 1).checked_sub(self.input[axis] + before[axis])?;
        }
        Some(Window { size, stride: [1; 2], padding_before: before, padding_after: after })
            .filter(Convolution::takes)
    }

    /// The weights of a phase, `[output, row, column, input]`.
    fn weights(&self, phase: [usize; 2], weights: &Weights) -> Option<Vec<i8>> {
        let &[inputs, outputs, rows, columns] = &*weights.shape else { return None };
        let values = in_bytes(&weights.steps)?;
        let taps: [[usize; 2]; 2] = from_fn(|axis| self.taps(phase[axis], axis));
        let place = |axis: usize, tap: usize| {
            let [first, count] = taps[axis];
            first + self.stride[axis] * (count - 1 - tap)
        };
        let mut of_phase = Vec::with_capacity(outputs * taps[0][1] * taps[1][1] * inputs);
        for output in 0..outputs {
            for row in (0..taps[0][1]).map(|tap| place(0, tap)) {
                for column in (0..taps[1][1]).map(|tap| place(1, tap)) {
                    let value = |input| values[((input * outputs + output) * rows + row) * columns + column];
                    of_phase.extend((0..inputs).map(value));
                }
            }
        }
        Some(of_phase)
    }
}

fn fits_depthwise(image: &ImageShape, window: &Window, weights: &[usize], groups: i64) -> bool {
    groups as usize == image.channels && weights[..2] == [image.channels, 1] && Depthwise::takes(window)
}

/// Weights in signed bytes, where they fit.
fn in_bytes(steps: &[i64]) -> Option<Vec<i8>> {
    steps.iter().map(|&steps| i8::try_from(steps).ok()).collect()
}

/// `[output, input, row, column]` to `[output, row, column, input]`.
fn channels_last(weights: &Weights) -> Option<Vec<i8>> {
    let inputs = weights.shape[1];
    let area = weights.shape[2] * weights.shape[3];
    let mut reordered = Vec::with_capacity(weights.steps.len());
    for filter in in_bytes(&weights.steps)?.chunks_exact((inputs * area).max(1)) {
        for place in 0..area {
            reordered.extend((0..inputs).map(|input| filter[input * area + place]));
        }
    }
    Some(reordered)
}

fn requantisation(tail: &Tail, input: Quantisation, weights: &Weights, channels: usize) -> Requantisation {
    let multiplier = |channel| input.scale * weights.scale(channel) / tail.quantisation.scale;
    Requantisation {
        multipliers: (0..channels).map(multiplier).collect(),
        zero_point: tail.quantisation.zero_point,
        low: tail.bounds[0],
        high: tail.bounds[1],
        table: None,
    }
}
