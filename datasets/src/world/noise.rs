//! Hashes, random numbers and noise, all functions of a seed and a position alone.

/// Factors of a lattice point's coordinates and of the seed.
const HASH: [u32; 3] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D];

/// A hash of a lattice point: every bit depends on every input.
#[inline]
pub(crate) const fn hash(x: u32, y: u32, seed: u32) -> u32 {
    let mut h = x.wrapping_mul(HASH[0]) ^ y.wrapping_mul(HASH[1]) ^ seed.wrapping_mul(HASH[2]);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// The hash as a number in `[0, 1)`.
pub(crate) fn unit(h: u32) -> f32 {
    (h >> 8) as f32 / 16_777_216.0
}

/// Largest integer not above `x`. Without SSE4.1 `f32::floor` is a function call, too dear per texel.
#[inline]
pub(crate) fn floor(x: f32) -> i32 {
    let truncated = x as i32;
    truncated - i32::from(truncated as f32 > x)
}

/// 0 below `from`, 1 above `to`, smooth between.
#[inline]
pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// `a` at 0, `b` at 1.
pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Three channels of [`mix`].
#[inline]
pub(crate) fn mix3(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)]
}

/// A colour times a number.
#[inline]
pub(crate) fn scale3(a: [f32; 3], s: f32) -> [f32; 3] {
    [a[0] * s, a[1] * s, a[2] * s]
}

