//! Who waits for whom among the streams of one context (CUDA C++ Programming Guide, "Implicit
//! Synchronization"):
//!
//! | work put into | waits for |
//! |---|---|
//! | the legacy stream | the last of its own and of every blocking stream |
//! | a blocking stream | the last of its own and of the legacy stream |
//! | a non-blocking stream | the last of its own |

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Attributes;
use crate::work::{Chain, Placed, Ticket, Work, place};

/// Where work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// The legacy default stream.
    Legacy,
    /// A stream that orders itself with the legacy one.
    Blocking(u64),
    /// A stream that does not.
    NonBlocking(u64),
}

/// The order of one context.
#[derive(Debug)]
pub(crate) struct Order {
    context: u64,
    state: Mutex<State>,
    /// Pieces of work that have not ended.
    pending: Arc<AtomicUsize>,
    legacy_id: u64,
    legacy_attributes: Arc<Mutex<Attributes>>,
}

#[derive(Debug, Default)]
struct State {
    /// The last ticket of every lane in which work may be pending.
    last: HashMap<Lane, Arc<Ticket>>,
    /// What all work waits for, whatever its lane.
    held: Vec<Arc<Ticket>>,
}

/// Counts a piece of work as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(pending: &Arc<AtomicUsize>) -> Self {
        pending.fetch_add(1, Ordering::Relaxed);
        Self(pending.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work that may be pending before who adds more waits for what it adds to. A GPU's queues hold some thousand.
const MOST_PENDING: usize = 1 << 16;

/// Lanes to remember before those that have ended are forgotten.
const MANY: usize = 64;

/// A number for a new stream, never the same for two of the process.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Order {
    pub(crate) fn new(context: u64) -> Self {
        Self {
            context,
            state: Mutex::default(),
            pending: Arc::default(),
            legacy_id: next_id(),
            legacy_attributes: Arc::default(),
        }
    }

    /// What the program has set of the legacy stream.
    pub(super) fn legacy_attributes(&self) -> Arc<Mutex<Attributes>> {
        self.legacy_attributes.clone()
    }

    /// The number of the legacy stream.
    pub(super) fn legacy_id(&self) -> u64 {
        self.legacy_id
    }

    /// Gives `work` its place in `lane`, behind `extra` too.
    pub(crate) fn place(
        &self,
        lane: Lane,
        extra: &[Arc<Ticket>],
        work: Work,
        may_run_anywhere: bool,
    ) -> (Arc<Ticket>, Placed) {
        if self.pending.load(Ordering::Relaxed) >= MOST_PENDING {
            self.before(lane).iter().for_each(|ticket| ticket.wait());
        }
        let counted = Counted::new(&self.pending);
        let work = Box::new(move || {
            work();
            drop(counted);
        });
        let mut state = self.lock();
        if lane == Lane::Legacy || state.last.len() > MANY {
            state.last.retain(|_, ticket| !ticket.is_done());
        }
        let mut after = state.waits_for(lane);
        after.extend_from_slice(extra);
        let chain = Chain {
            context: self.context,
            lane,
        };
        let (ticket, placed) = place(chain, &after, work, may_run_anywhere);
        state.last.insert(lane, ticket.clone());
        (ticket, placed)
    }

    /// A ticket that is punched when all that is pending has ended.
    pub(crate) fn mark_all(&self) -> Arc<Ticket> {
        let before = self.all();
        let lane = Lane::NonBlocking(next_id());
        let (ticket, placed) = self.place(lane, &before, Box::new(|| ()), true);
        placed.mark();
        ticket
    }

    /// Makes all that comes later wait for `ticket`, which may be of another context.
    pub(crate) fn hold_all(&self, ticket: Arc<Ticket>) {
        let mut state = self.lock();
        state.held.retain(|held| !held.is_done());
        state.held.push(ticket);
    }

    /// The tickets that new work in `lane` would wait for.
    pub(crate) fn before(&self, lane: Lane) -> Vec<Arc<Ticket>> {
        self.lock().waits_for(lane)
    }

    /// The tickets of all pending work.
    pub(crate) fn all(&self) -> Vec<Arc<Ticket>> {
        let mut state = self.lock();
        state.last.retain(|_, ticket| !ticket.is_done());
        state.held.retain(|ticket| !ticket.is_done());
        state.last.values().chain(&state.held).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waits_for(&self, lane: Lane) -> Vec<Arc<Ticket>> {
        let pending = |ticket: &&Arc<Ticket>| !ticket.is_done();
        let of = |lane| self.last.get(&lane).filter(pending).cloned();
        let mut tickets: Vec<_> = match lane {
            Lane::Legacy => self
                .last
                .iter()
                .filter(|(lane, _)| !matches!(lane, Lane::NonBlocking(_)))
                .map(|(_, ticket)| ticket)
                .filter(pending)
                .cloned()
                .collect(),
            Lane::Blocking(_) => of(lane).into_iter().chain(of(Lane::Legacy)).collect(),
            Lane::NonBlocking(_) => of(lane).into_iter().collect(),
        };
        tickets.extend(self.held.iter().filter(pending).cloned());
        tickets
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Work that ends when the sender is dropped or used.
    fn held(order: &Order, lane: Lane) -> (Arc<Ticket>, Sender<()>) {
        let (send, receive) = channel::<()>();
        let (ticket, placed) = order.place(
            lane,
            &[],
            Box::new(move || {
                let _ = receive.recv();
            }),
            true,
        );
        placed.start();
        (ticket, send)
    }

    fn quick(order: &Order, lane: Lane) -> Arc<Ticket> {
        let (ticket, placed) = order.place(lane, &[], Box::new(|| ()), true);
        placed.start();
        ticket
    }

    #[test]
    fn the_legacy_stream_orders_itself_with_blocking_streams() {
        let order = Order::new(0);
        let (_, blocking) = held(&order, Lane::Blocking(2));
        let legacy = quick(&order, Lane::Legacy);
        let other = quick(&order, Lane::Blocking(3));
        quick(&order, Lane::NonBlocking(4)).wait();
        assert!(!legacy.is_done() && !other.is_done());
        drop(blocking);
        other.wait();
        assert!(legacy.is_done());
    }

    #[test]
    fn who_adds_without_end_waits() {
        let order = Order::new(0);
        let (first, hold) = held(&order, Lane::Blocking(2));
        while order.pending.load(Ordering::Relaxed) < MOST_PENDING {
            quick(&order, Lane::Blocking(2));
        }
        // Other lanes go on, as far as they wait for nothing themselves.
        quick(&order, Lane::NonBlocking(3)).wait();
        std::thread::scope(|scope| {
            let one_more = scope.spawn(|| {
                quick(&order, Lane::Blocking(2));
                first.is_done()
            });
            drop(hold);
            assert!(one_more.join().unwrap());
        });
    }

    #[test]
    fn what_holds_all_holds_every_lane() {
        let other = Order::new(1);
        let (ticket, hold) = held(&other, Lane::Blocking(2));
        let order = Order::new(0);
        order.hold_all(ticket);
        let lanes = [Lane::Legacy, Lane::Blocking(2), Lane::NonBlocking(3)];
        let behind = lanes.map(|lane| quick(&order, lane));
        assert!(behind.iter().all(|ticket| !ticket.is_done()));
        assert!(!order.before(Lane::NonBlocking(4)).is_empty());
        drop(hold);
        behind.iter().for_each(|ticket| ticket.wait());
    }

    #[test]
    fn blocking_streams_do_not_wait_for_each_other() {
        let order = Order::new(0);
        let (first, hold) = held(&order, Lane::Blocking(2));
        quick(&order, Lane::Blocking(3)).wait();
        assert!(!first.is_done());
        assert_eq!(order.before(Lane::Legacy).len(), 1);
        drop(hold);
        first.wait();
        assert!(order.before(Lane::Legacy).is_empty());
        assert!(order.all().is_empty());
    }
}
