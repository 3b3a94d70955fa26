//! Parts that may move a little: the generalised distance transform of Felzenszwalb and Huttenlocher (Distance Transforms of
//! Sampled Functions, 2012) over a small window.

use crate::response::Response;

/// Farthest that a part may lie from its place, in cells.
const REACH: isize = 2;

/// Replaces each value by the largest around it, less `cost` times the squared distance; `buffer` is overwritten.
pub(crate) fn pool(response: &mut Response, cost: f32, buffer: &mut Vec<f32>) {
    let side = response.side();
    buffer.clear();
    buffer.resize(response.values.len(), 0.0);
    for (from, to) in response.values.chunks_exact(side).zip(buffer.chunks_exact_mut(side)) {
        spread(from, to, cost, 1, side);
    }
    spread(buffer, &mut response.values, cost, side, side);
}

/// The transform along one axis, whose neighbours are `stride` apart.
fn spread(from: &[f32], to: &mut [f32], cost: f32, stride: usize, side: usize) {
    to.copy_from_slice(from);
    let reach = REACH.min(side as isize - 1);
    for distance in 1..=reach as usize {
        let (shift, price) = (distance * stride, cost * (distance * distance) as f32);
        let farther = |to: &mut [f32], from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = to.max(from - price));
        };
        let end = from.len() - shift;
        farther(&mut to[..end], &from[shift..]);
        farther(&mut to[shift..], &from[..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_becomes_a_paraboloid_of_two_cells() {
        let mut response = Response::zeros(4);
        response.values.fill(-100.0);
        response.values[4 * 9 + 4] = 1.0;
        pool(&mut response, 0.1, &mut Vec::new());
        let at = |dx: isize, dy: isize| response.values[((4 + dy) * 9 + 4 + dx) as usize];
        assert_eq!(at(0, 0), 1.0);
        assert!((at(1, 0) - 0.9).abs() < 1e-6 && (at(-2, 1) - 0.5).abs() < 1e-6);
        assert!(at(3, 0) < -90.0);
    }
}
