//! Motion added to motion.

use geometry::{Frame, Se3};

use super::PoseNetwork;
use crate::error::VoError;

/// Odometry by a pose network alone: what it sees from frame to frame, added up. It has no map, never looks back and knows no
/// doubt; lengths are in the network's unit.
#[derive(Debug)]
pub struct NetworkOdometry {
    network: PoseNetwork,
    /// The frame before, and where its camera was.
    last: Option<(Frame, Se3)>,
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
        let world_from_camera = match &self.last {
            Some((before, world_from_before)) => {
                *world_from_before * self.network.predict(before, frame)?.inverse()
            }
            None => Se3::identity(),
        };
        self.last = Some((frame.clone(), world_from_camera));
        Ok(world_from_camera)
    }
}
