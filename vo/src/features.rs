//! The front end: a bounded set of features, followed from frame to frame and topped up where the image has none.

use geometry::{Frame, GrayImage, PinholeCamera};
use nalgebra::Vector2;

use crate::affine::{Appearance, FirstSight};
use crate::corners::{self, CornerScratch};
use crate::klt;
use crate::pyramid::{Pyramid, from_level};

const LEVELS: usize = 4;
/// The level of the pyramid at which corners are looked for.
const SEARCHED_LEVEL: usize = 1;
/// A cell with no corner stronger than this stays empty; in squared grey levels per pixel of that level.
const MIN_CORNER_STRENGTH: f32 = 8.0;
/// Features closer than this many cells to another are not started.
const MIN_DISTANCE_CELLS: f32 = 0.5;
/// Patches need this many pixels to the border.
const BORDER: usize = 10;

/// A feature in the current frame.
#[derive(Clone, Debug)]
pub(crate) struct Feature {
    /// Identity over time.
    pub(crate) id: u64,
    /// Where it is, in pixels.
    pub(crate) pixel: Vector2<f32>,
    /// Its ray's point on the plane `z = 1`.
    pub(crate) ray: Vector2<f64>,
    /// Where and how it was in the frame before; the same as now for a new one.
    pub(crate) before: Sighted,
    first_sight: Box<FirstSight>,
    appearance: Appearance,
}

/// A feature in an earlier frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighted {
    /// Its ray's point on the plane `z = 1`.
    pub(crate) ray: Vector2<f64>,
    appearance: Appearance,
}

/// Where a feature should be in a new image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expectation {
    /// Within two or three pixels.
    Near(Vector2<f32>),
    /// Perhaps tens of pixels off.
    Around(Vector2<f32>),
}

/// Follows features through frames of one size.
///
/// A frame may be refused: then the next one is followed from the frame before it, as if it had not been.
#[derive(Debug)]
pub(crate) struct FeatureTracker {
    max_features: usize,
    next_id: u64,
    features: Vec<Feature>,
    /// Those that the current frame does not show.
    missed: Vec<Feature>,
    previous: Pyramid,
    current: Pyramid,
    refused: bool,
    grid: Grid,
    scratch: CornerScratch,
}

impl FeatureTracker {
    pub(crate) fn new(width: usize, height: usize, max_features: usize, first_id: u64) -> Self {
        Self {
            max_features,
            next_id: first_id,
            features: Vec::with_capacity(2 * max_features),
            missed: Vec::with_capacity(2 * max_features),
            previous: Pyramid::new(width, height, LEVELS),
            current: Pyramid::new(width, height, LEVELS),
            refused: false,
            grid: Grid::new(width, height, max_features),
            scratch: CornerScratch::default(),
        }
    }

    pub(crate) fn size(&self) -> (usize, usize) {
        self.current.size()
    }

    /// The identity that the next new feature will get.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    pub(crate) fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Moves on to the image of `frame`; the features stay where they were until [`Self::follow`].
    pub(crate) fn begin(&mut self, frame: &Frame) {
        if !self.refused {
            std::mem::swap(&mut self.previous, &mut self.current);
            self.missed.clear();
            self.renew_stretched();
        }
        self.refused = false;
        self.current.build(&frame.gray);
    }

    /// Forgets the current frame: the features are again where the frame before shows them.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
        self.features.append(&mut self.missed);
        self.features.sort_unstable_by_key(|f| f.id);
        self.features.iter_mut().for_each(Feature::go_back);
    }

    /// Share of the features of the frame before that the current one shows.
    pub(crate) fn shown_share(&self) -> f64 {
        let shown = self.features.len() as f64;
        shown / (shown + self.missed.len() as f64).max(1.0)
    }

    /// Takes another first sight of what looks too different from its first one by now.
    fn renew_stretched(&mut self) {
        let image = &self.previous.levels()[0];
        self.features.retain_mut(|f| !f.appearance.is_stretched() || f.renew(image));
    }

    /// About where a feature is in the new image, searched from `guess`.
    pub(crate) fn approach(&self, feature: &Feature, guess: Vector2<f32>) -> Vector2<f32> {
        klt::approach(&self.previous, &self.current, feature.pixel, guess)
    }

    /// Follows every feature into the new image; the lost ones are dropped, unless the frame is refused.
    pub(crate) fn follow(&mut self, camera: &PinholeCamera, expect: impl Fn(&Feature) -> Expectation) {
        let (previous, current) = (&self.previous, &self.current);
        let image = &current.levels()[0];
        let lost = self.features.extract_if(.., |feature| {
            feature.stay();
            let approach = |guess| klt::approach(previous, current, feature.pixel, guess);
            let register = |guess| feature.first_sight.register(image, &feature.appearance.at(guess));
            let found = match expect(feature) {
                Expectation::Near(guess) => register(guess).or_else(|| register(approach(guess))),
                Expectation::Around(guess) => register(approach(guess)),
            };
            // A wrong expectation must not cost the feature.
            let found = found.or_else(|| register(approach(feature.pixel)));
            found.is_none_or(|appearance| !feature.appear(appearance, camera))
        });
        self.missed.extend(lost);
    }

    /// Drops the features that `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Feature) -> bool) {
        self.features.retain(keep);
    }

    /// Starts features in the cells of the image that have none.
    pub(crate) fn replenish(&mut self, camera: &PinholeCamera) {
        self.grid.occupy(self.features.iter().map(|f| f.pixel));
        for cell in 0..self.grid.cell_count() {
            if self.features.len() >= self.max_features {
                break;
            }
            if self.grid.is_occupied(cell) {
                continue;
            }
            if let Some(corner) = self.corner_in(cell) {
                self.start(corner, camera);
            }
        }
    }

    /// The strongest corner of a cell, found at half the resolution: a quarter of the work, and less noise.
    fn corner_in(&mut self, cell: usize) -> Option<Vector2<f32>> {
        let level = SEARCHED_LEVEL.min(self.current.levels().len() - 1);
        let image = &self.current.levels()[level];
        let ((x0, y0), (x1, y1)) = self.grid.bounds(cell);
        let (from, to) = ((x0 >> level, y0 >> level), (x1 >> level, y1 >> level));
        let corner = corners::strongest_corner(image, from, to, &mut self.scratch)?;
        let pixel = Vector2::new(corner.x as f32, corner.y as f32);
        (corner.strength > MIN_CORNER_STRENGTH).then(|| from_level(pixel, level))
    }

    fn start(&mut self, pixel: Vector2<f32>, camera: &PinholeCamera) {
        let min_distance = MIN_DISTANCE_CELLS * self.grid.side as f32;
        let crowded =
            self.features.iter().any(|f| (f.pixel - pixel).norm_squared() < min_distance * min_distance);
        if crowded {
            return;
        }
        let first_sight = FirstSight::new(&self.current.levels()[0], pixel).map(Box::new);
        if let (Some(first_sight), Some(ray)) = (first_sight, ray(camera, pixel)) {
            let appearance = Appearance::first(pixel);
            let (id, before) = (self.next_id, Sighted { ray, appearance });
            self.features.push(Feature { id, pixel, ray, before, first_sight, appearance });
            self.next_id += 1;
        }
    }
}

