//! Architectures and weights as ONNX files, operator set 13.

use prost::Message;
use thiserror::Error;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};

use super::{
    Activation, Architecture, BATCH_NORM_EPSILON, Convolution, Layer, Op, Value, Weights, WeightsError,
};
use crate::onnx::{Constant, Port, Values};

/// Why a network can't be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExportError {
    /// The weights are not this network's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A weight is not a number.
    #[error("expected finite weights, found {found} values that are none in `{name}`")]
    NotFinite {
        /// Where they are.
        name: String,
        /// How many there are.
        found: usize,
    },
}

/// A file in the making.
struct File<'a> {
    architecture: &'a Architecture,
    graph: GraphProto,
    /// Height and width of what each layer makes.
    sizes: Vec<[usize; 2]>,
}

impl Architecture {
    /// An ONNX file of this network with `weights`, for one image of `size`, `[height, width]`. Batch normalisation uses
    /// the running mean and variance. `metadata` is written into the file: key and value.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn to_onnx(
        &self,
        weights: &Weights,
        size: [usize; 2],
        metadata: &[(String, String)],
    ) -> Result<Vec<u8>, ExportError> {
        let initializer = self.initializers(weights)?;
        let mut file = File {
            architecture: self,
            graph: GraphProto { name: "kestrel".into(), initializer, ..GraphProto::default() },
            sizes: self.sizes(size),
        };
        self.layers.iter().enumerate().for_each(|(index, layer)| file.layer(Value(index), layer));
        let port = |name: &str, value: Value| {
            let [height, width] = file.sizes[value.0];
            Port { name: name.to_owned(), shape: vec![1, self.layers[value.0].channels, height, width] }
        };
        let input = vec![port(&self.layers[0].name, Value(0)).to_proto()];
        let output = self.outputs.iter().map(|output| port(&output.name, output.value).to_proto()).collect();
        (file.graph.input, file.graph.output) = (input, output);
        let entry = |(key, value): &(String, String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "kestrel".into(),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
            graph: Some(file.graph),
            metadata_props: metadata.iter().map(entry).collect(),
            ..ModelProto::default()
        };
        Ok(model.encode_to_vec())
    }

    fn initializers(&self, weights: &Weights) -> Result<Vec<TensorProto>, ExportError> {
        let tensor = |parameter: super::Parameter| {
            let values = weights.get(&parameter)?;
            let found = values.iter().filter(|value| !value.is_finite()).count();
            if found > 0 {
                return Err(ExportError::NotFinite { name: parameter.name, found });
            }
            Ok(floats(&parameter.name, &parameter.shape, values))
        };
        self.parameters().into_iter().map(tensor).collect()
    }

    /// The tensor that holds `value` in a file: what goes in or comes out has the name of the port.
    fn tensor(&self, value: Value) -> String {
        let output = self.outputs.iter().find(|output| output.value == value);
        let layer = &self.layers[value.0];
        match output {
            Some(output) => output.name.clone(),
            None if layer.op == Op::Input => layer.name.clone(),
            None => format!("{}.out", layer.name),
        }
    }
}

