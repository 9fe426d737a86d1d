//! Rows: graphics and external memory, green contexts. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: graphics and external memory, green contexts.
#[macro_export]
macro_rules! driver_interop_rows { ($then:ident) => { $then! {
    0x0d01 absent absent    cuCtxFromGreenCtx(p_context: NewHandle<Context>, h_ctx: Opaque);
    0x0d02 absent absent    cuCtxGetDevResource(h_ctx: Handle<Context>, resource: OutPtr, kind: In<u32>);
    0x0d03 absent absent    cuDestroyExternalMemory(ext_mem: Opaque);
    0x0d04 absent absent    cuDestroyExternalSemaphore(ext_sem: Opaque);
    0x0d05 absent absent    cuDevResourceGenerateDesc(ph_desc: OutPtr, resources: OutPtr, nb_resources: In<u32>);
    0x0d06 absent absent    cuDevSmResourceSplitByCount(result: OutPtr, nb_groups: Out<u32>, input: InPtr, remaining: OutPtr, use_flags: In<u32>, min_count: In<u32>);
    0x0d07 absent absent    cuDeviceGetDevResource(device: In<i32>, resource: OutPtr, kind: In<u32>);
    0x0d08 absent absent    cuExternalMemoryGetMappedBuffer(ptr: Out<u64>, ext_mem: Opaque, buffer_desc: InPtr);
    0x0d09 absent absent    cuExternalMemoryGetMappedMipmappedArray(mipmap: OutPtr, ext_mem: Opaque, mipmap_desc: InPtr);
    0x0d0a absent absent    cuGraphicsMapResources(count: In<u32>, resources: OutPtr, h_stream: Handle<Stream>);
    0x0d0b absent absent    cuGraphicsResourceGetMappedMipmappedArray(p_mipmapped_array: OutPtr, resource: Opaque);
    0x0d0c absent absent    cuGraphicsResourceGetMappedPointer_v2(p_dev_ptr: Out<u64>, p_size: Out<usize>, resource: Opaque);
    0x0d0d absent absent    cuGraphicsResourceSetMapFlags_v2(resource: Opaque, flags: In<u32>);
    0x0d0e absent absent    cuGraphicsSubResourceGetMappedArray(p_array: OutPtr, resource: Opaque, array_index: In<u32>, mip_level: In<u32>);
    0x0d0f absent absent    cuGraphicsUnmapResources(count: In<u32>, resources: OutPtr, h_stream: Handle<Stream>);
    0x0d10 absent absent    cuGraphicsUnregisterResource(resource: Opaque);
    0x0d11 absent absent    cuGreenCtxCreate(ph_ctx: OutPtr, desc: Opaque, dev: In<i32>, flags: In<u32>);
    0x0d12 absent absent    cuGreenCtxDestroy(h_ctx: Opaque);
    0x0d13 absent absent    cuGreenCtxGetDevResource(h_ctx: Opaque, resource: OutPtr, kind: In<u32>);
    0x0d14 absent absent    cuGreenCtxGetId(green_ctx: Opaque, green_ctx_id: Out<u64>);
    0x0d15 absent absent    cuGreenCtxRecordEvent(h_ctx: Opaque, h_event: Handle<Event>);
    0x0d16 absent absent    cuGreenCtxStreamCreate(ph_stream: NewHandle<Stream>, green_ctx: Opaque, flags: In<u32>, priority: In<i32>);
    0x0d17 absent absent    cuGreenCtxWaitEvent(h_ctx: Opaque, h_event: Handle<Event>);
    0x0d18 absent absent    cuImportExternalMemory(ext_mem_out: OutPtr, mem_handle_desc: InPtr);
    0x0d19 absent absent    cuImportExternalSemaphore(ext_sem_out: OutPtr, sem_handle_desc: InPtr);
    0x0d1a absent absent    cuSignalExternalSemaphoresAsync(ext_sem_array: InPtr, params_array: InPtr, num_ext_sems: In<u32>, stream: Handle<Stream>);
    0x0d1b absent absent    cuStreamGetGreenCtx(h_stream: Handle<Stream>, ph_ctx: OutPtr);
    0x0d1c absent absent    cuWaitExternalSemaphoresAsync(ext_sem_array: InPtr, params_array: InPtr, num_ext_sems: In<u32>, stream: Handle<Stream>);
}};}
