//! What the tensors of a file are while a plan is made.

use std::fmt;
use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::{BufferId, FloatId};
use crate::kernels::Quantisation;
use crate::onnx::{self, Constant, Graph};

/// A tensor of the file.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Floats in memory.
    Float(FloatId),
    /// Bytes, as `QuantizeLinear` leaves them.
    Bytes(Bytes),
    /// What `DequantizeLinear` makes of bytes, without its being done.
    Dequantised(Bytes),
    /// What `DequantizeLinear` makes of a constant.
    Weights(Weights),
}

/// Bytes in a buffer.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    /// Where they are.
    pub(super) buffer: BufferId,
    /// The lengths of the dimensions in the file's order.
    pub(super) shape: Vec<usize>,
    /// How they lie.
    pub(super) order: Order,
    /// What they stand for.
    pub(super) quantisation: Quantisation,
    /// Whether just one node reads them, and each tensor whose rows and columns they are, so that they may be changed for
    /// its sake.
    pub(super) is_read_once: bool,
    /// What is yet to be done to what they stand for.
    pub(super) function: Option<Function>,
}

/// A function of single values.
#[derive(Clone)]
pub(super) struct Function(Rc<dyn Fn(f32) -> f32>);

impl fmt::Debug for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Function").finish_non_exhaustive()
    }
}

impl Function {
    pub(super) fn new(function: impl Fn(f32) -> f32 + 'static) -> Self {
        Self(Rc::new(function))
    }

    /// The value of the function at `x`.
    pub(super) fn at(&self, x: f32) -> f32 {
        (self.0)(x)
    }

    /// This function of what `inner` makes, where there is such a one.
    pub(super) fn of(self, inner: Option<Self>) -> Self {
        match inner {
            Some(inner) => Self::new(move |x| self.at(inner.at(x))),
            None => self,
        }
    }
}

/// How values lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As the shape says, the last dimension varying fastest.
    AsShaped,
    /// `[1, channels, height, width]` with the channels of a pixel side by side.
    ChannelsLast,
}

/// A quantised constant.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// Lengths of the dimensions.
    pub(super) shape: Vec<usize>,
    /// Values less their zero points.
    pub(super) steps: Vec<i64>,
    /// One scale for all, or one for each place along the axis.
    pub(super) scales: Vec<f32>,
    /// The axis that the scales belong to.
    pub(super) axis: usize,
}

impl Order {
    /// The order in which an image of this shape is best kept.
    pub(super) fn of_image(shape: &[usize]) -> Self {
        if shape.len() == 4 && shape[0] == 1 { Self::ChannelsLast } else { Self::AsShaped }
    }
}

impl Bytes {
    /// Values per pixel, or one where there are no pixels.
    pub(super) fn channels(&self) -> usize {
        if self.order == Order::ChannelsLast { self.shape[1] } else { 1 }
    }

    /// What each byte becomes in another quantisation, its function done.
    pub(super) fn table_to(&self, to: Quantisation) -> Box<[u8; 256]> {
        self.quantisation.table_to(to, |value| self.function_at(value))
    }

    /// What each byte stands for, its function done.
    pub(super) fn table_to_floats(&self) -> Box<[f32; 256]> {
        Box::new(std::array::from_fn(|byte| self.function_at(self.quantisation.dequantise(byte as u8))))
    }

    fn function_at(&self, value: f32) -> f32 {
        self.function.as_ref().map_or(value, |function| function.at(value))
    }

    /// The lengths of the dimensions in the order in which they lie in memory.
    pub(super) fn in_memory(&self) -> Vec<usize> {
        match (self.order, &*self.shape) {
            (Order::ChannelsLast, &[n, c, h, w]) => vec![n, h, w, c],
            _ => self.shape.clone(),
        }
    }

    /// The same bytes in the order of their shape, where nothing has to move for that.
    pub(super) fn as_shaped(&self) -> Option<Self> {
        let same = match (self.order, &*self.shape) {
            (Order::ChannelsLast, &[_, c, h, w]) => c == 1 || h * w == 1,
            _ => true,
        };
        same.then(|| Self { order: Order::AsShaped, ..self.clone() })
    }
}

impl Weights {
    /// What `node` makes of `constant`.
    pub(super) fn new(graph: &Graph, node: &NodeProto, constant: &Constant) -> Option<Self> {
        let scales = graph.constant(node, 1)?.floats()?.to_vec();
        let zero_points = match node.input.get(2) {
            Some(_) => graph.constant(node, 2)?.integers()?,
            None => vec![0],
        };
        let rank = constant.shape.len() as i64;
        let axis = onnx::int(node, "axis").unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
        let along = constant.shape.get(axis).copied().unwrap_or(1);
        let fits = |length: usize| length == 1 || length == along;
        if !fits(scales.len()) || !fits(zero_points.len()) || !scales.iter().all(|&scale| scale > 0.0) {
            return None;
        }
        let inner: usize = constant.shape.iter().skip(axis + 1).product();
        let mut steps = constant.integers()?;
        if zero_points.iter().any(|&zero_point| zero_point != 0) {
            for (place, steps) in steps.chunks_mut(inner.max(1)).enumerate() {
                let zero_point = zero_points[place % along % zero_points.len()];
                steps.iter_mut().for_each(|step| *step -= zero_point);
            }
        }
        Some(Self { shape: constant.shape.clone(), steps, scales, axis })
    }

    /// Whether there is one scale for all, or one for each place along this axis.
    pub(super) fn is_scaled_along(&self, axis: usize) -> bool {
        self.scales.len() == 1 || self.axis == axis
    }

    /// The scale at a place along the axis.
    pub(super) fn scale(&self, place: usize) -> f32 {
        self.scales[place % self.scales.len()]
    }

    /// What the values stand for.
    pub(super) fn floats(&self) -> Vec<f32> {
        let inner: usize = self.shape.iter().skip(self.axis + 1).product();
        let along = self.shape.get(self.axis).copied().unwrap_or(1);
        let of = |(index, &steps): (usize, &i64)| steps as f32 * self.scale(index / inner % along);
        self.steps.iter().enumerate().map(of).collect()
    }
}
