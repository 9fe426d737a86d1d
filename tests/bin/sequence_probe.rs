//! Carries out a sequence of calls (`rgpu_tests::op`) that it reads from its input, and prints everything that a
//! program can observe of it: the status of each call, values, contents of memory, and the order of host functions.
//!
//! It prints what two drivers must agree on. Left out is what CUDA leaves open:
//!
//! - whether work is over at the moment of a query: `CUDA_ERROR_NOT_READY` counts as success;
//! - the time between two events;
//! - numbers of handles and addresses: contexts are named by their slot, addresses are compared with the buffer's;
//! - what lies in new memory: it is filled at once;
//! - results of races: a buffer that is used in another stream than before is handed over first (`machine`);
//! - the order in which host functions of different streams run.

#[path = "sequence_probe/kernels.rs"]
mod kernels;
#[path = "sequence_probe/machine.rs"]
mod machine;
#[path = "sequence_probe/memory.rs"]
mod memory;
#[path = "sequence_probe/objects.rs"]
mod objects;
#[path = "sequence_probe/work.rs"]
mod work;

use std::ffi::c_void;
use std::io::Read;

use rgpu_tests::loader::{Library, null};
use rgpu_tests::op::{self, Op};

use machine::{Machine, call};

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("input");
    let ops = op::from_text(&text).unwrap_or_else(|line| panic!("no operation: {line}"));
    let mut machine = Machine::new(Library::open("libcuda.so.1"));
    machine.prepare();
    print!("prepare\n{}", machine.said());
    for op in ops {
        print!("{}", op.to_text() + "\n");
        machine.carry_out(op);
        print!("{}", machine.said());
        if matches!(op, Op::Die { .. }) {
            return;
        }
    }
    machine.finish();
    print!("finish\n{}", machine.said());
}

