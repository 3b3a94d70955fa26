//! Which objects each part of the picture may show, nearest first: rays then meet a few instead of looking for them.

use geometry::PinholeCamera;
use nalgebra::Matrix3;
use rayon::prelude::*;

use super::Vec3;
use super::render::Row;
use super::scene::{Hit, Scene, Target, VIEW_M};
use super::solid::{Ball, ball};
use super::vehicles::Movers;

/// Rows and columns of pixels that share a list.
const TILE: usize = 8;
/// A tree larger than this on the picture, in pixels, is listed clump by clump.
const CLUMPS_FROM_PX: f32 = 5.0;

/// Something that a ray may meet.
#[derive(Clone, Copy, Debug)]
enum Thing {
    Solid(u32),
    Tree(u32),
    Clump { tree: u32, clump: u8 },
    Vehicle(u16),
}

#[derive(Clone, Copy, Debug)]
struct Object {
    thing: Thing,
    center: Vec3,
    radius: f32,
    /// From the world's first copy to the copy that it belongs to.
    shift: Vec3,
    /// No ray of the frame meets it at a smaller `t`.
    near: f32,
    /// First and last column and row of tiles that may show it.
    tiles: [u16; 4],
}

/// The objects of one frame by tiles of its picture.
#[derive(Debug)]
pub(crate) struct View {
    across: usize,
    objects: Vec<Object>,
    /// Indices into `objects`, nearest first.
    tiles: Vec<Vec<u32>>,
}

/// The camera in the middle of the frame, and how far it strays from there between the first and the last row.
struct Lens {
    origin: Vec3,
    camera_from_world: Matrix3<f32>,
    focal: (f32, f32),
    center: (f32, f32),
    size: (usize, usize),
    /// Metres.
    stray_m: f32,
    /// Metres per metre of distance.
    stray_rad: f32,
}

impl Lens {
    fn new(rows: &[Row], camera: &PinholeCamera) -> Self {
        let middle = &rows[rows.len() / 2];
        let stray = |f: &dyn Fn(&Row) -> f32| rows.iter().map(f).fold(0.0, f32::max);
        let (focal, center) = (camera.focal(), camera.center());
        Self {
            origin: middle.origin,
            camera_from_world: middle.rotation.transpose(),
            focal: (focal.x as f32, focal.y as f32),
            center: (center.x as f32, center.y as f32),
            size: (camera.width(), camera.height()),
            stray_m: stray(&|row| (row.origin - middle.origin).norm()) + 0.01,
            // The Frobenius norm bounds how far the turn moves a point at distance 1.
            stray_rad: stray(&|row| (row.rotation - middle.rotation).norm()) + 1e-5,
        }
    }

    /// Nearest depth of a ball, and the first and last column and row of pixels that may show it, whichever row
    /// looks, inside the picture or not; `None` where it is behind the camera or too far.
    fn extent(&self, center: Vec3, radius: f32) -> Option<(f32, [f32; 4])> {
        let to = center - self.origin;
        let c = self.camera_from_world * to;
        let radius = radius + self.stray_m + self.stray_rad * to.norm();
        let near = c.z - radius;
        if c.z + radius <= 0.0 || near > VIEW_M {
            return None;
        }
        let (left, right) = slopes(c.x, c.z, radius);
        let (top, bottom) = slopes(c.y, c.z, radius);
        let (x, y) = (
            |slope: f32| self.focal.0 * slope + self.center.0,
            |slope: f32| self.focal.1 * slope + self.center.1,
        );
        Some((near, [x(left), x(right), y(top), y(bottom)]))
    }

    /// Nearest depth of a ball and the tiles that may show it; `None` where it is not seen.
    fn seen(&self, center: Vec3, radius: f32) -> Option<(f32, [u16; 4])> {
        let (near, extent) = self.extent(center, radius)?;
        Some((near, self.tiles(extent)?))
    }

    /// The same for the convex hull of points, which a ball around them only bounds loosely.
    fn hull_seen(&self, points: &[Vec3]) -> Option<(f32, [u16; 4])> {
        let mut hull = (f32::INFINITY, [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY]);
        for &point in points {
            let (near, [x0, x1, y0, y1]) = self.extent(point, 0.01).filter(|(near, _)| *near > 0.0)?;
            let [a, b, c, d] = hull.1;
            hull = (hull.0.min(near), [a.min(x0), b.max(x1), c.min(y0), d.max(y1)]);
        }
        Some((hull.0, self.tiles(hull.1)?))
    }

