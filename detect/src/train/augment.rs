//! New pictures from old ones: pieces turned, mirrored, scaled, put beside each other, in other light.

use fastrand::Rng;
use geometry::{BoundingBox, RgbImage};
use serde::{Deserialize, Serialize};

/// An image that is learnt from.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The image, and smaller ones: each half as large as the one before.
    levels: Vec<RgbImage>,
    /// What is in it, in pixels of the image.
    pub targets: Vec<Target>,
    /// Whether all objects are among `targets`; where not, what looks like one may be one.
    pub is_complete: bool,
}

/// An object to be found, or where it may be left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Where.
    pub bounding_box: BoundingBox,
    /// Its class; `None` where neither finding nor missing something is wrong.
    pub class_id: Option<u32>,
}

/// What is done to pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// The least and the most that pictures are scaled by, drawn evenly on a logarithmic scale.
    pub scale: [f32; 2],
    /// Free rotation, at most this much to each side, on top of quarter turns; degrees.
    pub rotation_deg: f32,
    /// How often four pictures share an input.
    pub mosaic: f32,
    /// How much light and colours change: 1 is strong.
    pub light: f32,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { scale: [0.35, 1.4], rotation_deg: 20.0, mosaic: 0.3, light: 1.0 }
    }
}

/// An object this small in the input, in pixels, is neither to be found nor to be missed.
const SMALLEST_SIDE: f32 = 5.0;
/// An object of which less than this share is in the input is neither.
const LEAST_VISIBLE: f32 = 0.4;
/// The middle of what the network sees, for where no picture is.
const GREY: f32 = 127.5;

/// An input in the making, `[3, size, size]` with values from 0 to 255.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    /// Red, green and blue planes.
    pub values: Vec<f32>,
    /// What is in it.
    pub targets: Vec<Target>,
    /// Where there may be more than `targets`: pieces of pictures that are not completely labelled.
    pub incomplete: Vec<BoundingBox>,
    size: usize,
}

/// From pixels of the input to pixels of the picture: `source = matrix * input + offset`.
#[derive(Clone, Copy, Debug)]
struct Warp {
    matrix: [[f32; 2]; 2],
    offset: [f32; 2],
    /// Pixels of the input for one of the picture.
    scale: f32,
}

impl Picture {
    /// A picture with all its `targets`.
    pub fn new(image: RgbImage, targets: Vec<Target>) -> Self {
        let mut levels = vec![image];
        while levels.len() < 4
            && let Some(last) = levels.last().filter(|last| last.width().min(last.height()) >= 64)
        {
            levels.push(last.reduced(2));
        }
        Self { levels, targets, is_complete: true }
    }

    /// `(width, height)` in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.levels[0].size()
    }
}

impl Augmentation {
    /// An input of `size` from `pictures`; the same random numbers give the same input.
    pub fn input(&self, pictures: &[Picture], size: usize, random: &mut Rng) -> Canvas {
        let mut canvas =
            Canvas { values: vec![GREY; 3 * size * size], targets: Vec::new(), incomplete: Vec::new(), size };
        let draw = |random: &mut Rng| &pictures[random.usize(0..pictures.len())];
        if random.f32() < self.mosaic {
            let cut = |random: &mut Rng| (size as f32 * (0.3 + 0.4 * random.f32())) as usize;
            let (x, y) = (cut(random), cut(random));
            for [columns, rows] in [[0..x, 0..y], [x..size, 0..y], [0..x, y..size], [x..size, y..size]] {
                self.paint(&mut canvas, draw(random), [columns, rows], random);
            }
        } else {
            self.paint(&mut canvas, draw(random), [0..size, 0..size], random);
        }
        self.relight(&mut canvas, random);
        canvas
    }

    /// A piece of `picture` into columns and rows of the canvas.
    fn paint(
        &self,
        canvas: &mut Canvas,
        picture: &Picture,
        [columns, rows]: [std::ops::Range<usize>; 2],
        random: &mut Rng,
    ) {
        let middle = [&columns, &rows].map(|range| (range.start + range.end) as f32 / 2.0);
        let warp = self.warp(picture, middle, [columns.len(), rows.len()], random);
        let level = (picture.levels.len() - 1).min((1.0 / warp.scale).log2().round().max(0.0) as usize);
        let image = &picture.levels[level];
        let shrink = 1.0 / (1 << level) as f32;
        for row in rows.clone() {
            for column in columns.clone() {
                let [x, y] = warp.source([column as f32 + 0.5, row as f32 + 0.5]);
                if let Some(pixel) = sample(image, x * shrink - 0.5, y * shrink - 0.5) {
                    canvas.set(column, row, pixel);
                }
            }
        }
        let room = BoundingBox::new(
            columns.start as f32,
            rows.start as f32,
            columns.len() as f32,
            rows.len() as f32,
        );
        canvas.targets.extend(picture.targets.iter().filter_map(|target| warp.target(target, &room)));
        if !picture.is_complete {
            canvas.incomplete.push(room);
        }
    }

