//! View synthesis and structural similarity in one pass each, with their gradients, where burn takes many passes.
//!
//! They run on the backend `Flex`, the processor.

mod similarity;
mod synthesis;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::Padding;
use similarity::Size;
use synthesis::{Inputs, Synthesis};

/// See [`super::view_synthesis`]: its channels, the depth in the source, whether it is seen, one behind the other.
pub(super) fn synthesise(
    source: Tensor<4>,
    inverse_depth: Tensor<4>,
    transform: Tensor<2>,
    camera: Tensor<2>,
    padding: Padding,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as PhotometricOps>::synthesise(
        source.into_dispatch(),
        inverse_depth.into_dispatch(),
        transform.into_dispatch(),
        camera.into_dispatch(),
        padding,
    ))
}

/// See [`super::dissimilarity`].
pub(super) fn dissimilarity(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as PhotometricOps>::dissimilarity(
        x.into_dispatch(),
        y.detach().into_dispatch(),
    ))
}

/// What is computed, on tensors without and with gradients.
#[backend_extension(Flex, Autodiff)]
pub trait PhotometricOps: Backend {
    /// See [`synthesise`].
    fn synthesise(
        source: FloatTensor<Self>,
        inverse_depth: FloatTensor<Self>,
        transform: FloatTensor<Self>,
        camera: FloatTensor<Self>,
        padding: Padding,
    ) -> FloatTensor<Self>;

    /// See [`dissimilarity`]; no gradient reaches `y`.
    fn dissimilarity(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The gradients of [`PhotometricOps`], on tensors without.
pub trait PhotometricGradients: PhotometricOps {
    /// Of source, inverse depth, transform and camera; that of the source is empty unless it is wanted.
    fn of_synthesis(
        inputs: [FloatTensor<Self>; 4],
        gradient: FloatTensor<Self>,
        padding: Padding,
        wants_source: bool,
    ) -> [FloatTensor<Self>; 4];

    /// Of `x`.
    fn of_dissimilarity(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

fn shape(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

fn made(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn synthesis(source: &FlexTensor, padding: Padding) -> Synthesis {
    let shape = shape(source);
    Synthesis { channels: shape[1], height: shape[2], width: shape[3], padding }
}

fn inputs(tensors: &[FlexTensor; 4]) -> Inputs<'_> {
    let [source, inverse_depth, transform, camera] = tensors.each_ref().map(|tensor| tensor.storage());
    Inputs { source, inverse_depth, transform, camera }
}

fn size(tensor: &FlexTensor) -> Size {
    let shape = shape(tensor);
    Size { height: shape[2], width: shape[3] }
}

impl PhotometricOps for Flex {
    fn synthesise(
        source: FlexTensor,
        inverse_depth: FlexTensor,
        transform: FlexTensor,
        camera: FlexTensor,
        padding: Padding,
    ) -> FlexTensor {
        let tensors = [source, inverse_depth, transform, camera].map(|tensor| tensor.to_contiguous());
        let of = synthesis(&tensors[0], padding);
        let batch = shape(&tensors[0])[0];
        made(of.forward(inputs(&tensors)), &[batch, of.output_channels(), of.height, of.width])
    }

    fn dissimilarity(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        made(size(&x).dissimilarity(x.storage(), y.storage()), &shape(&x))
    }
}

impl PhotometricGradients for Flex {
    fn of_synthesis(
        tensors: [FlexTensor; 4],
        gradient: FlexTensor,
        padding: Padding,
        wants_source: bool,
    ) -> [FlexTensor; 4] {
        let (tensors, gradient) = (tensors.map(|tensor| tensor.to_contiguous()), gradient.to_contiguous());
        let of = synthesis(&tensors[0], padding);
        let found = of.gradients(inputs(&tensors), gradient.storage(), wants_source);
        let shapes = tensors.each_ref().map(shape);
        let of_source = if wants_source { &*shapes[0] } else { &[0] };
        [
            made(found.source, of_source),
            made(found.inverse_depth, &shapes[1]),
            made(found.transform, &shapes[2]),
            made(found.camera, &shapes[3]),
        ]
    }

    fn of_dissimilarity(x: FlexTensor, y: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let [x, y, gradient] = [x, y, gradient].map(|tensor| tensor.to_contiguous());
        made(size(&x).gradient(x.storage(), y.storage(), gradient.storage()), &shape(&x))
    }
}

/// The gradient of [`PhotometricOps::synthesise`].
#[derive(Debug)]
struct OfSynthesis {
    padding: Padding,
}

impl<B: PhotometricGradients> Backward<B, 4> for OfSynthesis {
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let found = B::of_synthesis(ops.state, gradient, self.padding, ops.parents[0].is_some());
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

/// The gradient of [`PhotometricOps::dissimilarity`].
#[derive(Debug)]
struct OfDissimilarity;

impl<B: PhotometricGradients> Backward<B, 1> for OfDissimilarity {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([x, y], [node]) = (ops.state, ops.parents);
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::of_dissimilarity(x, y, gradient));
        }
    }
}

impl<B: PhotometricGradients, C: CheckpointStrategy> PhotometricOps for Autodiff<B, C> {
    fn synthesise(
        source: FloatTensor<Self>,
        inverse_depth: FloatTensor<Self>,
        transform: FloatTensor<Self>,
        camera: FloatTensor<Self>,
        padding: Padding,
    ) -> FloatTensor<Self> {
        let nodes = [source.node(), inverse_depth.node(), transform.node(), camera.node()];
        let state = [source, inverse_depth, transform, camera].map(|tensor| tensor.primitive().clone());
        let [source, inverse_depth, transform, camera] = state.clone();
        let output = B::synthesise(source, inverse_depth, transform, camera, padding);
        match (OfSynthesis { padding }).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }

    fn dissimilarity(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let state = [x.primitive().clone(), y.primitive().clone()];
        let [x, y] = state.clone();
        let output = B::dissimilarity(x, y);
        match OfDissimilarity.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}
