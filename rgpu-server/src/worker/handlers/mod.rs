//! What each operation does, one file per family.

mod backend;
mod context;
mod launch;
mod link;
mod lt;
mod memory;
mod module;
mod slots;
mod stream;

pub(super) use link::Link;
pub(super) use lt::Descriptors;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec;
pub(super) use slots::Slots;

use super::session::{DONE, Handled, Session};
use super::wire_in::End;

macro_rules! op {
    ($name:literal) => {
        const { Opcode::of($name) }.0
    };
}

impl Session {
    /// Carries out the frame at hand.
    pub(super) fn handle(&mut self, body: &[u8]) -> Handled {
        const CONTEXT_CREATE: u16 = op!("cuCtxCreate_v4");
        const CONTEXT_DESTROY: u16 = op!("cuCtxDestroy_v2");
        const CONTEXT_RESET: u16 = op!("cuDevicePrimaryCtxReset_v2");
        const CONTEXT_SYNC: u16 = op!("cuCtxSynchronize");
        const STREAM_CREATE: u16 = op!("cuStreamCreateWithPriority");
        const STREAM_DESTROY: u16 = op!("cuStreamDestroy_v2");
        const STREAM_GET: u16 = op!("cuStreamGetAttribute");
        const STREAM_SET: u16 = op!("cuStreamSetAttribute");
        const STREAM_MEMORY: u16 = op!("cuStreamBatchMemOp_v2");
        const STREAM_QUERY: u16 = op!("cuStreamQuery");
        const STREAM_SYNC: u16 = op!("cuStreamSynchronize");
        const EVENT_CREATE: u16 = op!("cuEventCreate");
        const EVENT_DESTROY: u16 = op!("cuEventDestroy_v2");
        const EVENT_QUERY: u16 = op!("cuEventQuery");
        const EVENT_SYNC: u16 = op!("cuEventSynchronize");
        const HOST_FUNC: u16 = op!("cuLaunchHostFunc");
        const LAUNCH: u16 = op!("cuLaunchKernel");
        const LAUNCH_EX: u16 = op!("cuLaunchKernelEx");
        const LINK_ADD: u16 = op!("cuLinkAddData_v2");
        const LINK_COMPLETE: u16 = op!("cuLinkComplete");
        const LINK_CREATE: u16 = op!("cuLinkCreate_v2");
        const LINK_DESTROY: u16 = op!("cuLinkDestroy");
        const MODULE_FUNCTION: u16 = op!("cuModuleGetFunction");
        const MODULE_GLOBAL: u16 = op!("cuModuleGetGlobal_v2");
        const MODULE_UNLOAD: u16 = op!("cuModuleUnload");
        const LIBRARY_KERNEL: u16 = op!("cuLibraryGetKernel");
        const LIBRARY_MODULE: u16 = op!("cuLibraryGetModule");
        const LIBRARY_GLOBAL: u16 = op!("cuLibraryGetGlobal");
        const LIBRARY_UNLOAD: u16 = op!("cuLibraryUnload");
        const KERNEL_FUNCTION: u16 = op!("cuKernelGetFunction");
        const PHYSICAL_CREATE: u16 = op!("cuMemCreate");
        const PHYSICAL_RELEASE: u16 = op!("cuMemRelease");
        const PHYSICAL_MAP: u16 = op!("cuMemMap");
        const PHYSICAL_UNMAP: u16 = op!("cuMemUnmap");
        const SET_ACCESS: u16 = op!("cuMemSetAccess");

        const LIBRARIES: u16 = spec::cublas::ROWS[0].id;

        match self.frame.op {
            Opcode::PING => Ok(DONE),
            Opcode::GOODBYE => Err(End::Left.into()),
            Opcode::WINDOW => self.window_reserved(&self.decode(body)?),
            Opcode::MEMORY_BACK => self.back(&self.decode(body)?),
            Opcode::MEMORY_UNBACK => self.unback(&self.decode(body)?),
            Opcode::FENCE => self.fence(),
            Opcode::COPY_IN => self.copy_in(body),
            Opcode::COPY_OUT => self.copy_out(&self.decode(body)?),
            Opcode::COPY_DEVICE => self.copy_device(&self.decode(body)?),
            Opcode::FILL => self.fill(&self.decode(body)?),
            Opcode::MODULE_LOAD => self.module_load(body),
            Opcode::MODULE_UPLOAD => self.module_upload(self.decode(body)?),
            Opcode::HOST_FUNC_DONE => self.host_func_done(&self.decode(body)?),
            Opcode(CONTEXT_CREATE) => self.context_create(&self.decode(body)?),
            Opcode(CONTEXT_DESTROY) => self.context_destroy(&self.decode(body)?),
            Opcode(CONTEXT_RESET) => self.context_reset(&self.decode(body)?),
            Opcode(CONTEXT_SYNC) => self.context_synchronize(),
            Opcode(STREAM_CREATE) => self.stream_create(&self.decode(body)?),
            Opcode(STREAM_DESTROY) => self.stream_destroy(&self.decode(body)?),
            Opcode(STREAM_GET) => self.stream_get(&self.decode(body)?),
            Opcode(STREAM_SET) => self.stream_set(&self.decode(body)?),
            Opcode(STREAM_MEMORY) => self.stream_memory(&self.decode(body)?),
            Opcode(STREAM_QUERY) => self.stream_query(&self.decode(body)?),
            Opcode(STREAM_SYNC) => self.stream_synchronize(&self.decode(body)?),
            Opcode(EVENT_CREATE) => self.event_create(&self.decode(body)?),
            Opcode(EVENT_DESTROY) => self.event_destroy(&self.decode(body)?),
            Opcode(EVENT_QUERY) => self.event_query(&self.decode(body)?),
            Opcode(EVENT_SYNC) => self.event_synchronize(&self.decode(body)?),
            Opcode(HOST_FUNC) => self.host_func(&self.decode(body)?),
            Opcode(LAUNCH) => self.launch(body),
            Opcode(LAUNCH_EX) => self.launch_ex(body),
            Opcode(LINK_ADD) => self.link_add(body),
            Opcode(LINK_COMPLETE) => self.link_complete(&self.decode(body)?),
            Opcode(LINK_CREATE) => self.link_create(&self.decode(body)?),
            Opcode(LINK_DESTROY) => self.link_destroy(&self.decode(body)?),
            Opcode(MODULE_FUNCTION) => self.module_function(self.decode(body)?),
            Opcode(MODULE_GLOBAL) => self.module_global(self.decode(body)?),
            Opcode(MODULE_UNLOAD) => self.module_unload(&self.decode(body)?),
            Opcode(LIBRARY_KERNEL) => self.library_kernel(self.decode(body)?),
            Opcode(LIBRARY_MODULE) => self.library_module(&self.decode(body)?),
            Opcode(LIBRARY_GLOBAL) => self.library_global(self.decode(body)?),
            Opcode(LIBRARY_UNLOAD) => self.library_unload(&self.decode(body)?),
            Opcode(KERNEL_FUNCTION) => self.kernel_function(&self.decode(body)?),
            Opcode(PHYSICAL_CREATE) => self.physical_create(&self.decode(body)?),
            Opcode(PHYSICAL_RELEASE) => self.physical_release(&self.decode(body)?),
            Opcode(PHYSICAL_MAP) => self.physical_map(&self.decode(body)?),
            Opcode(PHYSICAL_UNMAP) => self.physical_unmap(&self.decode(body)?),
            Opcode(SET_ACCESS) => self.set_access(&self.decode(body)?),
            Opcode(LIBRARIES..Opcode::PROTOCOL) => self.library_call(body),
            _ => self.derived(body),
        }
    }
}
