//! Batches of snippets, each seen a little differently every time.

use std::sync::Arc;

use fastrand::Rng;
use geometry::Se3;
use nalgebra::{Rotation3, Vector3};
use serde::{Deserialize, Serialize};

use super::clip::{Clip, ClipFrame};

/// What is done to snippets, to all three images alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Images are enlarged by up to this factor, each axis by itself, and a piece of the old size is cut out (SfMLearner:
    /// 1.15). 1 leaves them as they are.
    pub scale: f32,
    /// How much brightness, contrast and saturation of what networks see change, as shares; what losses compare keeps its
    /// colours (Monodepth2: 0.2).
    pub light: f32,
    /// Whether every second snippet is mirrored.
    pub mirror: bool,
    /// Whether every second snippet runs backwards: what only ever saw cameras go forward takes each motion for one.
    pub reverse: bool,
    /// Spread in radians by which the camera of each image is turned left or right, half as much up or down and around its axis:
    /// turns for networks that have seen few. What comes into view repeats the outermost pixels, so that this is for motions
    /// alone ([`super::Recipe::scales`]).
    pub turn: f32,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { scale: 1.15, light: 0.2, mirror: true, reverse: false, turn: 0.0 }
    }
}

/// Makes batches: each is a function of the seed and its number alone, so that a training that goes on sees what it would
/// have seen.
#[derive(Clone, Debug)]
pub struct BatchMaker {
    /// What is learnt from: at least one, of one size, each with snippets.
    pub clips: Arc<[Clip]>,
    /// What is done to it.
    pub augmentation: Augmentation,
    /// Snippets in a batch.
    pub batch: usize,
    /// Taken from values between 0 and 1, then divided by.
    pub normalisation: [f32; 2],
    /// Chooses everything.
    pub seed: u64,
}

/// What is learnt from in one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Images in the order of time, `[batch, 3, height, width]`, between 0 and 1.
    pub images: [Vec<f32>; 3],
    /// The same as networks see them: in another light, and normalised.
    pub inputs: [Vec<f32>; 3],
    /// `[batch, 4]`: `fx fy cx cy`.
    pub cameras: Vec<f32>,
    /// Which clip each snippet is of.
    pub clips: Vec<usize>,
    /// What odometry knows of it.
    pub guide: Guide,
}

/// What odometry knows of a batch ([`super::Sight`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guide {
    /// `[batch, 12]`: the motions `second_from_first` and `third_from_second`, rows of `[R | t]`.
    pub motions: [Vec<f32>; 2],
    /// `[batch]`: 1 where motions are known, else 0.
    pub is_known: Vec<f32>,
    /// `[batch, 1, height, width]`: the inverse depths of points, 0 where none is known.
    pub inverse_depths: [Vec<f32>; 3],
}

/// What is done to one snippet.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Of both axes, x first.
    scale: [f32; 2],
    /// Of the piece, in pixels of the enlarged image.
    origin: [f32; 2],
    is_mirrored: bool,
    is_reversed: bool,
    light: Light,
    /// By how far the camera of each image is turned, behind all else.
    turns: [Rotation3<f32>; 3],
}

#[derive(Clone, Copy, Debug)]
struct Light {
    brightness: f32,
    contrast: f32,
    saturation: f32,
}

/// A place between two values: the first of them, and how far it is from it.
type Tap = (usize, f32);

impl BatchMaker {
    /// Height and width of the images.
    pub fn size(&self) -> [usize; 2] {
        let camera = &self.clips[0].camera;
        [camera.height(), camera.width()]
    }

