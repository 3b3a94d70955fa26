//! `kestrel world`: datasets with exact truth.

use std::process::ExitCode;

use anyhow::ensure;
use datasets::world::{Effects, Motion, World, WorldConfig, export_kitti, export_tum, export_yolo};
use serde_json::json;

use crate::cli::{MotionArg, WorldArgs, WorldFormat};
use crate::logging::answer;
use crate::progress::FrameProgress;

pub(super) fn world(args: &WorldArgs) -> anyhow::Result<ExitCode> {
    let world = World::new(config(args)?)?;
    let mut bar = FrameProgress::new(Some(args.frames as u64));
    let progress = |done: usize| bar.update(done as u64, String::new);
    match args.format {
        WorldFormat::Kitti => export_kitti(&world, &args.out, progress)?,
        WorldFormat::Tum => export_tum(&world, &args.out, progress)?,
        WorldFormat::Yolo => export_yolo(&world, &args.out, progress)?,
    }
    bar.finish();
    let out = args.out.display();
    answer(&match args.json {
        true => json!({ "out": out.to_string(), "frames": args.frames, "seed": args.seed }).to_string(),
        false => format!("{} frames in {out}", args.frames),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &WorldArgs) -> anyhow::Result<WorldConfig> {
    let defaults = WorldConfig::for_motion(motion(args.motion));
    let positive = |name: &str, value: f64| {
        ensure!(value > 0.0 && value.is_finite(), "expected a positive --{name}, found {value}");
        Ok(value)
    };
    let mut effects = if args.clean { Effects::none() } else { Effects::default() };
    effects.motion_blur = args.motion_blur;
    effects.rolling_shutter &= !args.global_shutter;
    Ok(WorldConfig {
        seed: args.seed,
        frames: args.frames,
        frame_rate: positive("frame-rate", args.frame_rate)?,
        width: args.size.0,
        height: args.size.1,
        horizontal_fov_rad: positive("fov", args.fov)?.to_radians(),
        speed_mps: positive("speed", args.speed)?,
        height_m: positive("height", args.height.unwrap_or(defaults.height_m))?,
        effects,
        scattered: args.scattered,
        ..defaults
    })
}

/// What the option means.
pub(super) fn motion(arg: MotionArg) -> Motion {
    match arg {
        MotionArg::Nadir => Motion::Nadir,
        MotionArg::Oblique => Motion::Oblique,
        MotionArg::Forward => Motion::Forward,
    }
}
