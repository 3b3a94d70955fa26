//! The object at a point that someone touched: the box around it whose colours differ most from those around the box.
//!
//! For each of a ladder of sizes, the surroundings of the point are sampled on a grid of fixed cells and their colours reduced to a
//! palette. A box is judged by the Hellinger distance between the colours inside and those of a ring around it (the "colour contrast"
//! of Alexe, Deselaers and Ferrari, "Measuring the Objectness of Image Windows", PAMI 2012), by how near its middle the
//! point lies, and by its size: a part of an object contrasts with the rest of it, and a group of objects with the ground, just as well
//! as the object itself, so that it must be said how large targets usually are.

use geometry::{BoundingBox, Frame};

/// Cells along each side of the grid.
const GRID: usize = 48;
/// Cells along each side of a square box of the size in question.
const NOMINAL: f32 = 16.0;
/// Width over height of the boxes.
const ASPECTS: [f32; 7] = [0.4, 0.55, 0.75, 1.0, 1.35, 1.8, 2.5];
/// Smallest size in pixels, and largest as a share of the image's shorter side.
const SMALLEST: f32 = 8.0;
const LARGEST: f32 = 0.35;
/// From one size to the next.
const LADDER: f32 = 1.25;
/// Width of the ring as a share of the box.
const RING: f32 = 0.3;
/// Farthest that the point may lie from the middle of the box, and how far it usually does, as shares of its sides.
const FARTHEST: f32 = 0.35;
const USUAL: f32 = 0.2;
/// Usual size as a share of the image's shorter side, and the spread of its logarithm.
const USUAL_SIZE: f32 = 0.1;
const SIZE_SPREAD: f32 = 0.7;
/// Colours of a palette, and how far apart they are at least in 8-bit RGB.
const COLORS: usize = 8;
const APART: f32 = 24.0;
/// Rounds of k-means.
const ROUNDS: usize = 4;
/// Least distance of a box's colours from those around it; below, nothing stands out at the point.
const LEAST_CONTRAST: f32 = 0.3;
/// Size where nothing stands out, as a share of the image's shorter side.
const FALLBACK: f32 = 1.0 / 12.0;

/// The box around what lies at `point`, in pixels of `frame` counted from the edge of the first, and inside the image. Where
/// nothing stands out from its surroundings it is a square of a twelfth of the image's shorter side around the point.
/// `None` where the point is outside the image.
pub fn object_at(frame: &Frame, point: [f32; 2]) -> Option<BoundingBox> {
    let (width, height) = frame.size();
    let is_inside = (0.0..width as f32).contains(&point[0]) && (0.0..height as f32).contains(&point[1]);
    if !is_inside {
        return None;
    }
    let shorter = width.min(height) as f32;
    let sizes = std::iter::successors(Some(SMALLEST), |size| Some(size * LADDER));
    let best = sizes
        .take_while(|size| *size <= LARGEST * shorter)
        .filter_map(|size| best_of_size(frame, point, size));
    let best = best.max_by(|a, b| a.worth.total_cmp(&b.worth)).map(|candidate| candidate.bounding_box);
    let side = (FALLBACK * shorter).max(SMALLEST);
    let fallback = BoundingBox::new(point[0] - side / 2.0, point[1] - side / 2.0, side, side);
    best.unwrap_or(fallback).clipped(width, height)
}

/// A box and what it is worth.
struct Candidate {
    bounding_box: BoundingBox,
    worth: f32,
}

/// The best box of about `size` pixels; `None` where none stands out.
fn best_of_size(frame: &Frame, point: [f32; 2], size: f32) -> Option<Candidate> {
    let step = size / NOMINAL;
    let counts = ColorCounts::of(&samples(frame, point, step));
    let middle = GRID as f32 / 2.0;
    let usual = USUAL_SIZE * frame.size().0.min(frame.size().1) as f32;
    let boxes = ASPECTS.iter().flat_map(|aspect| places([NOMINAL * aspect.sqrt(), NOMINAL / aspect.sqrt()]));
    let unusual = (size / usual).ln() / SIZE_SPREAD;
    let prior = (-0.5 * unusual * unusual).exp();
    let judged = boxes.filter_map(|(corner, sides, nearness)| {
        let contrast = counts.contrast(corner, sides)?;
        let in_pixels = |cells: usize, axis: usize| point[axis] + (cells as f32 - middle) * step;
        let bounding_box = BoundingBox::new(
            in_pixels(corner[0], 0),
            in_pixels(corner[1], 1),
            sides[0] as f32 * step,
            sides[1] as f32 * step,
        );
        let worth = contrast * nearness * prior;
        (contrast >= LEAST_CONTRAST).then_some(Candidate { bounding_box, worth })
    });
    judged.max_by(|a, b| a.worth.total_cmp(&b.worth))
}