    fn tiles(&self, [x0, x1, y0, y1]: [f32; 4]) -> Option<[u16; 4]> {
        let (left, right) = tiles(x0, x1, self.size.0)?;
        let (top, bottom) = tiles(y0, y1, self.size.1)?;
        Some([left, right, top, bottom])
    }
}

/// Slopes of the two tangents from the origin to the circle around `(x, z)`; infinite where a tangent points back.
fn slopes(x: f32, z: f32, radius: f32) -> (f32, f32) {
    let tangent2 = x * x + z * z - radius * radius;
    if tangent2 <= 0.0 {
        return (f32::NEG_INFINITY, f32::INFINITY);
    }
    let tangent = tangent2.sqrt();
    let (below, above) = (z * tangent + radius * x, z * tangent - radius * x);
    let low = if below > 0.0 { (x * tangent - radius * z) / below } else { f32::NEG_INFINITY };
    let high = if above > 0.0 { (x * tangent + radius * z) / above } else { f32::INFINITY };
    (low, high)
}

/// First and last tile along an axis of `size` pixels, with a pixel to spare; `None` outside the picture.
fn tiles(low: f32, high: f32, size: usize) -> Option<(u16, u16)> {
    let last = (size - 1) as f32;
    let (from, to) = (low - 1.0, high + 1.0);
    let tile = |pixel: f32| (pixel.clamp(0.0, last) as usize / TILE) as u16;
    (to >= 0.0 && from <= last).then(|| (tile(from), tile(to)))
}

impl View {
    /// The view while `rows` are exposed.
    pub(crate) fn new(scene: &Scene, movers: &Movers, rows: &[Row], camera: &PinholeCamera) -> Self {
        let lens = Lens::new(rows, camera);
        let mut objects: Vec<Object> = scene
            .blocks
            .par_iter()
            .flat_map_iter(|block| {
                let mut found = Vec::new();
                for shift in Scene::copies(lens.origin, VIEW_M) {
                    if lens.seen(block.ball.center + shift, block.ball.radius).is_some() {
                        standing(scene, block.solids.iter(), block.trees.iter(), shift, &lens, &mut found);
                    }
                }
                found
            })
            .collect();
        for (slot, ball) in movers.balls().enumerate() {
            push(Thing::Vehicle(slot as u16), ball, Vec3::zeros(), &lens, &mut objects);
        }
        objects.sort_by(|a, b| a.near.total_cmp(&b.near));
        let (across, down) = (lens.size.0.div_ceil(TILE), lens.size.1.div_ceil(TILE));
        let tiles = (0..down).into_par_iter().flat_map_iter(|y| band(&objects, across, y as u16)).collect();
        Self { across, objects, tiles }
    }

    /// The nearest object that a ray through pixel `(x, y)` of `row` meets.
    pub(crate) fn meet(
        &self,
        scene: &Scene,
        movers: &Movers,
        row: &Row,
        direction: Vec3,
        (x, y): (f32, f32),
    ) -> Hit {
        let mut best = Hit { t: f32::INFINITY, target: Target::Sky };
        let length2 = direction.norm_squared();
        let tile = (y.max(0.0) as usize / TILE) * self.across + x.max(0.0) as usize / TILE;
        let Some(list) = self.tiles.get(tile) else { return best };
        for &index in list {
            let object = &self.objects[index as usize];
            if object.near >= best.t {
                break;
            }
            let to_center = object.center - row.origin;
            let along = to_center.dot(&direction);
            let outside = to_center.norm_squared() - object.radius * object.radius;
            if outside * length2 < along * along {
                object.meet(scene, movers, row, direction, &mut best);
            }
        }
        best
    }
}

