//! What networks have learnt, by name.

use std::collections::BTreeMap;

use fastrand::Rng;
use thiserror::Error;

use super::{Architecture, Convolution, Layer, Op};

/// A normally distributed number of mean 0 and deviation 1 (Box and Muller, 1958).
fn normal(random: &mut Rng) -> f32 {
    let (radius, angle) = (1.0 - random.f64(), random.f64() * std::f64::consts::TAU);
    ((-2.0 * radius.ln()).sqrt() * angle.cos()) as f32
}

/// What a network has learnt, by the names of [`Architecture::parameters`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Values in C order.
    pub values: BTreeMap<String, Vec<f32>>,
}

/// A tensor that a network learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name of the layer and of the part: `stem.conv.weight`.
    pub name: String,
    /// Convolutions: `[out, in / groups, kernel, kernel]`; upconvolutions: `[in, out, kernel, kernel]`; all else: `[channels]`.
    pub shape: Vec<usize>,
}

/// Weights that don't belong to a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WeightsError {
    /// A tensor is missing.
    #[error("expected weights `{0}`, found none")]
    Missing(String),
    /// A tensor has another size.
    #[error("expected {expected} values in weights `{name}`, found {found}")]
    Length {
        /// Its name.
        name: String,
        /// How many the network has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl Architecture {
    /// All that it learns, in the order of its layers. `norm.mean` and `norm.variance` are the running ones.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.iter().flat_map(|layer| self.of_layer(layer)).collect()
    }

    /// Numbers that it learns.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// Weights before any training: filters at random, their deviation such that signals keep their size behind a ReLU (He
    /// et al., ICCV 2015, by what a filter reaches); batch normalisation that changes nothing; biases of zero.
    pub fn initial_weights(&self, random: &mut Rng) -> Weights {
        let initial = |parameter: Parameter| {
            let count = parameter.shape.iter().product();
            let values = match *parameter.shape {
                [_, _, height, width] => {
                    let deviation = (2.0 / self.reach(&parameter, height * width)).sqrt();
                    (0..count).map(|_| deviation * normal(random)).collect()
                }
                _ if parameter.name.ends_with("gamma") || parameter.name.ends_with("variance") => {
                    vec![1.0; count]
                }
                _ => vec![0.0; count],
            };
            (parameter.name, values)
        };
        Weights { values: self.parameters().into_iter().map(initial).collect() }
    }

    /// How many values one value reaches through a filter of `window` places.
    fn reach(&self, parameter: &Parameter, window: usize) -> f32 {
        let name = parameter.name.rsplit_once('.').map(|(layer, _)| layer);
        let layer = self.layers.iter().find(|layer| Some(&*layer.name) == name);
        let groups = match layer.map(|layer| layer.op) {
            Some(Op::Convolution(convolution)) => convolution.groups,
            _ => 1,
        };
        (window * layer.map_or(1, |layer| layer.channels) / groups).max(1) as f32
    }

    fn of_layer(&self, layer: &Layer) -> Vec<Parameter> {
        let of = |part: &str, shape: Vec<usize>| Parameter { name: format!("{}.{part}", layer.name), shape };
        let channels = layer.channels;
        let read = || layer.inputs.first().map_or(0, |input| self.layers[input.0].channels);
        match layer.op {
            Op::Convolution(Convolution { kernel, groups, bias, .. }) => {
                let weight = of("weight", vec![channels, read() / groups, kernel, kernel]);
                std::iter::once(weight).chain(bias.then(|| of("bias", vec![channels]))).collect()
            }
            Op::Upconvolution(kernel) => {
                vec![of("weight", vec![read(), channels, kernel, kernel]), of("bias", vec![channels])]
            }
            Op::BatchNorm => {
                ["gamma", "beta", "mean", "variance"].map(|part| of(part, vec![channels])).into()
            }
            _ => Vec::new(),
        }
    }
}

impl Weights {
    /// The values of a tensor.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] where there is none of this name, [`WeightsError::Length`] where it has another size.
    pub fn get(&self, parameter: &Parameter) -> Result<&[f32], WeightsError> {
        let name = &parameter.name;
        let values = self.values.get(name).ok_or_else(|| WeightsError::Missing(name.clone()))?;
        let expected = parameter.shape.iter().product();
        if values.len() != expected {
            return Err(WeightsError::Length { name: name.clone(), expected, found: values.len() });
        }
        Ok(values)
    }
}
