//! Following a frame takes no memory but what it hands over.
#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use datasets::world::{Motion, World, WorldConfig};
use kestrel_vo::{TrackingState, VisualOdometry, VoConfig};

const FRAMES: usize = 60;
/// Frames after the first map until all rooms are as large as they get.
const WARM_UP: usize = 15;
/// The list of tracks.
const HANDED_OVER: usize = 1;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, so that no other one allocates meanwhile.
#[test]
fn a_frame_between_keyframes_takes_no_memory_but_its_list_of_tracks() {
    let config =
        WorldConfig { frames: FRAMES, width: 320, height: 240, ..WorldConfig::for_motion(Motion::Nadir) };
    let world = World::new(config).unwrap();
    let mut odometry = VisualOdometry::new(VoConfig::default());
    let (mut tracked, mut counted) = (0, 0);
    for i in 0..FRAMES {
        let frame = world.frame(i);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let estimate = odometry.register_frame(&frame);
        let taken = ALLOCATIONS.load(Ordering::Relaxed) - before;
        tracked += usize::from(estimate.state == TrackingState::Tracking);
        if tracked > WARM_UP && estimate.keyframes.is_empty() {
            assert!(taken <= HANDED_OVER, "{taken} allocations in frame {i}");
            counted += 1;
        }
    }
    assert!(counted > 5, "{counted} frames between keyframes of {tracked} tracked");
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the allocator counts");
}
