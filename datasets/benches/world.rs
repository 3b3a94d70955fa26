//! How many times real time the synthetic world streams: `cargo bench -p kestrel-datasets --bench world`.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use kestrel_datasets::world::{Motion, World, WorldConfig};

fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("world 640x480, rolling shutter and noise");
    group.sample_size(10);
    for motion in [Motion::Nadir, Motion::Oblique, Motion::Forward] {
        let config = WorldConfig::for_motion(motion);
        let (frames, rate) = (config.frames, config.frame_rate);
        // The default camera is valid.
        let Ok(world) = World::new(config) else { continue };
        // The whole flight once: the ground's texture, made on the way, is part of the price.
        let start = Instant::now();
        for index in 0..frames {
            std::hint::black_box(world.frame(index));
        }
        let measured = frames as f64 / start.elapsed().as_secs_f64();
        let ratio = measured / rate;
        #[expect(clippy::print_stdout, reason = "a bench reports to whoever runs it")]
        {
            println!("{}: {measured:.1} frames/s, {ratio:.2} times real time", motion.name());
        }
        let mut index = 0;
        group.bench_function(motion.name(), |b| {
            b.iter(|| {
                index = (index + 37) % frames;
                world.frame(index)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, stream);
criterion_main!(benches);
