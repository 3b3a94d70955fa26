//! From poses to pixels.

use geometry::{RgbImage, Se3};
use nalgebra::{Matrix3, Vector2, Vector3};
use rayon::prelude::*;

use super::noise::scale3;
use super::packet::Packet;
use super::scene::{Hit, Target};
use super::shade::Shader;
use super::solid::Placement;
use super::terrain::Tangent;
use super::vehicles::Movers;
use super::view::{TILE, View};
use super::{Vec3, World};

/// One frame's exposure at one moment (per row): where the camera and the vehicles are.
pub(crate) struct Shot {
    pub(crate) rows: Vec<Row>,
    pub(crate) movers: Movers,
    pub(crate) view: View,
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
        let rows = self.rows(&movers, time);
        let view = View::new(&self.scene, &movers, &rows, &self.camera);
        Shot { rows, movers, view }
    }

    /// The rows of a frame, exposed at `time_s`.
    pub(crate) fn rows(&self, movers: &Movers, time_s: impl Fn(usize) -> f64 + Sync) -> Vec<Row> {
        let last = self.config.height - 1;
        let ends = [0, last].map(|y| movers.placements(&self.scene, &self.vehicles, time_s(y)));
        let row = |y: usize| {
            // In the 20 ms between the ends no vehicle leaves the straight line by more than some micrometres.
            let share = y as f32 / last.max(1) as f32;
            let between = ends[0].iter().zip(&ends[1]).map(|(a, b)| a.towards(b, share));
            Row::new(self.flight.pose(&self.scene, time_s(y)), between.collect())
        };
        (0..self.config.height).into_par_iter().map(row).collect()
    }

    /// One ray per pixel centre.
    pub(crate) fn trace(&self, shot: &Shot) -> Vec<Sample> {
        let width = self.config.width;
        let shader = self.shader(shot);
        let mut samples =
            vec![Sample { light: [0.0; 3], mark: 0, depth_m: 0.0, vehicle: 0 }; width * shot.rows.len()];
        samples.par_chunks_mut(width * TILE).enumerate().for_each(|(band, out)| {
            self.trace_band(&shader, shot, band * TILE, out);
        });
        samples
    }

    /// The samples of a row of tiles that begins with row `top` of the picture, tile by tile: neighbours look at the
    /// same objects and textures.
    fn trace_band(&self, shader: &Shader<'_>, shot: &Shot, top: usize, out: &mut [Sample]) {
        let width = self.config.width;
        for left in (0..width).step_by(TILE) {
            let mut tangent = Tangent::default();
            for (y, row) in out.chunks_exact_mut(width).enumerate() {
                let tile = (left, top + y);
                let ray = |k: usize| self.ray((left + k) as f32, (top + y) as f32);
                let packet = self.packet::<TILE>(shot, top + y, ray);
                let hits = self.look(shot, &packet, tile, &mut tangent);
                let lanes = packet.directions.into_iter().zip(hits);
                for (sample, (direction, hit)) in row[left..].iter_mut().zip(lanes) {
                    *sample = self.sample(shader, packet.row, direction, hit);
                }
            }
        }
    }

    fn shader<'a>(&'a self, shot: &'a Shot) -> Shader<'a> {
        let pixel_rad = 1.0 / self.camera.focal().x as f32;
        Shader { scene: &self.scene, map: &self.map, movers: &shot.movers, pixel_rad }
    }

    /// What the rays of `packet`, through pixels of the tile of `pixel`, meet.
    fn look<const N: usize>(
        &self,
        shot: &Shot,
        packet: &Packet<'_, N>,
        pixel: (usize, usize),
        tangent: &mut Tangent,
    ) -> [Hit; N] {
        let mut hits = shot.view.meet(&self.scene, &shot.movers, packet, pixel);
        for (hit, direction) in hits.iter_mut().zip(packet.directions) {
            if let Some(t) = self.scene.meet_land(packet.row.origin, direction, hit.t, tangent) {
                *hit = Hit { t, target: Target::Ground };
            }
        }
        hits
    }

    fn sample(&self, shader: &Shader<'_>, row: &Row, direction: Vec3, hit: Hit) -> Sample {
        let mark = shader.mark(row.origin, direction, hit, &row.placements);
        let light = shader.light(row.origin, direction, hit, mark, &row.placements);
        let vehicle = if let Target::Vehicle { slot, .. } = hit.target { slot + 1 } else { 0 };
        Sample { light, mark, depth_m: hit.t, vehicle }
    }

    fn packet<'a, const N: usize>(
        &self,
        shot: &'a Shot,
        row: usize,
        ray: impl Fn(usize) -> Vec3,
    ) -> Packet<'a, N> {
        let row = &shot.rows[row];
        Packet::new(row, std::array::from_fn(|k| row.rotation * ray(k)))
    }

    /// The ray of pixel `(x, y)` in the camera's frame, 1 long along the optical axis: its `t` is depth.
    #[inline]
    pub(crate) fn ray(&self, x: f32, y: f32) -> Vec3 {
        let [per_x, per_y, center_x, center_y] = self.rays;
        Vec3::new((x - center_x) * per_x, (y - center_y) * per_y, 1.0)
    }

    /// Light of a pixel, smoothed by more rays at an edge.
    fn smoothed(
        &self,
        shader: &Shader<'_>,
        shot: &Shot,
        samples: &[Sample],
        (x, y): (usize, usize),
    ) -> [f32; 3] {
        if is_edge(samples, self.config.width, x, y) {
            return self.smooth(shader, shot, samples, (x, y));
        }
        samples[y * self.config.width + x].light
    }

    /// Light of a pixel at an edge. Its further rays only find out what is seen: where that is what the pixel or a
    /// neighbour shows, its light is known.
    fn smooth(
        &self,
        shader: &Shader<'_>,
        shot: &Shot,
        samples: &[Sample],
        (x, y): (usize, usize),
    ) -> [f32; 3] {
        let center = samples[y * self.config.width + x];
        let around = neighbours(samples, self.config.width, x, y);
        let ray = |k: usize| self.ray(x as f32 + SPOTS[k].0, y as f32 + SPOTS[k].1);
        let packet = self.packet::<2>(shot, y, ray);
        let row = packet.row;
        let mut tangent = Tangent::default();
        if center.depth_m.is_finite() {
            tangent = self.scene.terrain.tangent(row.origin + packet.directions[0] * center.depth_m);
        }
        let hits = self.look(shot, &packet, (x, y), &mut tangent);
        let spots: [[f32; 3]; 2] = std::array::from_fn(|k| {
            let mark = shader.mark(row.origin, packet.directions[k], hits[k], &row.placements);
            let known = std::iter::once(&center).chain(around.clone()).find(|sample| sample.mark == mark);
            known.map_or_else(
                || shader.light(row.origin, packet.directions[k], hits[k], mark, &row.placements),
                |sample| sample.light,
            )
        });
        std::array::from_fn(|c| (center.light[c] + spots[0][c] + spots[1][c]) / 3.0)
    }

    /// The picture of frame `index`; `shot` and `samples` are those of the middle of its exposure.
    pub(crate) fn picture(&self, index: usize, shot: &Shot, samples: &[Sample]) -> RgbImage {
        if self.config.effects.motion_blur {
            let light = self.blurred(index);
            return self.developed(index, |x, y| light[y * self.config.width + x]);
        }
        let shader = self.shader(shot);
        self.developed(index, |x, y| self.smoothed(&shader, shot, samples, (x, y)))
    }

    /// The picture of what `light` says of each column and row.
    fn developed(&self, index: usize, light: impl Fn(usize, usize) -> [f32; 3] + Sync) -> RgbImage {
        let (width, height) = (self.config.width, self.config.height);
        let mut image = RgbImage::filled(width, height, [0; 3]);
        let gain = self.sensor.gain(self.row_time_s(index, 0.0));
        image.as_mut_slice().par_chunks_mut(3 * width).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let gain = gain * self.vignette(x as f32, y as f32);
                let light = scale3(light(x, y), gain);
                pixel.copy_from_slice(&self.sensor.develop(light, index as u32, (y * width + x) as u32));
            }
        });
        image
    }

    fn blurred(&self, index: usize) -> Vec<[f32; 3]> {
        let width = self.config.width;
        let mut sum = vec![[0.0_f32; 3]; width * self.config.height];
        for k in 0..BLUR_STEPS {
            let offset = ((k as f64 + 0.5) / BLUR_STEPS as f64 - 0.5) * BLUR_S;
            let shot = self.shot(index, offset);
            let samples = self.trace(&shot);
            let shader = self.shader(&shot);
            sum.par_iter_mut().enumerate().for_each(|(i, sum)| {
                let light = self.smoothed(&shader, &shot, &samples, (i % width, i / width));
                *sum = std::array::from_fn(|c| sum[c] + light[c] / BLUR_STEPS as f32);
            });
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

/// The samples above, below, left and right of `(x, y)`.
#[inline]
fn neighbours(samples: &[Sample], width: usize, x: usize, y: usize) -> impl Iterator<Item = &Sample> + Clone {
    let at = y * width + x;
    let left = (x > 0).then(|| at - 1);
    let right = (x + 1 < width).then(|| at + 1);
    let places = [at.checked_sub(width), Some(at + width), left, right];
    places.into_iter().flatten().filter_map(|i| samples.get(i))
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
