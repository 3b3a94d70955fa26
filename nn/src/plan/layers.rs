//! Layers that have a quantised form.

use tract_onnx::pb::NodeProto;

use super::lower::Lowering;
use super::tail::{Tail, bounds};
use super::value::{Bytes, Function, Order, Value};
use super::{Op, Part};
use crate::kernels::Addition;
use crate::onnx;

/// All of these are `None`, with nothing done, where a node has no quantised form.
impl Lowering<'_> {
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
            (0..node.input.len()).map(|index| self.function_of_bytes(node, index).cloned()).collect();
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
        let stretch: usize = first.in_memory()[axis_in_memory + 1..].iter().product();
        let mut parts = Vec::new();
        let mut start = 0;
        for input in &inputs {
            parts.push(Part { input: input.buffer, start, table: self.table_into(input, &tail) });
            start += input.shape[axis] * stretch;
        }
        let output = self.new_bytes(shape, first.order, tail.quantisation);
        self.push(node, Op::Concatenate { parts, output: output.buffer, runs });
        self.finish(tail, output);
        Some(())
    }

    /// What makes bytes what a tail makes of them, where that is not done by the layer before.
    fn table_into(&mut self, input: &Bytes, tail: &Tail) -> Option<Box<[u8; 256]>> {
        let [low, high] = tail.bounds;
        let table = Box::new(input.table_to(tail.quantisation).map(|value| value.clamp(low, high)));
        let is_needed = table.iter().enumerate().any(|(byte, &value)| byte != usize::from(value));
        (is_needed && !self.is_mapped_before(input, &table)).then_some(table)
    }

    pub(super) fn transpose(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.function_of_bytes(node, 0)?;
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
        let input = self.function_of_bytes(node, 0)?.as_shaped()?;
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
        let input = self.function_of_bytes(node, 0)?.clone();
        self.same_bytes(node, input)
    }

    /// Names bytes, or what stands for the same values as those that a node read.
    pub(super) fn same_bytes(&mut self, node: &NodeProto, bytes: Bytes) -> Option<()> {
        let name = node.output.first()?;
        let is_read_once = bytes.is_read_once && self.graph.only_reader(name).is_some();
        self.values.insert(name.clone(), Value::Dequantised(Bytes { is_read_once, ..bytes }));
        Some(())
    }

    /// A function of single values, done when the bytes are next written.
    pub(super) fn apply(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.function_of_bytes(node, 0)?.clone();
        let function = match bounds(self.graph, node) {
            Some([low, high]) => Function::new(move |value: f32| value.max(low).min(high)),
            None => function(node)?,
        };
        self.same_bytes(node, Bytes { function: Some(function.of(input.function.clone())), ..input })
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
    let known = super::volume(&lengths)?;
    if let Some(open) = target.iter().position(|&length| length == -1) {
        lengths[open] = volume / known.max(1);
    }
    (super::volume(&lengths) == Some(volume)).then_some(lengths)
}

/// Functions of one value that networks use.
fn function(node: &NodeProto) -> Option<Function> {
    let parameter = |name, otherwise| onnx::float(node, name).unwrap_or(otherwise);
    Some(match &*node.op_type {
        "Sigmoid" => Function::new(|x: f32| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => Function::new(f32::tanh),
        "Elu" => {
            let alpha = parameter("alpha", 1.0);
            Function::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "LeakyRelu" => {
            let alpha = parameter("alpha", 0.01);
            Function::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (parameter("alpha", 0.2), parameter("beta", 0.5));
            Function::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Function::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
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
