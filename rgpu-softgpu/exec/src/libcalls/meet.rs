//! Where threads meet, or let each other run. All of them ask the scheduler.

use super::Ctx;
use crate::exec::thread::{Request, Thread};
use crate::exec::{BarrierOp, WarpOp};

fn ask(ctx: Ctx, request: Request) -> u64 {
    // SAFETY: compiled code passes its own context.
    unsafe { Thread::of(ctx) }.ask(request)
}

fn warp(ctx: Ctx, op: WarpOp, mask: u32) -> u64 {
    ask(ctx, Request::Warp { op, mask })
}

pub(super) extern "C" fn bar_sync(ctx: Ctx, id: u32, count: u32) {
    ask(
        ctx,
        Request::Barrier {
            id,
            count,
            op: BarrierOp::Sync,
        },
    );
}

pub(super) extern "C" fn bar_arrive(ctx: Ctx, id: u32, count: u32) {
    ask(
        ctx,
        Request::Barrier {
            id,
            count,
            op: BarrierOp::Arrive,
        },
    );
}

pub(super) extern "C" fn bar_red(ctx: Ctx, id: u32, count: u32, predicate: u32, op: u32) -> u32 {
    ask(
        ctx,
        Request::Barrier {
            id,
            count,
            op: BarrierOp::Reduce {
                op,
                predicate: predicate != 0,
            },
        },
    ) as u32
}

pub(super) extern "C" fn bar_warp_sync(ctx: Ctx, mask: u32) {
    warp(ctx, WarpOp::Sync, mask);
}

pub(super) extern "C" fn shfl_sync(
    ctx: Ctx,
    mode: u32,
    value: u32,
    b: u32,
    c: u32,
    mask: u32,
) -> u64 {
    warp(ctx, WarpOp::Shfl { mode, value, b, c }, mask)
}

pub(super) extern "C" fn vote_sync(ctx: Ctx, mode: u32, predicate: u32, mask: u32) -> u32 {
    warp(
        ctx,
        WarpOp::Vote {
            mode,
            predicate: predicate != 0,
        },
        mask,
    ) as u32
}

pub(super) extern "C" fn match_any_sync(ctx: Ctx, value: u64, mask: u32) -> u32 {
    warp(ctx, WarpOp::MatchAny(value), mask) as u32
}

pub(super) extern "C" fn match_all_sync(ctx: Ctx, value: u64, mask: u32) -> u64 {
    warp(ctx, WarpOp::MatchAll(value), mask)
}

pub(super) extern "C" fn redux_sync(ctx: Ctx, op: u32, value: u32, mask: u32) -> u32 {
    warp(ctx, WarpOp::Redux { op, value }, mask) as u32
}

pub(super) extern "C" fn elect_sync(ctx: Ctx, mask: u32) -> u64 {
    warp(ctx, WarpOp::Elect, mask)
}

pub(super) extern "C" fn activemask(ctx: Ctx, site: u32) -> u32 {
    ask(ctx, Request::Active { site }) as u32
}

pub(super) extern "C" fn yield_(ctx: Ctx) {
    ask(ctx, Request::Yield);
}

pub(super) extern "C" fn nanosleep(ctx: Ctx, nanoseconds: u32) {
    ask(ctx, Request::Sleep(nanoseconds));
}
