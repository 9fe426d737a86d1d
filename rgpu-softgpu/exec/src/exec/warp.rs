//! What the lanes of a warp do together.
//!
//! A lane that reaches a warp operation waits until every lane of its mask that has not exited waits for the same
//! kind of operation with the same mask; then all of them get their results at once. No lane has run ahead: there
//! is no lock step, so lanes meet only where the program says so.

use crate::libcalls::{redux, shfl, vote};

/// A warp operation and one lane's operands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WarpOp {
    Sync,
    Shfl {
        mode: u32,
        value: u32,
        b: u32,
        c: u32,
    },
    Vote {
        mode: u32,
        predicate: bool,
    },
    MatchAny(u64),
    MatchAll(u64),
    Redux {
        op: u32,
        value: u32,
    },
    Elect,
}

/// One warp: which lanes can run, and what the others wait for.
#[derive(Debug)]
pub(crate) struct Warp {
    /// Lanes that have not exited.
    pub(crate) live: u32,
    /// Lanes that can run now.
    pub(crate) ready: u32,
    /// Lanes that let others go first; they run again in the next round.
    pub(crate) yielded: u32,
    /// What each lane gets when it runs again.
    pub(crate) results: [u64; 32],
    /// Lanes inside a warp operation.
    waiting: u32,
    pending: [(WarpOp, u32); 32],
    /// Lanes that asked which lanes are active, and where.
    asking: u32,
    sites: [u32; 32],
}

impl Warp {
    /// A warp of the first `lanes` lanes, all ready.
    pub(crate) fn new(lanes: u32) -> Self {
        let live = if lanes >= 32 {
            u32::MAX
        } else {
            (1 << lanes) - 1
        };
        Self {
            live,
            ready: live,
            yielded: 0,
            results: [0; 32],
            waiting: 0,
            pending: [(WarpOp::Sync, 0); 32],
            asking: 0,
            sites: [0; 32],
        }
    }

    /// A lane reached `op`, to be done with the lanes of `mask` (which always holds the lane itself).
    pub(crate) fn arrive(&mut self, lane: u32, op: WarpOp, mask: u32) {
        self.pending[lane as usize] = (op, mask | 1 << lane);
        self.waiting |= 1 << lane;
        self.complete_with(lane);
    }

    /// A lane is done; operations that waited for it go on without.
    pub(crate) fn exit(&mut self, lane: u32) {
        self.live &= !(1 << lane);
        for other in lanes(self.waiting) {
            if self.waiting & 1 << other != 0 {
                self.complete_with(other);
            }
        }
    }

    /// Lanes inside a warp operation.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Some lanes are done.
    pub(crate) fn exit_all(&mut self, done: u32) {
        for lane in lanes(done) {
            self.exit(lane);
        }
    }

    /// A lane asks which lanes are active at `site`.
    pub(crate) fn ask_active(&mut self, lane: u32, site: u32) {
        self.sites[lane as usize] = site;
        self.asking |= 1 << lane;
    }

    /// Answers those that ask at one site, once no other lane of the warp can run: they are the active ones.
    /// False if nobody asks.
    pub(crate) fn answer_active(&mut self) -> bool {
        if self.asking == 0 {
            return false;
        }
        let site = self.sites[self.asking.trailing_zeros() as usize];
        let group = lanes(self.asking).filter(|&lane| self.sites[lane as usize] == site);
        let group = group.fold(0, |mask, lane| mask | 1 << lane);
        for lane in lanes(group) {
            self.results[lane as usize] = u64::from(group);
        }
        self.asking &= !group;
        self.ready |= group;
        true
    }

    /// Completes the operation of `lane` if all that it names have come.
    fn complete_with(&mut self, lane: u32) {
        let (op, mask) = self.pending[lane as usize];
        let members = mask & self.live;
        let kind = std::mem::discriminant(&op);
        let same = |other: u32| {
            let (theirs, their_mask) = self.pending[other as usize];
            std::mem::discriminant(&theirs) == kind && their_mask == mask
        };
        if members & !self.waiting != 0 || !lanes(members).all(same) {
            return;
        }
        let mut results = self.results;
        for member in lanes(members) {
            results[member as usize] = self.result(member, members);
        }
        self.results = results;
        self.waiting &= !members;
        self.ready |= members;
    }

