//! Small quantised networks, written as ONNX files.

#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use fastrand::Rng;
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// Side of the square image that networks here take.
pub const SIDE: i64 = 13;

/// Scale of the activations of most tensors here.
pub const SCALE: f32 = 0.05;

/// Scale of the outputs; its ratio to the other leaves no sum half way between two steps, where tract rounds otherwise.
pub const OUTPUT_SCALE: f32 = 0.0613;

pub struct Builder {
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
    pub signed: bool,
    rng: Rng,
}

impl Builder {
    pub fn new() -> Self {
        Self { nodes: Vec::new(), constants: Vec::new(), signed: false, rng: Rng::with_seed(7) }
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, &[i64])]) -> String {
        let output = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        let attribute = attributes.iter().map(|&(name, ints)| AttributeProto {
            name: name.to_owned(),
            r#type: if ints.len() == 1 { AttributeType::Int } else { AttributeType::Ints } as i32,
            i: ints[0],
            ints: if ints.len() == 1 { Vec::new() } else { ints.to_vec() },
            ..AttributeProto::default()
        });
        self.nodes.push(NodeProto {
            name: format!("node_{output}"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attribute.collect(),
            ..NodeProto::default()
        });
        output
    }

    pub fn constant(&mut self, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> String {
        let name = format!("constant_{}", self.constants.len());
        self.constants.push(TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: data_type as i32,
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        self.constant(DataType::Float, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Gives the last node attributes that are text.
    pub fn with_text(&mut self, attributes: &[(&str, &str)]) {
        let attribute = attributes.iter().map(|&(name, text)| AttributeProto {
            name: name.to_owned(),
            r#type: AttributeType::String as i32,
            s: text.as_bytes().to_vec(),
            ..AttributeProto::default()
        });
        self.nodes.last_mut().unwrap().attribute.extend(attribute);
    }

    pub fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(DataType::Int64, &[values.len() as i64], bytes)
    }

    /// A transposed convolution with random weights; not yet bytes.
    pub fn transposed(
        &mut self,
        tensor: &str,
        [input, output]: [i64; 2],
        size: i64,
        attributes: &[(&str, &[i64])],
    ) -> String {
        let weights: Vec<_> = (0..input * output * size * size).map(|_| self.rng.u8(..)).collect();
        let weights = self.constant(DataType::Int8, &[input, output, size, size], weights);
        let scales: Vec<_> = (0..output).map(|channel| 0.0005 + 0.0001 * channel as f32).collect();
        let scales = self.floats(&[output], &scales);
        let weights = self.node("DequantizeLinear", &[&weights, &scales], &[("axis", &[1])]);
        let bias: Vec<_> = (0..output).map(|channel| channel as f32 / 7.0).collect();
        let bias = self.floats(&[output], &bias);
        self.node("ConvTranspose", &[tensor, &weights, &bias], attributes)
    }

    /// Twice as large.
    pub fn doubled(&mut self, tensor: &str, mode: &str, coordinates: &str) -> String {
        let scales = self.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
        let doubled = self.node("Resize", &[tensor, "", &scales], &[]);
        self.with_text(&[
            ("mode", mode),
            ("coordinate_transformation_mode", coordinates),
            ("nearest_mode", "floor"),
        ]);
        doubled
    }

    /// `tensor` through bytes and back.
    pub fn through_bytes(&mut self, tensor: &str, scale: f32, zero_point: u8) -> String {
        let scale = self.floats(&[], &[scale]);
        let zero_point = if self.signed {
            self.constant(DataType::Int8, &[], vec![zero_point ^ 0x80])
        } else {
            self.constant(DataType::Uint8, &[], vec![zero_point])
        };
        let bytes = self.node("QuantizeLinear", &[tensor, &scale, &zero_point], &[]);
        self.node("DequantizeLinear", &[&bytes, &scale, &zero_point], &[])
    }

    /// A square convolution of `tensor` with random weights and its size kept at stride 1; not yet bytes.
    pub fn convolution(&mut self, tensor: &str, [input, output]: [i64; 2], size: i64, stride: i64) -> String {
        self.grouped(tensor, [input, output], size, stride, 1)
    }

    pub fn grouped(
        &mut self,
        tensor: &str,
        [input, output]: [i64; 2],
        size: i64,
        stride: i64,
        groups: i64,
    ) -> String {
        let patch = input / groups * size * size;
        let scales: Vec<_> =
            (0..output).map(|_| (0.5 + self.rng.f32()) * 0.02 / (patch as f32).sqrt()).collect();
        let bias_scales: Vec<_> = scales.iter().map(|scale| scale * SCALE).collect();
        let bytes = (0..patch * output).map(|_| self.rng.i8(-127..).cast_unsigned()).collect();
        let weights = self.constant(DataType::Int8, &[output, input / groups, size, size], bytes);
        let bytes = (0..output).flat_map(|_| self.rng.i32(-500..500).to_le_bytes()).collect();
        let bias = self.constant(DataType::Int32, &[output], bytes);
        let (scales, bias_scales) = (self.floats(&[output], &scales), self.floats(&[output], &bias_scales));
        let weights = self.node("DequantizeLinear", &[&weights, &scales], &[("axis", &[0])]);
        let bias = self.node("DequantizeLinear", &[&bias, &bias_scales], &[("axis", &[0])]);
        let padding = [(size - 1) / 2; 4];
        let attributes: &[(&str, &[i64])] =
            &[("pads", &padding), ("strides", &[stride, stride]), ("group", &[groups])];
        self.node("Conv", &[tensor, &weights, &bias], attributes)
    }

    pub fn model(self, input: &[i64], outputs: &[&str]) -> ModelProto {
        let graph = GraphProto {
            name: "test".into(),
            node: self.nodes,
            initializer: self.constants,
            input: vec![value_info("image", Some(input))],
            output: outputs.iter().map(|output| value_info(output, None)).collect(),
            ..GraphProto::default()
        };
        let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
        ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
    }
}

pub fn bytes(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// A residual network with all layers that run on bytes, and its outputs.
pub fn every_layer(signed: bool) -> ModelProto {
    let mut b = Builder { signed, ..Builder::new() };
    let image = b.through_bytes("image", SCALE, 128);
    let x = b.convolution(&image, [3, 20], 3, 2);
    let [zero, six] = [0.0, 6.0].map(|value| b.floats(&[], &[value]));
    let x = b.node("Clip", &[&x, &zero, &six], &[]);
    let x = b.through_bytes(&x, SCALE, 0);
    let y = b.grouped(&x, [20, 20], 3, 1, 20);
    let y = b.node("Relu", &[&y], &[]);
    let y = b.through_bytes(&y, SCALE, 10);
    let y = b.convolution(&y, [20, 20], 1, 1);
    let y = b.through_bytes(&y, SCALE, 120);
    let sum = b.node("Add", &[&x, &y], &[]);
    let sum = b.through_bytes(&sum, OUTPUT_SCALE, 100);
    let gate = b.convolution(&sum, [20, 6], 1, 1);
    let gate = b.through_bytes(&gate, SCALE, 128);
    let gate = b.node("Sigmoid", &[&gate], &[]);
    let gate = b.through_bytes(&gate, 1.0 / 255.0, 0);
    let both = b.node("Concat", &[&gate, &sum], &[("axis", &[1])]);
    let both = b.through_bytes(&both, OUTPUT_SCALE, 90);
    let rows = b.node("Transpose", &[&both], &[("perm", &[0, 2, 3, 1])]);
    let shape = b.constant(
        DataType::Int64,
        &[2],
        [-1_i64, 13].iter().flat_map(|value| value.to_le_bytes()).collect(),
    );
    let rows = b.node("Reshape", &[&rows, &shape], &[]);
    let rows = b.through_bytes(&rows, OUTPUT_SCALE, 90);
    b.model(&[1, 3, SIDE, SIDE], &[&rows, &sum])
}

/// A network with all layers of images that run on bytes, beside convolutions: an encoder with a decoder, a skip
/// connection and functions that no bytes follow.
pub fn every_image_layer() -> ModelProto {
    let mut b = Builder::new();
    let image = b.through_bytes("image", SCALE, 128);
    let x = b.convolution(&image, [3, 8], 3, 1);
    let x = b.through_bytes(&x, SCALE, 128);
    let window: &[(&str, &[i64])] =
        &[("kernel_shape", &[3, 3]), ("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])];
    let skip = b.node("MaxPool", &[&x], window);
    let skip = b.through_bytes(&skip, SCALE, 128);
    let x = b.convolution(&skip, [8, 10], 3, 2);
    let x = b.through_bytes(&x, SCALE, 128);
    let x = b.node("Elu", &[&x], &[]);
    let x = b.doubled(&x, "nearest", "asymmetric");
    let x = b.through_bytes(&x, OUTPUT_SCALE, 30);
    let narrow = b.convolution(&x, [10, 4], 3, 1);
    let narrow = b.through_bytes(&narrow, SCALE, 128);
    let places = [[0, 0], [7, 7], [2, 3]].map(|places| b.integers(&places));
    let x = b.node("Slice", &[&x, &places[0], &places[1], &places[2]], &[]);
    let x = b.through_bytes(&x, OUTPUT_SCALE, 30);
    let x = b.node("Concat", &[&x, &skip], &[("axis", &[1])]);
    let x = b.through_bytes(&x, OUTPUT_SCALE, 30);
    let dealt = b.integers(&(0..18).map(|channel| channel % 2 * 9 + channel / 2).collect::<Vec<i64>>());
    let x = b.node("Gather", &[&x, &dealt], &[("axis", &[1])]);
    let both = b.through_bytes(&x, OUTPUT_SCALE, 30);
    let places = [[3], [-4], [1]].map(|places| b.integers(&places));
    let part = b.node("Slice", &[&both, &places[0], &places[1], &places[2]], &[]);
    let part = b.through_bytes(&part, OUTPUT_SCALE, 30);
    let x = b.transposed(&both, [18, 6], 4, &[("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])]);
    let x = b.node("Relu", &[&x], &[]);
    let x = b.through_bytes(&x, OUTPUT_SCALE, 0);
    let x = b.doubled(&x, "linear", "half_pixel");
    let x = b.through_bytes(&x, OUTPUT_SCALE, 0);
    let odd: &[(&str, &[i64])] =
        &[("strides", &[2, 1]), ("pads", &[1, 1, 1, 1]), ("output_padding", &[1, 0])];
    let y = b.transposed(&both, [18, 5], 3, odd);
    let y = b.through_bytes(&y, OUTPUT_SCALE, 120);
    let mean = b.node("AveragePool", &[&x], window);
    let mean = b.through_bytes(&mean, OUTPUT_SCALE / 2.0, 7);
    let all = b.node("GlobalAveragePool", &[&both], &[]);
    let all = b.through_bytes(&all, OUTPUT_SCALE / 3.0, 90);
    let all = b.node("Sigmoid", &[&all], &[]);
    b.model(&[1, 3, SIDE, SIDE], &[&mean, &all, &y, &narrow, &part])
}

/// An image of smooth random values.
pub fn image() -> Vec<f32> {
    let mut rng = Rng::with_seed(3);
    (0..3 * SIDE * SIDE).map(|_| rng.f32() * 8.0 - 4.0).collect()
}

fn value_info(name: &str, shape: Option<&[i64]>) -> ValueInfoProto {
    let dimension =
        |&length: &i64| Dimension { value: Some(dimension::Value::DimValue(length)), ..Dimension::default() };
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.iter().map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}

/// What tract makes of the file, in floats throughout.
pub fn in_floats(model: &ModelProto, shape: &[usize], input: &[f32]) -> Vec<Vec<f32>> {
    use tract_onnx::prelude::*;

    let model = onnx().model_for_proto_model(model).unwrap();
    let runnable = model.into_typed().unwrap().into_runnable().unwrap();
    let input = Tensor::from_shape(shape, input).unwrap().into_tvalue();
    let outputs = runnable.run(tvec![input]).unwrap();
    let floats = |output: &TValue| output.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
    outputs.iter().map(floats).collect()
}
