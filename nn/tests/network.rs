//! Whole networks: what runs on bytes, how close it comes to floats, and what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

mod common;

use common::{Builder, OUTPUT_SCALE, SCALE, SIDE, bytes, every_image_layer, every_layer, image, in_floats};
use kestrel_nn::kernels::Kernel;
use kestrel_nn::plan::Op;
use kestrel_nn::{Arena, Network, NnError};
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_proto::DataType;

const SHAPE: [usize; 4] = [1, 3, SIDE as usize, SIDE as usize];

fn run(model: &ModelProto, kernel: Kernel) -> Network {
    let mut network = Network::read(&bytes(model), kernel).unwrap();
    network.input(0).copy_from_slice(&image());
    network.run().unwrap();
    network
}

fn refusal(model: &ModelProto) -> String {
    Network::read(&bytes(model), Kernel::SCALAR).unwrap_err().to_string()
}

#[test]
fn every_layer_runs_on_bytes_and_within_a_step_of_floats() {
    for signed in [false, true] {
        let model = every_layer(signed);
        let expected = in_floats(&model, &SHAPE, &image());
        for kernel in Kernel::available() {
            let network = run(&model, kernel);
            assert_eq!(network.plan().float_ops().collect::<Vec<_>>(), [""; 0], "{kernel}");
            assert_eq!(network.outputs().map(|port| port.shape.clone()).collect::<Vec<_>>()[0], [98, 13]);
            for (index, expected) in expected.iter().enumerate() {
                let found = network.output(index);
                assert_eq!(found.len(), expected.len());
                let off = found.iter().zip(expected).map(|(a, b)| ((a - b) / OUTPUT_SCALE).abs().round());
                assert!(off.clone().all(|steps| steps <= 1.0), "{kernel}: output {index}");
                let off = off.filter(|&steps| steps > 0.0).count();
                assert!(off * 100 <= found.len(), "{kernel}: {off} of {}", found.len());
            }
            assert!(expected[0].iter().any(|value| value.abs() > 1.0), "the network computes something");
        }
    }
}

#[test]
fn all_kernels_compute_the_same_bits() {
    let model = every_layer(false);
    let expected = run(&model, Kernel::SCALAR);
    for kernel in Kernel::available() {
        let network = run(&model, kernel);
        assert_eq!(network.output(0), expected.output(0), "{kernel}");
        assert_eq!(network.output(1), expected.output(1), "{kernel}");
    }
}

#[test]
fn tables_go_into_the_convolution_before_them() {
    let network = run(&every_layer(false), Kernel::best());
    assert!(!network.plan().steps.iter().any(|step| matches!(step.op, Op::Map { .. })));
    let has_table =
        |op: &Op| matches!(op, Op::Convolve { layer, .. } if layer.requantisation.table.is_some());
    assert_eq!(network.plan().steps.iter().filter(|step| has_table(&step.op)).count(), 1);
}

#[test]
fn steps_one_by_one_are_a_run() {
    let model = every_layer(false);
    let expected = run(&model, Kernel::best());
    let mut network = Network::read(&bytes(&model), Kernel::best()).unwrap();
    network.input(0).copy_from_slice(&image());
    let steps = network.steps().len();
    for index in 0..steps {
        network.step(index).unwrap();
    }
    assert_eq!(network.output(0), expected.output(0));
}

#[test]
fn steps_say_what_they_take() {
    let mut network = run(&every_layer(false), Kernel::best());
    let steps: Vec<_> = network.steps().collect();
    let count = |op: &str| steps.iter().filter(|step| step.op == op).count();
    assert_eq!([count("Conv"), count("Add"), count("Concat")], [4, 1, 1]);
    let pixels = 7 * 7;
    let multiply_adds: Vec<_> =
        steps.iter().map(|step| step.multiply_adds).filter(|&multiply_adds| multiply_adds > 0).collect();
    assert_eq!(multiply_adds, [pixels * 20 * 27, pixels * 20 * 9, pixels * 20 * 20, pixels * 20 * 6]);
    assert!(steps.iter().all(|step| !step.is_float && step.kernel == Kernel::best().name()));
    let sum = steps.iter().find(|step| step.op == "Add").unwrap();
    assert_eq!((sum.activation_bytes as u64, sum.parameter_bytes), (3 * pixels * 20, 0));
    assert_eq!(network.run_timed().unwrap().len(), network.steps().len());
}

