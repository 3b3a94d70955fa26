//! What is true about a frame.

use geometry::{BoundingBox, DepthImage, FlowImage, Frame, Se3};
use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

use super::render::{Row, Sample, Shot};
use super::solid::Placement;
use super::vehicles::VehicleClass;
use super::{Vec3, World};
use crate::labels::{BoxRole, LabelledBox};

/// A frame with its truth.
#[derive(Clone, Debug)]
pub struct WorldFrame {
    /// The image, in colour.
    pub frame: Frame,
    /// The camera's pose at the frame's stamp.
    pub world_from_camera: Se3,
    /// Distance along the optical axis in metres, by the pose of each pixel's row; 0 for the sky.
    pub depth: DepthImage,
    /// Where what a pixel shows is in the next frame, minus the pixel, hidden there or not; vehicles move. Each
    /// end by the pose of its own row (rows outside the image by the nearest row's pose). NaN for the sky and
    /// for what is behind the next camera.
    pub flow: FlowImage,
    /// Vehicles of which at least one pixel is seen or would be seen if nothing stood before it.
    pub boxes: Vec<WorldBox>,
    /// Height above the ground straight below, in metres.
    pub height_above_ground_m: f64,
}

/// A vehicle in a frame. Boxes go from the outer edges of pixels to outer edges, column 0 from 0 to 1: a vehicle seen
/// in the pixel of column 3 alone has `x = 3` and `width = 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldBox {
    /// Identity through the whole flight.
    pub id: u64,
    /// Kind.
    pub class: VehicleClass,
    /// Around the pixels that show it; `None` where all are hidden.
    pub bounding_box: Option<BoundingBox>,
    /// Around its projected cuboid, hidden parts and parts outside the image included.
    pub full_extent: BoundingBox,
    /// Share of its pixels inside the image that something else hides, in `[0, 1]`.
    pub occlusion: f32,
    /// Share of `full_extent` outside the image, in `[0, 1]`.
    pub truncation: f32,
}

impl WorldFrame {
    /// Of a vehicle that is to be found at least this share is seen, and its box has sides of at least this many pixels.
    const CLEARLY_SEEN: f32 = 0.6;
    const SMALLEST_SIDE_PX: f32 = 5.0;

    /// What a detector should find in the frame, as [`VehicleClass::id`] and the box around what is seen: clearly seen
    /// vehicles are to be found; smaller, half hidden and cut ones may be.
    pub fn labels(&self) -> Vec<LabelledBox> {
        self.boxes.iter().filter_map(label).collect()
    }
}

/// The label of a vehicle of which anything is seen.
fn label(of: &WorldBox) -> Option<LabelledBox> {
    let seen = of.bounding_box?;
    let share = (1.0 - of.occlusion) * (1.0 - of.truncation);
    let is_clear =
        share >= WorldFrame::CLEARLY_SEEN && seen.width.min(seen.height) >= WorldFrame::SMALLEST_SIDE_PX;
    let [x, y, width, height] = [seen.x, seen.y, seen.width, seen.height].map(f64::from);
    let role = if is_clear { BoxRole::Object } else { BoxRole::Optional };
    Some(LabelledBox { role, ..LabelledBox::new(of.class.id() as u32, x, y, width, height) })
}

impl World {
    pub(crate) fn depth(&self, samples: &[Sample]) -> DepthImage {
        let width = self.config.width;
        let depth = |x: usize, y: usize| samples[y * width + x].depth_m;
        DepthImage::from_fn(width, self.config.height, |x, y| {
            [if depth(x, y).is_finite() { depth(x, y) } else { 0.0 }]
        })
    }

    pub(crate) fn flow(&self, index: usize, shot: &Shot, samples: &[Sample]) -> FlowImage {
        let (width, height) = (self.config.width, self.config.height);
        let time = |y: usize| self.row_time_s(index + 1, y as f64);
        let next = self.rows(&shot.movers, time);
        let mut flow = FlowImage::filled(width, height, [f32::NAN; 2]);
        flow.as_mut_slice().par_chunks_mut(2 * width).enumerate().for_each(|(y, out)| {
            for (x, out) in out.chunks_exact_mut(2).enumerate() {
                let pixel = Vector2::new(x as f64, y as f64);
                if let Some(to) = self.moved(&shot.rows[y], &next, pixel, samples[y * width + x]) {
                    out.copy_from_slice(&[(to.x - pixel.x) as f32, (to.y - pixel.y) as f32]);
                }
            }
        });
        flow
    }

    /// Where what `pixel` shows is in the frame exposed by `next`.
    fn moved(&self, row: &Row, next: &[Row], pixel: Vector2<f64>, sample: Sample) -> Option<Vector2<f64>> {
        if !sample.depth_m.is_finite() {
            return None;
        }
        let in_camera = self.camera.unproject(&pixel)? * f64::from(sample.depth_m);
        let in_world = row.world_from_camera * in_camera;
        let Some(slot) = sample.vehicle.checked_sub(1).map(usize::from) else {
            return self.project(next, pixel.y, |_| in_world);
        };
        let local = row.placements[slot].local_point(in_world.cast());
        self.project(next, pixel.y, |at| carried(next, slot, at, local))
    }