    /// The batch of a step.
    pub fn make(&self, step: usize) -> Batch {
        // An odd factor spreads the seeds of neighbouring steps over all numbers.
        let seed = self.seed ^ (step as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = Rng::with_seed(seed);
        let all = self.snippets();
        let chosen: Vec<usize> = (0..self.batch).map(|_| random.usize(0..all)).collect();
        self.of(&chosen, &mut random)
    }

    /// How many snippets there are in all clips.
    pub fn snippets(&self) -> usize {
        self.clips.iter().map(|clip| clip.snippets.len()).sum()
    }

    /// The snippets `chosen`, counted over all clips, as they are: for measuring.
    pub fn unchanged(&self, chosen: &[usize]) -> Batch {
        let augmentation = Augmentation { scale: 1.0, light: 0.0, mirror: false, reverse: false, turn: 0.0 };
        // Nothing is left to chance.
        Self { augmentation, ..self.clone() }.of(chosen, &mut Rng::with_seed(0))
    }

    fn of(&self, chosen: &[usize], random: &mut Rng) -> Batch {
        let mut batch = Batch::default();
        for &snippet in chosen {
            let Some((clip, &[first, middle, last])) = self.find(snippet) else { continue };
            let view = self.view(random);
            let places = if view.is_reversed { [last, middle, first] } else { [first, middle, last] };
            batch.clips.push(clip);
            let clip = &self.clips[clip];
            let (focal, centre) = (clip.camera.focal(), clip.camera.center());
            let [fx, cx] = self.axis(view, 0, focal.x, centre.x);
            let [fy, cy] = self.axis(view, 1, focal.y, centre.y);
            let camera = [fx, fy, cx, cy];
            batch.cameras.extend(camera);
            let frames = places.map(|place| &clip.frames[place]);
            self.guide(frames, view, camera, &mut batch.guide);
            for (time, &place) in places.iter().enumerate() {
                let image = self.image(&clip.frames[place].planes, view);
                let image = match self.augmentation.turn > 0.0 {
                    true => turned(&image, self.size(), camera, &view.turns[time]),
                    false => image,
                };
                self.light(&image, view.light, &mut batch.inputs[time]);
                batch.images[time].extend(image);
            }
        }
        batch
    }

    fn find(&self, mut snippet: usize) -> Option<(usize, &[usize; 3])> {
        for (index, clip) in self.clips.iter().enumerate() {
            if let Some(places) = clip.snippets.get(snippet) {
                return Some((index, places));
            }
            snippet -= clip.snippets.len();
        }
        None
    }

    fn view(&self, random: &mut Rng) -> View {
        let Augmentation { scale, light, mirror, reverse, turn } = self.augmentation;
        let [height, width] = self.size();
        let scale = [(); 2].map(|()| 1.0 + (scale - 1.0) * random.f32());
        let origin = [(scale[0], width), (scale[1], height)].map(|(scale, size)| (scale - 1.0) * size as f32);
        let mut factor = || 1.0 + light * (2.0 * random.f32() - 1.0);
        let light = Light { brightness: factor(), contrast: factor(), saturation: factor() };
        let origin = origin.map(|most| (most * random.f32()).floor());
        let is_mirrored = mirror && random.bool();
        let turns = [(); 3].map(|()| match turn > 0.0 {
            true => {
                let [across, up, around] =
                    [0.5 * turn, turn, 0.5 * turn].map(|spread| spread * normal(random));
                Rotation3::from_scaled_axis(Vector3::new(across, up, around))
            }
            false => Rotation3::identity(),
        });
        // Last, so that what is drawn before it stays what it was.
        let is_reversed = reverse && random.bool();
        View { scale, origin, is_mirrored, is_reversed, light, turns }
    }

    /// Focal length and centre along an axis after what `view` does.
    fn axis(&self, view: View, axis: usize, focal: f64, centre: f64) -> [f32; 2] {
        let scale = view.scale[axis];
        let centre = (centre as f32 + 0.5) * scale - 0.5 - view.origin[axis];
        let width = self.size()[1] as f32;
        let is_mirrored = axis == 0 && view.is_mirrored;
        [focal as f32 * scale, if is_mirrored { width - 1.0 - centre } else { centre }]
    }

    fn image(&self, planes: &[u8], view: View) -> Vec<f32> {
        let [height, width] = self.size();
        if view.scale == [1.0; 2] && !view.is_mirrored {
            return planes.iter().map(|&value| f32::from(value) / 255.0).collect();
        }
        let mut across = taps(width, view.scale[0], view.origin[0]);
        if view.is_mirrored {
            across.reverse();
        }
        let down = taps(height, view.scale[1], view.origin[1]);
        let mut image = Vec::with_capacity(planes.len());
        for plane in planes.chunks_exact(height * width) {
            for &(y, fy) in &down {
                let [above, below] = [y, (y + 1).min(height - 1)].map(|y| &plane[y * width..][..width]);
                image.extend(across.iter().map(|&(x, fx)| {
                    let next = (x + 1).min(width - 1);
                    let mix = |row: &[u8]| f32::from(row[x]) * (1.0 - fx) + f32::from(row[next]) * fx;
                    (mix(above) * (1.0 - fy) + mix(below) * fy) / 255.0
                }));
            }
        }
        image
    }

    /// What odometry knows of the three frames of a snippet, as it is in `view`.
    fn guide(&self, frames: [&ClipFrame; 3], view: View, camera: [f32; 4], guide: &mut Guide) {
        let sights = frames.map(|frame| frame.sight.as_ref());
        let known = match sights {
            [Some(a), Some(b), Some(c)] if a.map == b.map && b.map == c.map => Some([a, b, c]),
            _ => None,
        };
        guide.is_known.push(if known.is_some() { 1.0 } else { 0.0 });
        for pair in 0..2 {
            let motion = known.map_or_else(Se3::identity, |sights| {
                sights[pair + 1].world_from_camera.inverse() * sights[pair].world_from_camera
            });
            let mut matrix = motion.to_matrix3x4().map(|value| value as f32);
            if view.is_mirrored {
                // A mirror turns x around, before and after.
                matrix.row_mut(0).neg_mut();
                matrix.column_mut(0).neg_mut();
            }
            let [before, after] = [pair, pair + 1].map(|time| *view.turns[time].matrix());
            let rotation = after * matrix.fixed_columns::<3>(0) * before.transpose();
            let translation = after * matrix.column(3);
            for row in 0..3 {
                guide.motions[pair].extend(rotation.row(row).iter());
                guide.motions[pair].push(translation[row]);
            }
        }
        for (time, inverse_depths) in guide.inverse_depths.iter_mut().enumerate() {
            let points = known.map_or(&[][..], |sights| &sights[time].points);
            self.points(points, view, (camera, &view.turns[time]), inverse_depths);
        }
    }

    /// Adds an image of the inverse depths of `points`, as they lie in `view` of a camera that is turned.
    fn points(
        &self,
        points: &[[f32; 3]],
        view: View,
        (camera, turn): ([f32; 4], &Rotation3<f32>),
        inverse_depths: &mut Vec<f32>,
    ) {
        let [height, width] = self.size();
        let first = inverse_depths.len();
        inverse_depths.resize(first + height * width, 0.0);
        for &[x, y, inverse_depth] in points {
            let place = |value: f32, axis: usize| (value + 0.5) * view.scale[axis] - 0.5 - view.origin[axis];
            let (x, y) = (place(x, 0), place(y, 1));
            let x = if view.is_mirrored { (width - 1) as f32 - x } else { x };
            let ray = turn * ray(camera, [x, y]);
            let ([x, y], inverse_depth) = (pixel(camera, &ray), inverse_depth / ray.z);
            let (x, y) = (x.round(), y.round());
            let is_inside = x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32;
            if is_inside {
                inverse_depths[first + y as usize * width + x as usize] = inverse_depth;
            }
        }
    }

    fn light(&self, image: &[f32], light: Light, inputs: &mut Vec<f32>) {
        let [mean, deviation] = self.normalisation;
        let pixels = image.len() / 3;
        let [red, green, blue] = [0, 1, 2].map(|plane| &image[plane * pixels..][..pixels]);
        for plane in [red, green, blue] {
            inputs.extend((0..pixels).map(|pixel| {
                let gray = 0.299 * red[pixel] + 0.587 * green[pixel] + 0.114 * blue[pixel];
                let colour = gray + (plane[pixel] - gray) * light.saturation;
                let value = ((colour - 0.5) * light.contrast + 0.5) * light.brightness;
                (value.clamp(0.0, 1.0) - mean) / deviation
            }));
        }
    }
}

/// Through `pixel` of a camera `fx fy cx cy`, one unit along its axis.
fn ray([fx, fy, cx, cy]: [f32; 4], [x, y]: [f32; 2]) -> Vector3<f32> {
    Vector3::new((x - cx) / fx, (y - cy) / fy, 1.0)
}

/// Where a camera `fx fy cx cy` sees what lies on `ray`.
fn pixel([fx, fy, cx, cy]: [f32; 4], ray: &Vector3<f32>) -> [f32; 2] {
    [fx * ray.x / ray.z + cx, fy * ray.y / ray.z + cy]
}

/// What the camera sees, `[3, height, width]`, when it is turned so that what lay at `x` before it lies at `turn * x`. Beyond the
/// image its outermost pixels go on.
fn turned(image: &[f32], [height, width]: [usize; 2], camera: [f32; 4], turn: &Rotation3<f32>) -> Vec<f32> {
    let back = turn.inverse();
    let places = (0..height * width).map(|index| {
        let [x, y] = pixel(camera, &(back * ray(camera, [(index % width) as f32, (index / width) as f32])));
        let (x, y) = (x.clamp(0.0, (width - 1) as f32), y.clamp(0.0, (height - 1) as f32));
        let corner =
            (y as usize).min(height.saturating_sub(2)) * width + (x as usize).min(width.saturating_sub(2));
        (corner, x - (corner % width) as f32, y - (corner / width) as f32)
    });
    let places: Vec<_> = places.collect();
    let mut seen = Vec::with_capacity(image.len());
    for plane in image.chunks_exact(height * width) {
        seen.extend(places.iter().map(|&(corner, right, below)| {
            let mix = |first: usize| plane[first] + (plane[first + 1] - plane[first]) * right;
            mix(corner) + (mix(corner + width) - mix(corner)) * below
        }));
    }
    seen
}

/// A number of mean 0 and variance 1, nearly normal: the sum of twelve even ones.
fn normal(random: &mut Rng) -> f32 {
    (0..12).map(|_| random.f32()).sum::<f32>() - 6.0
}

/// Where `count` pixels of a piece of the enlarged image lie in the image.
fn taps(count: usize, scale: f32, origin: f32) -> Vec<Tap> {
    let tap = |pixel: usize| {
        let place = ((pixel as f32 + origin + 0.5) / scale - 0.5).clamp(0.0, (count - 1) as f32);
        (place as usize, place.fract())
    };
    (0..count).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use geometry::{PinholeCamera, Timestamp};
    use nalgebra::{Vector3, Vector6};

    use super::super::sight::Sight;
    use super::*;

    const SIZE: [usize; 2] = [8, 16];

    /// Frames whose red says the column, whose green says the row, and whose blue is the number of the frame.
    fn clip(frames: u8) -> Clip {
        let [height, width] = SIZE;
        let plane = |value: &dyn Fn(usize, usize) -> usize| -> Vec<u8> {
            (0..height * width).map(|index| value(index % width, index / width) as u8).collect()
        };
        let frame = |seq: u8| ClipFrame {
            number: seq.into(),
            stamp: Timestamp::from_nanos(i64::from(seq)),
            sight: None,
            planes: [plane(&|x, _| x * 10), plane(&|_, y| y * 10), plane(&|_, _| seq.into())].concat(),
        };
        Clip {
            name: "ramp".into(),
            camera: PinholeCamera::new(width, height, 12.0, 14.0, 6.0, 4.0).unwrap(),
            frames: (0..frames).map(frame).collect(),
            snippets: (1..usize::from(frames) - 1).map(|place| [place - 1, place, place + 1]).collect(),
            still: 0,
            unread: 0,
        }
    }

    fn maker(augmentation: Augmentation) -> BatchMaker {
        let clips = [clip(4), clip(5)].into();
        BatchMaker { clips, augmentation, batch: 6, normalisation: [0.5, 0.25], seed: 7 }
    }

    #[test]
    fn without_augmentation_images_are_as_they_are() {
        let maker = maker(Augmentation::default());
        let batch = maker.unchanged(&[0, 3]);
        assert_eq!((maker.snippets(), &*batch.clips), (5, &[0, 1][..]));
        assert_eq!(batch.cameras[4..], [12.0, 14.0, 6.0, 4.0]);
        let pixels = SIZE[0] * SIZE[1];
        let blue = |time: usize, image: usize| batch.images[time][(image * 3 + 2) * pixels] * 255.0;
        assert_eq!([blue(0, 0), blue(1, 0), blue(2, 0)], [0.0, 1.0, 2.0]);
        assert_eq!([blue(0, 1), blue(1, 1), blue(2, 1)], [1.0, 2.0, 3.0]);
        let input = batch.inputs[2][5];
        assert!((input - (50.0 / 255.0 - 0.5) / 0.25).abs() < 1e-6, "{input}");
    }

    #[test]
    fn cameras_follow_the_pieces() {
        let augmentation = Augmentation { light: 0.0, ..Augmentation::default() };
        let maker = BatchMaker { batch: 40, ..maker(augmentation) };
        let batch = maker.make(3);
        assert_eq!(batch, maker.make(3));
        assert_ne!(batch, maker.make(4));
        let pixels = SIZE[0] * SIZE[1];
        let mut is_mirrored = [false; 2];
        for (image, camera) in batch.cameras.chunks_exact(4).enumerate() {
            let [fx, fy, cx, cy] = [camera[0], camera[1], camera[2], camera[3]];
            let plane = |channel: usize| &batch.images[1][(image * 3 + channel) * pixels..][..pixels];
            // Away from the border, where the ramps end.
            for (x, y) in [(4, 2), (8, 3), (12, 5)] {
                let index = y * SIZE[1] + x;
                let (column, row) = (plane(0)[index] * 25.5, plane(1)[index] * 25.5);
                let ray = (x as f32 - cx) / fx;
                let wanted = (column - 6.0) / 12.0;
                assert!((ray.abs() - wanted.abs()).abs() < 1e-3, "{ray} {wanted}");
                assert!(((y as f32 - cy) / fy - (row - 4.0) / 14.0).abs() < 1e-3);
                is_mirrored[usize::from(plane(0)[index] > plane(0)[index + 1])] = true;
            }
        }
        assert_eq!(is_mirrored, [true; 2], "both ways occur");
    }

    #[test]
    fn what_odometry_knows_follows_the_pieces() {
        let sight = |seq: u8| Sight {
            map: 0,
            world_from_camera: Se3::exp(&(Vector6::new(0.1, 0.02, 0.3, 0.01, 0.2, 0.03) * f64::from(seq))),
            points: vec![[8.0, 3.0, 0.5], [5.0, 5.0, 0.25]],
        };
        let mut all = [clip(5)];
        for (seq, frame) in all[0].frames.iter_mut().enumerate().take(4) {
            frame.sight = Some(sight(seq as u8));
        }
        let augmentation = Augmentation { light: 0.0, ..Augmentation::default() };
        let maker = BatchMaker { clips: all.into(), batch: 60, ..maker(augmentation) };
        let batch = maker.make(2);
        let pixels = SIZE[0] * SIZE[1];
        let (mut mirrored, mut unknown, mut points) = (0, 0, 0);
        for (index, camera) in batch.cameras.chunks_exact(4).enumerate() {
            let inverse_depths = &batch.guide.inverse_depths[1][index * pixels..][..pixels];
            if batch.guide.is_known[index] == 0.0 {
                assert!(inverse_depths.iter().all(|&inverse| inverse == 0.0));
                unknown += 1;
                continue;
            }
            let red = &batch.images[1][index * 3 * pixels..][..pixels];
            let is_mirrored = red[4] > red[5];
            mirrored += usize::from(is_mirrored);
            // A point stays on its ray, whose x a mirror turns around.
            let seen = inverse_depths.iter().position(|&inverse| inverse == 0.5);
            if let Some(place) = seen {
                let ray = ((place % SIZE[1]) as f32 - camera[2]) / camera[0];
                let wanted = if is_mirrored { -2.0 / 12.0 } else { 2.0 / 12.0 };
                assert!((ray - wanted).abs() <= 0.5 / camera[0] + 1e-4, "{ray} {wanted}");
                points += 1;
            }
            // Motions move points in the mirror as the mirror shows moved points.
            let matrix = &batch.guide.motions[0][index * 12..][..12];
            let sign = if is_mirrored { -1.0 } else { 1.0 };
            let motion = sight(1).world_from_camera.inverse();
            let wanted = motion * Vector3::new(0.3, -0.2, 2.0);
            let moved = |row: usize| {
                let row = &matrix[row * 4..][..4];
                row[0] * 0.3 * sign - row[1] * 0.2 + row[2] * 2.0 + row[3]
            };
            for (found, wanted) in [(moved(0) * sign, wanted.x), (moved(1), wanted.y), (moved(2), wanted.z)] {
                assert!((f64::from(found) - wanted).abs() < 1e-5, "{found} {wanted}");
            }
        }
        assert!(mirrored > 0 && unknown > 0 && points > 20, "{mirrored} {unknown} {points}");
    }

    #[test]
    fn snippets_that_run_backwards_move_the_other_way() {
        let way = Vector6::new(0.1, 0.02, 0.3, 0.01, 0.2, 0.03);
        let mut all = [clip(5)];
        for (seq, frame) in all[0].frames.iter_mut().enumerate() {
            let world_from_camera = Se3::exp(&(way * seq as f64));
            frame.sight = Some(Sight { map: 0, world_from_camera, points: vec![[8.0, 3.0, 0.5]] });
        }
        let augmentation = Augmentation { scale: 1.0, light: 0.0, mirror: false, reverse: true, turn: 0.0 };
        let maker = BatchMaker { clips: all.into(), batch: 30, ..maker(augmentation) };
        let batch = maker.make(1);
        let pixels = SIZE[0] * SIZE[1];
        let mut is_seen = [false; 2];
        for index in 0..30 {
            let number = |time: usize| batch.images[time][(index * 3 + 2) * pixels] * 255.0;
            let step = number(1) - number(0);
            assert!((step.abs() - 1.0).abs() < 1e-3 && (number(2) - number(1) - step).abs() < 1e-3);
            is_seen[usize::from(step > 0.0)] = true;
            let wanted = Se3::exp(&(-way * f64::from(step.round()))).to_matrix3x4().transpose();
            for motions in &batch.guide.motions {
                let found = &motions[index * 12..][..12];
                assert!(found.iter().zip(wanted.iter()).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5));
            }
        }
        assert_eq!(is_seen, [true; 2], "both ways occur");
    }

