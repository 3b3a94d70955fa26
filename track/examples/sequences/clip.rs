//! What a camera could see: images that are wider than what it shows, with a target.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use datasets::SourceSpec;
use geometry::{BoundingBox, RgbImage};

/// Images with a target in all of them.
pub struct Clip {
    /// Of the sequence.
    pub name: String,
    /// In their order.
    pub shots: Vec<Shot>,
    /// Width and height of what the camera shows.
    pub view: [f32; 2],
    /// The camera may turn and climb, since boxes follow exactly.
    pub turns: bool,
}

/// One image.
pub struct Shot {
    /// Everything around the target.
    pub image: Arc<RgbImage>,
    /// The target's outline, corner by corner, in pixels from the edge of the first one.
    pub outline: [[f32; 2]; 4],
}

impl Shot {
    /// An image whose target fills a box.
    pub fn of_box(image: Arc<RgbImage>, target: &BoundingBox) -> Self {
        let BoundingBox { x, y, .. } = *target;
        let (right, bottom) = (target.right(), target.bottom());
        Self { image, outline: [[x, y], [right, y], [right, bottom], [x, bottom]] }
    }

    /// The box around the target.
    pub fn bounds(&self) -> BoundingBox {
        around(&self.outline)
    }
}

/// The box around points.
pub fn around(points: &[[f32; 2]]) -> BoundingBox {
    let bound = |axis: usize, better: fn(f32, f32) -> f32, start: f32| {
        points.iter().map(|point| point[axis]).fold(start, better)
    };
    let corner = |better: fn(f32, f32) -> f32, start: f32| (bound(0, better, start), bound(1, better, start));
    BoundingBox::from_corners(corner(f32::min, f32::INFINITY), corner(f32::max, f32::NEG_INFINITY))
}

/// A recorded tracking sequence, as far as its target is seen.
pub fn recorded(folder: &Path, frames: usize) -> Result<Clip, Box<dyn Error>> {
    let mut source = datasets::open(&SourceSpec::new(folder.to_string_lossy()))?;
    let truth = source.ground_truth().and_then(|truth| truth.target.clone()).ok_or("expected boxes")?;
    let mut shots = Vec::new();
    while shots.len() < frames
        && let Some(frame) = source.next_frame()?
        && let Some(target) = truth.box_at(frame.stamp)
    {
        let image = frame.rgb.unwrap_or_else(|| Arc::new(coloured(&frame.gray)));
        shots.push(Shot::of_box(image, &target));
    }
    let size = shots.first().ok_or("expected frames")?.image.size();
    let view = [size.0 as f32, size.1 as f32];
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Clip { name, shots, view, turns: false })
}

fn coloured(gray: &geometry::GrayImage) -> RgbImage {
    RgbImage::from_fn(gray.width(), gray.height(), |x, y| [gray.pixel(x, y)[0]; 3])
}
