//! The arena as its buffers, and the threads that write them.

use std::ops::Range;

use crate::error::NnError;
use crate::kernels::{ImageShape, Output, Word};
use crate::plan::{BufferId, Plan, View};
use crate::workers::{Rows, share};

/// Bytes that one thread takes at a time of a tensor whose rows don't matter.
const PART: usize = 4 << 10;

/// The arena, and what a step may write to beside it.
pub(super) struct Memory<'a> {
    pub(super) plan: &'a Plan,
    pub(super) arena: &'a mut [u8],
    /// One for each thread.
    pub(super) scratch: &'a mut [Vec<Word>],
}

/// All of the arena but for one buffer that is written.
struct Others<'a> {
    plan: &'a Plan,
    before: &'a [u8],
    after: &'a [u8],
    written: Range<usize>,
}

impl Others<'_> {
    /// A buffer that the plan has laid apart from the written one.
    fn get(&self, id: BufferId) -> Result<&[u8], NnError> {
        let range = self.plan.buffers[id].range();
        let bytes = match range.start.checked_sub(self.written.end) {
            Some(start) => self.after.get(start..start + range.len()),
            None => self.before.get(range),
        };
        bytes.ok_or_else(|| NnError::File {
            problem: format!("a plan whose buffer {id} overlaps what a step writes or leaves the arena"),
        })
    }
}

impl Memory<'_> {
    /// One buffer, to be read.
    pub(super) fn buffer(&self, id: BufferId) -> &[u8] {
        &self.arena[self.plan.buffers[id].range()]
    }

    fn split(&mut self, written: BufferId) -> (Others<'_>, &mut [u8], &mut [Vec<Word>]) {
        let range = self.plan.buffers[written].range();
        let (before, rest) = self.arena.split_at_mut(range.start);
        let (output, after) = rest.split_at_mut(range.len());
        let others = Others { plan: self.plan, before, after, written: range };
        (others, output, &mut *self.scratch)
    }

    /// Has the threads write the rows of an image of this shape, given the buffer that they are made of.
    pub(super) fn write_image(
        &mut self,
        input: BufferId,
        view: &View,
        shape: ImageShape,
        work: impl Fn(Range<usize>, &[u8], Output<'_>, &mut [Word]) -> Result<(), NnError> + Sync,
    ) -> Result<(), NnError> {
        let (others, output, scratch) = self.split(view.buffer);
        let input = others.get(input)?;
        let (step, row_step, output) = (view.step, view.row_step, &mut output[view.first..]);
        let all = Rows { rows: 0..shape.height, output, row_step, scratch };
        share(all, &|rows, values, scratch| work(rows, input, Output { values, step, row_step }, scratch))
    }

    /// Has the threads write a buffer, given those at the same places of others as long.
    pub(super) fn write_bytes<const N: usize>(
        &mut self,
        inputs: [BufferId; N],
        output: BufferId,
        work: impl Fn([&[u8]; N], &mut [u8]) -> Result<(), NnError> + Sync,
    ) -> Result<(), NnError> {
        let (others, output, scratch) = self.split(output);
        let mut sources = [&[][..]; N];
        for (source, id) in sources.iter_mut().zip(inputs) {
            *source = others.get(id)?;
        }
        let all = Rows { rows: 0..output.len().div_ceil(PART), output, row_step: PART, scratch };
        share(all, &|parts, output, _| {
            work(sources.map(|source| &source[parts.start * PART..][..output.len()]), output)
        })
    }

    /// Has the threads write a buffer of pixels, each some of them from the first that it is given on.
    pub(super) fn write_pixels(
        &mut self,
        output: BufferId,
        channels: usize,
        work: impl Fn(usize, &mut [u8]) -> Result<(), NnError> + Sync,
    ) -> Result<(), NnError> {
        let (_, output, scratch) = self.split(output);
        let pixels = (PART / channels).max(1);
        let row_step = pixels * channels;
        let all = Rows { rows: 0..output.len().div_ceil(row_step), output, row_step, scratch };
        share(all, &|parts, output, _| work(parts.start * pixels, output))
    }

    /// Copies runs of a tensor's bytes to where they belong in a wider one, as `work` says.
    pub(super) fn write_runs(
        &mut self,
        input: BufferId,
        [output, start, runs]: [usize; 3],
        work: impl Fn(&[u8], &mut [u8]) -> Result<(), NnError>,
    ) -> Result<(), NnError> {
        let (others, output, _) = self.split(output);
        let input = others.get(input)?;
        let [run, whole] = [input.len() / runs, output.len() / runs];
        for (input, output) in input.chunks_exact(run).zip(output.chunks_exact_mut(whole)) {
            work(input, &mut output[start..start + run])?;
        }
        Ok(())
    }
}
