//! That a training computes what the papers say: terms of losses, and the losses of the first steps, are those of PyTorch, where
//! `bench/training/faithfulness.py` has them from the papers' equations, for the same networks, weights and images by the
//! same formulas.

use std::ops::RangeInclusive;

use nn::architecture::{Activation, Builder, Convolution, Value};

use super::*;
use crate::networks::{LightDepth, LightPose, PoseExpNet};

const BATCH: usize = 2;
/// Height and width of images that networks see, and of those with predictions by formula.
const SIZE: [usize; 2] = [64, 96];
const SMALL: [usize; 2] = [32, 48];
const CAMERAS: [f32; BATCH * 4] = [70.0, 72.0, 47.0, 31.0, 60.0, 61.5, 48.5, 32.25];
const STEPS: usize = 6;
const LEARNING_RATE: f64 = 1e-3;

/// What `faithfulness.py` prints for a recipe.
struct Stored {
    /// Photometric, smoothness, consistency and explainability of predictions by formula.
    terms: [f64; 4],
    /// Before each step of a training.
    losses: [f64; STEPS],
}

fn config(recipe: Recipe) -> TrainConfig {
    TrainConfig {
        depth: DepthArchitecture::Light(LightDepth { width: 1.0 }),
        pose: PoseArchitecture::Light(LightPose),
        size: SIZE,
        batch: BATCH,
        steps: STEPS,
        learning_rate: LEARNING_RATE,
        warm_up: 0,
        average_decay: 0.0,
        seed: 0,
        augmentation: Augmentation::default(),
        recipe,
        inverse_depths: [0.05, 5.0],
        pose_unit: 0.01,
        learns_focal: false,
    }
}

const RELU6: Option<Activation> = Some(Activation::Relu6);

/// Three halvings, and a way back up behind nearest upsampling that adds what was seen; logits at four scales. Networks
/// that fly are too deep for this: normalising by a batch of two images, they make so much of a rounding that PyTorch in 32
/// bits is far from PyTorch in 64 bits after six steps.
fn depth() -> Architecture {
    let mut network = Builder::new(3);
    let [point, head] = [Convolution::new(1, 1), Convolution::new(1, 1).with_bias()];
    let half = network.convolution_norm("first", network.input(), 8, Convolution::new(3, 2), RELU6);
    let quarter = halved_apart(&mut network, half);
    let mut x = network.convolution_norm("last", quarter, 24, Convolution::new(3, 2), RELU6);
    let mut logits = vec![network.convolution("logits3", x, 1, head)];
    for (scale, made, skip) in [(2, 16, Some(quarter)), (1, 12, Some(half)), (0, 8, None)] {
        let name = |part: &str| format!("{part}{scale}");
        x = network.convolution_norm(&name("narrow"), x, made, point, RELU6);
        x = network.upsample_nearest(&name("above"), x);
        if let Some(skip) = skip {
            let skip = network.convolution_norm(&name("lateral"), skip, made, point, None);
            x = network.add(&name("sum"), x, skip);
        }
        x = network.convolution_norm(&name("mix"), x, made, Convolution::new(3, 1), RELU6);
        logits.push(network.convolution(&name("logits"), x, 1, head));
    }
    let outputs: Vec<_> = logits.into_iter().rev().map(|value| ("logits", value)).collect();
    network.finish(&outputs)
}

/// Two halvings of two images; the motion is the mean over all places.
fn pose() -> Architecture {
    let mut network = Builder::new(6);
    let half = network.convolution_norm("first", network.input(), 8, Convolution::new(3, 2), RELU6);
    let quarter = halved_apart(&mut network, half);
    let head = Convolution::new(1, 1).with_bias();
    let outputs = ["translation", "rotation"].map(|name| (name, network.convolution(name, quarter, 3, head)));
    network.finish(&outputs)
}

/// Three halvings of the middle image, the one before and the one after; motions to both, and masks at four scales.
fn pose_explained() -> Architecture {
    let mut network = Builder::new(9);
    let half = network.convolution_norm("first", network.input(), 8, Convolution::new(3, 2), RELU6);
    let quarter = halved_apart(&mut network, half);
    let mut x = network.convolution_norm("last", quarter, 24, Convolution::new(3, 2), RELU6);
    let head = |kernel| Convolution::new(kernel, 1).with_bias();
    let motions = network.convolution("motions", x, 12, head(1));
    let mut masks = vec![network.convolution("masks3", x, 4, head(3))];
    for (scale, made, kernel) in [(2, 16, 3), (1, 12, 5), (0, 8, 7)] {
        x = network.upconvolution(&format!("up{scale}"), x, made, kernel);
        x = network.activation(&format!("up{scale}.act"), x, Activation::Relu);
        masks.push(network.convolution(&format!("masks{scale}"), x, 4, head(kernel)));
    }
    let masks = masks.into_iter().rev().map(|mask| ("masks", mask));
    network.finish(&std::iter::once(("motions", motions)).chain(masks).collect::<Vec<_>>())
}

