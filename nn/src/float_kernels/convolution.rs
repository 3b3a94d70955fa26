//! A convolution of a network that runs in float.

use std::fmt;

use super::dense::{Buffers, Plan};
use super::depthwise::Planes;
use super::function::After;
use super::{Dense, Depthwise};
use crate::architecture::Activation;

/// A convolution with its weights in the order of use, its bias and the function behind it.
pub(crate) struct Convolution {
    kind: Kind,
    bias: Vec<f32>,
    function: Option<Activation>,
    parameters: usize,
}

enum Kind {
    Dense { plan: Plan, weights: Vec<f32>, buffers: Buffers },
    Depthwise { of: Depthwise, filter: Vec<f32>, planes: Planes },
}

impl fmt::Debug for Convolution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Convolution").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl Convolution {
    /// Over all channels; `filter` is `[filters, channels, kernel, kernel]`. The bias is added, where there is one, then the
    /// function applied.
    pub(crate) fn dense(of: Dense, filter: &[f32], bias: Vec<f32>, function: Option<Activation>) -> Self {
        Self::planned(Plan::forward(&of), of.weights(filter), filter.len(), bias, function)
    }

    /// The other way, from what `of` makes to what it reads.
    pub(crate) fn transposed(
        of: Dense,
        filter: &[f32],
        bias: Vec<f32>,
        function: Option<Activation>,
    ) -> Self {
        let weights = of.weights(filter);
        Self::planned(Plan::transposed(&of), |out, read| weights(read, out), filter.len(), bias, function)
    }

    fn planned<'a>(
        plan: Plan,
        weights: impl Fn(usize, usize) -> &'a [f32] + Sync,
        count: usize,
        bias: Vec<f32>,
        function: Option<Activation>,
    ) -> Self {
        let weights = plan.packed(weights);
        let buffers = plan.buffers();
        Self { parameters: count + bias.len(), kind: Kind::Dense { plan, weights, buffers }, bias, function }
    }

    /// Of each channel by itself; `filter` is `[channels, 1, kernel, kernel]`.
    pub(crate) fn depthwise(
        of: Depthwise,
        filter: Vec<f32>,
        bias: Vec<f32>,
        function: Option<Activation>,
    ) -> Self {
        Self {
            parameters: filter.len() + bias.len(),
            kind: Kind::Depthwise { of, filter, planes: of.planes() },
            bias,
            function,
        }
    }

    /// Bytes of weights and bias.
    pub(crate) fn parameter_bytes(&self) -> usize {
        self.parameters * size_of::<f32>()
    }

    /// Writes `output`; shared among the threads of the pool that it is called in where there are several.
    pub(crate) fn run(&mut self, input: &[f32], output: &mut [f32], threads: usize) {
        let after = After { bias: &self.bias, function: self.function };
        match &mut self.kind {
            Kind::Dense { plan, weights, .. } if threads > 1 => {
                plan.share(input, weights, after, output);
            }
            Kind::Dense { plan, weights, buffers } => plan.run(input, weights, after, output, buffers),
            Kind::Depthwise { of, filter, .. } if threads > 1 => of.share(input, filter, after, output),
            Kind::Depthwise { of, filter, planes } => of.run(input, filter, after, output, planes),
        }
    }
}
