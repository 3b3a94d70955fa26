//! Networks, ready to run.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::arena::Arena;
use crate::cpu::Executor;
use crate::error::NnError;
use crate::kernels::Kernel;
use crate::onnx::{Graph, Port};
use crate::plan::{Plan, lower};
use crate::step_info::StepInfo;
use crate::workers::Workers;

/// A network with all memory that it needs. A run takes no memory as long as no node runs in float and one thread does the
/// work; the queue of a pool of threads may take some now and then.
///
/// ```no_run
/// use kestrel_nn::{Network, NnError, kernels::Kernel};
///
/// let mut network = Network::open("depth.onnx".as_ref(), Kernel::best())?;
/// network.input(0).fill(0.5);
/// network.run()?;
/// let depth = network.output(0);
/// # Ok::<(), NnError>(())
/// ```
#[derive(Debug)]
pub struct Network {
    executor: Executor,
}

impl Network {
    /// Reads and plans the ONNX file at `path`.
    ///
    /// # Errors
    /// [`NnError::File`] where the file can't be read or is no network of fixed shapes, else as [`Network::read`].
    pub fn open(path: &Path, kernel: Kernel) -> Result<Self, NnError> {
        let bytes = fs::read(path)
            .map_err(|error| NnError::File { problem: format!("{}: {error}", path.display()) })?;
        Self::read(&bytes, kernel)
    }

    /// Plans the network in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// [`NnError::File`] where they are no network of fixed shapes, [`NnError::Node`] with the first node that can't be
    /// run.
    pub fn read(bytes: &[u8], kernel: Kernel) -> Result<Self, NnError> {
        let plan = lower(&Graph::read(bytes)?)?;
        Ok(Self { executor: Executor::new(plan, kernel)? })
    }

    /// Names and shapes of what goes in.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &Port> {
        self.executor.plan().inputs.iter().map(|(port, _)| port)
    }

    /// Names and shapes of what comes out.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Port> {
        self.executor.plan().outputs.iter().map(|(port, _)| port)
    }

    /// What goes in at `index`, to be written before a run; panics where there is no such input.
    pub fn input(&mut self, index: usize) -> &mut [f32] {
        let id = self.executor.plan().inputs[index].1;
        self.executor.floats_mut(id)
    }

    /// What the last run made of it at `index`; panics where there is no such output.
    pub fn output(&self, index: usize) -> &[f32] {
        self.executor.floats(self.executor.plan().outputs[index].1)
    }

    /// Has the rows of its layers shared among a fixed pool of `threads`; one until then. Results stay the same to the bit.
    ///
    /// # Errors
    /// [`NnError::Threads`] for none at all, or where the system does not give them.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, NnError> {
        self.executor.use_workers(Workers::new(threads)?);
        Ok(self)
    }

    /// Has it work in memory that other networks may work in as well, one after the other; in its own until then.
    pub fn with_arena(mut self, arena: &Arena) -> Self {
        self.executor.use_arena(arena);
        self
    }

    /// Threads that share its work.
    pub fn threads(&self) -> usize {
        self.executor.threads()
    }

    /// Computes the outputs.
    ///
    /// # Errors
    /// [`NnError::File`] where a node in float fails.
    pub fn run(&mut self) -> Result<(), NnError> {
        self.executor.run()
    }

    /// Computes the outputs and tells how long each step took, by the clock on the wall.
    ///
    /// # Errors
    /// See [`Network::run`].
    pub fn run_timed(&mut self) -> Result<Vec<Duration>, NnError> {
        let steps = self.executor.plan().steps.len();
        let timed = |index| {
            let start = Instant::now();
            self.executor.step(index)?;
            Ok(start.elapsed())
        };
        (0..steps).map(timed).collect()
    }

    /// What each step of a run does and takes, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepInfo<'_>> {
        (0..self.executor.plan().steps.len()).map(|index| self.executor.step_info(index))
    }

    /// Takes one step of a run, for a scheduler that puts other work between them. They count from 0 and must be taken
    /// in order, with no run of a network in between that shares its [`Arena`]; panics where there is no such step.
    ///
    /// # Errors
    /// See [`Network::run`].
    pub fn step(&mut self, index: usize) -> Result<(), NnError> {
        self.executor.step(index)
    }

    /// The plan that it follows.
    pub fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    /// The kernel that it runs on.
    pub fn kernel(&self) -> Kernel {
        self.executor.kernel()
    }

    /// Bytes that a run on bytes works in: arena and scratch.
    pub fn working_bytes(&self) -> usize {
        self.executor.working_bytes()
    }
}
