//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuBLASLt: handles and helper functions.
#[macro_export]
macro_rules! cublaslt_helper_rows {
    ($then:ident) => {
        $then! {
            0x5200 reply  cublasLtCreate(light_handle: NewHandle<BlasLt>);
            0x5201 posted cublasLtDestroy(light_handle: Gone<BlasLt>);
            0x5202 reply  cublasLtGetProperty(kind: In<u32>, value: Out<i32>);
            0x5203 local  cublasLtHeuristicsCacheGetCapacity(capacity: Out<usize>);
            0x5204 local  cublasLtHeuristicsCacheSetCapacity(capacity: In<usize>);
            0x5205 local  cublasLtLoggerForceDisable();
            0x5206 local  cublasLtLoggerOpenFile(log_file: CStr);
            0x5207 local  cublasLtLoggerSetCallback(callback: Callback);
            0x5208 local  cublasLtLoggerSetFile(file: OutPtr);
            0x5209 local  cublasLtLoggerSetLevel(level: In<i32>);
            0x520a local  cublasLtLoggerSetMask(mask: In<i32>);
        }
    };
}
