//! Sample frames as pictures inside the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use geometry::{GrayImage, RgbImage};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageBuffer};

use super::html::escape;
use crate::EvalError;

/// A picture with a caption, already compressed.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleFrame {
    caption: String,
    media_type: &'static str,
    bytes: Vec<u8>,
}

/// Wider pictures are reduced to this, so that a page with a dozen stays below a megabyte or two.
const MAX_WIDTH: u32 = 960;
const JPEG_QUALITY: u8 = 82;

impl SampleFrame {
    /// A colour image, stored as JPEG at most 960 pixels wide.
    ///
    /// # Errors
    /// [`EvalError::Frame`] where it can't be compressed.
    pub fn from_rgb(caption: impl Into<String>, image: &RgbImage) -> Result<Self, EvalError> {
        let pixels =
            ImageBuffer::from_raw(image.width() as u32, image.height() as u32, image.as_slice().to_vec());
        Self::compressed(caption.into(), pixels.map(DynamicImage::ImageRgb8))
    }

    /// A grey image, stored as JPEG at most 960 pixels wide.
    ///
    /// # Errors
    /// [`EvalError::Frame`] where it can't be compressed.
    pub fn from_gray(caption: impl Into<String>, image: &GrayImage) -> Result<Self, EvalError> {
        let pixels =
            ImageBuffer::from_raw(image.width() as u32, image.height() as u32, image.as_slice().to_vec());
        Self::compressed(caption.into(), pixels.map(DynamicImage::ImageLuma8))
    }

    /// A JPEG or PNG file as it is.
    ///
    /// # Errors
    /// [`EvalError::Frame`] for bytes that begin like neither.
    pub fn from_encoded(caption: impl Into<String>, bytes: Vec<u8>) -> Result<Self, EvalError> {
        let caption = caption.into();
        let media_type = match image::guess_format(&bytes) {
            Ok(image::ImageFormat::Jpeg) => "image/jpeg",
            Ok(image::ImageFormat::Png) => "image/png",
            _ => return Err(EvalError::Frame { caption, reason: "expected a JPEG or a PNG".to_owned() }),
        };
        Ok(Self { caption, media_type, bytes })
    }

    fn compressed(caption: String, image: Option<DynamicImage>) -> Result<Self, EvalError> {
        let Some(mut image) = image else {
            return Err(EvalError::Frame { caption, reason: "its size does not fit its pixels".to_owned() });
        };
        if image.width() > MAX_WIDTH {
            image = image.resize(MAX_WIDTH, u32::MAX, FilterType::Triangle);
        }
        let mut bytes = Vec::new();
        match image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)) {
            Ok(()) => Ok(Self { caption, media_type: "image/jpeg", bytes }),
            Err(error) => Err(EvalError::Frame { caption, reason: error.to_string() }),
        }
    }

    pub(super) fn to_html(&self) -> String {
        let caption = escape(&self.caption);
        format!(
            "<figure><img alt=\"{caption}\" src=\"data:{};base64,{}\"><figcaption>{caption}</figcaption></figure>\n",
            self.media_type,
            STANDARD.encode(&self.bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_shrink_and_decode_again() {
        let image = RgbImage::from_fn(1920, 540, |x, y| [(x / 8) as u8, (y / 4) as u8, 90]);
        let frame = SampleFrame::from_rgb("frame 7", &image).unwrap();
        let decoded = image::load_from_memory(&frame.bytes).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (960, 270));
        assert!(
            frame.to_html().starts_with("<figure><img alt=\"frame 7\" src=\"data:image/jpeg;base64,/9j/")
        );
    }

    #[test]
    fn gray_is_stored_too_and_other_bytes_are_refused() {
        assert!(SampleFrame::from_gray("g", &GrayImage::filled(16, 9, [7])).is_ok());
        let error = SampleFrame::from_encoded("text", b"hello".to_vec()).unwrap_err().to_string();
        assert_eq!(error, "cannot embed frame `text`: expected a JPEG or a PNG");
    }
}
