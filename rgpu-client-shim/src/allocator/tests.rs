//! The allocator against a model that only remembers who owns which bytes.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

const BASE: u64 = 0x7_0000_0000;
const GRANULE: u64 = 2 << 20;
const LEASE: u64 = 32 << 20;

fn fresh() -> Allocator {
    Allocator::new(BASE, 1 << 32, GRANULE, LEASE)
}

fn allocate(allocator: &mut Allocator, size: u64) -> Result<u64, Refusal> {
    allocator
        .allocate(size, 1, 0, None, &mut Vec::new())
        .map(|allocation| allocation.address)
}

#[test]
fn small_allocations_share_a_chunk() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    for at in 0..4 {
        let got = allocator.allocate(100, 1, 0, None, &mut steps).unwrap();
        assert_eq!(got.address, BASE + at * ALIGNMENT);
    }
    assert_eq!(steps, [Step::Back(BASE, SMALL_CHUNK)]);
}

#[test]
fn the_lease_is_exact() {
    let mut allocator = fresh();
    assert_eq!(
        allocate(&mut allocator, LEASE + 1),
        Err(Refusal::OutOfMemory)
    );
    let whole = allocate(&mut allocator, LEASE).unwrap();
    assert_eq!(allocator.info(), (0, LEASE));
    assert_eq!(allocate(&mut allocator, 1), Err(Refusal::OutOfMemory));
    allocator.free(whole).unwrap();
    assert_eq!(allocator.info(), (LEASE, LEASE));
    // The one large chunk has to be given back for many small ones.
    for _ in 0..LEASE / SMALL {
        allocate(&mut allocator, SMALL).unwrap();
    }
    assert_eq!(allocate(&mut allocator, 1), Err(Refusal::OutOfMemory));
}

#[test]
fn a_free_of_something_else_is_refused() {
    let mut allocator = fresh();
    let at = allocate(&mut allocator, 5000).unwrap();
    assert_eq!(allocator.free(at + 512), Err(Refusal::Unknown));
    allocator.free(at).unwrap();
    assert_eq!(allocator.free(at), Err(Refusal::Unknown));
}

#[test]
fn memory_freed_in_a_stream_is_reused_in_it_only() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    let a = allocator
        .allocate(LEASE, 1, 0, Some(20), &mut steps)
        .unwrap()
        .address;
    allocator.free_in(a, 20).unwrap();
    steps.clear();
    let again = allocator
        .allocate(4096, 1, 0, Some(20), &mut steps)
        .unwrap()
        .address;
    assert_eq!((again, steps.as_slice()), (a, [].as_slice()));
    allocator.free_in(again, 20).unwrap();
    assert_eq!(allocator.unsettled(), LEASE);
    // Another stream gets it only behind a fence.
    let other = allocator
        .allocate(4096, 1, 0, Some(21), &mut steps)
        .unwrap()
        .address;
    assert_eq!((other, steps.as_slice()), (a, [Step::Fence].as_slice()));
}

#[test]
fn physical_memory_counts_against_the_lease() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    let at = allocate(&mut allocator, LEASE / 2).unwrap();
    allocator.charge(LEASE / 2, &mut steps).unwrap();
    assert_eq!(
        allocator.charge(GRANULE, &mut steps),
        Err(Refusal::OutOfMemory)
    );
    allocator.free(at).unwrap();
    allocator.charge(GRANULE, &mut steps).unwrap();
    assert!(matches!(steps.as_slice(), [Step::Unback(..)]));
    allocator.refund(GRANULE);
    assert_eq!(allocator.info(), (LEASE / 2, LEASE));
}

#[test]
fn reservations_do_not_meet_chunks() {
    let mut allocator = fresh();
    let high = allocator.reserve(GRANULE, 0, None).unwrap();
    assert_eq!(high, BASE + (1 << 32) - GRANULE);
    let wished = allocator.reserve(GRANULE, 0, Some(BASE)).unwrap();
    assert_eq!(wished, BASE);
    assert!(allocate(&mut allocator, 1).unwrap() >= BASE + GRANULE);
    allocator.unreserve(wished, GRANULE);
    assert_eq!(allocator.reserve(GRANULE, 0, Some(BASE)), Some(BASE));
}

const POOL: u32 = 30;

fn reserved(allocator: &Allocator) -> u64 {
    allocator.pool(POOL).unwrap().reserved
}

