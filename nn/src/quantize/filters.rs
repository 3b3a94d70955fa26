//! Weights of convolutions, channel by channel.

use tract_onnx::pb::NodeProto;

use crate::onnx::{self, Constant, Graph, Values};

/// How the weights of a convolution over images lie: `[output, input / groups, row, column]`, or
/// `[input, output / groups, row, column]` where it is transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filters {
    /// Channels that it writes.
    pub(super) outputs: usize,
    /// Channels that it reads.
    pub(super) inputs: usize,
    groups: usize,
    /// Values per window.
    area: usize,
    is_transposed: bool,
}

impl Filters {
    /// `None` where `node` is no convolution over images whose weights are constant floats.
    pub(super) fn of(graph: &Graph, node: &NodeProto) -> Option<Self> {
        let is_transposed = match &*node.op_type {
            "Conv" => false,
            "ConvTranspose" => true,
            _ => return None,
        };
        let weights = graph.constant(node, 1)?;
        weights.floats()?;
        let &[first, second, rows, columns] = &*weights.shape else { return None };
        let groups =
            usize::try_from(onnx::int(node, "group").unwrap_or(1)).ok().filter(|&groups| groups > 0)?;
        if first == 0 || first % groups != 0 || second * rows * columns == 0 {
            return None;
        }
        let (outputs, inputs) =
            if is_transposed { (second * groups, first) } else { (first, second * groups) };
        Some(Self { outputs, inputs, groups, area: rows * columns, is_transposed })
    }

    /// Output and input channel of the weight at `index`.
    pub(super) fn channels(&self, index: usize) -> [usize; 2] {
        let filter = index / self.area;
        if self.is_transposed {
            let per_group = self.outputs / self.groups;
            let (input, within) = (filter / per_group, filter % per_group);
            [input / (self.inputs / self.groups) * per_group + within, input]
        } else {
            let per_group = self.inputs / self.groups;
            let (output, within) = (filter / per_group, filter % per_group);
            [output, output / (self.outputs / self.groups) * per_group + within]
        }
    }

    /// The axis of output channels, where there is one.
    pub(super) fn axis(&self) -> Option<i64> {
        match (self.is_transposed, self.groups) {
            (false, _) => Some(0),
            (true, 1) => Some(1),
            (true, _) => None,
        }
    }

    /// The largest magnitude for each output channel of `weights`.
    pub(super) fn largest_by_output(&self, weights: &[f32]) -> Vec<f32> {
        self.largest(weights, 0, self.outputs)
    }

    /// The largest magnitude for each input channel of `weights`.
    pub(super) fn largest_by_input(&self, weights: &[f32]) -> Vec<f32> {
        self.largest(weights, 1, self.inputs)
    }

    fn largest(&self, weights: &[f32], side: usize, channels: usize) -> Vec<f32> {
        let mut largest = vec![0.0_f32; channels];
        for (index, weight) in weights.iter().enumerate() {
            let channel = self.channels(index)[side];
            largest[channel] = largest[channel].max(weight.abs());
        }
        largest
    }
}

/// The bias of a convolution, 0 where it has none; `None` where it is no constant of floats.
pub(super) fn bias(graph: &Graph, node: &NodeProto, outputs: usize) -> Option<Vec<f32>> {
    match node.input.get(2).filter(|name| !name.is_empty()) {
        None => Some(vec![0.0; outputs]),
        Some(_) => {
            graph.constant(node, 2)?.floats().filter(|bias| bias.len() == outputs).map(<[f32]>::to_vec)
        }
    }
}

/// A constant of floats.
pub(super) fn floats(shape: Vec<usize>, values: Vec<f32>) -> Constant {
    Constant { shape, values: Values::F32(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_belong_to_their_channels() {
        let dense = Filters { outputs: 4, inputs: 2, groups: 1, area: 9, is_transposed: false };
        assert_eq!([0, 9, 18].map(|index| dense.channels(index)), [[0, 0], [0, 1], [1, 0]]);
        let depthwise = Filters { outputs: 3, inputs: 3, groups: 3, area: 4, is_transposed: false };
        assert_eq!([0, 4, 11].map(|index| depthwise.channels(index)), [[0, 0], [1, 1], [2, 2]]);
        let grouped = Filters { outputs: 4, inputs: 6, groups: 2, area: 1, is_transposed: false };
        assert_eq!([2, 3, 6, 11].map(|index| grouped.channels(index)), [[0, 2], [1, 0], [2, 3], [3, 5]]);
        let transposed = Filters { outputs: 4, inputs: 2, groups: 2, area: 1, is_transposed: true };
        assert_eq!([0, 1, 2, 3].map(|index| transposed.channels(index)), [[0, 0], [1, 0], [2, 1], [3, 1]]);
    }
}
