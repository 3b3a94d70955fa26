//! Drawn images to files, drawn frames to a video where one can be written.

use std::path::{Path, PathBuf};

use anyhow::Context;
#[cfg(feature = "video")]
use datasets::VideoWriter;
use geometry::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageBuffer, Rgb};

use super::inputs::{Input, Inputs};
use crate::logging::say;

const JPEG_QUALITY: u8 = 90;

/// Where drawn pictures go.
pub(super) struct Drawings {
    folder: PathBuf,
    #[cfg(feature = "video")]
    film: Film,
}

/// A drawn video.
#[cfg(feature = "video")]
enum Film {
    /// There is none: pictures are written.
    None,
    /// Begins with the first picture, which tells the size.
    Waiting { path: PathBuf, rate_hz: f64 },
    /// Is being written.
    Running { path: PathBuf, writer: VideoWriter },
}

impl Drawings {
    /// Pictures in `folder`, as many files as `inputs` are.
    pub(super) fn new(folder: &Path, inputs: &Inputs) -> Self {
        if cfg!(not(feature = "video")) && inputs.as_video().is_some() {
            say("note: this build writes no videos; pictures are written instead");
        }
        Self {
            folder: folder.to_owned(),
            #[cfg(feature = "video")]
            film: inputs.as_video().map_or(Film::None, |(stem, rate_hz)| Film::Waiting {
                path: folder.join(format!("{stem}.mp4")),
                rate_hz,
            }),
        }
    }

    /// Takes what was drawn on `input`.
    ///
    /// # Errors
    /// Where it can't be written.
    pub(super) fn add(&mut self, input: &Input, picture: &RgbImage) -> anyhow::Result<()> {
        #[cfg(feature = "video")]
        {
            self.begin_film(picture);
            if let Film::Running { writer, .. } = &mut self.film {
                return Ok(writer.write(picture)?);
            }
        }
        let path = self.folder.join(&input.name);
        save(&path, picture).with_context(|| format!("{}: can't write the picture", path.display()))
    }

    #[cfg(feature = "video")]
    fn begin_film(&mut self, first: &RgbImage) {
        if let Film::Waiting { path, rate_hz } = &self.film {
            let path = path.clone();
            self.film = match VideoWriter::create(&path, first.size(), *rate_hz) {
                Ok(writer) => Film::Running { path, writer },
                Err(error) => {
                    say(&format!("note: {error}; pictures are written instead"));
                    Film::None
                }
            };
        }
    }

    /// Completes what was begun; where the drawings are.
    pub(super) fn finish(self) -> String {
        #[cfg(feature = "video")]
        if let Film::Running { path, .. } = self.film {
            return path.display().to_string();
        }
        self.folder.display().to_string()
    }
}

/// As PNG or, whatever else the file is called, JPEG.
fn save(path: &Path, picture: &RgbImage) -> image::ImageResult<()> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let pixels = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, picture.as_slice()).unwrap_or_default();
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return pixels.save(path);
    }
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    JpegEncoder::new_with_quality(file, JPEG_QUALITY).encode_image(&pixels)
}
