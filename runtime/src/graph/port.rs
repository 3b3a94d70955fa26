//! Where a stage's output is tapped.

use std::sync::{Arc, Mutex, PoisonError};

use super::link::{Link, Sender};
use super::meter::Meter;
use super::packet::Message;

/// The output of a stage, to be linked to any number of consumers while the graph is built.
#[derive(Debug)]
pub struct Port<T> {
    outlets: Arc<Outlets<T>>,
}

/// The input of a stage: how it is linked and to what.
pub struct Input<T> {
    pub(super) link: Link,
    pub(super) checks_stamps: bool,
    pub(super) taps: Vec<Tap<T>>,
}

/// The promise to feed a link from some port, whatever the port's own type.
pub struct Tap<T>(Box<dyn FnOnce(Sender<T>)>);

impl<T: Send + Sync + 'static> Port<T> {
    pub(super) fn new() -> Self {
        Self { outlets: Arc::new(Outlets { list: Mutex::new(Vec::new()) }) }
    }

    pub(super) fn outlets(&self) -> Arc<Outlets<T>> {
        Arc::clone(&self.outlets)
    }

    /// Everything, in order; a consumer that falls `capacity` messages behind holds this stage back.
    pub fn block(&self, capacity: usize) -> Input<T> {
        Input { link: Link::Block(capacity), checks_stamps: true, taps: vec![self.tap()] }
    }

    /// Only the newest; a slow consumer loses packets and delays nobody.
    pub fn latest(&self) -> Input<T> {
        Input { link: Link::Latest, checks_stamps: true, taps: vec![self.tap()] }
    }

    /// This port's packets as they are, for [`Input::merged`].
    pub fn tap(&self) -> Tap<T> {
        let outlets = self.outlets();
        Tap(Box::new(move |sender| outlets.add(Box::new(sender))))
    }

    /// This port's packets in another shape, for [`Input::merged`].
    pub fn map<U: Send + Sync + 'static>(&self, map: fn(Arc<T>) -> U) -> Tap<U> {
        let outlets = self.outlets();
        Tap(Box::new(move |sender| outlets.add(Box::new(Mapped { sender, map }))))
    }
}

impl<T> Input<T> {
    /// Several streams in one `Block` link. Their stamps interleave, so they are not checked: check them upstream.
    pub fn merged(capacity: usize, taps: impl IntoIterator<Item = Tap<T>>) -> Self {
        Self { link: Link::Block(capacity), checks_stamps: false, taps: taps.into_iter().collect() }
    }

    pub(super) fn attach(self, sender: &Sender<T>) {
        self.taps.into_iter().for_each(|tap| tap.0(sender.clone()));
    }
}

/// The consumers of a port.
pub(super) struct Outlets<T> {
    list: Mutex<Vec<Box<dyn Outlet<T>>>>,
}

impl<T> Outlets<T> {
    fn add(&self, outlet: Box<dyn Outlet<T>>) {
        self.lock().push(outlet);
    }

    /// Hands a message to every consumer; waits for those that hold back.
    pub(super) fn send(&self, message: &Message<T>) {
        self.lock().iter().for_each(|outlet| outlet.send(message));
    }

    /// Tells the consumers that nothing more will come.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    /// Runs `visit` with the counters of the consumers that limit how many packets may be under way.
    pub(super) fn for_each_limit(&self, mut visit: impl FnMut(&Meter)) {
        self.lock().iter().filter_map(|outlet| outlet.limit()).for_each(&mut visit);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Outlet<T>>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Outlets<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outlets({})", self.lock().len())
    }
}

trait Outlet<T>: Send {
    fn send(&self, message: &Message<T>);

    /// The counters of a consumer that limits its producer by the packets it has under way.
    fn limit(&self) -> Option<&Meter>;
}

impl<T: Send + Sync> Outlet<T> for Sender<T> {
    fn send(&self, message: &Message<T>) {
        self.send(message.clone());
    }

    fn limit(&self) -> Option<&Meter> {
        self.back_pressure()
    }
}

struct Mapped<T, U> {
    sender: Sender<U>,
    map: fn(Arc<T>) -> U,
}

impl<T: Send + Sync, U: Send + Sync> Outlet<T> for Mapped<T, U> {
    fn send(&self, message: &Message<T>) {
        self.sender.send(match message {
            Message::Packet(packet) => {
                let payload = (self.map)(Arc::clone(&packet.payload));
                Message::Packet(packet.with_payload(Arc::new(payload)))
            }
            Message::Lost(loss) => Message::Lost(loss.clone()),
            Message::Reset(loss) => Message::Reset(loss.clone()),
        });
    }

    /// A merged input counts the messages of all its producers, which says nothing about one of them.
    fn limit(&self) -> Option<&Meter> {
        None
    }
}
