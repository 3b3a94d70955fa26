//! Layers that have a quantised form.

use tract_onnx::pb::NodeProto;

use super::lower::Lowering;
use super::tail::{Tail, bounds};
use super::value::{Bytes, Order, Value, Weights};
use super::{ConvolutionLayer, Op, Part};
use crate::kernels::{Addition, Depthwise, ImageShape, Quantisation, Requantisation, Window};
use crate::onnx;

/// All of these are `None`, with nothing done, where a node has no quantised form.
impl Lowering<'_> {
    pub(super) fn convolve(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let Value::Weights(weights) = self.values.get(node.input.get(1)?)? else { return None };
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let (image, window) = (image(&input)?, window(node, &weights.shape)?);
        let groups = onnx::int(node, "group").unwrap_or(1);
        let is_depthwise = groups > 1;
        if is_depthwise && !fits_depthwise(&image, &window, &weights.shape, groups) {
            return None;
        }
        let [height, width] = window.places(image).ok()?;
        let output_channels = weights.shape[0];
        let layer = ConvolutionLayer {
            input: image,
            input_zero_point: input.quantisation.zero_point,
            window,
            output_channels,
            weights: if is_depthwise { in_bytes(&weights.steps)? } else { channels_last(weights)? },
            bias: self.bias(node, input.quantisation, weights)?,
            requantisation: requantisation(&tail, input.quantisation, weights),
        };
        let shape = vec![1, output_channels, height, width];
        let output = self.new_bytes(shape, Order::ChannelsLast, tail.quantisation);
        let (input, layer) = (input.buffer, Box::new(layer));
        let op = if is_depthwise {
            Op::ConvolveDepthwise { input, output: output.buffer, layer }
        } else {
            Op::Convolve { input, output: output.buffer, layer }
        };
        self.push(node, op);
        self.finish(tail, output);
        Some(())
    }

    /// The bias of a convolution in steps of input scale times weight scale.
    fn bias(&self, node: &NodeProto, input: Quantisation, weights: &Weights) -> Option<Vec<i32>> {
        let channels = weights.shape[0];
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

    pub(super) fn add(&mut self, node: &NodeProto) -> Option<()> {
        let [a, b] = [self.dequantised(node, 0)?.clone(), self.dequantised(node, 1)?.clone()];
        if a.shape != b.shape || a.order != b.order {
            return None;
        }
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let addition = Addition {
            input_zero_points: [a.quantisation.zero_point, b.quantisation.zero_point],
            ratios: [&a, &b].map(|addend| addend.quantisation.scale / tail.quantisation.scale),
            zero_point: tail.quantisation.zero_point,
            low: tail.bounds[0],
            high: tail.bounds[1],
        };
        let output = self.new_bytes(a.shape, a.order, tail.quantisation);
        self.push(node, Op::Add { inputs: [a.buffer, b.buffer], output: output.buffer, addition });
        self.finish(tail, output);
        Some(())
    }

    pub(super) fn concatenate(&mut self, node: &NodeProto) -> Option<()> {
        let inputs: Option<Vec<_>> =
            (0..node.input.len()).map(|index| self.dequantised(node, index).cloned()).collect();
        let inputs = inputs?;
        let first = inputs.first()?.clone();
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let axis = axis(onnx::int(node, "axis")?, first.shape.len())?;
        let mut shape = first.shape.clone();
        shape[axis] = inputs.iter().map(|input| input.shape.get(axis)).sum::<Option<usize>>()?;
        let fits = |input: &Bytes| {
            let mut expected = shape.clone();
            expected[axis] = input.shape[axis];
            input.order == first.order && input.shape == expected
        };
        if !inputs.iter().all(fits) {
            return None;
        }
        let axis_in_memory = if first.order == Order::ChannelsLast { [0, 3, 1, 2][axis] } else { axis };
        let runs = first.in_memory()[..axis_in_memory].iter().product();
        let [low, high] = tail.bounds;
        let parts = inputs.iter().map(|input| {
            let is_same = input.quantisation == tail.quantisation && tail.bounds == [0, 255];
            let table = input.quantisation.table_to(tail.quantisation, |value| value);
            let table = (!is_same).then(|| Box::new(table.map(|value| value.clamp(low, high))));
            Part { input: input.buffer, table }
        });
        let parts = parts.collect();
        let output = self.new_bytes(shape, first.order, tail.quantisation);
        self.push(node, Op::Concatenate { parts, output: output.buffer, runs });
        self.finish(tail, output);
        Some(())
    }

    pub(super) fn transpose(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?;
        let permutation = onnx::ints(node, "perm")?;
        let order = match (input.order, permutation) {
            (Order::ChannelsLast, [0, 2, 3, 1]) => Order::AsShaped,
            (Order::AsShaped, [0, 3, 1, 2]) if input.shape.len() == 4 && input.shape[0] == 1 => {
                Order::ChannelsLast
            }
            _ => return None,
        };
        let shape = permutation.iter().map(|&axis| input.shape[axis as usize]).collect();
        let output = Bytes { shape, order, ..input.clone() };
        self.same_bytes(node, output)
    }

    pub(super) fn reshape(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.as_shaped()?;
        let shape = match &*node.op_type {
            "Reshape" => reshaped(&input.shape, &self.graph.constant(node, 1)?.integers()?)?,
            "Flatten" => {
                let axis = axis(onnx::int(node, "axis").unwrap_or(1), input.shape.len())?;
                vec![input.shape[..axis].iter().product(), input.shape[axis..].iter().product()]
            }
            _ => return None,
        };
        self.same_bytes(node, Bytes { shape, ..input })
    }

    pub(super) fn rename(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        self.same_bytes(node, input)
    }

    fn same_bytes(&mut self, node: &NodeProto, bytes: Bytes) -> Option<()> {
        let name = node.output.first()?;
        let is_read_once = bytes.is_read_once && self.graph.only_reader(name).is_some();
        self.values.insert(name.clone(), Value::Dequantised(Bytes { is_read_once, ..bytes }));
        Some(())
    }

    /// A function of single values, as a table; within the convolution before it where that can be.
    pub(super) fn map(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let [low, high] = tail.bounds;
        let function: Box<dyn Fn(f32) -> f32> = match bounds(self.graph, node) {
            Some([low, high]) => Box::new(move |value| value.max(low).min(high)),
            None => function(node)?,
        };
        let table = input.quantisation.table_to(tail.quantisation, function);
        let table = Box::new(table.map(|value| value.clamp(low, high)));
        let of_convolution = self.table_of(input.buffer).filter(|_| input.is_read_once);
        let output = if let Some(of_convolution) = of_convolution {
            *of_convolution = Some(table);
            Bytes { quantisation: tail.quantisation, ..input }
        } else {
            self.mapped(node, &input, table, tail.quantisation)
        };
        self.finish(tail, output);
        Some(())
    }
}

