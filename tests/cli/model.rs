//! `kestrel model`: from a float network to one on bytes, and what is said about both.

use fastrand::Rng;
use prost::Message;
use serde_json::Value;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, type_proto,
};

use crate::common::Lab;

const SIDE: i64 = 16;

/// A lab with a small float network and pictures of another size than it takes.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("float.onnx", network().encode_to_vec());
    for picture in 0..4 {
        let pixel = |x: u32, y: u32| image::Rgb([(x * 9) as u8, (y * 7) as u8, (picture * 50) as u8]);
        lab.write(&format!("images/{picture}.png"), []);
        image::RgbImage::from_fn(24, 20, pixel).save(lab.path(&format!("images/{picture}.png"))).unwrap();
    }
    let mut rng = Rng::with_seed(1);
    // Within what the pictures come to, less a mean of one half.
    let values = (0..3 * SIDE * SIDE).flat_map(|_| (rng.f32() * 0.8 - 0.5).to_le_bytes());
    lab.write("input.raw", values.collect::<Vec<_>>());
    lab
}

/// Two convolutions with a ReLU between, and a softmax, which has no quantised form.
fn network() -> ModelProto {
    let mut rng = Rng::with_seed(2);
    let mut floats = |name: &str, dims: &[i64]| TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: (0..dims.iter().product()).map(|_| rng.f32() - 0.5).collect(),
        ..TensorProto::default()
    };
    let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
        name: format!("the_{output}"),
        op_type: op.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let mut softmax = node("Softmax", &["second"], "classes");
    softmax.attribute.push(AttributeProto {
        name: "axis".into(),
        r#type: AttributeType::Int as i32,
        i: 1,
        ..AttributeProto::default()
    });
    let graph = GraphProto {
        name: "small".into(),
        initializer: vec![floats("w1", &[8, 3, 3, 3]), floats("w2", &[4, 8, 1, 1])],
        node: vec![
            node("Conv", &["image", "w1"], "first"),
            node("Relu", &["first"], "active"),
            node("Conv", &["active", "w2"], "second"),
            softmax,
        ],
        input: vec![port("image", &[1, 3, SIDE, SIDE])],
        output: vec![port("classes", &[1, 4, SIDE - 2, SIDE - 2])],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

fn port(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension =
        |&length: &i64| Dimension { value: Some(dimension::Value::DimValue(length)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn a_network_is_quantised_inspected_compared_and_run() {
    let lab = lab();
    let quantize = "model quantize float.onnx int8.onnx --calibration images --equalize --mean 0.5 --json";
    let report = lab.kestrel(quantize).expect_code(0).json();
    assert_eq!((report["images"].as_u64(), report["on_bytes"].as_u64()), (Some(4), Some(3)));
    assert_eq!(report["in_float"][0]["node"], "the_classes");

    let inspected = lab.kestrel("model inspect int8.onnx --runs 2 --json").expect_code(0).json();
    assert_eq!(names(&inspected["float_ops"]), ["the_classes"]);
    assert_eq!(inspected["parameters"].as_u64(), Some(8 * 27 + 4 * 8 + 8 + 4));
    assert!(
        inspected["layers"].as_array().unwrap().len() >= 3 && inspected["arena_bytes"].as_u64() > Some(0)
    );
    let float = lab.kestrel("model inspect float.onnx --json").expect_code(0).json();
    assert_eq!(names(&float["float_ops"]), ["the_first", "the_active", "the_second", "the_classes"]);
    assert!(lab.kestrel("model inspect int8.onnx").expect_code(0).stdout.contains("in float: the_classes"));

    // The quantised file says what its input is, so that it need not be said again.
    let compared =
        lab.kestrel("model compare int8.onnx float.onnx --images images --json").expect_code(0).json();
    assert_eq!(compared["outputs"][0]["name"], "classes");
    assert!(compared["outputs"][0]["sqnr_db"].as_f64().unwrap() > 25.0, "{compared}");

    let mut outputs = Vec::new();
    for file in ["float", "int8"] {
        let run = format!(
            "model run {file}.onnx --input input.raw --output {file}.raw --bench 3 --kernel scalar --json"
        );
        let run = lab.kestrel(&run).expect_code(0).json();
        assert_eq!(run["kernel"], "scalar");
        assert!(run["cpu_ms_median"].as_f64() > Some(0.0) && run["wall_ms_median"].as_f64() > Some(0.0));
        let bytes = std::fs::read(lab.path(&format!("{file}.raw"))).unwrap();
        outputs.push(bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect::<Vec<_>>());
    }
    assert_eq!(outputs[0].len() as i64, 4 * (SIDE - 2) * (SIDE - 2));
    let off = outputs[0].iter().zip(&outputs[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off > 0.0 && off < 0.1, "{off}");
}

#[test]
fn wrong_models_and_images_are_named_and_nothing_is_written() {
    let lab = lab();
    lab.write("short.raw", [0; 7]);
    lab.write("no.onnx", "no network");
    lab.write("empty/notes.txt", "no images");
    lab.write("broken/0.png", "no image");
    for (arguments, words) in [
        ("model run missing.onnx --input input.raw --output out", ["missing.onnx", "No such file"]),
        ("model run no.onnx --input input.raw --output out", ["ONNX", "no.onnx"]),
        ("model run float.onnx --input short.raw --output out", ["3072 bytes", "found 7"]),
        ("model inspect no.onnx", ["no.onnx", "ONNX"]),
        ("model quantize float.onnx out --calibration empty", ["empty", "found 0"]),
        ("model quantize float.onnx out --calibration broken", ["0.png", "image"]),
        (
            "model quantize float.onnx out --calibration images --colors gray --keep-float nobody",
            ["nobody", "float"],
        ),
        ("model quantize float.onnx float.onnx --calibration images", ["float.onnx", "another file"]),
        ("model quantize int8.onnx out --calibration images", ["int8.onnx", "read"]),
        ("model compare float.onnx no.onnx --images images", ["ONNX", "no.onnx"]),
    ] {
        lab.kestrel(arguments).expect_code(1).says(&words);
        assert!(!lab.path("out").exists(), "{arguments}");
    }
    for wrong in ["--range median", "--kernel abacus", "--mean bright", "--deviation 0", "--colors red"] {
        let command =
            if wrong.contains("kernel") { "inspect float.onnx" } else { "quantize a b --calibration c" };
        lab.kestrel(&format!("model {command} {wrong}")).expect_code(2);
    }
}
