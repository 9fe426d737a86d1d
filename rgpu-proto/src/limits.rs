//! Every bound on what a peer may ask for, with its reason.

/// Longest body of one frame that is not bulk data. The longest real one is the snapshot of a module: some
/// 300 bytes a kernel, and no known module has more than a few thousand.
pub const MAX_BODY: usize = 16 << 20;

/// Longest bulk chunk of one DATA frame. Past 1 MiB a larger write gains nothing on loopback TCP (see the
/// benchmarks), and other frames wait for at most this much.
pub const MAX_CHUNK: usize = 1 << 20;

/// Longest handshake message: the supervisor reads it before it knows the peer.
pub const MAX_HELLO: usize = 64 << 10;

/// Largest module image (the largest TensorFlow module is 10.4 MB; cuDNN's images pass 1 GB and are
/// loaded by the application's own runtime piecewise).
pub const MAX_MODULE: u64 = 512 << 20;

/// Links that one session may have under way. Each costs the worker two buffers for what the linker says; a program
/// links one module at a time and thread.
pub const MAX_LINKS: usize = 1024;

/// Bytes of a linked image in one answer: well below [`MAX_BODY`].
pub const LINK_PIECE: usize = 8 << 20;

/// Kernel parameters: 4,096 bytes before CUDA 12.1, 32,764 after (CUDA C++ Programming Guide).
pub const MAX_PARAMS: usize = 32_764;

/// Items of a list that are reserved ahead of being read.
pub const PREALLOCATED_ITEMS: usize = 1024;

/// Handles of one kind that one session may hold: a real process dies of other causes before.
pub const MAX_HANDLES: usize = 1 << 20;

/// Largest single transfer: the largest device window.
pub const MAX_TRANSFER: u64 = 1 << 40;

/// Bulk bytes that a client may have sent and the worker not yet handed to the device.
pub const BULK_CREDIT: u64 = 256 << 20;

/// Data up to this size travels inside its call's frame instead of in DATA frames after it.
pub const INLINE_DATA: usize = 16 << 10;

/// Module images up to this size travel with the load call: an upload costs less than a question.
pub const INLINE_MODULE: usize = 64 << 10;

/// Texts from a peer (names, reasons).
pub const MAX_TEXT: usize = 4096;
