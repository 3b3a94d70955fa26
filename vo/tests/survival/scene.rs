//! A small scene that is looked at from any pose: ground and roofs with the synthetic world's texture, and one vehicle.
//!
//! The synthetic world flies along its road; here a test flies as it likes, and an image takes milliseconds. The world
//! frame has z up; lengths are metres.

use std::sync::{Arc, OnceLock};

use datasets::world::{Effects, World, WorldConfig};
use geometry::{Frame, GrayImage, PinholeCamera, Se3, Timestamp};
use nalgebra::{Matrix3, UnitQuaternion, Vector2, Vector3};

pub const WIDTH: usize = 320;
pub const HEIGHT: usize = 240;
pub const FRAME_RATE: f64 = 20.0;
/// Grey values of noise, root mean square.
const NOISE: f64 = 1.5;
/// Texels per metre of ground: about one per pixel from 30 m.
const TEXELS_PER_M: f64 = 8.0;
const TEXTURE_SIDE: usize = 1024;
const SKY: f64 = 215.0;

/// A level rectangle above the ground.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plate {
    pub center: Vector3<f64>,
    /// Half the length along x and along y.
    pub half: Vector2<f64>,
    /// Where in the texture it takes its looks from, in metres.
    pub look: Vector2<f64>,
}

/// What there is to see.
pub struct Scene {
    /// The texture and its reductions by two, finest first.
    levels: Vec<GrayImage>,
    roofs: Vec<Plate>,
    /// Noise of grey values, more of it than an image has pixels; each frame begins elsewhere in it.
    noise: Vec<f64>,
}

/// The scene that all tests share.
pub fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(Scene::new)
}

impl Scene {
    fn new() -> Self {
        let mut levels = vec![texture()];
        while levels.len() < 6 {
            levels.push(levels[levels.len() - 1].reduced(2));
        }
        let mut rng = fastrand::Rng::with_seed(3);
        let mut between = |from: f64, to: f64| from + (to - from) * rng.f64();
        let roof = |_| Plate {
            center: Vector3::new(between(-120.0, 120.0), between(-120.0, 120.0), between(2.0, 6.0)),
            half: Vector2::new(between(2.0, 5.0), between(2.0, 5.0)),
            look: Vector2::new(between(-500.0, 500.0), between(-500.0, 500.0)),
        };
        let roofs = (0..260).map(roof).collect();
        // Four uniform numbers are normal enough.
        let mut noise = |_| NOISE * 3.0_f64.sqrt() * ((0..4).map(|_| rng.f64()).sum::<f64>() - 2.0);
        Self { levels, roofs, noise: (0..1 << 18).map(&mut noise).collect() }
    }

    /// What a camera at `world_from_camera` sees at frame `index`, with noise; `vehicle` hides what is below it.
    pub fn frame(&self, index: usize, world_from_camera: &Se3, vehicle: Option<&Plate>) -> Frame {
        let image = self.image(index, world_from_camera, vehicle);
        frame(index, image)
    }

    fn image(&self, index: usize, world_from_camera: &Se3, vehicle: Option<&Plate>) -> GrayImage {
        let view = View::new(world_from_camera);
        let mut values = vec![(f64::INFINITY, SKY); WIDTH * HEIGHT];
        let ground = Plate { half: Vector2::repeat(f64::INFINITY), ..Plate::default() };
        for plate in [&ground].into_iter().chain(&self.roofs).chain(vehicle) {
            self.paint(&view, plate, &mut values);
        }
        let first = fastrand::Rng::with_seed(index as u64).usize(..self.noise.len());
        GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let pixel = y * WIDTH + x;
            let noise = self.noise[(first + pixel) % self.noise.len()];
            [(values[pixel].1 + noise).round().clamp(0.0, 255.0) as u8]
        })
    }

    /// Paints a plate over what lies behind it: distances and grey values, row by row.
    fn paint(&self, view: &View, plate: &Plate, values: &mut [(f64, f64)]) {
        let Some(([x0, y0], [x1, y1])) = view.bounds(plate) else { return };
        for (y, x) in (y0..y1).flat_map(|y| (x0..x1).map(move |x| (y, x))) {
            let direction = view.directions[y * WIDTH + x];
            let distance = (plate.center.z - view.origin.z) / direction.z;
            let at = view.origin.xy() + direction.xy() * distance - plate.center.xy();
            let hit = at.x.abs() < plate.half.x && at.y.abs() < plate.half.y;
            let behind = &mut values[y * WIDTH + x];
            if direction.z < -0.02 && hit && distance < behind.0 {
                let footprint_m = distance * view.pixel * direction.norm() / -direction.z.min(-0.1);
                *behind = (distance, self.texel(&(at + plate.look), footprint_m * TEXELS_PER_M));
            }
        }
    }

    /// The texture at a place in metres, seen by a pixel that covers `footprint` texels. It repeats mirrored.
    fn texel(&self, at: &Vector2<f64>, footprint: f64) -> f64 {
        let level = (footprint.max(1.0).log2().round() as usize).min(self.levels.len() - 1);
        let image = &self.levels[level];
        let side = (image.width() - 1) as f64;
        let fold = |metres: f64| {
            let texel = (metres * TEXELS_PER_M / (1 << level) as f64).rem_euclid(2.0 * side);
            texel.min(2.0 * side - texel)
        };
        image.sample(fold(at.x), fold(at.y))
    }
}

