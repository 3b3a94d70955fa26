//! What a plan may take of memory.

use super::{Plan, Step};
use crate::error::NnError;

/// Bytes for all tensors of a network together.
const MOST: usize = 4 << 30;

/// The length of a buffer that no network could have; small enough to add up.
pub(super) const TOO_MUCH: usize = MOST + 1;

/// `Ok` where the tensors of a plan fit memory.
///
/// # Errors
/// [`NnError::Node`] with the step that takes most of it.
pub(super) fn check(plan: &Plan) -> Result<(), NnError> {
    let floats = plan.floats.iter().map(|shape| bytes_of_floats(shape)).sum::<usize>();
    let total = plan.arena.saturating_add(floats);
    if total <= MOST {
        return Ok(());
    }
    let largest = plan.steps.iter().max_by_key(|step| written(plan, step));
    let (node, op) =
        largest.map_or((String::new(), String::new()), |step| (step.node.clone(), step.op.name().to_owned()));
    let problem = format!("with all tensors the network would take {total} bytes, more than {MOST}");
    Err(NnError::Node { node, op, problem })
}

/// Bytes of the tensors that a step touches.
fn written(plan: &Plan, step: &Step) -> usize {
    let buffer = step.op.writes().map_or(0, |buffer| plan.buffers[buffer].length);
    let floats = step.op.floats().into_iter().map(|id| bytes_of_floats(&plan.floats[id])).sum::<usize>();
    buffer.saturating_add(floats)
}

fn bytes_of_floats(shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * size_of::<f32>()
}
