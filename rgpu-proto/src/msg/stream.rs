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
