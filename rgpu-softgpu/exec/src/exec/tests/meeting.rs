//! Barriers and warp operations.

use super::*;
use crate::libcalls::{bar_red, redux, shfl, vote};

#[test]
fn a_barrier_orders_shared_memory() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let (tid, last) = (context(ctx).tid[0], context(ctx).ntid[0] - 1);
        for round in 0..10 {
            shared(ctx, tid).store(u64::from(tid) * 100 + round, Ordering::Relaxed);
            sync(ctx);
            let other = shared(ctx, last - tid).load(Ordering::Relaxed);
            if other == u64::from(last - tid) * 100 + round {
                argument::<AtomicU64>(ctx).fetch_add(1, Ordering::Relaxed);
            }
            sync(ctx);
        }
    }
    let right = AtomicU64::new(0);
    run(&pool(2), kernel(entry, true), 5, 200, &right).unwrap();
    assert_eq!(right.into_inner(), 5 * 200 * 10);
}

#[test]
fn a_reduction_by_shuffles() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let mut value = context(ctx).tid[0];
        for offset in [16, 8, 4, 2, 1] {
            let got = call!(shfl_sync: fn(Ctx, u32, u32, u32, u32, u32) -> u64; ctx, shfl::DOWN, value, offset, 31, u32::MAX);
            value += got as u32;
        }
        if context(ctx).laneid == 0 {
            argument::<AtomicU64>(ctx).fetch_add(u64::from(value), Ordering::Relaxed);
        }
    }
    let sum = AtomicU64::new(0);
    run(&pool(2), kernel(entry, true), 1, 1024, &sum).unwrap();
    assert_eq!(sum.into_inner(), 1023 * 1024 / 2);
}

#[test]
fn partial_masks_and_other_operations() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let lane = context(ctx).laneid;
        let mine = if lane % 2 == 1 {
            0xaaaa_aaaa
        } else {
            0x5555_5555
        };
        let ballot = call!(vote_sync: fn(Ctx, u32, u32, u32) -> u32; ctx, vote::BALLOT, u32::from(lane < 8), mine);
        assert_eq!(ballot, mine & 0xff);
        let most =
            call!(redux_sync: fn(Ctx, u32, u32, u32) -> u32; ctx, redux::MAX_U32, lane, mine);
        assert_eq!(most, 30 + lane % 2);
        let same = call!(match_any_sync: fn(Ctx, u64, u32) -> u32; ctx, u64::from(lane / 16), mine);
        assert_eq!(same, mine & if lane < 16 { 0xffff } else { 0xffff_0000 });
        let elected = call!(elect_sync: fn(Ctx, u32) -> u64; ctx, mine);
        assert_eq!(elected, u64::from(lane % 2) | u64::from(lane < 2) << 32);
        call!(bar_warp_sync: fn(Ctx, u32); ctx, u32::MAX);
        let all = call!(bar_red: fn(Ctx, u32, u32, u32, u32) -> u32; ctx, 3, 0, u32::from(lane != 5), bar_red::POPC);
        argument::<AtomicU64>(ctx).fetch_add(u64::from(all), Ordering::Relaxed);
    }
    let sum = AtomicU64::new(0);
    run(&pool(1), kernel(entry, true), 2, 32, &sum).unwrap();
    assert_eq!(sum.into_inner(), 2 * 32 * 31);
}

#[test]
fn threads_that_exit_are_not_waited_for() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let tid = context(ctx).tid[0];
        if tid % 3 == 0 {
            return;
        }
        sync(ctx);
        if tid > 60 {
            return;
        }
        let ballot =
            call!(vote_sync: fn(Ctx, u32, u32, u32) -> u32; ctx, vote::BALLOT, 1, u32::MAX);
        sync(ctx);
        argument::<AtomicU64>(ctx).fetch_add(u64::from(ballot.count_ones()), Ordering::Relaxed);
    }
    let sum = AtomicU64::new(0);
    run(&pool(2), kernel(entry, true), 3, 100, &sum).unwrap();
    let warp = |lanes: std::ops::Range<u64>| {
        lanes.filter(|lane| lane % 3 != 0 && *lane <= 60).count() as u64
    };
    assert_eq!(
        sum.into_inner(),
        3 * (warp(0..32).pow(2) + warp(32..64).pow(2))
    );
}

#[test]
fn producers_arrive_and_consumers_sync() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let tid = context(ctx).tid[0];
        if tid < 32 {
            shared(ctx, tid).store(u64::from(tid), Ordering::Relaxed);
            call!(bar_arrive: fn(Ctx, u32, u32); ctx, 1, 64);
        } else if tid < 64 {
            call!(bar_sync: fn(Ctx, u32, u32); ctx, 1, 64);
            let value = shared(ctx, tid - 32).load(Ordering::Relaxed);
            argument::<AtomicU64>(ctx).fetch_add(value, Ordering::Relaxed);
        }
    }
    let sum = AtomicU64::new(0);
    run(&pool(1), kernel(entry, true), 1, 96, &sum).unwrap();
    assert_eq!(sum.into_inner(), 31 * 32 / 2);
}

#[test]
fn the_active_mask_is_that_of_a_branch() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let lane = context(ctx).laneid;
        let (mask, expected) = if lane < 10 {
            (call!(activemask: fn(Ctx, u32) -> u32; ctx, 1), 0x3ff)
        } else {
            (call!(activemask: fn(Ctx, u32) -> u32; ctx, 2), !0x3ff)
        };
        call!(bar_warp_sync: fn(Ctx, u32); ctx, mask);
        argument::<AtomicU64>(ctx).fetch_add(u64::from(mask == expected), Ordering::Relaxed);
    }
    let right = AtomicU64::new(0);
    run(&pool(1), kernel(entry, true), 1, 64, &right).unwrap();
    assert_eq!(right.into_inner(), 64);
}