/// Corner and sides in cells, and how near the middle the point lies, of all boxes of these sides around the point.
fn places(sides: [f32; 2]) -> impl Iterator<Item = ([usize; 2], [usize; 2], f32)> {
    let sides = sides.map(|side| side.round() as usize);
    let far = sides.map(|side| (FARTHEST * side as f32) as i32);
    let shifts = (-far[1]..=far[1]).flat_map(move |y| (-far[0]..=far[0]).map(move |x| [x, y]));
    shifts.map(move |shift| {
        let corner =
            [0, 1].map(|axis| (GRID / 2 - sides[axis] / 2).saturating_add_signed(shift[axis] as isize));
        let off = [0, 1].map(|axis| shift[axis] as f32 / (USUAL * sides[axis] as f32));
        (corner, sides, (-0.25 * (off[0] * off[0] + off[1] * off[1])).exp())
    })
}

type Color = [f32; 3];

/// The mean colour of each cell around `point`; `None` outside the image.
fn samples(frame: &Frame, point: [f32; 2], step: f32) -> Vec<Option<Color>> {
    let (width, height) = frame.size();
    // Enough samples that no pixel is passed over, and not all of a large cell.
    let across = (step.ceil() as usize).clamp(1, 4);
    let cell = |index: usize| {
        let corner = [index % GRID, index / GRID].map(|cells| cells as f32 - GRID as f32 / 2.0);
        let at =
            |axis: usize, k: usize| point[axis] + (corner[axis] + (k as f32 + 0.5) / across as f32) * step;
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for (i, j) in (0..across).flat_map(|j| (0..across).map(move |i| (i, j))) {
            let (x, y) = (at(0, i), at(1, j));
            if x >= 0.0 && y >= 0.0 && (x as usize) < width && (y as usize) < height {
                let color = color(frame, x as usize, y as usize);
                (0..3).for_each(|c| sum[c] += color[c]);
                count += 1.0;
            }
        }
        (count > 0.0).then(|| sum.map(|sum| sum / count))
    };
    (0..GRID * GRID).map(cell).collect()
}

fn color(frame: &Frame, x: usize, y: usize) -> Color {
    let rgb = frame.rgb.as_ref().map_or_else(|| [frame.gray.pixel(x, y)[0]; 3], |rgb| rgb.pixel(x, y));
    rgb.map(f32::from)
}

fn squared_distance(a: &Color, b: &Color) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(palette: &[Color], color: &Color) -> (usize, f32) {
    let distances = palette.iter().map(|known| squared_distance(known, color)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f32::INFINITY))
}

/// The colours that there are: each begins as the one farthest from all before, so that rare ones are among them.
fn palette(samples: &[Color]) -> Vec<Color> {
    let mut palette: Vec<Color> = samples.first().copied().into_iter().collect();
    while palette.len() < COLORS {
        let farthest = samples.iter().map(|color| (color, nearest(&palette, color).1));
        match farthest.max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((color, distance)) if distance >= APART * APART => palette.push(*color),
            _ => break,
        }
    }
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0; 3], 0.0); palette.len()];
        for color in samples {
            let (sum, count) = &mut sums[nearest(&palette, color).0];
            (0..3).for_each(|c| sum[c] += color[c]);
            *count += 1.0;
        }
        for (known, (sum, count)) in palette.iter_mut().zip(sums).filter(|(_, (_, count))| *count > 0.0) {
            *known = sum.map(|sum| sum / count);
        }
    }
    palette
}

/// Summed tables: how often each colour of the palette occurs above and to the left.
struct ColorCounts(Vec<[f32; COLORS]>);

impl ColorCounts {
    fn of(samples: &[Option<Color>]) -> Self {
        let palette = palette(&samples.iter().flatten().copied().collect::<Vec<_>>());
        let mut sums = vec![[0.0; COLORS]; (GRID + 1) * (GRID + 1)];
        for (index, color) in samples.iter().enumerate() {
            let at = (index / GRID + 1) * (GRID + 1) + index % GRID + 1;
            let (left, above, both) = (sums[at - 1], sums[at - GRID - 1], sums[at - GRID - 2]);
            sums[at] = std::array::from_fn(|c| left[c] + above[c] - both[c]);
            if let Some(color) = color {
                sums[at][nearest(&palette, color).0] += 1.0;
            }
        }
        Self(sums)
    }

    fn inside(&self, [left, top]: [usize; 2], [right, bottom]: [usize; 2]) -> [f32; COLORS] {
        let at = |x: usize, y: usize| &self.0[y.min(GRID) * (GRID + 1) + x.min(GRID)];
        std::array::from_fn(|c| {
            at(right, bottom)[c] - at(left, bottom)[c] - at(right, top)[c] + at(left, top)[c]
        })
    }

