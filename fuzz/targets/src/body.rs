//! Bodies of calls and of answers.

use rgpu_proto::derived::worker::{Failure, handlers};
use rgpu_proto::handle::HandleKind;
use rgpu_proto::kinds::WorkerSide;
use rgpu_proto::msg::launch::{Launch, LaunchEx};
use rgpu_proto::msg::link::{LinkAdd, LinkComplete, LinkCreate, LinkDestroy, LinkLog, Linked};
use rgpu_proto::msg::memory::{
    Back, CopyDevice, CopyIn, CopyOut, Fill, PhysicalCreate, PhysicalMap, PhysicalRelease,
    SetAccess, Unback, Unmap,
};
use rgpu_proto::msg::module::{
    GetFunction, GetKernel, Global, KernelFunction, LibraryGlobal, LibraryModule, LibraryUnload,
    Load, Loaded, ModuleGlobal, ModuleUnload, Upload,
};
use rgpu_proto::msg::stream::{
    EventCreate, EventRef, HostFunc, HostFuncDone, HostFuncDue, StreamCreate, StreamGet,
    StreamMemory, StreamRef, StreamSet, StreamValue,
};
use rgpu_proto::msg::{
    ContextCreate, ContextRef, Credit, Goodbye, Output, ReplyHead, Window, WindowAt,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{Decode, Encode, Reader};

/// Reads a body, or does not; what it read must be what it would write.
pub(crate) type Check = fn(&[u8]);

/// An operation, the name of its body's type, and the check of such a body.
pub(crate) type Body = (Opcode, &'static str, Check);

macro_rules! bodies {
    ($($op:expr => $body:ty;)*) => { &[$(($op, stringify!($body), canonical::<$body>)),*] };
}

/// The bodies that clients send, by operation.
pub(crate) const CALLS: &[Body] = bodies! {
    Opcode::MODULE_LOAD => Load;
    Opcode::MODULE_UPLOAD => Upload;
    Opcode::HOST_FUNC_DONE => HostFuncDone;
    Opcode::GOODBYE => Goodbye;
    Opcode::PING => ();
    Opcode::WINDOW => Window;
    Opcode::MEMORY_BACK => Back;
    Opcode::MEMORY_UNBACK => Unback;
    Opcode::FENCE => ();
    Opcode::COPY_IN => CopyIn;
    Opcode::COPY_OUT => CopyOut;
    Opcode::COPY_DEVICE => CopyDevice;
    Opcode::FILL => Fill;
    Opcode::of("cuCtxCreate_v4") => ContextCreate;
    Opcode::of("cuCtxDestroy_v2") => ContextRef;
    Opcode::of("cuDevicePrimaryCtxReset_v2") => ContextRef;
    Opcode::of("cuCtxSynchronize") => ();
    Opcode::of("cuStreamCreateWithPriority") => StreamCreate;
    Opcode::of("cuStreamDestroy_v2") => StreamRef;
    Opcode::of("cuStreamGetAttribute") => StreamGet;
    Opcode::of("cuStreamSetAttribute") => StreamSet;
    Opcode::of("cuStreamBatchMemOp_v2") => StreamMemory;
    Opcode::of("cuStreamQuery") => StreamRef;
    Opcode::of("cuStreamSynchronize") => StreamRef;
    Opcode::of("cuEventCreate") => EventCreate;
    Opcode::of("cuEventDestroy_v2") => EventRef;
    Opcode::of("cuEventQuery") => EventRef;
    Opcode::of("cuEventSynchronize") => EventRef;
    Opcode::of("cuLaunchHostFunc") => HostFunc;
    Opcode::of("cuLaunchKernel") => Launch;
    Opcode::of("cuLaunchKernelEx") => LaunchEx;
    Opcode::of("cuLinkAddData_v2") => LinkAdd;
    Opcode::of("cuLinkComplete") => LinkComplete;
    Opcode::of("cuLinkCreate_v2") => LinkCreate;
    Opcode::of("cuLinkDestroy") => LinkDestroy;
    Opcode::of("cuModuleGetFunction") => GetFunction;
    Opcode::of("cuModuleGetGlobal_v2") => ModuleGlobal;
    Opcode::of("cuModuleUnload") => ModuleUnload;
    Opcode::of("cuLibraryGetKernel") => GetKernel;
    Opcode::of("cuLibraryGetModule") => LibraryModule;
    Opcode::of("cuLibraryGetGlobal") => LibraryGlobal;
    Opcode::of("cuLibraryUnload") => LibraryUnload;
    Opcode::of("cuKernelGetFunction") => KernelFunction;
    Opcode::of("cuMemCreate") => PhysicalCreate;
    Opcode::of("cuMemRelease") => PhysicalRelease;
    Opcode::of("cuMemMap") => PhysicalMap;
    Opcode::of("cuMemUnmap") => Unmap;
    Opcode::of("cuMemSetAccess") => SetAccess;
};

/// The bodies that servers send: answers after the reply's head, and what answers nothing.
pub(crate) const ANSWERS: &[Body] = bodies! {
    Opcode::CREDIT => Credit;
    Opcode::OUTPUT => Output;
    Opcode::GOODBYE => Goodbye;
    Opcode::HOST_FUNC_DUE => HostFuncDue;
    Opcode::PING => ReplyHead;
    Opcode::WINDOW => (ReplyHead, WindowAt);
    Opcode::MODULE_LOAD => (ReplyHead, Loaded);
    Opcode::MODULE_UPLOAD => (ReplyHead, Loaded);
    Opcode::of("cuStreamGetAttribute") => (ReplyHead, StreamValue);
    Opcode::of("cuLinkAddData_v2") => (ReplyHead, LinkLog);
    Opcode::of("cuLinkComplete") => (ReplyHead, Linked);
    Opcode::of("cuModuleGetGlobal_v2") => (ReplyHead, Global);
    Opcode::of("cuLibraryGetGlobal") => (ReplyHead, Global);
};

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
    if let Some((.., check)) = CALLS.iter().find(|(of, ..)| *of == op) {
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
    if let Some((.., check)) = ANSWERS.iter().find(|(of, ..)| *of == op) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that carry a message, and which, are stated in the specification.
    #[test]
    fn the_specification_names_every_body() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
        let page = std::fs::read_to_string(path).expect("docs/protocol.md");
        for (op, body, _) in CALLS.iter().filter(|(op, ..)| op.0 < Opcode::PROTOCOL) {
            let row = format!(
                "| `{}` | {} |",
                op.name(),
                if *body == "()" {
                    "nothing".into()
                } else {
                    format!("`{body}`")
                }
            );
            assert!(page.contains(&row), "docs/protocol.md lacks `{row}`");
        }
        for (op, body, _) in CALLS.iter().filter(|(op, ..)| op.0 >= Opcode::PROTOCOL) {
            let line = page
                .lines()
                .find(|line| line.contains(&format!("| `{}` |", op.name())));
            let named =
                *body == "()" || line.is_some_and(|line| line.contains(&format!("`{body}`")));
            assert!(
                named,
                "docs/protocol.md does not say that {op} carries {body}"
            );
        }
    }
}