    /// A random piece whose centre comes to `middle`: half of the time an object is near it.
    fn warp(&self, picture: &Picture, middle: [f32; 2], room: [usize; 2], random: &mut Rng) -> Warp {
        let [least, most] = self.scale.map(f32::ln);
        let scale = (least + (most - least) * random.f32()).exp();
        let quarter = random.u8(0..4);
        let free = (2.0 * random.f32() - 1.0) * self.rotation_deg.to_radians();
        let free = if random.bool() { free } else { 0.0 };
        let (sine, cosine) = (f32::from(quarter) * std::f32::consts::FRAC_PI_2 + free).sin_cos();
        let mirror = if random.bool() { -1.0 } else { 1.0 };
        let matrix =
            [[cosine * mirror, -sine], [sine * mirror, cosine]].map(|row| row.map(|value| value / scale));
        let (width, height) = picture.size();
        let reach = room.map(|length| length as f32 / scale / 2.0);
        // Pieces stay inside the picture where it is larger than they are.
        let inside = |length: usize, reach: f32, random: &mut Rng| {
            let (low, high) =
                (reach.min(length as f32 / 2.0), (length as f32 - reach).max(length as f32 / 2.0));
            low + (high - low) * random.f32()
        };
        let mut centre = [inside(width, reach[0], random), inside(height, reach[1], random)];
        if random.bool() && !picture.targets.is_empty() {
            let (x, y) = picture.targets[random.usize(0..picture.targets.len())].bounding_box.center();
            let near = |random: &mut Rng, reach: f32| (random.f32() - 0.5) * reach * 1.6;
            centre = [x + near(random, reach[0]), y + near(random, reach[1])];
        }
        let offset = std::array::from_fn(|axis| {
            centre[axis] - matrix[axis][0] * middle[0] - matrix[axis][1] * middle[1]
        });
        Warp { matrix, offset, scale }
    }

    /// Other light: brightness, contrast, saturation, colour of the light, blur, noise.
    fn relight(&self, canvas: &mut Canvas, random: &mut Rng) {
        let mut around = |center: f32, by: f32| center + (2.0 * random.f32() - 1.0) * by * self.light;
        let brightness = around(0.0, 30.0);
        let contrast = around(1.0, 0.3);
        let saturation = around(1.0, 0.4);
        let tint: [f32; 3] = std::array::from_fn(|_| around(1.0, 0.08));
        let gamma = around(1.0, 0.25);
        let [is_grey, is_blurred, is_noisy] =
            [0.05, 0.15, 0.25].map(|share| random.f32() < share * self.light);
        let saturation = if is_grey { 0.0 } else { saturation };
        let noise = if is_noisy { random.f32() * 12.0 * self.light } else { 0.0 };
        let plane = canvas.size * canvas.size;
        let (red, rest) = canvas.values.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let grey = 0.299 * *red + 0.587 * *green + 0.114 * *blue;
            for (channel, value) in [red, green, blue].into_iter().enumerate() {
                let colour = (grey + (*value - grey) * saturation) * tint[channel];
                let lit = ((colour - GREY) * contrast + GREY + brightness).clamp(0.0, 255.0);
                let noise = if noise > 0.0 { (random.f32() + random.f32() - 1.0) * noise } else { 0.0 };
                *value = (255.0 * (lit / 255.0).powf(gamma) + noise).clamp(0.0, 255.0);
            }
        }
        if is_blurred {
            canvas.blur();
        }
    }
}

impl Warp {
    fn source(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        std::array::from_fn(|axis| self.matrix[axis][0] * x + self.matrix[axis][1] * y + self.offset[axis])
    }

    /// A target of the picture in the input, as far as it is in `room`.
    fn target(&self, target: &Target, room: &BoundingBox) -> Option<Target> {
        let (x, y) = target.bounding_box.center();
        let [dx, dy] = [x - self.offset[0], y - self.offset[1]];
        // The matrix is a rotation, maybe mirrored, over the scale: its inverse is its transpose times the scale twice.
        let back = |column: usize, v: [f32; 2]| {
            (self.matrix[0][column] * v[0] + self.matrix[1][column] * v[1]) * self.scale * self.scale
        };
        let centre = [back(0, [dx, dy]), back(1, [dx, dy])];
        // A turned vehicle fills its turned box as an ellipse does rather than to the corners.
        let half = [target.bounding_box.width / 2.0, target.bounding_box.height / 2.0];
        let reach: [f32; 2] =
            std::array::from_fn(|axis| back(axis, [half[0], 0.0]).hypot(back(axis, [0.0, half[1]])));
        let whole =
            BoundingBox::new(centre[0] - reach[0], centre[1] - reach[1], reach[0] * 2.0, reach[1] * 2.0);
        let visible = whole.intersection(room)?;
        let is_clear = visible.area() >= LEAST_VISIBLE * whole.area()
            && visible.width.min(visible.height) >= SMALLEST_SIDE;
        Some(Target { bounding_box: visible, class_id: target.class_id.filter(|_| is_clear) })
    }
}

