//! Described networks that learn.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::module::{Module, Param, ParamId};
use burn::tensor::module::{adaptive_avg_pool2d, conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};

use super::fused::{self, Form};
use super::plain::activate;
use crate::architecture::{
    Activation, Architecture, BATCH_NORM_EPSILON, Convolution, Layer, Op, Weights, WeightsError,
};

/// How much of the running mean and variance each batch replaces.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// A described network with weights on a device, for training; it runs by [`crate::Network`] once it is written as ONNX.
#[derive(Module, Debug)]
pub struct TrainableNetwork {
    /// Weights of convolutions.
    filters: Vec<Param<Tensor<4>>>,
    /// Biases, and what batch normalisation scales and shifts by.
    vectors: Vec<Param<Tensor<1>>>,
    /// Running means and variances: no gradient reaches them.
    #[module(skip)]
    running: Vec<Tensor<1>>,
    #[module(skip)]
    architecture: Arc<Architecture>,
    /// Where the parameters of each layer are.
    #[module(skip)]
    slots: Arc<[Slots]>,
    /// Whether batch normalisation keeps to the running mean and variance.
    #[module(skip)]
    is_norm_frozen: bool,
    /// The normalisations that the next batch is to write anew, by layer.
    #[module(skip)]
    folded: Vec<bool>,
}

/// The first of a layer's parameters in each list.
#[derive(Clone, Copy, Debug)]
struct Slots {
    filters: usize,
    vectors: usize,
    running: usize,
    /// What a normalisation keeps its values within: it takes over the function that alone reads it, where it can.
    limits: [f32; 2],
    /// What a convolution takes over likewise.
    function: Option<Activation>,
    /// Whether the layer before has done the work of this one.
    is_done: bool,
}

impl TrainableNetwork {
    /// The network of `architecture` with `weights` on `device`; on one without gradients it only runs.
    ///
    /// # Errors
    /// [`WeightsError`] where the weights are not this network's.
    pub fn new(
        architecture: Arc<Architecture>,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let parameters = architecture.parameters();
        let mut network = Self {
            filters: Vec::new(),
            vectors: Vec::new(),
            running: Vec::new(),
            slots: slots(&architecture),
            is_norm_frozen: false,
            folded: vec![false; architecture.layers().len()],
            architecture,
        };
        for (index, parameter) in parameters.into_iter().enumerate() {
            let data = TensorData::new(weights.get(&parameter)?.to_vec(), parameter.shape.clone());
            // Numbers in order and not at random: the state of an optimiser finds its parameters by them.
            let id = ParamId::from(index as u64);
            if parameter.shape.len() == 4 {
                network.filters.push(Param::initialized(id, learnable(data, device)));
            } else if is_running(&parameter.name) {
                network.running.push(Tensor::from_data(data, device));
            } else {
                network.vectors.push(Param::initialized(id, learnable(data, device)));
            }
        }
        Ok(network)
    }

    /// The same, its parameters numbered from `first` on instead of from 0: an optimiser of several networks tells them
    /// apart by numbers. A network has as many as [`Architecture::parameters`].
    pub fn numbered_from(self, first: u64) -> Self {
        fn shifted<const D: usize>(of: Vec<Param<Tensor<D>>>, first: u64) -> Vec<Param<Tensor<D>>> {
            let shift =
                |of: Param<Tensor<D>>| Param::initialized(ParamId::from(of.id.val() + first), of.val());
            of.into_iter().map(shift).collect()
        }
        Self { filters: shifted(self.filters, first), vectors: shifted(self.vectors, first), ..self }
    }

    /// What it computes.
    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    /// The same, its batch normalisation by the running mean and variance from now on: for fine-tuning with few images.
    pub fn with_frozen_norm(self) -> Self {
        Self { is_norm_frozen: true, ..self }
    }

