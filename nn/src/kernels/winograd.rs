//! 3x3 convolutions with 4/9 of the multiplications, exactly: Winograd's F(2x2, 3x3) in integers.
//!
//! Four outputs of a tile come from sixteen products instead of thirty-six. With `B`, `G` and `A` as in Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks" (2016), a tile is `A^T [(G g G^T) * (B^T d B)] A`. `G` has halves;
//! twice `G` has none, so that all is whole and four times the output comes out. Transformed activations are within
//! 4 * 255 and transformed weights within 9 * 128, which suits multiplication in sixteen bits. Sums may wrap on the way:
//! what comes out at the end fits, or the layer is refused, and wrapping arithmetic is exact modulo 2^32.

use std::array::from_fn;
use std::ops::Range;

use super::block::{Block, LANES, Word};
use super::convolution::ConvolutionSpec;
use super::gemm::accumulate;
use super::kernel::{Kernel, WideWork};
use super::lanes::{Lanes, WideLanes, each};
use super::output::Output;
use super::packed::{Packed, write};
use super::window::{ImageShape, Window};

/// Rows and columns of the outputs that a tile computes.
const OUTPUTS: usize = 2;

/// Rows and columns of the activations that a tile reads.
const INPUTS: usize = 4;

/// Products per tile and pair of channels, each a product of matrices over all tiles.
const PRODUCTS: usize = INPUTS * INPUTS;

/// Words of transformed activations that stay in cache while all weights pass over them.
const CACHED_WORDS: usize = 48 << 10;

/// Tiles that pass through registers together.
const GROUP: usize = 6;

/// Fewer channels than these are not worth the transformations.
const FEWEST_CHANNELS: usize = 16;

/// A 3x3 convolution of stride one, its weights transformed and packed.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    input: ImageShape,
    input_zero_point: u8,
    window: Window,
    output: ImageShape,
    /// Panel by panel, product by product, pair of input channels by pair.
    blocks: Vec<Block>,
    /// All but the weights.
    packed: Packed,
}

impl Winograd {
    /// Whether a convolution is one of these, worth it on this kernel, and small enough for 32 bits.
    pub(super) fn suits(kernel: Kernel, spec: &ConvolutionSpec<'_>) -> bool {
        kernel.gains_by_winograd()
            && spec.window.size == [3; 2]
            && spec.window.stride == [1; 2]
            && spec.input.channels >= FEWEST_CHANNELS
            && spec.output_channels >= FEWEST_CHANNELS
            && fits(spec)
    }

    /// Packs a convolution; `packed` is all of it but the weights.
    pub(super) fn new(spec: &ConvolutionSpec<'_>, output: ImageShape, packed: Packed) -> Self {
        Self {
            input: spec.input,
            input_zero_point: spec.input_zero_point,
            window: spec.window,
            output,
            blocks: pack(spec),
            packed,
        }
    }

    /// Bytes that the packed parameters take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks) + self.packed.bytes()
    }

    /// Words of scratch memory that a run needs.
    pub(super) fn scratch_words(&self) -> usize {
        PRODUCTS * self.chunk() * self.pixel_words()
    }

    /// Tiles whose transformed activations stay in cache.
    fn chunk(&self) -> usize {
        let fitting = CACHED_WORDS / (PRODUCTS * self.pixel_words());
        let all = self.output.height.div_ceil(OUTPUTS) * self.output.width.div_ceil(OUTPUTS);
        fitting.next_multiple_of(GROUP).min(all)
    }

    /// Words of a transformed pixel, whose channels are filled up to sixteen.
    fn pixel_words(&self) -> usize {
        self.input.channels.next_multiple_of(LANES) / 2
    }

    /// Computes output rows; all lengths have been checked.
    pub(super) fn run_rows(
        &self,
        kernel: Kernel,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
        scratch: &mut [Word],
    ) {
        kernel.run_wide(Convolve { layer: self, rows, input, output, scratch });
    }
}