impl Canvas {
    /// Height and width in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Red, green and blue of a pixel, as an image has them.
    ///
    /// # Panics
    /// Outside the canvas.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let (plane, at) = (self.size * self.size, y * self.size + x);
        std::array::from_fn(|channel| self.values[channel * plane + at].round() as u8)
    }

    fn set(&mut self, x: usize, y: usize, pixel: [f32; 3]) {
        let plane = self.size * self.size;
        let at = y * self.size + x;
        (0..3).for_each(|channel| self.values[channel * plane + at] = pixel[channel]);
    }

    /// The mean of each pixel and its four neighbours.
    fn blur(&mut self) {
        let size = self.size;
        for plane in self.values.chunks_exact_mut(size * size) {
            let sharp = plane.to_vec();
            for y in 1..size - 1 {
                for x in 1..size - 1 {
                    let at = y * size + x;
                    plane[at] =
                        (sharp[at] + sharp[at - 1] + sharp[at + 1] + sharp[at - size] + sharp[at + size])
                            / 5.0;
                }
            }
        }
    }
}

/// The colour between pixels; nothing outside the image.
fn sample(image: &RgbImage, x: f32, y: f32) -> Option<[f32; 3]> {
    let (width, height) = image.size();
    if x < -0.5 || y < -0.5 || x > width as f32 - 0.5 || y > height as f32 - 0.5 {
        return None;
    }
    let (x, y) = (x.clamp(0.0, width as f32 - 1.0), y.clamp(0.0, height as f32 - 1.0));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (along, down) = (x - left as f32, y - top as f32);
    let rows = [top, bottom].map(|row| image.row(row).as_chunks::<3>().0);
    let blend = |channel: usize| {
        let value = |row: usize, column: usize| f32::from(rows[row][column][channel]);
        let upper = value(0, left) + (value(0, right) - value(0, left)) * along;
        let lower = value(1, left) + (value(1, right) - value(1, left)) * along;
        upper + (lower - upper) * down
    };
    Some([blend(0), blend(1), blend(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey with one red block where its target is.
    fn picture() -> Picture {
        let at = BoundingBox::new(60.0, 40.0, 30.0, 16.0);
        let image = RgbImage::from_fn(200, 120, |x, y| {
            let is_in = (60..90).contains(&x) && (40..56).contains(&y);
            if is_in { [250, 20, 20] } else { [120, 120, 120] }
        });
        Picture::new(image, vec![Target { bounding_box: at, class_id: Some(1) }])
    }

    #[test]
    fn targets_go_where_their_pixels_go() {
        let augmentation = Augmentation { light: 0.0, rotation_deg: 15.0, ..Augmentation::default() };
        let mut random = Rng::with_seed(5);
        let mut clear = 0;
        for _ in 0..100 {
            let canvas = augmentation.input(&[picture()], 96, &mut random);
            let is_red = |x: usize, y: usize| {
                let at = y * 96 + x;
                canvas.values[at] > 180.0 && canvas.values[96 * 96 + at] < 70.0
            };
            for target in canvas.targets.iter().filter(|target| target.class_id.is_some()) {
                clear += 1;
                let (x, y) = target.bounding_box.center();
                assert!(is_red(x as usize, y as usize), "{target:?}");
                let b = target.bounding_box;
                let outside = (b.x - 4.0, b.y - 4.0);
                if outside.0 > 0.0 && outside.1 > 0.0 && canvas.targets.len() == 1 {
                    assert!(!is_red(outside.0 as usize, outside.1 as usize), "{target:?}");
                }
            }
            for y in 0..96 {
                for x in 0..96 {
                    let is_known = canvas.targets.iter().any(|target| {
                        let b = target.bounding_box;
                        (b.x - 5.0..b.right() + 5.0).contains(&(x as f32))
                            && (b.y - 5.0..b.bottom() + 5.0).contains(&(y as f32))
                    });
                    assert!(is_known || !is_red(x, y), "red at {x}, {y}: {:?}", canvas.targets);
                }
            }
        }
        assert!(clear > 50, "{clear}");
    }

    #[test]
    fn the_same_numbers_make_the_same_input() {
        let augmentation = Augmentation::default();
        let make = |seed| augmentation.input(&[picture()], 64, &mut Rng::with_seed(seed));
        assert_eq!(make(3), make(3));
        assert_ne!(make(3), make(4));
    }
}
