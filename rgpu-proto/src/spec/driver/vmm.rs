//! Rows: virtual memory management and multicast. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: virtual memory management and multicast.
#[macro_export]
macro_rules! driver_vmm_rows { ($then:ident) => { $then! {
    0x0601 local  cuMemAddressFree(ptr: DevicePtr, size: In<usize>);
    0x0602 local  cuMemAddressReserve(ptr: Out<u64>, size: In<usize>, alignment: In<usize>, addr: DevicePtr, flags: In<u64>);
    0x0603 custom cuMemCreate(handle: Out<u64>, size: In<usize>, prop: InPtr, flags: In<u64>);
    0x0604 local  cuMemGetAccess(flags: Out<u64>, location: InPtr, ptr: DevicePtr);
    0x0605 local  cuMemGetAllocationGranularity(granularity: Out<usize>, prop: InPtr, option: In<u32>);
    0x0606 local  cuMemGetAllocationPropertiesFromHandle(prop: OutPtr, handle: In<u64>);
    0x0607 custom cuMemMap(ptr: DevicePtr, size: In<usize>, offset: In<usize>, handle: In<u64>, flags: In<u64>);
    0x0608 custom cuMemRelease(handle: In<u64>);
    0x0609 local  cuMemRetainAllocationHandle(handle: Out<u64>, addr: OutPtr);
    0x060a custom cuMemSetAccess(ptr: DevicePtr, size: In<usize>, desc: InPtr, count: In<usize>);
    0x060b custom cuMemUnmap(ptr: DevicePtr, size: In<usize>);
    0x060c absent cuMemExportToShareableHandle(shareable_handle: OutPtr, handle: In<u64>, handle_type: Opaque, flags: In<u64>);
    0x060d absent cuMemImportFromShareableHandle(handle: Out<u64>, os_handle: OutPtr, sh_handle_type: Opaque);
    0x060e absent cuMemMapArrayAsync(map_info_list: OutPtr, count: In<u32>, h_stream: Handle<Stream>);
    0x060f absent cuMulticastAddDevice(mc_handle: In<u64>, dev: In<i32>);
    0x0610 absent cuMulticastBindAddr(mc_handle: In<u64>, mc_offset: In<usize>, memptr: DevicePtr, size: In<usize>, flags: In<u64>);
    0x0611 absent cuMulticastBindMem(mc_handle: In<u64>, mc_offset: In<usize>, mem_handle: In<u64>, mem_offset: In<usize>, size: In<usize>, flags: In<u64>);
    0x0612 absent cuMulticastCreate(mc_handle: Out<u64>, prop: InPtr);
    0x0613 absent cuMulticastGetGranularity(granularity: Out<usize>, prop: InPtr, option: In<u32>);
    0x0614 absent cuMulticastUnbind(mc_handle: In<u64>, dev: In<i32>, mc_offset: In<usize>, size: In<usize>);
}};}
