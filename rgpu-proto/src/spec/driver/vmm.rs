//! Rows: virtual memory management and multicast. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: virtual memory management and multicast.
#[macro_export]
macro_rules! driver_vmm_rows { ($then:ident) => { $then! {
    0x0601 local  books     cuMemAddressFree(ptr: DevicePtr, size: In<usize>);
    0x0602 local  books     cuMemAddressReserve(ptr: Out<u64>, size: In<usize>, alignment: In<usize>, addr: DevicePtr, flags: In<u64>);
    0x0603 custom minted    cuMemCreate(handle: Out<u64>, size: In<usize>, prop: InPtr, flags: In<u64>);
    0x0604 local  books     cuMemGetAccess(flags: Out<u64>, location: InPtr, ptr: DevicePtr);
    0x0605 local  snapshot  cuMemGetAllocationGranularity(granularity: Out<usize>, prop: InPtr, option: In<u32>);
    0x0606 local  books     cuMemGetAllocationPropertiesFromHandle(prop: OutPtr, handle: In<u64>);
    0x0607 custom queued    cuMemMap(ptr: DevicePtr, size: In<usize>, offset: In<usize>, handle: In<u64>, flags: In<u64>);
    0x0608 custom ended     cuMemRelease(handle: In<u64>);
    0x0609 local  books     cuMemRetainAllocationHandle(handle: Out<u64>, addr: OutPtr);
    0x060a custom queued    cuMemSetAccess(ptr: DevicePtr, size: In<usize>, desc: InPtr, count: In<usize>);
    0x060b custom device    cuMemUnmap(ptr: DevicePtr, size: In<usize>);
    0x060c absent absent    cuMemExportToShareableHandle(shareable_handle: OutPtr, handle: In<u64>, handle_type: Opaque, flags: In<u64>);
    0x060d absent absent    cuMemImportFromShareableHandle(handle: Out<u64>, os_handle: OutPtr, sh_handle_type: Opaque);
    0x060e absent absent    cuMemMapArrayAsync(map_info_list: OutPtr, count: In<u32>, h_stream: Handle<Stream>);
    0x060f absent absent    cuMulticastAddDevice(mc_handle: In<u64>, dev: In<i32>);
    0x0610 absent absent    cuMulticastBindAddr(mc_handle: In<u64>, mc_offset: In<usize>, memptr: DevicePtr, size: In<usize>, flags: In<u64>);
    0x0611 absent absent    cuMulticastBindMem(mc_handle: In<u64>, mc_offset: In<usize>, mem_handle: In<u64>, mem_offset: In<usize>, size: In<usize>, flags: In<u64>);
    0x0612 absent absent    cuMulticastCreate(mc_handle: Out<u64>, prop: InPtr);
    0x0613 absent absent    cuMulticastGetGranularity(granularity: Out<usize>, prop: InPtr, option: In<u32>);
    0x0614 absent absent    cuMulticastUnbind(mc_handle: In<u64>, dev: In<i32>, mc_offset: In<usize>, size: In<usize>);
}};}
