//! How well targets were followed, by the protocols of the benchmarks.
//!
//! | protocol | question | start at |
//! |---|---|---|
//! | OTB, one pass | shown the target once, how long and how well is it held? | [`OnePassReport::measure`] |
//! | VOT, supervised | how well while it is held, and how often is it lost? | [`VotReport::measure`] |
//! | MOTChallenge | are all targets found, and does each keep its identity? | [`MultiObjectReport::measure`] |
//!
//! Boxes are pixels, `x` and `y` the top-left corner. Whether a file counts pixels from 0 or from 1 does not matter, as
//! long as truth and estimate do the same: overlaps and distances are those of differences.

mod film;
mod mot;
mod one_pass;
mod polygon;
mod record;
mod rectangle;
mod suite;
mod vot;

pub(crate) use mot::multi_object_rows;
pub(crate) use rectangle::{data_rows, numbers, row_error};
pub(crate) use vot::vot_rows;

pub use film::{FilmPicture, film_strip};
pub use mot::{MotTracks, MultiObjectReport, multi_object_table};
pub use one_pass::{FrameScore, OnePassReport};
pub use polygon::{Bounds, Polygon};
pub use record::TrackerRecord;
pub use rectangle::{Rectangle, read_rectangles};
pub use suite::{AttributeScore, Loss, OnePassSuite, SequenceReport, suites_table};
pub use vot::{
    Answer, VotAttribute, VotDataset, VotProtocol, VotReport, VotResults, VotSequence, VotSequenceReport,
    vot_table,
};
