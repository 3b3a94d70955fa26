//! What the graph itself costs: one hop and five, between threads, over each kind of link.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use geometry::Timestamp;
use kestrel_runtime::graph::{Link, Message, Meter, Packet, Received, Receiver, Sender, link};

/// A chain of threads that hand packets on, and its two ends.
fn chain(policy: Link, hops: usize) -> (Sender<u64>, Receiver<u64>) {
    let meter = Arc::new(Meter::new("bench", 0));
    let (first, mut last) = link(policy, &meter);
    for _ in 1..hops {
        let (sender, receiver) = link(policy, &meter);
        let input = std::mem::replace(&mut last, receiver);
        std::thread::spawn(move || hand_on(&input, &sender));
    }
    (first, last)
}

fn hand_on(input: &Receiver<u64>, output: &Sender<u64>) {
    while let Some(packet) = next(input) {
        output.send(Message::Packet(packet));
    }
}

fn next(input: &Receiver<u64>) -> Option<Packet<u64>> {
    loop {
        match input.receive(Duration::from_secs(1)) {
            Received::Message(Message::Packet(packet)) => return Some(packet),
            Received::Message(_) | Received::Nothing => {}
            Received::End => return None,
        }
    }
}

/// The packet comes back to the thread that sent it over one link more, which is counted as a hop.
fn time_hops(policy: Link, hops: usize, times: u64) -> Duration {
    let (sender, receiver) = chain(policy, hops);
    let payload = Arc::new(0);
    let began = Instant::now();
    for seq in 0..times {
        let stamp = Timestamp::from_nanos(seq as i64);
        sender.send(Message::Packet(Packet { stamp, seq, payload: Arc::clone(&payload), trace: None }));
        std::hint::black_box(next(&receiver));
    }
    began.elapsed()
}

fn hops(criterion: &mut Criterion) {
    for (name, policy) in [("block", Link::Block(4)), ("latest", Link::Latest)] {
        // Two links with a thread in between, halved: there and back is what can be timed on one clock.
        criterion.bench_function(&format!("one hop, {name}"), |bencher| {
            bencher.iter_custom(|times| time_hops(policy, 2, times) / 2);
        });
        criterion.bench_function(&format!("five hops, {name}"), |bencher| {
            bencher.iter_custom(|times| time_hops(policy, 5, times));
        });
    }
}

criterion_group!(benches, hops);
criterion_main!(benches);