/// Sequence of random numbers (splitmix64), for placing things.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[from, to)`.
    pub(crate) fn range(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * ((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// In `[from, to)`, single precision.
    pub(crate) fn range_f32(&mut self, from: f32, to: f32) -> f32 {
        self.range(f64::from(from), f64::from(to)) as f32
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.range(0.0, 1.0) < probability
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }

    /// A seed for something else.
    pub(crate) fn seed(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// Gradient noise in about `[-1, 1]` with unit wavelength (Perlin 2002, gradients from hashes); lattice points
/// that agree under `mask` are the same.
#[inline]
pub(crate) fn gradient_noise(x: f32, y: f32, mask: u32, seed: u32) -> f32 {
    let (ix, iy) = (floor(x), floor(y));
    let (fx, fy) = (x - ix as f32, y - iy as f32);
    let corner = |dx: i32, dy: i32| {
        let h = hash((ix + dx) as u32 & mask, (iy + dy) as u32 & mask, seed);
        let gx = (h & 0xFFFF) as f32 / 32_768.0 - 1.0;
        let gy = (h >> 16) as f32 / 32_768.0 - 1.0;
        gx * (fx - dx as f32) + gy * (fy - dy as f32)
    };
    let (u, v) = (fade(fx), fade(fy));
    let top = mix(corner(0, 0), corner(1, 0), u);
    let bottom = mix(corner(0, 1), corner(1, 1), u);
    1.5 * mix(top, bottom, v)
}

#[inline]
fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// Lattice points along each axis before the values of [`value_noise_3d`] repeat.
const LATTICE: usize = 32;
/// With the first points once more at the end.
const STRIDE: usize = LATTICE + 1;

/// Random values at lattice points: few enough for the nearest cache, and quicker to fetch than to hash.
static VALUES: [u8; STRIDE * STRIDE * STRIDE] = lattice();

const fn lattice() -> [u8; STRIDE * STRIDE * STRIDE] {
    let mut values = [0; STRIDE * STRIDE * STRIDE];
    let mut i = 0;
    while i < values.len() {
        let (x, y, z) = (i % STRIDE % LATTICE, i / STRIDE % STRIDE % LATTICE, i / STRIDE / STRIDE % LATTICE);
        values[i] = (hash(x as u32, y as u32, z as u32) >> 24) as u8;
        i += 1;
    }
    values
}

/// Value noise in `[0, 1]` on a lattice of unit cubes, for foliage. Other seeds shift it.
#[inline]
pub(crate) fn value_noise_3d(x: f32, y: f32, z: f32, seed: u32) -> f32 {
    let (ix, iy, iz) = (floor(x), floor(y), floor(z));
    let (u, v, w) = (x - ix as f32, y - iy as f32, z - iz as f32);
    let (u, v, w) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v), w * w * (3.0 - 2.0 * w));
    let index = |i: i32, shift: u32| (i as usize).wrapping_add((seed >> shift) as usize) & (LATTICE - 1);
    let first = (index(iz, 0) * STRIDE + index(iy, 8)) * STRIDE + index(ix, 16);
    let values = &VALUES[first..first + STRIDE * STRIDE + STRIDE + 2];
    let edge = |at: usize| mix(f32::from(values[at]), f32::from(values[at + 1]), u);
    let face = |at: usize| mix(edge(at), edge(at + STRIDE), v);
    mix(face(0), face(STRIDE * STRIDE), w) * (1.0 / 255.0)
}

/// Noise over the world's ground, octave by octave.
///
/// Octave `k` has a wavelength of `64 / 2^k` metres. The first three repeat with the world, so that its seam
/// does not show; finer ones are turned against each other, so that no lattice direction shows either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroundNoise {
    pub(crate) seed: u32,
}

/// Cosine and sine of the turn of each octave.
const TURNS: [(f32, f32); 8] = [
    (0.8253, 0.5646),
    (0.3624, 0.9320),
    (-0.2272, 0.9738),
    (-0.7374, 0.6755),
    (0.9553, -0.2955),
    (0.6216, -0.7833),
    (0.0707, -0.9975),
    (0.9801, 0.1987),
];

impl GroundNoise {
    /// One octave at `(x, y)` metres.
    pub(crate) fn octave(self, k: u32, x: f32, y: f32) -> f32 {
        let frequency = (1_u32 << k) as f32 / 64.0;
        let seed = self.seed.wrapping_add(k * 7919);
        if k < 3 {
            return gradient_noise(x * frequency, y * frequency, (8 << k) - 1, seed);
        }
        let (c, s) = TURNS[(k as usize - 3) % TURNS.len()];
        gradient_noise((c * x - s * y) * frequency, (s * x + c * y) * frequency, u32::MAX, seed)
    }

    /// Octaves `from..=to`, each `gain` times as strong as the one before.
    pub(crate) fn fractal(self, from: u32, to: u32, gain: f32, x: f32, y: f32) -> f32 {
        let mut amplitude = 1.0;
        let mut sum = 0.0;
        for k in from..=to {
            sum += amplitude * self.octave(k, x, y);
            amplitude *= gain;
        }
        sum
    }
}

/// Fine grain for surfaces seen from near: a repeating noise image with its coarser copies.
#[derive(Debug)]
pub(crate) struct DetailMap {
    /// Each with its first row and column once more at the end, for filtering. Bytes, so that they stay in the cache.
    levels: Vec<Vec<i8>>,
}

const DETAIL_SIZE: usize = 512;

impl DetailMap {
    pub(crate) fn new(seed: u32) -> Self {
        let mut level: Vec<f32> = (0..DETAIL_SIZE * DETAIL_SIZE)
            .map(|i| grain((i % DETAIL_SIZE) as f32, (i / DETAIL_SIZE) as f32, seed))
            .collect();
        let mut levels = Vec::new();
        let mut size = DETAIL_SIZE;
        loop {
            levels.push(stored(&level, size));
            if size == 1 {
                return Self { levels };
            }
            level = halved(&level, size);
            size /= 2;
        }
    }

    /// The grain at `(x, y)` texels of the finest level, averaged over about `footprint` of them; mean 0,
    /// standard deviation near 1 at the finest level.
    #[inline]
    pub(crate) fn sample(&self, x: f32, y: f32, footprint: f32) -> f32 {
        let lod = log2(footprint.max(1.0));
        let level = (lod as usize).min(self.levels.len() - 1);
        let t = blend(lod - level as f32);
        if t <= 0.0 || level + 1 >= self.levels.len() {
            return self.bilinear(level, x, y);
        }
        let coarse = self.bilinear(level + 1, x, y);
        if t >= 1.0 { coarse } else { mix(self.bilinear(level, x, y), coarse, t) }
    }

    #[inline]
    fn bilinear(&self, level: usize, x: f32, y: f32) -> f32 {
        let size = DETAIL_SIZE >> level;
        let scale = 1.0 / (1_u32 << level) as f32;
        let (x, y) = ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5);
        let (ix, iy) = (floor(x), floor(y));
        // Fixed point: 1/256 texel is finer than any pixel.
        let (u, v) = (((x - ix as f32) * 256.0) as i32, ((y - iy as f32) * 256.0) as i32);
        let mask = size - 1;
        let at = (iy as usize & mask) * (size + 1) + (ix as usize & mask);
        let texels = &self.levels[level][at..at + size + 3];
        let [a, b, c, d] = [texels[0], texels[1], texels[size + 1], texels[size + 2]].map(i32::from);
        let (top, bottom) = (256 * a + (b - a) * u, 256 * c + (d - c) * u);
        (256 * top + (bottom - top) * v) as f32 * (1.0 / (48.0 * 65_536.0))
    }
}

