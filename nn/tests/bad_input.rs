//! Files that lie, ask for too much or were damaged: each is an error that says where, none a panic or a heap of memory.

#![expect(unsafe_code, reason = "an allocator that watches is an allocator")]
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Builder, SCALE, SIDE, bytes, every_layer};
use fastrand::Rng;
use kestrel_nn::Network;
use kestrel_nn::kernels::Kernel;
use kestrel_nn::quantize::Quantizer;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, attribute_proto::AttributeType};

struct Watching;

/// The largest piece of memory that was asked for at once.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// More than any network here may ask for at once: a gigabyte of floats, the most that one tensor may have.
const TOO_MUCH: usize = (1 << 30) + (1 << 20);

// SAFETY: hands everything on to the system's allocator, or refuses.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() > TOO_MUCH {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() > TOO_MUCH {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are the same. The system zeroes pages when they are touched, not before.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

const SHAPE: [i64; 4] = [1, 3, SIDE, SIDE];

fn refusal(model: &ModelProto) -> String {
    match Network::read(&bytes(model), Kernel::SCALAR) {
        Ok(_) => "no error".into(),
        Err(error) => error.to_string(),
    }
}

/// Both names must be in the error, and the error must come before the memory.
#[track_caller]
fn is_refused(model: &ModelProto, words: &[&str]) {
    let error = refusal(model);
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    assert!(LARGEST.load(Ordering::Relaxed) < TOO_MUCH);
}

fn numbers(b: &mut Builder, numbers: &[i64]) -> String {
    let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    b.constant(DataType::Int64, &[numbers.len() as i64], raw)
}

fn strided(stride: i64) -> ModelProto {
    let strides: &[(&str, &[i64])] = &[("pads", &[1, 1, 1, 1]), ("strides", &[stride, stride])];
    let mut b = Builder::new();
    let weights = b.floats(&[2, 3, 3, 3], &[0.5; 54]);
    let floats = b.node("Conv", &["image", &weights], strides);
    let image = b.through_bytes("image", SCALE, 128);
    let on_bytes = b.convolution(&image, [3, 4], 3, stride);
    let on_bytes = b.through_bytes(&on_bytes, SCALE, 128);
    b.model(&SHAPE, &[&floats, &on_bytes])
}

/// Strides beyond the image leave one place for the window, and must not ask for memory or overflow.
#[test]
fn strides_beyond_the_image_are_one_place() {
    let file = bytes(&strided(65_535));
    for kernel in Kernel::available() {
        let mut network = Network::read(&file, kernel).unwrap();
        network.input(0).fill(1.0);
        network.run().unwrap();
        assert_eq!([network.output(0).len(), network.output(1).len()], [2, 4], "{kernel}");
        assert!((network.output(0)[0] - 0.5 * 12.0).abs() < 1e-5, "{kernel}: {:?}", network.output(0));
    }
    assert!(LARGEST.load(Ordering::Relaxed) < TOO_MUCH);
    is_refused(&strided(1 << 61), &["node_conv", "strides", "32 bits"]);
}

#[test]
fn a_terabyte_is_refused_whoever_asks_for_it() {
    let terabyte = [1, 1, 1 << 19, 1 << 19];
    for op in ["ConstantOfShape", "Expand", "Tile", "Range", "Reshape", "Resize"] {
        let mut b = Builder::new();
        let huge = numbers(&mut b, &terabyte);
        let one = b.floats(&[1, 1, 1, 1], &[1.0]);
        let made = match op {
            "ConstantOfShape" => b.node(op, &[&huge], &[]),
            "Range" => {
                let [start, end, step] = [0.0, 1e12, 1.0].map(|value| b.floats(&[], &[value]));
                b.node(op, &[&start, &end, &step], &[])
            }
            "Resize" => b.node(op, &["image", "", "", &huge], &[]),
            _ => b.node(op, &[&one, &huge], &[]),
        };
        let x = b.node("Add", &["image", &made], &[]);
        is_refused(&b.model(&SHAPE, &[&x]), &["node_"]);
    }
    let mut b = Builder::new();
    let pads = numbers(&mut b, &[0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0]);
    let x = b.node("Pad", &["image", &pads], &[]);
    is_refused(&b.model(&SHAPE, &[&x]), &["node_pad_0", "Pad"]);
}

#[test]
fn bytes_of_a_terabyte_are_refused_too() {
    // The second is more than an image can have of padding, so that it is tract's, which sees it by itself.
    for (padding, node) in [(1 << 14, "node dequantizelinear_"), (1 << 20, "node_conv_")] {
        let (pads, strides) = ([padding; 4], [1, 1]);
        let mut b = Builder::new();
        let x = b.through_bytes("image", SCALE, 128);
        let weights = b.constant(DataType::Int8, &[4, 3, 1, 1], vec![1; 12]);
        let scale = b.floats(&[], &[0.1]);
        let weights = b.node("DequantizeLinear", &[&weights, &scale], &[]);
        let x = b.node("Conv", &[&x, &weights], &[("pads", &pads), ("strides", &strides)]);
        let x = b.through_bytes(&x, SCALE, 128);
        is_refused(&b.model(&SHAPE, &[&x]), &[node]);
    }
    let mut b = Builder::new();
    let x = b.through_bytes("image", SCALE, 128);
    let sizes = numbers(&mut b, &[1, 3, 1 << 40, 1 << 40]);
    let x = b.node("Resize", &[&x, "", "", &sizes], &[]);
    let x = b.through_bytes(&x, SCALE, 128);
    is_refused(&b.model(&SHAPE, &[&x]), &["node_resize", "Resize"]);
}

