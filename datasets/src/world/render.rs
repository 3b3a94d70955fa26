//! From poses to pixels.

use geometry::{RgbImage, Se3};
use nalgebra::{Matrix3, Vector2, Vector3};
use rayon::prelude::*;

use super::noise::scale3;
use super::scene::{Hit, Target};
use super::shade::Shader;
use super::solid::Placement;
use super::vehicles::Movers;
use super::view::View;
use super::{Vec3, World};

/// One frame's exposure at one moment (per row): where the camera and the vehicles are.
pub(crate) struct Shot {
    pub(crate) rows: Vec<Row>,
    pub(crate) movers: Movers,
    view: View,
}

/// The camera and the vehicles while one row is exposed.
pub(crate) struct Row {
    pub(crate) world_from_camera: Se3,
    /// Vehicles by slot.
    pub(crate) placements: Vec<Placement>,
    pub(crate) origin: Vec3,
    pub(crate) rotation: Matrix3<f32>,
}

impl Row {
    pub(crate) fn new(world_from_camera: Se3, placements: Vec<Placement>) -> Self {
        let origin = world_from_camera.translation.cast();
        let rotation = world_from_camera.rotation_matrix().cast();
        Self { world_from_camera, placements, origin, rotation }
    }
}

/// What one ray saw. `depth_m` is infinite for the sky.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    light: [f32; 3],
    mark: u32,
    pub(crate) depth_m: f32,
    /// Slot of the vehicle seen plus 1; 0 for anything else.
    pub(crate) vehicle: u16,
}

/// Places inside a pixel that, with its centre, smooth an edge; on a slant, so that level and upright edges gain.
const SPOTS: [(f32, f32); 2] = [(-0.33, -0.22), (0.33, 0.22)];
/// Moments of one exposure when motion blurs.
const BLUR_STEPS: usize = 6;
/// Length of an exposure that blurs.
const BLUR_S: f64 = 0.008;

impl World {
    /// Everything that one moment of frame `index` needs; rows differ only with a rolling shutter.
    pub(crate) fn shot(&self, index: usize, offset_s: f64) -> Shot {
        let height = self.config.height;
        let time = |y: usize| self.row_time_s(index, y as f64) + offset_s;
        let camera = self.flight.pose(&self.scene, time(height / 2)).translation.cast();
        let movers = Movers::new(&self.scene, &self.vehicles, camera, [time(0), time(height - 1)]);
        let row = |y: usize| {
            let t = time(y);
            let pose = self.flight.pose(&self.scene, t);
            Row::new(pose, movers.placements(&self.scene, &self.vehicles, t))
        };
        let rows: Vec<Row> = (0..height).into_par_iter().map(row).collect();
        let view = View::new(&self.scene, &movers, &rows, &self.camera);
        Shot { rows, movers, view }
    }

