//! Parts of concatenations that are written to their place right away.

use super::{Buffer, BufferId, Op, Part, Step, View};

/// Has layers write their image into the concatenation that it is part of, where nothing else reads it.
pub(super) fn write_parts_in_place(steps: &mut Vec<Step>, buffers: &[Buffer]) {
    for index in 0..steps.len() {
        let Op::Concatenate { parts, output, runs } = &steps[index].op else { continue };
        let (mut parts, output, runs) = (parts.clone(), *output, *runs);
        let whole = buffers[output].length / runs;
        parts.retain(|part| {
            let place =
                Place { output, start: part.start, runs, run: buffers[part.input].length / runs, whole };
            !(part.table.is_none() && is_read_once(steps, part.input) && place.redirect(steps, part))
        });
        if let Op::Concatenate { parts: left, .. } = &mut steps[index].op {
            *left = parts;
        }
    }
    steps.retain(|step| !matches!(&step.op, Op::Concatenate { parts, .. } if parts.is_empty()));
}

/// Whether one step reads a buffer, and once.
pub(super) fn is_read_once(steps: &[Step], read: BufferId) -> bool {
    steps.iter().flat_map(|step| step.op.reads()).filter(|&buffer| buffer == read).count() == 1
}

/// Where a part belongs.
struct Place {
    output: BufferId,
    /// Where in each run of the whole that of the part begins.
    start: usize,
    runs: usize,
    /// Bytes of one run of the part.
    run: usize,
    /// Bytes of one run of the whole.
    whole: usize,
}

impl Place {
    /// Has the steps that write the part write it here, where its runs are their pixels or there is but one run.
    fn redirect(&self, steps: &mut [Step], part: &Part) -> bool {
        let writes = |step: &&mut Step| step.op.writes() == Some(part.input);
        let fits = |step: &mut Step| match step.op.view() {
            Some((_, channels)) => self.runs == 1 || channels == self.run,
            None => false,
        };
        let has_writer = steps.iter().any(|step| step.op.writes() == Some(part.input));
        if !has_writer || !steps.iter_mut().filter(writes).all(fits) {
            return false;
        }
        for step in steps.iter_mut().filter(writes) {
            if let Some((view, _)) = step.op.view() {
                *view = self.moved(*view);
            }
        }
        true
    }

    fn moved(&self, view: View) -> View {
        let buffer = self.output;
        if self.runs == 1 {
            return View { buffer, first: self.start + view.first, ..view };
        }
        let stretched = |distance: usize| distance / self.run * self.whole;
        View {
            buffer,
            first: self.start + stretched(view.first) + view.first % self.run,
            step: stretched(view.step),
            row_step: stretched(view.row_step),
        }
    }
}
