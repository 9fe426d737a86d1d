//! The sixteen barriers of a block.
//!
//! A barrier opens when as many threads have arrived as it expects, and is then as new. Without a count it expects
//! every thread of the block that has not exited. With a count, arrivals are counted by warps, as PTX says: in a
//! warp that takes part, lanes that have exited or never were count as arrived.

use super::warp::Warp;
use crate::libcalls::bar_red;

/// How many barriers a block has.
pub(crate) const BARRIERS: u32 = 16;

/// What a thread does at a barrier.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BarrierOp {
    /// Waits.
    Sync,
    /// Is counted and goes on.
    Arrive,
    /// Waits, and gets what `op` makes of all predicates.
    Reduce { op: u32, predicate: bool },
}

/// A thread's place in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) warp: u32,
    pub(crate) lane: u32,
}

/// Some threads of one warp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seats {
    pub(crate) warp: u32,
    pub(crate) lanes: u32,
}

impl From<Seat> for Seats {
    fn from(seat: Seat) -> Self {
        Self {
            warp: seat.warp,
            lanes: 1 << seat.lane,
        }
    }
}

#[derive(Debug, Default)]
struct Barrier {
    /// Arrived lanes of each warp.
    arrived: Vec<u32>,
    arrivals: u32,
    /// 0: all of the block.
    expected: u32,
    waiting: Vec<(Seats, BarrierOp)>,
    with_predicate: u32,
    reducing: u32,
}

/// The barriers of one block.
#[derive(Debug)]
pub(crate) struct Barriers {
    table: Vec<Barrier>,
    /// Threads that the block started with.
    threads: u32,
}

impl Barriers {
    pub(crate) fn new(threads: u32) -> Self {
        Self {
            table: Vec::new(),
            threads,
        }
    }

    /// As new.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }

    /// Threads reached barrier `id`. Those that may go on are given to `release`, with their results.
    pub(crate) fn arrive(
        &mut self,
        id: u32,
        count: u32,
        seats: Seats,
        op: BarrierOp,
        warps: &[Warp],
        release: impl FnMut(Seats, u64),
    ) {
        if self.table.is_empty() {
            self.table.resize_with(BARRIERS as usize, Barrier::default);
        }
        let barrier = &mut self.table[id as usize];
        if barrier.arrivals == 0 {
            barrier.arrived.clear();
            barrier.arrived.resize(warps.len(), 0);
            barrier.expected = if count >= self.threads { 0 } else { count };
        }
        let arrivals = seats.lanes.count_ones();
        barrier.arrivals += arrivals;
        barrier.arrived[seats.warp as usize] |= seats.lanes;
        match op {
            BarrierOp::Arrive => {}
            BarrierOp::Sync => barrier.waiting.push((seats, op)),
            BarrierOp::Reduce { predicate, .. } => {
                barrier.waiting.push((seats, op));
                barrier.reducing += arrivals;
                barrier.with_predicate += u32::from(predicate) * arrivals;
            }
        }
        // Most arrivals leave others of their own warp behind.
        let warp = seats.warp as usize;
        if barrier.expected != 0 || warps[warp].live & !barrier.arrived[warp] == 0 {
            barrier.open_if_full(warps, release);
        }
    }

    /// Barriers at which threads wait, in words.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let waited_for = self
            .table
            .iter()
            .enumerate()
            .filter(|(_, barrier)| !barrier.waiting.is_empty());
        let describe = |(id, barrier): (usize, &Barrier)| {
            let expected = if barrier.expected == 0 {
                "all".to_owned()
            } else {
                barrier.expected.to_string()
            };
            format!(
                "{} threads at barrier {id}, which expects {expected}",
                barrier.arrivals
            )
        };
        waited_for.map(describe).collect()
    }

    /// A thread exited: barriers that waited for it may open.
    pub(crate) fn thread_exited(&mut self, warps: &[Warp], mut release: impl FnMut(Seats, u64)) {
        for barrier in self.table.iter_mut().filter(|barrier| barrier.arrivals > 0) {
            barrier.open_if_full(warps, &mut release);
        }
    }
}

impl Barrier {
    fn is_full(&self, warps: &[Warp]) -> bool {
        let mut pairs = self.arrived.iter().zip(warps);
        if self.expected == 0 {
            return pairs.all(|(&arrived, warp)| warp.live & !arrived == 0);
        }
        let taking_part = pairs.filter(|(arrived, _)| **arrived != 0);
        let counted: u32 = taking_part
            .map(|(&arrived, warp)| (arrived | !warp.live).count_ones())
            .sum();
        counted >= self.expected
    }

