//! Bodies of calls and of answers, one of each message.

use rgpu_proto::handle::Id;
use rgpu_proto::msg::launch::{Launch, LaunchEx};
use rgpu_proto::msg::link::{LinkAdd, LinkComplete, LinkCreate, LinkDestroy, LinkLog, Linked};
use rgpu_proto::msg::memory::{
    Back, CopyDevice, CopyIn, CopyOut, Element, Extent, Fill, PhysicalCreate, PhysicalMap,
    PhysicalRelease, Pitched, SetAccess, Unback, Unmap,
};
use rgpu_proto::msg::module::{
    GetFunction, GetKernel, Global, KernelFunction, KernelInfo, LibraryGlobal, LibraryModule,
    LibraryUnload, Load, LoadAs, LoadState, Loaded, ModuleGlobal, ModuleUnload, Upload,
};
use rgpu_proto::msg::stream::{
    EventCreate, EventRef, HostFunc, HostFuncDone, HostFuncDue, MemoryOp, StreamCreate, StreamGet,
    StreamMemory, StreamRef, StreamSet, StreamValue,
};
use rgpu_proto::msg::{
    ContextCreate, ContextRef, Credit, Goodbye, Output, ReplyHead, Window, WindowAt,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{Encode, to_bytes};

use super::Seeds;

pub(super) fn copy_in(width: u64) -> CopyIn {
    CopyIn {
        dst: Pitched::linear(0x1000_0000),
        extent: Extent::linear(width),
        stream: Id::new(16),
    }
}

fn load(inline: bool) -> Load {
    Load {
        load_as: LoadAs::Library,
        id: 17,
        hash: [7; 32],
        size: 5,
        inline,
        options: vec![(0, 32)],
    }
}

pub(super) fn launch() -> Launch {
    Launch {
        function: Id::new(18),
        kernel: Id::NULL,
        grid: [2, 1, 1],
        block: [64, 1, 1],
        shared: 0,
        stream: Id::new(16),
        cooperative: false,
    }
}

fn body(out: &mut Seeds, name: &'static str, op: Opcode, from_server: bool, bytes: &[u8]) {
    let [low, high] = op.0.to_le_bytes();
    let head = [low, high, u8::from(from_server)];
    out.put("call_body", name, &[&head, bytes].concat());
}

fn call(out: &mut Seeds, name: &'static str, op: Opcode, message: &impl Encode) {
    body(out, name, op, false, &to_bytes(message));
}

pub(super) fn bodies(out: &mut Seeds) {
    let of = Opcode::of;
    call(
        out,
        "window_reserved",
        Opcode::WINDOW,
        &Window { reserved: true },
    );
    call(out, "ping", Opcode::PING, &());
    call(out, "fence", Opcode::FENCE, &());
    call(
        out,
        "goodbye",
        Opcode::GOODBYE,
        &Goodbye {
            reason: "done".into(),
        },
    );
    let context = Id::new(30);
    call(
        out,
        "context",
        of("cuCtxCreate_v4"),
        &ContextCreate {
            id: context,
            device: 0,
            flags: 4,
        },
    );
    call(
        out,
        "context_destroy",
        of("cuCtxDestroy_v2"),
        &ContextRef { id: context },
    );
    call(
        out,
        "context_reset",
        of("cuDevicePrimaryCtxReset_v2"),
        &ContextRef { id: Id::new(1) },
    );
    call(out, "context_sync", of("cuCtxSynchronize"), &());
    call(out, "launch", of("cuLaunchKernel"), &launch());
    call(
        out,
        "launch_ex",
        of("cuLaunchKernelEx"),
        &LaunchEx {
            launch: launch(),
            priority: -2,
        },
    );
    memory(out);
    physical(out);
    modules(out);
    links(out);
    streams(out);
    answers(out);
}

fn memory(out: &mut Seeds) {
    let (address, size, stream) = (1 << 44, 2 << 20, Id::new(16));
    let place = |address| Pitched {
        address,
        pitch: 512,
        slice: 8192,
    };
    let extent = || Extent {
        width: 100,
        height: 16,
        depth: 2,
    };
    let fill = Fill {
        dst: address,
        pitch: 0,
        value: 255,
        element: Element::Byte,
        width: 100,
        height: 1,
        stream,
    };
    call(out, "back", Opcode::MEMORY_BACK, &Back { address, size });
    call(
        out,
        "unback",
        Opcode::MEMORY_UNBACK,
        &Unback { address, size },
    );
    call(out, "copy_in", Opcode::COPY_IN, &copy_in(3));
    call(
        out,
        "copy_out",
        Opcode::COPY_OUT,
        &CopyOut {
            src: place(address),
            extent: extent(),
            stream,
        },
    );
    let copy = CopyDevice {
        dst: place(address),
        src: place(address + size),
        extent: extent(),
        stream,
    };
    call(out, "copy_device", Opcode::COPY_DEVICE, &copy);
    call(out, "fill", Opcode::FILL, &fill);
}

fn physical(out: &mut Seeds) {
    let (id, address, size) = (Id::new(20), 1 << 44, 2 << 20);
    let of = Opcode::of;
    call(
        out,
        "create",
        of("cuMemCreate"),
        &PhysicalCreate { id, size },
    );
    call(
        out,
        "map",
        of("cuMemMap"),
        &PhysicalMap {
            address,
            size,
            offset: 0,
            id,
        },
    );
    call(
        out,
        "access",
        of("cuMemSetAccess"),
        &SetAccess {
            address,
            size,
            flags: 3,
        },
    );
    call(out, "unmap", of("cuMemUnmap"), &Unmap { address, size });
    call(out, "release", of("cuMemRelease"), &PhysicalRelease { id });
}

fn modules(out: &mut Seeds) {
    let (module, library, kernel) = (Id::new(17), Id::new(18), Id::new(19));
    let name = || String::from("scale");
    let of = Opcode::of;
    call(out, "load", Opcode::MODULE_LOAD, &load(false));
    call(
        out,
        "upload",
        Opcode::MODULE_UPLOAD,
        &Upload { load: load(false) },
    );
    call(
        out,
        "function",
        of("cuModuleGetFunction"),
        &GetFunction {
            id: Id::new(22),
            module,
            name: name(),
        },
    );
    call(
        out,
        "module_global",
        of("cuModuleGetGlobal_v2"),
        &ModuleGlobal {
            module,
            name: name(),
        },
    );
    call(
        out,
        "module_unload",
        of("cuModuleUnload"),
        &ModuleUnload { id: module },
    );
    call(
        out,
        "kernel",
        of("cuLibraryGetKernel"),
        &GetKernel {
            id: kernel,
            library,
            name: name(),
        },
    );
    call(
        out,
        "library_module",
        of("cuLibraryGetModule"),
        &LibraryModule {
            id: Id::new(23),
            library,
        },
    );
    call(
        out,
        "library_global",
        of("cuLibraryGetGlobal"),
        &LibraryGlobal {
            library,
            name: name(),
        },
    );
    call(
        out,
        "library_unload",
        of("cuLibraryUnload"),
        &LibraryUnload { id: library },
    );
    call(
        out,
        "kernel_function",
        of("cuKernelGetFunction"),
        &KernelFunction {
            id: Id::new(24),
            kernel,
        },
    );
}

fn links(out: &mut Seeds) {
    let id = Id::new(25);
    let of = Opcode::of;
    let options = vec![(9, 90)];
    call(
        out,
        "link_create",
        of("cuLinkCreate_v2"),
        &LinkCreate {
            id,
            options: options.clone(),
        },
    );
    call(
        out,
        "link_add",
        of("cuLinkAddData_v2"),
        &LinkAdd {
            id,
            kind: 1,
            name: "caller.ptx".into(),
            size: 1 << 20,
            inline: false,
            options,
        },
    );
    call(
        out,
        "link_complete",
        of("cuLinkComplete"),
        &LinkComplete { id, from: 8 << 20 },
    );
    call(
        out,
        "link_destroy",
        of("cuLinkDestroy"),
        &LinkDestroy { id },
    );
}

fn streams(out: &mut Seeds) {
    let (stream, event) = (Id::new(16), Id::new(21));
    let of = Opcode::of;
    call(
        out,
        "stream",
        of("cuStreamCreateWithPriority"),
        &StreamCreate {
            id: stream,
            flags: 1,
            priority: -5,
        },
    );
    call(
        out,
        "stream_get",
        of("cuStreamGetAttribute"),
        &StreamGet {
            id: stream,
            attribute: 8,
        },
    );
    call(
        out,
        "stream_set",
        of("cuStreamSetAttribute"),
        &StreamSet {
            id: stream,
            attribute: 3,
            value: vec![4; 64],
        },
    );
    call(
        out,
        "stream_memory",
        of("cuStreamBatchMemOp_v2"),
        &StreamMemory {
            id: stream,
            ops: vec![MemoryOp {
                operation: 4,
                flags: 1,
                address: 0x2000_0000_0200,
                value: 7,
            }],
        },
    );
    call(
        out,
        "stream_query",
        of("cuStreamQuery"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "stream_sync",
        of("cuStreamSynchronize"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "stream_destroy",
        of("cuStreamDestroy_v2"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "event",
        of("cuEventCreate"),
        &EventCreate {
            id: event,
            flags: 2,
        },
    );
    call(
        out,
        "event_query",
        of("cuEventQuery"),
        &EventRef { id: event },
    );
    call(
        out,
        "event_sync",
        of("cuEventSynchronize"),
        &EventRef { id: event },
    );
    call(
        out,
        "event_destroy",
        of("cuEventDestroy_v2"),
        &EventRef { id: event },
    );
    // A derived row: stream, event, flags.
    call(
        out,
        "wait_event",
        of("cuStreamWaitEvent"),
        &((16_u32, 21_u32), 0_u32),
    );
    call(
        out,
        "host_func",
        of("cuLaunchHostFunc"),
        &HostFunc {
            token: 1,
            stream,
            on_error: false,
        },
    );
    call(
        out,
        "host_func_done",
        Opcode::HOST_FUNC_DONE,
        &HostFuncDone { token: 1 },
    );
}

fn answer(out: &mut Seeds, name: &'static str, op: Opcode, message: &impl Encode) {
    body(out, name, op, true, &to_bytes(message));
}

fn answers(out: &mut Seeds) {
    let head = || ReplyHead {
        status: 0,
        deferred: 700,
        deferred_op: Opcode::FILL.0,
    };
    let kernel = KernelInfo {
        name: "scale".into(),
        params: vec![(0, 8)],
        attributes: vec![(0, 1024)],
    };
    let loaded = Loaded {
        state: LoadState::Loaded,
        kernels: vec![kernel],
        log: "fine".into(),
    };
    let needed = Loaded {
        state: LoadState::Needed,
        kernels: vec![],
        log: String::new(),
    };
    let global = || Global {
        address: 1 << 44,
        size: 8,
    };
    let of = Opcode::of;
    answer(out, "reply", Opcode::PING, &head());
    let log = || LinkLog {
        info: String::new(),
        error: "undefined reference".into(),
    };
    answer(
        out,
        "stream_value",
        Opcode::of("cuStreamGetAttribute"),
        &(head(), StreamValue { value: vec![1; 64] }),
    );
    answer(
        out,
        "link_log",
        Opcode::of("cuLinkAddData_v2"),
        &(head(), log()),
    );
    answer(
        out,
        "linked",
        Opcode::of("cuLinkComplete"),
        &(
            head(),
            Linked {
                log: log(),
                size: 9 << 20,
            },
        ),
    );
    answer(out, "credit", Opcode::CREDIT, &Credit { bytes: 1 << 20 });
    answer(
        out,
        "output",
        Opcode::OUTPUT,
        &Output {
            fd: 1,
            bytes: b"hello\n".to_vec(),
        },
    );
    answer(
        out,
        "host_func_due",
        Opcode::HOST_FUNC_DUE,
        &HostFuncDue {
            token: 1,
            status: 0,
        },
    );
    answer(
        out,
        "goodbye_server",
        Opcode::GOODBYE,
        &Goodbye {
            reason: "protocol violation".into(),
        },
    );
    answer(out, "needed", Opcode::MODULE_LOAD, &(head(), needed));
    answer(out, "loaded", Opcode::MODULE_UPLOAD, &(head(), loaded));
    answer(
        out,
        "window",
        Opcode::WINDOW,
        &(
            head(),
            WindowAt {
                base: 1 << 44,
                size: 1 << 34,
            },
        ),
    );
    answer(
        out,
        "global",
        of("cuModuleGetGlobal_v2"),
        &(head(), global()),
    );
    answer(
        out,
        "global_library",
        of("cuLibraryGetGlobal"),
        &(head(), global()),
    );
}
