//! Depth in 16-bit PNG files, as KITTI and TUM store it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use geometry::DepthImage;
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder};

use crate::DatasetError;

/// Values for one metre in the files of KITTI's depth benchmark: up to 255.99 m.
pub const DEPTH_VALUES_PER_METRE: f64 = 256.0;

/// The depths in the 16-bit grey PNG at `path`; 0 stays 0, which is unknown.
///
/// # Errors
/// [`DatasetError::Io`] where it can't be read, [`DatasetError::Image`] where it is no such PNG.
pub fn read_depth_png(path: &Path, values_per_metre: f64) -> Result<DepthImage, DatasetError> {
    let broken = |reason: String| DatasetError::Image { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
    let decoder = PngDecoder::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    if decoder.color_type() != ColorType::L16 {
        return Err(broken(format!("expected 16-bit grey values, found {:?}", decoder.color_type())));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| broken(error.to_string()))?.into_luma16();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let depths = image.into_raw().into_iter().map(|value| (f64::from(value) / values_per_metre) as f32);
    DepthImage::from_vec(width, height, depths.collect()).map_err(|error| broken(error.to_string()))
}

/// Writes depths to a 16-bit grey PNG, in place of what is there; 0 where unknown or too far to be stored.
///
/// # Errors
/// [`DatasetError::Write`] where it can't be written.
pub fn write_depth_png(path: &Path, depth: &DepthImage, values_per_metre: f64) -> Result<(), DatasetError> {
    let write_error = |source| DatasetError::Write { path: path.to_owned(), source };
    let file = File::create(path).map_err(write_error)?;
    let bytes = depth_bytes(depth.as_slice(), values_per_metre as f32);
    let encoder = PngEncoder::new_with_quality(BufWriter::new(file), CompressionType::Fast, FilterType::Up);
    let (width, height) = depth.size();
    let written = encoder.write_image(&bytes, width as u32, height as u32, ExtendedColorType::L16);
    written.map_err(|error| write_error(io::Error::other(error)))
}

/// 16-bit values in this machine's byte order, as the encoder wants them; 0 where the depth does not fit.
pub(crate) fn depth_bytes(depth_m: &[f32], scale: f32) -> Vec<u8> {
    let value = |d: &f32| {
        let scaled = (d * scale).round();
        if scaled <= f32::from(u16::MAX) { scaled as u16 } else { 0 }
    };
    depth_m.iter().flat_map(|d| value(d).to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn depths_read_back_to_half_a_step() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("depth.png");
        let depth = DepthImage::from_vec(3, 2, vec![0.0, 0.5, 7.123, 255.9, 300.0, f32::INFINITY]).unwrap();
        write_depth_png(&path, &depth, DEPTH_VALUES_PER_METRE).unwrap();
        let read = read_depth_png(&path, DEPTH_VALUES_PER_METRE).unwrap();
        for (index, expected) in [0.0, 0.5, 7.123, 255.9, 0.0, 0.0].into_iter().enumerate() {
            assert!((read.as_slice()[index] - expected).abs() <= 0.5 / 256.0, "{index}: {read:?}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("grey.png");
        image::GrayImage::new(4, 4).save(&path).unwrap();
        let error = read_depth_png(&path, 256.0).unwrap_err().to_string();
        assert!(error.contains("expected 16-bit grey values, found L8"), "{error}");
        std::fs::write(&path, "no picture").unwrap();
        assert!(read_depth_png(&path, 256.0).unwrap_err().to_string().contains("can't decode image"));
        assert!(read_depth_png(&folder.path().join("none.png"), 256.0).is_err());
    }

    #[test]
    fn depth_beyond_the_range_is_stored_as_none() {
        assert_eq!(
            depth_bytes(&[1.0, 300.0, f32::INFINITY], 256.0),
            [256_u16.to_ne_bytes(), [0; 2], [0; 2]].concat()
        );
    }
}
