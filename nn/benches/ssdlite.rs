//! The convolutions of SSDLite-MobileNetV2 on a 320x320 image, on one thread, kernel by kernel:
//! `cargo bench -p kestrel-nn --bench ssdlite`. Times are CPU times, elements are
//! multiplications.

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use kestrel_nn::NnError;
use kestrel_nn::kernels::{
    Convolution, ConvolutionSpec, Depthwise, DepthwiseSpec, ImageShape, Kernel, Output, Requantisation,
    Window, Word,
};

/// Expansion, channels, blocks and stride of MobileNetV2's stages.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Middle and outgoing channels of the layers that SSD adds, each of stride two.
const EXTRAS: [[usize; 2]; 4] = [[256, 512], [128, 256], [128, 256], [64, 128]];

/// Channels of the heads: six anchors' boxes and 21 classes.
const HEADS: [usize; 2] = [24, 126];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    First,
    Pointwise,
    Depthwise,
}

/// Kind, input, stride and output channels of a layer.
type Shape = (Kind, ImageShape, usize, usize);

fn shapes() -> Vec<Shape> {
    let mut network =
        Network { shapes: Vec::new(), image: ImageShape { height: 320, width: 320, channels: 3 } };
    network.push(Kind::First, 2, 32);
    let mut taps = Vec::new();
    for (stage, [expansion, channels, blocks, stride]) in STAGES.into_iter().enumerate() {
        for block in 0..blocks {
            if expansion > 1 {
                network.push(Kind::Pointwise, 1, network.image.channels * expansion);
            }
            if stage == 5 && block == 0 {
                taps.push(network.image);
            }
            network.push(Kind::Depthwise, if block == 0 { stride } else { 1 }, network.image.channels);
            network.push(Kind::Pointwise, 1, channels);
        }
    }
    network.push(Kind::Pointwise, 1, 1280);
    taps.push(network.image);
    for [middle, channels] in EXTRAS {
        network.push(Kind::Pointwise, 1, middle);
        network.push(Kind::Depthwise, 2, middle);
        network.push(Kind::Pointwise, 1, channels);
        taps.push(network.image);
    }
    for (tap, head) in taps.into_iter().flat_map(|tap| HEADS.map(|head| (tap, head))) {
        network.image = tap;
        network.push(Kind::Depthwise, 1, tap.channels);
        network.push(Kind::Pointwise, 1, head);
    }
    network.shapes
}

struct Network {
    shapes: Vec<Shape>,
    image: ImageShape,
}

impl Network {
    fn push(&mut self, kind: Kind, stride: usize, channels: usize) {
        self.shapes.push((kind, self.image, stride, channels));
        let [height, width] = [self.image.height, self.image.width].map(|side| side.div_ceil(stride));
        self.image = ImageShape { height, width, channels };
    }
}

enum Packed {
    Dense(Convolution),
    Depthwise(Depthwise),
}

/// A layer with random parameters and its input and output.
struct Layer {
    kind: Kind,
    packed: Packed,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Layer {
    fn new(kernel: Kernel, (kind, input, stride, channels): Shape, rng: &mut Rng) -> Result<Self, NnError> {
        let window = Window::square(if kind == Kind::Pointwise { 1 } else { 3 }, stride);
        let patch =
            window.size[0] * window.size[1] * if kind == Kind::Depthwise { 1 } else { input.channels };
        let weights: Vec<_> = (0..patch * channels).map(|_| rng.i8(-127..)).collect();
        let bias: Vec<_> = (0..channels).map(|_| rng.i32(-9999..9999)).collect();
        let requantisation = &Requantisation::linear(vec![0.001; channels], 0);
        let (weights, bias, input_zero_point) = (&weights[..], &bias[..], 0);
        let packed = if kind == Kind::Depthwise {
            let spec = DepthwiseSpec { input, input_zero_point, window, weights, bias, requantisation };
            Packed::Depthwise(Depthwise::new(kernel, &spec)?)
        } else {
            let output_channels = channels;
            let spec = ConvolutionSpec {
                input,
                input_zero_point,
                window,
                output_channels,
                weights,
                bias,
                requantisation,
            };
            Packed::Dense(Convolution::new(kernel, &spec)?)
        };
        let output = vec![0; packed.output().len()];
        Ok(Self { kind, packed, input: (0..input.len()).map(|_| rng.u8(..)).collect(), output })
    }

    fn run(&mut self, scratch: &mut [Word]) -> Result<(), NnError> {
        let output = Output::whole(&mut self.output, self.packed.output());
        match &self.packed {
            Packed::Dense(layer) => layer.run(&self.input, output, scratch),
            Packed::Depthwise(layer) => layer.run(&self.input, output, scratch),
        }
    }
}

impl Packed {
    fn output(&self) -> ImageShape {
        match self {
            Self::Dense(layer) => layer.output(),
            Self::Depthwise(layer) => layer.output(),
        }
    }

    fn multiplications(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.multiplications(),
            Self::Depthwise(layer) => layer.multiplications(),
        }
    }

    fn scratch_words(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.scratch_words(),
            Self::Depthwise(layer) => layer.scratch_words(),
        }
    }
}

fn convolutions(criterion: &mut Criterion<CpuTime>) {
    for kernel in Kernel::available().into_iter().rev() {
        let mut rng = Rng::with_seed(1);
        let layers: Result<Vec<_>, _> =
            shapes().into_iter().map(|shape| Layer::new(kernel, shape, &mut rng)).collect();
        // The shapes are valid.
        let Ok(mut layers) = layers else { continue };
        let scratch = layers.iter().map(|layer| layer.packed.scratch_words()).max();
        let mut scratch = vec![Word::default(); scratch.unwrap_or_default()];
        let mut group = criterion.benchmark_group(format!("SSDLite-MobileNetV2 320/{kernel}"));
        group.sample_size(20);
        let kinds: [(_, &[Kind]); 4] = [
            ("3x3", &[Kind::First]),
            ("1x1", &[Kind::Pointwise]),
            ("depthwise", &[Kind::Depthwise]),
            ("all", &[Kind::First, Kind::Pointwise, Kind::Depthwise]),
        ];
        for (name, kinds) in kinds {
            let mut layers: Vec<_> = layers.iter_mut().filter(|layer| kinds.contains(&layer.kind)).collect();
            let multiplications: usize = layers.iter().map(|layer| layer.packed.multiplications()).sum();
            group.throughput(Throughput::Elements(multiplications as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    for layer in &mut layers {
                        // Sizes were checked when the layer was made.
                        black_box(layer.run(&mut scratch).is_ok());
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = convolutions
}
criterion_main!(benches);