/// A broad spectrum, repeating every [`DETAIL_SIZE`] texels.
fn grain(x: f32, y: f32, seed: u32) -> f32 {
    let octave = |period: u32, seed: u32| {
        let f = period as f32 / DETAIL_SIZE as f32;
        gradient_noise(x * f, y * f, period - 1, seed)
    };
    let white = unit(hash(x as u32, y as u32, seed)) * 2.0 - 1.0;
    1.3 * octave(256, seed + 1)
        + 1.1 * octave(128, seed + 2)
        + 0.9 * octave(64, seed + 3)
        + 0.7 * octave(32, seed + 4)
        + 0.5 * octave(16, seed + 5)
        + 0.6 * white
}

fn stored(level: &[f32], size: usize) -> Vec<i8> {
    let at = |x: usize, y: usize| level[(y % size) * size + x % size];
    let stride = size + 1;
    (0..stride * stride).map(|i| (at(i % stride, i / stride) * 48.0).clamp(-127.0, 127.0) as i8).collect()
}

fn halved(level: &[f32], size: usize) -> Vec<f32> {
    let half = size / 2;
    let at = |x: usize, y: usize| level[y * size + x];
    (0..half * half)
        .map(|i| (2 * (i % half), 2 * (i / half)))
        .map(|(x, y)| 0.25 * (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)))
        .collect()
}

/// Share of the coarser of two scales when the wanted one lies at `t` between them. Near either, that one serves
/// alone: half the look-ups for most pixels.
#[inline]
pub(crate) fn blend(t: f32) -> f32 {
    ((t - 0.35) * (1.0 / 0.3)).clamp(0.0, 1.0)
}

/// Base-2 logarithm to a few thousandths, for choosing levels.
#[inline]
pub(crate) fn log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = ((bits >> 23) as i32 - 127) as f32;
    let m = f32::from_bits((bits & 0x007F_FFFF) | 0x3F80_0000);
    exponent + (m - 1.0) * (1.3465 - 0.3465 * (m - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_octaves_meet_at_the_seam() {
        let noise = GroundNoise { seed: 5 };
        for k in 0..3 {
            let (a, b) = (noise.octave(k, 0.001, 77.0), noise.octave(k, 511.999, 77.0));
            assert!((a - b).abs() < 0.01, "octave {k}: {a} {b}");
        }
    }

    #[test]
    fn detail_fades_with_the_footprint() {
        let detail = DetailMap::new(3);
        let energy = |footprint: f32| -> f32 {
            (0..1000).map(|i| detail.sample(i as f32 * 3.7, i as f32 * 1.3, footprint).powi(2)).sum()
        };
        assert!(energy(1.0) > 1.5 * energy(4.0));
        assert!(energy(4.0) > 3.0 * energy(64.0));
    }

    #[test]
    fn logarithm_is_close() {
        for x in [0.01_f32, 0.3, 1.0, 1.5, 3.0, 700.0] {
            assert!((log2(x) - x.log2()).abs() < 0.02);
        }
    }
}