/// Half the size, by a separable convolution to 16 channels.
fn halved_apart(network: &mut Builder, x: Value) -> Value {
    let x = network.depthwise_norm("look", x, Convolution::new(3, 2), Activation::Relu6);
    network.convolution_norm("mix", x, 16, Convolution::new(1, 1), RELU6)
}

/// Numbers between -1 and 1, without order, one for each index.
fn scattered(index: u32) -> f64 {
    let mixed = [0x9E37_79B1_u32, 0x85EB_CA6B].into_iter().fold(index, |x, factor| {
        let x = x.wrapping_mul(factor);
        x ^ (x >> 15)
    });
    f64::from(mixed) / f64::from(1_u32 << 31) - 1.0
}

/// Filters by He's deviation for what they read, gammas around 1, betas and biases around 0.
fn weights(architecture: &Architecture, indices: &mut RangeInclusive<u32>) -> Weights {
    let values = architecture.parameters().into_iter().map(|parameter| {
        let count = parameter.shape.iter().product();
        let (level, deviation) = match *parameter.shape {
            [_, read, height, width] => (0.0, (6.0 / (read * height * width) as f64).sqrt()),
            _ if parameter.name.ends_with("gamma") => (1.0, 0.1),
            _ => (0.0, 0.1),
        };
        let values = match &parameter.name {
            // What follows the batches and is not learnt.
            name if name.ends_with("mean") || name.ends_with("variance") => vec![0.0; count],
            _ => indices.take(count).map(|index| (level + deviation * scattered(index)) as f32).collect(),
        };
        (parameter.name, values)
    });
    Weights { values: values.collect() }
}

/// A value for each place of `[BATCH, channels, height, width]`, whose coordinates `of` is given in this order.
fn each_place(channels: usize, [height, width]: [usize; 2], of: impl Fn([f64; 4]) -> f64) -> Vec<f32> {
    let value = |index: usize| {
        let (row, x) = (index / width, index % width);
        let (plane, y) = (row / height, row % height);
        of([plane / channels, plane % channels, y, x].map(|place| place as f64)) as f32
    };
    (0..BATCH * channels * height * width).map(value).collect()
}

/// A plane of waves that passes by, a little faster in its lower half, with channels of its own: between 0 and 1.
fn images(time: usize, size: [usize; 2]) -> Vec<f32> {
    each_place(3, size, |[n, c, y, x]| {
        let x = x + (0.8 + 0.01 * y) * time as f64 + 5.0 * n;
        let slow = 0.18 * (0.05 * x * (1.0 + 0.2 * c) - 0.23 * y + 2.0 * n).sin();
        0.5 + 0.22 * (0.31 * x + 0.17 * y + c).sin() + slow + 0.06 * (0.9 * x + 0.7 * y).sin()
    })
}

/// Hills and valleys of inverse depth, each scale by itself, the finest first.
fn inverse_depths(target: usize, device: &Device) -> Vec<Tensor<4>> {
    let of_scale = |scale: usize| {
        let [height, width] = SMALL.map(|size| size >> scale);
        let values = each_place(1, [height, width], |[n, _, y, x]| {
            let [x, y] = [x, y].map(|place| place * f64::from(1 << scale));
            let hills = 0.2 * (0.11 * x + 0.07 * y + n + 0.3 * target as f64).sin();
            0.6 + hills + 0.1 * (0.19 * y - 0.05 * x + scale as f64).sin()
        });
        Tensor::from_data(TensorData::new(values, [BATCH, 1, height, width]), device)
    };
    (0..4).map(of_scale).collect()
}

/// The motions from each image to the next.
fn motions(device: &Device) -> [Tensor<2>; 2] {
    [1.0_f32, -1.0].map(|sign| {
        let rotations = [[0.002, -0.005 * sign, 0.003], [-0.004, 0.003, 0.001 * sign]];
        let translations = [[-0.03 * sign, 0.01, -0.05], [-0.02, 0.005 * sign, 0.04]];
        let [rotation, translation] = [rotations, translations]
            .map(|of| -> Tensor<2> { Tensor::from_data(TensorData::new(of.concat(), [BATCH, 3]), device) });
        rigid::from_axis_angle(&rotation, &translation)
    })
}

/// Logits of what is explained, each scale by itself, the finest first.
fn masks(device: &Device) -> Vec<[Tensor<4>; 2]> {
    let of_scale = |scale: usize| {
        let [height, width] = SMALL.map(|size| size >> scale);
        let values = each_place(4, [height, width], |[n, c, y, x]| {
            1.5 * (0.21 * x - 0.13 * y + 2.0 * c + n + scale as f64).sin()
        });
        let all: Tensor<4> = Tensor::from_data(TensorData::new(values, [BATCH, 4, height, width]), device);
        [0, 2].map(|first| all.clone().narrow(1, first, 2))
    };
    (0..4).map(of_scale).collect()
}