    /// The same, for weights that normalisation was folded into, as those that fly have it: the first batch measures what
    /// comes out of the convolutions of `layers`, and their normalisation is written anew so that it computes what it
    /// did, but with the mean and variance of that batch. Named as by
    /// [`crate::architecture::Builder::convolution_norm`].
    pub fn with_folded_norm(self, layers: &BTreeSet<String>) -> Self {
        let is_folded =
            |layer: &Layer| layer.name.strip_suffix(".norm").is_some_and(|name| layers.contains(name));
        let folded = self.architecture.layers().iter().map(is_folded).collect();
        Self { folded, ..self }
    }

    /// What it has learnt so far.
    pub fn weights(&self) -> Weights {
        let (mut filters, mut vectors) = (self.filters.iter(), self.vectors.iter());
        let mut running = self.running.iter();
        let values = self.architecture.parameters().into_iter().filter_map(|parameter| {
            let data = if parameter.shape.len() == 4 {
                filters.next()?.val().into_data()
            } else if is_running(&parameter.name) {
                running.next()?.clone().into_data()
            } else {
                vectors.next()?.val().into_data()
            };
            Some((parameter.name, data.try_to_vec().ok()?))
        });
        Weights { values: values.collect() }
    }

    /// The outputs for images `[batch, channels, height, width]`, in the order of the architecture. Batch normalisation
    /// uses the batch's own mean and variance, and follows them with its running ones.
    pub fn forward(&mut self, input: Tensor<4>) -> Vec<Tensor<4>> {
        let architecture = Arc::clone(&self.architecture);
        let mut made: Vec<Tensor<4>> = Vec::with_capacity(architecture.layers().len());
        made.push(input);
        for (index, layer) in architecture.layers().iter().enumerate().skip(1) {
            let inputs = layer.inputs.iter().map(|value| made[value.index()].clone()).collect();
            made.push(self.layer(index, layer, inputs));
        }
        architecture.outputs().iter().map(|output| made[output.value.index()].clone()).collect()
    }

    fn layer(&mut self, index: usize, layer: &Layer, mut inputs: Vec<Tensor<4>>) -> Tensor<4> {
        let slots = self.slots[index];
        match layer.op {
            Op::Concat => return Tensor::cat(inputs, 1),
            Op::Add => return inputs.swap_remove(0) + inputs.swap_remove(0),
            Op::Multiply => return inputs.swap_remove(0) * inputs.swap_remove(0),
            Op::CropLike => {
                let [.., height, width] = inputs[1].dims();
                return inputs.swap_remove(0).narrow(2, 0, height).narrow(3, 0, width);
            }
            _ => {}
        }
        let x = inputs.swap_remove(0);
        match layer.op {
            Op::Convolution(convolution) => self.convolution(slots, convolution, x),
            Op::Upconvolution(_) => {
                let [.., height, width] = x.dims();
                let form =
                    Form { stride: 2, enlarged: Some([2 * height, 2 * width]), function: slots.function };
                let bias = self.vectors[slots.vectors].val();
                fused::convolution(x, self.filters[slots.filters].val(), bias, form)
            }
            Op::BatchNorm => self.batch_norm(index, x),
            Op::Activation(_) if slots.is_done => x,
            Op::Activation(function) => activate(x, function),
            Op::UpsampleNearest => {
                let options = InterpolateOptions::new(InterpolateMode::Nearest);
                interpolate(x, options.with_scale_factor([2.0, 2.0]))
            }
            Op::UpsampleBilinear => {
                let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
                interpolate(x, options.with_scale_factor([2.0, 2.0]))
            }
            Op::MaxPool => {
                let mut options = MaxPoolOptions::new([3, 3]);
                (options.stride, options.padding) = ([2, 2], [(1, 1); 2]);
                max_pool2d(x, options)
            }
            Op::GlobalAveragePool => adaptive_avg_pool2d(x, [1, 1]),
            Op::Channels(first) => x.narrow(1, first, layer.channels),
            Op::Shuffle(groups) => {
                let [batch, channels, height, width] = x.dims();
                let dealt: Tensor<5> = x.reshape([batch, groups, channels / groups, height, width]);
                dealt.swap_dims(1, 2).reshape([batch, channels, height, width])
            }
            Op::Input | Op::Concat | Op::Add | Op::Multiply | Op::CropLike => x,
        }
    }

