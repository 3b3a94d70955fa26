//! Image files to pixels, into buffers that go round.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use geometry::{GrayImage, ImagePool, RgbImage};
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader};

use crate::DatasetError;

/// Pixels of one moment: grey always, colour where the source has it.
#[derive(Debug)]
pub(crate) struct Pixels {
    pub(crate) gray: Arc<GrayImage>,
    pub(crate) rgb: Option<Arc<RgbImage>>,
}

/// Buffers for the frames of one source, fixed when it is opened.
pub(crate) struct FramePools {
    pub(crate) gray: ImagePool<u8, 1>,
    pub(crate) rgb: ImagePool<u8, 3>,
}

impl FramePools {
    /// Enough for what is read ahead and what the stages hold; a consumer that keeps more costs allocations only.
    const FRAMES: usize = 12;

    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self::with_buffers(width, height, Self::FRAMES)
    }

    fn with_buffers(width: usize, height: usize, frames: usize) -> Self {
        Self { gray: ImagePool::new(width, height, frames), rgb: ImagePool::new(width, height, frames) }
    }

    /// Colour pixels with their luminance.
    pub(crate) fn with_gray(&self, rgb: RgbImage) -> Pixels {
        let mut gray = self.gray.take();
        rgb.to_gray_into(&mut gray);
        Pixels { gray: Arc::new(gray), rgb: Some(Arc::new(rgb)) }
    }
}

/// Decodes PNG and JPEG files of one size.
pub(crate) struct FileDecoder {
    size: (usize, usize),
    pools: FramePools,
    bytes: Vec<u8>,
}

impl FileDecoder {
    /// A decoder for images of `width` x `height`.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { size: (width, height), pools: FramePools::new(width, height), bytes: Vec::new() }
    }

    /// A decoder for one image: no buffers are set aside for others.
    pub(crate) fn for_one(width: usize, height: usize) -> Self {
        Self { size: (width, height), pools: FramePools::with_buffers(width, height, 0), bytes: Vec::new() }
    }

    /// The pixels of the file at `path`. Sixteen bits per value become eight; transparency is ignored.
    ///
    /// # Errors
    /// [`DatasetError::Io`] where the file can't be read, [`DatasetError::Image`] where it does not decode to its end,
    /// [`DatasetError::Content`] where its size is not the camera's.
    pub(crate) fn decode(&mut self, path: &Path) -> Result<Pixels, DatasetError> {
        self.read(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        let broken = |reason: String| DatasetError::Image { path: path.to_owned(), reason };
        if is_truncated_jpeg(&self.bytes) {
            return Err(broken("the file is truncated: it has no end-of-image marker".into()));
        }
        let decoder = ImageReader::new(Cursor::new(&self.bytes)).with_guessed_format();
        let decoder = decoder.map_err(|error| broken(error.to_string()))?.into_decoder();
        let decoder = decoder.map_err(|error| broken(error.to_string()))?;
        let (width, height) = decoder.dimensions();
        self.check_size((width as usize, height as usize), path)?;
        self.pixels(decoder).map_err(|error| broken(error.to_string()))
    }

    fn read(&mut self, path: &Path) -> std::io::Result<()> {
        self.bytes.clear();
        File::open(path)?.read_to_end(&mut self.bytes).map(|_| ())
    }

    fn check_size(&self, found: (usize, usize), path: &Path) -> Result<(), DatasetError> {
        if found == self.size {
            return Ok(());
        }
        Err(DatasetError::Content {
            expected: format!("an image of {}x{}, the camera's size", self.size.0, self.size.1),
            found: format!("{}x{}", found.0, found.1),
            path: path.to_owned(),
        })
    }

    fn pixels(&self, decoder: impl ImageDecoder) -> image::ImageResult<Pixels> {
        match decoder.color_type() {
            ColorType::L8 => {
                let mut gray = self.pools.gray.take();
                decoder.read_image(gray.as_mut_slice())?;
                Ok(Pixels { gray: Arc::new(gray), rgb: None })
            }
            ColorType::Rgb8 => {
                let mut rgb = self.pools.rgb.take();
                decoder.read_image(rgb.as_mut_slice())?;
                Ok(self.pools.with_gray(rgb))
            }
            other => Ok(self.convert(&DynamicImage::from_decoder(decoder)?, other.has_color())),
        }
    }

    /// The slow way, for the formats that cameras seldom write.
    fn convert(&self, image: &DynamicImage, has_color: bool) -> Pixels {
        if has_color {
            let mut rgb = self.pools.rgb.take();
            rgb.as_mut_slice().copy_from_slice(&image.to_rgb8());
            return self.pools.with_gray(rgb);
        }
        let mut gray = self.pools.gray.take();
        gray.as_mut_slice().copy_from_slice(&image.to_luma8());
        Pixels { gray: Arc::new(gray), rgb: None }
    }
}

