//! Makes sequences with exact boxes in which a target turns, is hidden, leaves and comes back, from what is at hand.
//!
//! `cargo run --release -p kestrel-track --example sequences -- OUT [--stills FOLDER]... [--track FOLDER]...`: `--stills`
//! is a folder with `images/` and YOLO's `labels/`, over which a camera is moved; `--track` a tracking sequence whose target is
//! hidden, or loses the camera. Without either, flights over the synthetic world. Each sequence is written as OTB does, a box
//! being `NaN` where less than [`LEAST_VISIBLE`] of the target is seen; `ablation` reads them.

mod clip;
mod flight;
mod script;
mod still;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clip::Clip;
use geometry::{BoundingBox, RgbImage};
use script::{Event, Script};

/// Share of a target that must be seen for its box to be written.
const LEAST_VISIBLE: f32 = 0.3;
/// Frames of a sequence.
const FRAMES: usize = 110;
/// Stills used of each folder.
const STILLS: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().ok_or("expected a folder to write into")?);
    let (mut stills, mut tracks) = (Vec::new(), Vec::new());
    while let Some(option) = arguments.next() {
        let folder = PathBuf::from(arguments.next().ok_or("expected a folder after an option")?);
        match option.as_str() {
            "--stills" => stills.push(folder),
            "--track" => tracks.push(folder),
            _ => return Err(format!("expected --stills or --track, found {option}").into()),
        }
    }
    for folder in &stills {
        for index in 0..STILLS {
            let clip = still::clip(folder, index, FRAMES)?;
            write(&out, &clip, Event::ALL[index % Event::ALL.len()], index as u64)?;
        }
    }
    for folder in &tracks {
        for (index, event) in Event::ALL.into_iter().enumerate() {
            write(&out, &clip::recorded(folder, FRAMES)?, event, index as u64)?;
        }
    }
    if stills.is_empty() && tracks.is_empty() {
        for (index, config) in flight::configs(FRAMES).into_iter().enumerate() {
            let clip = flight::clip(config)?;
            write(&out, &clip, Event::ALL[index % Event::ALL.len()], index as u64)?;
        }
    }
    Ok(())
}

/// Plays `clip` by a script and writes what is seen.
fn write(out: &Path, clip: &Clip, event: Event, seed: u64) -> Result<(), Box<dyn Error>> {
    let folder = out.join(format!("{}-{}", clip.name, event.name()));
    fs::create_dir_all(folder.join("img"))?;
    let script = Script::new(clip, event, seed);
    let mut boxes = String::new();
    for index in 0..clip.shots.len() {
        let (image, target) = script.frame(clip, index);
        save(&folder.join(format!("img/{:04}.jpg", index + 1)), &image)?;
        boxes += &match target {
            Some(b) => format!("{:.2},{:.2},{:.2},{:.2}\n", b.x, b.y, b.width, b.height),
            None => "NaN,NaN,NaN,NaN\n".into(),
        };
    }
    Ok(fs::write(folder.join("groundtruth_rect.txt"), boxes)?)
}

fn save(path: &Path, image: &RgbImage) -> Result<(), Box<dyn Error>> {
    let file = std::io::BufWriter::new(fs::File::create(path)?);
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(file, 92);
    let (width, height) = image.size();
    Ok(encoder.encode(image.as_slice(), width as u32, height as u32, image::ExtendedColorType::Rgb8)?)
}

/// Share of `target` that `cover` leaves free.
fn free_share(target: &BoundingBox, cover: &BoundingBox) -> f32 {
    1.0 - target.intersection(cover).map_or(0.0, |both| both.area()) / target.area()
}