    fn convolution(&self, slots: Slots, convolution: Convolution, x: Tensor<4>) -> Tensor<4> {
        let Convolution { kernel, stride, groups, bias } = convolution;
        let filter = self.filters[slots.filters].val();
        let bias = bias.then(|| self.vectors[slots.vectors].val());
        let [_, read, ..] = x.dims();
        let channels = filter.dims()[0];
        let made = match (kernel, stride) {
            _ if groups > 1 && groups == read && channels == read => fused::depthwise(x, filter, stride),
            (1, 1) if groups == 1 => pointwise(x, filter),
            _ if is_fused(Op::Convolution(convolution)) => {
                let bias = bias.unwrap_or_else(|| Tensor::zeros([channels], &x.device()));
                let form = Form { stride, enlarged: None, function: slots.function };
                return fused::convolution(x, filter, bias, form);
            }
            _ => {
                let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], groups);
                return conv2d(x, filter, bias, options);
            }
        };
        match bias {
            Some(bias) => made + of_channels(bias),
            None => made,
        }
    }

    fn batch_norm(&mut self, layer: usize, x: Tensor<4>) -> Tensor<4> {
        let slots = self.slots[layer];
        let running = [0, 1].map(|part| self.running[slots.running + part].clone());
        if self.is_norm_frozen {
            let [mean, variance] = running;
            return fused::norm(
                x,
                [self.gamma(slots), self.beta(slots), mean, variance],
                slots.limits,
                false,
            );
        }
        let batch = fused::statistics(x.clone());
        if std::mem::take(&mut self.folded[layer]) {
            self.unfold(slots, running, &batch);
        } else {
            for (part, (running, batch)) in running.into_iter().zip(&batch).enumerate() {
                let followed = running * (1.0 - BATCH_NORM_MOMENTUM) + batch.clone() * BATCH_NORM_MOMENTUM;
                self.running[slots.running + part] = followed.detach();
            }
        }
        let [mean, variance] = batch;
        fused::norm(x, [self.gamma(slots), self.beta(slots), mean, variance], slots.limits, true)
    }

    fn gamma(&self, slots: Slots) -> Tensor<1> {
        self.vectors[slots.vectors].val()
    }

    fn beta(&self, slots: Slots) -> Tensor<1> {
        self.vectors[slots.vectors + 1].val()
    }

    /// Writes a normalisation anew, with other statistics: it computes what it did with the old ones.
    fn unfold(&mut self, slots: Slots, [mean, variance]: [Tensor<1>; 2], batch: &[Tensor<1>; 2]) {
        let epsilon = f64::from(BATCH_NORM_EPSILON);
        let gain = self.gamma(slots) / (variance + epsilon).sqrt();
        let beta = self.beta(slots) + gain.clone() * (batch[0].clone() - mean);
        let gamma = gain * (batch[1].clone() + epsilon).sqrt();
        for (part, values) in [gamma, beta].into_iter().enumerate() {
            let vector = &mut self.vectors[slots.vectors + part];
            *vector = Param::initialized(vector.id, values.detach().require_grad());
            self.running[slots.running + part] = batch[part].clone();
        }
    }
}

/// A tensor that a gradient is wanted of, where `device` has gradients.
pub fn learnable<const D: usize>(data: TensorData, device: &Device) -> Tensor<D> {
    let tensor = Tensor::from_data(data, device);
    if device.is_autodiff() { tensor.require_grad() } else { tensor }
}

/// A vector as what is added to channels.
fn of_channels(vector: Tensor<1>) -> Tensor<4> {
    let channels = vector.dims()[0];
    vector.reshape([1, channels, 1, 1])
}

