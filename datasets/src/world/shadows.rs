//! Which objects may stand between a point and the sun.

use super::noise::floor;
use super::solid::{Ball, Solid, Tree};
use super::{CELL_M, CELLS, PERIOD_M, Vec3};

/// Something that throws a shadow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blocker {
    Solid(u32),
    Tree(u32),
}

/// Objects by where their shadows fall on the plane `z = 0`: all points on one ray to the sun share a cell.
#[derive(Debug)]
pub(crate) struct Shadows {
    /// Metres that a shadow moves per metre of height.
    slant: (f32, f32),
    /// Each with the copy of the world, counted from the cell's, that it stands in.
    cells: Vec<Vec<(Blocker, [i8; 2])>>,
}

impl Shadows {
    pub(crate) fn new(solids: &[Solid], trees: &[Tree], sun: Vec3) -> Self {
        let slant = (sun.x / sun.z, sun.y / sun.z);
        let mut shadows = Self { slant, cells: vec![Vec::new(); CELLS * CELLS] };
        (0..).zip(solids).for_each(|(i, solid)| shadows.insert(Blocker::Solid(i), solid.ball()));
        (0..).zip(trees).for_each(|(i, tree)| shadows.insert(Blocker::Tree(i), tree.ball()));
        shadows
    }

    fn insert(&mut self, blocker: Blocker, ball: Ball) {
        let (x, y) = self.fall(ball.center);
        let range = |v: f32, slant: f32| {
            let reach = ball.radius * slant.hypot(1.0) + 0.01;
            floor((v - reach) / CELL_M)..=floor((v + reach) / CELL_M)
        };
        let columns = range(x, self.slant.0);
        for (cx, cy) in range(y, self.slant.1).flat_map(|cy| columns.clone().map(move |cx| (cx, cy))) {
            let split = |c: i32| (c.rem_euclid(CELLS as i32) as usize, -c.div_euclid(CELLS as i32) as i8);
            let ((column, dx), (row, dy)) = (split(cx), split(cy));
            self.cells[row * CELLS + column].push((blocker, [dx, dy]));
        }
    }

    /// Where the shadow of a point falls.
    fn fall(&self, p: Vec3) -> (f32, f32) {
        (p.x - self.slant.0 * p.z, p.y - self.slant.1 * p.z)
    }

    /// What may hide the sun at `p`, each with `p` as seen from the world's copy that the object was placed in.
    pub(crate) fn candidates(&self, p: Vec3) -> impl Iterator<Item = (Blocker, Vec3)> {
        let (x, y) = self.fall(p);
        let (column, row) = (floor(x / CELL_M), floor(y / CELL_M));
        let copy = |c: i32| c.div_euclid(CELLS as i32) as f32;
        let home = Vec3::new(p.x - copy(column) * PERIOD_M, p.y - copy(row) * PERIOD_M, p.z);
        let cell = (row as usize & (CELLS - 1)) * CELLS + (column as usize & (CELLS - 1));
        self.cells[cell].iter().map(move |&(blocker, [dx, dy])| {
            let shift = Vec3::new(f32::from(dx) * PERIOD_M, f32::from(dy) * PERIOD_M, 0.0);
            (blocker, home - shift)
        })
    }
}
