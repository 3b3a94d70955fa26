//! Vehicles cut out of aerial photographs and driven over them.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use geometry::{BoundingBox, RgbImage};

use crate::clip::{Clip, Shot};

/// Sides of a target in pixels.
const SIDES: std::ops::Range<f32> = 16.0..110.0;
/// A target lies along one axis of the photograph, so that its outline is known when it turns.
const LEAST_ASPECT: f32 = 1.5;
/// Turn of a driving target in radians over the whole sequence.
const TURN_RAD: f32 = 1.8;

/// The photograph number `index` with a target that fits, which drives if the number is odd.
pub fn clip(folder: &Path, index: usize, frames: usize) -> Result<Clip, Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(folder.join("labels"))?
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    // Neighbours in the list are often the same scene.
    let spread = files.iter().cycle().skip(index * files.len() / 6).take(files.len());
    for labels in spread {
        let stem = labels.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let image = image::open(folder.join(format!("images/{stem}.jpg")))?.to_rgb8();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let image = RgbImage::from_vec(width, height, image.into_raw())?;
        if let Some(target) = central_target(&fs::read_to_string(labels)?, [width as f32, height as f32]) {
            let set = folder.file_name().unwrap_or_default().to_string_lossy();
            let shots = drive(&image, &target, frames, index % 2 == 1);
            return Ok(Clip { name: format!("{set}-{stem}"), shots, view: [360.0, 280.0], turns: true });
        }
    }
    Err("expected a photograph with a target that fits".into())
}

/// The target nearest to the middle of a photograph that is high enough.
fn central_target(labels: &str, size: [f32; 2]) -> Option<BoundingBox> {
    let parse = |line: &str| {
        let numbers: Vec<f32> = line.split_whitespace().skip(1).filter_map(|v| v.parse().ok()).collect();
        let [x, y, w, h] = numbers[..] else { return None };
        let [w, h] = [w * size[0], h * size[1]];
        Some(BoundingBox::new(x * size[0] - w / 2.0, y * size[1] - h / 2.0, w, h))
    };
    let fits = |b: &BoundingBox| {
        let (short, long) = (b.width.min(b.height), b.width.max(b.height));
        size[1] > 400.0 && SIDES.contains(&short) && SIDES.contains(&long) && long / short > LEAST_ASPECT
    };
    let offset = |b: &BoundingBox| {
        let (x, y) = b.center();
        (x - size[0] / 2.0).hypot(y - size[1] / 2.0)
    };
    labels.lines().filter_map(parse).filter(fits).min_by(|a, b| offset(a).total_cmp(&offset(b)))
}

fn drive(image: &RgbImage, target: &BoundingBox, frames: usize, moves: bool) -> Vec<Shot> {
    let whole = Arc::new(image.clone());
    let without = without_target(image, target);
    let start = [target.center().0, target.center().1];
    let half = [target.width / 2.0, target.height / 2.0];
    let along = if half[0] > half[1] { 0.0 } else { std::f32::consts::FRAC_PI_2 };
    let speed = 0.08 * half[0].max(half[1]);
    let (mut at, mut shots) = (start, Vec::new());
    for index in 0..frames {
        if !moves {
            shots.push(Shot::of_box(Arc::clone(&whole), target));
            continue;
        }
        let turn = TURN_RAD * (1.0 - (std::f32::consts::TAU * index as f32 / frames as f32).cos()) / 2.0;
        let mut driven = without.clone();
        paste(&mut driven, image, target, at, turn);
        let corner = |x: f32, y: f32| {
            let [x, y] = turned([x * half[0], y * half[1]], turn);
            [at[0] + x, at[1] + y]
        };
        let outline = [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
        shots.push(Shot { image: Arc::new(driven), outline });
        at = [at[0] + speed * (along + turn).cos(), at[1] + speed * (along + turn).sin()];
    }
    shots
}

/// The ground instead of the target: what lies beside it.
fn without_target(image: &RgbImage, target: &BoundingBox) -> RgbImage {
    let mut out = image.clone();
    let shift = [0.0, target.height + 4.0];
    let from = BoundingBox { y: target.y + shift[1], ..*target };
    paste(&mut out, image, &from, [target.center().0, target.center().1], 0.0);
    out
}

/// Paints what `from` shows around `at`, turned, with soft edges.
fn paste(out: &mut RgbImage, image: &RgbImage, from: &BoundingBox, at: [f32; 2], turn: f32) {
    let half = [from.width / 2.0 + 2.0, from.height / 2.0 + 2.0];
    let radius = half[0].hypot(half[1]);
    let rows = (at[1] - radius).max(0.0) as usize..((at[1] + radius).max(0.0) as usize).min(out.height());
    let columns = (at[0] - radius).max(0.0) as usize..((at[0] + radius).max(0.0) as usize).min(out.width());
    for (x, y) in rows.flat_map(|y| columns.clone().map(move |x| (x, y))) {
        let local = turned([x as f32 + 0.5 - at[0], y as f32 + 0.5 - at[1]], -turn);
        let inside = [0, 1].map(|axis| (half[axis] - local[axis].abs()) / 4.0);
        let opacity = inside[0].min(inside[1]).clamp(0.0, 1.0);
        if opacity > 0.0 {
            let (cx, cy) = from.center();
            let colour = crate::script::sample(image, [cx + local[0], cy + local[1]]);
            let below = out.pixel(x, y);
            let mix = |c: usize| (opacity * colour[c] + (1.0 - opacity) * f32::from(below[c])) as u8;
            out.set_pixel(x, y, [mix(0), mix(1), mix(2)]);
        }
    }
}

/// `v` turned by an angle in radians, from x towards y.
pub fn turned(v: [f32; 2], angle_rad: f32) -> [f32; 2] {
    let (sin, cos) = angle_rad.sin_cos();
    [cos * v[0] - sin * v[1], sin * v[0] + cos * v[1]]
}
