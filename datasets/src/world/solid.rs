//! Shapes that rays meet: convex bodies with flat faces, and crowns of foliage.

use super::Vec3;
use super::noise::{hash, mix, unit, value_noise_3d};

/// What a face is made of; decides colour and pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    /// Rendered or clad wall with windows.
    Wall,
    /// Wall of a barn or hall: vertical boards or sheets.
    Cladding,
    /// Interlocking tiles in courses.
    Tiles,
    /// Corrugated sheet.
    Sheet,
    /// Flat roof of gravel or bitumen with a border.
    FlatRoof,
    /// Brick or concrete without pattern.
    Plain,
    /// Car paint.
    Paint,
    /// Car glass.
    Glass,
    /// Tyres, gaps, undersides.
    Rubber,
    /// Bus side: a band of windows over paint.
    WindowBand,
    /// Front and back of a vehicle with lamps.
    Lamps,
}

/// A half space `normal . p <= offset` in the body's own frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    pub(crate) normal: Vec3,
    pub(crate) offset: f32,
    pub(crate) material: Material,
}

impl Plane {
    /// The plane through `point`; `normal` of any length.
    pub(crate) fn through(point: Vec3, normal: Vec3, material: Material) -> Self {
        let normal = normal.normalize();
        Self { normal, offset: normal.dot(&point), material }
    }
}

/// Where a body stands and which way it is turned about the vertical.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) position: Vec3,
    pub(crate) cos: f32,
    pub(crate) sin: f32,
}

impl Placement {
    pub(crate) fn new(position: Vec3, yaw: f32) -> Self {
        Self { position, cos: yaw.cos(), sin: yaw.sin() }
    }

    /// The placement `share` of the way to a near one.
    pub(crate) fn towards(&self, other: &Self, share: f32) -> Self {
        Self {
            position: self.position + (other.position - self.position) * share,
            cos: mix(self.cos, other.cos, share),
            sin: mix(self.sin, other.sin, share),
        }
    }

    pub(crate) fn local_direction(&self, d: Vec3) -> Vec3 {
        Vec3::new(self.cos * d.x + self.sin * d.y, self.cos * d.y - self.sin * d.x, d.z)
    }

    pub(crate) fn local_point(&self, p: Vec3) -> Vec3 {
        self.local_direction(p - self.position)
    }

    pub(crate) fn world_direction(&self, d: Vec3) -> Vec3 {
        Vec3::new(self.cos * d.x - self.sin * d.y, self.sin * d.x + self.cos * d.y, d.z)
    }

    pub(crate) fn world_point(&self, p: Vec3) -> Vec3 {
        self.world_direction(p) + self.position
    }
}

/// The first planes of every body are those of a cuboid: +x, -x, +y, -y, +z, -z.
const CUBOID: usize = 6;

/// A convex body: what lies behind all of its planes.
#[derive(Clone, Debug)]
pub(crate) struct Convex {
    pub(crate) planes: Vec<Plane>,
    /// A ball around it, in its own frame; the ball also encloses the cuboid `center - half..center + half`, which
    /// encloses the body.
    pub(crate) center: Vec3,
    pub(crate) radius: f32,
    pub(crate) half: Vec3,
    /// Two colours that its materials use.
    pub(crate) colors: [[f32; 3]; 2],
    pub(crate) seed: u32,
}

/// A met face: how far, which, and its outward normal in the body's own frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaceHit {
    pub(crate) t: f32,
    pub(crate) face: usize,
}

impl Convex {
    /// A box `from..to`; `materials` are those of the sides, the front (+x), the back and the top.
    pub(crate) fn cuboid(
        from: Vec3,
        to: Vec3,
        materials: [Material; 4],
        colors: [[f32; 3]; 2],
        seed: u32,
    ) -> Self {
        let [side, front, back, top] = materials;
        let planes = vec![
            Plane { normal: Vec3::x(), offset: to.x, material: front },
            Plane { normal: -Vec3::x(), offset: -from.x, material: back },
            Plane { normal: Vec3::y(), offset: to.y, material: side },
            Plane { normal: -Vec3::y(), offset: -from.y, material: side },
            Plane { normal: Vec3::z(), offset: to.z, material: top },
            Plane { normal: -Vec3::z(), offset: -from.z, material: Material::Rubber },
        ];
        let half = (to - from) / 2.0;
        Self { planes, center: (from + to) / 2.0, radius: half.norm(), half, colors, seed }
    }

    /// The same body, cut off by more planes.
    pub(crate) fn cut(mut self, planes: impl IntoIterator<Item = Plane>) -> Self {
        self.planes.extend(planes);
        self
    }

    /// The first face that the ray `origin + t direction` (in the body's own frame) enters after `from`.
    pub(crate) fn intersect(&self, origin: Vec3, direction: Vec3, from: f32) -> Option<FaceHit> {
        let to_center = self.center - origin;
        let along = to_center.dot(&direction);
        if (to_center.norm_squared() - self.radius * self.radius) * direction.norm_squared() > along * along {
            return None;
        }
        self.enter(origin, direction, from, f32::INFINITY)
    }