    /// One ray per pixel centre.
    pub(crate) fn trace(&self, shot: &Shot) -> Vec<Sample> {
        let width = self.config.width;
        let shader = self.shader(shot);
        let mut samples =
            vec![Sample { light: [0.0; 3], mark: 0, depth_m: 0.0, vehicle: 0 }; width * shot.rows.len()];
        samples.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = self.look(&shader, shot, y, (x as f32, y as f32));
            }
        });
        samples
    }

    fn shader<'a>(&'a self, shot: &'a Shot) -> Shader<'a> {
        let pixel_rad = 1.0 / self.camera.focal().x as f32;
        Shader { scene: &self.scene, map: &self.map, movers: &shot.movers, pixel_rad }
    }

    /// What the ray through `(x, y)` sees while row `row` is exposed.
    fn look(&self, shader: &Shader<'_>, shot: &Shot, row: usize, (x, y): (f32, f32)) -> Sample {
        let row = &shot.rows[row];
        let direction = row.rotation * self.ray(x, y);
        let mut hit = shot.view.meet(&self.scene, &shot.movers, row, direction, (x, y));
        if let Some(t) = self.scene.meet_land(row.origin, direction, hit.t) {
            hit = Hit { t, target: Target::Ground };
        }
        let (light, mark) = shader.light(row.origin, direction, hit, &row.placements);
        let vehicle = if let Target::Vehicle { slot, .. } = hit.target { slot + 1 } else { 0 };
        Sample { light, mark, depth_m: hit.t, vehicle }
    }

    /// The ray of pixel `(x, y)` in the camera's frame, 1 long along the optical axis: its `t` is depth.
    #[inline]
    pub(crate) fn ray(&self, x: f32, y: f32) -> Vec3 {
        let [per_x, per_y, center_x, center_y] = self.rays;
        Vec3::new((x - center_x) * per_x, (y - center_y) * per_y, 1.0)
    }

    /// Light of every pixel, edges smoothed by more rays.
    fn smoothed(&self, shot: &Shot, samples: &[Sample]) -> Vec<[f32; 3]> {
        let width = self.config.width;
        let shader = self.shader(shot);
        let mut light = vec![[0.0; 3]; samples.len()];
        light.par_chunks_mut(width).enumerate().for_each(|(y, out)| {
            for (x, out) in out.iter_mut().enumerate() {
                let center = samples[y * width + x];
                *out = center.light;
                if !is_edge(samples, width, x, y) {
                    continue;
                }
                let spots =
                    SPOTS.map(|(dx, dy)| self.look(&shader, shot, y, (x as f32 + dx, y as f32 + dy)).light);
                *out = std::array::from_fn(|c| (center.light[c] + spots[0][c] + spots[1][c]) / 3.0);
            }
        });
        light
    }

    /// The picture of frame `index`; `shot` and `samples` are those of the middle of its exposure.
    pub(crate) fn picture(&self, index: usize, shot: &Shot, samples: &[Sample]) -> RgbImage {
        let (width, height) = (self.config.width, self.config.height);
        let light =
            if self.config.effects.motion_blur { self.blurred(index) } else { self.smoothed(shot, samples) };
        let mut image = RgbImage::filled(width, height, [0; 3]);
        let gain = self.sensor.gain(self.row_time_s(index, 0.0));
        image.as_mut_slice().par_chunks_mut(3 * width).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let gain = gain * self.vignette(x as f32, y as f32);
                let light = scale3(light[y * width + x], gain);
                pixel.copy_from_slice(&self.sensor.develop(light, index as u32, (y * width + x) as u32));
            }
        });
        image
    }

    fn blurred(&self, index: usize) -> Vec<[f32; 3]> {
        let mut sum = vec![[0.0_f32; 3]; self.config.width * self.config.height];
        for k in 0..BLUR_STEPS {
            let offset = ((k as f64 + 0.5) / BLUR_STEPS as f64 - 0.5) * BLUR_S;
            let shot = self.shot(index, offset);
            let samples = self.trace(&shot);
            for (sum, light) in sum.iter_mut().zip(self.smoothed(&shot, &samples)) {
                *sum = std::array::from_fn(|c| sum[c] + light[c] / BLUR_STEPS as f32);
            }
        }
        sum
    }

    /// The lens darkens the corners: the cosine to the fourth power, half of it corrected.
    #[inline]
    fn vignette(&self, x: f32, y: f32) -> f32 {
        let ray = self.ray(x, y);
        1.0 / ray.norm_squared()
    }

    /// Where `point` is in the picture that `rows` were exposed for: the row that sees it fixes the moment, the
    /// moment fixes the row, so a few rounds are made. `point` may move: it is asked for per row.
    /// `None` behind the camera.
    pub(crate) fn project(
        &self,
        rows: &[Row],
        start_row: f64,
        point: impl Fn(f64) -> Vector3<f64>,
    ) -> Option<Vector2<f64>> {
        let mut row = start_row;
        let mut pixel = None;
        for _ in 0..5 {
            let camera_from_world = pose_at(rows, row).inverse();
            let seen = self.camera.project(&(camera_from_world * point(row)))?;
            row = seen.y.clamp(0.0, (rows.len() - 1) as f64);
            pixel = Some(seen);
        }
        pixel
    }

    /// Whether the ray of pixel `(x, y)` meets the vehicle in `slot`, whatever stands before it.
    pub(crate) fn meets(&self, shot: &Shot, slot: u16, x: usize, y: usize) -> Option<Hit> {
        let row = &shot.rows[y];
        let direction = row.rotation * self.ray(x as f32, y as f32);
        shot.movers.intersect_one(slot, &row.placements[slot as usize], row.origin, direction)
    }
}

/// The pose at a fractional row.
pub(crate) fn pose_at(rows: &[Row], row: f64) -> Se3 {
    let i = (row as usize).min(rows.len().saturating_sub(2));
    let next = &rows[(i + 1).min(rows.len() - 1)];
    rows[i].world_from_camera.interpolate(&next.world_from_camera, row - i as f64)
}

/// Whether a neighbour saw something else.
#[inline]
fn is_edge(samples: &[Sample], width: usize, x: usize, y: usize) -> bool {
    let at = y * width + x;
    let mark = samples[at].mark;
    let other = |i: usize| samples[i].mark != mark;
    (x > 0 && other(at - 1))
        || (x + 1 < width && other(at + 1))
        || (y > 0 && other(at - width))
        || (at + width < samples.len() && other(at + width))
}
