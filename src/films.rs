//! The pictures that a flight leaves for its report, made while it flies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::depths::DepthFilm;
use crate::detections::DetectionFilm;
use crate::snapshots::Snapshots;
use crate::target::TargetFilm;

/// Pictures of a flight; those who watch it each keep a handle of theirs.
#[derive(Debug, Default)]
pub(crate) struct Films {
    pub(crate) snapshots: Arc<Mutex<Snapshots>>,
    pub(crate) target: Arc<Mutex<TargetFilm>>,
    pub(crate) objects: Arc<Mutex<DetectionFilm>>,
    pub(crate) depths: Arc<Mutex<DepthFilm>>,
}

/// What is on a film, though whoever made it may have panicked.
pub(crate) fn developed<T>(film: &Mutex<T>) -> MutexGuard<'_, T> {
    film.lock().unwrap_or_else(PoisonError::into_inner)
}