/// A convolution of kernel 1 as the product of matrices that it is.
fn pointwise(x: Tensor<4>, filter: Tensor<4>) -> Tensor<4> {
    let [batch, read, height, width] = x.dims();
    let channels = filter.dims()[0];
    let filter: Tensor<3> = filter.reshape([1, channels, read]);
    let made = filter.matmul(x.reshape([batch, read, height * width]));
    made.reshape([batch, channels, height, width])
}

fn is_running(name: &str) -> bool {
    name.ends_with(".mean") || name.ends_with(".variance")
}

fn slots(architecture: &Architecture) -> Arc<[Slots]> {
    let all = [f32::NEG_INFINITY, f32::INFINITY];
    let mut next = Slots { filters: 0, vectors: 0, running: 0, limits: all, function: None, is_done: false };
    let mut of_layer = |layer: &Layer| {
        let slots = next;
        match layer.op {
            Op::Convolution(convolution) => {
                next.filters += 1;
                next.vectors += usize::from(convolution.bias);
            }
            Op::Upconvolution(_) => {
                next.filters += 1;
                next.vectors += 1;
            }
            Op::BatchNorm => {
                next.vectors += 2;
                next.running += 2;
            }
            _ => {}
        }
        slots
    };
    let mut slots: Vec<Slots> = architecture.layers().iter().map(&mut of_layer).collect();
    for (index, layer) in architecture.layers().iter().enumerate() {
        let (Op::Activation(function), Some(read)) = (layer.op, sole_input(architecture, layer)) else {
            continue;
        };
        match architecture.layers()[read].op {
            Op::BatchNorm => {
                let Some(limits) = limits(function) else { continue };
                slots[read].limits = limits;
            }
            op if is_fused(op) && fused::is_known_by_output(function) => {
                slots[read].function = Some(function);
            }
            _ => continue,
        }
        slots[index].is_done = true;
    }
    slots.into()
}

/// Whether a layer goes by [`fused::convolution`], which applies functions.
fn is_fused(op: Op) -> bool {
    match op {
        Op::Convolution(Convolution { kernel, stride, groups, .. }) => {
            groups == 1 && [kernel, stride] != [1, 1]
        }
        Op::Upconvolution(_) => true,
        _ => false,
    }
}

/// What a function cuts off, where that is all it does.
fn limits(function: Activation) -> Option<[f32; 2]> {
    match function {
        Activation::Relu => Some([0.0, f32::INFINITY]),
        Activation::Relu6 => Some([0.0, 6.0]),
        _ => None,
    }
}

