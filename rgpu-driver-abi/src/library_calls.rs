//! How the client's libraries (its `libcublas.so.12` and the like) reach the session, which its `libcuda.so.1` owns.
//!
//! `libcuda.so.1` exports [`SYMBOL`], a function of type [`Export`]. Both sides are built from the same sources;
//! [`Calls::version`] guards against files of two installations in one process.

use std::ffi::{CStr, c_void};

/// The exported function.
pub const SYMBOL: &CStr = c"rgpuLibraryCalls";

/// Its type. The table lives as long as the process.
pub type Export = unsafe extern "C" fn() -> *const Calls;

/// Of the layout and meaning of [`Calls`].
pub const VERSION: u32 = 1;

/// Receives the body of an answer, which is borrowed for the call.
pub type Sink = unsafe extern "C" fn(target: *mut c_void, body: *const u8, len: usize);

/// What `libcuda.so.1` does for the libraries. Every function returns a `CUresult`.
#[derive(Debug)]
#[repr(C)]
pub struct Calls {
    /// [`VERSION`].
    pub version: u32,
    /// Connects, if nothing has before.
    pub init: unsafe extern "C" fn() -> u32,
    /// Sends a call: operation, body, its bytes.
    pub post: unsafe extern "C" fn(op: u16, body: *const u8, len: usize) -> u32,
    /// Sends a call, waits, and gives the body of the answer to `sink`.
    pub call: unsafe extern "C" fn(
        op: u16,
        body: *const u8,
        len: usize,
        sink: Sink,
        target: *mut c_void,
    ) -> u32,
    /// Invents an id.
    pub mint: unsafe extern "C" fn(id: *mut u32) -> u32,
    /// The id of a stream of the application.
    pub stream: unsafe extern "C" fn(stream: *mut c_void, id: *mut u32) -> u32,
    /// `cuMemcpy2D_v2`, or where `in_stream` `cuMemcpy2DAsync_v2` in `stream`; `copy` is its `CUDA_MEMCPY2D`.
    pub copy_2d:
        unsafe extern "C" fn(copy: *const c_void, in_stream: bool, stream: *mut c_void) -> u32,
    /// The server broke the protocol in its answer to `op`, as the text says.
    pub broken: unsafe extern "C" fn(op: u16, reason: *const u8, len: usize) -> u32,
    /// Writes a line to the log of `RGPU_LOG=debug`.
    pub log: unsafe extern "C" fn(text: *const u8, len: usize) -> u32,
}
