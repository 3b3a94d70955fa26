//! Bringing two streams together by their stamps.

use std::collections::VecDeque;
use std::sync::Arc;

use geometry::Timestamp;

use super::packet::{Loss, Packet};
use super::stage::{Stage, StageError};

/// The recent packets of a stream, to be asked for the latest at or before a stamp. Memory is bounded.
#[derive(Debug)]
pub struct LatestAt<T> {
    recent: VecDeque<Packet<T>>,
    capacity: usize,
}

impl<T> LatestAt<T> {
    /// Remembers the `capacity` newest packets (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { recent: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Adds a packet, wherever its stamp belongs.
    pub fn push(&mut self, packet: Packet<T>) {
        let place = self.recent.partition_point(|known| known.stamp <= packet.stamp);
        self.recent.insert(place, packet);
        if self.recent.len() > self.capacity {
            self.recent.pop_front();
        }
    }

    /// The newest packet whose stamp is not after `stamp`.
    pub fn at(&self, stamp: Timestamp) -> Option<&Packet<T>> {
        let after = self.recent.partition_point(|known| known.stamp <= stamp);
        after.checked_sub(1).and_then(|index| self.recent.get(index))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.recent.clear();
    }
}

/// Input of a [`Join`]: one stream sets the pace, the other is looked up.
#[derive(Debug)]
pub enum Either<A, B> {
    /// From the stream that sets the pace.
    Primary(Arc<A>),
    /// From the stream that is looked up.
    Secondary(Arc<B>),
}

/// A packet of the first stream with the latest of the second at or before its stamp.
#[derive(Debug)]
pub struct Joined<A, B> {
    /// Of the stream that sets the pace.
    pub primary: Arc<A>,
    /// Stamp and content of the other, where there is one yet.
    pub secondary: Option<(Timestamp, Arc<B>)>,
}

/// The stage that joins latest-at: every primary packet comes out at once, with the newest secondary one at or before it.
#[derive(Debug)]
pub struct Join<A, B> {
    secondary: LatestAt<B>,
    primary: std::marker::PhantomData<fn(A)>,
}

impl<A, B> Join<A, B> {
    /// A join that remembers `capacity` secondary packets.
    pub fn new(capacity: usize) -> Self {
        Self { secondary: LatestAt::new(capacity), primary: std::marker::PhantomData }
    }
}

impl<A: Send + Sync + 'static, B: Send + Sync + 'static> Stage for Join<A, B> {
    type Input = Either<A, B>;
    type Output = Joined<A, B>;

    fn process(&mut self, input: &Packet<Self::Input>) -> Result<Option<Self::Output>, StageError> {
        Ok(match &*input.payload {
            Either::Secondary(secondary) => {
                self.secondary.push(input.with_payload(Arc::clone(secondary)));
                None
            }
            Either::Primary(primary) => {
                let found = self.secondary.at(input.stamp);
                let secondary = found.map(|packet| (packet.stamp, Arc::clone(&packet.payload)));
                Some(Joined { primary: Arc::clone(primary), secondary })
            }
        })
    }

    fn reset(&mut self) {
        self.secondary.clear();
    }

    fn lost(&mut self, _loss: &Loss) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet<T>(nanos: i64, payload: T) -> Packet<T> {
        Packet {
            stamp: Timestamp::from_nanos(nanos),
            seq: nanos as u64,
            payload: Arc::new(payload),
            trace: None,
        }
    }

    #[test]
    fn latest_at_never_looks_ahead() {
        let mut recent = LatestAt::new(3);
        [10, 30, 20, 40].into_iter().for_each(|nanos| recent.push(packet(nanos, nanos)));
        let at = |nanos| recent.at(Timestamp::from_nanos(nanos)).map(|p| *p.payload);
        assert_eq!((at(19), at(20), at(35), at(99)), (None, Some(20), Some(30), Some(40)));
    }

    #[test]
    fn a_joined_packet_carries_the_stamp_of_what_it_found() {
        let mut join = Join::<&str, i32>::new(4);
        assert!(join.process(&packet(5, Either::Secondary(Arc::new(7)))).unwrap().is_none());
        let joined = join.process(&packet(6, Either::Primary(Arc::new("frame")))).unwrap().unwrap();
        assert_eq!(joined.secondary, Some((Timestamp::from_nanos(5), Arc::new(7))));
        join.reset();
        let joined = join.process(&packet(7, Either::Primary(Arc::new("frame")))).unwrap().unwrap();
        assert_eq!(joined.secondary, None);
    }
}
