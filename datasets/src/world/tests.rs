//! The world as a whole: truth agrees with itself and with the pictures.

use nalgebra::{Vector2, Vector3};

use super::*;

fn small(motion: Motion, effects: Effects) -> World {
    let config = WorldConfig {
        seed: 1,
        width: 160,
        height: 120,
        frames: 6,
        effects,
        ..WorldConfig::for_motion(motion)
    };
    World::new(config).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_same_config_gives_the_same_bits_on_any_number_of_threads() {
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let [one, three] =
        [1, 3].map(|threads| pool(threads).install(|| small(Motion::Oblique, Effects::default()).render(3)));
    assert_eq!(one.frame.rgb, three.frame.rgb);
    assert_eq!(one.depth, three.depth);
    assert_eq!(one.boxes, three.boxes);
    let bits = |f: &WorldFrame| f.flow.as_slice().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one), bits(&three));
    let other = World::new(WorldConfig { seed: 2, ..small(Motion::Oblique, Effects::default()).config });
    assert_ne!(other.unwrap().frame(3).rgb, one.frame.rgb);
}

#[test]
fn streaming_and_rendering_show_the_same() {
    let mut world = small(Motion::Nadir, Effects::default());
    let mut frames = Vec::new();
    while let Some(frame) = world.next_frame().unwrap() {
        frames.push(frame);
    }
    assert_eq!(frames.len(), 6);
    assert_eq!(frames[4].rgb, world.render(4).frame.rgb);
    let trajectory = world.ground_truth().unwrap().trajectory.as_ref().unwrap();
    assert_eq!(trajectory.len(), 6);
    assert_eq!(trajectory.stamps()[4], frames[4].stamp);
    assert_eq!(trajectory.poses()[4], world.render(4).world_from_camera);
}

/// Depth by the pose of A, projected by the pose of B, is where flow says.
#[test]
fn flow_is_depth_and_pose_with_a_global_shutter() {
    for motion in [Motion::Nadir, Motion::Oblique, Motion::Forward] {
        let world = small(motion, Effects::none());
        let (a, b) = (world.render(0), world.pose(1));
        let seen = world.shot(0, 0.0);
        let samples = world.trace(&seen);
        let mut checked = 0;
        for (x, y) in (0..120).step_by(7).flat_map(|y| (0..160).step_by(7).map(move |x| (x, y))) {
            let depth = f64::from(a.depth.pixel(x, y)[0]);
            if depth == 0.0 || samples[y * 160 + x].vehicle > 0 {
                continue;
            }
            let pixel = Vector2::new(x as f64, y as f64);
            let point = a.world_from_camera * (world.camera.unproject(&pixel).unwrap() * depth);
            let Some(to) = world.camera.project(&(b.inverse() * point)) else { continue };
            let [dx, dy] = a.flow.pixel(x, y);
            let flow = Vector2::new(f64::from(dx), f64::from(dy));
            assert!((to - pixel - flow).norm() < 0.01, "{motion:?} {x} {y}");
            checked += 1;
        }
        assert!(checked > 100);
    }
}

/// With a rolling shutter both ends of the flow keep the poses of their own rows.
#[test]
fn flow_keeps_the_poses_of_its_rows() {
    let world = small(Motion::Oblique, Effects::default());
    let a = world.render(2);
    let samples = world.trace(&world.shot(2, 0.0));
    for (x, y) in (10..110).step_by(9).flat_map(|y| (10..150).step_by(9).map(move |x| (x, y))) {
        let depth = f64::from(a.depth.pixel(x, y)[0]);
        let [dx, dy] = a.flow.pixel(x, y);
        let to = Vector2::new(x as f64 + f64::from(dx), y as f64 + f64::from(dy));
        if depth == 0.0 || samples[y * 160 + x].vehicle > 0 || !(0.0..119.0).contains(&to.y) {
            continue;
        }
        let ray = world.camera.unproject(&Vector2::new(x as f64, y as f64)).unwrap();
        let point = world.row_pose(2, y as f64) * (ray * depth);
        let again = world.camera.project(&(world.row_pose(3, to.y).inverse() * point)).unwrap();
        assert!((again - to).norm() < 0.01, "{x} {y}: {to} {again}");
    }
}