#[test]
fn many_large_tensors_are_as_bad_as_a_huge_one() {
    let mut b = Builder::new();
    let mut x = b.node("Relu", &["image"], &[]);
    for _ in 0..20 {
        x = b.through_bytes(&x, SCALE, 128);
        x = b.node("Mystery", &[&x], &[]);
        let last = b.nodes.len() - 1;
        b.nodes[last].op_type = "Softmax".into();
    }
    is_refused(&b.model(&[1, 1, 1 << 13, 1 << 14], &[&x]), &["node_", "more than"]);
}

#[test]
fn inputs_without_a_shape_are_refused() {
    let mut b = Builder::new();
    let x = b.node("Relu", &["image"], &[]);
    let mut model = b.model(&SHAPE, &[&x]);
    let input = &mut model.graph.as_mut().unwrap().input[0];
    let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
        input.r#type.as_mut().and_then(|t| t.value.as_mut())
    else {
        panic!("the builder makes tensors")
    };
    tensor.shape = None;
    is_refused(&model, &["image", "shape"]);
}

#[test]
fn outputs_that_nothing_makes_are_refused() {
    let mut b = Builder::new();
    b.node("Relu", &["image"], &[]);
    is_refused(&b.model(&SHAPE, &["nowhere"]), &["nowhere"]);
    let quantizer = |model: &ModelProto| Quantizer::new(&bytes(model)).map(drop);
    let mut b = Builder::new();
    let weights = b.floats(&[4, 3, 1, 1], &[0.1; 12]);
    b.node("Conv", &["image", &weights], &[]);
    assert!(quantizer(&b.model(&SHAPE, &["nowhere"])).is_err());
}

#[test]
fn constants_come_in_all_forms_and_are_checked() {
    let number = |name: &str, value: f32| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    };
    let with = |attribute: AttributeProto| {
        let mut b = Builder::new();
        let held = b.node("Constant", &[], &[]);
        b.nodes[0].attribute.push(attribute);
        let x = b.node("Add", &["image", &held], &[]);
        b.model(&SHAPE, &[&x])
    };
    let mut network = Network::read(&bytes(&with(number("value_float", 2.5))), Kernel::SCALAR).unwrap();
    network.input(0).fill(1.0);
    network.run().unwrap();
    assert_eq!(network.output(0)[5], 3.5);
    is_refused(&with(number("value_float", f32::NAN)), &["node_constant_0", "NaN"]);
    is_refused(&with(number("value_string", 0.0)), &["node_constant_0", "Constant"]);
}

/// Changes one thing that a file says.
fn mutate(model: &mut ModelProto, rng: &mut Rng) {
    const NUMBERS: [i64; 9] = [0, -1, 1, 2, 7, 1 << 20, 1 << 40, i64::MAX, i64::MIN];
    let graph = model.graph.as_mut().unwrap();
    let number = NUMBERS[rng.usize(..NUMBERS.len())];
    let node = rng.usize(..graph.node.len());
    let constant = rng.usize(..graph.initializer.len());
    let other = graph.node[rng.usize(..graph.node.len())].clone();
    let tensor = &mut graph.initializer[constant];
    let node = &mut graph.node[node];
    match rng.u8(..9) {
        0 => node.attribute.iter_mut().for_each(|attribute| attribute.i = number),
        1 => node.attribute.iter_mut().flat_map(|a| &mut a.ints).for_each(|value| *value = number),
        2 => node.op_type = other.op_type,
        3 => node.input.clone_from(&other.input),
        4 => node.input.truncate(1),
        5 => tensor.dims.iter_mut().for_each(|length| *length = number),
        6 => tensor.raw_data.iter_mut().for_each(|byte| *byte = number as u8),
        7 => tensor.data_type = rng.i32(0..20),
        _ => drop(node.output.pop()),
    }
}

#[test]
fn damaged_files_are_errors_or_run() {
    let mut rng = Rng::with_seed(1);
    let whole = every_layer(false);
    let mut ran = 0;
    for round in 0..600 {
        let mut model = whole.clone();
        (0..rng.usize(1..3)).for_each(|_| mutate(&mut model, &mut rng));
        let mut file = bytes(&model);
        if round % 3 == 0 {
            file = bytes(&whole);
            (0..rng.usize(1..4)).for_each(|_| {
                let place = rng.usize(..file.len());
                file[place] ^= 1 << rng.u8(..8);
            });
        }
        if let Ok(mut network) = Network::read(&file, Kernel::best()) {
            ran += usize::from(network.run().is_ok());
        }
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(ran > 30 && largest < TOO_MUCH, "{ran} ran, {largest} bytes at once");
}
