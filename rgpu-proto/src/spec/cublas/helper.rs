//! Rows: handles and helper functions. Read `spec/mod.rs` first.

/// Rows of cuBLAS: handles and helper functions.
#[macro_export]
macro_rules! cublas_helper_rows { ($then:ident) => { $then! {
    0x4000 reply  judged    cublasCreate_v2(handle: NewHandle<Blas>);
    0x4001 posted ended     cublasDestroy_v2(handle: Gone<Blas>);
    0x4002 local  books     cublasGetAtomicsMode(handle: Handle<Blas>, mode: Out<u32>);
    0x4003 local  constant  cublasGetLoggerCallback(user_callback: OutPtr);
    0x4004 local  books     cublasGetMathMode(handle: Handle<Blas>, mode: Out<u32>);
    0x4005 custom copies    cublasGetMatrix(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>);
    0x4006 custom copies    cublasGetMatrix_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>);
    0x4007 custom copies    cublasGetMatrixAsync(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>, stream: Handle<Stream>);
    0x4008 custom copies    cublasGetMatrixAsync_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>, stream: Handle<Stream>);
    0x4009 local  books     cublasGetPointerMode_v2(handle: Handle<Blas>, mode: Out<u32>);
    0x400a reply  asked     cublasGetProperty(kind: In<u32>, value: Out<i32>);
    0x400b reply  asked     cublasGetSmCountTarget(handle: Handle<Blas>, sm_count_target: Out<i32>);
    0x400c local  books     cublasGetStream_v2(handle: Handle<Blas>, stream_id: NewHandle<Stream>);
    0x400d custom copies    cublasGetVector(n: In<i32>, elem_size: In<i32>, x: InPtr, incx: In<i32>, y: OutPtr, incy: In<i32>);
    0x400e custom copies    cublasGetVector_64(n: In<i64>, elem_size: In<i64>, x: InPtr, incx: In<i64>, y: OutPtr, incy: In<i64>);
    0x400f custom copies    cublasGetVectorAsync(n: In<i32>, elem_size: In<i32>, device_ptr: InPtr, incx: In<i32>, host_ptr: OutPtr, incy: In<i32>, stream: Handle<Stream>);
    0x4010 custom copies    cublasGetVectorAsync_64(n: In<i64>, elem_size: In<i64>, device_ptr: InPtr, incx: In<i64>, host_ptr: OutPtr, incy: In<i64>, stream: Handle<Stream>);
    0x4011 custom known     cublasGetVersion_v2(handle: Handle<Blas>, version: Out<i32>);
    0x4012 local  constant  cublasLoggerConfigure(log_is_on: In<i32>, log_to_std_out: In<i32>, log_to_std_err: In<i32>, log_file_name: CStr);
    0x4013 posted queued    cublasSetAtomicsMode(handle: Handle<Blas>, mode: Setting<ATOMICS_MODE>);
    0x4014 local  constant  cublasSetLoggerCallback(user_callback: Callback);
    0x4015 posted queued    cublasSetMathMode(handle: Handle<Blas>, mode: Setting<MATH_MODE>);
    0x4016 custom copies    cublasSetMatrix(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>);
    0x4017 custom copies    cublasSetMatrix_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>);
    0x4018 custom copies    cublasSetMatrixAsync(rows: In<i32>, cols: In<i32>, elem_size: In<i32>, a: InPtr, lda: In<i32>, b: OutPtr, ldb: In<i32>, stream: Handle<Stream>);
    0x4019 custom copies    cublasSetMatrixAsync_64(rows: In<i64>, cols: In<i64>, elem_size: In<i64>, a: InPtr, lda: In<i64>, b: OutPtr, ldb: In<i64>, stream: Handle<Stream>);
    0x401a posted queued    cublasSetPointerMode_v2(handle: Handle<Blas>, mode: Setting<POINTER_MODE>);
    0x401b posted queued    cublasSetSmCountTarget(handle: Handle<Blas>, sm_count_target: In<i32>);
    0x401c posted queued    cublasSetStream_v2(handle: Handle<Blas>, stream_id: Handle<Stream>);
    0x401d custom copies    cublasSetVector(n: In<i32>, elem_size: In<i32>, x: InPtr, incx: In<i32>, device_ptr: OutPtr, incy: In<i32>);
    0x401e custom copies    cublasSetVector_64(n: In<i64>, elem_size: In<i64>, x: InPtr, incx: In<i64>, device_ptr: OutPtr, incy: In<i64>);
    0x401f custom copies    cublasSetVectorAsync(n: In<i32>, elem_size: In<i32>, host_ptr: InPtr, incx: In<i32>, device_ptr: OutPtr, incy: In<i32>, stream: Handle<Stream>);
    0x4020 custom copies    cublasSetVectorAsync_64(n: In<i64>, elem_size: In<i64>, host_ptr: InPtr, incx: In<i64>, device_ptr: OutPtr, incy: In<i64>, stream: Handle<Stream>);
    0x4021 posted queued    cublasSetWorkspace_v2(handle: Handle<Blas>, workspace: Dev, workspace_size_in_bytes: In<usize>);
}};}
