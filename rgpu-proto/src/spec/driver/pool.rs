//! Rows: memory pools and stream-ordered allocation. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: memory pools and stream-ordered allocation.
#[macro_export]
macro_rules! driver_pool_rows { ($then:ident) => { $then! {
    0x0701 custom backed    cuMemAllocAsync(dptr: Out<u64>, bytesize: In<usize>, h_stream: Handle<Stream>);
    0x0702 custom backed    cuMemAllocFromPoolAsync(dptr: Out<u64>, bytesize: In<usize>, pool: Handle<Pool>, h_stream: Handle<Stream>);
    0x0703 custom backed    cuMemFreeAsync(dptr: DevicePtr, h_stream: Handle<Stream>);
    0x0704 local  books     cuMemGetDefaultMemPool(pool_out: NewHandle<Pool>, location: OutPtr, kind: In<u32>);
    0x0705 local  books     cuMemGetMemPool(pool: NewHandle<Pool>, location: OutPtr, kind: In<u32>);
    0x0706 local  books     cuMemPoolCreate(pool: NewHandle<Pool>, pool_props: InPtr);
    0x0707 local  books     cuMemPoolDestroy(pool: Handle<Pool>);
    0x0708 local  books     cuMemPoolGetAccess(flags: Out<u32>, mem_pool: Handle<Pool>, location: OutPtr);
    0x0709 local  books     cuMemPoolGetAttribute(pool: Handle<Pool>, attr: In<u32>, value: OutPtr);
    0x070a local  books     cuMemPoolSetAccess(pool: Handle<Pool>, map: InPtr, count: In<usize>);
    0x070b local  books     cuMemPoolSetAttribute(pool: Handle<Pool>, attr: In<u32>, value: OutPtr);
    0x070c local  books     cuMemPoolTrimTo(pool: Handle<Pool>, min_bytes_to_keep: In<usize>);
    0x070d local  books     cuMemSetMemPool(location: OutPtr, kind: In<u32>, pool: Handle<Pool>);
    0x070e absent absent    cuMemPoolExportPointer(share_data_out: OutPtr, ptr: DevicePtr);
    0x070f absent absent    cuMemPoolExportToShareableHandle(handle_out: OutPtr, pool: Handle<Pool>, handle_type: Opaque, flags: In<u64>);
    0x0710 absent absent    cuMemPoolImportFromShareableHandle(pool_out: NewHandle<Pool>, handle: OutPtr, handle_type: Opaque, flags: In<u64>);
    0x0711 absent absent    cuMemPoolImportPointer(ptr_out: Out<u64>, pool: Handle<Pool>, share_data: OutPtr);
}};}
