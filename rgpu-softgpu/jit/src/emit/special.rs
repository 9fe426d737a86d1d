//! Special registers.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use rgpu_ptx::types::SpecialReg;
use rgpu_softgpu_exec::abi::{ThreadContext, WARP_SIZE};

use super::Emitter;
use super::util::{constant, iconst, mask, resize, shr};
use crate::error::Emit;
use crate::passes::reg_types::machine_type;

impl Emitter<'_, '_> {
    /// A field of the thread's context that does not change while the thread runs.
    pub(crate) fn context_field(&mut self, ty: Type, offset: usize) -> Value {
        let offset = i32::try_from(offset).unwrap_or(i32::MAX);
        self.b.ins().load(ty, constant(), self.thread.ctx, offset)
    }

    /// A field of the context that is the same in all threads of the block.
    pub(crate) fn block_field(&mut self, ty: Type, offset: usize) -> Value {
        let offset = i32::try_from(offset).unwrap_or(i32::MAX);
        let block = self.thread.block_ctx;
        self.b.ins().load(ty, constant(), block, offset)
    }
}

/// The value of a special register, in its natural width.
pub(crate) fn read(e: &mut Emitter<'_, '_>, special: SpecialReg) -> Emit<Value> {
    use SpecialReg::*;
    let of_block = |e: &mut Emitter<'_, '_>, base: usize, lane: usize| {
        e.block_field(types::I32, base + 4 * lane)
    };
    let ntid = offset_of!(ThreadContext, ntid);
    let (ctaid, nctaid) = (
        offset_of!(ThreadContext, ctaid),
        offset_of!(ThreadContext, nctaid),
    );
    Ok(match special {
        TidX => thread_index(e, 0),
        TidY => thread_index(e, 1),
        TidZ => thread_index(e, 2),
        NtidX => of_block(e, ntid, 0),
        NtidY => of_block(e, ntid, 1),
        NtidZ => of_block(e, ntid, 2),
        // Without clusters, every block is a cluster of its own.
        CtaidX | ClusterIdX => of_block(e, ctaid, 0),
        CtaidY | ClusterIdY => of_block(e, ctaid, 1),
        CtaidZ | ClusterIdZ => of_block(e, ctaid, 2),
        NctaidX | NclusterIdX => of_block(e, nctaid, 0),
        NctaidY | NclusterIdY => of_block(e, nctaid, 1),
        NctaidZ | NclusterIdZ => of_block(e, nctaid, 2),
        ClusterCtaidX | ClusterCtaidY | ClusterCtaidZ | ClusterCtarank => {
            iconst(&mut e.b, types::I32, 0)
        }
        ClusterNctaidX | ClusterNctaidY | ClusterNctaidZ | ClusterNctarank => {
            iconst(&mut e.b, types::I32, 1)
        }
        IsExplicitCluster => iconst(&mut e.b, types::I8, 0),
        LaneId => lane(e),
        WarpId => warp(e),
        NwarpId => warps(e),
        SmId => e.block_field(types::I32, offset_of!(ThreadContext, smid)),
        NsmId => e.block_field(types::I32, offset_of!(ThreadContext, nsmid)),
        GridId => {
            let low = e.block_field(types::I32, offset_of!(ThreadContext, gridid));
            e.b.ins().uextend(types::I64, low)
        }
        LanemaskEq | LanemaskLe | LanemaskLt | LanemaskGe | LanemaskGt => lane_mask(e, special),
        Clock => clock(e, "clock64", 0)?,
        ClockHi => clock(e, "clock64", 32)?,
        Clock64 => e.libcall_value("clock64", &[e.thread.ctx])?,
        GlobalTimerLo => clock(e, "globaltimer", 0)?,
        GlobalTimerHi => clock(e, "globaltimer", 32)?,
        GlobalTimer => e.libcall_value("globaltimer", &[e.thread.ctx])?,
        TotalSmemSize | AggrSmemSize => resize(&mut e.b, e.thread.shared_size, types::I32, false),
        DynamicSmemSize => {
            let size = e.block_field(types::I64, offset_of!(ThreadContext, dynamic_shared_size));
            e.b.ins().ireduce(types::I32, size)
        }
        ReservedSmemOffsetBegin
        | ReservedSmemOffsetEnd
        | ReservedSmemOffsetCap
        | ReservedSmemOffset0
        | ReservedSmemOffset1 => iconst(&mut e.b, types::I32, 0),
        EnvReg1 => grid_workspace(e, 32),
        EnvReg2 => grid_workspace(e, 0),
        CurrentGraphExec => iconst(&mut e.b, types::I64, 0),
        WarpSize => iconst(&mut e.b, types::I32, i64::from(WARP_SIZE)),
        // Environment registers that the driver leaves alone, performance counters that do not count.
        other => iconst(&mut e.b, machine_type(other.ty()), 0),
    })
}

