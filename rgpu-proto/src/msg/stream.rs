//! Streams, events, host functions.

use crate::handle::{Event, Id, Stream};
use crate::message;

message! {
    /// `cuStreamCreateWithPriority` in the frame's context. Posted.
    pub struct StreamCreate {
        /// The new id.
        id: Id<Stream>,
        /// `CUstream_flags`.
        flags: u32,
        /// Priority.
        priority: i32,
    }

    /// Names a stream: `cuStreamDestroy_v2` (posted), `cuStreamQuery`, `cuStreamSynchronize` (answered).
    pub struct StreamRef {
        /// Which.
        id: Id<Stream>,
    }

    /// `cuStreamSetAttribute`. Answered.
    pub struct StreamSet {
        /// Which stream.
        id: Id<Stream>,
        /// `CUstreamAttrID`.
        attribute: u32,
        /// `CUstreamAttrValue`, 64 bytes.
        value: Vec<u8>,
    }

    /// `cuStreamGetAttribute`. Answered with [`StreamValue`].
    pub struct StreamGet {
        /// Which stream.
        id: Id<Stream>,
        /// `CUstreamAttrID`.
        attribute: u32,
    }

    /// `cuStreamBatchMemOp_v2` and the functions of which it is a batch. Posted.
    pub struct StreamMemory {
        /// Which stream.
        id: Id<Stream>,
        /// In their order, fewer than 256.
        ops: Vec<MemoryOp>,
    }

    /// An operation of a stream on memory.
    pub struct MemoryOp {
        /// `CUstreamBatchMemOpType`: 1 and 4 wait, 2 and 5 write, for 32 and 64 bits; 6 is a barrier.
        operation: u32,
        /// Its flags: `CUstreamWaitValue_flags`, `CUstreamWriteValue_flags` or `CUstreamMemoryBarrier_flags`.
        flags: u32,
        /// Address of the word; 0 for a barrier.
        address: u64,
        /// The value, in the low bits.
        value: u64,
    }

    /// The value of a stream's attribute.
    pub struct StreamValue {
        /// `CUstreamAttrValue`, 64 bytes.
        value: Vec<u8>,
    }

    /// `cuEventCreate` in the frame's context. Posted.
    pub struct EventCreate {
        /// The new id.
        id: Id<Event>,
        /// `CUevent_flags`.
        flags: u32,
    }

    /// Names an event: `cuEventDestroy_v2` (posted), `cuEventQuery`, `cuEventSynchronize` (answered).
    pub struct EventRef {
        /// Which.
        id: Id<Event>,
    }

    /// `cuLaunchHostFunc` and `cuStreamAddCallback`: when the stream gets here, call back. Posted.
    pub struct HostFunc {
        /// Numbered by the client.
        token: u64,
        /// In which stream.
        stream: Id<Stream>,
        /// Call back even when the context has an error (`cuStreamAddCallback`).
        on_error: bool,
    }

    /// The stream got there and waits.
    pub struct HostFuncDue {
        /// Which.
        token: u64,
        /// The stream's status, for `cuStreamAddCallback`.
        status: u32,
    }

    /// The host function returned; the stream goes on.
    pub struct HostFuncDone {
        /// Which.
        token: u64,
    }
}
