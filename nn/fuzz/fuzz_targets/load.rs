//! Loads what is no file of ours: `cargo +nightly fuzz run load -- -max_len=65536 -rss_limit_mb=6000`, best with a corpus
//! of small ONNX files. Anything but an error or a network that runs is a find.

#![no_main]

use std::sync::Once;

use kestrel_nn::Network;
use kestrel_nn::kernels::Kernel;
use libfuzzer_sys::fuzz_target;

/// More would be slow and not more telling.
const LARGEST: usize = 16 << 20;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // What tract panics about is caught and told as an error; the fuzzer's own hook would stop before that. A panic that
    // nobody catches still ends the run.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| ())));
    if let Ok(mut network) = Network::read(bytes, Kernel::SCALAR)
        && network.working_bytes() < LARGEST
    {
        let _ = network.run();
    }
});
