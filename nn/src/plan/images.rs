//! Pooling, resizing and cutting out, on bytes.

use tract_onnx::pb::NodeProto;

use super::lower::Lowering;
use super::tail::Tail;
use super::value::{Bytes, Order};
use super::{Op, View, volume};
use crate::kernels::{AveragePool, Between, ImageShape, Interpolation, MaxPool, Selection, Window};
use crate::onnx;

/// All of these are `None`, with nothing done, where a node has no quantised form.
impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let layer = MaxPool::new(image(&input)?, pooling_window(node)?).ok()?;
        let output = self.image_like(&input, layer.output());
        let view = View::whole(output.buffer, layer.output());
        self.push(node, Op::MaxPool { input: input.buffer, output: view, layer });
        self.same_bytes(node, output)
    }

    pub(super) fn average_pool(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.dequantised(node, 0)?.clone();
        let image = image(&input)?;
        let tail = Tail::behind(self.graph, node.output.first()?)?;
        let whole = Window { size: [image.height, image.width], ..Window::square(1, 1) };
        let window = match &*node.op_type {
            "AveragePool" => pooling_window(node)?,
            "GlobalAveragePool" => whole,
            _ => self.is_mean_of_image(node).then_some(whole)?,
        };
        let counts_padding = onnx::int(node, "count_include_pad").unwrap_or(0) != 0;
        let quantisations = [input.quantisation, tail.quantisation];
        let layer = AveragePool::new(image, window, counts_padding, quantisations, tail.bounds).ok()?;
        let output = Bytes { quantisation: tail.quantisation, ..self.image_like(&input, layer.output()) };
        let view = View::whole(output.buffer, layer.output());
        self.push(node, Op::AveragePool { input: input.buffer, output: view, layer });
        self.finish(tail, output);
        Some(())
    }

    /// Whether `ReduceMean` goes over rows and columns and keeps both dimensions.
    fn is_mean_of_image(&self, node: &NodeProto) -> bool {
        let from_input = || self.graph.constant(node, 1).and_then(|axes| axes.integers());
        let axes = onnx::ints(node, "axes").map(<[i64]>::to_vec).or_else(from_input);
        let axes = axes.map(|axes| axes.iter().map(|axis| axis.rem_euclid(4)).collect::<Vec<_>>());
        onnx::int(node, "keepdims").unwrap_or(1) == 1 && matches!(axes.as_deref(), Some([2, 3] | [3, 2]))
    }

    pub(super) fn resize(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.function_of_bytes(node, 0)?.clone();
        let image = image(&input)?;
        let [rows, columns] = self.resized(node, image)?;
        match onnx::text(node, "mode").unwrap_or(b"nearest") {
            b"nearest" => {
                let channels = (0..image.channels).collect();
                self.select(node, &input, [channels, rows.nearest()?, columns.nearest()?])
            }
            b"linear" | b"bilinear" if input.function.is_none() => {
                let layer = Interpolation::new(image, rows.between(), columns.between()).ok()?;
                let output = self.image_like(&input, layer.output());
                let view = View::whole(output.buffer, layer.output());
                self.push(node, Op::Interpolate { input: input.buffer, output: view, layer });
                self.same_bytes(node, output)
            }
            _ => None,
        }
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.function_of_bytes(node, 0)?.clone();
        let image = image(&input)?;
        let list = |index| self.graph.constant(node, index)?.integers();
        let (starts, ends, axes) = (list(1)?, list(2)?, list(3)?);
        let is_fine = |steps: Vec<i64>| steps.iter().all(|&step| step == 1);
        if node.input.get(4).is_some() && !list(4).is_some_and(is_fine) {
            return None;
        }
        let mut places =
            [image.channels, image.height, image.width].map(|length| (0..length).collect::<Vec<_>>());
        for ((start, end), axis) in starts.into_iter().zip(ends).zip(axes) {
            let along = usize::try_from(axis.rem_euclid(4)).ok()?.checked_sub(1)?;
            let length = places[along].len() as i64;
            let within =
                |place: i64| (if place < 0 { place + length } else { place }).clamp(0, length) as usize;
            places[along] = places[along].get(within(start)..within(end))?.to_vec();
        }
        self.select(node, &input, places)
    }

    /// Channels in another order.
    pub(super) fn gather(&mut self, node: &NodeProto) -> Option<()> {
        let input = self.function_of_bytes(node, 0)?.clone();
        let image = image(&input)?;
        if onnx::int(node, "axis").unwrap_or(0).rem_euclid(4) != 1 {
            return None;
        }
        let order = self.graph.constant(node, 1).filter(|order| order.shape.len() == 1)?.integers()?;
        let length = image.channels as i64;
        let place = |channel: i64| usize::try_from(if channel < 0 { channel + length } else { channel }).ok();
        let channels = order.into_iter().map(place).collect::<Option<_>>()?;
        self.select(node, &input, [channels, (0..image.height).collect(), (0..image.width).collect()])
    }

    /// These channels, rows and columns.
    fn select(&mut self, node: &NodeProto, input: &Bytes, places: [Vec<usize>; 3]) -> Option<()> {
        let layer = Selection::new(image(input)?, places).ok()?;
        let output = self.image_like(input, layer.output());
        let view = View::whole(output.buffer, layer.output());
        self.push(node, Op::Select { input: input.buffer, output: view, layer });
        self.same_bytes(node, output)
    }

    /// A new image whose bytes stand for values as those of `input` do.
    fn image_like(&mut self, input: &Bytes, shape: ImageShape) -> Bytes {
        let ImageShape { height, width, channels } = shape;
        let output =
            self.new_bytes(vec![1, channels, height, width], Order::ChannelsLast, input.quantisation);
        Bytes { buffer: output.buffer, shape: output.shape, order: output.order, ..input.clone() }
    }

    /// Which rows and which columns `Resize` makes.
    fn resized(&self, node: &NodeProto, image: ImageShape) -> Option<[Resampled; 2]> {
        let scales = match (&*node.op_type, node.input.len()) {
            ("Upsample", _) | (_, 2) => self.graph.constant(node, 1),
            _ => self.graph.constant(node, 2),
        };
        let scales = scales.and_then(|scales| scales.floats()).filter(|scales| !scales.is_empty());
        let lengths = [1, image.channels, image.height, image.width];
        let (scales, sizes) = match (scales, self.graph.constant(node, 3)) {
            (Some(&[a, b, c, d]), _) => {
                let scales = [a, b, c, d];
                (scales, [0, 1, 2, 3].map(|axis| (lengths[axis] as f32 * scales[axis]).floor() as usize))
            }
            (None, Some(sizes)) => {
                let &[a, b, c, d] = &*sizes.integers()? else { return None };
                let sizes = [a, b, c, d].map(|size| usize::try_from(size).unwrap_or(0));
                (std::array::from_fn(|axis| sizes[axis] as f32 / lengths[axis] as f32), sizes)
            }
            _ => return None,
        };
        let is_plain = volume(&sizes).is_some()
            && [scales[0], scales[1]] == [1.0; 2]
            && onnx::int(node, "antialias").unwrap_or(0) == 0
            && onnx::ints(node, "axes").is_none();
        // Before opset 11 there was but one way.
        let has_modes = node.op_type == "Resize" && node.input.len() > 2;
        let text = |name, otherwise: &'static [u8], before: &'static [u8]| {
            onnx::text(node, name).unwrap_or(if has_modes { otherwise } else { before }).to_vec()
        };
        let coordinates = text("coordinate_transformation_mode", b"half_pixel", b"asymmetric");
        let nearest = text("nearest_mode", b"round_prefer_floor", b"floor");
        let resampled = |axis: usize| Resampled {
            from: lengths[axis],
            to: sizes[axis],
            scale: scales[axis],
            coordinates: coordinates.clone(),
            nearest: nearest.clone(),
        };
        let both = [resampled(2), resampled(3)];
        (is_plain && both.iter().all(|one| one.position(0).is_some())).then_some(both)
    }
}

