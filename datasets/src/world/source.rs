//! The synthetic world as a source: `world:oblique?seed=3&frames=500`.

use crate::open::Format;
use crate::world::{Motion, World, WorldConfig};
use crate::{DatasetError, SourceSpec};

const SCHEME: &str = "world:";
const EXPECTED: &str = "world:nadir, world:oblique or world:forward, then perhaps ?seed=N&frames=N";

pub(crate) const FORMAT: Format = Format {
    looks_like: "a synthetic world (world:nadir, world:oblique, world:forward; ?seed=N&frames=N)",
    recognise: |spec| spec.source.starts_with(SCHEME),
    open: |spec| Ok(Box::new(open(spec)?)),
};

fn open(spec: &SourceSpec) -> Result<World, DatasetError> {
    let unexpected = |found: &str| DatasetError::Content {
        expected: EXPECTED.into(),
        found: found.into(),
        path: spec.path().to_owned(),
    };
    if spec.calibration.is_some() {
        return Err(unexpected("a calibration, which a made camera does not need"));
    }
    let text = spec.source.trim_start_matches(SCHEME);
    let (motion, numbers) = text.split_once('?').unwrap_or((text, ""));
    let motions = [Motion::Nadir, Motion::Oblique, Motion::Forward];
    let motion = motions.into_iter().find(|m| m.name() == motion).ok_or_else(|| unexpected(motion))?;
    let mut config = WorldConfig::for_motion(motion);
    for pair in numbers.split('&').filter(|pair| !pair.is_empty()) {
        set(&mut config, pair).ok_or_else(|| unexpected(pair))?;
    }
    if let Some(fov_deg) = spec.fov_deg {
        config.horizontal_fov_rad = fov_deg.to_radians();
    }
    World::new(config).map_err(|error| unexpected(&error.to_string()))
}

/// Takes `key=value`; `None` where that means nothing.
fn set(config: &mut WorldConfig, pair: &str) -> Option<()> {
    match pair.split_once('=')? {
        ("seed", value) => config.seed = value.parse().ok()?,
        ("frames", value) => config.frames = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn a_world_is_made_from_its_name() {
        let world = open(&SourceSpec::new("world:oblique?seed=3&frames=7")).unwrap();
        assert_eq!((world.config().motion, world.config().seed), (Motion::Oblique, 3));
        assert_eq!(world.info().frame_count, Some(7));
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for wrong in ["world:sideways", "world:nadir?sed=3", "world:nadir?frames=many"] {
            let error = open(&SourceSpec::new(wrong)).unwrap_err().to_string();
            assert!(error.contains("world:nadir, world:oblique or world:forward"), "{error}");
        }
    }
}
