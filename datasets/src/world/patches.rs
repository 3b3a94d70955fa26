//! Small pieces of ground with a surface of their own: lawns, drives, yards, pools.

use super::noise::floor;
use super::solid::Placement;
use super::{PERIOD_M, Vec3};

/// The surface of a [`Patch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// Mown grass.
    Lawn,
    /// Neglected grass.
    Rough,
    /// Slabs or blocks.
    Paving,
    /// Asphalt of a drive.
    Asphalt,
    /// Gravel or beaten earth, with soft edges.
    Gravel,
    /// Vegetable beds.
    Beds,
    /// Blue water.
    Pool,
}

/// A rectangle on the ground.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    pub(crate) placement: Placement,
    pub(crate) half: (f32, f32),
    pub(crate) kind: PatchKind,
    pub(crate) seed: u32,
}

impl Patch {
    pub(crate) fn new(center: Vec3, yaw: f32, half: (f32, f32), kind: PatchKind, seed: u32) -> Self {
        Self { placement: Placement::new(center, yaw), half, kind, seed }
    }

    /// `(u, v)` in the patch's own axes and the distance to its edge, positive inside.
    pub(crate) fn local(&self, x: f32, y: f32) -> (f32, f32, f32) {
        let p = self.placement.local_point(Vec3::new(x, y, 0.0));
        (p.x, p.y, (self.half.0 - p.x.abs()).min(self.half.1 - p.y.abs()))
    }
}

const BUCKET_M: f32 = 8.0;
const BUCKETS: usize = (PERIOD_M / BUCKET_M) as usize;

/// All patches, later ones on top, with a grid to find them.
#[derive(Debug)]
pub(crate) struct Patches {
    all: Vec<Patch>,
    buckets: Vec<Vec<u32>>,
}

impl Patches {
    pub(crate) fn new(all: Vec<Patch>) -> Self {
        let mut buckets = vec![Vec::new(); BUCKETS * BUCKETS];
        for (i, patch) in all.iter().enumerate() {
            let reach = patch.half.0.hypot(patch.half.1) + 1.0;
            let p = patch.placement.position;
            let range = |v: f32| floor((v - reach) / BUCKET_M)..=floor((v + reach) / BUCKET_M);
            for (bx, by) in range(p.y).flat_map(|by| range(p.x).map(move |bx| (bx, by))) {
                buckets[bucket(bx, by)].push(i as u32);
            }
        }
        Self { all, buckets }
    }

    /// The patches that may cover `(x, y)`, lowest first.
    pub(crate) fn near(&self, x: f32, y: f32) -> impl Iterator<Item = &Patch> {
        let list = &self.buckets[bucket(floor(x / BUCKET_M), floor(y / BUCKET_M))];
        list.iter().map(|&i| &self.all[i as usize])
    }
}

fn bucket(bx: i32, by: i32) -> usize {
    (by as usize & (BUCKETS - 1)) * BUCKETS + (bx as usize & (BUCKETS - 1))
}