/// Rows or columns of a resized image, as ONNX defines `Resize`.
struct Resampled {
    from: usize,
    to: usize,
    scale: f32,
    /// `coordinate_transformation_mode`.
    coordinates: Vec<u8>,
    /// `nearest_mode`.
    nearest: Vec<u8>,
}

impl Resampled {
    /// Where a place of the output lies in the input.
    fn position(&self, place: usize) -> Option<f32> {
        let x = place as f32;
        match &*self.coordinates {
            b"asymmetric" => Some(x / self.scale),
            b"pytorch_half_pixel" if self.to == 1 => Some(0.0),
            b"half_pixel" | b"pytorch_half_pixel" => Some((x + 0.5) / self.scale - 0.5),
            b"align_corners" if self.to == 1 => Some(0.0),
            b"align_corners" => Some(x * (self.from - 1) as f32 / (self.to - 1) as f32),
            _ => None,
        }
    }

    fn positions(&self) -> impl Iterator<Item = f32> {
        (0..self.to).map_while(|place| self.position(place))
    }

    /// The nearest place of the input for each of the output.
    fn nearest(&self) -> Option<Vec<usize>> {
        let round: fn(f32) -> f32 = match &*self.nearest {
            b"floor" => f32::floor,
            b"ceil" => f32::ceil,
            b"round_prefer_floor" => |x| (x - 0.5).ceil(),
            b"round_prefer_ceil" => |x| (x + 0.5).floor(),
            _ => return None,
        };
        let last = (self.from - 1) as f32;
        Some(self.positions().map(|position| round(position).clamp(0.0, last) as usize).collect())
    }

