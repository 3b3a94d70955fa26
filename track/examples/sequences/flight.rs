//! Vehicles seen from flights over the synthetic world.

use std::collections::BTreeMap;
use std::error::Error;

use datasets::world::{Motion, World, WorldConfig, WorldFrame};
use geometry::BoundingBox;

use crate::clip::{Clip, Shot};

/// Least side of a target in pixels, and what may hide of it.
const LEAST_SIDE: f32 = 10.0;
const MOST_HIDDEN: f32 = 0.3;

/// Flights that differ in all that matters.
pub fn configs(frames: usize) -> Vec<WorldConfig> {
    let flights = [
        (1, Motion::Nadir, 40.0, 4.0),
        (2, Motion::Oblique, 40.0, 6.0),
        (3, Motion::Nadir, 70.0, 8.0),
        (4, Motion::Oblique, 25.0, 3.0),
        (5, Motion::Forward, 15.0, 5.0),
        (6, Motion::Oblique, 70.0, 10.0),
        (7, Motion::Nadir, 100.0, 12.0),
        (8, Motion::Oblique, 50.0, 2.0),
    ];
    let config = |(seed, motion, height_m, speed_mps)| WorldConfig {
        seed,
        frames,
        frame_rate: 15.0,
        height_m,
        speed_mps,
        ..WorldConfig::for_motion(motion)
    };
    flights.into_iter().map(config).collect()
}

/// The vehicle that is seen longest on one flight, while it is.
pub fn clip(config: WorldConfig) -> Result<Clip, Box<dyn Error>> {
    let name = format!("world-{}-{:.0}m", config.motion.name(), config.height_m);
    let count = config.frames;
    let world = World::new(config)?;
    let mut seen: BTreeMap<u64, Vec<(usize, BoundingBox)>> = BTreeMap::new();
    let mut images = Vec::new();
    for index in 0..count {
        let WorldFrame { frame, boxes, .. } = world.render(index);
        for vehicle in boxes.iter().filter(|v| v.occlusion < MOST_HIDDEN && v.truncation < MOST_HIDDEN) {
            let target = vehicle.bounding_box.filter(|b| b.width.min(b.height) >= LEAST_SIDE);
            seen.entry(vehicle.id).or_default().extend(target.map(|target| (index, target)));
        }
        images.push(frame.rgb.ok_or("expected frames in colour")?);
    }
    let longest = seen.values().map(|boxes| longest_run(boxes)).max_by_key(|run| run.len());
    let run = longest.filter(|run| run.len() > 10).ok_or("expected a vehicle in view")?;
    let shots = run.iter().map(|(index, target)| Shot::of_box(images[*index].clone(), target)).collect();
    Ok(Clip { name, shots, view: [480.0, 360.0], turns: false })
}

/// The most boxes of adjacent frames.
fn longest_run(boxes: &[(usize, BoundingBox)]) -> &[(usize, BoundingBox)] {
    boxes.chunk_by(|a, b| a.0 + 1 == b.0).max_by_key(|run| run.len()).unwrap_or(&[])
}
