//! Rows: contexts. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: contexts.
#[macro_export]
macro_rules! driver_context_rows { ($then:ident) => { $then! {
    0x0201 local  books     cuCtxAttach(pctx: NewHandle<Context>, flags: In<u32>);
    0x0202 custom minted    cuCtxCreate_v2(pctx: NewHandle<Context>, flags: In<u32>, dev: In<i32>);
    0x0203 custom minted    cuCtxCreate_v3(pctx: NewHandle<Context>, params_array: OutPtr, num_params: In<i32>, flags: In<u32>, dev: In<i32>);
    0x0204 custom minted    cuCtxCreate_v4(pctx: NewHandle<Context>, ctx_create_params: OutPtr, flags: In<u32>, dev: In<i32>);
    0x0205 custom ended     cuCtxDestroy_v2(ctx: Handle<Context>);
    0x0206 custom ended     cuCtxDetach(ctx: Handle<Context>);
    0x0207 local  constant  cuCtxDisablePeerAccess(peer_context: Handle<Context>);
    0x0208 local  constant  cuCtxEnablePeerAccess(peer_context: Handle<Context>, flags: In<u32>);
    0x0209 local  constant  cuCtxGetApiVersion(ctx: Handle<Context>, version: Out<u32>);
    0x020a local  books     cuCtxGetCacheConfig(pconfig: Out<u32>);
    0x020b local  books     cuCtxGetCurrent(pctx: NewHandle<Context>);
    0x020c local  books     cuCtxGetDevice(device: Out<i32>);
    0x020d local  books     cuCtxGetDevice_v2(device: Out<i32>, ctx: Handle<Context>);
    0x020e local  constant  cuCtxGetExecAffinity(p_exec_affinity: OutPtr, kind: In<u32>);
    0x020f local  books     cuCtxGetFlags(flags: Out<u32>);
    0x0210 local  books     cuCtxGetId(ctx: Handle<Context>, ctx_id: Out<u64>);
    0x0211 reply  known     cuCtxGetLimit(pvalue: Out<usize>, limit: In<u32>);
    0x0212 local  books     cuCtxGetSharedMemConfig(p_config: Out<u32>);
    0x0213 local  snapshot  cuCtxGetStreamPriorityRange(least_priority: Out<i32>, greatest_priority: Out<i32>);
    0x0214 local  books     cuCtxPopCurrent_v2(pctx: NewHandle<Context>);
    0x0215 local  books     cuCtxPushCurrent_v2(ctx: Handle<Context>);
    0x0216 posted queued    cuCtxResetPersistingL2Cache();
    0x0217 posted queued    cuCtxSetCacheConfig(config: In<u32>);
    0x0218 local  books     cuCtxSetCurrent(ctx: Handle<Context>);
    0x0219 local  books     cuCtxSetFlags(flags: In<u32>);
    0x021a reply  judged    cuCtxSetLimit(limit: In<u32>, value: In<usize>);
    0x021b local  books     cuCtxSetSharedMemConfig(config: In<u32>);
    0x021c custom device    cuCtxSynchronize();
    0x021d custom device    cuCtxSynchronize_v2(ctx: Handle<Context>);
    0x021e local  books     cuDevicePrimaryCtxGetState(dev: In<i32>, flags: Out<u32>, active: Out<i32>);
    0x021f custom together  cuDevicePrimaryCtxRelease(dev: In<i32>);
    0x0220 custom together  cuDevicePrimaryCtxRelease_v2(dev: In<i32>);
    0x0221 custom together  cuDevicePrimaryCtxReset(dev: In<i32>);
    0x0222 custom together  cuDevicePrimaryCtxReset_v2(dev: In<i32>);
    0x0223 local  books     cuDevicePrimaryCtxRetain(pctx: NewHandle<Context>, dev: In<i32>);
    0x0224 local  books     cuDevicePrimaryCtxSetFlags(dev: In<i32>, flags: In<u32>);
    0x0225 local  books     cuDevicePrimaryCtxSetFlags_v2(dev: In<i32>, flags: In<u32>);
    0x0226 posted queued    cuCtxRecordEvent(h_ctx: Handle<Context>, h_event: Handle<Event>);
    0x0227 posted queued    cuCtxWaitEvent(h_ctx: Handle<Context>, h_event: Handle<Event>);
}};}