#[test]
fn threads_do_not_change_a_bit() {
    let model = every_layer(false);
    let expected = run(&model, Kernel::best());
    for threads in [1, 2, 3, 5] {
        let network = Network::read(&bytes(&model), Kernel::best()).unwrap();
        let mut network = network.with_threads(threads).unwrap();
        network.input(0).copy_from_slice(&image());
        network.run().unwrap();
        assert_eq!(network.output(0), expected.output(0), "{threads} threads");
        assert_eq!(network.output(1), expected.output(1), "{threads} threads");
        assert_eq!(network.threads(), threads);
    }
}

#[test]
fn networks_that_take_turns_can_share_their_memory() {
    let (first, second) = (every_layer(false), every_image_layer());
    let alone = [&first, &second].map(|model| run(model, Kernel::best()));
    let arena = Arena::default();
    let mut sharing = [&first, &second]
        .map(|model| Network::read(&bytes(model), Kernel::best()).unwrap().with_arena(&arena));
    for _ in 0..2 {
        for (network, alone) in sharing.iter_mut().zip(&alone) {
            network.input(0).copy_from_slice(&image());
            network.run().unwrap();
            assert_eq!(network.output(0), alone.output(0));
            assert_eq!(network.output(1), alone.output(1));
        }
    }
    let larger = alone.iter().map(|network| network.plan().arena).max();
    assert_eq!(Some(arena.bytes()), larger, "as much as the larger one needs");
}

#[test]
fn layers_of_images_run_on_bytes_and_within_a_step_of_floats() {
    let model = every_image_layer();
    let expected = in_floats(&model, &SHAPE, &image());
    let scalar = run(&model, Kernel::SCALAR);
    for kernel in Kernel::available() {
        let network = run(&model, kernel);
        assert_eq!(network.plan().float_ops().collect::<Vec<_>>(), [""; 0], "{kernel}");
        // Means go through three roundings; sigmoids are a quarter as steep as their arguments.
        let steps = [OUTPUT_SCALE, OUTPUT_SCALE / 4.0, OUTPUT_SCALE, SCALE];
        for (index, step) in steps.into_iter().enumerate() {
            let (found, expected) = (network.output(index), &expected[index]);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= step * 1.001, "{kernel}: output {index} off by {worst}");
            assert!(
                expected.iter().any(|&value| (value - expected[0]).abs() > step),
                "it computes something"
            );
            assert_eq!(found, scalar.output(index), "{kernel}");
        }
    }
}

/// A 1x1 convolution to many channels and a depthwise one behind it, each of whose readers is an output where `is_shared`.
fn expansion(stride: i64, is_shared: bool) -> ModelProto {
    let mut b = Builder::new();
    let image = b.through_bytes("image", SCALE, 128);
    let wide = b.convolution(&image, [3, 801], 1, 1);
    let wide = b.node("Relu", &[&wide], &[]);
    let wide = b.through_bytes(&wide, SCALE, 3);
    let x = b.grouped(&wide, [801, 801], 3, stride, 801);
    let x = b.through_bytes(&x, OUTPUT_SCALE, 120);
    let outputs = [&*x, &*wide];
    b.model(&[1, 3, SIDE, SIDE], if is_shared { &outputs } else { &outputs[..1] })
}

#[test]
fn depthwise_convolutions_make_large_images_row_by_row_that_only_they_read() {
    for stride in [1, 2] {
        let (model, shared) = (expansion(stride, false), expansion(stride, true));
        let expected = run(&shared, Kernel::SCALAR);
        assert_eq!(expected.steps().filter(|step| step.op == "Conv").count(), 2, "two read the large one");
        for (kernel, threads) in Kernel::available().into_iter().flat_map(|kernel| [(kernel, 1), (kernel, 3)])
        {
            let network = Network::read(&bytes(&model), kernel).unwrap();
            let mut network = network.with_threads(threads).unwrap();
            network.input(0).copy_from_slice(&image());
            network.run().unwrap();
            assert_eq!(network.output(0), expected.output(0), "{kernel}, {threads} threads");
            let steps: Vec<_> = network.steps().filter(|step| step.op == "Conv").collect();
            assert!(steps.len() == 1 && steps[0].node.contains(" + "), "{steps:?}");
            assert!(network.plan().arena < expected.plan().arena * 2 / 3, "the large one takes no memory");
        }
    }
}

