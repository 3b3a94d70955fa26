//! Which objects each part of the picture may show, nearest first: rays then meet a few instead of looking for them.

use geometry::PinholeCamera;
use nalgebra::Matrix3;
use rayon::prelude::*;

use super::Vec3;
use super::packet::{Lanes, Packet};
use super::render::Row;
use super::scene::{Hit, Scene, Target, VIEW_M};
use super::solid::{Ball, ball};
use super::vehicles::Movers;

/// Rows and columns of pixels that share a list.
pub(crate) const TILE: usize = 8;
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
    /// First and last column and row of pixels that may show it.
    pixels: [u16; 4],
}

/// The objects of one frame by tiles of its picture.
#[derive(Debug)]
pub(crate) struct View {
    across: usize,
    objects: Vec<Object>,
    /// Indices into `objects`, nearest first, tile after tile.
    listed: Vec<u32>,
    /// Where in `listed` each tile begins, and the last one ends.
    starts: Vec<u32>,
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

    /// Nearest depth of a ball and the pixels that may show it; `None` where it is not seen.
    fn seen(&self, center: Vec3, radius: f32) -> Option<(f32, [u16; 4])> {
        let (near, extent) = self.extent(center, radius)?;
        Some((near, self.pixels(extent)?))
    }

    /// The same for the convex hull of points, which a ball around them only bounds loosely.
    fn hull_seen(&self, points: &[Vec3]) -> Option<(f32, [u16; 4])> {
        let mut hull = (f32::INFINITY, [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY]);
        for &point in points {
            let (near, [x0, x1, y0, y1]) = self.extent(point, 0.01).filter(|(near, _)| *near > 0.0)?;
            let [a, b, c, d] = hull.1;
            hull = (hull.0.min(near), [a.min(x0), b.max(x1), c.min(y0), d.max(y1)]);
        }
        Some((hull.0, self.pixels(hull.1)?))
    }

