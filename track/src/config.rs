//! The numbers of a tracker, and switches for its parts.

/// What a tracker does. Every part can be switched off to find out what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackerConfig {
    /// Kernelised ridge regression over the whole target.
    pub kernel_stream: bool,
    /// Regularised correlation filters.
    pub convolution_stream: bool,
    /// Parts of a kernel are compared with each other, with learnt weights, instead of each with itself alone.
    pub cross_patch_similarity: bool,
    /// Parts of the filters may move a little: distance-transform pooling.
    pub deformable_parts: bool,
    /// Streams count by how reliable they have been, instead of equally.
    pub reliability_fusion: bool,
    /// A fast memory beside the slow one.
    pub fast_memory: bool,
    /// Colour names beside gradients.
    pub colour: bool,
    /// The target's size changes.
    pub scale: bool,
    /// The ratio of its sides changes.
    pub aspect: bool,
    /// The target may turn in the image.
    pub rotation: bool,
    /// Nothing is learnt from doubtful frames.
    pub occlusion_gate: bool,
    /// A lost target is sought in a window that grows.
    pub redetection: bool,
    /// What is found is compared with how the target looked while there was no doubt.
    pub long_memory: bool,
    /// The camera's own motion is measured, and the search begins where it took the target.
    pub ego_motion: bool,
    /// Learns from every so many frames.
    pub learning_interval: usize,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            kernel_stream: true,
            convolution_stream: true,
            cross_patch_similarity: true,
            deformable_parts: true,
            reliability_fusion: true,
            fast_memory: true,
            colour: true,
            scale: true,
            aspect: false,
            rotation: true,
            occlusion_gate: true,
            redetection: true,
            long_memory: true,
            ego_motion: true,
            learning_interval: 2,
        }
    }
}
