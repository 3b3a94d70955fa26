//! What kind of flight to make.

use geometry::{CameraError, PinholeCamera};

/// Where the camera looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    /// Straight down; the image's top is forward.
    #[default]
    Nadir,
    /// Forward and 45 degrees down.
    Oblique,
    /// Forward and 15 degrees down, low along a road, with the horizon in view.
    Forward,
}

impl Motion {
    /// Height above ground that suits it, in metres: 30, 40 and 12.
    pub fn default_height_m(self) -> f64 {
        match self {
            Self::Nadir => 30.0,
            Self::Oblique => 40.0,
            Self::Forward => 12.0,
        }
    }

    /// Angle of the optical axis below the horizon, in radians.
    pub(crate) fn pitch_down_rad(self) -> f64 {
        match self {
            Self::Nadir => 90.0_f64.to_radians(),
            Self::Oblique => 45.0_f64.to_radians(),
            Self::Forward => 15.0_f64.to_radians(),
        }
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nadir => "nadir",
            Self::Oblique => "oblique",
            Self::Forward => "forward",
        }
    }
}

/// What disturbs the image. Each can be switched off to find out what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The attitude shakes: about 0.1 degrees rms between 9 and 47 Hz.
    pub vibration: bool,
    /// Shot and read noise: about 1.5 grey values rms in mid tones.
    pub noise: bool,
    /// Automatic exposure drifts: up to a fifth of a stop to either side, over seconds.
    pub exposure_drift: bool,
    /// Exposure of 8 ms instead of an instant; costs several times the rendering time.
    pub motion_blur: bool,
    /// Rows are exposed one after another, 20 ms from the first to the last, instead of at once.
    pub rolling_shutter: bool,
}

/// Everything but motion blur.
impl Default for Effects {
    fn default() -> Self {
        Self { vibration: true, noise: true, exposure_drift: true, motion_blur: false, rolling_shutter: true }
    }
}

impl Effects {
    /// A perfect camera on a steady mount.
    pub fn none() -> Self {
        Self {
            vibration: false,
            noise: false,
            exposure_drift: false,
            motion_blur: false,
            rolling_shutter: false,
        }
    }
}

/// A flight over a synthetic world. The same values make the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldConfig {
    /// Chooses land, houses, traffic, sun and flight.
    pub seed: u64,
    /// Where the camera looks.
    pub motion: Motion,
    /// Number of frames.
    pub frames: usize,
    /// Frames per second.
    pub frame_rate: f64,
    /// Image width in pixels.
    pub width: usize,
    /// Image height in pixels.
    pub height: usize,
    /// Angle from the left to the right edge of the image, in radians.
    pub horizontal_fov_rad: f64,
    /// Mean speed over ground in metres per second; it varies by about a tenth.
    pub speed_mps: f64,
    /// Mean height above ground in metres; it varies by a few percent. At least 8: lower, crowns and roofs are in
    /// the way.
    pub height_m: f64,
    /// What disturbs the image.
    pub effects: Effects,
    /// Instead of a flight, pictures to learn from: each frame from another place, most with the ring road in view, under
    /// another angle between [`motion`](Self::motion)'s and straight down, from 0.4 to 2.4 times [`height_m`](Self::height_m).
    /// The camera still moves while a frame is exposed. Needs at most 40 frames per second.
    pub scattered: bool,
}

/// 200 frames of 640x480 at 20 per second, looking down: 10 s, 60 m.
impl Default for WorldConfig {
    fn default() -> Self {
        Self::for_motion(Motion::Nadir)
    }
}

impl WorldConfig {
    /// The defaults with the height that suits `motion`.
    pub fn for_motion(motion: Motion) -> Self {
        Self {
            seed: 1,
            motion,
            frames: 200,
            frame_rate: 20.0,
            width: 640,
            height: 480,
            horizontal_fov_rad: 70.0_f64.to_radians(),
            speed_mps: 6.0,
            height_m: motion.default_height_m(),
            effects: Effects::default(),
            scattered: false,
        }
    }

    /// The camera that takes the frames; without distortion.
    ///
    /// # Errors
    /// [`CameraError`] for an empty image or an impossible field of view.
    pub fn camera(&self) -> Result<PinholeCamera, CameraError> {
        PinholeCamera::from_horizontal_fov(self.width, self.height, self.horizontal_fov_rad)
    }
}