    /// The same for a ray that meets the body's ball: the face that it enters between `from` and `to`.
    #[inline]
    pub(crate) fn enter(&self, origin: Vec3, direction: Vec3, from: f32, to: f32) -> Option<FaceHit> {
        let (mut enter, mut leave, mut face) = (from, to, usize::MAX);
        for axis in 0..3 {
            // Where the ray runs along the slab, the infinities say whether it is between the planes.
            let inverse = 1.0 / direction[axis];
            let (low, high) = (-self.planes[2 * axis + 1].offset, self.planes[2 * axis].offset);
            let (a, b) = ((low - origin[axis]) * inverse, (high - origin[axis]) * inverse);
            let (first, last, side) = if inverse > 0.0 { (a, b, 1) } else { (b, a, 0) };
            if first > enter {
                (enter, face) = (first, 2 * axis + side);
            }
            leave = if last < leave { last } else { leave };
        }
        if enter >= leave {
            return None;
        }
        for (i, plane) in self.planes.iter().enumerate().skip(CUBOID) {
            let closing = plane.normal.dot(&direction);
            let gap = plane.offset - plane.normal.dot(&origin);
            if closing < 0.0 {
                let t = gap / closing;
                if t > enter {
                    (enter, face) = (t, i);
                }
            } else if closing > 0.0 {
                leave = leave.min(gap / closing);
            } else if gap < 0.0 {
                return None;
            }
            if enter >= leave {
                return None;
            }
        }
        (face != usize::MAX).then_some(FaceHit { t: enter, face })
    }
}

/// A building or part of one, standing somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Solid {
    pub(crate) placement: Placement,
    pub(crate) body: Convex,
    /// Middle of the body's ball in the world.
    pub(crate) center: Vec3,
}

impl Solid {
    pub(crate) fn intersect(&self, origin: Vec3, direction: Vec3, from: f32) -> Option<FaceHit> {
        // Most rays miss the ball: say so before turning them into the body's frame.
        let to_center = self.center - origin;
        let (along, length2) = (to_center.dot(&direction), direction.norm_squared());
        let radius2 = self.body.radius * self.body.radius;
        if (to_center.norm_squared() - radius2) * length2 > along * along {
            return None;
        }
        let origin = self.placement.local_point(origin);
        self.body.enter(origin, self.placement.local_direction(direction), from, f32::INFINITY)
    }
}

/// A ball around something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ball {
    pub(crate) center: Vec3,
    pub(crate) radius: f32,
}

impl Ball {
    /// A ball around balls, of which there is at least one.
    pub(crate) fn around(balls: &[Self]) -> Self {
        let center = balls.iter().map(|b| b.center).sum::<Vec3>() / balls.len() as f32;
        let reach = |b: &Self| (b.center - center).norm() + b.radius;
        Self { center, radius: balls.iter().map(reach).fold(0.0, f32::max) }
    }
}

impl Solid {
    pub(crate) fn ball(&self) -> Ball {
        Ball { center: self.center, radius: self.body.radius }
    }

    /// Corners of a cuboid around it.
    pub(crate) fn corners(&self) -> [Vec3; 8] {
        std::array::from_fn(|i| {
            let side = |bit: usize| if i & bit == 0 { -1.0 } else { 1.0 };
            let out = self.body.half.component_mul(&Vec3::new(side(1), side(2), side(4)));
            self.placement.world_point(self.body.center + out)
        })
    }
}

/// A ball of leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clump {
    pub(crate) center: Vec3,
    pub(crate) radius: f32,
    /// Whether light and sight pass between its leaves.
    pub(crate) porous: bool,
}

/// A tree, bush or piece of hedge: several clumps in one ball.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) center: Vec3,
    pub(crate) radius: f32,
    pub(crate) clumps: Vec<Clump>,
    pub(crate) color: [f32; 3],
    pub(crate) seed: u32,
}

/// A met clump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClumpHit {
    pub(crate) t: f32,
    pub(crate) clump: usize,
    pub(crate) normal: Vec3,
}

/// Foliage has gaps down to this size in metres.
const LEAF_M: f32 = 0.21;
/// The rims of gaps are ragged at this many times finer a scale, and this much.
const FINER: f32 = 2.9;
const RAGGED: f32 = 0.36;
/// Share of a porous clump's surface that is gap.
const GAP: f32 = 0.40;

impl Tree {
    /// The first leaf surface that the ray meets between `from` and `to`.
    pub(crate) fn intersect(&self, origin: Vec3, direction: Vec3, from: f32, to: f32) -> Option<ClumpHit> {
        let a = direction.norm_squared();
        let (enter, leave) = ball(self.center - origin, self.radius, direction, a)?;
        if leave < from || enter > to {
            return None;
        }
        let mut best: Option<ClumpHit> = None;
        for (i, clump) in self.clumps.iter().enumerate() {
            let Some((enter, leave)) = ball(clump.center - origin, clump.radius, direction, a) else {
                continue;
            };
            let limit = best.map_or(to, |b| b.t);
            if let Some((t, normal)) = self.leaf(clump, (enter, leave), origin, direction, from, limit) {
                best = Some(ClumpHit { t, clump: i, normal });
            }
        }
        best
    }

