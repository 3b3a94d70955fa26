//! The two ways to connect stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use crossbeam_queue::ArrayQueue;

use super::meter::Meter;
use super::packet::{Loss, Message, Packet};

/// What happens when a consumer is slower than its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The producer waits: nothing is lost. Holds this many messages.
    Block(usize),
    /// The newest packet overwrites the one before, which counts as dropped: the producer never waits.
    Latest,
}

/// The producer's end. Clones feed the same consumer.
#[derive(Debug)]
pub struct Sender<T> {
    outbox: Outbox<T>,
    meter: Arc<Meter>,
}

/// The consumer's end.
#[derive(Debug)]
pub struct Receiver<T> {
    inbox: Inbox<T>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Outbox<T> {
    Block(crossbeam_channel::Sender<Message<T>>),
    Latest { slot: Arc<Slot<T>>, wake: crossbeam_channel::Sender<()> },
}

#[derive(Debug)]
enum Inbox<T> {
    Block(crossbeam_channel::Receiver<Message<T>>),
    Latest { slot: Arc<Slot<T>>, wake: crossbeam_channel::Receiver<()> },
}

/// The one place of a `Latest` link. crossbeam-channel has no overwriting send, so packets go through a queue of one
/// and a channel of one carries the news that there is something.
#[derive(Debug)]
struct Slot<T> {
    packet: ArrayQueue<Packet<T>>,
    reset: ArrayQueue<Loss>,
    /// Set by a consumer that has left for good.
    closed: AtomicBool,
}

/// The two ends of a link whose traffic is counted in `meter`.
pub fn link<T>(link: Link, meter: &Arc<Meter>) -> (Sender<T>, Receiver<T>) {
    let (outbox, inbox) = match link {
        Link::Block(capacity) => {
            let (sender, receiver) = bounded(capacity.max(1));
            (Outbox::Block(sender), Inbox::Block(receiver))
        }
        Link::Latest => {
            let (packet, reset) = (ArrayQueue::new(1), ArrayQueue::new(1));
            let slot = Arc::new(Slot { packet, reset, closed: AtomicBool::new(false) });
            let (sender, receiver) = bounded(1);
            (Outbox::Latest { slot: Arc::clone(&slot), wake: sender }, Inbox::Latest { slot, wake: receiver })
        }
    };
    (Sender { outbox, meter: Arc::clone(meter) }, Receiver { inbox, meter: Arc::clone(meter) })
}

impl<T> Sender<T> {
    /// Hands a message over; waits for room where the link is `Block` and full.
    pub fn send(&self, message: Message<T>) {
        let is_packet = matches!(message, Message::Packet(_));
        if is_packet {
            self.meter.count_received();
        }
        let dropped = match &self.outbox {
            Outbox::Block(sender) => sender.send(message).is_err() && is_packet,
            Outbox::Latest { slot, wake } => {
                let dropped = slot.put(message);
                let _ = wake.try_send(());
                dropped
            }
        };
        if dropped {
            self.meter.count_dropped();
        }
    }

    /// The counters of the branch that this leads to, where it holds its producer back.
    pub(super) fn back_pressure(&self) -> Option<&Meter> {
        matches!(self.outbox, Outbox::Block(_)).then_some(&*self.meter)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let outbox = match &self.outbox {
            Outbox::Block(sender) => Outbox::Block(sender.clone()),
            Outbox::Latest { slot, wake } => Outbox::Latest { slot: Arc::clone(slot), wake: wake.clone() },
        };
        Self { outbox, meter: Arc::clone(&self.meter) }
    }
}

impl<T> Slot<T> {
    /// Whether a packet was dropped for it.
    fn put(&self, message: Message<T>) -> bool {
        match message {
            Message::Packet(_) if self.closed.load(SeqCst) => true,
            Message::Packet(packet) => self.packet.force_push(packet).is_some(),
            Message::Lost(_) => false,
            Message::Reset(loss) => {
                // What lies here was made before the restart; the consumer must not see it after the reset.
                let stale = self.packet.pop();
                self.reset.force_push(loss);
                stale.is_some()
            }
        }
    }

