//! The quantiser: what it makes of networks, and how close that comes to them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests stand outside test functions"
)]

mod common;

use std::path::PathBuf;

use common::{Builder, SIDE, bytes, every_layer, in_floats};
use fastrand::Rng;
use kestrel_nn::kernels::Kernel;
use kestrel_nn::plan::Op;
use kestrel_nn::quantize::{Equalizer, QuantizeOptions, Quantized, Quantizer, RangeChoice};
use kestrel_nn::{Comparison, Network, parameters};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, attribute_proto::AttributeType};

const SHAPE: [i64; 4] = [1, 3, SIDE, SIDE];

/// Layers in floats on top of [`Builder`].
struct Floats {
    b: Builder,
    rng: Rng,
}

impl Floats {
    fn new(seed: u64) -> Self {
        Self { b: Builder::new(), rng: Rng::with_seed(seed) }
    }

    fn noise(&mut self, shape: &[i64], deviation: f32) -> Vec<f32> {
        let normal = |rng: &mut Rng| (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0;
        (0..shape.iter().product()).map(|_| normal(&mut self.rng) * deviation).collect()
    }

    fn convolution(
        &mut self,
        x: &str,
        [input, output]: [i64; 2],
        size: i64,
        stride: i64,
        groups: i64,
    ) -> String {
        let shape = [output, input / groups, size, size];
        let weights = self.noise(&shape, (1.5 / (shape[1] * size * size) as f32).sqrt());
        let bias = self.noise(&[output], 0.2);
        let (weights, bias) = (self.b.floats(&shape, &weights), self.b.floats(&[output], &bias));
        let padding = [(size - 1) / 2; 4];
        let attributes: &[(&str, &[i64])] =
            &[("pads", &padding), ("strides", &[stride, stride]), ("group", &[groups])];
        self.b.node("Conv", &[x, &weights, &bias], attributes)
    }

    fn normalisation(&mut self, x: &str, channels: i64) -> String {
        let mut parameter = |around: f32, deviation: f32| {
            let values: Vec<_> =
                self.noise(&[channels], deviation).iter().map(|v| (v + around).abs()).collect();
            self.b.floats(&[channels], &values)
        };
        let [scale, shift] = [parameter(1.0, 0.3), parameter(0.0, 0.3)];
        let [mean, variance] = [parameter(0.0, 0.1), parameter(1.0, 0.3)];
        self.b.node("BatchNormalization", &[x, &scale, &shift, &mean, &variance], &[])
    }

    fn numbers(&mut self, numbers: &[i64]) -> String {
        let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.b.constant(DataType::Int64, &[numbers.len() as i64], raw)
    }
}

/// An encoder with a residual and a skip, a decoder, and a head of rows: one of each layer that matters.
fn network() -> ModelProto {
    let mut f = Floats::new(1);
    let x = f.convolution("image", [3, 16], 3, 1, 1);
    let x = f.normalisation(&x, 16);
    let skip = f.b.node("Relu", &[&x], &[]);
    let [zero, six] = [0.0, 6.0].map(|value| f.b.floats(&[], &[value]));
    let x = f.convolution(&skip, [16, 16], 3, 1, 16);
    let x = f.normalisation(&x, 16);
    let x = f.b.node("Clip", &[&x, &zero, &six], &[]);
    let x = f.convolution(&x, [16, 16], 1, 1, 1);
    let x = f.b.node("Add", &[&x, &skip], &[]);
    let x = f.b.node("Relu", &[&x], &[]);
    let pooling: &[(&str, &[i64])] =
        &[("kernel_shape", &[2, 2]), ("strides", &[1, 1]), ("pads", &[0, 0, 1, 1])];
    let x = f.b.node("MaxPool", &[&x], pooling);
    let x = f.convolution(&x, [16, 8], 3, 1, 1);
    let x = f.b.node("Elu", &[&x], &[]);
    let x = f.b.node("Concat", &[&x, &skip], &[("axis", &[1])]);
    let depth = f.convolution(&x, [24, 1], 3, 1, 1);
    let depth = f.b.node("Sigmoid", &[&depth], &[]);
    let shape = f.numbers(&[1, -1, 4]);
    let mut rows = |size: i64| {
        let boxes = f.convolution(&x, [24, 8], size, 1, 1);
        let boxes = f.b.node("Transpose", &[&boxes], &[("perm", &[0, 2, 3, 1])]);
        f.b.node("Reshape", &[&boxes, &shape], &[])
    };
    let [near, far] = [rows(1), rows(3)];
    let boxes = f.b.node("Concat", &[&near, &far], &[("axis", &[1])]);
    f.b.model(&SHAPE, &[&depth, &boxes])
}

/// Smooth images with a little noise.
fn images(count: u64, shape: &[i64]) -> impl Iterator<Item = Vec<f32>> {
    let [channels, height, width] = [1, 2, 3].map(|axis| shape[axis] as usize);
    (0..count).map(move |seed| {
        let mut rng = Rng::with_seed(seed);
        let waves: Vec<[f32; 4]> = (0..channels).map(|_| std::array::from_fn(|_| rng.f32())).collect();
        let mut image = Vec::new();
        for wave in waves {
            for y in 0..height {
                for x in 0..width {
                    let phase = (wave[0] * x as f32 + wave[1] * y as f32) * 0.5 + wave[2] * 6.0;
                    image.push(phase.sin() * (0.5 + wave[3]) + rng.f32() * 0.3);
                }
            }
        }
        image
    })
}

fn quantized(model: &[u8], shape: &[i64], options: &QuantizeOptions) -> Quantized {
    let mut quantizer = Quantizer::new(model).unwrap();
    for image in images(6, shape) {
        quantizer.observe(&[image]).unwrap();
    }
    quantizer.finish(options).unwrap()
}

/// Signal to noise of each output against `model` in floats, in decibels, over images that calibration has not seen.
fn sqnr_db(model: &ModelProto, shape: &[i64], file: &[u8]) -> Vec<f64> {
    let mut network = Network::read(file, Kernel::best()).unwrap();
    let lengths: Vec<_> = shape.iter().map(|&length| length as usize).collect();
    let mut powers = vec![[0.0; 2]; network.outputs().len()];
    for image in images(10, shape).skip(6) {
        network.input(0).copy_from_slice(&image);
        network.run().unwrap();
        for (index, expected) in in_floats(model, &lengths, &image).iter().enumerate() {
            for (&expected, &found) in expected.iter().zip(network.output(index)) {
                powers[index][0] += f64::from(expected).powi(2);
                powers[index][1] += f64::from(expected - found).powi(2);
            }
        }
    }
    powers.iter().map(|[signal, noise]| 10.0 * (signal / noise).log10()).collect()
}

fn refusal(model: &ModelProto) -> String {
    Quantizer::new(&bytes(model)).unwrap_err().to_string()
}

#[test]
fn what_is_quantised_stays_close_to_floats_and_runs_on_bytes() {
    let model = network();
    for range in [RangeChoice::MinMax, RangeChoice::Percentile(99.99), RangeChoice::MeanSquare] {
        let options = QuantizeOptions { range, ..QuantizeOptions::default() };
        let Quantized { file, report } = quantized(&bytes(&model), &SHAPE, &options);
        assert_eq!((report.folded, &*report.in_float, report.samples), (2, &[][..], 6), "{range:?}");
        let network = Network::read(&file, Kernel::SCALAR).unwrap();
        let float_ops: Vec<_> = network.plan().float_ops().collect();
        assert_eq!(float_ops, [""; 0], "{range:?}");
        let found = sqnr_db(&model, &SHAPE, &file);
        assert!(found.iter().all(|&db| db > 25.0), "{range:?}: {found:?}");
    }
}

#[test]
fn outputs_keep_their_names_and_shapes() {
    let model = network();
    let float = Network::read(&bytes(&model), Kernel::SCALAR).unwrap();
    let quantized = quantized(&bytes(&model), &SHAPE, &QuantizeOptions::default());
    let network = Network::read(&quantized.file, Kernel::SCALAR).unwrap();
    assert_eq!(network.outputs().collect::<Vec<_>>(), float.outputs().collect::<Vec<_>>());
    assert_eq!(network.inputs().collect::<Vec<_>>(), float.inputs().collect::<Vec<_>>());
}

#[test]
fn what_only_moves_keeps_its_bytes() {
    let file = quantized(&bytes(&network()), &SHAPE, &QuantizeOptions::default()).file;
    let network = Network::read(&file, Kernel::SCALAR).unwrap();
    let steps = &network.plan().steps;
    assert!(!steps.iter().any(|step| matches!(step.op, Op::Map { .. })), "nothing is only rescaled");
    let tables = |op: &Op| match op {
        Op::Concatenate { parts, .. } => Some(parts.iter().map(|part| part.table.is_some()).collect()),
        _ => None,
    };
    let tables: Vec<Vec<_>> = steps.iter().filter_map(|step| tables(&step.op)).collect();
    // The skip has readers beside the first concatenation, so that it keeps its own scale. All else is written in place.
    assert_eq!(tables, [[true]]);
}

#[test]
fn products_and_sums_with_constants_go_into_convolutions() {
    let mut f = Floats::new(2);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let gains = f.b.floats(&[4, 1, 1], &[0.5, -2.0, 1.0, 3.0]);
    let x = f.b.node("Mul", &[&x, &gains], &[]);
    let shift = f.b.floats(&[1, 4, 1, 1], &[1.0, 0.0, -1.0, 0.2]);
    let x = f.b.node("Add", &[&shift, &x], &[]);
    let half = f.b.floats(&[], &[0.5]);
    let x = f.b.node("Div", &[&x, &half], &[]);
    let x = f.b.node("Sub", &[&x, &half], &[]);
    let model = f.b.model(&SHAPE, &[&x]);
    let Quantized { file, report } = quantized(&bytes(&model), &SHAPE, &QuantizeOptions::default());
    assert_eq!((report.folded, report.on_bytes), (4, 1));
    let found = sqnr_db(&model, &SHAPE, &file)[0];
    assert!(found > 30.0, "{found}");
}

#[test]
fn biases_take_back_what_rounded_weights_add() {
    // Many inputs of one sign, and small weights that a large one beside them rounds to nothing.
    let mut f = Floats::new(3);
    let (spread, rise) = (f.b.floats(&[64, 3, 1, 1], &[0.2; 192]), f.b.floats(&[64], &[2.0; 64]));
    let x = f.b.node("Conv", &["image", &spread, &rise], &[]);
    let mut weights = [0.011; 4 * 64];
    weights.chunks_mut(64).for_each(|filter| filter[0] = 3.0);
    let weights = f.b.floats(&[4, 64, 1, 1], &weights);
    let y = f.b.node("Conv", &[&x, &weights], &[]);
    let model = f.b.model(&SHAPE, &[&y]);
    let with = |correct_bias| {
        let options = QuantizeOptions { correct_bias, ..QuantizeOptions::default() };
        sqnr_db(&model, &SHAPE, &quantized(&bytes(&model), &SHAPE, &options).file)[0]
    };
    let (without, with) = (with(false), with(true));
    assert!(with > without + 10.0, "{without} dB became {with}");
}

#[test]
fn equalised_channels_compute_the_same_and_lose_less() {
    let mut f = Floats::new(4);
    let mut first = f.noise(&[16, 3, 3, 3], 0.3);
    let mut second = f.noise(&[8, 16, 3, 3], 0.1);
    let gain = |channel: usize| 2.0_f32.powi(channel as i32 % 5 * 3 - 6);
    first.iter_mut().enumerate().for_each(|(index, weight)| *weight *= gain(index / 27));
    second.iter_mut().enumerate().for_each(|(index, weight)| *weight /= gain(index / 9 % 16));
    let (first, second) = (f.b.floats(&[16, 3, 3, 3], &first), f.b.floats(&[8, 16, 3, 3], &second));
    let x = f.b.node("Conv", &["image", &first], &[("pads", &[1, 1, 1, 1])]);
    let x = f.b.node("Relu", &[&x], &[]);
    let y = f.b.node("Conv", &[&x, &second], &[("pads", &[1, 1, 1, 1])]);
    let model = f.b.model(&SHAPE, &[&y]);
    let mut equalizer = Equalizer::new(&bytes(&model)).unwrap();
    assert_eq!(equalizer.pairs(), 1);
    images(6, &SHAPE).for_each(|image| equalizer.observe(&[image]).unwrap());
    let equalised = equalizer.finish().unwrap();
    let found = sqnr_db(&model, &SHAPE, &equalised)[0];
    assert!(found > 100.0, "the same network: {found} dB");
    let [before, after] = [&bytes(&model), &equalised]
        .map(|file| sqnr_db(&model, &SHAPE, &quantized(file, &SHAPE, &QuantizeOptions::default()).file)[0]);
    assert!(after > before + 10.0, "{before} dB became {after}");
}

#[test]
fn what_would_lose_too_much_stays_in_float_with_the_reason() {
    let mut f = Floats::new(5);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let mut weights = f.noise(&[4, 4, 1, 1], 0.001);
    weights.iter_mut().step_by(4).for_each(|weight| *weight = 0.0);
    let weights = f.b.floats(&[4, 4, 1, 1], &weights);
    let huge = f.b.floats(&[4], &[1e6; 4]);
    let x = f.b.node("Conv", &[&x, &weights, &huge], &[]);
    let y = f.convolution(&x, [4, 2], 1, 1, 1);
    let model = f.b.model(&SHAPE, &[&y]);
    let options =
        QuantizeOptions { min_sqnr_db: 20.0, range: RangeChoice::MinMax, ..QuantizeOptions::default() };
    let report = quantized(&bytes(&model), &SHAPE, &options).report;
    assert_eq!(report.in_float.len(), 1, "{:?}", report.in_float);
    assert!(report.in_float[0].node.contains("conv_1") && report.in_float[0].reason.contains("weights"));
}

#[test]
fn nodes_can_be_kept_in_float() {
    let model = network();
    let keep = |name: &str| QuantizeOptions { keep_float: vec![name.into()], ..QuantizeOptions::default() };
    let Quantized { file, report } = quantized(&bytes(&model), &SHAPE, &keep("node_conv_13"));
    let reasons: Vec<_> = report.in_float.iter().map(|node| (&*node.node, &*node.reason)).collect();
    let expected = [("node_conv_13", "asked for"), ("node_sigmoid_14", "what it reads is computed in float")];
    assert_eq!(reasons, expected);
    let network = Network::read(&file, Kernel::SCALAR).unwrap();
    assert!(network.plan().float_ops().any(|name| name == "node_conv_13"));
    assert!(sqnr_db(&model, &SHAPE, &file)[0] > 25.0);
    let mut quantizer = Quantizer::new(&bytes(&model)).unwrap();
    images(1, &SHAPE).for_each(|image| quantizer.observe(&[image]).unwrap());
    assert!(quantizer.finish(&keep("nobody")).unwrap_err().to_string().contains("nobody"));
}

#[test]
fn the_file_says_where_it_comes_from() {
    let mut model = network();
    let property = |key: &str, value: &str| tract_onnx::pb::StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    model.metadata_props = vec![property("input.mean", "0.5"), property("author", "Ada")];
    let metadata = vec![("input.mean".to_owned(), "0.25".to_owned())];
    let file =
        quantized(&bytes(&model), &SHAPE, &QuantizeOptions { metadata, ..QuantizeOptions::default() }).file;
    let model = ModelProto::decode(&*file).unwrap();
    assert_eq!(model.metadata_props, [property("author", "Ada"), property("input.mean", "0.25")]);
    assert_eq!(model.producer_name, "kestrel");
}

#[test]
fn older_operator_sets_are_told_anew_or_refused() {
    let mut f = Floats::new(6);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let x = f.b.node("GlobalAveragePool", &[&x], &[]);
    let x = f.b.node("Squeeze", &[&x], &[("axes", &[2, 3])]);
    let mut model = f.b.model(&SHAPE, &[&x]);
    model.opset_import[0].version = 11;
    let file = quantized(&bytes(&model), &SHAPE, &QuantizeOptions::default()).file;
    assert_eq!(ModelProto::decode(&*file).unwrap().opset_import[0].version, 13);
    assert!(sqnr_db(&model, &SHAPE, &file)[0] > 25.0);
    model.opset_import[0].version = 9;
    assert!(refusal(&model).contains("operator set 9"));

    let mut f = Floats::new(6);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let x = f.b.node("Softmax", &[&x], &[("axis", &[1])]);
    let mut model = f.b.model(&SHAPE, &[&x]);
    model.opset_import[0].version = 12;
    let error = refusal(&model);
    assert!(error.contains("node_softmax_1") && error.contains("Softmax"), "{error}");
}

#[test]
fn what_can_not_be_quantised_is_refused() {
    let error = refusal(&every_layer(false));
    assert!(error.contains("quantised already") && error.contains("QuantizeLinear"), "{error}");
    let mut b = Builder::new();
    let x = b.node("Relu", &["image"], &[]);
    assert!(refusal(&b.model(&SHAPE, &[&x])).contains("without a convolution"));
    let quantizer = Quantizer::new(&bytes(&network())).unwrap();
    assert!(
        quantizer
            .finish(&QuantizeOptions::default())
            .unwrap_err()
            .to_string()
            .contains("no calibration image")
    );
    let mut quantizer = Quantizer::new(&bytes(&network())).unwrap();
    assert!(quantizer.observe(&[vec![0.0; 7]]).is_err() && quantizer.observe(&[]).is_err());
    let broken = vec![f32::NAN; SHAPE.iter().product::<i64>() as usize];
    let error = quantizer.observe(&[broken]).unwrap_err().to_string();
    assert!(error.contains("NaN") && error.contains("tensor"), "{error}");
}

/// Networks of real size: what `../shared/spike/models/make_models.py` makes, in the folder `$KESTREL_NETWORKS`.
#[test]
fn networks_of_real_size_stay_close_to_floats() {
    for (name, shape, least_db) in [
        ("ssdlite_mnv2_320", [1, 3, 320, 320], 10.0),
        ("r18depth_128x416", [1, 3, 128, 416], 20.0),
        ("posenet_128x416", [1, 9, 128, 416], 20.0),
        ("dispnet_s_128x416", [1, 3, 128, 416], 20.0),
    ] {
        let Some(file) = made_network(&format!("{name}.onnx")) else { continue };
        let float = std::fs::read(file).unwrap();
        let Quantized { file, report } = quantized(&float, &shape, &QuantizeOptions::default());
        let refused = report.in_float.iter().filter(|node| node.op == "Conv").count();
        assert_eq!(refused, 0, "{name}: {:?}", report.in_float);
        let found = sqnr_db(&ModelProto::decode(&*float).unwrap(), &shape, &file);
        eprintln!("{name}: {found:.1?} dB, {} bytes of {}", file.len(), float.len());
        assert!(found.iter().all(|&db| db > least_db), "{name}: {found:?}");
        assert!(file.len() * 2 < float.len(), "{name}: {} bytes", file.len());
    }
}

fn made_network(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("KESTREL_NETWORKS").map(|folder| PathBuf::from(folder).join(name));
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        eprintln!("SKIPPED: needs {name}; set KESTREL_NETWORKS to the folder that make_models.py has filled");
    }
    path
}

