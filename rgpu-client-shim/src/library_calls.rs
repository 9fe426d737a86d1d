//! What the forwarding libraries (`libcublas.so.12`, `libcublasLt.so.12`, `libcudnn.so.9`) call: the session, as
//! C functions in a table. They come in through the same gate as the driver's entry points.

use std::ffi::c_void;

use rgpu_driver_abi::library_calls::{Calls, Sink, VERSION};
use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::kinds::ClientSide;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;

use crate::{api, client, gate};

static CALLS: Calls = Calls {
    version: VERSION,
    init,
    post,
    call,
    mint,
    stream,
    copy_2d,
    broken,
    log,
};

/// The table, for the libraries that belong to this one.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "exported to C")]
pub extern "C" fn rgpuLibraryCalls() -> *const Calls {
    &raw const CALLS
}

/// The bytes of a caller of ours.
///
/// # Safety
/// `bytes` points to `len` bytes that live as long as the call.
unsafe fn slice<'a>(bytes: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes, len) }
}

unsafe extern "C" fn init() -> u32 {
    gate::pass(client::init)
}

unsafe extern "C" fn post(op: u16, body: *const u8, len: usize) -> u32 {
    gate::pass_call(Opcode(op), || {
        // SAFETY: the libraries pass a slice of theirs.
        (&client::get()?).post(Opcode(op), unsafe { slice(body, len) })
    })
}

unsafe extern "C" fn call(
    op: u16,
    body: *const u8,
    len: usize,
    sink: Sink,
    target: *mut c_void,
) -> u32 {
    gate::pass_call(Opcode(op), || {
        // SAFETY: the libraries pass a slice of theirs.
        let answer = (&client::get()?).call(Opcode(op), unsafe { slice(body, len) })?;
        // SAFETY: the sink takes a borrowed slice, and the target is the library's.
        unsafe { sink(target, answer.as_ptr(), answer.len()) };
        Ok(())
    })
}

unsafe extern "C" fn mint(id: *mut u32) -> u32 {
    gate::pass(|| {
        let minted = client::get()?.mint();
        // SAFETY: the libraries pass a place of theirs.
        unsafe { id.write(minted) };
        Ok(())
    })
}

unsafe extern "C" fn stream(stream: *mut c_void, id: *mut u32) -> u32 {
    gate::pass(|| {
        let stream = api::resolve::<Stream>(client::get()?, stream)?;
        let stream = Id::<Stream>::from_c(stream).ok_or(Status::ERROR_INVALID_HANDLE)?;
        // SAFETY: the libraries pass a place of theirs.
        unsafe { id.write(stream.0) };
        Ok(())
    })
}

unsafe extern "C" fn copy_2d(copy: *const c_void, in_stream: bool, stream: *mut c_void) -> u32 {
    // SAFETY: the libraries keep the contract of the C functions of these names.
    gate::pass(|| unsafe {
        if in_stream {
            api::cuMemcpy2DAsync_v2(copy, stream)
        } else {
            api::cuMemcpy2D_v2(copy)
        }
    })
}

unsafe extern "C" fn broken(op: u16, reason: *const u8, len: usize) -> u32 {
    gate::pass(|| {
        // SAFETY: the libraries pass a slice of theirs.
        let reason = String::from_utf8_lossy(unsafe { slice(reason, len) });
        Err(client::get()?.session.broken(Opcode(op), &reason))
    })
}

unsafe extern "C" fn log(text: *const u8, len: usize) -> u32 {
    gate::pass(|| {
        // SAFETY: the libraries pass a slice of theirs.
        let text = String::from_utf8_lossy(unsafe { slice(text, len) });
        crate::log::debug(format_args!("{text}"));
        Ok(())
    })
}
