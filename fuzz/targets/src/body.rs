//! Bodies of calls and of answers.

use rgpu_proto::derived::worker::{Failure, handlers};
use rgpu_proto::handle::HandleKind;
use rgpu_proto::kinds::WorkerSide;
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::msg::memory::{
    Back, CopyDevice, CopyIn, CopyOut, Fill, PhysicalCreate, PhysicalMap, PhysicalRelease,
    SetAccess, Unback, Unmap,
};
use rgpu_proto::msg::module::{
    GetFunction, GetKernel, Global, KernelFunction, LibraryGlobal, LibraryModule, LibraryUnload,
    Load, Loaded, ModuleGlobal, ModuleUnload, Upload,
};
use rgpu_proto::msg::stream::{
    EventCreate, EventRef, HostFunc, HostFuncDone, HostFuncDue, StreamCreate, StreamRef,
};
use rgpu_proto::msg::{
    ContextCreate, ContextRef, Credit, Goodbye, Output, ReplyHead, Window, WindowAt,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{Decode, Encode, Reader};

/// Reads a body, or does not; what it read must be what it would write.
pub(crate) type Check = fn(&[u8]);

/// The bodies that clients send, by operation.
pub(crate) const CALLS: &[(Opcode, Check)] = &[
    (Opcode::MODULE_LOAD, canonical::<Load>),
    (Opcode::MODULE_UPLOAD, canonical::<Upload>),
    (Opcode::HOST_FUNC_DONE, canonical::<HostFuncDone>),
    (Opcode::GOODBYE, canonical::<Goodbye>),
    (Opcode::PING, canonical::<()>),
    (Opcode::WINDOW, canonical::<Window>),
    (Opcode::MEMORY_BACK, canonical::<Back>),
    (Opcode::MEMORY_UNBACK, canonical::<Unback>),
    (Opcode::FENCE, canonical::<()>),
    (Opcode::COPY_IN, canonical::<CopyIn>),
    (Opcode::COPY_OUT, canonical::<CopyOut>),
    (Opcode::COPY_DEVICE, canonical::<CopyDevice>),
    (Opcode::FILL, canonical::<Fill>),
    (Opcode::of("cuCtxCreate_v4"), canonical::<ContextCreate>),
    (Opcode::of("cuCtxDestroy_v2"), canonical::<ContextRef>),
    (
        Opcode::of("cuDevicePrimaryCtxReset_v2"),
        canonical::<ContextRef>,
    ),
    (Opcode::of("cuCtxSynchronize"), canonical::<()>),
    (
        Opcode::of("cuStreamCreateWithPriority"),
        canonical::<StreamCreate>,
    ),
    (Opcode::of("cuStreamDestroy_v2"), canonical::<StreamRef>),
    (Opcode::of("cuStreamQuery"), canonical::<StreamRef>),
    (Opcode::of("cuStreamSynchronize"), canonical::<StreamRef>),
    (Opcode::of("cuEventCreate"), canonical::<EventCreate>),
    (Opcode::of("cuEventDestroy_v2"), canonical::<EventRef>),
    (Opcode::of("cuEventQuery"), canonical::<EventRef>),
    (Opcode::of("cuEventSynchronize"), canonical::<EventRef>),
    (Opcode::of("cuLaunchHostFunc"), canonical::<HostFunc>),
    (Opcode::of("cuLaunchKernel"), canonical::<Launch>),
    (Opcode::of("cuModuleGetFunction"), canonical::<GetFunction>),
    (
        Opcode::of("cuModuleGetGlobal_v2"),
        canonical::<ModuleGlobal>,
    ),
    (Opcode::of("cuModuleUnload"), canonical::<ModuleUnload>),
    (Opcode::of("cuLibraryGetKernel"), canonical::<GetKernel>),
    (Opcode::of("cuLibraryGetModule"), canonical::<LibraryModule>),
    (Opcode::of("cuLibraryGetGlobal"), canonical::<LibraryGlobal>),
    (Opcode::of("cuLibraryUnload"), canonical::<LibraryUnload>),
    (
        Opcode::of("cuKernelGetFunction"),
        canonical::<KernelFunction>,
    ),
    (Opcode::of("cuMemCreate"), canonical::<PhysicalCreate>),
    (Opcode::of("cuMemRelease"), canonical::<PhysicalRelease>),
    (Opcode::of("cuMemMap"), canonical::<PhysicalMap>),
    (Opcode::of("cuMemUnmap"), canonical::<Unmap>),
    (Opcode::of("cuMemSetAccess"), canonical::<SetAccess>),
];

/// The bodies that servers send: answers after the reply's head, and what answers nothing.
pub(crate) const ANSWERS: &[(Opcode, Check)] = &[
    (Opcode::CREDIT, canonical::<Credit>),
    (Opcode::OUTPUT, canonical::<Output>),
    (Opcode::GOODBYE, canonical::<Goodbye>),
    (Opcode::HOST_FUNC_DUE, canonical::<HostFuncDue>),
    (Opcode::PING, canonical::<ReplyHead>),
    (Opcode::WINDOW, canonical::<(ReplyHead, WindowAt)>),
    (Opcode::MODULE_LOAD, canonical::<(ReplyHead, Loaded)>),
    (Opcode::MODULE_UPLOAD, canonical::<(ReplyHead, Loaded)>),
    (
        Opcode::of("cuModuleGetGlobal_v2"),
        canonical::<(ReplyHead, Global)>,
    ),
    (
        Opcode::of("cuLibraryGetGlobal"),
        canonical::<(ReplyHead, Global)>,
    ),
];

/// Two bytes of operation, one whose lowest bit says who sends it (0: the client), then the body.
pub fn call_body(data: &[u8]) {
    let [low, high, sender, body @ ..] = data else {
        return;
    };
    let op = Opcode(u16::from_le_bytes([*low, *high]));
    match sender & 1 {
        0 => call(op, body),
        _ => answer(op, body),
    }
}

/// Reads the body of a call as a worker does.
pub(crate) fn call(op: Opcode, body: &[u8]) {
    if let Some((_, check)) = CALLS.iter().find(|(of, _)| *of == op) {
        check(body);
    }
    if let Some(handler) = handlers::<NoDriver>().get(&op.0) {
        // Without a driver nothing is carried out, so that there is nothing but an error to answer with.
        match handler(&NoDriver, body) {
            Err(Failure::Malformed(_) | Failure::Status(Status::ERROR_NOT_SUPPORTED)) => {}
            other => panic!("{op} without a driver: {other:?}"),
        }
    }
}

fn answer(op: Opcode, body: &[u8]) {
    if let Some((_, check)) = ANSWERS.iter().find(|(of, _)| *of == op) {
        check(body);
    }
}

/// A value is written as it was read: there is one way to write it.
pub(crate) fn canonical<T: Decode + Encode>(body: &[u8]) {
    let mut reader = Reader::new(body);
    let Ok(value) = T::decode(&mut reader) else {
        return;
    };
    let mut again = Vec::new();
    value.encode(&mut again);
    assert_eq!(again, body[..body.len() - reader.remaining()]);
}

/// A worker whose driver has no functions.
struct NoDriver;

impl WorkerSide for NoDriver {
    fn driver_handle(&self, _: HandleKind, _: u32) -> Result<*mut std::ffi::c_void, Status> {
        Err(Status::ERROR_INVALID_HANDLE)
    }

    fn symbol(&self, _: u16) -> Option<*const std::ffi::c_void> {
        None
    }
}
