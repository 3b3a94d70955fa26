//! What a frame costs: `cargo bench -p kestrel-vo --bench register_frame`.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use datasets::world::{Effects, Motion, World, WorldConfig};
use geometry::Frame;
use kestrel_vo::{VisualOdometry, VoConfig};

const FRAMES: usize = 60;

fn fly(frames: &[Frame]) {
    let mut odometry = VisualOdometry::new(VoConfig::default());
    for frame in frames {
        black_box(odometry.register_frame(frame));
    }
}

fn register_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("60 frames of 640x480");
    group.sample_size(10);
    for motion in [Motion::Nadir, Motion::Oblique] {
        let config =
            WorldConfig { frames: FRAMES, effects: Effects::none(), ..WorldConfig::for_motion(motion) };
        let rate = config.frame_rate;
        // The default camera is valid.
        let Ok(world) = World::new(config) else { continue };
        let frames: Vec<Frame> = (0..FRAMES).map(|i| world.frame(i)).collect();
        let start = Instant::now();
        fly(&frames);
        let share = start.elapsed().as_secs_f64() * rate / FRAMES as f64;
        #[expect(clippy::print_stdout, reason = "a bench reports to whoever runs it")]
        {
            println!("{}: {:.1} % of the time between frames", motion.name(), 100.0 * share);
        }
        group.bench_function(motion.name(), |b| b.iter(|| fly(&frames)));
    }
    group.finish();
}

criterion_group!(benches, register_frame);
criterion_main!(benches);