    /// What `lane` gets from the operation that `members` do together.
    fn result(&self, lane: u32, members: u32) -> u64 {
        match self.pending[lane as usize].0 {
            WarpOp::Sync => 0,
            WarpOp::Shfl { mode, value, b, c } => {
                let (source, inside) = shuffle_source(lane, mode, b, c);
                let value = match self.pending[source as usize].0 {
                    WarpOp::Shfl { value, .. } if members & 1 << source != 0 => value,
                    // PTX leaves the value open.
                    _ => value,
                };
                pair(value, inside)
            }
            WarpOp::Vote { mode, .. } => {
                let ballot = self.gather(members, |op| {
                    matches!(
                        op,
                        WarpOp::Vote {
                            predicate: true,
                            ..
                        }
                    )
                });
                u64::from(vote_result(mode, ballot, members))
            }
            WarpOp::MatchAny(value) => u64::from(self.gather(
                members,
                |op| matches!(op, WarpOp::MatchAny(other) if other == value),
            )),
            WarpOp::MatchAll(value) => {
                let equal = self.gather(
                    members,
                    |op| matches!(op, WarpOp::MatchAll(other) if other == value),
                );
                if equal == members {
                    pair(members, true)
                } else {
                    0
                }
            }
            WarpOp::Redux { op, .. } => {
                let values =
                    lanes(members).filter_map(|member| match self.pending[member as usize].0 {
                        WarpOp::Redux { value, .. } => Some(value),
                        _ => None,
                    });
                u64::from(values.reduce(|a, b| reduce(op, a, b)).unwrap_or(0))
            }
            WarpOp::Elect => {
                let leader = members.trailing_zeros();
                pair(leader, leader == lane)
            }
        }
    }

    fn gather(&self, members: u32, wanted: impl Fn(WarpOp) -> bool) -> u32 {
        lanes(members)
            .filter(|&lane| wanted(self.pending[lane as usize].0))
            .fold(0, |mask, lane| mask | 1 << lane)
    }
}

/// What a vote gives, where `ballot` are those of `members` whose predicate holds.
pub(crate) fn vote_result(mode: u32, ballot: u32, members: u32) -> u32 {
    match mode {
        vote::ALL => u32::from(ballot == members),
        vote::ANY => u32::from(ballot != 0),
        vote::UNI => u32::from(ballot == members || ballot == 0),
        _ => ballot,
    }
}

/// `shfl` by all lanes of `members` at once, each with its operands mode, value, b, c.
pub(crate) fn shuffle_all(operands: &[[u64; 5]; 32], members: u32) -> [u64; 32] {
    let mut results = [0; 32];
    for lane in lanes(members) {
        let [mode, value, b, c, _] = operands[lane as usize].map(|word| word as u32);
        let (source, inside) = shuffle_source(lane, mode, b, c);
        let value = if members & 1 << source != 0 {
            operands[source as usize][1] as u32
        } else {
            // PTX leaves the value open.
            value
        };
        results[lane as usize] = pair(value, inside);
    }
    results
}

/// The lanes of a mask, lowest first.
pub(crate) fn lanes(mut mask: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lane = mask.trailing_zeros();
            mask &= mask - 1;
            lane
        })
    })
}

fn pair(value: u32, predicate: bool) -> u64 {
    u64::from(value) | u64::from(predicate) << 32
}

