//! A step of training on this processor, forward and backward:
//! `cargo bench -p kestrel-nn --features train --bench training`. Times are CPU times of a batch of four images, elements are
//! multiplications.
//!
//! First the convolutions of SfMLearner's DispNet (Zhou et al., CVPR 2017) and of a light decoder, each with ReLU behind it,
//! as they learn here and by burn's own operations; then whole networks. `bench/training` has PyTorch's side.

mod cpu_time;

use std::hint::black_box;
use std::sync::Arc;

use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use kestrel_nn::architecture::{Activation, Architecture, Builder, Convolution, Value, Weights};
use kestrel_nn::train::TrainableNetwork;

const BATCH: usize = 4;
/// Height and width of images.
const SIZE: [usize; 2] = [128, 416];

/// Channels that are read and made, kernel, stride, height and width of the input.
const CONVOLUTIONS: [[usize; 6]; 15] = [
    [3, 32, 7, 2, 128, 416],
    [32, 32, 7, 1, 64, 208],
    [32, 64, 5, 2, 64, 208],
    [64, 64, 5, 1, 32, 104],
    [64, 128, 3, 2, 32, 104],
    [128, 128, 3, 1, 16, 52],
    [256, 256, 3, 1, 8, 26],
    [512, 512, 3, 1, 4, 13],
    [512, 512, 3, 1, 1, 4],
    [129, 64, 3, 1, 32, 104],
    [65, 32, 3, 1, 64, 208],
    [17, 16, 3, 1, 128, 416],
    [16, 1, 3, 1, 128, 416],
    [96, 32, 3, 1, 64, 208],
    [32, 16, 3, 1, 128, 416],
];

/// Channels and kernels of DispNet's way down. The last two of its seven steps make 7x2 and 4x1 pixels, whose way up has
/// to be cut; they are left out.
const DOWN: [[usize; 2]; 5] = [[32, 7], [64, 5], [128, 3], [256, 3], [512, 3]];
/// Channels of its way up.
const UP: [usize; 5] = [256, 128, 64, 32, 16];

fn disp_net() -> Architecture {
    let mut network = Builder::new(3);
    let mut x = network.input();
    let mut skips: Vec<Value> = Vec::new();
    let convolution = |network: &mut Builder, name: &str, x, channels, kernel, stride| {
        let x = network.convolution(name, x, channels, Convolution::new(kernel, stride).with_bias());
        network.activation(&format!("{name}.act"), x, Activation::Relu)
    };
    for (level, [channels, kernel]) in DOWN.into_iter().enumerate() {
        x = convolution(&mut network, &format!("down{level}.0"), x, channels, kernel, 2);
        x = convolution(&mut network, &format!("down{level}.1"), x, channels, kernel, 1);
        skips.push(x);
    }
    skips.pop();
    let mut disparities: Vec<Value> = Vec::new();
    for (level, channels) in UP.into_iter().enumerate() {
        let up = network.upconvolution(&format!("up{level}"), x, channels, 3);
        let mut parts = vec![network.activation(&format!("up{level}.act"), up, Activation::Relu)];
        parts.extend(skips.pop());
        if let Some(&coarser) = disparities.last() {
            parts.push(network.upsample_nearest(&format!("up{level}.disparity"), coarser));
        }
        let parts = network.concat(&format!("up{level}.parts"), &parts);
        x = convolution(&mut network, &format!("merge{level}"), parts, channels, 3, 1);
        if level > 0 {
            let disparity =
                network.convolution(&format!("disparity{level}"), x, 1, Convolution::new(3, 1).with_bias());
            let name = format!("disparity{level}.act");
            disparities.push(network.activation(&name, disparity, Activation::Sigmoid));
        }
    }
    finished(network, &disparities)
}

/// Channels of a light encoder and of its decoder (Godard et al., Monodepth2, ICCV 2019, appendix, in a quarter of the width).
const LIGHT_DOWN: [usize; 5] = [16, 32, 64, 96, 128];
const LIGHT_UP: [usize; 5] = [128, 64, 32, 32, 16];

fn light() -> Architecture {
    let mut network = Builder::new(3);
    let mut x = network.input();
    let mut skips: Vec<Value> = Vec::new();
    for (level, channels) in LIGHT_DOWN.into_iter().enumerate() {
        let relu = Some(Activation::Relu);
        x = network.convolution_norm(&format!("down{level}.0"), x, channels, Convolution::new(3, 2), relu);
        x = network.convolution_norm(&format!("down{level}.1"), x, channels, Convolution::new(3, 1), relu);
        skips.push(x);
    }
    skips.pop();
    let mut disparities: Vec<Value> = Vec::new();
    for (level, channels) in LIGHT_UP.into_iter().enumerate() {
        let convolution = |network: &mut Builder, name: &str, x, channels, function| {
            let x = network.convolution(name, x, channels, Convolution::new(3, 1).with_bias());
            network.activation(&format!("{name}.act"), x, function)
        };
        x = convolution(&mut network, &format!("up{level}.0"), x, channels, Activation::Elu);
        let mut parts = vec![network.upsample_nearest(&format!("up{level}"), x)];
        parts.extend(skips.pop());
        x = network.concat(&format!("up{level}.parts"), &parts);
        x = convolution(&mut network, &format!("up{level}.1"), x, channels, Activation::Elu);
        if level > 0 {
            let name = format!("disparity{level}");
            disparities.push(convolution(&mut network, &name, x, 1, Activation::Sigmoid));
        }
    }
    finished(network, &disparities)
}