    /// A far wall, whose red and green say where it is, before a camera that the odometry takes for still.
    #[test]
    fn turned_cameras_see_what_their_motions_say() {
        let mut all = [clip(5)];
        let points = vec![[8.0, 3.0, 0.5], [5.0, 4.0, 0.25]];
        for frame in &mut all[0].frames {
            let sight = Sight { map: 0, world_from_camera: Se3::identity(), points: points.clone() };
            frame.sight = Some(sight);
        }
        let augmentation = Augmentation { scale: 1.0, light: 0.0, mirror: false, reverse: false, turn: 0.05 };
        let maker = BatchMaker { clips: all.into(), batch: 20, ..maker(augmentation) };
        let batch = maker.make(5);
        let (pixels, camera) = (SIZE[0] * SIZE[1], [12.0, 14.0, 6.0, 4.0]);
        let mut largest = 0.0_f32;
        for index in 0..20 {
            let motion = &batch.guide.motions[0][index * 12..][..12];
            let turn = nalgebra::Matrix3::from_fn(|row, column| motion[row * 4 + column]);
            largest = largest.max((turn - nalgebra::Matrix3::identity()).norm());
            // The same place of the wall, in the first image and in the second.
            let place = |time: usize, [x, y]: [f32; 2]| {
                let (column, row) = (x as usize, y as usize);
                [0, 1].map(|channel| {
                    let plane = &batch.images[time][(index * 3 + channel) * pixels..][..pixels];
                    let value = |dx: usize, dy: usize| plane[(row + dy) * SIZE[1] + column + dx] * 25.5;
                    let mix = |dy: usize| value(0, dy) + (value(1, dy) - value(0, dy)) * x.fract();
                    mix(0) + (mix(1) - mix(0)) * y.fract()
                })
            };
            let [here, there] = [[7.0, 4.0], pixel(camera, &(turn * ray(camera, [7.0, 4.0])))];
            let ([a, b], [c, d]) = (place(0, here), place(1, there));
            assert!((a - c).abs() < 0.05 && (b - d).abs() < 0.05, "{a} {b}, {c} {d}");
            let inverse_depths = &batch.guide.inverse_depths[1][index * pixels..][..pixels];
            assert!(inverse_depths.iter().filter(|&&inverse| inverse > 0.0).count() > 0);
        }
        assert!(largest > 0.03, "{largest}");
    }

    #[test]
    fn networks_see_another_light_than_losses() {
        let maker = maker(Augmentation { scale: 1.0, light: 0.4, mirror: false, reverse: false, turn: 0.0 });
        let batch = maker.make(0);
        let same = batch.images[1].iter().zip(&batch.inputs[1]);
        let changed = same.filter(|(image, input)| ((*image - 0.5) / 0.25 - *input).abs() > 0.01).count();
        assert!(changed > batch.images[1].len() / 2);
    }
}
