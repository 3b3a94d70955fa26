//! A run takes no memory.

mod common;

use allocation_counter::measure;
use kestrel_nn::Network;
use kestrel_nn::kernels::Kernel;

#[test]
fn a_run_takes_no_memory() {
    let file = common::bytes(&common::every_layer(false));
    for kernel in Kernel::available() {
        let mut network = None;
        let loading = measure(|| network = Some(Network::read(&file, kernel).unwrap()));
        assert!(loading.count_total > 0, "the allocator counts");
        let mut network = network.unwrap();
        network.input(0).copy_from_slice(&common::image());
        let running = measure(|| (0..3).for_each(|_| network.run().unwrap()));
        assert_eq!(running.count_total, 0, "{kernel}");
    }
}
