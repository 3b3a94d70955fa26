//! Where buffers lie: those that are never needed at once share memory.

use super::{Buffer, FloatId, Step};

/// Buffers begin at multiples of a cache line.
const ALIGNMENT: usize = 64;

/// Gives each buffer its place and returns the length that all of them need.
///
/// A buffer is needed from the step that writes it to the last one that reads it. The largest are placed first, each as
/// low as those already placed allow.
pub(super) fn place(steps: &[Step], buffers: &mut [Buffer]) -> usize {
    let lives: Vec<_> = (0..buffers.len()).map(|id| life(steps, id)).collect();
    let mut order: Vec<_> = (0..buffers.len()).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(buffers[id].length), id));
    let mut placed = Vec::new();
    for id in order {
        let neighbours = placed.iter().filter(|&&other| meet(lives[id], lives[other]));
        let mut taken: Vec<_> =
            neighbours.map(|&other: &usize| (buffers[other].offset, end(buffers[other]))).collect();
        taken.sort_unstable();
        buffers[id].offset = lowest_gap(&taken, buffers[id].length);
        placed.push(id);
    }
    buffers.iter().map(|&buffer| end(buffer)).max().unwrap_or(0)
}

/// Gives each tensor of floats a place, the longest first, and each the first place that is free while it is needed. Those
/// `kept` share with none: what goes into a network and what comes out.
pub(super) fn place_floats(
    steps: &[Step],
    lengths: &[usize],
    kept: impl Iterator<Item = FloatId>,
) -> Vec<usize> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; lengths.len()];
    for (index, step) in steps.iter().enumerate() {
        for id in step.op.floats() {
            lives[id] = Some((lives[id].map_or(index, |(first, _)| first), index));
        }
    }
    kept.for_each(|id| lives[id] = Some((0, usize::MAX)));
    let mut order: Vec<_> = (0..lengths.len()).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(lengths[id]), id));
    let mut residents: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut places = vec![0; lengths.len()];
    for id in order {
        // What no step needs can lie anywhere.
        let Some(life) = lives[id] else { continue };
        let is_free = |others: &Vec<_>| !others.iter().any(|&other| meet(life, other));
        let place = residents.iter().position(is_free).unwrap_or(residents.len());
        if place == residents.len() {
            residents.push(Vec::new());
        }
        residents[place].push(life);
        places[id] = place;
    }
    places
}

/// The first and the last step that need a buffer.
fn life(steps: &[Step], id: usize) -> (usize, usize) {
    let needs = |step: &Step| step.op.writes() == Some(id) || step.op.reads().contains(&id);
    let mut needing = steps.iter().enumerate().filter(|(_, step)| needs(step)).map(|(index, _)| index);
    let first = needing.next().unwrap_or(0);
    (first, needing.next_back().unwrap_or(first))
}

fn meet(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn end(buffer: Buffer) -> usize {
    (buffer.offset + buffer.length).next_multiple_of(ALIGNMENT)
}

/// The lowest place for `length` bytes between the taken ones, which are in order of their beginning.
fn lowest_gap(taken: &[(usize, usize)], length: usize) -> usize {
    let mut lowest = 0;
    for &(start, end) in taken {
        if lowest + length <= start {
            break;
        }
        lowest = lowest.max(end);
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::super::Op;
    use super::*;

    fn chain(lengths: &[usize]) -> (Vec<Step>, Vec<Buffer>) {
        let step = |input| {
            let op = Op::Map { input, output: input + 1, table: Box::new([0; 256]) };
            Step { node: String::new(), op }
        };
        let buffers = lengths.iter().map(|&length| Buffer { length, offset: 0 });
        ((0..lengths.len() - 1).map(step).collect(), buffers.collect())
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let (steps, mut buffers) = chain(&[640, 128, 640, 64, 6400]);
        assert_eq!(place(&steps, &mut buffers), 6400 + 64);
    }

    #[test]
    fn floats_share_places_where_they_are_never_needed_at_once() {
        let step = |input, output| {
            let quantisation = crate::kernels::Quantisation { scale: 1.0, zero_point: 0 };
            let op = Op::Quantise { input, output, channels: 1, quantisation };
            Step { node: String::new(), op }
        };
        let steps: Vec<_> = [0, 1, 2, 3, 1, 4].into_iter().map(|input| step(input, 0)).collect();
        let places = place_floats(&steps, &[10, 20, 30, 5, 7], [0, 4].into_iter());
        assert_eq!(places[2], places[3], "one after the other");
        assert_ne!(places[1], places[2], "the second is needed before and after");
        let shared = |id: usize| places.iter().filter(|&&place| place == places[id]).count();
        assert_eq!([shared(0), shared(4)], [1, 1], "what goes in and comes out is kept");
    }

    #[test]
    fn buffers_that_are_needed_at_once_lie_apart() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..50 {
            let lengths: Vec<_> = (0..20).map(|_| rng.usize(1..1000)).collect();
            let (mut steps, mut buffers) = chain(&lengths);
            for late in 3..20 {
                let op = Op::Map { input: rng.usize(..late), output: late, table: Box::new([0; 256]) };
                steps.push(Step { node: String::new(), op });
            }
            let length = place(&steps, &mut buffers);
            for a in 0..buffers.len() {
                assert!(end(buffers[a]) <= length);
                for b in 0..a {
                    let is_apart =
                        end(buffers[a]) <= buffers[b].offset || end(buffers[b]) <= buffers[a].offset;
                    assert!(is_apart || !meet(life(&steps, a), life(&steps, b)), "{a} {b}");
                }
            }
        }
    }
}
