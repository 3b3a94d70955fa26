//! Plans carried out by this machine's processor.

mod floats;
mod layer;
mod memory;

use std::sync::Arc;

use crate::arena::Arena;
use crate::error::NnError;
use crate::float_kernels;
use crate::kernels::{Kernel, Word, look_up, look_up_planes};
use crate::plan::{FloatId, Op, Plan};
use crate::step_info::StepInfo;
use crate::workers::Workers;
use floats::Floats;
use layer::{Layer, float_layer};
use memory::Memory;

/// A plan with its parameters packed for one kernel, and the memory that it needs.
#[derive(Debug)]
pub(crate) struct Executor {
    kernel: Kernel,
    plan: Plan,
    /// One for each step; `None` where the step has nothing to pack.
    layers: Vec<Option<Layer>>,
    /// One for each step; `None` where it is no convolution in floats.
    float_layers: Vec<Option<float_kernels::Convolution>>,
    arena: Arena,
    workers: Arc<Workers>,
    /// One for each of the workers.
    scratch: Vec<Vec<Word>>,
    floats: Floats,
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
            float_layers: plan.steps.iter().map(|step| float_layer(&step.op)).collect(),
            arena: Arena::with_room(plan.arena),
            workers: Arc::new(Workers::single()),
            scratch: Vec::new(),
            floats: Floats::new(&plan),
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

    /// Works in `arena` from now on.
    pub(crate) fn use_arena(&mut self, arena: &Arena) {
        arena.make_room(self.plan.arena);
        self.arena = arena.clone();
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
        self.floats.get(id)
    }

    pub(crate) fn floats_mut(&mut self, id: FloatId) -> &mut [f32] {
        self.floats.get_mut(id)
    }

    /// Bytes that a run writes to: arena and scratch.
    pub(crate) fn working_bytes(&self) -> usize {
        self.plan.arena + self.scratch.iter().map(|words| size_of_val(&**words)).sum::<usize>()
    }

    /// What a step does and takes.
    pub(crate) fn step_info(&self, index: usize) -> StepInfo<'_> {
        let step = &self.plan.steps[index];
        let buffers = step.op.reads().into_iter().chain(step.op.writes());
        let floats = step.op.floats().into_iter().map(|id| self.floats.bytes(id));
        let parameter_bytes = match (&step.op, &self.layers[index]) {
            (Op::Float { model, .. }, _) => model.parameter_bytes(),
            (_, Some(layer)) => layer.bytes(),
            (_, None) => self.float_layers[index].as_ref().map_or(0, |layer| layer.parameter_bytes()),
        };
        let kernel = match step.op {
            Op::Float { .. } => "tract",
            Op::ConvolveFloats { .. } => "f32",
            _ => self.kernel.name(),
        };
        StepInfo {
            node: &step.node,
            op: step.op.name(),
            kernel,
            multiply_adds: step.op.multiply_adds(),
            parameter_bytes,
            activation_bytes: buffers.map(|id| self.plan.buffers[id].length).chain(floats).sum(),
            is_float: matches!(step.op, Op::Float { .. } | Op::ConvolveFloats { .. }),
        }
    }

    /// Takes all steps.
    ///
    /// # Errors
    /// [`NnError::File`] where a step in float fails.
    pub(crate) fn run(&mut self) -> Result<(), NnError> {
        let (workers, arena) = (Arc::clone(&self.workers), self.arena.clone());
        let bytes: &mut [u8] = &mut arena.hold();
        workers.run(|| (0..self.plan.steps.len()).try_for_each(|index| self.take(index, bytes)))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`NnError::File`] where a step in float fails.
    pub(crate) fn step(&mut self, index: usize) -> Result<(), NnError> {
        let (workers, arena) = (Arc::clone(&self.workers), self.arena.clone());
        let bytes: &mut [u8] = &mut arena.hold();
        workers.run(|| self.take(index, bytes))
    }

    /// Takes one step among the workers.
    fn take(&mut self, index: usize, arena: &mut [u8]) -> Result<(), NnError> {
        let Self { kernel, plan, layers, float_layers, scratch, floats, workers, .. } = self;
        let kernel = *kernel;
        let memory = &mut Memory { plan, arena, scratch };
        match &plan.steps[index].op {
            Op::Quantise { input, output, channels, quantisation } => {
                let input = floats.get(*input);
                memory.write_pixels(*output, *channels, |first, output| {
                    quantisation.quantise_planes(kernel, *channels, input, first, output)
                })
            }
            Op::Dequantise { input, output, channels, quantisation, function: None } => {
                let (input, output) = (memory.buffer(*input), floats.get_mut(*output));
                quantisation.dequantise_planes(kernel, *channels, input, output)
            }
            Op::Dequantise { input, output, channels, function: Some(table), .. } => {
                look_up_planes(*channels, memory.buffer(*input), table, floats.get_mut(*output))
            }
            Op::Convolve { input, output, .. } | Op::ConvolveDepthwise { input, output, .. } => {
                let Some(layer) = &layers[index] else { return Ok(()) };
                memory.write_image(*input, output, layer.output(), |rows, input, output, scratch| {
                    layer.run_rows(rows, input, output, scratch)
                })
            }
            Op::MaxPool { input, output, layer } => {
                memory.write_image(*input, output, layer.output(), |rows, input, output, _| {
                    layer.run_rows(kernel, rows, input, output)
                })
            }
            Op::AveragePool { input, output, layer } => {
                memory.write_image(*input, output, layer.output(), |rows, input, output, _| {
                    layer.run_rows(kernel, rows, input, output)
                })
            }
            Op::Select { input, output, layer } => {
                memory.write_image(*input, output, layer.output(), |rows, input, output, _| {
                    layer.run_rows(rows, input, output)
                })
            }
            Op::Interpolate { input, output, layer } => {
                memory.write_image(*input, output, layer.output(), |rows, input, output, _| {
                    layer.run_rows(kernel, rows, input, output)
                })
            }
            Op::Add { inputs, output, addition } => {
                memory.write_bytes(*inputs, *output, |inputs, sum| addition.run(kernel, inputs, sum))
            }
            Op::Map { input, output, table } => memory.write_bytes([*input], *output, |[input], output| {
                look_up(kernel, input, table, output);
                Ok(())
            }),
            Op::Concatenate { parts, output, runs } => parts.iter().try_for_each(|part| {
                memory.write_runs(part.input, [*output, part.start, *runs], |input, output| {
                    match &part.table {
                        Some(table) => look_up(kernel, input, table, output),
                        None => output.copy_from_slice(input),
                    }
                    Ok(())
                })
            }),
            Op::ConvolveFloats { input, output, .. } => {
                let Some(layer) = &mut float_layers[index] else { return Ok(()) };
                floats.write(*input, *output, |input, output| layer.run(input, output, workers.threads()));
                Ok(())
            }
            Op::Float { inputs, outputs, model } => {
                let results = model.run(inputs.iter().map(|&input| floats.get(input)))?;
                let mut outputs = outputs.iter().enumerate();
                outputs.try_for_each(|(index, &output)| results.copy_to(index, floats.get_mut(output)))
            }
        }
    }
}
