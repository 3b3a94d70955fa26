//! A run takes no memory.

#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use kestrel_nn::Network;
use kestrel_nn::kernels::Kernel;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
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
fn a_run_takes_no_memory() {
    let file = common::bytes(&common::every_layer(false));
    for kernel in Kernel::available() {
        let mut network = Network::read(&file, kernel).unwrap();
        network.input(0).copy_from_slice(&common::image());
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..3 {
            network.run().unwrap();
        }
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "{kernel}");
        assert!(before > 0, "the allocator counts");
    }
}
