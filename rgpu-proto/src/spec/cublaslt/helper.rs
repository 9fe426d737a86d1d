//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuBLASLt: handles and helper functions.
#[macro_export]
macro_rules! cublaslt_helper_rows {
    ($then:ident) => {
        $then! {
            0x5200 reply  judged    cublasLtCreate(light_handle: NewHandle<BlasLt>);
            0x5201 posted ended     cublasLtDestroy(light_handle: Gone<BlasLt>);
            0x5202 reply  asked     cublasLtGetProperty(kind: In<u32>, value: Out<i32>);
            0x5203 local  constant  cublasLtHeuristicsCacheGetCapacity(capacity: Out<usize>);
            0x5204 local  constant  cublasLtHeuristicsCacheSetCapacity(capacity: In<usize>);
            0x5205 local  constant  cublasLtLoggerForceDisable();
            0x5206 local  constant  cublasLtLoggerOpenFile(log_file: CStr);
            0x5207 local  constant  cublasLtLoggerSetCallback(callback: Callback);
            0x5208 local  constant  cublasLtLoggerSetFile(file: OutPtr);
            0x5209 local  constant  cublasLtLoggerSetLevel(level: In<i32>);
            0x520a local  constant  cublasLtLoggerSetMask(mask: In<i32>);
        }
    };
}
