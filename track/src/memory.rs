//! The long memory: what the target looked like while there was no doubt, and how like that anything else is.
//!
//! Streams forget what was, so that they follow a target that changes; for the same reason they take whatever stands in its
//! place for it after a while. This memory begins with the target as it was shown and takes in another look only after a
//! time of trial, in which there must have been no doubt, or where a long doubt was one of changed looks. As in Kalal et al. (Tracking-Learning-Detection, PAMI 2012) what
//! counts is how much more like the memory the target is than what is around it.

use crate::features::{COLOUR_LENGTH, FeatureMap, RAW_LENGTH};
use crate::simd::{LANES, dot, vectorized};
use crate::trial::Trial;

/// Looks kept.
const CAPACITY: usize = 16;
/// A look that is this similar to one that is kept says nothing new.
const KNOWN: f32 = 0.8;
/// Share of a new frame in what is known of the surroundings.
const RATE: f32 = 0.05;
/// Similarity of the surroundings before any were seen.
const EXPECTED_OTHER: f32 = 0.3;

/// Looks of one target.
#[derive(Debug)]
pub(crate) struct Memory {
    size: [usize; 2],
    /// Weight of each cell: the middle of the target counts most, what is beside it nothing.
    weights: Vec<f32>,
    looks: Vec<Look>,
    trial: Trial<Look>,
    /// Mean similarity of the best of what is around the target.
    other: f32,
}

/// What a place looks like.
#[derive(Debug)]
struct Look {
    /// Weighted features, of unit length.
    cells: Vec<f32>,
    /// Share of each colour name; sums to 1.
    colours: [f32; COLOUR_LENGTH],
}

/// A described window of the image.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// Reduced features.
    pub(crate) map: &'a FeatureMap,
    /// The same cells before the reduction.
    pub(crate) raw: &'a [f32],
}

/// How like the memory a place is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Likeness {
    /// Cosine of the angle to the nearest look, less that of what was around the target.
    pub(crate) shape: f32,
    /// Distance of Hellinger to the nearest look's colours, in `[0, 1]`.
    pub(crate) colour_distance: f32,
}

impl Memory {
    /// Of a target of `cells`, in the middle of `view`.
    pub(crate) fn new(view: View, cells: [f32; 2]) -> Self {
        let size = cells.map(|side| (side.ceil() as usize).max(3) | 1);
        let weights = weights(size, cells);
        let mut new =
            Self { weights, size, looks: Vec::new(), trial: Trial::default(), other: EXPECTED_OTHER };
        new.looks.push(new.look(view, [0; 2]));
        new
    }

    /// How like the memory what lies at `shift` cells is.
    pub(crate) fn likeness(&self, view: View, shift: [f32; 2]) -> Likeness {
        let nearest = shift.map(|v| v.round() as isize);
        let colours = self.colours(view, nearest);
        let distance = |look: &Look| colour_distance(&look.colours, &colours);
        Likeness {
            shape: self.similarity(view.map, shift) - self.other,
            colour_distance: self.looks.iter().map(distance).fold(1.0, f32::min),
        }
    }

    /// Cosine of the angle to the nearest look: the best of the four cells around `shift`.
    fn similarity(&self, map: &FeatureMap, shift: [f32; 2]) -> f32 {
        let corner = shift.map(|v| v.floor() as isize);
        let around = [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[x, y]| [corner[0] + x, corner[1] + y]);
        around.into_iter().map(|at| self.nearest(&self.cells(map, at))).fold(-1.0, f32::max)
    }

    fn nearest(&self, cells: &[f32]) -> f32 {
        self.looks.iter().map(|look| vectorized(|| dot(&look.cells, cells))).fold(-1.0, f32::max)
    }

    /// A frame without doubt, with the most similar of what is beside the target at `beside`.
    pub(crate) fn confirm(&mut self, view: View, beside: [f32; 2]) {
        self.other += (self.similarity(view.map, beside) - self.other) * RATE;
        if let Some(look) = self.trial.pass_frame() {
            self.keep(look);
        }
    }

    /// A frame with doubt.
    pub(crate) fn doubt(&mut self) {
        self.trial.fail();
    }

    /// Puts what the middle of `view` shows on trial if it is new.
    pub(crate) fn learn(&mut self, view: View) {
        if self.trial.is_free() && self.nearest(&self.cells(view.map, [0; 2])) < KNOWN {
            self.trial.begin(self.look(view, [0; 2]));
        }
    }

    /// Takes in what lies at `shift` cells without a trial.
    pub(crate) fn adopt(&mut self, view: View, shift: [f32; 2]) {
        self.keep(self.look(view, shift.map(|v| v.round() as isize)));
    }

    /// Takes a look in; where there are too many, the one leaves that is most like another. The first stays.
    fn keep(&mut self, look: Look) {
        self.looks.push(look);
        if self.looks.len() <= CAPACITY {
            return;
        }
        let likeness = |i: usize| {
            let others = self.looks.iter().enumerate().filter(|(j, _)| *j != i);
            others.map(|(_, other)| dot(&self.looks[i].cells, &other.cells)).fold(-1.0, f32::max)
        };
        let most = (1..self.looks.len()).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
        if let Some(most) = most {
            self.looks.remove(most);
        }
    }

    fn look(&self, view: View, shift: [isize; 2]) -> Look {
        Look { cells: self.cells(view.map, shift), colours: self.colours(view, shift) }
    }

