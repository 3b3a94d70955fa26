//! Networks described, written and run by the engine.

use super::*;
use crate::Network;
use crate::kernels::Kernel;
use crate::preprocess::Preprocessing;

/// A network with every kind of layer.
pub(crate) fn of_all_kinds() -> Architecture {
    let mut network = Builder::new(3);
    let input = network.input();
    let stem =
        network.convolution_norm("stem", input, 8, Convolution::new(3, 2), Some(Activation::HardSwish));
    let deep = network.depthwise_norm("deep", stem, Convolution::new(5, 1), Activation::Relu6);
    let sum = network.add("sum", stem, deep);
    let mean = network.global_average_pool("mean", sum);
    let gate = network.convolution("gate", mean, 8, Convolution::new(1, 1).with_bias());
    let gate = network.activation("gate.act", gate, Activation::HardSigmoid);
    let gated = network.multiply("gated", sum, gate);
    let small = network.max_pool("small", gated);
    let small = network.activation("small.act", small, Activation::Elu);
    let up = network.upconvolution("up", small, 4, 3);
    let near = network.upsample_nearest("near", small);
    let both = network.concat("both", &[up, near]);
    let both = network.shuffle("both.shuffled", both, 3);
    let both = network.channels_of("both.part", both, 2, 8);
    let both = network.activation("both.act", both, Activation::Relu);
    let depth = network.convolution("depth", both, 1, Convolution::new(3, 1).with_bias());
    let depth = network.activation("depth.act", depth, Activation::Sigmoid);
    let wide = network.upconvolution("wide", small, 2, 5);
    let quarter = network.max_pool("quarter", small);
    let between = network.upsample_bilinear("between", quarter);
    let between = network.crop_like("between.crop", between, small);
    let twice = network.upsample_bilinear("twice", between);
    let rest = network.concat("rest", &[wide, twice]);
    network.finish(&[("depth", depth), ("features", gated), ("rest", rest)])
}

/// Weights that differ from each other, variances above zero.
pub(crate) fn some_weights(architecture: &Architecture) -> Weights {
    let mut random = fastrand::Rng::with_seed(7);
    let values = architecture.parameters().into_iter().map(|parameter| {
        let offset = if parameter.name.ends_with("variance") { 1.0 } else { 0.0 };
        let count = parameter.shape.iter().product();
        (parameter.name, (0..count).map(|_| offset + random.f32() - 0.5).collect())
    });
    Weights { values: values.collect() }
}

#[test]
fn a_described_network_runs() {
    let architecture = of_all_kinds();
    let file = architecture
        .to_onnx(&some_weights(&architecture), [8, 12], &Preprocessing::default().metadata())
        .unwrap();
    let mut network = Network::read(&file, Kernel::best()).unwrap();
    let shapes: Vec<_> = network.outputs().map(|port| (port.name.clone(), port.shape.clone())).collect();
    assert_eq!(
        shapes,
        [
            ("depth".into(), vec![1, 1, 4, 6]),
            ("features".into(), vec![1, 8, 4, 6]),
            ("rest".into(), vec![1, 10, 4, 6])
        ]
    );
    network.input(0).fill(0.5);
    network.run().unwrap();
    assert!(network.output(0).iter().all(|depth| (0.0..=1.0).contains(depth)));
    assert_eq!(
        crate::parameters(&file).unwrap(),
        architecture.parameter_count() as u64 + 2 + 3 * 4,
        "with the bounds of Clip and the scales of Resize"
    );
}

#[test]
fn sizes_and_work_are_counted() {
    let architecture = of_all_kinds();
    let sizes = architecture.sizes([9, 12]);
    let size = |name: &str| sizes[architecture.layers().iter().position(|l| l.name == name).unwrap()];
    assert_eq!([size("stem.act"), size("mean"), size("small")], [[5, 6], [1, 1], [3, 3]]);
    let mut one = Builder::new(3);
    let x = one.input();
    let x = one.convolution("a", x, 5, Convolution::new(3, 2));
    let one = one.finish(&[("a", x)]);
    assert_eq!(one.multiply_adds([8, 8]), 4 * 4 * 5 * 3 * 9);
}

#[test]
fn weights_of_another_network_are_refused() {
    let architecture = of_all_kinds();
    let right = some_weights(&architecture);
    let mut missing = right.clone();
    missing.values.remove("up.bias");
    let mut short = right.clone();
    short.values.insert("up.bias".into(), vec![0.0; 3]);
    let mut broken = right;
    broken.values.insert("up.bias".into(), vec![f32::NAN; 4]);
    let problem = |weights| architecture.to_onnx(&weights, [8, 8], &[]).unwrap_err().to_string();
    assert_eq!(problem(missing), "expected weights `up.bias`, found none");
    assert_eq!(problem(short), "expected 4 values in weights `up.bias`, found 3");
    assert!(problem(broken).contains("found 4 values that are none in `up.bias`"));
}
