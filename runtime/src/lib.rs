//! The graph that flies.
//!
//! Start with [`graph`], which says in five minutes how stages are put together; then [`Flight`], whose `build` is the
//! graph that flies, from top to bottom. [`stages`] do the work, [`sinks`] take the results away, [`run`] is the folder
//! that a flight leaves behind, and [`replay()`] flies such a folder again.
//!
//! Adding a stage is one new file in `stages`, one factory and one line in `Flight::build`.

mod error;
mod flight;
pub mod graph;
mod replay;
pub mod run;
pub mod sinks;
pub mod stages;
mod summary;

pub use error::RuntimeError;
pub use flight::{Flight, FlightConfig, Viewer};
pub use replay::{Replay, replay};
pub use summary::{
    BranchSummary, DepthSummary, DetectionSummary, Ended, FlightSummary, LatencyRow, PoseSummary,
    TargetSummary,
};