impl File<'_> {
    fn layer(&mut self, value: Value, layer: &Layer) {
        let parameter = |part: &str| format!("{}.{part}", layer.name);
        let (op, parameters, attribute) = match layer.op {
            Op::Input => return,
            Op::Convolution(convolution) => {
                let parts: &[&str] = if convolution.bias { &["weight", "bias"] } else { &["weight"] };
                ("Conv", parts.iter().map(|part| parameter(part)).collect(), window(convolution))
            }
            Op::Upconvolution(kernel) => {
                let parts = ["weight", "bias"].map(parameter).into();
                ("ConvTranspose", parts, doubling_window(kernel))
            }
            Op::BatchNorm => {
                let parts = ["gamma", "beta", "mean", "variance"].map(parameter).into();
                ("BatchNormalization", parts, vec![float("epsilon", BATCH_NORM_EPSILON)])
            }
            Op::Activation(activation) => return self.activation(value, layer, activation),
            Op::Add => ("Add", Vec::new(), Vec::new()),
            Op::Multiply => ("Mul", Vec::new(), Vec::new()),
            Op::Concat => ("Concat", Vec::new(), vec![int("axis", 1)]),
            Op::Channels(first) => {
                let mut list = |part, place: usize| self.integers(parameter(part), &[place as i64]);
                let places = [("starts", first), ("ends", first + layer.channels), ("axes", 1)];
                ("Slice", places.map(|(part, place)| list(part, place)).into(), Vec::new())
            }
            Op::Shuffle(groups) => {
                let of_group = layer.channels / groups;
                let dealt = |place: usize| (place % groups * of_group + place / groups) as i64;
                let order: Vec<i64> = (0..layer.channels).map(dealt).collect();
                ("Gather", vec![self.integers(parameter("order"), &order)], vec![int("axis", 1)])
            }
            Op::UpsampleNearest => {
                let modes = ["nearest", "asymmetric", "floor"];
                ("Resize", self.doubling(parameter("scales")), resize_modes(modes))
            }
            Op::UpsampleBilinear => {
                let modes = ["linear", "half_pixel", "round_prefer_floor"];
                ("Resize", self.doubling(parameter("scales")), resize_modes(modes))
            }
            Op::CropLike => {
                let [height, width] = self.sizes[value.0].map(|length| length as i64);
                let parts = [("starts", [0, 0]), ("ends", [height, width]), ("axes", [2, 3])];
                let lists = parts.map(|(part, numbers)| self.integers(parameter(part), &numbers));
                // The second tensor says how much, and is not read.
                let read = &layer.inputs[..1];
                return self.node_of("Slice", value, layer, read, lists.into(), Vec::new());
            }
            Op::MaxPool => ("MaxPool", Vec::new(), square_window(3, 2)),
            Op::GlobalAveragePool => ("GlobalAveragePool", Vec::new(), Vec::new()),
        };
        self.node(op, value, layer, parameters, attribute);
    }

    /// Adds factors of 2 for height and width, and gives back what stands behind the image: the region of interest between
    /// both is left out.
    fn doubling(&mut self, scales: String) -> Vec<String> {
        self.graph.initializer.push(floats(&scales, &[4], &[1.0, 1.0, 2.0, 2.0]));
        vec![String::new(), scales]
    }

    /// Adds a list of whole numbers, and gives back its name.
    fn integers(&mut self, name: String, numbers: &[i64]) -> String {
        let constant = Constant { shape: vec![numbers.len()], values: Values::I64(numbers.to_vec()) };
        self.graph.initializer.push(constant.to_proto(&name));
        name
    }

    fn activation(&mut self, value: Value, layer: &Layer, activation: Activation) {
        let mut parameters = Vec::new();
        let mut attribute = Vec::new();
        let op = match activation {
            Activation::Relu => "Relu",
            Activation::Relu6 => {
                for (part, bound) in [("min", 0.0), ("max", 6.0)] {
                    let name = format!("{}.{part}", layer.name);
                    self.graph.initializer.push(floats(&name, &[], &[bound]));
                    parameters.push(name);
                }
                "Clip"
            }
            Activation::Elu => "Elu",
            Activation::Sigmoid => "Sigmoid",
            Activation::HardSigmoid => {
                attribute.extend([float("alpha", 1.0 / 6.0), float("beta", 0.5)]);
                "HardSigmoid"
            }
            // An operator of its own has HardSwish only from operator set 14 on.
            Activation::HardSwish => return self.hard_swish(value, layer),
        };
        self.node(op, value, layer, parameters, attribute);
    }

    fn hard_swish(&mut self, value: Value, layer: &Layer) {
        let input = self.architecture.tensor(layer.inputs[0]);
        let gate = format!("{}.gate", layer.name);
        self.graph.node.push(NodeProto {
            op_type: "HardSigmoid".into(),
            name: gate.clone(),
            input: vec![input],
            output: vec![format!("{gate}.out")],
            attribute: vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)],
            ..NodeProto::default()
        });
        self.node("Mul", value, layer, vec![format!("{gate}.out")], Vec::new());
    }

    fn node(
        &mut self,
        op: &str,
        value: Value,
        layer: &Layer,
        parameters: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        self.node_of(op, value, layer, &layer.inputs, parameters, attribute);
    }

    /// A node that reads only `read` of what the layer is given.
    fn node_of(
        &mut self,
        op: &str,
        value: Value,
        layer: &Layer,
        read: &[Value],
        parameters: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let inputs = read.iter().map(|&input| self.architecture.tensor(input));
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: layer.name.clone(),
            input: inputs.chain(parameters).collect(),
            output: vec![self.architecture.tensor(value)],
            attribute,
            ..NodeProto::default()
        });
    }
}

fn window(convolution: Convolution) -> Vec<AttributeProto> {
    let mut attributes = square_window(convolution.kernel, convolution.stride);
    attributes.push(int("group", convolution.groups as i64));
    attributes
}

fn square_window(kernel: usize, stride: usize) -> Vec<AttributeProto> {
    let (kernel, stride) = (kernel as i64, stride as i64);
    vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2]), ints("pads", &[kernel / 2; 4])]
}

fn resize_modes([mode, coordinates, nearest]: [&str; 3]) -> Vec<AttributeProto> {
    let names = ["mode", "coordinate_transformation_mode", "nearest_mode"];
    names.iter().zip([mode, coordinates, nearest]).map(|(name, text)| string(name, text)).collect()
}

fn doubling_window(kernel: usize) -> Vec<AttributeProto> {
    let mut attributes = square_window(kernel, 2);
    attributes.push(ints("output_padding", &[1, 1]));
    attributes
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    Constant { shape: shape.to_vec(), values: Values::F32(values.to_vec()) }.to_proto(name)
}

fn attribute(name: &str, of_type: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: of_type as i32, ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: value, ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, AttributeType::Float) }
}

fn string(name: &str, text: &str) -> AttributeProto {
    AttributeProto { s: text.as_bytes().to_vec(), ..attribute(name, AttributeType::String) }
}
