//! One image file by itself.

use std::path::Path;
use std::sync::Arc;

use geometry::{Frame, PinholeCamera, Timestamp};

use crate::DatasetError;
use crate::calibration::ASSUMED_HORIZONTAL_FOV_DEG;
use crate::decode::{FileDecoder, header_size};

/// The PNG or JPEG at `path` as a frame with stamp and number 0 and a camera of an assumed field of view
/// ([`ASSUMED_HORIZONTAL_FOV_DEG`]).
///
/// # Errors
/// [`DatasetError::Io`] where it can't be read, [`DatasetError::Image`] where it does not decode to its end.
pub fn read_image(path: &Path) -> Result<Frame, DatasetError> {
    read_image_of_size(path, header_size(path)?)
}

/// The same, where it is of this `(width, height)`.
///
/// # Errors
/// Besides, [`DatasetError::Content`] where it is of another size.
pub(crate) fn read_image_of_size(
    path: &Path,
    (width, height): (usize, usize),
) -> Result<Frame, DatasetError> {
    let pixels = FileDecoder::for_one(width, height).decode(path)?;
    let camera = PinholeCamera::from_horizontal_fov(width, height, ASSUMED_HORIZONTAL_FOV_DEG.to_radians());
    let camera =
        camera.map_err(|error| DatasetError::Image { path: path.to_owned(), reason: error.to_string() })?;
    let stamp = Timestamp::from_nanos(0);
    Ok(Frame { stamp, seq: 0, gray: pixels.gray, rgb: pixels.rgb, camera: Arc::new(camera) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        image::GrayImage::from_pixel(8, 6, image::Luma([77])).save(&path).unwrap();
        let frame = read_image(&path).unwrap();
        assert_eq!((frame.size(), frame.gray.pixel(3, 3)), ((8, 6), [77]));
        std::fs::write(&path, "no picture").unwrap();
        assert!(read_image(&path).unwrap_err().to_string().contains("a.png"));
    }
}