    /// Hellinger distance between the colours in the box and those around it, in `[0, 1]`; `None` where either is mostly
    /// outside the image.
    fn contrast(&self, corner: [usize; 2], sides: [usize; 2]) -> Option<f32> {
        let ring = sides.map(|side| (RING * side as f32).ceil() as usize);
        let end = [corner[0] + sides[0], corner[1] + sides[1]];
        let inner = self.inside(corner, end);
        let outer_corner = [0, 1].map(|axis| corner[axis].saturating_sub(ring[axis]));
        let outer = self.inside(outer_corner, [end[0] + ring[0], end[1] + ring[1]]);
        let around: [f32; COLORS] = std::array::from_fn(|c| outer[c] - inner[c]);
        let (in_box, in_ring): (f32, f32) = (inner.iter().sum(), around.iter().sum());
        let area = (sides[0] * sides[1]) as f32;
        if in_box < 0.5 * area || in_ring < 0.5 * area {
            return None;
        }
        let common: f32 = inner.iter().zip(&around).map(|(a, b)| (a * b / (in_box * in_ring)).sqrt()).sum();
        Some((1.0 - common).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{GrayImage, PinholeCamera, RgbImage, Timestamp};

    use super::*;

    fn frame(rgb: RgbImage, has_color: bool) -> Frame {
        let (width, height) = rgb.size();
        let luma = |x, y| rgb.pixel(x, y).map(|v| u32::from(v) / 3).iter().sum::<u32>() as u8;
        Frame {
            stamp: Timestamp::ZERO,
            seq: 0,
            gray: Arc::new(GrayImage::from_fn(width, height, |x, y| [luma(x, y)])),
            rgb: has_color.then(|| Arc::new(rgb)),
            camera: Arc::new(PinholeCamera::from_horizontal_fov(width, height, 1.0).unwrap()),
        }
    }

    /// A car of two colours on a road with some texture and a line along it.
    fn road(car: BoundingBox) -> RgbImage {
        RgbImage::from_fn(320, 240, |x, y| {
            let (fx, fy) = (x as f32 + 0.5, y as f32 + 0.5);
            let grain = ((x * 31 + y * 17 + x * y) % 13) as u8;
            let is_car = fx > car.x && fx < car.right() && fy > car.y && fy < car.bottom();
            let is_window = is_car && (fy - car.y) / car.height > 0.3 && (fy - car.y) / car.height < 0.5;
            match (is_window, is_car) {
                (true, _) => [30 + grain, 35, 40],
                (_, true) => [190, 40 + grain, 45],
                _ if x / 4 == 12 => [210, 210, 210],
                _ => [110 + grain, 108 + grain, 105 + grain],
            }
        })
    }

    #[test]
    fn the_whole_object_is_found_from_a_point_near_its_middle_and_of_a_large_one_at_least_a_part() {
        for (car, has_color) in [
            (BoundingBox::new(150.0, 90.0, 24.0, 48.0), true),
            (BoundingBox::new(80.0, 140.0, 60.0, 30.0), true),
            (BoundingBox::new(200.0, 60.0, 12.0, 14.0), true),
            (BoundingBox::new(70.0, 40.0, 44.0, 40.0), false),
        ] {
            let frame = frame(road(car), has_color);
            let (x, y) = car.center();
            for shift in [[0.0, 0.0], [0.15, 0.1], [-0.1, -0.15]] {
                let point = [x + shift[0] * car.width, y + shift[1] * car.height];
                let found = object_at(&frame, point).unwrap();
                // From beside the middle of what is much larger than targets usually are, a part of it is as good.
                let is_large = car.area().sqrt() > 1.5 * USUAL_SIZE * 240.0;
                let inside = found.intersection(&car).map_or(0.0, |common| common.area() / found.area());
                let is_part = is_large && shift != [0.0, 0.0] && inside > 0.9;
                assert!(found.iou(&car) > 0.55 || is_part, "{car:?} from {point:?}: {found:?}");
            }
        }
    }

    #[test]
    fn where_nothing_stands_out_there_is_a_square_around_the_point() {
        let frame = frame(RgbImage::filled(320, 240, [90, 90, 90]), true);
        assert_eq!(object_at(&frame, [100.0, 120.0]), Some(BoundingBox::new(90.0, 110.0, 20.0, 20.0)));
        assert_eq!(object_at(&frame, [2.0, 239.0]), Some(BoundingBox::new(0.0, 229.0, 12.0, 11.0)));
    }

    #[test]
    fn a_point_outside_finds_nothing_and_any_inside_finds_a_box_inside() {
        let frame = frame(road(BoundingBox::new(0.0, 0.0, 30.0, 30.0)), true);
        for outside in [[-1.0, 5.0], [320.0, 5.0], [5.0, 240.0], [f32::NAN, 5.0], [5.0, f32::INFINITY]] {
            assert_eq!(object_at(&frame, outside), None);
        }
        for point in [[0.0, 0.0], [319.9, 239.9], [12.0, 14.0], [160.0, 0.5]] {
            let found = object_at(&frame, point).unwrap();
            let is_inside =
                found.x >= 0.0 && found.y >= 0.0 && found.right() <= 320.0 && found.bottom() <= 240.0;
            assert!(found.is_valid() && is_inside && found.width >= 1.0 && found.height >= 1.0, "{found:?}");
        }
    }
}