/// Whether four times the sum of products stays within 32 bits for all activations.
fn fits(spec: &ConvolutionSpec<'_>) -> bool {
    spec.weights.chunks_exact(9 * spec.input.channels).all(|filter| {
        let magnitude: i64 = filter.iter().map(|&weight| i64::from(weight).abs()).sum();
        4 * 255 * magnitude <= i64::from(i32::MAX)
    })
}

/// Four times `G g G^T` for every filter, in pairs of input channels.
fn pack(spec: &ConvolutionSpec<'_>) -> Vec<Block> {
    let (inputs, outputs) = (spec.input.channels, spec.output_channels);
    let words = inputs.div_ceil(2);
    let mut blocks = vec![Block::of_pairs(|_, _| 0); outputs.div_ceil(LANES) * PRODUCTS * words];
    for output in 0..outputs {
        let panel = &mut blocks[output / LANES * PRODUCTS * words..][..PRODUCTS * words];
        let filter = &spec.weights[output * 9 * inputs..][..9 * inputs];
        for input in 0..inputs {
            let weights = from_fn(|y| from_fn(|x| i16::from(filter[(y * 3 + x) * inputs + input])));
            for (product, weight) in transformed(weights).into_iter().enumerate() {
                panel[product * words + input / 2].set_pair(output % LANES, input % 2, weight);
            }
        }
    }
    blocks
}

/// Four times `G g G^T`, row by row.
fn transformed(filter: [[i16; 3]; 3]) -> [i16; PRODUCTS] {
    from_fn(|product| {
        let [row, column] = [product / INPUTS, product % INPUTS];
        widened(filter.map(|row| widened(row, column)), row)
    })
}

/// Row `index` of twice `G`, times three weights.
fn widened([a, b, c]: [i16; 3], index: usize) -> i16 {
    match index {
        0 => 2 * a,
        1 => a + b + c,
        2 => a - b + c,
        _ => 2 * c,
    }
}

struct Convolve<'a> {
    layer: &'a Winograd,
    rows: Range<usize>,
    input: &'a [u8],
    output: Output<'a>,
    scratch: &'a mut [Word],
}

impl WideWork for Convolve<'_> {
    #[inline(always)]
    fn on<L: WideLanes>(mut self, lanes: L) {
        let columns = self.layer.output.width.div_ceil(OUTPUTS);
        let tiles = self.rows.len().div_ceil(OUTPUTS) * columns;
        let chunk = self.layer.chunk();
        let mut first = 0;
        while first < tiles {
            let count = chunk.min(tiles - first);
            for tile in 0..count {
                let [row, column] = [(first + tile) / columns, (first + tile) % columns];
                self.transform(lanes, [self.rows.start + row * OUTPUTS, column * OUTPUTS], tile);
            }
            for panel in 0..self.layer.packed.panels() {
                let tile = self.strip::<L, GROUP>(lanes, panel, first, 0..count);
                let tile = self.strip::<L, 3>(lanes, panel, first, tile..count);
                self.strip::<L, 1>(lanes, panel, first, tile..count);
            }
            first += count;
        }
        let ImageShape { width, channels, .. } = self.layer.output;
        let step = self.output.step;
        for index in 0..self.rows.len() {
            self.layer.packed.look_up(lanes, self.output.row(index), step, [width, channels]);
        }
    }
}

