//! Pictures of the synthetic world: `world_sheet OUT_DIR [SEED]` writes frames of each motion as PNG.

use std::path::PathBuf;

use kestrel_datasets::world::{Motion, World, WorldConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "world_sheet".into()));
    let seed = arguments.next().map_or(Ok(1), |s| s.parse())?;
    std::fs::create_dir_all(&out)?;
    for motion in [Motion::Nadir, Motion::Oblique, Motion::Forward] {
        let world = World::new(WorldConfig { seed, ..WorldConfig::for_motion(motion) })?;
        for index in [0, 90, 199] {
            let Some(rgb) = world.frame(index).rgb else { continue };
            let (width, height) = (rgb.width() as u32, rgb.height() as u32);
            let path = out.join(format!("{}_{seed}_{index:03}.png", motion.name()));
            image::save_buffer(path, rgb.as_slice(), width, height, image::ColorType::Rgb8)?;
        }
    }
    Ok(())
}
