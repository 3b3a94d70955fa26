//! The drone's way through the world: a smooth function of time.

use std::f64::consts::TAU;

use geometry::Se3;
use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};

use super::config::{Motion, WorldConfig};
use super::noise::Rng;
use super::scene::Scene;

/// A sum of sines.
#[derive(Clone, Debug)]
struct Sway(Vec<(f64, f64, f64)>);

impl Sway {
    /// Three sines between two frequencies in hertz, together about `rms` strong.
    fn new(rng: &mut Rng, rms: f64, from_hz: f64, to_hz: f64) -> Self {
        let amplitude = rms * (2.0_f64 / 3.0).sqrt();
        Self((0..3).map(|_| (amplitude, TAU * rng.range(from_hz, to_hz), rng.range(0.0, TAU))).collect())
    }

    fn at(&self, time_s: f64) -> f64 {
        self.0.iter().map(|(a, rate, phase)| a * (rate * time_s + phase).sin()).sum()
    }
}

/// Pose over time; the camera follows the ring road.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    motion: Motion,
    speed_mps: f64,
    height_m: f64,
    surge: Sway,
    lateral: Sway,
    climb: Sway,
    yaw: Sway,
    attitude: [Sway; 3],
    vibration: Option<[Sway; 3]>,
}

/// Time to look ahead and back for the curvature, in seconds.
const CURVE_S: f64 = 0.5;

impl Flight {
    pub(crate) fn new(config: &WorldConfig) -> Self {
        let mut rng = Rng::new(config.seed, 7);
        let wander = if config.motion == Motion::Forward { 0.5 } else { 3.0 };
        let surge = Sway::new(&mut rng, 0.09 * config.speed_mps / 0.5, 0.05, 0.09);
        let lateral = Sway::new(&mut rng, wander, 0.02, 0.06);
        let climb = Sway::new(&mut rng, 0.025 * config.height_m, 0.04, 0.12);
        let yaw = Sway::new(&mut rng, 2.0_f64.to_radians(), 0.03, 0.12);
        let attitude = std::array::from_fn(|_| Sway::new(&mut rng, 0.7_f64.to_radians(), 0.15, 0.7));
        let shake = std::array::from_fn(|_| Sway::new(&mut rng, 0.1_f64.to_radians(), 9.0, 47.0));
        let vibration = config.effects.vibration.then_some(shake);
        Self {
            motion: config.motion,
            speed_mps: config.speed_mps,
            height_m: config.height_m,
            surge,
            lateral,
            climb,
            yaw,
            attitude,
            vibration,
        }
    }

    /// Metres along the ring road at `time_s`.
    fn along(&self, time_s: f64) -> f64 {
        self.speed_mps * time_s + self.surge.at(time_s) - self.surge.at(0.0)
    }

    /// Height above the ground below, in metres.
    pub(crate) fn height_m(&self, time_s: f64) -> f64 {
        self.height_m + self.climb.at(time_s)
    }

    /// `world_from_camera` at `time_s` seconds from the start.
    pub(crate) fn pose(&self, scene: &Scene, time_s: f64) -> Se3 {
        let s = self.along(time_s);
        let place = scene.circuit.at(s);
        let p = place.position + place.left() * self.lateral.at(time_s);
        let z = scene.terrain.relief(p.x, p.y) + self.height_m(time_s);
        let heading = place.direction.y.atan2(place.direction.x) + self.yaw.at(time_s);
        let rotation = look(heading, self.motion.pitch_down_rad()) * self.tilt(scene, s, time_s);
        Se3::new(rotation, Vector3::new(p.x, p.y, z))
    }

    /// Bank in the turn, slow sway and vibration, as a rotation in the camera's frame.
    fn tilt(&self, scene: &Scene, s: f64, time_s: f64) -> UnitQuaternion<f64> {
        let reach = CURVE_S * self.speed_mps.max(1.0);
        let (before, after) = (scene.circuit.at(s - reach).direction, scene.circuit.at(s + reach).direction);
        let curvature = (before.x * after.y - before.y * after.x) / (2.0 * reach);
        let bank = (self.speed_mps.powi(2) * curvature / 9.81).atan();
        let mut angles = Vector3::new(0.0, 0.0, -bank);
        for axis in 0..3 {
            angles[axis] += self.attitude[axis].at(time_s);
            angles[axis] += self.vibration.as_ref().map_or(0.0, |v| v[axis].at(time_s));
        }
        UnitQuaternion::from_scaled_axis(angles)
    }
}

/// Rotation of a camera that looks along `heading` (from x towards y) and `down` below the horizon.
fn look(heading: f64, down: f64) -> UnitQuaternion<f64> {
    let (sin, cos) = heading.sin_cos();
    let forward = Vector3::new(down.cos() * cos, down.cos() * sin, -down.sin());
    let right = Vector3::new(sin, -cos, 0.0);
    let below = forward.cross(&right);
    let axes = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[right, below, forward]));
    UnitQuaternion::from_rotation_matrix(&axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nadir_camera_has_forward_at_the_top() {
        let rotation = look(0.3, TAU / 4.0);
        assert!((rotation * Vector3::z() + Vector3::z()).norm() < 1e-9);
        let top = rotation * -Vector3::y();
        assert!((top - Vector3::new(0.3_f64.cos(), 0.3_f64.sin(), 0.0)).norm() < 1e-9);
    }

    #[test]
    fn the_flight_is_smooth_and_as_fast_as_asked() {
        let scene = Scene::new(3);
        let config = WorldConfig { seed: 3, ..WorldConfig::default() };
        let flight = Flight::new(&config);
        for i in 0..100 {
            let t = f64::from(i) * 0.1;
            let (a, b) = (flight.pose(&scene, t), flight.pose(&scene, t + 0.01));
            let speed = (b.translation - a.translation).norm() / 0.01;
            assert!((4.0..9.0).contains(&speed), "{speed} m/s at {t} s");
        }
    }
}