    /// Indices in a map of `side` of the cells of a target at `shift` from its middle; beyond the edge it goes on.
    fn indices(&self, side: usize, shift: [isize; 2]) -> impl Iterator<Item = usize> {
        let [width, height] = self.size;
        let first = [0, 1].map(|axis| (side / 2) as isize + shift[axis] - (self.size[axis] / 2) as isize);
        let inside = move |v: isize| v.clamp(0, side as isize - 1) as usize;
        (0..width * height).map(move |index| {
            let at = [index % width, index / width];
            inside(first[1] + at[1] as isize) * side + inside(first[0] + at[0] as isize)
        })
    }

    fn cells(&self, map: &FeatureMap, shift: [isize; 2]) -> Vec<f32> {
        let mut cells = Vec::with_capacity((self.weights.len() * map.channels).next_multiple_of(LANES));
        for (index, weight) in self.indices(map.side, shift).zip(&self.weights) {
            let cell = &map.values[index * map.channels..][..map.channels];
            cells.extend(cell.iter().map(|value| value * weight));
        }
        let norm = vectorized(|| dot(&cells, &cells)).sqrt().max(1e-6);
        cells.iter_mut().for_each(|value| *value /= norm);
        cells
    }

    fn colours(&self, view: View, shift: [isize; 2]) -> [f32; COLOUR_LENGTH] {
        let mut sums = [0.0; COLOUR_LENGTH];
        for (index, weight) in self.indices(view.map.side, shift).zip(&self.weights) {
            let names = &view.raw[index * RAW_LENGTH..][RAW_LENGTH - COLOUR_LENGTH..RAW_LENGTH];
            sums.iter_mut().zip(names).for_each(|(sum, name)| *sum += weight * weight * name);
        }
        let total = sums.iter().sum::<f32>().max(1e-6);
        sums.map(|sum| sum / total)
    }
}

fn colour_distance(a: &[f32; COLOUR_LENGTH], b: &[f32; COLOUR_LENGTH]) -> f32 {
    let overlap: f32 = a.iter().zip(b).map(|(a, b)| (a * b).max(0.0).sqrt()).sum();
    (1.0 - overlap).max(0.0).sqrt()
}

/// Square roots of a paraboloid over an ellipse as large as the target.
fn weights(size: [usize; 2], cells: [f32; 2]) -> Vec<f32> {
    let squared = |v: usize, axis: usize| {
        let from_middle = v as f32 - (size[axis] / 2) as f32;
        (2.0 * from_middle / cells[axis].max(1.0)).powi(2)
    };
    let weight = |i: usize| (1.0 - squared(i % size[0], 0) - squared(i / size[0], 1)).max(0.0).sqrt();
    (0..size[0] * size[1]).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 24;
    const CHANNELS: usize = 16;

    /// Noise by `seed`, all of one colour, and the same before the reduction.
    fn scene(seed: u64, colour: usize) -> (FeatureMap, Vec<f32>) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let values = (0..SIDE * SIDE * CHANNELS).map(|_| rng.f32() - 0.5).collect();
        let name = |i: usize| f32::from(u8::from(i % RAW_LENGTH == RAW_LENGTH - COLOUR_LENGTH + colour));
        let raw = (0..SIDE * SIDE * RAW_LENGTH).map(name).collect();
        (FeatureMap { side: SIDE, channels: CHANNELS, values }, raw)
    }

    fn likeness(memory: &Memory, (map, raw): &(FeatureMap, Vec<f32>), shift: [f32; 2]) -> Likeness {
        memory.likeness(View { map, raw }, shift)
    }

    #[test]
    fn only_what_was_shown_is_like_the_memory() {
        let shown = scene(1, 3);
        let memory = Memory::new(View { map: &shown.0, raw: &shown.1 }, [9.0, 7.0]);
        let same = likeness(&memory, &shown, [0.3, -0.4]);
        assert!((same.shape - (1.0 - EXPECTED_OTHER)).abs() < 1e-3 && same.colour_distance < 1e-3);
        let moved = likeness(&memory, &shown, [5.0, 3.0]);
        assert!(moved.shape < 0.1 && moved.colour_distance < 1e-3, "{moved:?}");
        let other = likeness(&memory, &scene(2, 8), [0.0; 2]);
        assert!(other.shape < 0.1 && other.colour_distance > 0.9, "{other:?}");
    }

    #[test]
    fn a_look_is_kept_after_a_time_without_doubt_only() {
        let (shown, later) = (scene(1, 3), scene(2, 3));
        let view = View { map: &later.0, raw: &later.1 };
        let mut memory = Memory::new(View { map: &shown.0, raw: &shown.1 }, [9.0, 9.0]);
        for _ in 0..30 {
            memory.learn(view);
            memory.confirm(view, [5.0, 5.0]);
            memory.doubt();
        }
        assert!(likeness(&memory, &later, [0.0; 2]).shape < 0.3);
        memory.learn(view);
        (0..30).for_each(|_| memory.confirm(view, [5.0, 5.0]));
        assert!(likeness(&memory, &later, [0.0; 2]).shape > 0.6);
        assert!(likeness(&memory, &shown, [0.0; 2]).shape > 0.6);
    }

    #[test]
    fn the_first_look_stays_however_many_follow() {
        let shown = scene(0, 3);
        let mut memory = Memory::new(View { map: &shown.0, raw: &shown.1 }, [9.0, 9.0]);
        for seed in 1..3 * CAPACITY as u64 {
            let (map, raw) = scene(seed, 3);
            memory.keep(memory.look(View { map: &map, raw: &raw }, [0; 2]));
        }
        assert_eq!(memory.looks.len(), CAPACITY);
        assert!(likeness(&memory, &shown, [0.0; 2]).shape > 0.6);
    }
}