    fn open_if_full(&mut self, warps: &[Warp], mut release: impl FnMut(Seats, u64)) {
        if !self.is_full(warps) {
            return;
        }
        for (seats, op) in self.waiting.drain(..) {
            let result = match op {
                BarrierOp::Reduce {
                    op: bar_red::POPC, ..
                } => self.with_predicate,
                BarrierOp::Reduce {
                    op: bar_red::AND, ..
                } => u32::from(self.with_predicate == self.reducing),
                BarrierOp::Reduce { .. } => u32::from(self.with_predicate > 0),
                BarrierOp::Sync | BarrierOp::Arrive => 0,
            };
            release(seats, u64::from(result));
        }
        self.arrivals = 0;
        self.with_predicate = 0;
        self.reducing = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Block {
        barriers: Barriers,
        warps: Vec<Warp>,
        released: Vec<(Seats, u64)>,
    }

    impl Block {
        fn new(threads: u32) -> Self {
            let warps = (0..threads.div_ceil(32))
                .map(|warp| Warp::new(threads - warp * 32))
                .collect();
            Self {
                barriers: Barriers::new(threads),
                warps,
                released: Vec::new(),
            }
        }

        fn arrive(&mut self, id: u32, count: u32, thread: u32, op: BarrierOp) -> usize {
            let seat = Seat {
                warp: thread / 32,
                lane: thread % 32,
            };
            let seats = Seats::from(seat);
            let released = &mut self.released;
            released.clear();
            self.barriers
                .arrive(id, count, seats, op, &self.warps, |seats, result| {
                    released.push((seats, result))
                });
            self.count()
        }

        fn exit(&mut self, thread: u32) -> usize {
            self.warps[thread as usize / 32].exit(thread % 32);
            let released = &mut self.released;
            released.clear();
            self.barriers
                .thread_exited(&self.warps, |seats, result| released.push((seats, result)));
            self.count()
        }

        fn count(&self) -> usize {
            let lanes = self.released.iter().map(|(seats, _)| seats.lanes);
            lanes.map(|lanes| lanes.count_ones() as usize).sum()
        }
    }

    #[test]
    fn opens_for_all_and_is_new_again() {
        let mut block = Block::new(40);
        for _ in 0..2 {
            for thread in 0..39 {
                assert_eq!(block.arrive(0, 0, thread, BarrierOp::Sync), 0);
            }
            assert_eq!(block.arrive(0, 0, 39, BarrierOp::Sync), 40);
        }
    }

    #[test]
    fn exited_threads_are_not_expected() {
        let mut block = Block::new(3);
        assert_eq!(block.arrive(0, 0, 0, BarrierOp::Sync), 0);
        assert_eq!(block.exit(1), 0);
        assert_eq!(block.exit(2), 1);
        assert_eq!(block.arrive(0, 0, 0, BarrierOp::Sync), 1);
    }

    #[test]
    fn a_count_is_met_by_arrivals_of_both_kinds() {
        let mut block = Block::new(96);
        for thread in 0..32 {
            assert_eq!(block.arrive(1, 64, thread, BarrierOp::Arrive), 0);
        }
        for thread in 32..63 {
            assert_eq!(block.arrive(1, 64, thread, BarrierOp::Sync), 0);
        }
        assert_eq!(
            block.barriers.waiting(),
            ["63 threads at barrier 1, which expects 64"]
        );
        assert_eq!(block.arrive(1, 64, 63, BarrierOp::Sync), 32);
    }

    #[test]
    fn lanes_that_are_gone_count_for_their_warp() {
        let mut block = Block::new(70);
        block.exit(40);
        for thread in 32..64 {
            if thread != 40 {
                block.arrive(2, 64, thread, BarrierOp::Sync);
            }
        }
        for thread in 64..69 {
            assert_eq!(block.arrive(2, 64, thread, BarrierOp::Sync), 0);
        }
        assert_eq!(block.arrive(2, 64, 69, BarrierOp::Sync), 37);
    }

    #[test]
    fn reductions_see_every_predicate() {
        let mut block = Block::new(3);
        for op in [bar_red::POPC, bar_red::AND, bar_red::OR] {
            for thread in 0..3 {
                block.arrive(
                    5,
                    0,
                    thread,
                    BarrierOp::Reduce {
                        op,
                        predicate: thread != 1,
                    },
                );
            }
            let expected = [2, 0, 1][op as usize];
            assert!(
                block.released.len() == 3
                    && block.released.iter().all(|&(_, result)| result == expected)
            );
        }
    }
}