/// Of predictions by formula.
fn terms(recipe: &Recipe) -> [f64; 4] {
    let device = nn::train::cpu();
    let [height, width] = SMALL;
    let image = |time: usize| -> Tensor<4> {
        Tensor::from_data(TensorData::new(images(time, SMALL), [BATCH, 3, height, width]), &device)
    };
    let camera = Tensor::from_data(TensorData::new(CAMERAS.to_vec(), [BATCH, 4]), &device);
    let snippets = Snippets { images: [0, 1, 2].map(image), camera, guide: None };
    let of_target =
        |target: usize| recipe.targets().contains(&target).then(|| inverse_depths(target, &device));
    let inverse_depths = [0, 1, 2].map(of_target);
    let predictions = Predictions { inverse_depths, motions: motions(&device), masks: masks(&device) };
    let Terms { photometric, smoothness, consistency, explainability, .. } =
        recipe.loss(&snippets, &predictions);
    [photometric, smoothness, consistency, explainability].map(|term| f64::from(term.into_scalar::<f32>()))
}

/// Before each step.
fn losses(recipe: Recipe) -> Vec<f64> {
    let has_masks = recipe.explainability_weight > 0.0;
    let (mut config, device) = (config(recipe), nn::train::cpu());
    let pose = match has_masks {
        true => {
            // What the networks of the configuration are is not asked, but what their inputs and outputs mean.
            config.pose = PoseArchitecture::PoseExpNet(PoseExpNet);
            pose_explained()
        }
        false => pose(),
    };
    let architectures = [depth(), pose].map(Arc::new);
    let mut indices = 1..=u32::MAX;
    let weights = architectures.each_ref().map(|architecture| weights(architecture, &mut indices));
    let mut networks = Networks::new(&architectures, &weights, &[0.0], &device).unwrap();
    let images = [0, 1, 2].map(|time| images(time, SIZE));
    let inputs = images.each_ref().map(|image| image.iter().map(|value| (value - 0.5) / 0.25).collect());
    let batch =
        Batch { images, inputs, cameras: CAMERAS.into(), clips: vec![0; BATCH], guide: Guide::default() };
    let mut optimizer = optimizer();
    let mut found = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let loss = networks.terms(&config, &batch, &device).sum();
        found.push(f64::from(loss.clone().into_scalar::<f32>()));
        let gradients = GradientsParams::from_grads(loss.backward(), &networks);
        networks = optimizer.step(LEARNING_RATE, networks, gradients);
    }
    found
}

fn assert_faithful(recipe: Recipe, stored: &Stored) {
    // What 32 bits round off a mean over all pixels, and what six steps of Adam make of that; small terms are held to a
    // share of themselves as well.
    let off = |found: f64, wanted: f64, absolute: f64, share: f64| {
        let off = (found - wanted).abs();
        off > absolute || off > share * wanted
    };
    for (found, wanted) in terms(&recipe).into_iter().zip(stored.terms) {
        assert!(!off(found, wanted, 1e-6, 1e-5), "a term is {found}, PyTorch's {wanted}");
    }
    for (step, (found, wanted)) in losses(recipe).into_iter().zip(stored.losses).enumerate() {
        assert!(!off(found, wanted, 1e-5, 1e-4), "step {step}: {found}, PyTorch's {wanted}");
    }
}

#[test]
fn sfmlearner_is_that_of_pytorch() {
    let stored = Stored {
        terms: [0.075_028_716_4, 0.002_626_845_88, 0.0, 0.0],
        losses: [0.211_326_557, 0.200_330_526, 0.189_954_184, 0.180_319_863, 0.171_816_597, 0.164_201_823],
    };
    assert_faithful(Recipe::sfmlearner(), &stored);
}

#[test]
fn masks_of_what_is_explained_are_those_of_pytorch() {
    let stored = Stored {
        terms: [0.033_118_114_5, 0.002_626_845_88, 0.0, 0.120_472_176],
        losses: [0.302_186_444, 0.285_858_373, 0.270_575_65, 0.256_444_722, 0.243_742_674, 0.232_198_827],
    };
    assert_faithful(Recipe { explainability_weight: 0.1, ..Recipe::sfmlearner() }, &stored);
}

#[test]
fn monodepth2_is_that_of_pytorch() {
    let stored = Stored {
        terms: [0.052_862_322_5, 4.251_651_35e-5, 0.0, 0.0],
        losses: [
            0.024_945_734,
            0.022_232_160_5,
            0.019_812_969_8,
            0.017_698_427_7,
            0.015_935_318,
            0.014_461_954_2,
        ],
    };
    assert_faithful(Recipe::monodepth2(), &stored);
}

#[test]
fn sc_is_that_of_pytorch() {
    let stored = Stored {
        terms: [0.153_558_469, 0.004_640_891_59, 0.019_582_079_6, 0.0],
        losses: [0.153_837_119, 0.143_070_429, 0.133_396_759, 0.124_850_396, 0.117_201_206, 0.110_265_186],
    };
    assert_faithful(Recipe::sc(), &stored);
}

#[test]
fn flows_there_and_back_are_those_of_pytorch() {
    let stored = Stored {
        terms: [0.153_558_469, 0.004_640_891_59, 0.021_279_249_6, 0.0],
        losses: [0.156_832_314, 0.145_941_695, 0.136_182_661, 0.127_565_222, 0.119_856_811, 0.112_877_698],
    };
    assert_faithful(Recipe { forward_backward_weight: 0.05, ..Recipe::sc() }, &stored);
}