impl Convolve<'_> {
    /// Transforms the activations of the tile whose first output is at `place`.
    #[inline(always)]
    fn transform<L: WideLanes>(&mut self, lanes: L, place: [usize; 2], tile: usize) {
        let Winograd { input, window, .. } = self.layer;
        let pixel = |y: usize, x: usize| {
            let y = (place[0] + y).checked_sub(window.padding_before[0]).filter(|&y| y < input.height)?;
            let x = (place[1] + x).checked_sub(window.padding_before[1]).filter(|&x| x < input.width)?;
            self.input.get((y * input.width + x) * input.channels..)?.get(..input.channels)
        };
        let pixels: [[Option<&[u8]>; INPUTS]; INPUTS] = from_fn(|y| from_fn(|x| pixel(y, x)));
        let (words, chunk) = (self.layer.pixel_words(), self.layer.chunk());
        for first in (0..input.channels).step_by(LANES) {
            let mut values = [[lanes.wide(&[0; LANES]); INPUTS]; INPUTS];
            for (values, pixels) in values.iter_mut().zip(&pixels) {
                for (value, &pixel) in values.iter_mut().zip(pixels) {
                    *value = lanes.wide(&self.sixteen(pixel, first));
                }
                *values = narrowed(lanes, *values);
            }
            for x in 0..INPUTS {
                let column = narrowed(lanes, column_of(&values, x));
                for (y, value) in column.into_iter().enumerate() {
                    let start = ((y * INPUTS + x) * chunk + tile) * words + first / 2;
                    if let Some(words) = self.scratch[start..].first_chunk_mut() {
                        *words = lanes.words(value);
                    }
                }
            }
        }
    }

    /// Sixteen channels of a pixel; zero points outside the image, zeros beyond the last channel.
    #[inline(always)]
    fn sixteen(&self, pixel: Option<&[u8]>, first: usize) -> [u8; LANES] {
        let Some(pixel) = pixel else { return [self.layer.input_zero_point; LANES] };
        let channels = &pixel[first..];
        if let Some(sixteen) = channels.first_chunk() {
            return *sixteen;
        }
        let mut sixteen = [0; LANES];
        sixteen[..channels.len()].copy_from_slice(channels);
        sixteen
    }

    /// Multiplies and writes the tiles of a chunk for one panel, as many as fit, and returns the first left over.
    #[inline(always)]
    fn strip<L: WideLanes, const TILES: usize>(
        &mut self,
        lanes: L,
        panel: usize,
        first: usize,
        tiles: Range<usize>,
    ) -> usize {
        let mut tile = tiles.start;
        while tile + TILES <= tiles.end {
            let products = self.products::<L, TILES>(lanes, panel, tile);
            for index in 0..TILES {
                self.write::<L, TILES>(lanes, panel, first + tile + index, &products, index);
            }
            tile += TILES;
        }
        tile
    }

    #[inline(always)]
    fn products<L: WideLanes, const TILES: usize>(
        &self,
        lanes: L,
        panel: usize,
        tile: usize,
    ) -> [Products<L, TILES>; PRODUCTS] {
        let (words, chunk) = (self.layer.pixel_words(), self.layer.chunk());
        let depth = self.layer.input.channels.div_ceil(2);
        let zeros = lanes.start(&[0; LANES]);
        let mut products = [[zeros; TILES]; PRODUCTS];
        for (product, sums) in products.iter_mut().enumerate() {
            let blocks = &self.layer.blocks[(panel * PRODUCTS + product) * depth..][..depth];
            let of_tiles = &self.scratch[(product * chunk + tile) * words..];
            *sums = accumulate::<L, TILES>(
                #[inline(always)]
                |sums, word, block| lanes.dot_pairs(sums, word, block),
                [zeros; TILES],
                each(|tile| &of_tiles[tile * words..][..depth]),
                blocks,
            );
        }
        products
    }

    /// The outputs of the tile that is number `index` of those multiplied together.
    #[inline(always)]
    fn write<L: WideLanes, const TILES: usize>(
        &mut self,
        lanes: L,
        panel: usize,
        tile: usize,
        products: &[Products<L, TILES>; PRODUCTS],
        index: usize,
    ) {
        let ImageShape { width, .. } = self.layer.output;
        let columns = width.div_ceil(OUTPUTS);
        let [row, column] = [tile / columns * OUTPUTS, tile % columns * OUTPUTS];
        let panel = self.layer.packed.side_by_side(panel, 1);
        let offsets = lanes.start(&panel.offsets[0]);
        let mut rows = [[offsets; OUTPUTS]; INPUTS];
        for (y, row) in rows.iter_mut().enumerate() {
            let at = y * INPUTS;
            *row = gathered(
                lanes,
                [
                    products[at][index],
                    products[at + 1][index],
                    products[at + 2][index],
                    products[at + 3][index],
                ],
            );
        }
        let step = self.output.step;
        for x in 0..OUTPUTS.min(width - column) {
            let sums = gathered(lanes, column_of(&rows, x));
            for (y, sums) in sums.into_iter().enumerate().take(self.rows.len() - row) {
                let sums = lanes.sum(lanes.quarter(sums), offsets);
                let pixel = &mut self.output.row(row + y)[(column + x) * step..][panel.channels.clone()];
                write(&lanes.finish(sums, &panel.multipliers[0], panel.limits), pixel);
            }
        }
    }
}

