//! Tensors of floats.

use crate::plan::{FloatId, Plan};

/// Tensors, some of which lie in one place because they are never needed at once.
#[derive(Debug)]
pub(super) struct Floats {
    places: Vec<Vec<f32>>,
    /// Place and length of each tensor.
    tensors: Vec<(usize, usize)>,
}

impl Floats {
    /// Memory for those of a plan.
    pub(super) fn new(plan: &Plan) -> Self {
        let lengths = plan.floats.iter().map(|shape| shape.iter().product::<usize>());
        let tensors: Vec<_> = plan.float_places.iter().copied().zip(lengths).collect();
        let count = tensors.iter().map(|&(place, _)| place + 1).max().unwrap_or(0);
        let mut longest = vec![0; count];
        for &(place, length) in &tensors {
            longest[place] = length.max(longest[place]);
        }
        Self { places: longest.into_iter().map(|length| vec![0.0; length]).collect(), tensors }
    }

    /// A tensor, to be read.
    pub(super) fn get(&self, id: FloatId) -> &[f32] {
        let (place, length) = self.tensors[id];
        &self.places[place][..length]
    }

    /// A tensor, to be written.
    pub(super) fn get_mut(&mut self, id: FloatId) -> &mut [f32] {
        let (place, length) = self.tensors[id];
        &mut self.places[place][..length]
    }

    /// Has `work` write a tensor, given another one; the plan has them in places of their own.
    pub(super) fn write(&mut self, input: FloatId, output: FloatId, work: impl FnOnce(&[f32], &mut [f32])) {
        let (place, length) = self.tensors[output];
        let mut values = std::mem::take(&mut self.places[place]);
        work(self.get(input), &mut values[..length]);
        self.places[place] = values;
    }

    /// Bytes of a tensor.
    pub(super) fn bytes(&self, id: FloatId) -> usize {
        self.tensors[id].1 * size_of::<f32>()
    }
}
