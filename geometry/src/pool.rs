//! Image buffers that go round instead of being allocated.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Image;

type FreeList<T> = Mutex<Vec<Vec<T>>>;

/// A fixed set of buffers for images of one size.
///
/// [`take`](Self::take) hands out a buffer as an [`Image`]; dropping the image, however late and on whichever
/// thread, returns it. A pool that has run dry allocates, so a consumer that holds on to images costs memory
/// and never a frame; at most `capacity` buffers are kept.
#[derive(Debug)]
pub struct ImagePool<T, const CHANNELS: usize> {
    width: usize,
    height: usize,
    free: Arc<FreeList<T>>,
}

impl<T: Copy + Default, const CHANNELS: usize> ImagePool<T, CHANNELS> {
    /// A pool of `capacity` buffers, allocated now.
    pub fn new(width: usize, height: usize, capacity: usize) -> Self {
        let mut buffers = Vec::with_capacity(capacity);
        buffers.resize_with(capacity, || vec![T::default(); width * height * CHANNELS]);
        Self { width, height, free: Arc::new(Mutex::new(buffers)) }
    }

    /// `(width, height)` of the images.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// An image to write into. Its content is whatever the buffer last held.
    pub fn take(&self) -> Image<T, CHANNELS> {
        let buffer = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let data = buffer.unwrap_or_else(|| vec![T::default(); self.width * self.height * CHANNELS]);
        Image::pooled(self.width, self.height, data, Recycler(Arc::downgrade(&self.free)))
    }
}

/// The way back to the pool; leads nowhere once the pool is gone.
pub(crate) struct Recycler<T>(Weak<FreeList<T>>);

impl<T> Recycler<T> {
    pub(crate) fn give_back(&self, buffer: Vec<T>) {
        if let Some(free) = self.0.upgrade() {
            let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < free.capacity() {
                free.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_image_comes_round_again() {
        let pool = ImagePool::<u8, 1>::new(4, 4, 1);
        let first = pool.take();
        let address = first.as_slice().as_ptr();
        drop(first);
        assert_eq!(pool.take().as_slice().as_ptr(), address);
    }

    #[test]
    fn a_dry_pool_still_gives_and_keeps_only_its_capacity() {
        let pool = ImagePool::<u8, 1>::new(2, 2, 1);
        let (a, b) = (pool.take(), pool.take());
        assert_eq!((a.size(), b.size()), ((2, 2), (2, 2)));
        drop((a, b));
        assert_eq!(pool.free.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_image_outlives_its_pool() {
        let pool = ImagePool::<f32, 1>::new(2, 2, 1);
        let image = pool.take();
        drop(pool);
        assert_eq!(image.as_slice().len(), 4);
    }
}
