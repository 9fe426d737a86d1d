//! Rows: streams. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: streams.
#[macro_export]
macro_rules! driver_stream_rows { ($then:ident) => { $then! {
    0x0801 custom called    cuStreamAddCallback(h_stream: Handle<Stream>, callback: Callback, user_data: OutPtr, flags: In<u32>);
    0x0802 custom minted    cuStreamCreate(ph_stream: NewHandle<Stream>, flags: In<u32>);
    0x0803 custom minted    cuStreamCreateWithPriority(ph_stream: NewHandle<Stream>, flags: In<u32>, priority: In<i32>);
    0x0804 custom ended     cuStreamDestroy_v2(h_stream: Handle<Stream>);
    0x0805 local  constant  cuStreamGetCaptureInfo_v2(h_stream: Handle<Stream>, capture_status_out: Out<u32>, id_out: Out<u64>, graph_out: OutPtr, dependencies_out: OutPtr, num_dependencies_out: Out<usize>);
    0x0806 local  constant  cuStreamGetCaptureInfo_v3(h_stream: Handle<Stream>, capture_status_out: Out<u32>, id_out: Out<u64>, graph_out: OutPtr, dependencies_out: OutPtr, edge_data_out: OutPtr, num_dependencies_out: Out<usize>);
    0x0807 local  books     cuStreamGetCtx(h_stream: Handle<Stream>, pctx: NewHandle<Context>);
    0x0808 local  books     cuStreamGetDevice(h_stream: Handle<Stream>, device: Out<i32>);
    0x0809 local  books     cuStreamGetFlags(h_stream: Handle<Stream>, flags: Out<u32>);
    0x080a local  books     cuStreamGetId(h_stream: Handle<Stream>, stream_id: Out<u64>);
    0x080b custom known     cuStreamGetPriority(h_stream: Handle<Stream>, priority: Out<i32>);
    0x080c local  constant  cuStreamIsCapturing(h_stream: Handle<Stream>, capture_status: Out<u32>);
    0x080d custom progress  cuStreamQuery(h_stream: Handle<Stream>);
    0x080e custom device    cuStreamSynchronize(h_stream: Handle<Stream>);
    0x080f posted queued    cuStreamWaitEvent(h_stream: Handle<Stream>, h_event: Handle<Event>, flags: In<u32>);
    0x0810 local  books     cuThreadExchangeStreamCaptureMode(mode: Out<u32>);
    0x0811 absent absent    cuStreamAttachMemAsync(h_stream: Handle<Stream>, dptr: DevicePtr, length: In<usize>, flags: In<u32>);
    0x0812 custom queued    cuStreamBatchMemOp_v2(stream: Handle<Stream>, count: In<u32>, param_array: OutPtr, flags: In<u32>);
    0x0813 absent absent    cuStreamBeginCapture(h_stream: Handle<Stream>, mode: In<u32>);
    0x0814 absent absent    cuStreamBeginCaptureToGraph(h_stream: Handle<Stream>, h_graph: Opaque, dependencies: InPtr, dependency_data: InPtr, num_dependencies: In<usize>, mode: In<u32>);
    0x0815 absent absent    cuStreamBeginCapture_v2(h_stream: Handle<Stream>, mode: In<u32>);
    0x0816 reply  judged    cuStreamCopyAttributes(dst: Handle<Stream>, src: Handle<Stream>);
    0x0817 absent absent    cuStreamEndCapture(h_stream: Handle<Stream>, ph_graph: OutPtr);
    0x0818 custom asked     cuStreamGetAttribute(h_stream: Handle<Stream>, attr: In<u32>, value_out: OutPtr);
    0x0819 absent absent    cuStreamGetCtx_v2(h_stream: Handle<Stream>, p_ctx: NewHandle<Context>, p_green_ctx: OutPtr);
    0x081a custom judged    cuStreamSetAttribute(h_stream: Handle<Stream>, attr: In<u32>, value: InPtr);
    0x081b absent absent    cuStreamUpdateCaptureDependencies_v2(h_stream: Handle<Stream>, dependencies: OutPtr, dependency_data: InPtr, num_dependencies: In<usize>, flags: In<u32>);
    0x081c custom queued    cuStreamWaitValue32_v2(stream: Handle<Stream>, addr: DevicePtr, value: In<u32>, flags: In<u32>);
    0x081d custom queued    cuStreamWaitValue64_v2(stream: Handle<Stream>, addr: DevicePtr, value: In<u64>, flags: In<u32>);
    0x081e custom queued    cuStreamWriteValue32_v2(stream: Handle<Stream>, addr: DevicePtr, value: In<u32>, flags: In<u32>);
    0x081f custom queued    cuStreamWriteValue64_v2(stream: Handle<Stream>, addr: DevicePtr, value: In<u64>, flags: In<u32>);
}};}
