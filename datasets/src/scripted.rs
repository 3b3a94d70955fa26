//! A source for tests of what sits on top of sources.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use geometry::{Frame, GrayImage, PinholeCamera};

use crate::sequence::even_stamp;
use crate::{Dataset, DatasetError, SourceInfo};

/// Frames of 64 x 48 pixels whose grey value is their number.
pub(crate) struct Scripted {
    info: SourceInfo,
    next: usize,
    failing_at: Option<usize>,
    panicking_at: Option<usize>,
    /// Frames made so far, and `usize::MAX` once dropped.
    pub(crate) made: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn of(count: usize) -> Self {
        let camera = PinholeCamera::from_horizontal_fov(64, 48, 1.2).unwrap();
        Self::with_camera(count, camera)
    }

    pub(crate) fn with_camera(count: usize, camera: PinholeCamera) -> Self {
        let info = SourceInfo {
            name: "scripted".into(),
            camera: Arc::new(camera),
            frame_count: Some(count),
            frame_rate: Some(10.0),
            live: false,
            assumptions: Vec::new(),
        };
        Self { info, next: 0, failing_at: None, panicking_at: None, made: Arc::default() }
    }

    pub(crate) fn failing_at(mut self, index: usize) -> Self {
        self.failing_at = Some(index);
        self
    }

    pub(crate) fn panicking_at(mut self, index: usize) -> Self {
        self.panicking_at = Some(index);
        self
    }

    pub(crate) fn live(mut self) -> Self {
        self.info.live = true;
        self
    }
}

impl Dataset for Scripted {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let index = self.next;
        if self.info.frame_count.is_some_and(|count| index >= count) {
            return Ok(None);
        }
        self.next += 1;
        self.made.store(self.next, Ordering::SeqCst);
        assert!(self.panicking_at != Some(index), "the decoder met a fault on purpose");
        if self.failing_at == Some(index) {
            return Err(DatasetError::Image { path: "scripted".into(), reason: "on purpose".into() });
        }
        let camera = Arc::clone(&self.info.camera);
        let gray = Arc::new(GrayImage::filled(camera.width(), camera.height(), [index as u8]));
        Ok(Some(Frame { stamp: even_stamp(index, 10.0), seq: index as u64, gray, rgb: None, camera }))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.made.store(usize::MAX, Ordering::SeqCst);
    }
}