#[test]
fn parts_of_a_concatenation_are_written_in_place() {
    let network = run(&every_image_layer(), Kernel::best());
    let copied = network.plan().steps.iter().filter_map(|step| match &step.op {
        Op::Concatenate { parts, .. } => Some(parts.len()),
        _ => None,
    });
    assert_eq!(copied.collect::<Vec<_>>(), [1], "the skip connection has another reader");
}

#[test]
fn what_has_no_quantised_form_runs_in_float_and_is_named() {
    let mut b = Builder::new();
    let x = b.through_bytes("image", SCALE, 128);
    let x = b.convolution(&x, [3, 8], 3, 1);
    let x = b.through_bytes(&x, SCALE, 128);
    let x = b.node("Softmax", &[&x], &[("axis", &[1])]);
    let x = b.node("Exp", &[&x], &[]);
    let x = b.through_bytes(&x, SCALE, 128);
    let y = b.convolution(&x, [8, 5], 1, 1);
    let model = b.model(&[1, 3, SIDE, SIDE], &[&y]);
    let network = run(&model, Kernel::best());
    let names: Vec<_> = network.plan().float_ops().collect();
    let expected = ["softmax", "exp", "conv"];
    assert!(names.iter().zip(expected).all(|(name, expected)| name.contains(expected)), "{names:?}");
    let steps = network.steps().filter(|step| step.is_float);
    assert_eq!(steps.map(|step| step.op.to_owned()).collect::<Vec<_>>(), ["float nodes", "Conv"]);
    for (a, b) in network.output(0).iter().zip(&in_floats(&model, &SHAPE, &image())[0]) {
        assert!((a - b).abs() < 0.03, "{a} {b}");
    }
}

#[test]
fn plain_float_networks_run() {
    let mut b = Builder::new();
    let weights: Vec<_> = (0..3 * 4).map(|value| value as f32 / 12.0).collect();
    let weights = b.floats(&[4, 3, 1, 1], &weights);
    let x = b.node("Conv", &["image", &weights], &[]);
    let x = b.node("Relu", &[&x], &[]);
    let model = b.model(&[1, 3, SIDE, SIDE], &[&x]);
    let network = run(&model, Kernel::best());
    assert_eq!(network.plan().float_ops().count(), 2);
    for (a, b) in network.output(0).iter().zip(&in_floats(&model, &SHAPE, &image())[0]) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

/// A layer in floats with random weights of shape `dims`, and a bias.
fn float_layer(
    b: &mut Builder,
    op: &str,
    input: &str,
    dims: [i64; 4],
    attributes: &[(&str, &[i64])],
) -> String {
    let count: i64 = dims.iter().product();
    let mut rng = fastrand::Rng::with_seed(count as u64);
    let weights: Vec<_> = (0..count).map(|_| rng.f32() - 0.5).collect();
    let weights = b.floats(&dims, &weights);
    let filters = if op == "Conv" { dims[0] } else { dims[1] };
    let bias: Vec<_> = (0..filters).map(|filter| filter as f32 / 10.0 - 0.2).collect();
    let bias = b.floats(&[filters], &bias);
    b.node(op, &[input, &weights, &bias], attributes)
}

#[test]
fn convolutions_in_floats_run_on_our_own_kernel_where_they_can() {
    let mut b = Builder::new();
    let padded = |padding: &'static [i64; 4], strides: &'static [i64; 2]| {
        [("pads", &padding[..]), ("strides", &strides[..])]
    };
    let x = float_layer(&mut b, "Conv", "image", [9, 3, 7, 7], &padded(&[3; 4], &[2, 2]));
    let x = b.node("Relu", &[&x], &[]);
    let groups: [(&str, &[i64]); 3] = [("pads", &[1; 4]), ("strides", &[1, 1]), ("group", &[9])];
    let y = float_layer(&mut b, "Conv", &x, [9, 1, 3, 3], &groups);
    let [zero, six] = [0.0, 6.0].map(|value| b.floats(&[], &[value]));
    let y = b.node("Clip", &[&y, &zero, &six], &[]);
    let y = float_layer(&mut b, "Conv", &y, [9, 9, 1, 1], &[]);
    let sum = b.node("Add", &[&x, &y], &[]);
    let z = float_layer(&mut b, "ConvTranspose", &sum, [9, 5, 4, 4], &padded(&[1; 4], &[2, 2]));
    let z = b.node("Elu", &[&z], &[]);
    let odd: [(&str, &[i64]); 3] = [("pads", &[1; 4]), ("strides", &[2, 2]), ("output_padding", &[1, 1])];
    let w = float_layer(&mut b, "ConvTranspose", &sum, [9, 4, 3, 3], &odd);
    let lopsided = float_layer(&mut b, "Conv", &w, [2, 4, 3, 3], &padded(&[1, 1, 0, 0], &[1, 1]));
    let w = b.node("Sigmoid", &[&w], &[]);
    let strided = [("pads", &[1_i64; 4][..]), ("strides", &[2, 2]), ("group", &[5])];
    let v = float_layer(&mut b, "Conv", &z, [5, 1, 3, 3], &strided);
    let model = b.model(&[1, 3, SIDE, SIDE], &[&z, &w, &v, &lopsided]);
    let expected = in_floats(&model, &SHAPE, &image());
    for threads in [1, 3] {
        let mut network =
            Network::read(&bytes(&model), Kernel::best()).unwrap().with_threads(threads).unwrap();
        for _ in 0..2 {
            network.input(0).copy_from_slice(&image());
            network.run().unwrap();
        }
        let kernels: Vec<_> = network.steps().map(|step| format!("{} {}", step.kernel, step.op)).collect();
        assert_eq!(kernels.iter().filter(|step| *step == "f32 Conv").count(), 6, "{kernels:?}");
        assert_eq!(network.plan().float_ops().count(), 12, "all nodes run in float");
        for (index, expected) in expected.iter().enumerate() {
            let found = network.output(index);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let largest = expected.iter().map(|value| value.abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-5 * largest.max(1.0), "output {index}: {worst} of {largest}");
        }
    }
}

#[test]
fn broken_files_are_refused_wherever_they_end() {
    let whole = bytes(&every_layer(false));
    for length in (0..whole.len()).step_by(97) {
        // Some cuts leave a smaller file that is valid as such; none may panic.
        let _ = Network::read(&whole[..length], Kernel::SCALAR);
    }
    assert!(matches!(Network::read(&[], Kernel::SCALAR), Err(NnError::File { .. })));
    assert!(
        Network::open("missing.onnx".as_ref(), Kernel::SCALAR)
            .unwrap_err()
            .to_string()
            .contains("missing.onnx")
    );
}

#[test]
fn unknown_ops_are_named() {
    let mut b = Builder::new();
    let x = b.node("Teleport", &["image"], &[]);
    let error = refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x]));
    assert!(error.contains("node_teleport_0") && error.contains("Teleport"), "{error}");
}