/// The lane that `shfl` reads, and whether it lies in the segment (PTX manual, `shfl.sync`).
fn shuffle_source(lane: u32, mode: u32, b: u32, c: u32) -> (u32, bool) {
    let (offset, clamp, segment) = (b & 31, c & 31, c >> 8 & 31);
    let low = lane & segment;
    let high = low | clamp & !segment;
    let (source, inside) = match mode {
        shfl::UP => (
            lane.wrapping_sub(offset),
            lane as i32 - offset as i32 >= high as i32,
        ),
        shfl::DOWN => (lane + offset, lane + offset <= high),
        shfl::BFLY => (lane ^ offset, lane ^ offset <= high),
        _ => (low | offset & !segment, low | offset & !segment <= high),
    };
    if inside {
        (source & 31, true)
    } else {
        (lane, false)
    }
}

/// One step of `redux`.
pub(crate) fn reduce(op: u32, a: u32, b: u32) -> u32 {
    match op {
        redux::ADD => a.wrapping_add(b),
        redux::MIN_S32 => (a as i32).min(b as i32) as u32,
        redux::MAX_S32 => (a as i32).max(b as i32) as u32,
        redux::MIN_U32 => a.min(b),
        redux::MAX_U32 => a.max(b),
        redux::AND => a & b,
        redux::OR => a | b,
        redux::XOR => a ^ b,
        _ => reduce_floats(op, a, b),
    }
}

