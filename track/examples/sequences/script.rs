//! What happens to a target, and how the camera moves.

use geometry::{BoundingBox, RgbImage};

use crate::clip::{Clip, around};
use crate::still::turned;
use crate::{LEAST_VISIBLE, free_share};

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing.
    None,
    /// Something passes before the target.
    Hidden,
    /// The camera looks away and back.
    Leaves,
    /// The camera looks away.
    Gone,
}

impl Event {
    /// One of each.
    pub const ALL: [Self; 4] = [Self::None, Self::Hidden, Self::Leaves, Self::Gone];

    /// For the sequence's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Hidden => "hidden",
            Self::Leaves => "leaves",
            Self::Gone => "gone",
        }
    }
}

/// Shake of the camera in pixels.
const SHAKE: f32 = 1.5;
/// A gust every so many frames, and its largest push in pixels.
const GUST: (usize, f32) = (23, 14.0);
/// Frames in which something comes and goes.
const PASSAGE: f32 = 8.0;

/// How one clip is played.
pub struct Script {
    event: Event,
    /// First and last frame of the event.
    span: [f32; 2],
    /// Where to the camera looks away, of unit length.
    away: [f32; 2],
    /// What it shows.
    view: [f32; 2],
    /// Where the target is in it, beside its middle, by shake and gusts.
    shake: Vec<[f32; 2]>,
    /// A corner of what passes before the target, in the first image.
    cover: [f32; 2],
}

impl Script {
    /// A script by `seed`.
    pub fn new(clip: &Clip, event: Event, seed: u64) -> Self {
        let count = clip.shots.len() as f32;
        let mut rng = fastrand::Rng::with_seed(seed + 17 * clip.name.len() as u64);
        let whole = !clip.turns && matches!(event, Event::None | Event::Hidden);
        let share = if whole || clip.turns || clip.name.starts_with("world") { 1.0 } else { 0.7 };
        let view = clip.view.map(|side| (side * share).round());
        let angle = rng.f32() * std::f32::consts::TAU;
        let mut push = [0.0; 2];
        let shake = (0..clip.shots.len()).map(|index| {
            let gust = if index % GUST.0 == GUST.0 - 1 { GUST.1 } else { SHAKE };
            push = push.map(|v: f32| 0.9 * v + gust * (2.0 * rng.f32() - 1.0));
            push
        });
        let shake: Vec<_> = shake.collect();
        let size = clip.shots[0].image.size();
        let cover = [rng.f32() * size.0 as f32, rng.f32() * size.1 as f32];
        Self {
            event,
            span: [0.4 * count, 0.65 * count],
            away: [angle.cos(), angle.sin()],
            view,
            shake,
            cover,
        }
    }

    /// What is seen, and the target's box if enough of it is.
    pub fn frame(&self, clip: &Clip, index: usize) -> (RgbImage, Option<BoundingBox>) {
        let shot = &clip.shots[index];
        let target = shot.bounds();
        let cover = self.cover_at(&target, index);
        let camera = self.camera(clip, index);
        let image = RgbImage::from_fn(self.view[0] as usize, self.view[1] as usize, |x, y| {
            let at = camera.seen_at([x as f32 + 0.5, y as f32 + 0.5]);
            let hides =
                cover.filter(|b| (b.x..b.right()).contains(&at[0]) && (b.y..b.bottom()).contains(&at[1]));
            let at = hides.map_or(at, |b| [0, 1].map(|axis| self.cover[axis] + at[axis] - [b.x, b.y][axis]));
            sample(&shot.image, at).map(|v| v as u8)
        });
        let outline = shot.outline.map(|corner| camera.shown_at(corner));
        let seen = around(&outline);
        let visible = seen.clipped(image.width(), image.height());
        let share = visible.map_or(0.0, |visible| visible.area() / seen.area());
        let free = cover.map_or(1.0, |cover| free_share(&target, &cover));
        (image, visible.filter(|_| share * free >= LEAST_VISIBLE))
    }

