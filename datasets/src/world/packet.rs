//! Rays of neighbouring pixels, traced together: most objects are passed over for all of them at once.

use super::Vec3;
use super::render::Row;

/// `N` rays, at least 2, from the camera of one row; their directions are evenly spaced on a line.
pub(crate) struct Packet<'a, const N: usize> {
    pub(crate) row: &'a Row,
    pub(crate) directions: [Vec3; N],
    /// Squared lengths of the directions.
    lengths2: [f32; N],
    /// From one direction to the next.
    step: Vec3,
}

impl<'a, const N: usize> Packet<'a, N> {
    pub(crate) fn new(row: &'a Row, directions: [Vec3; N]) -> Self {
        let step = (directions[N - 1] - directions[0]) / (N - 1) as f32;
        Self { row, directions, lengths2: directions.map(|d| d.norm_squared()), step }
    }

    /// The rays whose lines meet a ball.
    #[inline]
    pub(crate) fn meet_ball(&self, center: Vec3, radius: f32) -> Lanes {
        let to_center = center - self.row.origin;
        let (first, step) = (to_center.dot(&self.directions[0]), to_center.dot(&self.step));
        let outside = to_center.norm_squared() - radius * radius;
        // As a plain loop over arrays, so that it becomes vector instructions.
        let mut room = [0.0_f32; N];
        let mut most = 0.0_f32;
        for (k, (room, length2)) in room.iter_mut().zip(self.lengths2).enumerate() {
            let along = first + k as f32 * step;
            *room = along * along - outside * length2;
            most = if *room > most { *room } else { most };
        }
        if most <= 0.0 {
            return Lanes(0);
        }
        let bit = |(k, room): (usize, f32)| u32::from(room > 0.0) << k;
        Lanes(room.into_iter().enumerate().map(bit).fold(0, |a, b| a | b))
    }
}

/// Some of the rays of a packet, by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes(u32);

impl Lanes {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (lowest < u32::BITS).then_some(lowest as usize)
    }
}