/// The ground of the synthetic world from above.
fn texture() -> GrayImage {
    let config = WorldConfig {
        frames: 1,
        width: TEXTURE_SIDE,
        height: TEXTURE_SIDE,
        height_m: 90.0,
        effects: Effects::none(),
        ..WorldConfig::default()
    };
    let world = World::new(config).unwrap();
    Arc::unwrap_or_clone(world.frame(0).gray)
}

/// A camera in its place.
struct View {
    origin: Vector3<f64>,
    /// Where each pixel looks, row by row.
    directions: Vec<Vector3<f64>>,
    camera_from_world: Se3,
    /// Size of a pixel on the plane `z = 1`.
    pixel: f64,
}

impl View {
    fn new(world_from_camera: &Se3) -> Self {
        let (rotation, center) = (world_from_camera.rotation_matrix(), camera().center());
        let pixel = 1.0 / camera().focal().x;
        let direction = |i: usize| {
            let from_center = Vector2::new((i % WIDTH) as f64, (i / WIDTH) as f64) - center;
            rotation * (from_center * pixel).push(1.0)
        };
        Self {
            origin: world_from_camera.translation,
            directions: (0..WIDTH * HEIGHT).map(direction).collect(),
            camera_from_world: world_from_camera.inverse(),
            pixel,
        }
    }

    /// The first pixel, and the one past the last, of a rectangle around a plate; `None` where it is out of view.
    fn bounds(&self, plate: &Plate) -> Option<([usize; 2], [usize; 2])> {
        let size = [WIDTH as f64, HEIGHT as f64];
        if plate.half.x.is_infinite() {
            return Some(([0, 0], [WIDTH, HEIGHT]));
        }
        let (mut low, mut high) = (size, [0.0; 2]);
        if (self.camera_from_world * plate.center).z < -plate.half.norm() {
            return None;
        }
        for (x, y) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
            let corner = plate.center + Vector3::new(x * plate.half.x, y * plate.half.y, 0.0);
            let corner = self.camera_from_world * corner;
            // What is partly behind the camera may be anywhere.
            let pixel = (corner.z > 0.1).then(|| camera().project(&corner)).flatten();
            for axis in 0..2 {
                low[axis] = pixel.map_or(0.0, |p| p[axis].floor().max(0.0)).min(low[axis]);
                high[axis] = pixel.map_or(size[axis], |p| p[axis].ceil().min(size[axis])).max(high[axis]);
            }
        }
        let whole = |corner: [f64; 2]| corner.map(|v| v as usize);
        (low[0] < high[0] && low[1] < high[1]).then(|| (whole(low), whole(high)))
    }
}

pub fn camera() -> &'static Arc<PinholeCamera> {
    static CAMERA: OnceLock<Arc<PinholeCamera>> = OnceLock::new();
    CAMERA.get_or_init(|| Arc::new(PinholeCamera::from_horizontal_fov(WIDTH, HEIGHT, 1.2217).unwrap()))
}

/// Frame `index` with a picture of its own.
pub fn frame(index: usize, image: GrayImage) -> Frame {
    let (seq, camera) = (index as u64, Arc::clone(camera()));
    Frame { stamp: stamp(index), seq, gray: Arc::new(image), rgb: None, camera }
}

pub fn stamp(index: usize) -> Timestamp {
    Timestamp::from_secs_f64(index as f64 / FRAME_RATE).unwrap()
}

/// The pose of a camera at `place` that looks `down_rad` below the horizon along `heading_rad`, from x towards y.
pub fn looking(place: Vector3<f64>, heading_rad: f64, down_rad: f64) -> Se3 {
    // From a camera that looks along x, its rows level.
    let forward = UnitQuaternion::from_rotation_matrix(&nalgebra::Rotation3::from_matrix_unchecked(
        Matrix3::new(0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    ));
    let heading = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), heading_rad);
    let down = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), down_rad);
    Se3::new(heading * down * forward, place)
}

/// Level places along x at 30 m, `metres` from the start.
pub fn along(metres: f64) -> Vector3<f64> {
    Vector3::new(metres, 0.0, 30.0)
}

pub const NADIR: f64 = std::f64::consts::FRAC_PI_2;
pub const OBLIQUE: f64 = 0.785;

/// `image` averaged over `length` pixels in x and in y.
pub fn blurred(image: &GrayImage, length: usize) -> GrayImage {
    let rows = averaged(image, length, |x, y| (x, y));
    averaged(&rows, length, |x, y| (y, x))
}

/// Averaged along the axis that `turn` makes the first.
fn averaged(image: &GrayImage, length: usize, turn: impl Fn(usize, usize) -> (usize, usize)) -> GrayImage {
    let (width, height) = image.size();
    GrayImage::from_fn(width, height, |x, y| {
        let (along, across) = turn(x, y);
        let end = turn(width, height).0 - 1;
        let value = |offset: usize| {
            let at = (along + offset).saturating_sub(length / 2).min(end);
            let (x, y) = turn(at, across);
            u32::from(image.pixel(x, y)[0])
        };
        [((0..length).map(value).sum::<u32>() / length as u32) as u8]
    })
}

/// Seconds from `from` on, until `to`.
pub fn ramp(t: f64, from: f64, to: f64) -> f64 {
    t.clamp(from, to) - from
}
