//! Pictures of the synthetic world: places that nobody has to label.

use datasets::DatasetError;
use datasets::labels::ClassMap;
use datasets::world::{Motion, VehicleClass, World, WorldConfig};

use super::augment::Picture;
use super::pictures::{picture, targets};

/// Pictures of one world: each further one shows other land, houses, vehicles and light.
const OF_ONE_WORLD: usize = 12;
/// Mean height in metres: those of the pictures are between 0.4 and 2.4 times that, 20 to 120 m.
const HEIGHT_M: f64 = 50.0;

/// `count` pictures under angles from straight down to 45 degrees, every third with motion blur, as `seed` has them.
/// Vehicles are called car, van, truck and bus, or as `map` says; those that `classes` doesn't name are background, and
/// those that are hidden or tiny are neither to be found nor to be missed. `progress` is told how many are made.
///
/// # Errors
/// [`DatasetError::Content`] where the world has no camera, which its fixed size rules out.
pub fn synthetic_pictures(
    count: usize,
    seed: u64,
    classes: &[String],
    map: &ClassMap,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Picture>, DatasetError> {
    let mut pictures = Vec::with_capacity(count);
    let names = VehicleClass::ALL.map(|class| class.name().to_owned());
    let names = names.map(|name| map.name_of(&name).map(str::to_owned));
    for first in (0..count).step_by(OF_ONE_WORLD) {
        let world = world(seed, first / OF_ONE_WORLD)?;
        for index in 0..OF_ONE_WORLD.min(count - first) {
            let rendered = world.render(index);
            let of_name = |name: &Option<String>| {
                name.as_ref().and_then(|name| classes.iter().position(|class| class == name))
            };
            let class_of = |id: u32| names.get(id as usize).and_then(of_name);
            pictures.push(picture(&rendered.frame, targets(&rendered.labels(), class_of)));
            progress(pictures.len());
        }
    }
    Ok(pictures)
}

fn world(seed: u64, number: usize) -> Result<World, DatasetError> {
    let mut config = WorldConfig {
        // Seeds of neighbouring trainings share no world.
        seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number as u64),
        frames: OF_ONE_WORLD,
        height_m: HEIGHT_M,
        scattered: true,
        ..WorldConfig::for_motion(Motion::Oblique)
    };
    config.effects.motion_blur = number % 3 == 2;
    World::new(config).map_err(|error| DatasetError::Content {
        expected: "a camera for the synthetic world".into(),
        found: error.to_string(),
        path: "world:oblique".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_shows_the_same_vehicles_by_the_names_of_the_map() {
        let make = |seed: u64, map: &str| {
            let classes = ["vehicle".to_owned()];
            synthetic_pictures(3, seed, &classes, &ClassMap::parse(map).unwrap(), |_| ()).unwrap()
        };
        let targets = |pictures: &[Picture]| -> Vec<_> {
            pictures.iter().flat_map(|picture| picture.targets.clone()).collect()
        };
        let pictures = make(1, "car=vehicle,van=vehicle");
        let seen = targets(&pictures);
        assert!(seen.iter().any(|target| target.class_id == Some(0)), "{seen:?}");
        assert_eq!(targets(&make(1, "car=vehicle,van=vehicle")), seen);
        assert_ne!(targets(&make(2, "car=vehicle,van=vehicle")), seen);
        assert!(targets(&make(1, "car=other")).is_empty(), "other names are background");
    }
}
