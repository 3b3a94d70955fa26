//! A synthetic world: a drone's flight over villages, fields and woods, with exact truth.
//!
//! The world frame has z up; x and y are level. It repeats every 512 m; the flight follows a ring road about 950 m
//! long, so a longer flight comes round again. The first pose is wherever the flight starts. Everything is a
//! function of the [`WorldConfig`]: the same values give the same bits, whatever the number of threads.
//!
//! Rolling shutter: row `y` of a frame is exposed at its own moment, with the pose [`World::row_pose`] and with
//! vehicles where they are then. Depth, flow and boxes hold for exactly these poses. The stamp and the pose of a
//! frame are those of the middle of the image.
//!
//! Motion blur averages pictures over the exposure; truth is that of its middle.

mod buildings;
mod config;
mod export;
mod flight;
mod ground;
mod ground_map;
mod land;
mod layout;
mod noise;
mod packet;
mod patches;
mod render;
mod roads;
mod scene;
mod sensor;
mod shade;
mod shadows;
mod solid;
mod source;
mod terrain;
#[cfg(test)]
mod tests;
mod truth;
mod vehicles;
mod view;

use std::sync::Arc;

use geometry::{CameraError, Frame, PinholeCamera, Se3, Timestamp, Trajectory};
use nalgebra::Vector3;

pub use config::{Effects, Motion, WorldConfig};
pub use export::{export_kitti, export_tum, export_yolo};
pub(crate) use source::FORMAT;
pub use truth::{WorldBox, WorldFrame};
pub use vehicles::VehicleClass;

use crate::{Dataset, DatasetError, GroundTruth, SourceInfo};
use flight::Flight;
use ground_map::GroundMap;
use scene::Scene;
use sensor::Sensor;
use vehicles::Vehicle;

type Vec3 = Vector3<f32>;

/// The world repeats after this many metres, in x and in y.
const PERIOD_M: f32 = 512.0;
/// Size of the cells that rays walk through.
const CELL_M: f32 = 4.0;
/// Cells along the world.
const CELLS: usize = 128;
/// From the first row's exposure to the last one's, with a rolling shutter.
const READOUT_S: f64 = 0.020;

/// A synthetic world with a flight over it.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    camera: Arc<PinholeCamera>,
    /// One over the focal lengths, and the centre, in pixels: what a pixel's ray is made from.
    rays: [f32; 4],
    scene: Scene,
    map: GroundMap,
    vehicles: Vec<Vehicle>,
    flight: Flight,
    sensor: Sensor,
    info: SourceInfo,
    truth: GroundTruth,
    next: usize,
}

impl World {
    /// Builds the world. The ground's texture is made later, where it is looked at.
    ///
    /// # Errors
    /// [`CameraError`] where size and field of view make no camera.
    pub fn new(config: WorldConfig) -> Result<Self, CameraError> {
        let camera = Arc::new(config.camera()?);
        let (focal, center) = (camera.focal(), camera.center());
        let rays = [1.0 / focal.x, 1.0 / focal.y, center.x, center.y].map(|v| v as f32);
        let scene = Scene::new(config.seed);
        let vehicles = vehicles::traffic(config.seed, &scene);
        let flight = Flight::new(&config);
        let sensor = Sensor::new(config.seed, config.effects.noise, config.effects.exposure_drift);
        let info = SourceInfo {
            name: format!("synthetic world, {}, seed {}", config.motion.name(), config.seed),
            camera: Arc::clone(&camera),
            frame_count: Some(config.frames),
            frame_rate: Some(config.frame_rate),
            live: false,
            assumptions: Vec::new(),
        };
        let (map, truth) = (GroundMap::new(), GroundTruth::default());
        let mut world =
            Self { config, camera, rays, scene, map, vehicles, flight, sensor, info, truth, next: 0 };
        world.truth.trajectory = Some(world.trajectory());
        Ok(world)
    }

    /// What it was made from.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Stamp of frame `index`: the middle of the exposure of the middle of the image; 0 for the first.
    pub fn stamp(&self, index: usize) -> Timestamp {
        Timestamp::from_nanos((index as f64 * 1e9 / self.config.frame_rate).round() as i64)
    }

    /// `world_from_camera` of frame `index` at its stamp.
    pub fn pose(&self, index: usize) -> Se3 {
        self.flight.pose(&self.scene, self.stamp(index).as_secs_f64())
    }

    /// `world_from_camera` while row `row` of frame `index` is exposed; [`pose`](Self::pose) in the middle.
    pub fn row_pose(&self, index: usize, row: f64) -> Se3 {
        self.flight.pose(&self.scene, self.row_time_s(index, row))
    }

    /// Height above the ground straight below the camera at the stamp of frame `index`, in metres.
    pub fn height_above_ground_m(&self, index: usize) -> f64 {
        self.flight.height_m(self.stamp(index).as_secs_f64())
    }

    /// Frame `index` without truth, as streaming gives it.
    pub fn frame(&self, index: usize) -> Frame {
        let shot = self.shot(index, 0.0);
        let samples = self.trace(&shot);
        self.develop(index, &shot, &samples)
    }

    /// Frame `index` with all that is true about it.
    pub fn render(&self, index: usize) -> WorldFrame {
        let shot = self.shot(index, 0.0);
        let samples = self.trace(&shot);
        WorldFrame {
            frame: self.develop(index, &shot, &samples),
            world_from_camera: self.pose(index),
            depth: self.depth(&samples),
            flow: self.flow(index, &shot, &samples),
            boxes: self.boxes(&shot, &samples),
            height_above_ground_m: self.height_above_ground_m(index),
        }
    }

    fn develop(&self, index: usize, shot: &render::Shot, samples: &[render::Sample]) -> Frame {
        let rgb = self.picture(index, shot, samples);
        Frame {
            stamp: self.stamp(index),
            seq: index as u64,
            gray: Arc::new(rgb.to_gray()),
            rgb: Some(Arc::new(rgb)),
            camera: Arc::clone(&self.camera),
        }
    }

    /// Seconds from the flight's start to the exposure of a row.
    fn row_time_s(&self, index: usize, row: f64) -> f64 {
        let stamp = self.stamp(index).as_secs_f64();
        if !self.config.effects.rolling_shutter {
            return stamp;
        }
        let last = (self.config.height - 1) as f64;
        stamp + READOUT_S * (row - last / 2.0) / last.max(1.0)
    }

    fn trajectory(&self) -> Trajectory {
        let mut trajectory = Trajectory::new();
        for index in 0..self.config.frames {
            if let Err(error) = trajectory.push(self.stamp(index), self.pose(index)) {
                tracing::error!(%error, index, "a pose of the synthetic flight is not usable");
            }
        }
        trajectory
    }
}

impl Dataset for World {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        if self.next >= self.config.frames {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some(self.frame(self.next - 1)))
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        Some(&self.truth)
    }
}