fn from_pool(allocator: &mut Allocator, size: u64, steps: &mut Vec<Step>) -> Result<u64, Refusal> {
    let allocated = allocator.allocate(size, 1, POOL, Some(20), steps);
    allocated.map(|allocation| allocation.address)
}

#[test]
fn a_pool_keeps_what_its_threshold_says() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    allocator.add_pool(POOL, u64::MAX);
    allocator.pool_mut(POOL).unwrap().threshold = 3 << 20;
    let a = from_pool(&mut allocator, 2 << 20, &mut steps).unwrap();
    let b = from_pool(&mut allocator, 4 << 20, &mut steps).unwrap();
    assert_eq!(reserved(&allocator), 6 << 20);
    allocator.free_in(a, 20).unwrap();
    allocator.free_in(b, 20).unwrap();
    assert_eq!(reserved(&allocator), 6 << 20);
    allocator.settle(20);
    assert_eq!(reserved(&allocator), 3 << 20);
    // The two chunks of 2 and 4 MiB count as used as long as the pool keeps a part of them.
    assert_eq!(allocator.info(), (LEASE - (6 << 20), LEASE));
    steps.clear();
    // Kept memory is for the pool: nothing is backed, and nobody else gets it.
    let other = allocate(&mut allocator, 2 << 20).unwrap();
    assert_ne!(other, a);
    from_pool(&mut allocator, 2 << 20, &mut steps).unwrap();
    assert_eq!(
        (reserved(&allocator), steps.as_slice()),
        (3 << 20, [].as_slice())
    );
    allocator.trim(POOL, 0);
    assert_eq!(reserved(&allocator), 2 << 20);
    assert_eq!(allocator.pool(POOL).unwrap().high, 6 << 20);
}

#[test]
fn a_pool_lets_go_under_pressure_and_when_it_goes() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    allocator.add_pool(POOL, u64::MAX);
    allocator.pool_mut(POOL).unwrap().threshold = u64::MAX;
    let all = from_pool(&mut allocator, LEASE, &mut steps).unwrap();
    allocator.free_in(all, 20).unwrap();
    allocator.settle_all();
    assert_eq!((reserved(&allocator), allocator.info().0), (LEASE, 0));
    let plain = allocate(&mut allocator, LEASE).unwrap();
    assert_eq!(reserved(&allocator), 0);
    allocator.free(plain).unwrap();

    let (a, b) = (
        from_pool(&mut allocator, 4096, &mut steps).unwrap(),
        from_pool(&mut allocator, 4096, &mut steps).unwrap(),
    );
    allocator.free(a).unwrap();
    assert_eq!(reserved(&allocator), 8192);
    allocator.remove_pool(POOL);
    assert!(allocator.pool(POOL).is_none());
    allocator.free_in(b, 20).unwrap();
    allocator.settle_all();
    assert_eq!(allocator.info(), (LEASE, LEASE));
}

#[test]
fn a_pool_is_no_larger_than_it_may_be() {
    let mut allocator = fresh();
    let mut steps = Vec::new();
    allocator.add_pool(POOL, 4 << 20);
    allocator.pool_mut(POOL).unwrap().threshold = u64::MAX;
    let a = from_pool(&mut allocator, 3 << 20, &mut steps).unwrap();
    assert_eq!(
        from_pool(&mut allocator, 2 << 20, &mut steps),
        Err(Refusal::OutOfMemory)
    );
    allocator.free_in(a, 20).unwrap();
    allocator.settle(20);
    // What it keeps is too small, and in the way: it lets it go.
    from_pool(&mut allocator, 4 << 20, &mut steps).unwrap();
    assert_eq!(reserved(&allocator), 4 << 20);
}