/// What `layer` reads, where nothing else reads it.
fn sole_input(architecture: &Architecture, layer: &Layer) -> Option<usize> {
    let read = *layer.inputs.first()?;
    let readers =
        architecture.layers().iter().flat_map(|layer| &layer.inputs).filter(|&&input| input == read);
    let is_output = architecture.outputs().iter().any(|output| output.value == read);
    (readers.count() == 1 && !is_output).then(|| read.index())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Network;
    use crate::architecture::tests::{of_all_kinds, some_weights};
    use crate::kernels::Kernel;

    /// Height and width.
    const SIZE: [usize; 2] = [8, 12];

    fn image() -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(3);
        (0..3 * SIZE[0] * SIZE[1]).map(|_| random.f32()).collect()
    }

    fn forward(network: &mut TrainableNetwork) -> Vec<Vec<f32>> {
        let data = TensorData::new(image(), [1, 3, SIZE[0], SIZE[1]]);
        let device = Device::flex().autodiff();
        let outputs = network.forward(Tensor::from_data(data, &device));
        outputs.into_iter().map(|output| output.into_data().try_to_vec().unwrap()).collect()
    }

    #[test]
    fn what_learns_is_what_flies() {
        let architecture = Arc::new(of_all_kinds());
        let weights = some_weights(&architecture);
        let device = Device::flex().autodiff();
        let network = TrainableNetwork::new(Arc::clone(&architecture), &weights, &device).unwrap();
        assert_eq!(network.weights(), weights);
        let learnt = forward(&mut network.with_frozen_norm());
        let file = architecture.to_onnx(&weights, SIZE, &[]).unwrap();
        let mut flying = Network::read(&file, Kernel::best()).unwrap();
        flying.input(0).copy_from_slice(&image());
        flying.run().unwrap();
        for (index, learnt) in learnt.iter().enumerate() {
            let flown = flying.output(index);
            assert_eq!(learnt.len(), flown.len());
            let worst = learnt.iter().zip(flown).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "output {index} differs by {worst}");
        }
    }

    #[test]
    fn running_means_follow_the_batches() {
        let architecture = Arc::new(of_all_kinds());
        let weights = some_weights(&architecture);
        let device = Device::flex().autodiff();
        let mut network = TrainableNetwork::new(architecture, &weights, &device).unwrap();
        (0..200).for_each(|_| drop(forward(&mut network)));
        let by_batch = forward(&mut network);
        let by_running = forward(&mut network.with_frozen_norm());
        for (batch, running) in by_batch.iter().flatten().zip(by_running.iter().flatten()) {
            assert!((batch - running).abs() < 1e-3, "{batch} and {running}");
        }
    }

    #[test]
    fn folded_norms_are_unfolded_without_a_change() {
        let architecture = Arc::new(of_all_kinds());
        let mut weights = some_weights(&architecture);
        let is_norm = |layer: &&Layer| layer.op == Op::BatchNorm;
        let norms: Vec<&Layer> = architecture.layers().iter().filter(is_norm).collect();
        for norm in &norms {
            let mut set = |part: &str, value: f32| {
                weights.values.get_mut(&format!("{}.{part}", norm.name)).unwrap().fill(value);
            };
            for (part, value) in [("gamma", 1.0), ("mean", 0.0), ("variance", 1.0 - BATCH_NORM_EPSILON)] {
                set(part, value);
            }
        }
        let device = Device::flex().autodiff();
        let network = TrainableNetwork::new(Arc::clone(&architecture), &weights, &device).unwrap();
        let names = norms.iter().map(|norm| norm.name.trim_end_matches(".norm").to_owned()).collect();
        let mut network = network.with_folded_norm(&names);
        let by_batch = forward(&mut network);
        let learnt = network.weights();
        assert_ne!(learnt, weights);
        let mut folded = TrainableNetwork::new(architecture, &weights, &device).unwrap().with_frozen_norm();
        let wanted = forward(&mut folded);
        for found in [by_batch, forward(&mut network.with_frozen_norm())] {
            for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
                assert!((found - wanted).abs() < 1e-3, "{found} and {wanted}");
            }
        }
    }

    #[test]
    fn gradients_point_downhill() {
        let architecture = Arc::new(of_all_kinds());
        let weights = some_weights(&architecture);
        let device = Device::flex().autodiff();
        let mut network = TrainableNetwork::new(architecture, &weights, &device).unwrap();
        let data = TensorData::new(image(), [1, 3, SIZE[0], SIZE[1]]);
        let loss = |network: &mut TrainableNetwork| {
            let outputs = network.forward(Tensor::from_data(data.clone(), &device));
            (outputs[0].clone() - 0.9).square().mean() + outputs[2].clone().square().mean()
        };
        let before = loss(&mut network);
        let gradients = burn::optim::GradientsParams::from_grads(before.backward(), &network);
        assert_eq!(gradients.len(), network.filters.len() + network.vectors.len());
        let mut optimizer = burn::optim::SgdConfig::new().init();
        let mut network = optimizer.step(0.05, network, gradients);
        assert!(loss(&mut network).into_scalar::<f32>() < before.into_scalar::<f32>());
    }
}
