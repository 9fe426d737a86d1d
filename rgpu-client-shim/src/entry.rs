//! The C functions of `libcuda.so.1`, made from the rows.
//!
//! The row `0x0905 custom recorded cuEventQuery(h_event: Handle<Event>);` becomes
//!
//! ```text
//! #[unsafe(no_mangle)]
//! pub unsafe extern "C" fn cuEventQuery(h_event: *mut c_void) -> u32 {
//!     gate::enter(<index of the row>, || unsafe { api::cuEventQuery(h_event) })
//! }
//! ```
//!
//! `posted` and `reply` rows call their derived half in `rgpu-proto` instead, `absent` rows `gate::absent`.

#![expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]

use std::ffi::c_void;

use rgpu_proto::derived::client as derived;
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;

use crate::client::Client;
use crate::{api, client, gate, stats};

/// What stands for an argument of a derived row: default streams, and functions where cudart passes kernels.
trait Stand: Kind {
    fn stand(_client: &'static Client, value: Self::C) -> Result<Self::C, Status> {
        Ok(value)
    }
}

impl<T: Scalar> Stand for In<T> {}
impl<T: Scalar> Stand for Out<T> {}
impl<K: Named> Stand for Handle<K> {
    fn stand(client: &'static Client, value: *mut c_void) -> Result<*mut c_void, Status> {
        api::resolve::<K>(client, value)
    }
}

macro_rules! body {
    (absent $index:ident $name:ident ($($param:ident: $kind:ty),*)) => {{
        $(let _ = $param;)*
        gate::enter($index, || Err(gate::absent($index)))
    }};
    (posted $($row:tt)*) => { body!(@derived $($row)*) };
    (reply $($row:tt)*) => { body!(@derived $($row)*) };
    (@derived $index:ident $name:ident ($($param:ident: $kind:ty),*)) => {
        gate::enter($index, || {
            let client = client::get()?;
            client.context_of(const { Opcode::of(stringify!($name)) })?;
            $(let $param = <$kind as Stand>::stand(client, $param)?;)*
            // SAFETY: the application keeps the contract of the C function of this name.
            unsafe { derived::$name(&client, $($param),*) }
        })
    };
    // `local` and `custom`.
    ($class:ident $index:ident $name:ident ($($param:ident: $kind:ty),*)) => {
        // SAFETY: the application keeps the contract of the C function of this name.
        gate::enter($index, || unsafe { api::$name($($param),*) })
    };
}

macro_rules! entries {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident: $kind:ty),*);)*) => {$(
        /// See NVIDIA's CUDA Driver API reference.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, reason = "the C API has them")]
        pub unsafe extern "C" fn $name($($param: <$kind as Kind>::C),*) -> u32 {
            const INDEX: usize = stats::row_index($id);
            body!($class INDEX $name ($($param: $kind),*))
        }
    )*};
}

rgpu_proto::driver_rows!(entries);

/// The address of a function, in a table that threads share.
#[derive(Clone, Copy)]
struct Address(*const c_void);

// SAFETY: functions are the same on every thread; nothing is read through the pointer.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

macro_rules! addresses {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident: $kind:ty),*);)*) => {
        &[$((
            stringify!($name),
            Address($name as unsafe extern "C" fn($(<$kind as Kind>::C),*) -> u32 as *const c_void),
        )),*]
    };
}

static ADDRESSES: &[&[(&str, Address)]] = &[
    rgpu_proto::driver_init_rows!(addresses),
    rgpu_proto::driver_device_rows!(addresses),
    rgpu_proto::driver_context_rows!(addresses),
    rgpu_proto::driver_module_rows!(addresses),
    rgpu_proto::driver_library_rows!(addresses),
    rgpu_proto::driver_memory_rows!(addresses),
    rgpu_proto::driver_vmm_rows!(addresses),
    rgpu_proto::driver_pool_rows!(addresses),
    rgpu_proto::driver_stream_rows!(addresses),
    rgpu_proto::driver_event_rows!(addresses),
    rgpu_proto::driver_launch_rows!(addresses),
    rgpu_proto::driver_graph_rows!(addresses),
    rgpu_proto::driver_texture_rows!(addresses),
    rgpu_proto::driver_interop_rows!(addresses),
    own_stream::ADDRESSES,
];

/// The address of an exported function, for `cuGetProcAddress`.
pub(crate) fn exported(name: &str) -> Option<*const c_void> {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    static BY_NAME: OnceLock<HashMap<&str, Address>> = OnceLock::new();
    let table = BY_NAME.get_or_init(|| ADDRESSES.iter().copied().flatten().copied().collect());
    table.get(name).map(|address| address.0)
}

