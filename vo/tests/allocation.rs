//! Following a frame takes no memory but what it hands over.

use allocation_counter::measure;
use datasets::world::{Motion, World, WorldConfig};
use kestrel_vo::{TrackingState, VisualOdometry, VoConfig};

const FRAMES: usize = 60;
/// Frames after the first map until all rooms are as large as they get.
const WARM_UP: usize = 15;
/// The list of tracks.
const HANDED_OVER: u64 = 1;

#[test]
fn a_frame_between_keyframes_takes_no_memory_but_its_list_of_tracks() {
    let config =
        WorldConfig { frames: FRAMES, width: 320, height: 240, ..WorldConfig::for_motion(Motion::Nadir) };
    let world = World::new(config).unwrap();
    let mut odometry = VisualOdometry::new(VoConfig::default());
    let (mut tracked, mut counted, mut of_keyframes) = (0, 0, 0);
    for i in 0..FRAMES {
        let frame = world.frame(i);
        let mut estimate = None;
        let taken = measure(|| estimate = Some(odometry.register_frame(&frame))).count_total;
        let estimate = estimate.unwrap();
        tracked += usize::from(estimate.state == TrackingState::Tracking);
        if tracked > WARM_UP && estimate.keyframes.is_empty() {
            assert!(taken <= HANDED_OVER, "{taken} allocations in frame {i}");
            counted += 1;
        } else {
            of_keyframes += taken;
        }
    }
    assert!(of_keyframes > 0, "the allocator counts");
    assert!(counted > 5, "{counted} frames between keyframes of {tracked} tracked");
}
