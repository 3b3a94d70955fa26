//! Will a video do to learn from? What networks that learn depth and motion by themselves need is looked for before hours of
//! training: a camera that moves, and not only turns; frames that are sharp, evenly exposed and follow one another; a scene that is
//! not flat.
//!
//! [`Doctor`] takes the frames; [`Diagnosis`] has what was measured, a [`Verdict`] with its reasons, and the [`Snippet`]s that a
//! trainer may take. Frames are looked at in about the size at which networks learn, so that blur or noise that is gone then does
//! not count; pixels in the diagnosis are those of the video. Features are followed as the odometry follows them.

mod border;
mod brightness;
mod examination;
mod findings;
mod motion;
mod sharpness;
mod shutter;
mod snippets;
mod verdict;

pub use border::Crop;
pub use examination::Doctor;
pub use findings::Diagnosis;
pub use snippets::Snippet;
pub use verdict::Verdict;