#[test]
fn attributes_survive() {
    let mut f = Floats::new(7);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let x = f.b.node("Elu", &[&x], &[]);
    f.b.nodes[1].attribute.push(AttributeProto {
        name: "alpha".into(),
        r#type: AttributeType::Float as i32,
        f: 0.3,
        ..AttributeProto::default()
    });
    let model = f.b.model(&SHAPE, &[&x]);
    let file = quantized(&bytes(&model), &SHAPE, &QuantizeOptions::default()).file;
    assert!(sqnr_db(&model, &SHAPE, &file)[0] > 25.0);
}

#[test]
fn comparisons_show_where_networks_differ() {
    let model = network();
    let float = bytes(&model);
    let quantized = quantized(&float, &SHAPE, &QuantizeOptions::default()).file;
    let mut comparison = Comparison::new(&float, &quantized, Kernel::best()).unwrap();
    images(2, &SHAPE).for_each(|image| comparison.observe(&[image]).unwrap());
    let db: Vec<_> = comparison.tensors().iter().map(|tensor| (&*tensor.name, tensor.sqnr_db())).collect();
    // What the folded normalisation reads is not in the quantised network.
    assert_eq!(db[0].0, "batchnormalization_1", "{db:?}");
    assert!(db.iter().all(|(_, db)| (20.0..60.0).contains(db)), "{db:?}");
    assert!(db.iter().any(|(name, _)| *name == "concat_21"));
    let [of_engine, of_tract] = [comparison.outputs()[1].sqnr_db(), db.last().unwrap().1];
    assert!((of_engine - of_tract).abs() < 1.0, "{of_engine} {of_tract}");

    let mut same = Comparison::new(&float, &float, Kernel::best()).unwrap();
    images(1, &SHAPE).for_each(|image| same.observe(&[image]).unwrap());
    assert!(same.tensors().iter().all(|tensor| tensor.sqnr_db().is_infinite() && tensor.largest == 0.0));
    let error = Comparison::new(&float, &bytes(&every_layer(false)), Kernel::best()).unwrap_err().to_string();
    assert!(error.contains("same inputs and outputs"), "{error}");
}

#[test]
fn parameters_are_counted_once() {
    let mut f = Floats::new(8);
    let x = f.convolution("image", [3, 4], 3, 1, 1);
    let x = f.convolution(&x, [4, 5], 1, 1, 1);
    let float = bytes(&f.b.model(&SHAPE, &[&x]));
    let quantized = quantized(&float, &SHAPE, &QuantizeOptions::default()).file;
    assert_eq!(parameters(&float), Ok(4 * 27 + 4 + 20 + 5));
    assert_eq!(parameters(&quantized), Ok(4 * 27 + 4 + 20 + 5));
}