/// The picture moves as the flow says: grey values agree, and agree worse without the flow.
#[test]
fn the_picture_follows_the_flow() {
    let world = small(Motion::Nadir, Effects { rolling_shutter: true, ..Effects::none() });
    let (a, b) = (world.render(0), world.render(1));
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (x, y) in (0..120).flat_map(|y| (0..160).map(move |x| (x, y))) {
        let [dx, dy] = a.flow.pixel(x, y).map(f64::from);
        let (u, v) = (x as f64 + dx, y as f64 + dy);
        if b.frame.gray.contains(u, v, 1.0) {
            let grey = f64::from(a.frame.gray.pixel(x, y)[0]);
            with.push((b.frame.gray.sample(u, v) - grey).abs());
            without.push((f64::from(b.frame.gray.pixel(x, y)[0]) - grey).abs());
        }
    }
    let (with, without) = (median(with), median(without));
    assert!(with < 3.0 && with < 0.6 * without, "{with} grey values with flow, {without} without");
}

#[test]
fn boxes_hold_their_vehicles() {
    let world = small(Motion::Oblique, Effects::default());
    let mut seen = 0;
    for index in 0..4 {
        for b in world.render(index).boxes {
            assert!((0.0..=1.0).contains(&b.occlusion) && (0.0..=1.0).contains(&b.truncation), "{b:?}");
            let Some(visible) = b.bounding_box else { continue };
            seen += 1;
            // A pixel at the rim belongs to the body by its centre, the corners to its edge.
            let whole = b.full_extent;
            assert!(visible.x >= whole.x - 1.0 && visible.right() <= whole.right() + 1.0, "{b:?}");
            assert!(visible.y >= whole.y - 1.0 && visible.bottom() <= whole.bottom() + 1.0, "{b:?}");
            assert!(visible.x >= 0.0 && visible.right() <= 160.0 && visible.bottom() <= 120.0);
            if b.occlusion < 0.01 && b.truncation < 0.01 {
                assert!(visible.iou(&whole) > 0.35, "{b:?}");
            }
        }
    }
    assert!(seen > 4, "{seen} vehicles seen");
}

#[test]
fn the_ground_below_is_as_far_as_the_height() {
    let world = small(Motion::Nadir, Effects::none());
    let frame = world.render(2);
    let straight_down = world.pose(2).translation - Vector3::new(0.0, 0.0, frame.height_above_ground_m);
    let relief = world.scene.terrain.relief(straight_down.x, straight_down.y);
    assert!((straight_down.z - relief).abs() < 1e-9);
    let depths = frame.depth.as_slice().iter().map(|d| f64::from(*d)).collect();
    assert!((median(depths) - frame.height_above_ground_m).abs() < 2.0);
    assert!((frame.height_above_ground_m - 30.0).abs() < 4.0);
}

/// Detail at 1, 2, 4 and 8 pixels: differences at each distance are neither nothing nor everything.
#[test]
fn there_is_texture_at_every_scale() {
    for motion in [Motion::Nadir, Motion::Oblique] {
        let gray = small(motion, Effects::none()).frame(0).gray;
        for step in [1, 2, 4, 8] {
            let pairs = (0..120).flat_map(|y| (0..160 - step).map(move |x| (x, y)));
            let change = |(x, y): (usize, usize)| {
                (f64::from(gray.pixel(x, y)[0]) - f64::from(gray.pixel(x + step, y)[0])).abs()
            };
            let mean = pairs.clone().map(change).sum::<f64>() / pairs.count() as f64;
            assert!((2.0..60.0).contains(&mean), "{motion:?}: {mean} at {step} px");
        }
    }
}

#[test]
fn the_forward_view_has_a_sky() {
    let frame = small(Motion::Forward, Effects::none()).render(0);
    assert_eq!(frame.depth.pixel(80, 2), [0.0]);
    assert!(frame.flow.pixel(80, 2)[0].is_nan());
    assert!(frame.depth.pixel(80, 100)[0] > 5.0);
}

#[test]
fn motion_blur_smooths_the_picture_and_leaves_the_truth() {
    let sharp = small(Motion::Nadir, Effects::none());
    let blurred = small(Motion::Nadir, Effects { motion_blur: true, ..Effects::none() });
    let (sharp, blurred) = (sharp.render(1), blurred.render(1));
    assert_eq!(sharp.depth, blurred.depth);
    assert_ne!(sharp.frame.gray, blurred.frame.gray);
}
