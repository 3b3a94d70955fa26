//! Depthwise convolutions that make what they read themselves.

use super::in_place::is_read_once;
use super::{Buffer, Op, Step, View};
use crate::kernels::{ImageShape, Window};

/// Images of fewer bytes stay in the cache between two steps anyway.
const LEAST: usize = 128 << 10;

/// Has depthwise convolutions make the image that they read row by row, where a 1x1 convolution makes it for them alone: it
/// never lies in memory as a whole.
pub(super) fn fuse(steps: &mut Vec<Step>, buffers: &mut [Buffer]) {
    let mut index = 0;
    while index < steps.len() {
        if let Some(maker) = maker(steps, buffers, index) {
            let Step { node, op } = steps.remove(maker);
            index -= 1;
            if let (
                Op::Convolve { input: read, layer, .. },
                Step { node: of_both, op: Op::ConvolveDepthwise { input, expansion, .. } },
            ) = (op, &mut steps[index])
            {
                buffers[*input].length = 0;
                (*input, *expansion) = (read, Some(layer));
                *of_both = format!("{node} + {of_both}");
            }
        }
        index += 1;
    }
}

/// The step before a depthwise convolution that makes what it reads, where both can be one.
fn maker(steps: &[Step], buffers: &[Buffer], index: usize) -> Option<usize> {
    let Op::ConvolveDepthwise { input, expansion: None, .. } = &steps[index].op else { return None };
    let mut makers = (0..steps.len()).filter(|&other| steps[other].op.writes() == Some(*input));
    let (maker, others) = (makers.next()?, makers.count());
    let Op::Convolve { output, layer, .. } = &steps[maker].op else { return None };
    let ImageShape { height, width, .. } = layer.input;
    let shape = ImageShape { height, width, channels: layer.output_channels };
    let fits = layer.window == Window::square(1, 1) && *output == View::whole(*input, shape);
    let is_large = buffers[*input].length >= LEAST;
    (maker < index && is_read_once(steps, *input) && others == 0 && fits && is_large).then_some(maker)
}