impl Machine {
    #[expect(clippy::too_many_lines, reason = "one line per operation")]
    fn carry_out(&mut self, op: Op) {
        match op {
            Op::StreamCreate {
                slot,
                flags,
                priority,
            } => self.stream_create(slot, flags, priority),
            Op::StreamDestroy { stream } => {
                let stream = self.stream(stream);
                if stream.addr() > 2 {
                    call!(self, "cuStreamDestroy_v2", stream => *mut c_void);
                }
            }
            Op::StreamQuery { stream } => self.stream_query(stream),
            Op::StreamSynchronize { stream } => {
                call!(self, "cuStreamSynchronize", self.stream(stream) => *mut c_void);
            }
            Op::StreamLook { stream, what } => self.stream_look(stream, what),
            Op::EventCreate { slot, flags } => self.event_create(slot, flags),
            Op::EventDestroy { event } => {
                call!(self, "cuEventDestroy_v2", self.event(event) => *mut c_void);
            }
            Op::EventRecord { event, stream } => {
                call!(self, "cuEventRecord", self.event(event) => *mut c_void, self.stream(stream) => *mut c_void);
            }
            Op::StreamWait {
                stream,
                event,
                flags,
            } => {
                call!(self, "cuStreamWaitEvent", self.stream(stream) => *mut c_void, self.event(event) => *mut c_void,
                    flags => u32);
            }
            Op::EventQuery { event } => self.event_query(event),
            Op::EventSynchronize { event } => {
                call!(self, "cuEventSynchronize", self.event(event) => *mut c_void);
            }
            Op::EventElapsed { start, end } => self.event_elapsed(start, end),
            Op::ContextCreate { slot, flags } => self.context_create(slot, flags),
            Op::ContextDestroy { context } => self.context_destroy(context),
            Op::ContextPush { context } => {
                call!(self, "cuCtxPushCurrent_v2", self.context(context) => *mut c_void);
            }
            Op::ContextPop {} => {
                let mut context = null();
                call!(self, "cuCtxPopCurrent_v2", &raw mut context => *mut *mut c_void);
                self.say(&format!("  {}", self.context_name(context)));
            }
            Op::ContextSet { context } => {
                call!(self, "cuCtxSetCurrent", self.context(context) => *mut c_void);
            }
            Op::ContextSynchronize {} => {
                call!(self, "cuCtxSynchronize");
            }
            Op::ContextLook { what } => self.context_look(what),
            Op::LimitSet { limit, value } => self.limit_set(limit, value),
            Op::ModuleLoad { slot, image } => self.module_load(slot, image),
            Op::ModuleUnload { module } => self.module_unload(module),
            Op::FunctionGet { slot, module, name } => self.function_get(slot, module, name),
            Op::GlobalGet { module, name } => self.global_get(module, name),
            Op::FunctionLook { function, what } => self.function_look(function, what),
            Op::FunctionSet {
                function,
                attribute,
                value,
            } => self.function_set(function, attribute, value),
            Op::Occupancy {
                function,
                block,
                shared,
            } => {
                self.occupancy(
                    function,
                    work::BLOCKS[block as usize % 8].cast_signed(),
                    shared,
                );
            }
            Op::Alloc { slot, size } => self.alloc(slot, size),
            Op::Free { buffer } => self.free(buffer),
            Op::AllocAsync { slot, size, stream } => self.alloc_async(slot, size, stream),
            Op::FreeAsync { buffer, stream } => self.free_async(buffer, stream),
            Op::PoolCreate { slot, most } => self.pool_create(slot, most),
            Op::PoolDestroy { pool } => self.pool_destroy(pool),
            Op::AllocFrom {
                slot,
                size,
                pool,
                stream,
            } => self.alloc_from(slot, size, pool, stream),
            Op::PointerLook { buffer, at, what } => self.pointer_look(buffer, at, what),
            Op::PinnedAlloc { slot, size, flags } => self.pinned_alloc(slot, size, flags),
            Op::PinnedFree { buffer, how } => self.pinned_free(buffer, how),
            Op::PinnedFill { buffer, value, how } => self.pinned_fill(buffer, value, how),
            Op::PinnedRead { buffer, how } => self.pinned_read(buffer, how),
            Op::Set {
                buffer,
                at,
                count,
                value,
                width,
            } => self.set(buffer, at, count, value, width),
            Op::SetAsync {
                buffer,
                at,
                count,
                value,
                width,
                stream,
                how,
            } => {
                self.set_async(buffer, at, count, value, width, stream, how);
            }
            Op::Set2d {
                buffer,
                pitch,
                width,
                height,
                value,
                stream,
                how,
            } => {
                self.set_2d(buffer, pitch, width, height, value, stream, how);
            }
            Op::CopyIn {
                buffer,
                at,
                len,
                seed,
            } => self.copy_in(buffer, at, len, seed),
            Op::CopyInAsync {
                buffer,
                at,
                len,
                seed,
                stream,
                how,
            } => {
                self.copy_in_async(buffer, at, len, seed, stream, how);
            }
            Op::CopyOut { buffer, at, len } => self.copy_out(buffer, at, len),
            Op::CopyOutAsync {
                buffer,
                at,
                len,
                stream,
                how,
            } => self.copy_out_async(buffer, at, len, stream, how),
            Op::PinnedIn {
                buffer,
                at,
                len,
                pinned,
                stream,
                how,
            } => {
                self.pinned_copy(true, buffer, at, len, pinned, stream, how);
            }
            Op::PinnedOut {
                pinned,
                buffer,
                at,
                len,
                stream,
                how,
            } => {
                self.pinned_copy(false, buffer, at, len, pinned, stream, how);
            }
            Op::Copy {
                to,
                to_at,
                from,
                from_at,
                len,
            } => self.copy(to, to_at, from, from_at, len),
            Op::CopyAsync {
                to,
                to_at,
                from,
                from_at,
                len,
                stream,
                how,
            } => {
                self.copy_async(to, to_at, from, from_at, len, stream, how);
            }
            Op::Copy2d {
                to,
                from,
                way,
                width,
                height,
                pitches,
                stream,
                how,
            } => {
                self.copy_2d(to, from, way, width, height, pitches, stream, how);
            }
            Op::Mix {
                function,
                buffer,
                factor,
                block,
                shape,
                delay,
                stream,
                how,
            } => {
                self.mix(function, buffer, factor, block, shape, delay, stream, how);
            }
            Op::Pair {
                function,
                to,
                from,
                block,
                delay,
                stream,
                how,
            } => {
                self.pair(function, to, from, block, delay, stream, how);
            }
            Op::HostFunction {
                stream,
                pinned,
                value,
                how,
            } => self.host_function(stream, pinned, value, how),
            Op::WriteValue {
                buffer,
                at,
                value,
                stream,
                how,
            } => self.write_value(buffer, at, value, stream, how),
            Op::Die { way } => {
                self.wait_for_all();
                self.die(way);
            }
        }
    }

    /// Waits for every context, and leaves the primary one current.
    fn wait_for_all(&mut self) {
        for at in (0..self.contexts.len())
            .rev()
            .filter(|at| self.context_live[*at])
        {
            call!(self, "cuCtxSetCurrent", self.contexts[at] => *mut c_void);
            call!(self, "cuCtxSynchronize");
        }
        self.read_diary();
    }

    fn finish(&mut self) {
        self.wait_for_all();
        self.read_all();
    }
}
