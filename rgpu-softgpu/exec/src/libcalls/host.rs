//! Clocks, printing, the heap.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::access::resolve_bytes;
use super::printf::{self, Arguments};
use super::{Ctx, Host};
use crate::abi::{DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, Trap};
use crate::exec::thread::Thread;
use crate::memory::Access;
use crate::output::Channel;

/// Longest string that is read from a kernel.
const LONGEST_STRING: u64 = 1 << 20;
/// What CUDA's `printf` returns for a format that is no string.
const NO_FORMAT: u32 = -1i32 as u32;

pub(super) extern "C" fn clock64(_: Ctx) -> u64 {
    // One tick per nanosecond, as the device's clock rate says.
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

pub(super) extern "C" fn globaltimer(_: Ctx) -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64)
}

pub(super) extern "C" fn vprintf(ctx: Ctx, format: u64, arguments: u64) -> u32 {
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    let Some(format) = read_string(thread, format) else {
        return NO_FORMAT;
    };
    let mut arguments = Packed {
        thread,
        next: arguments,
    };
    let (text, count) = printf::format(&format, &mut arguments);
    thread
        .grid()
        .output
        .write(Channel::Out, &text, thread.device().output());
    count
}

pub(super) extern "C" fn malloc(ctx: Ctx, size: u64) -> u64 {
    // SAFETY: compiled code passes its own context.
    unsafe { Thread::of(ctx) }
        .device()
        .heap()
        .allocate(size)
        .unwrap_or(0)
}

pub(super) extern "C" fn free(ctx: Ctx, address: u64) {
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    if address != 0 && !thread.device().heap().free(address) {
        thread.fault(Trap::IllegalAddress, Some(address));
    }
}

/// Compiled code ends the thread after this call.
pub(super) extern "C" fn assertfail(
    ctx: Ctx,
    message: u64,
    file: u64,
    line: u32,
    function: u64,
    _char_size: u64,
) {
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    // As NVIDIA's driver prints it.
    let text = |address| {
        let bytes = read_string(thread, address).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let ([bx, by, bz], [tx, ty, tz]) = (thread.context.ctaid, thread.context.tid);
    let line = format!(
        "{}:{line}: {}: block: [{bx},{by},{bz}], thread: [{tx},{ty},{tz}] Assertion `{}` failed.\n",
        text(file),
        text(function),
        text(message),
    );
    thread
        .grid()
        .output
        .write(Channel::Err, line.as_bytes(), thread.device().output());
    thread.grid().assertion_failed(&thread.context);
}

/// Arguments as `vprintf` finds them: one after the other, each at a multiple of its size.
struct Packed<'a> {
    thread: &'a Thread,
    next: u64,
}

impl Packed<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let at = self.next.checked_next_multiple_of(N as u64)?;
        self.next = at.checked_add(N as u64)?;
        let mut bytes = [0; N];
        read(self.thread, at, &mut bytes).then_some(bytes)
    }
}

impl Arguments for Packed<'_> {
    fn int(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_ne_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_ne_bytes)
    }

    fn string(&mut self, address: u64) -> Option<Vec<u8>> {
        read_string(self.thread, address)
    }
}

/// Reads memory of a kernel; false if it is not all there.
fn read(thread: &Thread, address: u64, into: &mut [u8]) -> bool {
    // In the window the access would fault, so the table of allocations is asked first.
    let in_window = address.wrapping_sub(DEVICE_WINDOW_BASE) < DEVICE_WINDOW_SIZE;
    let pin = in_window.then(|| {
        thread
            .device()
            .memory()
            .pin_for_kernel(address, into.len() as u64, Access::Read)
    });
    if let Some(Err(_)) = pin {
        return false;
    }
    let Some(host) = resolve_bytes(thread, address, into.len() as u64, false) else {
        return false;
    };
    copy(host, into);
    true
}

fn copy(from: Host, into: &mut [u8]) {
    for (offset, byte) in into.iter_mut().enumerate() {
        // SAFETY: the caller has checked the range; kernels may write it meanwhile, hence volatile.
        *byte = unsafe { from.add(offset).read_volatile() };
    }
}

/// Reads a string up to its NUL.
fn read_string(thread: &Thread, address: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = address;
    while at - address < LONGEST_STRING {
        // As far as the next 64 bytes, or, near the end of an allocation, byte by byte.
        let mut chunk = [0; 64];
        let length = (64 - at % 64) as usize;
        let mut got = &mut chunk[..length];
        if !read(thread, at, got) {
            got = &mut got[..1];
            if !read(thread, at, got) {
                return None;
            }
        }
        if let Some(end) = got.iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&got[..end]);
            return Some(text);
        }
        text.extend_from_slice(got);
        at = at.checked_add(got.len() as u64)?;
    }
    Some(text)
}