    fn take(&self) -> Option<Message<T>> {
        let reset = self.reset.pop().map(Message::Reset);
        reset.or_else(|| self.packet.pop().map(Message::Packet))
    }
}

/// What came of waiting for a message.
#[derive(Debug)]
pub enum Received<T> {
    /// A message.
    Message(Message<T>),
    /// None in time.
    Nothing,
    /// All producers are gone and everything they sent was taken.
    End,
}

impl<T> Receiver<T> {
    /// The next message; waits for it up to `timeout`.
    pub fn receive(&self, timeout: Duration) -> Received<T> {
        match &self.inbox {
            Inbox::Block(receiver) => match receiver.recv_timeout(timeout) {
                Ok(message) => Received::Message(message),
                Err(RecvTimeoutError::Timeout) => Received::Nothing,
                Err(RecvTimeoutError::Disconnected) => Received::End,
            },
            Inbox::Latest { slot, wake } => {
                if let Some(message) = slot.take() {
                    return Received::Message(message);
                }
                let woken = wake.recv_timeout(timeout);
                match (slot.take(), woken) {
                    (Some(message), _) => Received::Message(message),
                    (None, Err(RecvTimeoutError::Disconnected)) => Received::End,
                    (None, _) => Received::Nothing,
                }
            }
        }
    }

    /// The next message, if there is one now.
    pub fn try_receive(&self) -> Option<Message<T>> {
        match &self.inbox {
            Inbox::Block(receiver) => receiver.try_recv().ok(),
            Inbox::Latest { slot, .. } => slot.take(),
        }
    }

    /// Takes nothing more from a `Latest` link: what lies there and what still comes counts as dropped.
    pub(super) fn close(&self) {
        if let Inbox::Latest { slot, .. } = &self.inbox {
            slot.closed.store(true, SeqCst);
            while slot.packet.pop().is_some() {
                self.meter.count_dropped();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use geometry::Timestamp;

    use super::super::packet::Fault;
    use super::*;

    fn packet(seq: u64) -> Message<u64> {
        let stamp = Timestamp::from_nanos(seq as i64);
        Message::Packet(Packet { stamp, seq, payload: Arc::new(seq), trace: None })
    }

    fn reset(seq: u64) -> Message<u64> {
        Message::Reset(Loss { seq, stamp: Timestamp::ZERO, stage: "test", fault: Fault::Recorded })
    }

    fn drain(receiver: &Receiver<u64>) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match receiver.receive(Duration::from_millis(100)) {
                Received::Message(Message::Packet(p)) => seen.push(p.seq.to_string()),
                Received::Message(_) => seen.push("reset".into()),
                Received::Nothing => continue,
                Received::End => return seen,
            }
        }
    }

    #[test]
    fn block_keeps_everything_in_order() {
        let meter = Arc::new(Meter::new("test", 0));
        let (sender, receiver) = link(Link::Block(2), &meter);
        let producer = std::thread::spawn(move || (0..50).for_each(|seq| sender.send(packet(seq))));
        assert_eq!(drain(&receiver), (0..50).map(|s| s.to_string()).collect::<Vec<_>>());
        producer.join().unwrap();
        assert_eq!(meter.counters().received, 50);
    }

    #[test]
    fn latest_keeps_the_newest_and_counts_the_rest() {
        let meter = Arc::new(Meter::new("test", 0));
        let (sender, receiver) = link(Link::Latest, &meter);
        (0..10).for_each(|seq| sender.send(packet(seq)));
        drop(sender);
        assert_eq!(drain(&receiver), ["9"]);
        assert_eq!((meter.counters().received, meter.counters().dropped), (10, 9));
    }

    #[test]
    fn a_reset_is_not_overwritten_and_comes_before_what_follows_it() {
        let meter = Arc::new(Meter::new("test", 0));
        let (sender, receiver) = link(Link::Latest, &meter);
        [packet(0), reset(1), packet(2), packet(3)].into_iter().for_each(|message| sender.send(message));
        drop(sender);
        assert_eq!(drain(&receiver), ["reset", "3"]);
        assert_eq!(meter.counters().dropped, 2);
    }

    #[test]
    fn a_consumer_that_is_gone_turns_packets_into_drops() {
        let meter = Arc::new(Meter::new("test", 0));
        let (sender, receiver) = link(Link::Block(1), &meter);
        drop(receiver);
        sender.send(packet(0));
        assert_eq!(meter.counters().dropped, 1);
    }
}