    pub(crate) fn boxes(&self, shot: &Shot, samples: &[Sample]) -> Vec<WorldBox> {
        (0..shot.movers.ids.len() as u16).filter_map(|slot| self.vehicle_box(shot, samples, slot)).collect()
    }

    fn vehicle_box(&self, shot: &Shot, samples: &[Sample], slot: u16) -> Option<WorldBox> {
        let (width, height) = (self.config.width, self.config.height);
        let full_extent = self.full_extent(shot, slot)?;
        let inside = full_extent.clipped(width, height)?;
        let columns = inside.x.floor() as usize..(inside.right().ceil() as usize).min(width);
        let (mut whole, mut seen) = (0_u32, 0_u32);
        let mut extent = [usize::MAX, usize::MAX, 0, 0];
        for y in inside.y.floor() as usize..(inside.bottom().ceil() as usize).min(height) {
            for x in columns.clone() {
                let visible = samples[y * width + x].vehicle == slot + 1;
                if visible {
                    seen += 1;
                    extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x + 1), extent[3].max(y + 1)];
                }
                whole += u32::from(visible || self.meets(shot, slot, x, y).is_some());
            }
        }
        let id = shot.movers.ids[slot as usize];
        let corners = ((extent[0] as f32, extent[1] as f32), (extent[2] as f32, extent[3] as f32));
        (whole > 0).then(|| WorldBox {
            id: id as u64,
            class: self.vehicles[id].class,
            bounding_box: (seen > 0).then(|| BoundingBox::from_corners(corners.0, corners.1)),
            full_extent,
            occlusion: 1.0 - seen as f32 / whole as f32,
            truncation: (1.0 - inside.area() / full_extent.area()).clamp(0.0, 1.0),
        })
    }

    /// Around the projected corners of the vehicle's cuboid; `None` where one is behind the camera.
    fn full_extent(&self, shot: &Shot, slot: u16) -> Option<BoundingBox> {
        let id = shot.movers.ids[slot as usize];
        let mut from = Vector2::repeat(f64::INFINITY);
        let mut to = Vector2::repeat(f64::NEG_INFINITY);
        for corner in corners(self.vehicles[id].class.size()) {
            let middle = shot.rows.len() as f64 / 2.0;
            let at = |row: f64| carried(&shot.rows, slot as usize, row, corner);
            let pixel = self.project(&shot.rows, middle, at)?;
            (from, to) = (from.inf(&pixel), to.sup(&pixel));
        }
        // The camera counts from the centre of the first pixel, boxes from its edge.
        let shift = |v: Vector2<f64>| ((v.x + 0.5) as f32, (v.y + 0.5) as f32);
        Some(BoundingBox::from_corners(shift(from), shift(to)))
    }
}

/// The eight corners of a cuboid that stands on the origin.
fn corners(size: Vec3) -> [Vec3; 8] {
    std::array::from_fn(|i| {
        let side = |bit: usize| if i & bit == 0 { -0.5 } else { 0.5 };
        Vec3::new(size.x * side(1), size.y * side(2), size.z * (side(4) + 0.5))
    })
}

/// A vehicle's point in the world while `row` is exposed.
fn carried(rows: &[Row], slot: usize, row: f64, local: Vec3) -> Vector3<f64> {
    let i = (row as usize).min(rows.len().saturating_sub(2));
    let next = (i + 1).min(rows.len() - 1);
    let at = |placement: &Placement| placement.world_point(local).cast::<f64>();
    let (a, b) = (at(&rows[i].placements[slot]), at(&rows[next].placements[slot]));
    a + (b - a) * (row - i as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_cut_and_tiny_vehicles_need_not_be_found() {
        let whole = BoundingBox::new(10.0, 20.0, 30.0, 12.0);
        let of = |seen: Option<BoundingBox>, occlusion: f32, truncation: f32| {
            let class = VehicleClass::Bus;
            label(&WorldBox { id: 1, class, bounding_box: seen, full_extent: whole, occlusion, truncation })
                .map(|label| (label.class_id, label.role, label.bounding_box()))
        };
        let tiny = BoundingBox::new(10.0, 20.0, 9.0, 4.0);
        assert_eq!(of(Some(whole), 0.2, 0.2), Some((3, BoxRole::Object, whole)));
        assert_eq!(of(Some(whole), 0.3, 0.3), Some((3, BoxRole::Optional, whole)));
        assert_eq!(of(Some(tiny), 0.0, 0.0), Some((3, BoxRole::Optional, tiny)));
        assert_eq!(of(None, 1.0, 0.0), None);
    }
}