    /// What hides the target: a piece of the scene that comes from one side and leaves at the other.
    fn cover_at(&self, target: &BoundingBox, index: usize) -> Option<BoundingBox> {
        let [from, to] = self.span;
        let index = index as f32;
        if self.event != Event::Hidden || index < from || index > to {
            return None;
        }
        let (x, y) = target.center();
        let side = 1.5 * target.width.max(target.height);
        let way = ((from + PASSAGE - index).max(0.0) - (index + PASSAGE - to).max(0.0)) / PASSAGE;
        let middle = [x + way * 1.5 * side * self.away[0], y + way * 1.5 * side * self.away[1]];
        Some(BoundingBox::new(middle[0] - side / 2.0, middle[1] - side / 2.0, side, side))
    }

    fn camera(&self, clip: &Clip, index: usize) -> Camera {
        let (x, y) = clip.shots[index].bounds().center();
        let phase = std::f32::consts::TAU * index as f32 / clip.shots.len() as f32;
        let turn = if clip.turns { 0.35 * phase.sin() } else { 0.0 };
        let zoom = if clip.turns { 1.0 + 0.25 * (1.0 - phase.cos()) / 2.0 } else { 1.0 };
        let full = self.view == clip.view && !clip.turns && !clip.name.starts_with("world");
        if full {
            return Camera {
                middle: self.view.map(|v| v / 2.0),
                half: self.view.map(|v| v / 2.0),
                turn,
                zoom,
            };
        }
        let wander = [0.12 * self.view[0] * phase.sin(), 0.12 * self.view[1] * (1.7 * phase).sin()];
        let look = self.away_share(index);
        let offset = |axis: usize| {
            let reach = self.view[0].max(self.view[1]) * 0.95;
            wander[axis] + self.shake[index][axis] + look * reach * self.away[axis]
        };
        let middle = [x + offset(0), y + offset(1)];
        // Where nothing turns or grows, whole pixels leave the image as sharp as it is.
        let middle = if clip.turns { middle } else { middle.map(f32::round) };
        Camera { middle, half: self.view.map(|v| (v / 2.0).floor()), turn, zoom }
    }

    /// How far the camera looks away, in `[0, 1]`.
    fn away_share(&self, index: usize) -> f32 {
        let [from, to] = self.span;
        let index = index as f32;
        let leaving = ((index - from) / PASSAGE).clamp(0.0, 1.0);
        match self.event {
            Event::Leaves => leaving.min(((to + PASSAGE - index) / PASSAGE).clamp(0.0, 1.0)),
            Event::Gone => leaving,
            Event::None | Event::Hidden => 0.0,
        }
    }
}

/// Where the camera is over an image.
struct Camera {
    middle: [f32; 2],
    half: [f32; 2],
    turn: f32,
    zoom: f32,
}

impl Camera {
    /// Where in an image what is shown at `at` lies.
    fn seen_at(&self, at: [f32; 2]) -> [f32; 2] {
        let local = [0, 1].map(|axis| (at[axis] - self.half[axis]) / self.zoom);
        let local = turned(local, self.turn);
        [0, 1].map(|axis| self.middle[axis] + local[axis])
    }

    /// Where what lies at `at` in an image is shown.
    fn shown_at(&self, at: [f32; 2]) -> [f32; 2] {
        let local = turned([0, 1].map(|axis| (at[axis] - self.middle[axis]) * self.zoom), -self.turn);
        [0, 1].map(|axis| self.half[axis] + local[axis])
    }
}

/// The colour between pixels at `at`, which counts from the first pixel's edge; beyond the image, its mirror image.
pub fn sample(image: &RgbImage, at: [f32; 2]) -> [f32; 3] {
    let mirrored = |v: f32, length: usize| {
        let period = 2.0 * length as f32;
        let v = v.rem_euclid(period);
        (v.min(period - v) - 0.5).clamp(0.0, length as f32 - 1.0)
    };
    let (x, y) = (mirrored(at[0], image.width()), mirrored(at[1], image.height()));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(image.width() - 1), (top + 1).min(image.height() - 1));
    let (u, v) = (x.fract(), y.fract());
    let corners =
        [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| image.pixel(x, y));
    let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
    std::array::from_fn(|c| corners.iter().zip(weights).map(|(pixel, w)| w * f32::from(pixel[c])).sum())
}
