//! How much work a network is.

use super::{Architecture, Convolution, Op};

impl Architecture {
    /// Heights and widths of what each layer makes of an input of `size`, `[height, width]`.
    pub fn sizes(&self, size: [usize; 2]) -> Vec<[usize; 2]> {
        let mut sizes: Vec<[usize; 2]> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let input = layer.inputs.first().map_or(size, |input| sizes[input.0]);
            sizes.push(match layer.op {
                Op::Convolution(convolution) => input.map(|size| size.div_ceil(convolution.stride)),
                Op::MaxPool => input.map(|size| size.div_ceil(2)),
                Op::Upconvolution(_) | Op::UpsampleNearest | Op::UpsampleBilinear => {
                    input.map(|size| size * 2)
                }
                Op::CropLike => layer.inputs.get(1).map_or(input, |like| sizes[like.0]),
                Op::GlobalAveragePool => [1, 1],
                _ => input,
            });
        }
        sizes
    }

    /// Multiply-adds of the convolutions on one image of `size`, `[height, width]`.
    pub fn multiply_adds(&self, size: [usize; 2]) -> usize {
        let sizes = self.sizes(size);
        let of_layer = |(layer, size): (&super::Layer, &[usize; 2])| {
            let read = layer.inputs.first().map_or(0, |input| self.layers[input.0].channels);
            let window = match layer.op {
                Op::Convolution(Convolution { kernel, groups, .. }) => kernel * kernel * read / groups,
                // Each window is seen by a quarter of the pixels that it reaches.
                Op::Upconvolution(kernel) => kernel * kernel * read / 4,
                _ => 0,
            };
            window * layer.channels * size[0] * size[1]
        };
        self.layers.iter().zip(&sizes).map(of_layer).sum()
    }
}
