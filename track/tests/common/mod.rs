//! Frames made for tests: a textured target over a textured ground.

use std::sync::Arc;

use geometry::{BoundingBox, Frame, PinholeCamera, RgbImage, Timestamp};

pub const SIZE: (usize, usize) = (320, 240);

/// What a frame shows.
#[derive(Clone, Copy)]
pub struct Scene {
    /// Where the target is; `None` for nowhere.
    pub target: Option<BoundingBox>,
    /// By how far the ground, and all on it, was moved by the camera.
    pub camera: (f32, f32),
}

/// Frame `index` of `scene`.
pub fn frame(index: usize, scene: Scene) -> Frame {
    let rgb = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| pixel(x as f32, y as f32, &scene));
    frame_of(index, rgb)
}

pub fn frame_of(index: usize, rgb: RgbImage) -> Frame {
    let (width, height) = rgb.size();
    Frame {
        stamp: Timestamp::from_nanos(index as i64 * 100_000_000),
        seq: index as u64,
        gray: Arc::new(rgb.to_gray()),
        rgb: Some(Arc::new(rgb)),
        camera: Arc::new(PinholeCamera::from_horizontal_fov(width, height, 1.2).unwrap()),
    }
}

fn pixel(x: f32, y: f32, scene: &Scene) -> [u8; 3] {
    let (gx, gy) = (x - scene.camera.0, y - scene.camera.1);
    if let Some(target) = scene.target {
        let (u, v) = ((x - target.x) / target.width, (y - target.y) / target.height);
        if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
            let dark = ((5.0 * u).floor() + (3.0 * v).floor()) as i32 % 2 == 0;
            return if dark { [60, 30, 30] } else { [210, 60, (200.0 * v) as u8] };
        }
    }
    let wave = |a: f32, b: f32, c: f32| (a * gx + b * gy + c).sin();
    let sum = wave(0.11, 0.05, 0.0) + wave(-0.07, 0.13, 1.0) * wave(0.31, 0.47, 2.0) + wave(0.21, -0.17, 3.0);
    let level = 120.0 + 30.0 * sum;
    [level as u8, (level + 15.0) as u8, (level - 20.0) as u8]
}
