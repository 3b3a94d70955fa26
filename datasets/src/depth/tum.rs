//! TUM RGB-D: depth images joined to colour images by their stamps.
//! Format: <https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats>.

use std::path::Path;

use super::{DepthSample, Truth, stem};
use crate::DatasetError;
use crate::sequence::Image;
use crate::text::TextFile;
use crate::tum::read_images;

/// Values for one metre in TUM's depth files: up to 13.1 m.
const VALUES_PER_METRE: f64 = 5000.0;
/// Images and depths this far apart still belong together; that of the dataset's own tools.
const MAX_DIFFERENCE_S: f64 = 0.02;

/// Colour images without a depth near in time are left out, as the dataset's own tools do.
pub(super) fn samples(folder: &Path) -> Result<Vec<DepthSample>, DatasetError> {
    let images = read_images(&TextFile::read(&folder.join("rgb.txt"))?, folder)?;
    let depths = read_images(&TextFile::read(&folder.join("depth.txt"))?, folder)?;
    let sample = |image: &Image| {
        let depth = nearest(&depths, image)?;
        let truth = Truth::Png { path: depth.path.clone(), values_per_metre: VALUES_PER_METRE };
        Some(DepthSample { name: stem(&image.path), image: image.path.clone(), truth })
    };
    Ok(images.iter().filter_map(sample).collect())
}

/// The depth nearest in time, where it is near enough; `depths` are by increasing stamp.
fn nearest<'a>(depths: &'a [Image], image: &Image) -> Option<&'a Image> {
    let after = depths.partition_point(|depth| depth.stamp < image.stamp);
    let around = depths[after.saturating_sub(1)..].iter().take(2);
    let difference = |depth: &Image| depth.stamp.secs_since(image.stamp).abs();
    let nearest = around.min_by(|a, b| difference(a).total_cmp(&difference(b)))?;
    (difference(nearest) <= MAX_DIFFERENCE_S).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use crate::depth::{DepthFormat, depth_samples};
    use crate::world::{Motion, World, WorldConfig, export_tum};

    #[test]
    fn depths_join_by_their_stamps() {
        let dir = tempfile::tempdir().unwrap();
        let config = WorldConfig {
            frames: 3,
            width: 96,
            height: 72,
            height_m: 10.0,
            ..WorldConfig::for_motion(Motion::Nadir)
        };
        let world = World::new(config).unwrap();
        export_tum(&world, dir.path(), |_| ()).unwrap();
        let samples = depth_samples(dir.path(), DepthFormat::Tum).unwrap();
        assert_eq!((samples.len(), &samples[2].name), (3, &world.stamp(2).to_string()));
        let (truth, exact) = (samples[2].truth((96, 72)).unwrap(), world.render(2).depth);
        assert!((truth.pixel(40, 30)[0] - exact.pixel(40, 30)[0]).abs() < 1e-3);
        // 15 ms later is near enough, 25 ms are not.
        let list = std::fs::read_to_string(dir.path().join("depth.txt")).unwrap();
        let rows: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
        let file = |row: &str| row.split(' ').nth(1).unwrap().to_owned();
        let moved = format!("0.015 {}\n0.075 {}\n", file(rows[0]), file(rows[1]));
        std::fs::write(dir.path().join("depth.txt"), moved).unwrap();
        let names: Vec<_> = depth_samples(dir.path(), DepthFormat::Tum).unwrap();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}
