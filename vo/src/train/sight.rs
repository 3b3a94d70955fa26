//! What geometry says of the frames of a clip: where the camera was, and how far some points were.

use std::collections::HashMap;

use geometry::{Frame, Se3};
use nalgebra::Vector3;

use crate::median::median;
use crate::{TrackingState, VisualOdometry, VoConfig};

/// What odometry knows of a frame. Its unit is the median depth of all that it saw in the same map.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Which map it belongs to: poses in different maps have nothing to do with each other.
    pub map: u32,
    /// Where the camera was.
    pub world_from_camera: Se3,
    /// `x y` in pixels, and the inverse depth there.
    pub points: Vec<[f32; 3]>,
}

/// Odometry that looks at the frames of a clip, one after the other.
#[derive(Debug)]
pub(super) struct Observer {
    odometry: VisualOdometry,
    /// Width and height of the images that points are wanted in.
    size: [usize; 2],
    map: u32,
    points: HashMap<u64, Vector3<f64>>,
}

impl Observer {
    pub(super) fn new([height, width]: [usize; 2]) -> Self {
        Self {
            odometry: VisualOdometry::new(VoConfig::default()),
            size: [width, height],
            map: 0,
            points: HashMap::new(),
        }
    }

    /// What is known of the next frame, in the unit of its map; `None` where odometry has lost its way.
    pub(super) fn look(&mut self, frame: &Frame) -> Option<Sight> {
        let odometry = self.odometry.register_frame(frame);
        if odometry.reset_count != self.map {
            self.map = odometry.reset_count;
            self.points.clear();
        }
        self.points.extend(odometry.points.iter().map(|point| (point.id, point.point_in_world)));
        if odometry.state != TrackingState::Tracking {
            return None;
        }
        let (width, height) = frame.size();
        let camera_from_world = odometry.world_from_camera.inverse();
        let seen = odometry.tracks.iter().filter(|track| track.inlier).filter_map(|track| {
            let point = *self.points.get(&track.id)?;
            let depth = (camera_from_world * point).z;
            let place = |axis: usize, from: usize| {
                (track.pixel[axis] + 0.5) * self.size[axis] as f32 / from as f32 - 0.5
            };
            (depth > 0.0).then(|| [place(0, width), place(1, height), (1.0 / depth) as f32])
        });
        let points = seen.collect();
        Some(Sight { map: self.map, world_from_camera: odometry.world_from_camera, points })
    }
}

/// Gives each map of `sights` the unit that makes the median depth of its points 1; what saw no points is forgotten.
pub(super) fn normalise<'a>(sights: impl Iterator<Item = &'a mut Option<Sight>>) {
    let mut sights: Vec<_> = sights.collect();
    let mut seen: HashMap<u32, Vec<f64>> = HashMap::new();
    for sight in sights.iter().filter_map(|sight| sight.as_ref()) {
        seen.entry(sight.map).or_default().extend(sight.points.iter().map(|point| f64::from(point[2])));
    }
    let units: HashMap<u32, f64> =
        seen.into_iter().filter_map(|(map, values)| Some((map, median(values.into_iter())?))).collect();
    for place in &mut sights {
        let unit = place.as_ref().and_then(|sight| units.get(&sight.map));
        match (place.as_mut(), unit) {
            (Some(sight), Some(&unit)) => {
                sight.points.iter_mut().for_each(|point| point[2] /= unit as f32);
                sight.world_from_camera.translation *= unit;
            }
            _ => **place = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use datasets::world::{Effects, World, WorldConfig};

    use super::*;

    const FRAMES: usize = 60;

    #[test]
    fn sights_are_those_of_the_world_in_its_median_depth() {
        let effects = Effects::none();
        let config =
            WorldConfig { frames: FRAMES, width: 320, height: 240, effects, ..WorldConfig::default() };
        let world = World::new(config).unwrap();
        let mut observer = Observer::new([120, 160]);
        let mut sights: Vec<_> = (0..FRAMES).map(|index| observer.look(&world.frame(index))).collect();
        normalise(sights.iter_mut());
        let known: Vec<usize> = (0..FRAMES).filter(|&index| sights[index].is_some()).collect();
        assert!(known.len() > FRAMES / 2, "only {} frames", known.len());
        let mut products = Vec::new();
        for &index in &known {
            let depth = world.render(index).depth;
            for &[x, y, inverse_depth] in &sights[index].as_ref().unwrap().points {
                // Half the size: a pixel is two of the frame.
                let [metres] =
                    depth.pixel((2.0 * x + 0.5).round() as usize, (2.0 * y + 0.5).round() as usize);
                products.push(f64::from(metres * inverse_depth));
            }
        }
        products.sort_by(f64::total_cmp);
        let (count, metres) = (products.len(), products[products.len() / 2]);
        let near = products.iter().filter(|&&product| (product / metres - 1.0).abs() < 0.1).count();
        assert!(count > 1000 && near * 10 > count * 9, "{near} of {count} points are where they are");
        let (first, last) = (known[0], known[known.len() - 1]);
        let motion = |first: Se3, last: Se3| first.inverse() * last;
        let pose = |index: usize| sights[index].as_ref().unwrap().world_from_camera;
        let found = motion(pose(first), pose(last));
        let wanted = motion(world.pose(first), world.pose(last));
        let off = (found.translation * metres - wanted.translation).norm() / wanted.translation.norm();
        assert!(off < 0.05, "off by {off:.3} of the way");
    }

    #[test]
    fn each_map_has_its_own_unit() {
        let sight = |map: u32, inverse_depths: &[f32]| {
            let world_from_camera = Se3 { translation: Vector3::x(), ..Se3::identity() };
            Some(Sight {
                map,
                world_from_camera,
                points: inverse_depths.iter().map(|&inverse| [0.0, 0.0, inverse]).collect(),
            })
        };
        let mut sights = [sight(0, &[1.0, 2.0]), sight(0, &[4.0]), None, sight(1, &[0.5]), sight(2, &[])];
        normalise(sights.iter_mut());
        let seen = |index: usize| {
            let sight = sights[index].as_ref().unwrap();
            (sight.points[0][2], sight.world_from_camera.translation.x)
        };
        assert_eq!([seen(0), seen(1), seen(3)], [(0.5, 2.0), (2.0, 2.0), (1.0, 0.5)]);
        assert!(sights[2].is_none() && sights[4].is_none());
    }
}
