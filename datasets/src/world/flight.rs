//! The drone's way through the world: a smooth function of time.

use std::f64::consts::TAU;

use geometry::Se3;
use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector2, Vector3};

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
    scattered: Option<Scattered>,
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
            scattered: config.scattered.then(|| Scattered::new(config)),
        }
    }

    /// Metres along the ring road at `time_s`.
    fn along(&self, time_s: f64) -> f64 {
        self.speed_mps * time_s + self.surge.at(time_s) - self.surge.at(0.0)
    }

    /// Height above the ground below, in metres.
    pub(crate) fn height_m(&self, time_s: f64) -> f64 {
        if let Some(scattered) = &self.scattered {
            return scattered.view(time_s).height_m;
        }
        self.height_m + self.climb.at(time_s)
    }

    /// `world_from_camera` at `time_s` seconds from the start.
    pub(crate) fn pose(&self, scene: &Scene, time_s: f64) -> Se3 {
        if let Some(scattered) = &self.scattered {
            return self.scattered_pose(scene, &scattered.view(time_s), time_s);
        }
        let s = self.along(time_s);
        let place = scene.circuit.at(s);
        let p = place.position + place.left() * self.lateral.at(time_s);
        let z = scene.terrain.relief(p.x, p.y) + self.height_m(time_s);
        let heading = place.direction.y.atan2(place.direction.x) + self.yaw.at(time_s);
        let rotation = look(heading, self.motion.pitch_down_rad()) * self.tilt(scene, s, time_s);
        Se3::new(rotation, Vector3::new(p.x, p.y, z))
    }

    /// Somewhere else in each frame, and shaken as on a flight.
    fn scattered_pose(&self, scene: &Scene, view: &View, time_s: f64) -> Se3 {
        let (sin, cos) = view.heading.sin_cos();
        let [dx, dy] = view.offset_m;
        let aim =
            view.along_m.map_or(Vector2::zeros(), |s| scene.circuit.at(s).position) + Vector2::new(dx, dy);
        let before = view.height_m / view.pitch_down_rad.tan();
        let (x, y) = (aim.x - before * cos, aim.y - before * sin);
        let z = scene.terrain.relief(x, y) + view.height_m;
        let moved = self.speed_mps * view.since_s;
        let steady = look(view.heading, view.pitch_down_rad);
        Se3::new(steady * self.shake(time_s), Vector3::new(x + moved * cos, y + moved * sin, z))
    }

    /// Slow sway and vibration, as a rotation in the camera's frame.
    fn shake(&self, time_s: f64) -> UnitQuaternion<f64> {
        UnitQuaternion::from_scaled_axis(self.shaken(Vector3::zeros(), time_s))
    }

    fn shaken(&self, mut angles: Vector3<f64>, time_s: f64) -> Vector3<f64> {
        for axis in 0..3 {
            angles[axis] += self.attitude[axis].at(time_s);
            angles[axis] += self.vibration.as_ref().map_or(0.0, |v| v[axis].at(time_s));
        }
        angles
    }

    /// Bank in the turn, slow sway and vibration, as a rotation in the camera's frame.
    fn tilt(&self, scene: &Scene, s: f64, time_s: f64) -> UnitQuaternion<f64> {
        let reach = CURVE_S * self.speed_mps.max(1.0);
        let (before, after) = (scene.circuit.at(s - reach).direction, scene.circuit.at(s + reach).direction);
        let curvature = (before.x * after.y - before.y * after.x) / (2.0 * reach);
        let bank = (self.speed_mps.powi(2) * curvature / 9.81).atan();
        UnitQuaternion::from_scaled_axis(self.shaken(Vector3::new(0.0, 0.0, -bank), time_s))
    }
}

/// Frames from places that have nothing to do with each other.
#[derive(Clone, Debug)]
struct Scattered {
    seed: u64,
    frame_rate: f64,
    height_m: f64,
    /// The flattest angle of the optical axis below the horizon.
    pitch_down_rad: f64,
}

/// From where one frame is taken.
struct View {
    /// Metres along the ring road, where traffic is, of what is in the middle of the picture, and metres from there; from
    /// the corner of the world where it is anywhere.
    along_m: Option<f64>,
    offset_m: [f64; 2],
    height_m: f64,
    heading: f64,
    pitch_down_rad: f64,
    /// Seconds since the middle of the frame.
    since_s: f64,
}

impl Scattered {
    /// Heights as shares of the mean one.
    const HEIGHTS: [f64; 2] = [0.4, 2.4];
    /// How many look at the ring road, how far along it that may be, and how far beside it: elsewhere is little to be seen.
    const AT_THE_ROAD: f64 = 0.8;
    const ALONG_M: f64 = 950.0;
    const BESIDE_M: f64 = 12.0;

    fn new(config: &WorldConfig) -> Self {
        let WorldConfig { seed, frame_rate, height_m, motion, .. } = *config;
        Self { seed, frame_rate, height_m, pitch_down_rad: motion.pitch_down_rad() }
    }

    /// A function of the frame's number alone; heights are even on a logarithmic scale.
    fn view(&self, time_s: f64) -> View {
        let frame = (time_s * self.frame_rate).round();
        let mut rng = Rng::new(self.seed, 100 + frame.max(0.0) as u64);
        let period = f64::from(super::PERIOD_M);
        let [least, most] = Self::HEIGHTS.map(f64::ln);
        let along_m = rng.chance(Self::AT_THE_ROAD).then(|| rng.range(0.0, Self::ALONG_M));
        let (least_m, most_m) =
            if along_m.is_some() { (-Self::BESIDE_M, Self::BESIDE_M) } else { (0.0, period) };
        View {
            along_m,
            offset_m: [rng.range(least_m, most_m), rng.range(least_m, most_m)],
            height_m: self.height_m * rng.range(least, most).exp(),
            heading: rng.range(0.0, TAU),
            pitch_down_rad: rng.range(self.pitch_down_rad, TAU / 4.0),
            since_s: time_s - frame / self.frame_rate,
        }
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
    fn scattered_frames_are_far_apart_and_each_is_exposed_on_the_way() {
        let scene = Scene::new(3);
        let config = WorldConfig {
            seed: 3,
            scattered: true,
            height_m: 50.0,
            ..WorldConfig::for_motion(Motion::Oblique)
        };
        let flight = Flight::new(&config);
        let (mut lowest, mut highest, mut flattest) = (f64::INFINITY, 0.0_f64, TAU);
        for i in 0..100 {
            let t = f64::from(i) / config.frame_rate;
            let [a, b, next] = [t, t + 0.01, t + 1.0 / config.frame_rate].map(|t| flight.pose(&scene, t));
            let speed = (b.translation - a.translation).norm() / 0.01;
            assert!((5.9..6.1).contains(&speed), "{speed} m/s at {t} s");
            assert!((next.translation - a.translation).norm() > 1.0);
            let height = flight.height_m(t);
            (lowest, highest) = (lowest.min(height), highest.max(height));
            flattest = flattest.min((a.rotation * Vector3::z()).z.abs().asin());
        }
        assert!((20.0..25.0).contains(&lowest) && (100.0..120.0).contains(&highest), "{lowest} {highest}");
        assert!((40.0..50.0).contains(&flattest.to_degrees()), "{flattest}");
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
