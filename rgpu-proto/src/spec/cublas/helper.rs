//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuBLAS: handles and helper functions.
#[macro_export]
macro_rules! cublas_helper_rows { ($then:ident) => { $then! {
    0x4000 reply  cublasCreate_v2(handle: NewHandle<Blas>);
    0x4001 posted cublasDestroy_v2(handle: Gone<Blas>);
    0x4002 local  cublasGetAtomicsMode(handle: Handle<Blas>, mode: Out<u32>);
    0x4003 local  cublasGetLoggerCallback(user_callback: OutPtr);
    0x4004 local  cublasGetMathMode(handle: Handle<Blas>, mode: Out<u32>);
    0x4005 local  cublasGetMatrix(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>);
    0x4006 local  cublasGetMatrix_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>);
    0x4007 local  cublasGetMatrixAsync(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>, stream: Handle<Stream>);
    0x4008 local  cublasGetMatrixAsync_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>, stream: Handle<Stream>);
    0x4009 local  cublasGetPointerMode_v2(handle: Handle<Blas>, mode: Out<u32>);
    0x400a reply  cublasGetProperty(kind: In<u32>, value: Out<i32>);
    0x400b reply  cublasGetSmCountTarget(handle: Handle<Blas>, sm_count_target: Out<i32>);
    0x400c local  cublasGetStream_v2(handle: Handle<Blas>, stream_id: NewHandle<Stream>);
    0x400d local  cublasGetVector(n: In<i32>, elem_size: In<i32>, x: InPtr, incx: In<i32>, y: OutPtr, incy: In<i32>);
    0x400e local  cublasGetVector_64(n: In<i64>, elem_size: In<i64>, x: InPtr, incx: In<i64>, y: OutPtr, incy: In<i64>);
    0x400f local  cublasGetVectorAsync(n: In<i32>, elem_size: In<i32>, device_ptr: InPtr, incx: In<i32>, host_ptr: OutPtr, incy: In<i32>, stream: Handle<Stream>);
    0x4010 local  cublasGetVectorAsync_64(n: In<i64>, elem_size: In<i64>, device_ptr: InPtr, incx: In<i64>, host_ptr: OutPtr, incy: In<i64>, stream: Handle<Stream>);
    0x4011 local  cublasGetVersion_v2(handle: Handle<Blas>, version: Out<i32>);
    0x4012 local  cublasLoggerConfigure(log_is_on: In<i32>, log_to_std_out: In<i32>, log_to_std_err: In<i32>, log_file_name: CStr);
    0x4013 posted cublasSetAtomicsMode(handle: Handle<Blas>, mode: Setting<ATOMICS_MODE>);
    0x4014 local  cublasSetLoggerCallback(user_callback: Callback);
    0x4015 posted cublasSetMathMode(handle: Handle<Blas>, mode: Setting<MATH_MODE>);
    0x4016 local  cublasSetMatrix(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>);
    0x4017 local  cublasSetMatrix_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>);
    0x4018 local  cublasSetMatrixAsync(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>, stream: Handle<Stream>);
    0x4019 local  cublasSetMatrixAsync_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>, stream: Handle<Stream>);
    0x401a posted cublasSetPointerMode_v2(handle: Handle<Blas>, mode: Setting<POINTER_MODE>);
    0x401b posted cublasSetSmCountTarget(handle: Handle<Blas>, sm_count_target: In<i32>);
    0x401c posted cublasSetStream_v2(handle: Handle<Blas>, stream_id: Handle<Stream>);
    0x401d local  cublasSetVector(n: In<i32>, elem_size: In<i32>, x: InPtr, incx: In<i32>, device_ptr: OutPtr, incy: In<i32>);
    0x401e local  cublasSetVector_64(n: In<i64>, elem_size: In<i64>, x: InPtr, incx: In<i64>, device_ptr: OutPtr, incy: In<i64>);
    0x401f local  cublasSetVectorAsync(n: In<i32>, elem_size: In<i32>, host_ptr: InPtr, incx: In<i32>, device_ptr: OutPtr, incy: In<i32>, stream: Handle<Stream>);
    0x4020 local  cublasSetVectorAsync_64(n: In<i64>, elem_size: In<i64>, host_ptr: InPtr, incx: In<i64>, device_ptr: OutPtr, incy: In<i64>, stream: Handle<Stream>);
    0x4021 posted cublasSetWorkspace_v2(handle: Handle<Blas>, workspace: Dev, workspace_size_in_bytes: In<usize>);
}};}
