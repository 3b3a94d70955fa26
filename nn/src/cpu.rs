//! Plans carried out by this machine's processor.

use std::ops::Range;
use std::sync::Arc;

use crate::error::NnError;
use crate::kernels::{Convolution, ConvolutionSpec, Depthwise, DepthwiseSpec, Kernel, Output, Word};
use crate::plan::{BufferId, ConvolutionLayer, FloatId, Op, Part, Plan};
use crate::step_info::StepInfo;
use crate::workers::{Rows, Workers, share};

/// A plan with its parameters packed for one kernel, and the memory that it needs.
#[derive(Debug)]
pub(crate) struct Executor {
    kernel: Kernel,
    plan: Plan,
    /// One for each step; `None` where the step has nothing to pack.
    layers: Vec<Option<Layer>>,
    arena: Vec<u8>,
    workers: Arc<Workers>,
    /// One for each of the workers.
    scratch: Vec<Vec<Word>>,
    floats: Vec<Vec<f32>>,
}

/// A convolution packed for a kernel.
#[derive(Debug)]
enum Layer {
    Dense(Convolution),
    Depthwise(Depthwise),
}

impl Executor {
    /// Packs `plan` for `kernel` and takes all memory that runs will need.
    ///
    /// # Errors
    /// [`NnError::Node`] with the step whose parameters make no layer.
    pub(crate) fn new(plan: Plan, kernel: Kernel) -> Result<Self, NnError> {
        let layers = plan.steps.iter().map(|step| {
            let layer = Layer::new(kernel, &step.op);
            layer.map_err(|error| NnError::Node {
                node: step.node.clone(),
                op: "Conv".into(),
                problem: error.to_string(),
            })
        });
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let mut executor = Self {
            kernel,
            layers,
            arena: vec![0; plan.arena],
            workers: Arc::new(Workers::single()),
            scratch: Vec::new(),
            floats: plan.floats.iter().map(|shape| vec![0.0; shape.iter().product()]).collect(),
            plan,
        };
        executor.use_workers(Workers::single());
        Ok(executor)
    }

    /// Hands the work to `workers`.
    pub(crate) fn use_workers(&mut self, workers: Workers) {
        let words = self.layers.iter().flatten().map(Layer::scratch_words).max().unwrap_or(0);
        self.scratch = vec![vec![Word::default(); words]; workers.threads()];
        self.workers = Arc::new(workers);
    }

    pub(crate) fn threads(&self) -> usize {
        self.workers.threads()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    pub(crate) fn floats(&self, id: FloatId) -> &[f32] {
        &self.floats[id]
    }

    pub(crate) fn floats_mut(&mut self, id: FloatId) -> &mut [f32] {
        &mut self.floats[id]
    }

    /// Bytes that a run writes to: arena and scratch.
    pub(crate) fn working_bytes(&self) -> usize {
        self.arena.len() + self.scratch.iter().map(|words| size_of_val(&**words)).sum::<usize>()
    }

    /// What a step does and takes.
    pub(crate) fn step_info(&self, index: usize) -> StepInfo<'_> {
        let step = &self.plan.steps[index];
        let buffers = step.op.reads().into_iter().chain(step.op.writes());
        let floats = step.op.floats().into_iter().map(|id| size_of_val(&*self.floats[id]));
        let (multiply_adds, parameter_bytes) = match (&step.op, &self.layers[index]) {
            (Op::Float { model, .. }, _) => (model.multiply_adds(), model.parameter_bytes()),
            (_, Some(layer)) => (layer.multiplications() as u64, layer.bytes()),
            (_, None) => (0, 0),
        };
        let is_float = matches!(step.op, Op::Float { .. });
        StepInfo {
            node: &step.node,
            op: step.op.name(),
            kernel: if is_float { "tract" } else { self.kernel.name() },
            multiply_adds,
            parameter_bytes,
            activation_bytes: buffers.map(|id| self.plan.buffers[id].length).chain(floats).sum(),
            is_float,
        }
    }

    /// Takes all steps.
    ///
    /// # Errors
    /// [`NnError::File`] where a step in float fails.
    pub(crate) fn run(&mut self) -> Result<(), NnError> {
        let workers = Arc::clone(&self.workers);
        workers.run(|| (0..self.plan.steps.len()).try_for_each(|index| self.take(index)))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`NnError::File`] where a step in float fails.
    pub(crate) fn step(&mut self, index: usize) -> Result<(), NnError> {
        let workers = Arc::clone(&self.workers);
        workers.run(|| self.take(index))
    }

