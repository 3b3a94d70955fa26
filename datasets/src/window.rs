//! A part of a source.

use geometry::Frame;

use crate::{Dataset, DatasetError, GroundTruth, SourceInfo};

/// Which frames of a source to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// Frames to leave out at the start.
    pub skip: usize,
    /// Use every so manieth frame; 0 counts as 1.
    pub stride: usize,
    /// Use at most so many frames; `None` for all.
    pub max_frames: Option<usize>,
}

impl Default for WindowSpec {
    fn default() -> Self {
        Self { skip: 0, stride: 1, max_frames: None }
    }
}

/// A source cut to the frames that a [`WindowSpec`] selects. A frame that can't be read counts as one.
///
/// Frames are numbered anew, so that `seq` has gaps only where the source has.
pub struct Window<D> {
    source: D,
    info: SourceInfo,
    spec: WindowSpec,
    taken: usize,
}

impl<D: Dataset> Window<D> {
    /// The part of `source` that `spec` selects.
    pub fn new(source: D, spec: WindowSpec) -> Self {
        let spec = WindowSpec { stride: spec.stride.max(1), ..spec };
        let mut info = source.info().clone();
        info.frame_count = info.frame_count.map(|count| spec.count_of(count));
        info.frame_rate = info.frame_rate.map(|rate| rate / spec.stride as f64);
        Self { source, info, spec, taken: 0 }
    }

    /// Passes over `count` frames, readable or not; `false` where the source ends on the way.
    fn pass_over(&mut self, count: usize) -> bool {
        // An error about a frame that nobody wants is of no interest.
        (0..count).all(|_| self.source.skip_frame().unwrap_or(true))
    }
}

impl WindowSpec {
    fn count_of(self, count: usize) -> usize {
        let selected = count.saturating_sub(self.skip).div_ceil(self.stride);
        self.max_frames.map_or(selected, |max| max.min(selected))
    }
}

impl<D: Dataset> Dataset for Window<D> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        if self.spec.max_frames.is_some_and(|max| self.taken >= max) {
            return Ok(None);
        }
        let before = if self.taken == 0 { self.spec.skip } else { self.spec.stride - 1 };
        self.taken += 1;
        if !self.pass_over(before) {
            return Ok(None);
        }
        let frame = self.source.next_frame()?;
        let (skip, stride) = (self.spec.skip as u64, self.spec.stride as u64);
        Ok(frame.map(|frame| Frame { seq: frame.seq.saturating_sub(skip) / stride, ..frame }))
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        self.source.ground_truth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Scripted;

    fn values(spec: WindowSpec, source: Scripted) -> Vec<(u64, u8)> {
        let mut window = Window::new(source, spec);
        let mut values = Vec::new();
        loop {
            match window.next_frame() {
                Ok(Some(frame)) => values.push((frame.seq, frame.gray.pixel(0, 0)[0])),
                Ok(None) => return values,
                Err(_) => values.push((u64::MAX, 0)),
            }
        }
    }

    #[test]
    fn skip_stride_and_limit_select() {
        let spec = WindowSpec { skip: 2, stride: 3, max_frames: Some(3) };
        assert_eq!(values(spec, Scripted::of(20)), [(0, 2), (1, 5), (2, 8)]);
        assert_eq!(Window::new(Scripted::of(20), spec).info().frame_count, Some(3));
        let rest = WindowSpec { max_frames: None, ..spec };
        assert_eq!(values(rest, Scripted::of(10)), [(0, 2), (1, 5), (2, 8)]);
        assert_eq!(Window::new(Scripted::of(10), rest).info().frame_count, Some(3));
        assert_eq!(values(WindowSpec::default(), Scripted::of(3)).len(), 3);
        assert_eq!(values(WindowSpec { stride: 0, ..WindowSpec::default() }, Scripted::of(3)).len(), 3);
    }

    #[test]
    fn a_window_past_the_end_is_empty() {
        let spec = WindowSpec { skip: 9, ..WindowSpec::default() };
        assert_eq!(values(spec, Scripted::of(3)), []);
        assert_eq!(Window::new(Scripted::of(3), spec).info().frame_count, Some(0));
    }

    #[test]
    fn an_unreadable_frame_counts_where_it_is_wanted() {
        let every_other = WindowSpec { stride: 2, ..WindowSpec::default() };
        let lost = values(every_other, Scripted::of(5).failing_at(2));
        assert_eq!(lost, [(0, 0), (u64::MAX, 0), (2, 4)]);
        assert_eq!(values(every_other, Scripted::of(5).failing_at(3)), [(0, 0), (1, 2), (2, 4)]);
    }
}
