//! The way to tract: what it would assert or run out of memory for is an error here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, TractError, TractResult, TypedModel, TypedRunnableModel,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use crate::onnx;
use crate::plan::volume;

/// What `work` comes to. A file can make tract panic, which costs that file and nothing else: all that `work` has touched
/// is thrown away with it.
///
/// # Errors
/// What went wrong, in words.
pub(crate) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(format!("tract gave up: {}", message(&*panic))),
    }
}

/// The model with all shapes known, none of them too large for memory. That is seen before tract computes what is
/// constant, which would take the memory at once.
///
/// # Errors
/// Where tract does not understand the model, or a tensor would be too large.
pub(crate) fn typed(model: &ModelProto) -> TractResult<TypedModel> {
    if let Some(graph) = &model.graph {
        graph
            .node
            .iter()
            .try_for_each(|node| check_window(node).and_then(|()| check_promise(graph, node)))?;
    }
    let mut model = tract_onnx::onnx().model_for_proto_model(model)?;
    model.analyse(true)?;
    for node in &model.nodes {
        for output in &node.outputs {
            let lengths = output.fact.shape.dims().map(|length| length.concretize()?.to_usize().ok());
            let lengths: Vec<_> = lengths.flatten().collect();
            if volume(&lengths).is_none() {
                return Err(too_large(&node.name, &format!("{lengths:?}")));
            }
        }
    }
    with_room(model.into_typed()?)
}

/// The model in the form in which it runs.
///
/// # Errors
/// Where tract can't bring it there, or a tensor in between would be too large.
pub(crate) fn runnable(model: TypedModel) -> TractResult<Arc<TypedRunnableModel>> {
    with_room(model.into_optimized()?)?.into_runnable()
}

/// The model, where none of its tensors is too large for memory.
fn with_room(model: TypedModel) -> TractResult<TypedModel> {
    for node in &model.nodes {
        let shapes = node.outputs.iter().filter_map(|output| output.fact.shape.as_concrete());
        if let Some(shape) = shapes.into_iter().find(|shape| volume(shape).is_none()) {
            return Err(too_large(&node.name, &format!("{shape:?}")));
        }
    }
    Ok(model)
}

/// `Ok` where what a node makes out of nothing but constants fits memory: tract makes it while it looks for shapes.
fn check_promise(graph: &GraphProto, node: &NodeProto) -> TractResult<()> {
    let constant = |index: usize| {
        let name = node.input.get(index)?;
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == *name)?;
        onnx::constant(tensor, name, "Initializer").ok()
    };
    let lengths = match &*node.op_type {
        "ConstantOfShape" => constant(0).and_then(|shape| shape.integers()),
        "Expand" | "Tile" => constant(1).and_then(|shape| shape.integers()),
        "Range" => {
            let [start, end, step] = [0, 1, 2].map(|index| constant(index).and_then(|c| c.first_number()));
            start.zip(end).zip(step).map(|((start, end), step)| vec![((end - start) / step) as i64])
        }
        _ => None,
    };
    let lengths = lengths.unwrap_or_default();
    let positive: Option<Vec<_>> = lengths.iter().map(|&length| usize::try_from(length).ok()).collect();
    match positive {
        Some(lengths) if volume(&lengths).is_none() => {
            Err(too_large(onnx::name(node), &format!("{lengths:?}")))
        }
        _ => Ok(()),
    }
}

/// `Ok` where the numbers of a node's window are small enough for tract to multiply, which it does unchecked.
fn check_window(node: &NodeProto) -> TractResult<()> {
    for name in ["kernel_shape", "strides", "dilations", "pads"] {
        let numbers = onnx::ints(node, name).unwrap_or_default();
        if numbers.iter().any(|&number| i32::try_from(number).is_err()) {
            let problem = format!("{}: {name} {numbers:?} are beyond 32 bits", onnx::name(node));
            return Err(std::io::Error::other(problem).into());
        }
    }
    Ok(())
}

fn too_large(node: &str, shape: &str) -> TractError {
    std::io::Error::other(format!("what {node} makes, {shape}, does not fit memory")).into()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_errors_with_their_words() {
        let result = guarded(|| -> TractResult<()> { panic!("expected {}", 3) });
        assert_eq!(result, Err("tract gave up: expected 3".into()));
        assert!(guarded(|| Ok(())).is_ok());
    }
}
