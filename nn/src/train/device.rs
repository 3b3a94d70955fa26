//! What networks learn on.

use burn::tensor::Device;
use thiserror::Error;

/// Why there is no GPU to learn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoCuda {
    /// The program has no part for it.
    #[error("expected a program built for CUDA (--features cuda), found one built without")]
    NotBuilt,
    /// The machine has none.
    #[error("expected an NVIDIA GPU with its driver, found none")]
    NotThere,
}

/// The processor, with gradients.
pub fn cpu() -> Device {
    Device::flex().autodiff()
}

/// Whether `device` is the processor, for which there are operations of our own.
pub fn is_processor(device: &Device) -> bool {
    *device == Device::flex()
}

/// The first NVIDIA GPU, with gradients. Feature `cuda`; CUDA itself is looked for when this is called, not when the program is
/// built.
///
/// # Errors
/// [`NoCuda`] where there is none.
pub fn cuda() -> Result<Device, NoCuda> {
    #[cfg(feature = "cuda")]
    return Device::enumerate(burn::tensor::DeviceType::Cuda)
        .into_iter()
        .next()
        .map(Device::autodiff)
        .ok_or(NoCuda::NotThere);
    #[cfg(not(feature = "cuda"))]
    Err(NoCuda::NotBuilt)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::optim::GradientsParams;
    use burn::tensor::{Tensor, TensorData};

    use super::*;
    use crate::architecture::tests::{of_all_kinds, some_weights};
    use crate::train::TrainableNetwork;

    /// The loss of a network of all layers, and how much it learns of it in a step.
    fn step(device: &Device) -> [f32; 2] {
        let architecture = Arc::new(of_all_kinds());
        let weights = some_weights(&architecture);
        let mut network = TrainableNetwork::new(architecture, &weights, device).unwrap();
        let image: Vec<f32> = (0..3 * 8 * 12).map(|index| (index as f32 * 0.7).sin()).collect();
        let loss = |network: &mut TrainableNetwork| {
            let image = Tensor::from_data(TensorData::new(image.clone(), [1, 3, 8, 12]), device);
            let outputs = network.forward(image);
            (outputs[0].clone() - 0.9).square().mean() + outputs[2].clone().square().mean()
        };
        let before = loss(&mut network);
        let gradients = GradientsParams::from_grads(before.backward(), &network);
        let mut optimizer = burn::optim::SgdConfig::new().init();
        let mut network = optimizer.step(0.05, network, gradients);
        [before, loss(&mut network)].map(|loss| loss.into_scalar())
    }

    #[test]
    fn a_gpu_learns_what_a_processor_learns() {
        let device = match cuda() {
            Ok(device) => device,
            Err(none) => {
                eprintln!("SKIPPED: {none}");
                return;
            }
        };
        for (gpu, processor) in step(&device).into_iter().zip(step(&cpu())) {
            assert!((gpu - processor).abs() < 1e-3 * processor.abs(), "{gpu} and {processor}");
        }
    }
}