#[test]
fn shapes_that_are_open_empty_or_huge_are_refused() {
    for shape in [[1, 3, -1, 8], [1, 3, 0, 8], [1, 3, 1 << 40, 1 << 40]] {
        let mut b = Builder::new();
        let x = b.through_bytes("image", SCALE, 0);
        let error = refusal(&b.model(&shape, &[&x]));
        assert!(error.contains("image"), "{error}");
    }
}

#[test]
fn constants_that_lie_are_refused() {
    let mut b = Builder::new();
    let short = b.constant(DataType::Int8, &[4, 3, 1, 1], vec![1; 11]);
    let x = b.node("Conv", &["image", &short], &[]);
    assert!(refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x])).contains("expected 12 values"));

    let mut b = Builder::new();
    let broken = b.floats(&[3], &[1.0, f32::NAN, 1.0]);
    let x = b.node("Add", &["image", &broken], &[]);
    assert!(refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x])).contains("NaN"));

    let mut b = Builder::new();
    let elsewhere = b.constant(DataType::Float, &[1 << 20, 1 << 20], Vec::new());
    let x = b.node("Add", &["image", &elsewhere], &[]);
    assert!(refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x])).contains(&elsewhere));
    let mut b = Builder::new();
    let elsewhere = b.constant(DataType::Float, &[3], Vec::new());
    b.constants[0].data_location = Some(1);
    let x = b.node("Add", &["image", &elsewhere], &[]);
    assert!(refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x])).contains("another file"));
}

#[test]
fn inputs_that_nothing_makes_are_refused() {
    let mut b = Builder::new();
    let x = b.node("Relu", &["nowhere"], &[]);
    let error = refusal(&b.model(&[1, 3, SIDE, SIDE], &[&x]));
    assert!(error.contains("nowhere") && error.contains("Relu"), "{error}");
}
