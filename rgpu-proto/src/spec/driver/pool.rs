//! Rows: memory pools and stream-ordered allocation. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: memory pools and stream-ordered allocation.
#[macro_export]
macro_rules! driver_pool_rows { ($then:ident) => { $then! {
    0x0701 custom cuMemAllocAsync(dptr: Out<u64>, bytesize: In<usize>, h_stream: Handle<Stream>);
    0x0702 custom cuMemAllocFromPoolAsync(dptr: Out<u64>, bytesize: In<usize>, pool: Handle<Pool>, h_stream: Handle<Stream>);
    0x0703 custom cuMemFreeAsync(dptr: DevicePtr, h_stream: Handle<Stream>);
    0x0704 local  cuMemGetDefaultMemPool(pool_out: NewHandle<Pool>, location: OutPtr, kind: In<u32>);
    0x0705 local  cuMemGetMemPool(pool: NewHandle<Pool>, location: OutPtr, kind: In<u32>);
    0x0706 local  cuMemPoolCreate(pool: NewHandle<Pool>, pool_props: InPtr);
    0x0707 local  cuMemPoolDestroy(pool: Handle<Pool>);
    0x0708 local  cuMemPoolGetAccess(flags: Out<u32>, mem_pool: Handle<Pool>, location: OutPtr);
    0x0709 local  cuMemPoolGetAttribute(pool: Handle<Pool>, attr: In<u32>, value: OutPtr);
    0x070a local  cuMemPoolSetAccess(pool: Handle<Pool>, map: InPtr, count: In<usize>);
    0x070b local  cuMemPoolSetAttribute(pool: Handle<Pool>, attr: In<u32>, value: OutPtr);
    0x070c local  cuMemPoolTrimTo(pool: Handle<Pool>, min_bytes_to_keep: In<usize>);
    0x070d local  cuMemSetMemPool(location: OutPtr, kind: In<u32>, pool: Handle<Pool>);
    0x070e absent cuMemPoolExportPointer(share_data_out: OutPtr, ptr: DevicePtr);
    0x070f absent cuMemPoolExportToShareableHandle(handle_out: OutPtr, pool: Handle<Pool>, handle_type: Opaque, flags: In<u64>);
    0x0710 absent cuMemPoolImportFromShareableHandle(pool_out: NewHandle<Pool>, handle: OutPtr, handle_type: Opaque, flags: In<u64>);
    0x0711 absent cuMemPoolImportPointer(ptr_out: Out<u64>, pool: Handle<Pool>, share_data: OutPtr);
}};}