#[inline(always)]
fn column_of<T: Copy, const WIDTH: usize>(rows: &[[T; WIDTH]; INPUTS], x: usize) -> [T; INPUTS] {
    [rows[0][x], rows[1][x], rows[2][x], rows[3][x]]
}

/// Sums of one product for each of the tiles that are multiplied together.
type Products<L, const TILES: usize> = [<L as Lanes>::Sums; TILES];

/// `B^T` times four activations.
#[inline(always)]
fn narrowed<L: WideLanes>(lanes: L, [a, b, c, d]: [L::Wide; INPUTS]) -> [L::Wide; INPUTS] {
    [lanes.minus(a, c), lanes.plus(b, c), lanes.minus(c, b), lanes.minus(b, d)]
}

/// `A^T` times four products.
#[inline(always)]
fn gathered<L: WideLanes>(lanes: L, [a, b, c, d]: [L::Sums; INPUTS]) -> [L::Sums; OUTPUTS] {
    [lanes.sum(lanes.sum(a, b), c), lanes.difference(lanes.difference(b, c), d)]
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::convolution::Convolution;
    use super::super::requantisation::Requantisation;
    use super::*;

    /// Both ways to compute a convolution on each kernel, over random and over extreme values.
    #[test]
    fn fewer_multiplications_give_the_same_bits() {
        let mut rng = Rng::with_seed(1);
        for case in 0..40 {
            let input =
                ImageShape { height: rng.usize(1..9), width: rng.usize(1..20), channels: rng.usize(1..50) };
            let window = Window {
                padding_before: [rng.usize(0..3), rng.usize(0..3)],
                padding_after: [rng.usize(0..3), rng.usize(0..3)],
                ..Window::square(3, 1)
            };
            if window.places(input).is_err() {
                continue;
            }
            let output_channels = rng.usize(1..40);
            let extreme = [-128, 127][rng.usize(..2)];
            let weight = |_| if case % 4 == 0 { extreme } else { rng.i8(..) };
            let weights: Vec<_> = (0..9 * input.channels * output_channels).map(weight).collect();
            let requantisation = Requantisation {
                table: (case % 3 == 0).then(|| Box::new(from_fn(|byte| 255 - byte as u8))),
                ..Requantisation::linear(vec![0.001; output_channels], rng.u8(..))
            };
            let spec = ConvolutionSpec {
                input,
                input_zero_point: rng.u8(..),
                window,
                output_channels,
                weights: &weights,
                bias: &vec![rng.i32(-9999..9999); output_channels],
                requantisation: &requantisation,
            };
            let image: Vec<_> =
                (0..input.len()).map(|_| if case % 8 == 0 { 255 } else { rng.u8(..) }).collect();
            check(&spec, &image, rng.usize(..));
        }
    }

    fn check(spec: &ConvolutionSpec<'_>, image: &[u8], split: usize) {
        let direct = Convolution::new(Kernel::SCALAR, spec).unwrap();
        let shape = direct.output();
        let mut expected = vec![0; shape.len()];
        let mut scratch = vec![Word::default(); direct.scratch_words()];
        direct.run(image, Output::whole(&mut expected, shape), &mut scratch).unwrap();
        assert!(fits(spec));
        let layer = Winograd::new(spec, shape, direct.packed().clone());
        let split = split % shape.height;
        for kernel in Kernel::available() {
            let mut scratch = vec![Word::default(); layer.scratch_words()];
            let mut found = vec![0; shape.len()];
            let (upper, lower) = found.split_at_mut(split * shape.row());
            for (rows, output) in [(0..split, upper), (split..shape.height, lower)] {
                if !rows.is_empty() {
                    layer.run_rows(kernel, rows, image, Output::whole(output, shape), &mut scratch);
                }
            }
            assert_eq!(found, expected, "{kernel}: {spec:?}");
        }
    }
}