/// One step of `redux` on floats, given by their bits. -0 is below +0.
fn reduce_floats(op: u32, a: u32, b: u32) -> u32 {
    const NAN: u32 = 0x7fff_ffff;
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    let nan_wins = matches!(op, redux::MIN_NAN_F32 | redux::MAX_NAN_F32);
    match (x.is_nan(), y.is_nan()) {
        (true, true) => return NAN,
        (true, false) | (false, true) if nan_wins => return NAN,
        (true, false) => return b,
        (false, true) => return a,
        (false, false) => {}
    }
    let minimum = matches!(op, redux::MIN_F32 | redux::MIN_NAN_F32);
    if (x.total_cmp(&y) == std::cmp::Ordering::Less) == minimum {
        a
    } else {
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_ready(warp: &mut Warp) -> u32 {
        std::mem::take(&mut warp.ready)
    }

    #[test]
    fn nobody_goes_before_all_have_come() {
        let mut warp = Warp::new(32);
        take_ready(&mut warp);
        for lane in 0..31 {
            warp.arrive(
                lane,
                WarpOp::Redux {
                    op: redux::ADD,
                    value: lane,
                },
                u32::MAX,
            );
            assert_eq!(warp.ready, 0);
        }
        warp.arrive(
            31,
            WarpOp::Redux {
                op: redux::ADD,
                value: 31,
            },
            u32::MAX,
        );
        assert_eq!(warp.ready, u32::MAX);
        assert!(warp.results.iter().all(|&sum| sum == 496));
    }

    #[test]
    fn exited_and_missing_lanes_are_not_waited_for() {
        let mut warp = Warp::new(3);
        take_ready(&mut warp);
        warp.arrive(
            0,
            WarpOp::Vote {
                mode: vote::BALLOT,
                predicate: true,
            },
            u32::MAX,
        );
        warp.arrive(
            2,
            WarpOp::Vote {
                mode: vote::BALLOT,
                predicate: true,
            },
            u32::MAX,
        );
        assert_eq!(warp.ready, 0);
        warp.exit(1);
        assert_eq!(warp.ready, 0b101);
        assert_eq!(warp.results[0], 0b101);
    }

    #[test]
    fn two_halves_work_apart() {
        let mut warp = Warp::new(32);
        take_ready(&mut warp);
        for lane in 0..16 {
            warp.arrive(lane, WarpOp::Sync, 0xffff);
        }
        assert_eq!(take_ready(&mut warp), 0xffff);
        warp.arrive(16, WarpOp::MatchAny(5), 3 << 16);
        warp.arrive(17, WarpOp::Sync, 3 << 16);
        assert_eq!(warp.ready, 0, "different operations do not meet");
    }

    #[test]
    fn shuffle_follows_the_manual() {
        // Full warp: c is 31 for all but `up`, where it is 0.
        assert_eq!(shuffle_source(5, shfl::UP, 2, 0), (3, true));
        assert_eq!(shuffle_source(1, shfl::UP, 2, 0), (1, false));
        assert_eq!(shuffle_source(30, shfl::DOWN, 1, 31), (31, true));
        assert_eq!(shuffle_source(31, shfl::DOWN, 1, 31), (31, false));
        assert_eq!(shuffle_source(6, shfl::BFLY, 1, 31), (7, true));
        assert_eq!(shuffle_source(6, shfl::IDX, 9, 31), (9, true));
        // Width 8: segment mask 24.
        let c = 24 << 8 | 31;
        assert_eq!(shuffle_source(13, shfl::IDX, 9, c), (9, true));
        assert_eq!(shuffle_source(15, shfl::DOWN, 1, c), (15, false));
        assert_eq!(shuffle_source(8, shfl::UP, 1, 24 << 8), (8, false));
        assert_eq!(shuffle_source(9, shfl::UP, 1, 24 << 8), (8, true));
    }

    #[test]
    fn votes_and_matches() {
        let mut warp = Warp::new(4);
        take_ready(&mut warp);
        for lane in 0..4 {
            warp.arrive(
                lane,
                WarpOp::Vote {
                    mode: lane,
                    predicate: lane != 0,
                },
                15,
            );
        }
        assert_eq!(warp.results[..4], [0, 1, 0, 0b1110]);
        for lane in 0..4 {
            warp.arrive(lane, WarpOp::MatchAny(u64::from(lane) & 1), 15);
        }
        assert_eq!(warp.results[..4], [0b0101, 0b1010, 0b0101, 0b1010]);
        for lane in 0..4 {
            warp.arrive(lane, WarpOp::MatchAll(7), 15);
        }
        assert_eq!(warp.results[0], 15 | 1 << 32);
        for lane in 0..4 {
            warp.arrive(lane, WarpOp::Elect, 14 | 1 << lane & 1);
        }
    }

    #[test]
    fn reductions() {
        assert_eq!(reduce(redux::MIN_S32, u32::MAX, 1), u32::MAX);
        assert_eq!(reduce(redux::MIN_U32, u32::MAX, 1), 1);
        assert_eq!(reduce(redux::MAX_S32, u32::MAX, 1), 1);
        assert_eq!(reduce(redux::MAX_U32, u32::MAX, 1), u32::MAX);
        assert_eq!(reduce(redux::XOR, 6, 3), 5);
        assert_eq!(reduce(redux::AND, 6, 3), 2);
        assert_eq!(reduce(redux::OR, 6, 3), 7);
    }

    #[test]
    fn reductions_of_floats() {
        let (one, nan, zero) = (1f32.to_bits(), f32::NAN.to_bits(), 0f32.to_bits());
        let minus = (-0f32).to_bits();
        assert_eq!(reduce(redux::MIN_F32, one, nan), one);
        assert_eq!(reduce(redux::MAX_F32, nan, one), one);
        assert_eq!(reduce(redux::MIN_F32, nan, nan), 0x7fff_ffff);
        assert_eq!(reduce(redux::MIN_NAN_F32, one, nan), 0x7fff_ffff);
        assert_eq!(reduce(redux::MAX_NAN_F32, nan, one), 0x7fff_ffff);
        assert_eq!(reduce(redux::MIN_F32, zero, minus), minus);
        assert_eq!(reduce(redux::MAX_F32, minus, zero), zero);
    }

    #[test]
    fn the_active_are_those_at_one_place() {
        let mut warp = Warp::new(4);
        take_ready(&mut warp);
        assert!(!warp.answer_active());
        warp.ask_active(0, 1);
        warp.ask_active(1, 2);
        warp.ask_active(3, 1);
        assert!(warp.answer_active());
        assert_eq!(take_ready(&mut warp), 0b1001);
        assert_eq!(warp.results[3], 0b1001);
        assert!(warp.answer_active());
        assert_eq!(take_ready(&mut warp), 0b0010);
    }
}
