//! Images of a folder as inputs of a network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use image::{ImageReader, RgbImage};
use nn::preprocess::{Picture, Preprocessing};
use nn::{NnError, Port};

use crate::cli::ImageArgs;

/// Samples for a network: the images of a folder in the order of their names, and what becomes of them.
pub(crate) struct Samples {
    pub(crate) preprocessing: Preprocessing,
    inputs: Vec<Port>,
    /// For each sample its images, one behind the other.
    files: Vec<Vec<PathBuf>>,
}

impl Samples {
    /// Samples of the images in `folder` for a network with `inputs`, whose `file` may say how it wants them.
    ///
    /// # Errors
    /// Where there are too few images or the inputs are none that images fill.
    pub(crate) fn new(folder: &Path, args: &ImageArgs, file: &[u8], inputs: &[Port]) -> anyhow::Result<Self> {
        let said = Preprocessing::of_file(file, inputs)?;
        let preprocessing = Preprocessing {
            colors: args.colors.unwrap_or(said.colors),
            mean: args.mean.unwrap_or(said.mean),
            deviation: args.deviation.unwrap_or(said.deviation),
        };
        let together = preprocessing.pictures(inputs)?;
        let images = images(folder)?;
        ensure!(
            together > 0 && images.len() >= together,
            "{}: expected at least {} PNG or JPEG images, found {}",
            folder.display(),
            together.max(1),
            images.len()
        );
        let windows: Vec<_> = images.windows(together).collect();
        let count = windows.len().min(args.max_images);
        let files = (0..count).map(|index| windows[index * windows.len() / count].to_vec()).collect();
        Ok(Self { preprocessing, inputs: inputs.to_vec(), files })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The inputs of each sample.
    ///
    /// # Errors
    /// Each where one of its images can't be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = anyhow::Result<Vec<Vec<f32>>>> {
        self.files.iter().map(|files| self.sample(files))
    }

    fn sample(&self, files: &[PathBuf]) -> anyhow::Result<Vec<Vec<f32>>> {
        let images = files.iter().map(|file| decode(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let pictures = images.iter().map(picture).collect::<Result<Vec<_>, _>>()?;
        Ok(self.preprocessing.inputs(&self.inputs, &pictures))
    }
}

fn picture(image: &RgbImage) -> Result<Picture<'_>, NnError> {
    Picture::new(image.width() as usize, image.height() as usize, image)
}

/// PNG and JPEG files of a folder, in the order of their names.
pub(crate) fn images(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}: no folder to read", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let is_image = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        matches!(&*extension, "png" | "jpg" | "jpeg") && !is_hidden
    };
    let mut images: Vec<_> = paths.into_iter().filter(is_image).collect();
    images.sort();
    Ok(images)
}

fn decode(file: &Path) -> anyhow::Result<RgbImage> {
    let broken = || format!("{}: expected an image", file.display());
    let image = ImageReader::open(file).with_context(broken)?.with_guessed_format().with_context(broken)?;
    Ok(image.decode().with_context(broken)?.to_rgb8())
}