    /// The first leaf of a clump that the ray meets between `from` and `to`, and the clump's normal there;
    /// `reach` is where the ray enters and leaves the clump.
    pub(crate) fn leaf(
        &self,
        clump: &Clump,
        reach: (f32, f32),
        origin: Vec3,
        direction: Vec3,
        from: f32,
        to: f32,
    ) -> Option<(f32, Vec3)> {
        for t in [reach.0, reach.1] {
            if t <= from || t >= to {
                continue;
            }
            let p = origin + direction * t;
            if !clump.porous || !self.gap(p) {
                return Some((t, (p - clump.center) / clump.radius));
            }
        }
        None
    }

    /// Whether any leaf stands in the ray's way after `from`.
    pub(crate) fn blocks(&self, origin: Vec3, direction: Vec3, from: f32) -> bool {
        let a = direction.norm_squared();
        let meets = |clump: &Clump| {
            let reach = ball(clump.center - origin, clump.radius, direction, a);
            reach.is_some_and(|r| self.leaf(clump, r, origin, direction, from, f32::INFINITY).is_some())
        };
        ball(self.center - origin, self.radius, direction, a).is_some_and(|(_, leave)| leave > from)
            && self.clumps.iter().any(meets)
    }

    pub(crate) fn ball(&self) -> Ball {
        Ball { center: self.center, radius: self.radius }
    }

    /// Whether there is no leaf at `p`. A function of the place alone, so that every view sees the same tree.
    fn gap(&self, p: Vec3) -> bool {
        let noise = |per_m: f32, seed: u32| value_noise_3d(p.x * per_m, p.y * per_m, p.z * per_m, seed);
        let broad = noise(1.0 / LEAF_M, self.seed);
        // Far from the threshold the finer noise decides nothing.
        (broad - GAP).abs() >= 0.5 * RAGGED && broad < GAP
            || (broad - GAP).abs() < 0.5 * RAGGED
                && broad + RAGGED * (noise(FINER / LEAF_M, self.seed.rotate_left(11)) - 0.5) < GAP
    }

    /// Random number in `[0, 1)` that belongs to one clump.
    pub(crate) fn clump_tone(&self, clump: usize) -> f32 {
        unit(hash(clump as u32, 17, self.seed))
    }
}

/// Where a ray enters and leaves a ball at `to_center` from its origin; `a` is the direction's squared length.
#[inline]
pub(crate) fn ball(to_center: Vec3, radius: f32, direction: Vec3, a: f32) -> Option<(f32, f32)> {
    let along = to_center.dot(&direction);
    let root2 = along * along - a * (to_center.norm_squared() - radius * radius);
    if root2 <= 0.0 {
        return None;
    }
    let root = root2.sqrt();
    Some(((along - root) / a, (along + root) / a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_enters_the_face_it_should() {
        let colors = [[0.5; 3]; 2];
        let body = Convex::cuboid(
            Vec3::new(-2.0, -1.0, 0.0),
            Vec3::new(2.0, 1.0, 3.0),
            [Material::Wall; 4],
            colors,
            1,
        );
        let down = body.intersect(Vec3::new(0.5, 0.5, 10.0), -Vec3::z(), 0.0).unwrap();
        assert_eq!((down.t, down.face), (7.0, 4));
        let roof = Plane::through(Vec3::new(0.0, 0.0, 3.0), Vec3::new(0.0, 1.0, 1.0), Material::Tiles);
        let cut = body.cut([roof]).intersect(Vec3::new(0.5, 0.5, 10.0), -Vec3::z(), 0.0).unwrap();
        assert!((cut.t - 7.5).abs() < 1e-5);
        assert_eq!(cut.face, 6);
    }

    #[test]
    fn a_ray_beside_the_body_or_behind_the_start_meets_nothing() {
        let body =
            Convex::cuboid(-Vec3::repeat(1.0), Vec3::repeat(1.0), [Material::Plain; 4], [[0.5; 3]; 2], 1);
        assert!(body.intersect(Vec3::new(1.5, 0.0, 10.0), -Vec3::z(), 0.0).is_none());
        assert!(body.intersect(Vec3::new(0.0, 0.0, 10.0), -Vec3::z(), 9.5).is_none());
    }

    #[test]
    fn a_dense_clump_is_a_ball() {
        let clumps = vec![Clump { center: Vec3::zeros(), radius: 2.0, porous: false }];
        let tree = Tree { center: Vec3::zeros(), radius: 2.0, clumps, color: [0.1; 3], seed: 3 };
        let hit = tree.intersect(Vec3::new(0.0, 0.0, 10.0), -Vec3::z() * 2.0, 0.0, 100.0).unwrap();
        assert!((hit.t - 4.0).abs() < 1e-6);
        assert!((hit.normal - Vec3::z()).norm() < 1e-6);
    }
}
