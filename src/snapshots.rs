//! A few frames of a flight with what was recognised in them, for the report.

use std::sync::Arc;

use eval::{EvalError, SampleFrame};
use geometry::{Frame, RgbImage};
use runtime::stages::Registered;
use vo::{TrackView, TrackingState};

use crate::spread::Spread;

/// Pictures in a report.
const WANTED: usize = 6;
/// Pictures wider than this are reduced by a whole factor.
const MAX_WIDTH: usize = 960;
const INLIER: [u8; 3] = [64, 224, 96];
const OTHER: [u8; 3] = [255, 176, 0];

/// Frames spread evenly over a flight.
#[derive(Debug)]
pub(crate) struct Snapshots(Spread<Arc<Registered>>);

impl Default for Snapshots {
    fn default() -> Self {
        Self(Spread::new(WANTED))
    }
}

impl Snapshots {
    /// Looks at the next frame; keeping it shares its pixels.
    pub(crate) fn offer(&mut self, registered: &Arc<Registered>) {
        self.0.offer(|| Arc::clone(registered));
    }

    /// The pictures, in the order of the flight.
    pub(crate) fn pictures(&self) -> Result<Vec<SampleFrame>, EvalError> {
        self.0.chosen().map(|registered| picture(registered)).collect()
    }
}

fn picture(registered: &Registered) -> Result<SampleFrame, EvalError> {
    let (frame, odometry) = (&registered.frame, &registered.odometry);
    let factor = frame.size().0.div_ceil(MAX_WIDTH);
    let mut image = reduced(frame, factor);
    for track in &odometry.tracks {
        draw(&mut image, track, 1.0 / factor as f32);
    }
    let state = match odometry.state {
        TrackingState::Initializing => "waiting for parallax".to_owned(),
        TrackingState::Tracking => {
            format!("{} of {} features on the map", odometry.inlier_count, odometry.tracks.len())
        }
        TrackingState::Lost => "lost".to_owned(),
    };
    SampleFrame::from_rgb(format!("frame {}, {:.2} s: {state}", frame.seq, frame.stamp.as_secs_f64()), &image)
}

/// A frame in colours, each pixel the mean of a square of `factor` pixels.
pub(crate) fn reduced(frame: &Frame, factor: usize) -> RgbImage {
    let (width, height) = frame.size();
    let pixel = |x: usize, y: usize| match &frame.rgb {
        Some(rgb) => rgb.pixel(x, y),
        None => [frame.gray.pixel(x, y)[0]; 3],
    };
    RgbImage::from_fn(width / factor, height / factor, |x, y| {
        let mut sum = [0u32; 3];
        for (dy, dx) in (0..factor).flat_map(|dy| (0..factor).map(move |dx| (dy, dx))) {
            let value = pixel(x * factor + dx, y * factor + dy);
            (0..3).for_each(|c| sum[c] += u32::from(value[c]));
        }
        sum.map(|s| (s / (factor * factor) as u32) as u8)
    })
}

/// A dot where the feature is and a line to where it was.
fn draw(image: &mut RgbImage, track: &TrackView, scale: f32) {
    let colour = if track.inlier { INLIER } else { OTHER };
    let ([x, y], [px, py]) = (track.pixel.map(|v| v * scale), track.previous_pixel.map(|v| v * scale));
    let steps = (x - px).abs().max((y - py).abs()).ceil().clamp(1.0, 500.0) as usize;
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        paint(image, px + (x - px) * t, py + (y - py) * t, colour);
    }
    for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)] {
        paint(image, x + dx, y + dy, colour);
    }
}

fn paint(image: &mut RgbImage, x: f32, y: f32, colour: [u8; 3]) {
    if image.contains(f64::from(x), f64::from(y), 0.0) {
        image.set_pixel(x.round() as usize, y.round() as usize, colour);
    }
}
