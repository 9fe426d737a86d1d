//! Rows: products and transforms. Read `spec/mod.rs` first.

/// Rows of cuBLASLt: products and transforms.
#[macro_export]
macro_rules! cublaslt_matmul_rows { ($then:ident) => { $then! {
    0x5100 custom queued    cublasLtMatmul(light_handle: Handle<BlasLt>, compute_desc: OutPtr, alpha: InPtr, a: Dev, adesc: OutPtr, b: Dev, bdesc: OutPtr, beta: InPtr, c: Dev, cdesc: OutPtr, d: Dev, ddesc: OutPtr, algo: InPtr, workspace: Dev, workspace_size_in_bytes: In<usize>, stream: Handle<Stream>);
    0x5101 custom known     cublasLtMatmulAlgoCapGetAttribute(algo: InPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x5102 custom known     cublasLtMatmulAlgoCheck(light_handle: Handle<BlasLt>, operation_desc: OutPtr, adesc: OutPtr, bdesc: OutPtr, cdesc: OutPtr, ddesc: OutPtr, algo: InPtr, result: OutPtr);
    0x5103 custom books     cublasLtMatmulAlgoConfigGetAttribute(algo: InPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x5104 custom books     cublasLtMatmulAlgoConfigSetAttribute(algo: OutPtr, attr: In<u32>, buf: InPtr, size_in_bytes: In<usize>);
    0x5105 custom known     cublasLtMatmulAlgoGetHeuristic(light_handle: Handle<BlasLt>, operation_desc: OutPtr, adesc: OutPtr, bdesc: OutPtr, cdesc: OutPtr, ddesc: OutPtr, preference: OutPtr, requested_algo_count: In<i32>, heuristic_results_array: OutPtr, return_algo_count: Out<i32>);
    0x5106 custom known     cublasLtMatmulAlgoGetIds(light_handle: Handle<BlasLt>, compute_type: In<u32>, scale_type: In<u32>, atype: In<u32>, btype: In<u32>, ctype: In<u32>, dtype: In<u32>, requested_algo_count: In<i32>, algo_ids_array: Out<i32>, return_algo_count: Out<i32>);
    0x5107 custom known     cublasLtMatmulAlgoInit(light_handle: Handle<BlasLt>, compute_type: In<u32>, scale_type: In<u32>, atype: In<u32>, btype: In<u32>, ctype: In<u32>, dtype: In<u32>, algo_id: In<i32>, algo: OutPtr);
    0x5108 custom queued    cublasLtMatrixTransform(light_handle: Handle<BlasLt>, transform_desc: OutPtr, alpha: InPtr, a: Dev, adesc: OutPtr, beta: InPtr, b: Dev, bdesc: OutPtr, c: Dev, cdesc: OutPtr, stream: Handle<Stream>);
}};}
