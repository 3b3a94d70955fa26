//! Which kernels there are and which of them this processor can run.

use std::fmt;
use std::str::FromStr;

#[cfg(target_arch = "aarch64")]
use super::arm::Dotprod;
use super::lanes::{Lanes, WideLanes};
use super::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512Vnni, AvxVnni};
use crate::error::NnError;

/// Instructions to run layers with. A value is the proof that this processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Unit);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "aarch64")]
    Dotprod(Dotprod),
}

/// Something to do with a vector unit.
pub(super) trait Work {
    /// What comes of it.
    type Output;

    /// Does it. Must be inlined, or it is not compiled for the vector unit.
    fn on<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Something to do with a vector unit that multiplies in sixteen bits.
pub(super) trait WideWork {
    /// Does it. Must be inlined, or it is not compiled for the vector unit.
    fn on<L: WideLanes>(self, lanes: L);
}

impl Kernel {
    /// Plain Rust, the reference that all other kernels equal bit for bit.
    pub const SCALAR: Self = Self(Unit::Scalar(Scalar));

    /// All kernels that this processor can run, the slowest first.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = [
            Avx2::detect().map(Unit::Avx2),
            AvxVnni::detect().map(Unit::AvxVnni),
            Avx512Vnni::detect().map(Unit::Avx512Vnni),
        ];
        #[cfg(target_arch = "aarch64")]
        let vector = [Dotprod::detect().map(Unit::Dotprod)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vector: [Option<Unit>; 0] = [];
        std::iter::once(Self::SCALAR).chain(vector.into_iter().flatten().map(Self)).collect()
    }

    /// The fastest kernel that this processor can run.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::SCALAR)
    }

    /// Its name, as [`Kernel::from_str`] takes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Unit::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Unit::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512Vnni(_) => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Unit::Dotprod(_) => "arm-sdot",
        }
    }

    /// Whether convolutions with fewer multiplications in sixteen bits are faster than all multiplications in eight.
    pub(super) fn gains_by_winograd(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(_) => true,
            _ => false,
        }
    }

    /// Does `work` compiled for this kernel's instructions, or in plain Rust for kernels that multiply in eight bits.
    pub(super) fn run_wide<W: WideWork>(self, work: W) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(lanes) => lanes.run(
                #[inline(always)]
                || work.on(lanes),
            ),
            _ => work.on(Scalar),
        }
    }

    /// Does `work` compiled for this kernel's instructions.
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Unit::Scalar(lanes) => on(lanes, work),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(lanes) => on(lanes, work),
            #[cfg(target_arch = "x86_64")]
            Unit::AvxVnni(lanes) => on(lanes, work),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512Vnni(lanes) => on(lanes, work),
            #[cfg(target_arch = "aarch64")]
            Unit::Dotprod(lanes) => on(lanes, work),
        }
    }
}

#[inline(always)]
fn on<L: Lanes, W: Work>(lanes: L, work: W) -> W::Output {
    lanes.run(
        #[inline(always)]
        || work.on(lanes),
    )
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = NnError;

    /// The kernel of that name.
    ///
    /// # Errors
    /// [`NnError::Kernel`], with the names that would do, where there is none or this processor can't run it.
    fn from_str(name: &str) -> Result<Self, NnError> {
        let kernels = Self::available();
        kernels.iter().copied().find(|kernel| kernel.name() == name).ok_or_else(|| {
            let names: Vec<_> = kernels.iter().map(|kernel| kernel.name()).collect();
            NnError::Kernel { name: name.to_owned(), available: names.join(", ") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_by_their_names() {
        for kernel in Kernel::available() {
            assert_eq!(kernel.name().parse(), Ok(kernel));
        }
        let error = Kernel::from_str("abacus").unwrap_err().to_string();
        assert!(error.contains("scalar") && error.ends_with("found abacus"), "{error}");
    }

    /// Where emulation or a machine is set up to have one, all other tests would pass without it.
    #[test]
    fn the_expected_kernel_is_there() {
        if let Ok(name) = std::env::var("KESTREL_EXPECT_KERNEL") {
            assert_eq!(Kernel::best().name(), name);
        }
    }
}