    fn between(&self) -> Vec<Between> {
        self.positions().map(|position| Between::at(position.into(), self.from)).collect()
    }
}

/// The image that bytes are, where they lie pixel by pixel.
pub(super) fn image(bytes: &Bytes) -> Option<ImageShape> {
    let &[1, channels, height, width] = &*bytes.shape else { return None };
    let is_in_order = bytes.order == Order::ChannelsLast || channels == 1 || height * width == 1;
    is_in_order.then_some(ImageShape { height, width, channels })
}

/// Extents of an attribute: whole numbers, none of them negative or beyond what an image can have.
pub(super) fn numbers(node: &NodeProto, name: &str, otherwise: &[i64]) -> Option<Vec<usize>> {
    let numbers = onnx::ints(node, name).unwrap_or(otherwise).iter();
    numbers.map(|&number| u16::try_from(number).ok().map(usize::from)).collect()
}

/// A window of this size with a node's strides and padding, where it is not dilated.
pub(super) fn window(node: &NodeProto, size: [usize; 2]) -> Option<Window> {
    let explicit = onnx::text(node, "auto_pad").is_none_or(|text| text.is_empty() || text == b"NOTSET");
    let ones = onnx::ints(node, "dilations").is_none_or(|dilations| dilations.iter().all(|&d| d == 1));
    let &[top, left, bottom, right] = &*numbers(node, "pads", &[0; 4])? else { return None };
    let stride = <[usize; 2]>::try_from(numbers(node, "strides", &[1; 2])?).ok()?;
    let (padding_before, padding_after) = ([top, left], [bottom, right]);
    (explicit && ones).then_some(Window { size, stride, padding_before, padding_after })
}

/// The window of a pooling node, where its places are counted as those of a convolution.
fn pooling_window(node: &NodeProto) -> Option<Window> {
    let size = <[usize; 2]>::try_from(numbers(node, "kernel_shape", &[])?).ok()?;
    let rounds_down = onnx::int(node, "ceil_mode").unwrap_or(0) == 0;
    window(node, size).filter(|_| rounds_down && node.output.len() == 1)
}