impl Feature {
    /// Where it was one frame before, in pixels; equal to `pixel` for a new one.
    pub(crate) fn previous_pixel(&self) -> Vector2<f32> {
        self.before.appearance.pixel
    }

    fn stay(&mut self) {
        self.before = Sighted { ray: self.ray, appearance: self.appearance };
    }

    fn go_back(&mut self) {
        (self.ray, self.appearance) = (self.before.ray, self.before.appearance);
        self.pixel = self.appearance.pixel;
    }

    /// Takes what was found; `false` where the lens has no ray for it.
    fn appear(&mut self, found: Appearance, camera: &PinholeCamera) -> bool {
        let Some(ray) = ray(camera, found.pixel) else { return false };
        (self.pixel, self.ray, self.appearance) = (found.pixel, ray, found);
        true
    }

    /// Takes `image` for the first sight of it; `false` where the feature can't be followed any further.
    fn renew(&mut self, image: &GrayImage) -> bool {
        let Some(first_sight) = FirstSight::new(image, self.pixel) else { return false };
        *self.first_sight = first_sight;
        self.appearance = Appearance::first(self.pixel);
        true
    }
}

fn ray(camera: &PinholeCamera, pixel: Vector2<f32>) -> Option<Vector2<f64>> {
    camera.unproject(&pixel.map(f64::from)).map(|ray| ray.xy())
}

/// Square cells over the image, away from its border; one feature each.
#[derive(Debug)]
struct Grid {
    side: usize,
    columns: usize,
    size: (usize, usize),
    occupied: Vec<bool>,
}

impl Grid {
    fn new(width: usize, height: usize, cells: usize) -> Self {
        let side = ((width * height) as f64 / (1.6 * cells.max(1) as f64)).sqrt().round().max(12.0) as usize;
        let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
        Self { side, columns, size: (width, height), occupied: vec![false; columns * rows] }
    }

    fn cell_count(&self) -> usize {
        self.occupied.len()
    }

    fn is_occupied(&self, cell: usize) -> bool {
        self.occupied[cell]
    }

    fn occupy(&mut self, pixels: impl Iterator<Item = Vector2<f32>>) {
        self.occupied.fill(false);
        for pixel in pixels {
            let cell = (pixel.y as usize / self.side) * self.columns + pixel.x as usize / self.side;
            if let Some(occupied) = self.occupied.get_mut(cell) {
                *occupied = true;
            }
        }
    }

    /// First pixel and the one past the last of a cell, kept clear of the image's border; may be empty.
    fn bounds(&self, cell: usize) -> ((usize, usize), (usize, usize)) {
        let (x, y) = (cell % self.columns * self.side, cell / self.columns * self.side);
        let margin = BORDER.max(corners::MARGIN);
        let clamp = |v: usize, size: usize| {
            v.clamp(margin.min(size), size.saturating_sub(margin).max(margin.min(size)))
        };
        let from = (clamp(x, self.size.0), clamp(y, self.size.1));
        (from, (clamp(x + self.side, self.size.0), clamp(y + self.side, self.size.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_clear_of_the_border() {
        let grid = Grid::new(100, 60, 24);
        for cell in 0..grid.cell_count() {
            let ((x0, y0), (x1, y1)) = grid.bounds(cell);
            assert!(x0 >= BORDER && y0 >= BORDER && x1 <= 100 - BORDER && y1 <= 60 - BORDER);
            assert!(x1 >= x0 && y1 >= y0);
        }
    }

    #[test]
    fn an_image_smaller_than_its_borders_has_only_empty_cells() {
        let grid = Grid::new(15, 15, 4);
        for cell in 0..grid.cell_count() {
            let (from, to) = grid.bounds(cell);
            assert!(from.0 >= to.0 || from.1 >= to.1);
        }
    }
}