    fn pixels(&self, [x0, x1, y0, y1]: [f32; 4]) -> Option<[u16; 4]> {
        let (left, right) = pixels(x0, x1, self.size.0)?;
        let (top, bottom) = pixels(y0, y1, self.size.1)?;
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

/// First and last pixel along an axis of `size` pixels, with one to spare; `None` outside the picture.
fn pixels(low: f32, high: f32, size: usize) -> Option<(u16, u16)> {
    let last = (size - 1) as f32;
    let (from, to) = (low - 1.0, high + 1.0);
    let pixel = |v: f32| v.clamp(0.0, last) as u16;
    (to >= 0.0 && from <= last).then(|| (pixel(from), pixel(to)))
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
        objects.sort_unstable_by(|a, b| a.near.total_cmp(&b.near));
        let (across, down) = (lens.size.0.div_ceil(TILE), lens.size.1.div_ceil(TILE));
        let (listed, starts) = lists(&objects, across, down);
        Self { across, objects, listed, starts }
    }

    /// The nearest object that each ray of `packet` meets; all go through pixels of the tile of pixel `(x, y)`.
    pub(crate) fn meet<const N: usize>(
        &self,
        scene: &Scene,
        movers: &Movers,
        packet: &Packet<'_, N>,
        (x, y): (usize, usize),
    ) -> [Hit; N] {
        let mut best = [Hit { t: f32::INFINITY, target: Target::Sky }; N];
        let mut farthest = f32::INFINITY;
        let tile = y / TILE * self.across + x / TILE;
        let list = self.starts[tile] as usize..self.starts[tile + 1] as usize;
        for &index in &self.listed[list] {
            let object = &self.objects[index as usize];
            if object.near >= farthest {
                break;
            }
            if !(object.pixels[2]..=object.pixels[3]).contains(&(y as u16)) {
                continue;
            }
            let lanes = packet.meet_ball(object.center, object.radius);
            if lanes.is_empty() {
                continue;
            }
            object.meet(scene, movers, packet, lanes, &mut best);
            farthest = best.iter().map(|hit| hit.t).fold(0.0, f32::max);
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
        let (true, Some((near, pixels))) = (found.len() > before, lens.hull_seen(&corners)) else { continue };
        // Both bounds hold: of the ball and of the cuboid, which is inside it.
        let object = &mut found[before];
        (object.near, object.pixels) = (object.near.max(near), pixels);
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
    if let Some((near, pixels)) = lens.seen(center, ball.radius) {
        // A little larger, so that rounding loses no ray at the rim.
        found.push(Object { thing, center, radius: ball.radius + 1e-3, shift, near, pixels });
    }
}

/// The objects of every tile in the order of `objects`, tile after tile, and where each tile begins.
fn lists(objects: &[Object], across: usize, down: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; across * down + 1];
    for object in objects {
        object.each_tile(across, |tile| starts[tile + 1] += 1);
    }
    for tile in 1..starts.len() {
        starts[tile] += starts[tile - 1];
    }
    let mut listed = vec![0; starts[across * down] as usize];
    let mut next = starts.clone();
    for (i, object) in (0..).zip(objects) {
        object.each_tile(across, |tile| {
            listed[next[tile] as usize] = i;
            next[tile] += 1;
        });
    }
    (listed, starts)
}

impl Object {
    /// Calls `act` with the number of each tile that may show it.
    fn each_tile(&self, across: usize, mut act: impl FnMut(usize)) {
        let [x0, x1, y0, y1] = self.pixels.map(|v| usize::from(v) / TILE);
        for y in y0..=y1 {
            (y * across + x0..=y * across + x1).for_each(&mut act);
        }
    }

    /// Replaces the `best` of `lanes` by nearer hits.
    fn meet<const N: usize>(
        &self,
        scene: &Scene,
        movers: &Movers,
        packet: &Packet<'_, N>,
        lanes: Lanes,
        best: &mut [Hit; N],
    ) {
        let origin = packet.row.origin - self.shift;
        let rays = lanes.map(|lane| (lane, packet.directions[lane]));
        match self.thing {
            Thing::Solid(index) => {
                let solid = &scene.solids[index as usize];
                let local_origin = solid.placement.local_point(origin);
                for (lane, direction) in rays {
                    let direction = solid.placement.local_direction(direction);
                    if let Some(hit) = solid.body.enter(local_origin, direction, 1e-3, best[lane].t) {
                        best[lane] = Hit { t: hit.t, target: Target::Solid { index, face: hit.face as u8 } };
                    }
                }
            }
            Thing::Tree(index) => {
                let tree = &scene.trees[index as usize];
                for (lane, direction) in rays {
                    if let Some(hit) = tree.intersect(origin, direction, 1e-3, best[lane].t) {
                        let target = Target::Tree { index, clump: hit.clump as u8, normal: hit.normal };
                        best[lane] = Hit { t: hit.t, target };
                    }
                }
            }
            Thing::Clump { tree, clump } => {
                let whole = &scene.trees[tree as usize];
                let part = &whole.clumps[clump as usize];
                for (lane, direction) in rays {
                    let reach = ball(part.center - origin, part.radius, direction, direction.norm_squared());
                    let hit = reach.and_then(|r| whole.leaf(part, r, origin, direction, 1e-3, best[lane].t));
                    if let Some((t, normal)) = hit {
                        best[lane] = Hit { t, target: Target::Tree { index: tree, clump, normal } };
                    }
                }
            }
            Thing::Vehicle(slot) => {
                let placement = &packet.row.placements[slot as usize];
                for (lane, direction) in rays {
                    if let Some(hit) = movers.intersect_one(slot, placement, origin, direction)
                        && hit.t < best[lane].t
                    {
                        best[lane] = hit;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::render::Shot;
    use crate::world::{Motion, World, WorldConfig};

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

    /// The nearest of everything there is, met one by one.
    fn nearest_of_all(world: &World, shot: &Shot, row: &Row, direction: Vec3) -> f32 {
        let scene = &world.scene;
        let mut best = f32::INFINITY;
        for shift in Scene::copies(row.origin, VIEW_M) {
            let origin = row.origin - shift;
            for hit in scene.solids.iter().filter_map(|solid| solid.intersect(origin, direction, 1e-3)) {
                best = best.min(hit.t);
            }
            for tree in &scene.trees {
                best = tree.intersect(origin, direction, 1e-3, best).map_or(best, |hit| hit.t);
            }
        }
        for (slot, placement) in (0..).zip(&row.placements) {
            let hit = shot.movers.intersect_one(slot, placement, row.origin, direction);
            best = hit.map_or(best, |hit| best.min(hit.t));
        }
        best
    }

    #[test]
    fn the_lists_miss_nothing() {
        for (seed, motion) in [(1, Motion::Nadir), (2, Motion::Oblique), (1, Motion::Forward)] {
            let config =
                WorldConfig { seed, width: 156, height: 117, frames: 80, ..WorldConfig::for_motion(motion) };
            let world = World::new(config).unwrap();
            let shot = world.shot(70, 0.0);
            let mut met = 0;
            for (x, y) in (0..117).step_by(9).flat_map(|y| (0..156).step_by(TILE).map(move |x| (x, y))) {
                let row = &shot.rows[y];
                let directions = std::array::from_fn(|k| row.rotation * world.ray((x + k) as f32, y as f32));
                let packet = Packet::<TILE>::new(row, directions);
                let hits = shot.view.meet(&world.scene, &shot.movers, &packet, (x, y));
                // One ray of each packet, another one each time; the last tile reaches out of the picture.
                let lane = (x / TILE + y) % TILE.min(156 - x);
                let nearest = nearest_of_all(&world, &shot, row, directions[lane]);
                assert_eq!(hits[lane].t, nearest, "{motion:?} {x} {y} {lane}: {:?}", hits[lane].target);
                met += usize::from(nearest.is_finite());
            }
            assert!((20..250).contains(&met), "{motion:?}: {met} rays meet something");
        }
    }
}
