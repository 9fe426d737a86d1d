//! Bodies of `custom` rows and of the protocol's own operations, one file per family.

pub mod launch;
pub mod library;
pub mod link;
pub mod lt;
pub mod memory;
pub mod module;
pub mod stream;

use crate::message;

message! {
    /// Before the body of every reply.
    pub struct ReplyHead {
        /// Result of this call, a `CUresult`.
        status: u32,
        /// First error of a posted call since the last reply, or 0.
        deferred: u32,
        /// Operation of that posted call, or 0.
        deferred_op: u16,
    }

    /// Bulk bytes that the worker has taken off the wire.
    pub struct Credit {
        /// How many more bytes the client may send.
        bytes: u64,
    }

    /// The session ends.
    pub struct Goodbye {
        /// Why, in words.
        reason: String,
    }

    /// Bytes that kernels or the driver printed.
    pub struct Output {
        /// 1 for stdout, 2 for stderr.
        fd: u8,
        /// The bytes.
        bytes: Vec<u8>,
    }

    /// Whether the client has the device window reserved.
    pub struct Window {
        /// It has; otherwise the worker proposes another in its reply ([`WindowAt`]).
        reserved: bool,
    }

    /// Another window.
    pub struct WindowAt {
        /// First address.
        base: u64,
        /// Bytes.
        size: u64,
    }

    /// Creates a context (`cuCtxCreate_v4`).
    pub struct ContextCreate {
        /// Its id.
        id: crate::handle::Id<crate::handle::Context>,
        /// Device ordinal.
        device: u32,
        /// `CUctx_flags`.
        flags: u32,
    }

    /// Names a context (`cuCtxDestroy_v2`, `cuDevicePrimaryCtxReset_v2`).
    pub struct ContextRef {
        /// Its id; the primary context of device N is [`PRIMARY_CONTEXT`] + N.
        id: crate::handle::Id<crate::handle::Context>,
    }
}

/// The id of device 0's primary context; those of further devices follow.
pub const PRIMARY_CONTEXT: u32 = 1;
