//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuDNN: handles and helper functions.
#[macro_export]
macro_rules! cudnn_helper_rows { ($then:ident) => { $then! {
    0x5800 local  cudnnAdvVersionCheck();
    0x5801 local  cudnnCnnVersionCheck();
    0x5802 reply  cudnnCreate(handle: NewHandle<Dnn>);
    0x5803 posted cudnnDestroy(handle: Gone<Dnn>);
    0x5804 local  cudnnGetCallback(mask: OutOpt<u32>, udata: OutPtr, fptr: OutPtr);
    0x5805 reply  cudnnGetProperty(kind: In<u32>, value: OutOpt<i32>);
    0x5806 local  cudnnGetStream(handle: Handle<Dnn>, stream_id: NewHandle<Stream>);
    0x5807 local  cudnnGraphVersionCheck();
    0x5808 local  cudnnOpsVersionCheck();
    0x5809 reply  cudnnQueryRuntimeError(handle: Handle<Dnn>, rstatus: OutOpt<u32>, mode: In<u32>, tag: OutOpt<u32>);
    0x580a local  cudnnSetCallback(mask: In<u32>, udata: OutPtr, fptr: Callback);
    0x580b posted cudnnSetStream(handle: Handle<Dnn>, stream_id: Handle<Stream>);
}};}
