//! Moments in time.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, in integer nanoseconds since an epoch that the source chooses (its first frame, or Unix time).
///
/// Stamps are the join key between streams, so they are exact: never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const NANOS_PER_SEC: f64 = 1e9;

impl Timestamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// A stamp `nanos` after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The stamp nearest to `secs` after the epoch; `None` where `secs` is not finite or does not fit.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        // Whole and fractional part apart: a Unix time in seconds times 1e9 exceeds the 53 bits of a float.
        let whole = secs.floor();
        let fits = secs.is_finite() && whole.abs() < 9.2e9;
        fits.then(|| Self(whole as i64 * 1_000_000_000 + ((secs - whole) * NANOS_PER_SEC).round() as i64))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded to the nearest float.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC
    }

    /// Signed seconds from `earlier` to `self`.
    pub fn secs_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / NANOS_PER_SEC
    }

    /// Time between two stamps, whichever comes first.
    pub fn abs_diff(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.abs_diff(other.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// Seconds with nine decimals, exactly: `1305031110.043299000`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_keep_their_microseconds() {
        let stamp = Timestamp::from_secs_f64(1_305_031_110.043_299).unwrap();
        assert!(stamp.abs_diff(Timestamp::from_nanos(1_305_031_110_043_299_000)) < Duration::from_nanos(200));
    }

    #[test]
    fn display_is_exact_and_signed() {
        assert_eq!(Timestamp::from_nanos(1_000_000_001).to_string(), "1.000000001");
        assert_eq!(Timestamp::from_nanos(-500_000_000).to_string(), "-0.500000000");
    }

    #[test]
    fn not_finite_is_no_stamp() {
        assert_eq!(Timestamp::from_secs_f64(f64::NAN), None);
        assert_eq!(Timestamp::from_secs_f64(1e300), None);
    }
}