fn finished(network: Builder, disparities: &[Value]) -> Architecture {
    let named: Vec<(String, Value)> =
        disparities.iter().enumerate().map(|(index, &value)| (format!("disparity{index}"), value)).collect();
    let outputs: Vec<(&str, Value)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    network.finish(&outputs)
}

fn one_layer([read, made, kernel, stride, ..]: [usize; 6]) -> Architecture {
    let mut network = Builder::new(read);
    let x = network.input();
    let x = network.convolution("one", x, made, Convolution::new(kernel, stride).with_bias());
    let x = network.activation("one.act", x, Activation::Relu);
    network.finish(&[("one", x)])
}

/// As He et al. begin (ICCV 2015), so that values keep their size from layer to layer.
fn weights(of: &Architecture) -> Weights {
    let mut random = Rng::with_seed(1);
    let values = of.parameters().into_iter().map(|parameter| {
        let count: usize = parameter.shape.iter().product();
        let is_filter = parameter.shape.len() == 4;
        let width = (6.0 / parameter.shape.iter().skip(1).product::<usize>() as f32).sqrt();
        let is_one = parameter.name.ends_with("gamma") || parameter.name.ends_with("variance");
        let mut value = || match (is_filter, is_one) {
            (true, _) => (random.f32() * 2.0 - 1.0) * width,
            (_, true) => 1.0,
            _ => 0.0,
        };
        (parameter.name, (0..count).map(|_| value()).collect())
    });
    Weights { values: values.collect() }
}

fn images(channels: usize, [height, width]: [usize; 2], device: &Device) -> Tensor<4> {
    Tensor::random([BATCH, channels, height, width], Distribution::Uniform(0.0, 1.0), device)
}

fn back(outputs: Vec<Tensor<4>>) {
    let losses = outputs.into_iter().map(Tensor::mean);
    if let Some(loss) = losses.reduce(|all, one| all + one) {
        black_box(loss.backward());
    }
}

fn convolutions(criterion: &mut Criterion<CpuTime>) {
    let device = Device::flex().autodiff();
    for shape in CONVOLUTIONS {
        let [read, made, kernel, stride, height, width] = shape;
        let architecture = Arc::new(one_layer(shape));
        let size = [height, width];
        let work = BATCH * architecture.multiply_adds(size) * 3;
        let mut group = criterion
            .benchmark_group(format!("{read} to {made}, {kernel}x{kernel} by {stride}, {width}x{height}"));
        group.sample_size(10).throughput(Throughput::Elements(work as u64));
        let input = images(read, size, &device).require_grad();
        let network = TrainableNetwork::new(Arc::clone(&architecture), &weights(&architecture), &device);
        // The weights are of the shape that they are asked for in.
        let Ok(mut network) = network else { continue };
        group.bench_function("fused", |bencher| bencher.iter(|| back(network.forward(input.clone()))));
        let filter = Tensor::<4>::zeros([made, read, kernel, kernel], &device).require_grad();
        let bias = Tensor::<1>::zeros([made], &device).require_grad();
        group.bench_function("burn", |bencher| {
            bencher.iter(|| {
                let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
                let output = conv2d(input.clone(), filter.clone(), Some(bias.clone()), options);
                back(vec![relu(output)]);
            });
        });
        group.finish();
    }
}

fn networks(criterion: &mut Criterion<CpuTime>) {
    let device = Device::flex().autodiff();
    let mut group = criterion.benchmark_group("networks 416x128");
    group.sample_size(10);
    for (name, architecture) in [("DispNet", disp_net()), ("light", light())] {
        let architecture = Arc::new(architecture);
        let work = BATCH * architecture.multiply_adds(SIZE) * 3;
        group.throughput(Throughput::Elements(work as u64));
        let network = TrainableNetwork::new(Arc::clone(&architecture), &weights(&architecture), &device);
        let Ok(mut network) = network else { continue };
        let input = images(3, SIZE, &device);
        group.bench_function(name, |bencher| bencher.iter(|| back(network.forward(input.clone()))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = networks, convolutions
}
criterion_main!(benches);
