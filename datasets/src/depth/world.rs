//! The synthetic world as `kestrel world --format kitti` writes it.

use std::path::Path;

use super::{DEPTH_VALUES_PER_METRE, DepthSample, Truth, existing_file, existing_folder, stem};
use crate::DatasetError;
use crate::folder::list_images;

/// `folder` holds `sequences/00`, or is it.
pub(super) fn samples(folder: &Path) -> Result<Vec<DepthSample>, DatasetError> {
    let below = folder.join("sequences/00");
    let sequence = if below.is_dir() { below } else { folder.to_owned() };
    let part = |name: &str| {
        existing_folder(sequence.join(name), "what `kestrel world --format kitti` writes (image_2 and depth)")
    };
    let (images, depths) = (part("image_2")?, part("depth")?);
    let sample = |image| {
        let name = stem(Path::new(&image));
        let path = existing_file(depths.join(format!("{name}.png")), "the image's depth")?;
        let truth = Truth::Png { path, values_per_metre: DEPTH_VALUES_PER_METRE };
        Ok(DepthSample { name, image, truth })
    };
    list_images(&images)?.into_iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use crate::depth::{DepthFormat, depth_samples};
    use crate::world::{Motion, World, WorldConfig, export_kitti};

    #[test]
    fn the_worlds_depth_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let config =
            WorldConfig { frames: 2, width: 96, height: 72, ..WorldConfig::for_motion(Motion::Nadir) };
        let world = World::new(config).unwrap();
        export_kitti(&world, dir.path(), |_| ()).unwrap();
        let samples = depth_samples(dir.path(), DepthFormat::World).unwrap();
        assert_eq!(samples.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["000000", "000001"]);
        let (truth, exact) = (samples[1].truth((96, 72)).unwrap(), world.render(1).depth);
        assert!((truth.pixel(40, 30)[0] - exact.pixel(40, 30)[0]).abs() < 0.01);
        let error = samples[0].truth((95, 72)).unwrap_err().to_string();
        assert!(error.contains("depths of 95x72, the image's size, found 96x72"), "{error}");
        assert_eq!(depth_samples(&dir.path().join("sequences/00"), DepthFormat::World).unwrap(), samples);
        let error = depth_samples(&dir.path().join("poses"), DepthFormat::World).unwrap_err().to_string();
        assert!(error.contains("kestrel world --format kitti") && error.contains("image_2"), "{error}");
        std::fs::remove_file(dir.path().join("sequences/00/depth/000001.png")).unwrap();
        let error = depth_samples(dir.path(), DepthFormat::World).unwrap_err().to_string();
        assert!(error.contains("the image's depth, found no such file"), "{error}");
    }
}
