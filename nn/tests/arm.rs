//! The suite of the kernels and of whole networks on 64-bit ARM, by emulation.
//!
//! Needs `qemu-aarch64` and `aarch64-linux-gnu-gcc` (Debian's qemu-user and gcc-aarch64-linux-gnu), and the standard
//! library for the target (`rustup target add aarch64-unknown-linux-gnu`, or `RUSTC` set to a compiler that has it). Skips
//! where one of them is missing. The first run compiles the engine's dependencies for the target, which takes minutes.

#![cfg(not(target_arch = "aarch64"))]

use std::path::Path;
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const EMULATOR: &str = "qemu-aarch64";
const LINKER: &str = "aarch64-linux-gnu-gcc";

/// What is missing here.
fn missing() -> Option<&'static str> {
    let runs =
        |program| Command::new(program).arg("--version").output().is_ok_and(|run| run.status.success());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let library = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let has_library =
        library.is_ok_and(|run| Path::new(String::from_utf8_lossy(&run.stdout).trim()).is_dir());
    [
        (runs(EMULATOR), "qemu-aarch64 (Debian: qemu-user)"),
        (runs(LINKER), "aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)"),
        (has_library, "the standard library for ARM (rustup target add aarch64-unknown-linux-gnu)"),
    ]
    .into_iter()
    .find_map(|(is_here, what)| (!is_here).then_some(what))
}

#[test]
fn kernels_and_networks_compute_the_same_bits_on_arm() {
    if let Some(what) = missing() {
        eprintln!("SKIPPED: needs {what}");
        return;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let run = Command::new(cargo)
        .args([
            "test",
            "--locked",
            "--package",
            "kestrel-nn",
            "--lib",
            "--test",
            "network",
            "--target",
            TARGET,
        ])
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR)
        // In one piece: the emulator of Debian 12 hangs where a shared C library starts a thread.
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
        .env("KESTREL_EXPECT_KERNEL", "arm-sdot")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let run = run.expect("cargo starts");
    let (out, error) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{error}");
    assert!(out.contains("test kernels::kernel::tests::the_expected_kernel_is_there ... ok"), "{out}");
}