/// Whether `bytes` are a JPEG that stops before its end. The decoder fills the rest with grey and says nothing.
///
/// Inside entropy-coded data neither marker can occur (ITU-T T.81, B.1.1.5), so the file is whole if it
/// has an end of image and no scan starts after the last one; a thumbnail's end comes before the image's scan.
fn is_truncated_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return false;
    }
    let end = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xD9]);
    end.is_none_or(|end| bytes[end..].windows(2).any(|pair| pair == [0xFF, 0xDA]))
}

/// `(width, height)` of the first of `paths` whose header can be read.
///
/// # Errors
/// That of the first image, where none has a header.
pub(crate) fn first_size<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<Option<(usize, usize)>, DatasetError> {
    let mut first_error = None;
    for path in paths {
        match header_size(path) {
            Ok(size) => return Ok(Some(size)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// `(width, height)` of an image file, read from its header alone.
///
/// # Errors
/// [`DatasetError::Io`] where the file can't be read, [`DatasetError::Image`] where it has no header.
pub(crate) fn header_size(path: &Path) -> Result<(usize, usize), DatasetError> {
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let reader = ImageReader::open(path).map_err(io)?.with_guessed_format().map_err(io)?;
    match reader.into_dimensions() {
        Ok((width, height)) => Ok((width as usize, height as usize)),
        Err(error) => Err(DatasetError::Image { path: path.to_owned(), reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage as GrayFile, ImageBuffer, Luma, RgbImage as RgbFile};
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn grey_stays_grey_and_colour_gives_both() {
        let folder = tempdir().unwrap();
        let (gray, rgb) = (folder.path().join("gray.png"), folder.path().join("rgb.png"));
        GrayFile::from_pixel(8, 6, Luma([77])).save(&gray).unwrap();
        RgbFile::from_pixel(8, 6, image::Rgb([255, 0, 0])).save(&rgb).unwrap();
        let mut decoder = FileDecoder::new(8, 6);
        let pixels = decoder.decode(&gray).unwrap();
        assert!(pixels.rgb.is_none() && pixels.gray.as_slice().iter().all(|v| *v == 77));
        let pixels = decoder.decode(&rgb).unwrap();
        assert_eq!((pixels.gray.pixel(3, 3), pixels.rgb.unwrap().pixel(3, 3)), ([76], [255, 0, 0]));
    }

    #[test]
    fn sixteen_bits_become_eight() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("deep.png");
        ImageBuffer::<Luma<u16>, _>::from_pixel(4, 4, Luma([0x8000])).save(&path).unwrap();
        let pixels = FileDecoder::new(4, 4).decode(&path).unwrap();
        assert_eq!(pixels.gray.pixel(1, 1), [128]);
    }

    #[test]
    fn truncated_files_are_named() {
        let folder = tempdir().unwrap();
        for name in ["noise.jpg", "noise.png"] {
            let path = folder.path().join(name);
            GrayFile::from_fn(64, 48, |x, y| Luma([(x * x * 7 + y * y * 13) as u8])).save(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
            let error = FileDecoder::new(64, 48).decode(&path).unwrap_err();
            assert!(matches!(&error, DatasetError::Image { path: at, .. } if *at == path), "{error}");
        }
    }

    #[test]
    fn another_size_is_told_with_both() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("small.png");
        GrayFile::new(4, 3).save(&path).unwrap();
        let error = FileDecoder::new(8, 6).decode(&path).unwrap_err().to_string();
        assert!(error.contains("8x6") && error.contains("4x3") && error.contains("small.png"), "{error}");
    }

    #[test]
    fn the_size_comes_from_the_first_readable_header() {
        let folder = tempdir().unwrap();
        let (bad, good) = (folder.path().join("0.png"), folder.path().join("1.png"));
        std::fs::write(&bad, b"no image").unwrap();
        GrayFile::new(4, 3).save(&good).unwrap();
        assert_eq!(first_size([bad.as_path(), &good]).unwrap(), Some((4, 3)));
        assert!(matches!(first_size([bad.as_path()]), Err(DatasetError::Image { .. })));
    }
}
