//! Motion added to motion.

use geometry::{Frame, Se3};

use super::{PoseImage, PoseNetwork};
use crate::error::VoError;

/// Odometry by a pose network alone: what it sees from frame to frame, added up. It has no map, never looks back and knows no
/// doubt; lengths are in the network's unit.
#[derive(Debug)]
pub struct NetworkOdometry {
    network: PoseNetwork,
    /// The two frames before, the earlier one first (at the beginning one frame twice), and where the camera of the later one
    /// was.
    last: Option<([PoseImage; 2], Se3)>,
}

impl NetworkOdometry {
    /// Odometry by `network` that has seen nothing.
    pub fn new(network: PoseNetwork) -> Self {
        Self { network, last: None }
    }

    /// Where the camera of the next `frame` is, `world_from_camera`; that of the first is the world. A frame that fails
    /// leaves no trace: the next motion is seen over it at once.
    ///
    /// # Errors
    /// [`VoError::Network`] where a node in float fails.
    pub fn register_frame(&mut self, frame: &Frame) -> Result<Se3, VoError> {
        let image = self.network.prepare(frame)?;
        let Some(([earlier, before], world_from_before)) = &self.last else {
            self.last = Some(([image.clone(), image], Se3::identity()));
            return Ok(Se3::identity());
        };
        let camera_from_before = self.network.predict([earlier, before, &image])?;
        let world_from_camera = *world_from_before * camera_from_before.inverse();
        // What is two frames back is not needed any more.
        if let Some((images, world_from_last)) = &mut self.last {
            images.swap(0, 1);
            (images[1], *world_from_last) = (image, world_from_camera);
        }
        Ok(world_from_camera)
    }
}
