//! Rows: backend descriptors (the graph API). Read `spec/mod.rs` first.

/// Rows of cuDNN: backend descriptors (the graph API).
#[macro_export]
macro_rules! cudnn_backend_rows { ($then:ident) => { $then! {
    0x5900 posted minted    cudnnBackendCreateDescriptor(descriptor_type: Setting<BACKEND_TYPE>, descriptor: NewHandle<DnnBackend>);
    0x5901 posted ended     cudnnBackendDestroyDescriptor(descriptor: Gone<DnnBackend>);
    0x5902 posted queued    cudnnBackendExecute(handle: Handle<Dnn>, execution_plan: Handle<DnnBackend>, variant_pack: Handle<DnnBackend>);
    0x5903 reply  judged    cudnnBackendFinalize(descriptor: Finished);
    0x5904 custom asked     cudnnBackendGetAttribute(descriptor: Handle<DnnBackend>, attribute_name: In<u32>, attribute_type: In<u32>, requested_element_count: In<i64>, element_count: OutPtr, array_of_elements: OutPtr);
    0x5905 posted queued    cudnnBackendInitialize(descriptor: Handle<DnnBackend>);
    0x5906 custom queued    cudnnBackendSetAttribute(descriptor: Handle<DnnBackend>, attribute_name: In<u32>, attribute_type: In<u32>, element_count: In<i64>, array_of_elements: InPtr);
}};}