#[derive(Debug, Clone)]
enum Op {
    Allocate {
        size: u64,
        stream: Option<u32>,
        pool: u32,
    },
    Free {
        which: usize,
        stream: Option<u32>,
    },
    Settle(u32),
    Keep(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let stream = || prop_oneof![Just(None), (20_u32..23).prop_map(Some)];
    let size = prop_oneof![
        1_u64..5000,
        1..(3_u64 << 20),
        Just(SMALL),
        Just(GRANULE),
        1..(20_u64 << 20)
    ];
    prop_oneof![
        3 => (size, stream(), prop_oneof![Just(0), Just(POOL)])
            .prop_map(|(size, stream, pool)| Op::Allocate { size, stream, pool }),
        2 => (any::<usize>(), stream()).prop_map(|(which, stream)| Op::Free { which, stream }),
        1 => (20_u32..23).prop_map(Op::Settle),
        1 => (0_u64..LEASE).prop_map(Op::Keep),
    ]
}

/// Freed for all: to be used again behind a fence only.
const ALL: u32 = 0;

/// The server's side: what is backed, and in which stream each byte's last owner was freed.
#[derive(Default)]
struct Model {
    backed: BTreeMap<u64, u64>,
    live: Vec<(u64, u64)>,
    freed_in: HashMap<u64, u32>,
}

impl Model {
    fn apply(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Back(at, size) => {
                    assert_eq!((at % GRANULE, size % GRANULE), (0, 0));
                    assert!(self.backed.range(..at + size).all(|(&b, &s)| b + s <= at));
                    self.backed.insert(at, size);
                }
                Step::Unback(at, size) => {
                    assert_eq!(self.backed.remove(&at), Some(size));
                    assert!(
                        self.live
                            .iter()
                            .all(|&(l, s)| l + s <= at || at + size <= l)
                    );
                    // The server waits for all work before it takes memory away.
                    self.freed_in
                        .retain(|granule, _| *granule < at || at + size <= *granule);
                }
                Step::Fence => self.freed_in.clear(),
            }
        }
        assert!(self.backed.values().sum::<u64>() <= LEASE);
    }

    fn add(&mut self, at: u64, size: u64, stream: Option<u32>) {
        let (start, backing) = self.backed.range(..=at).next_back().expect("backed");
        assert!(at + size <= start + backing);
        assert!(
            self.live
                .iter()
                .all(|&(l, s)| l + s <= at || at + size <= l),
            "overlap"
        );
        assert_eq!(at % ALIGNMENT, 0);
        for granule in (at..at + size).step_by(ALIGNMENT as usize) {
            if let Some(freed) = self.freed_in.get(&granule) {
                assert_eq!(
                    Some(*freed),
                    stream,
                    "reused in another stream than it was freed in"
                );
            }
        }
        self.live.push((at, size));
    }

    fn remove(&mut self, which: usize, stream: Option<u32>) -> u64 {
        let (at, size) = self.live.swap_remove(which % self.live.len());
        for granule in (at..at + size).step_by(ALIGNMENT as usize) {
            self.freed_in.insert(granule, stream.unwrap_or(ALL));
        }
        at
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn allocations_are_disjoint_backed_and_ordered(ops in prop::collection::vec(op(), 1..60)) {
        let mut allocator = fresh();
        allocator.add_pool(POOL, u64::MAX);
        let mut model = Model::default();
        let mut of_pool = BTreeMap::new();
        for op in ops {
            match op {
                Op::Allocate { size, stream, pool } => {
                    let mut steps = Vec::new();
                    let got = allocator.allocate(size, 1, pool, stream, &mut steps);
                    model.apply(&steps);
                    if let Ok(got) = got {
                        model.add(got.address, size, stream);
                        if pool == POOL {
                            of_pool.insert(got.address, size.next_multiple_of(ALIGNMENT));
                        }
                        prop_assert_eq!(allocator.containing(got.address + size - 1), Some(&got));
                    }
                }
                Op::Free { which, stream } if !model.live.is_empty() => {
                    let at = model.remove(which, stream);
                    of_pool.remove(&at);
                    match stream {
                        Some(stream) => allocator.free_in(at, stream).unwrap(),
                        None => allocator.free(at).unwrap(),
                    };
                    prop_assert_eq!(allocator.containing(at), None);
                }
                Op::Free { .. } => {}
                Op::Settle(stream) => {
                    allocator.settle(stream);
                    model.freed_in.retain(|_, of| *of != stream);
                }
                Op::Keep(threshold) => allocator.pool_mut(POOL).unwrap().threshold = threshold,
            }
            let live: u64 = of_pool.values().sum();
            let held = allocator.pool(POOL).unwrap();
            prop_assert!((live..=LEASE).contains(&held.reserved) && held.high >= held.reserved);
        }
        allocator.pool_mut(POOL).unwrap().threshold = 0;
        let live: Vec<u64> = model.live.iter().map(|(at, _)| *at).collect();
        for at in live {
            allocator.free(at).unwrap();
        }
        allocator.settle_all();
        prop_assert_eq!(reserved(&allocator), 0);
        prop_assert_eq!(allocator.info(), (LEASE, LEASE));
        // All of the lease can be allocated again, in one piece.
        prop_assert!(allocate(&mut allocator, LEASE).is_ok());
    }
}