    /// Takes one step among the workers.
    fn take(&mut self, index: usize) -> Result<(), NnError> {
        let Self { kernel, plan, layers, arena, scratch, floats, .. } = self;
        let memory = &mut Memory { plan, arena };
        match &plan.steps[index].op {
            Op::Quantise { input, output, channels, quantisation } => {
                let output = memory.one(*output)?;
                quantisation.quantise_planes(*kernel, *channels, &floats[*input], output)
            }
            Op::Dequantise { input, output, channels, quantisation } => {
                let input = memory.one(*input)?;
                quantisation.dequantise_planes(*kernel, *channels, input, &mut floats[*output])
            }
            Op::Convolve { input, output, .. } | Op::ConvolveDepthwise { input, output, .. } => {
                let [input, output] = memory.several([*input, *output])?;
                layers[index].as_ref().map_or(Ok(()), |layer| layer.run(input, output, scratch))
            }
            Op::Add { inputs: [a, b], output, addition } if a == b => {
                let [input, output] = memory.several([*a, *output])?;
                addition.run(*kernel, [input, input], output)
            }
            Op::Add { inputs: [a, b], output, addition } => {
                let [a, b, output] = memory.several([*a, *b, *output])?;
                addition.run(*kernel, [a, b], output)
            }
            Op::Map { input, output, table } => {
                let [input, output] = memory.several([*input, *output])?;
                look_up(input, table, output);
                Ok(())
            }
            Op::Concatenate { parts, output, runs } => memory.concatenate(parts, *output, *runs),
            Op::Float { inputs, outputs, model } => {
                let inputs: Vec<_> = inputs.iter().map(|&input| floats[input].clone()).collect();
                let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
                model.run(&inputs, |index, values| floats[outputs[index]].copy_from_slice(values))
            }
        }
    }
}

impl Layer {
    fn new(kernel: Kernel, op: &Op) -> Result<Option<Self>, NnError> {
        Ok(match op {
            Op::Convolve { layer, .. } => Some(Self::Dense(Convolution::new(kernel, &dense(layer))?)),
            Op::ConvolveDepthwise { layer, .. } => {
                Some(Self::Depthwise(Depthwise::new(kernel, &depthwise(layer))?))
            }
            _ => None,
        })
    }

    fn scratch_words(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.scratch_words(),
            Self::Depthwise(layer) => layer.scratch_words(),
        }
    }

    fn multiplications(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.multiplications(),
            Self::Depthwise(layer) => layer.multiplications(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.bytes(),
            Self::Depthwise(layer) => layer.bytes(),
        }
    }

    fn run(&self, input: &[u8], output: &mut [u8], scratch: &mut [Vec<Word>]) -> Result<(), NnError> {
        let image = match self {
            Self::Dense(layer) => layer.output(),
            Self::Depthwise(layer) => layer.output(),
        };
        let all = Rows { rows: 0..image.height, output, row_step: image.width * image.channels, scratch };
        share(all, &|rows, output, scratch| {
            let output = Output::whole(output, image.channels);
            match self {
                Self::Dense(layer) => layer.run_rows(rows, input, output, scratch),
                Self::Depthwise(layer) => layer.run_rows(rows, input, output, scratch),
            }
        })
    }
}

fn dense(layer: &ConvolutionLayer) -> ConvolutionSpec<'_> {
    ConvolutionSpec {
        input: layer.input,
        input_zero_point: layer.input_zero_point,
        window: layer.window,
        output_channels: layer.output_channels,
        weights: &layer.weights,
        bias: &layer.bias,
        requantisation: &layer.requantisation,
    }
}

fn depthwise(layer: &ConvolutionLayer) -> DepthwiseSpec<'_> {
    DepthwiseSpec {
        input: layer.input,
        input_zero_point: layer.input_zero_point,
        window: layer.window,
        weights: &layer.weights,
        bias: &layer.bias,
        requantisation: &layer.requantisation,
    }
}

/// The arena as its buffers.
struct Memory<'a> {
    plan: &'a Plan,
    arena: &'a mut [u8],
}

impl Memory<'_> {
    fn range(&self, id: BufferId) -> Range<usize> {
        let buffer = self.plan.buffers[id];
        buffer.offset..buffer.offset + buffer.length
    }

    fn one(&mut self, id: BufferId) -> Result<&mut [u8], NnError> {
        let [buffer] = self.several([id])?;
        Ok(buffer)
    }

    /// Buffers that one step needs, which the plan has laid apart.
    fn several<const N: usize>(&mut self, ids: [BufferId; N]) -> Result<[&mut [u8]; N], NnError> {
        let ranges = ids.map(|id| self.range(id));
        self.arena.get_disjoint_mut(ranges).map_err(|error| NnError::File {
            problem: format!("a plan whose buffers {ids:?} overlap or leave the arena: {error}"),
        })
    }

    fn concatenate(&mut self, parts: &[Part], output: BufferId, runs: usize) -> Result<(), NnError> {
        let whole = self.plan.buffers[output].length / runs;
        let mut start = 0;
        for part in parts {
            let [input, output] = self.several([part.input, output])?;
            let length = input.len() / runs;
            for (run, output) in input.chunks_exact(length).zip(output.chunks_exact_mut(whole)) {
                let output = &mut output[start..start + length];
                match &part.table {
                    Some(table) => look_up(run, table, output),
                    None => output.copy_from_slice(run),
                }
            }
            start += length;
        }
        Ok(())
    }
}

fn look_up(input: &[u8], table: &[u8; 256], output: &mut [u8]) {
    for (output, &input) in output.iter_mut().zip(input) {
        *output = table[usize::from(input)];
    }
}