/// Half of the address of the memory through which the blocks of a cooperative grid meet.
fn grid_workspace(e: &mut Emitter<'_, '_>, shift: i64) -> Value {
    let address = e.block_field(types::I64, offset_of!(ThreadContext, grid_workspace));
    let part = if shift == 0 {
        address
    } else {
        shr(&mut e.b, address, shift)
    };
    e.b.ins().ireduce(types::I32, part)
}

/// Half of a 64-bit clock.
fn clock(e: &mut Emitter<'_, '_>, name: &'static str, shift: i64) -> Emit<Value> {
    let time = e.libcall_value(name, &[e.thread.ctx])?;
    let part = if shift == 0 {
        time
    } else {
        shr(&mut e.b, time, shift)
    };
    Ok(e.b.ins().ireduce(types::I32, part))
}

/// An axis of `%tid`.
fn thread_index(e: &mut Emitter<'_, '_>, axis: usize) -> Value {
    if let Some(index) = e.wide_index(axis) {
        return index;
    }
    e.context_field(types::I32, offset_of!(ThreadContext, tid) + 4 * axis)
}

/// Number of the thread in its block, in a kernel that runs several in one call.
fn linear_thread(e: &mut Emitter<'_, '_>) -> Value {
    let ntid = offset_of!(ThreadContext, ntid);
    let [x, y, z] = [0, 1, 2].map(|axis| thread_index(e, axis));
    let [width, height] = [0, 4].map(|at| e.block_field(types::I32, ntid + at));
    let rows = e.b.ins().imul(z, height);
    let rows = e.b.ins().iadd(rows, y);
    let before = e.b.ins().imul(rows, width);
    e.b.ins().iadd(before, x)
}

fn lane(e: &mut Emitter<'_, '_>) -> Value {
    if e.wide.is_some() {
        let thread = linear_thread(e);
        mask(&mut e.b, thread, i64::from(WARP_SIZE - 1))
    } else {
        e.context_field(types::I32, offset_of!(ThreadContext, laneid))
    }
}

fn warp(e: &mut Emitter<'_, '_>) -> Value {
    if e.wide.is_some() {
        let thread = linear_thread(e);
        shr(&mut e.b, thread, i64::from(WARP_SIZE.ilog2()))
    } else {
        e.context_field(types::I32, offset_of!(ThreadContext, warpid))
    }
}

/// Warps of a block.
fn warps(e: &mut Emitter<'_, '_>) -> Value {
    let ntid = offset_of!(ThreadContext, ntid);
    let [x, y, z] = [0, 4, 8].map(|at| e.block_field(types::I32, ntid + at));
    let xy = e.b.ins().imul(x, y);
    let threads = e.b.ins().imul(xy, z);
    let rounded = e.b.ins().iadd_imm_u(threads, i64::from(WARP_SIZE - 1));
    shr(&mut e.b, rounded, i64::from(WARP_SIZE.ilog2()))
}

fn lane_mask(e: &mut Emitter<'_, '_>, special: SpecialReg) -> Value {
    let lane = lane(e);
    let one = iconst(&mut e.b, types::I32, 1);
    let ones = iconst(&mut e.b, types::I32, -1);
    let eq = e.b.ins().ishl(one, lane);
    let ge = e.b.ins().ishl(ones, lane);
    match special {
        SpecialReg::LanemaskEq => eq,
        SpecialReg::LanemaskGe => ge,
        SpecialReg::LanemaskLt => e.b.ins().bnot(ge),
        SpecialReg::LanemaskGt => e.b.ins().bxor(ge, eq),
        _ => {
            let lt = e.b.ins().bnot(ge);
            e.b.ins().bor(lt, eq)
        }
    }
}

/// Compares a 64-bit value with a constant; here for address windows.
pub(crate) fn in_window(e: &mut Emitter<'_, '_>, address: Value, base: u64, size: u64) -> Value {
    let offset =
        e.b.ins()
            .iadd_imm_s(address, base.cast_signed().wrapping_neg());
    let size = iconst(&mut e.b, types::I64, size.cast_signed());
    e.b.ins().icmp(IntCC::UnsignedLessThan, offset, size)
}
