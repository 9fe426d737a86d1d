//! Rows: contexts. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: contexts.
#[macro_export]
macro_rules! driver_context_rows { ($then:ident) => { $then! {
    0x0201 local  cuCtxAttach(pctx: NewHandle<Context>, flags: In<u32>);
    0x0202 custom cuCtxCreate_v2(pctx: NewHandle<Context>, flags: In<u32>, dev: In<i32>);
    0x0203 custom cuCtxCreate_v3(pctx: NewHandle<Context>, params_array: OutPtr, num_params: In<i32>, flags: In<u32>, dev: In<i32>);
    0x0204 custom cuCtxCreate_v4(pctx: NewHandle<Context>, ctx_create_params: OutPtr, flags: In<u32>, dev: In<i32>);
    0x0205 custom cuCtxDestroy_v2(ctx: Handle<Context>);
    0x0206 local  cuCtxDetach(ctx: Handle<Context>);
    0x0207 local  cuCtxDisablePeerAccess(peer_context: Handle<Context>);
    0x0208 local  cuCtxEnablePeerAccess(peer_context: Handle<Context>, flags: In<u32>);
    0x0209 local  cuCtxGetApiVersion(ctx: Handle<Context>, version: Out<u32>);
    0x020a local  cuCtxGetCacheConfig(pconfig: Out<u32>);
    0x020b local  cuCtxGetCurrent(pctx: NewHandle<Context>);
    0x020c local  cuCtxGetDevice(device: Out<i32>);
    0x020d local  cuCtxGetDevice_v2(device: Out<i32>, ctx: Handle<Context>);
    0x020e local  cuCtxGetExecAffinity(p_exec_affinity: OutPtr, kind: In<u32>);
    0x020f local  cuCtxGetFlags(flags: Out<u32>);
    0x0210 local  cuCtxGetId(ctx: Handle<Context>, ctx_id: Out<u64>);
    0x0211 reply  cuCtxGetLimit(pvalue: Out<usize>, limit: In<u32>);
    0x0212 local  cuCtxGetSharedMemConfig(p_config: Out<u32>);
    0x0213 local  cuCtxGetStreamPriorityRange(least_priority: Out<i32>, greatest_priority: Out<i32>);
    0x0214 local  cuCtxPopCurrent_v2(pctx: NewHandle<Context>);
    0x0215 local  cuCtxPushCurrent_v2(ctx: Handle<Context>);
    0x0216 posted cuCtxResetPersistingL2Cache();
    0x0217 posted cuCtxSetCacheConfig(config: In<u32>);
    0x0218 local  cuCtxSetCurrent(ctx: Handle<Context>);
    0x0219 local  cuCtxSetFlags(flags: In<u32>);
    0x021a reply  cuCtxSetLimit(limit: In<u32>, value: In<usize>);
    0x021b local  cuCtxSetSharedMemConfig(config: In<u32>);
    0x021c custom cuCtxSynchronize();
    0x021d custom cuCtxSynchronize_v2(ctx: Handle<Context>);
    0x021e local  cuDevicePrimaryCtxGetState(dev: In<i32>, flags: Out<u32>, active: Out<i32>);
    0x021f local  cuDevicePrimaryCtxRelease(dev: In<i32>);
    0x0220 local  cuDevicePrimaryCtxRelease_v2(dev: In<i32>);
    0x0221 custom cuDevicePrimaryCtxReset(dev: In<i32>);
    0x0222 custom cuDevicePrimaryCtxReset_v2(dev: In<i32>);
    0x0223 local  cuDevicePrimaryCtxRetain(pctx: NewHandle<Context>, dev: In<i32>);
    0x0224 local  cuDevicePrimaryCtxSetFlags(dev: In<i32>, flags: In<u32>);
    0x0225 local  cuDevicePrimaryCtxSetFlags_v2(dev: In<i32>, flags: In<u32>);
    0x0226 posted cuCtxRecordEvent(h_ctx: Handle<Context>, h_event: Handle<Event>);
    0x0227 posted cuCtxWaitEvent(h_ctx: Handle<Context>, h_event: Handle<Event>);
}};}