fn image(bytes: &Bytes) -> Option<ImageShape> {
    let &[1, channels, height, width] = &*bytes.shape else { return None };
    let is_in_order = bytes.order == Order::ChannelsLast || channels == 1 || height * width == 1;
    is_in_order.then_some(ImageShape { height, width, channels })
}

/// The window of a convolution, where it is not dilated.
fn window(node: &NodeProto, weights: &[usize]) -> Option<Window> {
    let &[_, _, rows, columns] = weights else { return None };
    let explicit = onnx::text(node, "auto_pad").is_none_or(|text| text.is_empty() || text == b"NOTSET");
    let ones = onnx::ints(node, "dilations").is_none_or(|dilations| dilations.iter().all(|&d| d == 1));
    let numbers = |name, otherwise: &[i64]| {
        let numbers = onnx::ints(node, name).unwrap_or(otherwise).iter();
        numbers.map(|&number| usize::try_from(number).ok()).collect::<Option<Vec<_>>>()
    };
    let &[top, left, bottom, right] = &*numbers("pads", &[0; 4])? else { return None };
    let stride = <[usize; 2]>::try_from(numbers("strides", &[1; 2])?).ok()?;
    (explicit && ones).then_some(Window {
        size: [rows, columns],
        stride,
        padding_before: [top, left],
        padding_after: [bottom, right],
    })
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

fn requantisation(tail: &Tail, input: Quantisation, weights: &Weights) -> Requantisation {
    let multiplier = |channel| input.scale * weights.scale(channel) / tail.quantisation.scale;
    Requantisation {
        multipliers: (0..weights.shape[0]).map(multiplier).collect(),
        zero_point: tail.quantisation.zero_point,
        low: tail.bounds[0],
        high: tail.bounds[1],
        table: None,
    }
}

fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// The shape that `Reshape` gives: 0 keeps a length, -1 takes what is left.
fn reshaped(shape: &[usize], target: &[i64]) -> Option<Vec<usize>> {
    let volume: usize = shape.iter().product();
    let length = |(index, &length): (usize, &i64)| match length {
        0 => shape.get(index).copied(),
        -1 => Some(1),
        _ => usize::try_from(length).ok(),
    };
    let mut lengths = target.iter().enumerate().map(length).collect::<Option<Vec<_>>>()?;
    let known: usize = lengths.iter().product();
    if let Some(open) = target.iter().position(|&length| length == -1) {
        lengths[open] = volume / known.max(1);
    }
    (lengths.iter().product::<usize>() == volume).then_some(lengths)
}

/// Functions of one value that networks use.
fn function(node: &NodeProto) -> Option<Box<dyn Fn(f32) -> f32>> {
    let parameter = |name, otherwise| onnx::float(node, name).unwrap_or(otherwise);
    Some(match &*node.op_type {
        "Sigmoid" => Box::new(|x: f32| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => Box::new(f32::tanh),
        "Elu" => {
            let alpha = parameter("alpha", 1.0);
            Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "LeakyRelu" => {
            let alpha = parameter("alpha", 0.01);
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (parameter("alpha", 0.2), parameter("beta", 0.5));
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_taken_as_reshape_says() {
        assert_eq!(reshaped(&[1, 20, 20, 24], &[1, -1, 4]), Some(vec![1, 2400, 4]));
        assert_eq!(reshaped(&[2, 3, 4], &[0, 12]), Some(vec![2, 12]));
        assert_eq!(reshaped(&[2, 3], &[5]), None);
        assert_eq!(reshaped(&[2, 3], &[4, -1]), None);
    }

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!([axis(1, 4), axis(-1, 4), axis(4, 4), axis(-5, 4)], [Some(1), Some(3), None, None]);
    }
}