pub mod own_stream {
    //! The forms whose null stream is the calling thread's own (`cuda.h`, `__CUDA_API_PTDS`, `__CUDA_API_PTSZ`).

    use std::ffi::c_void;

    use super::Address;

    // `cuEventRecord_ptsz = cuEventRecord(h_event: *mut c_void, h_stream: *mut c_void);` becomes the function
    // on the left, which calls the one on the right with the thread's own default stream.
    macro_rules! own_stream {
        ($($name:ident = $base:ident($($param:ident: $type:ty),*);)*) => {
            $(
                /// See NVIDIA's CUDA Driver API reference.
                #[unsafe(no_mangle)]
                #[allow(clippy::too_many_arguments, reason = "the C API has them")]
                pub unsafe extern "C" fn $name($($param: $type),*) -> u32 {
                    // SAFETY: the application keeps the contract of the C function of this name.
                    crate::thread::with_own_default_stream(|| unsafe { super::$base($($param),*) })
                }
            )*

            pub(super) static ADDRESSES: &[(&str, Address)] = &[$((
                stringify!($name),
                Address($name as unsafe extern "C" fn($($type),*) -> u32 as *const c_void),
            )),*];
        };
    }

    own_stream! {
        cuEventRecordWithFlags_ptsz = cuEventRecordWithFlags(h_event: *mut c_void, h_stream: *mut c_void, flags: u32);
        cuEventRecord_ptsz = cuEventRecord(h_event: *mut c_void, h_stream: *mut c_void);
        cuGraphInstantiateWithParams_ptsz = cuGraphInstantiateWithParams(ph_graph_exec: *mut c_void, h_graph: usize, instantiate_params: *mut c_void);
        cuGraphLaunch_ptsz = cuGraphLaunch(h_graph_exec: usize, h_stream: *mut c_void);
        cuGraphUpload_ptsz = cuGraphUpload(h_graph_exec: usize, h_stream: *mut c_void);
        cuGraphicsMapResources_ptsz = cuGraphicsMapResources(count: u32, resources: *mut c_void, h_stream: *mut c_void);
        cuGraphicsUnmapResources_ptsz = cuGraphicsUnmapResources(count: u32, resources: *mut c_void, h_stream: *mut c_void);
        cuLaunchCooperativeKernel_ptsz = cuLaunchCooperativeKernel(f: *mut c_void, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32, block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, h_stream: *mut c_void, kernel_params: *mut c_void);
        cuLaunchHostFunc_ptsz = cuLaunchHostFunc(h_stream: *mut c_void, fn_: Option<unsafe extern "C" fn()>, user_data: *mut c_void);
        cuLaunchKernelEx_ptsz = cuLaunchKernelEx(config: *const c_void, f: *mut c_void, kernel_params: *mut c_void, extra: *mut c_void);
        cuLaunchKernel_ptsz = cuLaunchKernel(f: *mut c_void, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32, block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, h_stream: *mut c_void, kernel_params: *mut c_void, extra: *mut c_void);
        cuMemAllocAsync_ptsz = cuMemAllocAsync(dptr: *mut u64, bytesize: usize, h_stream: *mut c_void);
        cuMemAllocFromPoolAsync_ptsz = cuMemAllocFromPoolAsync(dptr: *mut u64, bytesize: usize, pool: *mut c_void, h_stream: *mut c_void);
        cuMemBatchDecompressAsync_ptsz = cuMemBatchDecompressAsync(params_array: *mut c_void, count: usize, flags: u32, error_index: *mut usize, stream: *mut c_void);
        cuMemDiscardAndPrefetchBatchAsync_ptsz = cuMemDiscardAndPrefetchBatchAsync(dptrs: *mut u64, sizes: *mut usize, count: usize, prefetch_locs: *mut c_void, prefetch_loc_idxs: *mut usize, num_prefetch_locs: usize, flags: u64, h_stream: *mut c_void);
        cuMemDiscardBatchAsync_ptsz = cuMemDiscardBatchAsync(dptrs: *mut u64, sizes: *mut usize, count: usize, flags: u64, h_stream: *mut c_void);
        cuMemFreeAsync_ptsz = cuMemFreeAsync(dptr: u64, h_stream: *mut c_void);
        cuMemMapArrayAsync_ptsz = cuMemMapArrayAsync(map_info_list: *mut c_void, count: u32, h_stream: *mut c_void);
        cuMemPrefetchAsync_ptsz = cuMemPrefetchAsync(ptr: u64, count: usize, dst_device: i32, h_stream: *mut c_void);
        cuMemPrefetchAsync_v2_ptsz = cuMemPrefetchAsync_v2(ptr: u64, count: usize, location: usize, flags: u32, h_stream: *mut c_void);
        cuMemPrefetchBatchAsync_ptsz = cuMemPrefetchBatchAsync(dptrs: *mut u64, sizes: *mut usize, count: usize, prefetch_locs: *mut c_void, prefetch_loc_idxs: *mut usize, num_prefetch_locs: usize, flags: u64, h_stream: *mut c_void);
        cuMemcpy2DAsync_v2_ptsz = cuMemcpy2DAsync_v2(p_copy: *const c_void, h_stream: *mut c_void);
        cuMemcpy2DUnaligned_v2_ptds = cuMemcpy2DUnaligned_v2(p_copy: *const c_void);
        cuMemcpy2D_v2_ptds = cuMemcpy2D_v2(p_copy: *const c_void);
        cuMemcpy3DAsync_v2_ptsz = cuMemcpy3DAsync_v2(p_copy: *const c_void, h_stream: *mut c_void);
        cuMemcpy3DBatchAsync_v2_ptsz = cuMemcpy3DBatchAsync_v2(num_ops: usize, op_list: *mut c_void, flags: u64, h_stream: *mut c_void);
        cuMemcpy3DPeerAsync_ptsz = cuMemcpy3DPeerAsync(p_copy: *const c_void, h_stream: *mut c_void);
        cuMemcpy3DPeer_ptds = cuMemcpy3DPeer(p_copy: *const c_void);
        cuMemcpy3D_v2_ptds = cuMemcpy3D_v2(p_copy: *const c_void);
        cuMemcpyAsync_ptsz = cuMemcpyAsync(dst: u64, src: u64, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyAtoA_v2_ptds = cuMemcpyAtoA_v2(dst_array: usize, dst_offset: usize, src_array: usize, src_offset: usize, byte_count: usize);
        cuMemcpyAtoD_v2_ptds = cuMemcpyAtoD_v2(dst_device: u64, src_array: usize, src_offset: usize, byte_count: usize);
        cuMemcpyAtoHAsync_v2_ptsz = cuMemcpyAtoHAsync_v2(dst_host: *mut c_void, src_array: usize, src_offset: usize, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyAtoH_v2_ptds = cuMemcpyAtoH_v2(dst_host: *mut c_void, src_array: usize, src_offset: usize, byte_count: usize);
        cuMemcpyBatchAsync_v2_ptsz = cuMemcpyBatchAsync_v2(dsts: *mut u64, srcs: *mut u64, sizes: *mut usize, count: usize, attrs: *mut c_void, attrs_idxs: *mut usize, num_attrs: usize, h_stream: *mut c_void);
        cuMemcpyDtoA_v2_ptds = cuMemcpyDtoA_v2(dst_array: usize, dst_offset: usize, src_device: u64, byte_count: usize);
        cuMemcpyDtoDAsync_v2_ptsz = cuMemcpyDtoDAsync_v2(dst_device: u64, src_device: u64, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyDtoD_v2_ptds = cuMemcpyDtoD_v2(dst_device: u64, src_device: u64, byte_count: usize);
        cuMemcpyDtoHAsync_v2_ptsz = cuMemcpyDtoHAsync_v2(dst_host: *mut c_void, src_device: u64, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyDtoH_v2_ptds = cuMemcpyDtoH_v2(dst_host: *mut c_void, src_device: u64, byte_count: usize);
        cuMemcpyHtoAAsync_v2_ptsz = cuMemcpyHtoAAsync_v2(dst_array: usize, dst_offset: usize, src_host: *const c_void, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyHtoA_v2_ptds = cuMemcpyHtoA_v2(dst_array: usize, dst_offset: usize, src_host: *const c_void, byte_count: usize);
        cuMemcpyHtoDAsync_v2_ptsz = cuMemcpyHtoDAsync_v2(dst_device: u64, src_host: *const c_void, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyHtoD_v2_ptds = cuMemcpyHtoD_v2(dst_device: u64, src_host: *const c_void, byte_count: usize);
        cuMemcpyPeerAsync_ptsz = cuMemcpyPeerAsync(dst_device: u64, dst_context: *mut c_void, src_device: u64, src_context: *mut c_void, byte_count: usize, h_stream: *mut c_void);
        cuMemcpyPeer_ptds = cuMemcpyPeer(dst_device: u64, dst_context: *mut c_void, src_device: u64, src_context: *mut c_void, byte_count: usize);
        cuMemcpy_ptds = cuMemcpy(dst: u64, src: u64, byte_count: usize);
        cuMemsetD16Async_ptsz = cuMemsetD16Async(dst_device: u64, us: u16, n: usize, h_stream: *mut c_void);
        cuMemsetD16_v2_ptds = cuMemsetD16_v2(dst_device: u64, us: u16, n: usize);
        cuMemsetD2D16Async_ptsz = cuMemsetD2D16Async(dst_device: u64, dst_pitch: usize, us: u16, width: usize, height: usize, h_stream: *mut c_void);
        cuMemsetD2D16_v2_ptds = cuMemsetD2D16_v2(dst_device: u64, dst_pitch: usize, us: u16, width: usize, height: usize);
        cuMemsetD2D32Async_ptsz = cuMemsetD2D32Async(dst_device: u64, dst_pitch: usize, ui: u32, width: usize, height: usize, h_stream: *mut c_void);
        cuMemsetD2D32_v2_ptds = cuMemsetD2D32_v2(dst_device: u64, dst_pitch: usize, ui: u32, width: usize, height: usize);
        cuMemsetD2D8Async_ptsz = cuMemsetD2D8Async(dst_device: u64, dst_pitch: usize, uc: u8, width: usize, height: usize, h_stream: *mut c_void);
        cuMemsetD2D8_v2_ptds = cuMemsetD2D8_v2(dst_device: u64, dst_pitch: usize, uc: u8, width: usize, height: usize);
        cuMemsetD32Async_ptsz = cuMemsetD32Async(dst_device: u64, ui: u32, n: usize, h_stream: *mut c_void);
        cuMemsetD32_v2_ptds = cuMemsetD32_v2(dst_device: u64, ui: u32, n: usize);
        cuMemsetD8Async_ptsz = cuMemsetD8Async(dst_device: u64, uc: u8, n: usize, h_stream: *mut c_void);
        cuMemsetD8_v2_ptds = cuMemsetD8_v2(dst_device: u64, uc: u8, n: usize);
        cuSignalExternalSemaphoresAsync_ptsz = cuSignalExternalSemaphoresAsync(ext_sem_array: *const c_void, params_array: *const c_void, num_ext_sems: u32, stream: *mut c_void);
        cuStreamAddCallback_ptsz = cuStreamAddCallback(h_stream: *mut c_void, callback: Option<unsafe extern "C" fn()>, user_data: *mut c_void, flags: u32);
        cuStreamAttachMemAsync_ptsz = cuStreamAttachMemAsync(h_stream: *mut c_void, dptr: u64, length: usize, flags: u32);
        cuStreamBatchMemOp_v2_ptsz = cuStreamBatchMemOp_v2(stream: *mut c_void, count: u32, param_array: *mut c_void, flags: u32);
        cuStreamBeginCaptureToGraph_ptsz = cuStreamBeginCaptureToGraph(h_stream: *mut c_void, h_graph: usize, dependencies: *const c_void, dependency_data: *const c_void, num_dependencies: usize, mode: u32);
        cuStreamBeginCapture_ptsz = cuStreamBeginCapture(h_stream: *mut c_void, mode: u32);
        cuStreamBeginCapture_v2_ptsz = cuStreamBeginCapture_v2(h_stream: *mut c_void, mode: u32);
        cuStreamCopyAttributes_ptsz = cuStreamCopyAttributes(dst: *mut c_void, src: *mut c_void);
        cuStreamEndCapture_ptsz = cuStreamEndCapture(h_stream: *mut c_void, ph_graph: *mut c_void);
        cuStreamGetAttribute_ptsz = cuStreamGetAttribute(h_stream: *mut c_void, attr: u32, value_out: *mut c_void);
        cuStreamGetCaptureInfo_v2_ptsz = cuStreamGetCaptureInfo_v2(h_stream: *mut c_void, capture_status_out: *mut u32, id_out: *mut u64, graph_out: *mut c_void, dependencies_out: *mut c_void, num_dependencies_out: *mut usize);
        cuStreamGetCaptureInfo_v3_ptsz = cuStreamGetCaptureInfo_v3(h_stream: *mut c_void, capture_status_out: *mut u32, id_out: *mut u64, graph_out: *mut c_void, dependencies_out: *mut c_void, edge_data_out: *mut c_void, num_dependencies_out: *mut usize);
        cuStreamGetCtx_ptsz = cuStreamGetCtx(h_stream: *mut c_void, pctx: *mut *mut c_void);
        cuStreamGetCtx_v2_ptsz = cuStreamGetCtx_v2(h_stream: *mut c_void, p_ctx: *mut *mut c_void, p_green_ctx: *mut c_void);
        cuStreamGetDevice_ptsz = cuStreamGetDevice(h_stream: *mut c_void, device: *mut i32);
        cuStreamGetFlags_ptsz = cuStreamGetFlags(h_stream: *mut c_void, flags: *mut u32);
        cuStreamGetId_ptsz = cuStreamGetId(h_stream: *mut c_void, stream_id: *mut u64);
        cuStreamGetPriority_ptsz = cuStreamGetPriority(h_stream: *mut c_void, priority: *mut i32);
        cuStreamIsCapturing_ptsz = cuStreamIsCapturing(h_stream: *mut c_void, capture_status: *mut u32);
        cuStreamQuery_ptsz = cuStreamQuery(h_stream: *mut c_void);
        cuStreamSetAttribute_ptsz = cuStreamSetAttribute(h_stream: *mut c_void, attr: u32, value: *const c_void);
        cuStreamSynchronize_ptsz = cuStreamSynchronize(h_stream: *mut c_void);
        cuStreamUpdateCaptureDependencies_v2_ptsz = cuStreamUpdateCaptureDependencies_v2(h_stream: *mut c_void, dependencies: *mut c_void, dependency_data: *const c_void, num_dependencies: usize, flags: u32);
        cuStreamWaitEvent_ptsz = cuStreamWaitEvent(h_stream: *mut c_void, h_event: *mut c_void, flags: u32);
        cuStreamWaitValue32_v2_ptsz = cuStreamWaitValue32_v2(stream: *mut c_void, addr: u64, value: u32, flags: u32);
        cuStreamWaitValue64_v2_ptsz = cuStreamWaitValue64_v2(stream: *mut c_void, addr: u64, value: u64, flags: u32);
        cuStreamWriteValue32_v2_ptsz = cuStreamWriteValue32_v2(stream: *mut c_void, addr: u64, value: u32, flags: u32);
        cuStreamWriteValue64_v2_ptsz = cuStreamWriteValue64_v2(stream: *mut c_void, addr: u64, value: u64, flags: u32);
        cuWaitExternalSemaphoresAsync_ptsz = cuWaitExternalSemaphoresAsync(ext_sem_array: *const c_void, params_array: *const c_void, num_ext_sems: u32, stream: *mut c_void);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rgpu_proto::spec::{Class, driver::ROWS};

    #[test]
    fn every_row_is_found_by_name() {
        for row in &ROWS {
            assert!(exported(row.name).is_some(), "{}", row.name);
        }
        assert_eq!(exported("cuNoSuchFunction"), None);
        assert_ne!(exported("cuEventRecord"), exported("cuEventRecord_ptsz"));
        assert!(exported("cuGraphLaunch_ptsz").is_some());
    }

    #[test]
    fn nothing_that_cudart_asks_for_is_missing_that_the_rows_have() {
        for (_, symbol) in rgpu_driver_abi::proc_address::symbols() {
            let plain = symbol.trim_end_matches("_ptsz").trim_end_matches("_ptds");
            let row = rgpu_proto::spec::row_named(plain);
            assert_eq!(exported(symbol).is_some(), row.is_some(), "{symbol}");
        }
    }

    #[test]
    fn an_absent_function_says_so() {
        let absent = ROWS.iter().find(|row| row.name == "cuGraphCreate").unwrap();
        assert_eq!(absent.class, Class::Absent);
        // SAFETY: an absent function looks at none of its arguments.
        let status = unsafe { cuGraphCreate(std::ptr::null_mut(), 0) };
        assert_eq!(Status(status), Status::ERROR_NOT_SUPPORTED);
    }

    #[test]
    fn nothing_works_before_init() {
        let mut count = 0;
        // SAFETY: the pointer is to a live local.
        let status = unsafe { cuDeviceGetCount(&raw mut count) };
        assert_eq!(Status(status), Status::ERROR_NOT_INITIALIZED);
        // SAFETY: as above.
        let status = unsafe { cuDriverGetVersion(&raw mut count) };
        assert_eq!(
            (Status(status), count),
            (Status::SUCCESS, client::OWN_VERSION)
        );
    }
}
