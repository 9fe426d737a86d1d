//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuDNN: handles and helper functions.
#[macro_export]
macro_rules! cudnn_helper_rows { ($then:ident) => { $then! {
    0x5800 local  constant  cudnnAdvVersionCheck();
    0x5801 local  constant  cudnnCnnVersionCheck();
    0x5802 reply  judged    cudnnCreate(handle: NewHandle<Dnn>);
    0x5803 posted ended     cudnnDestroy(handle: Gone<Dnn>);
    0x5804 local  constant  cudnnGetCallback(mask: OutOpt<u32>, udata: OutPtr, fptr: OutPtr);
    0x5805 reply  asked     cudnnGetProperty(kind: In<u32>, value: OutOpt<i32>);
    0x5806 local  books     cudnnGetStream(handle: Handle<Dnn>, stream_id: NewHandle<Stream>);
    0x5807 local  constant  cudnnGraphVersionCheck();
    0x5808 local  constant  cudnnOpsVersionCheck();
    0x5809 reply  asked     cudnnQueryRuntimeError(handle: Handle<Dnn>, rstatus: OutOpt<u32>, mode: In<u32>, tag: OutOpt<u32>);
    0x580a local  constant  cudnnSetCallback(mask: In<u32>, udata: OutPtr, fptr: Callback);
    0x580b posted queued    cudnnSetStream(handle: Handle<Dnn>, stream_id: Handle<Stream>);
}};}