/// Lists the seen ones of `solids` and `trees`.
fn standing<'a>(
    scene: &Scene,
    solids: impl Iterator<Item = &'a u32>,
    trees: impl Iterator<Item = &'a u32>,
    shift: Vec3,
    lens: &Lens,
    found: &mut Vec<Object>,
) {
    for &i in solids {
        let solid = &scene.solids[i as usize];
        let before = found.len();
        push(Thing::Solid(i), solid.ball(), shift, lens, found);
        let corners = solid.corners().map(|corner| corner + shift);
        let (true, Some((near, tiles))) = (found.len() > before, lens.hull_seen(&corners)) else { continue };
        // Both bounds hold: of the ball and of the cuboid, which is inside it.
        let object = &mut found[before];
        (object.near, object.tiles) = (object.near.max(near), tiles);
    }
    for &i in trees {
        let tree = &scene.trees[i as usize];
        let depth = (lens.camera_from_world * (tree.center + shift - lens.origin)).z;
        if tree.radius * lens.focal.0 < CLUMPS_FROM_PX * depth {
            push(Thing::Tree(i), tree.ball(), shift, lens, found);
        } else if lens.seen(tree.center + shift, tree.radius).is_some() {
            for (k, clump) in tree.clumps.iter().enumerate() {
                let part = Ball { center: clump.center, radius: clump.radius };
                push(Thing::Clump { tree: i, clump: k as u8 }, part, shift, lens, found);
            }
        }
    }
}

fn push(thing: Thing, ball: Ball, shift: Vec3, lens: &Lens, found: &mut Vec<Object>) {
    let center = ball.center + shift;
    if let Some((near, tiles)) = lens.seen(center, ball.radius) {
        // A little larger, so that rounding loses no ray at the rim.
        found.push(Object { thing, center, radius: ball.radius + 1e-3, shift, near, tiles });
    }
}

/// The lists of one row of tiles.
fn band(objects: &[Object], across: usize, y: u16) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new(); across];
    for (i, object) in objects.iter().enumerate() {
        let [x0, x1, y0, y1] = object.tiles;
        if y0 <= y && y <= y1 {
            lists[x0 as usize..=x1 as usize].iter_mut().for_each(|list| list.push(i as u32));
        }
    }
    lists
}

impl Object {
    /// Replaces `best` by a nearer hit.
    fn meet(&self, scene: &Scene, movers: &Movers, row: &Row, direction: Vec3, best: &mut Hit) {
        let origin = row.origin - self.shift;
        match self.thing {
            Thing::Solid(index) => {
                let solid = &scene.solids[index as usize];
                if let Some(hit) = solid.intersect(origin, direction, 1e-3)
                    && hit.t < best.t
                {
                    *best = Hit { t: hit.t, target: Target::Solid { index, face: hit.face as u8 } };
                }
            }
            Thing::Tree(index) => {
                if let Some(hit) = scene.trees[index as usize].intersect(origin, direction, 1e-3, best.t) {
                    let target = Target::Tree { index, clump: hit.clump as u8, normal: hit.normal };
                    *best = Hit { t: hit.t, target };
                }
            }
            Thing::Clump { tree, clump } => {
                let whole = &scene.trees[tree as usize];
                let part = &whole.clumps[clump as usize];
                let reach = ball(part.center - origin, part.radius, direction, direction.norm_squared());
                let hit = reach.and_then(|r| whole.leaf(part, r, origin, direction, 1e-3, best.t));
                if let Some((t, normal)) = hit {
                    *best = Hit { t, target: Target::Tree { index: tree, clump, normal } };
                }
            }
            Thing::Vehicle(slot) => {
                let placement = &row.placements[slot as usize];
                if let Some(hit) = movers.intersect_one(slot, placement, row.origin, direction)
                    && hit.t < best.t
                {
                    *best = hit;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tangents_enclose_the_circle() {
        let (low, high) = slopes(1.0, 5.0, 0.7);
        for i in 0..100 {
            let (sin, cos) = (i as f32 * 0.0628).sin_cos();
            let slope = (1.0 + 0.7 * sin) / (5.0 + 0.7 * cos);
            assert!(low - 1e-5 < slope && slope < high + 1e-5);
        }
        assert!((high - low) < 0.32);
        assert_eq!(slopes(0.1, 0.1, 0.7), (f32::NEG_INFINITY, f32::INFINITY));
        let (low, high) = slopes(3.0, 0.1, 0.7);
        assert!(low > 3.0 && high == f32::INFINITY);
    }
}
