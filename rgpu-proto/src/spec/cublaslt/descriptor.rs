//! Rows: descriptors. Read `spec/mod.rs` first.

/// Rows of cuBLASLt: descriptors.
#[macro_export]
macro_rules! cublaslt_descriptor_rows { ($then:ident) => { $then! {
    0x5000 local  books     cublasLtMatmulDescCreate(matmul_desc: OutPtr, compute_type: In<u32>, scale_type: In<u32>);
    0x5001 local  books     cublasLtMatmulDescDestroy(matmul_desc: OutPtr);
    0x5002 local  books     cublasLtMatmulDescGetAttribute(matmul_desc: OutPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x5003 local  books     cublasLtMatmulDescInit_internal(matmul_desc: OutPtr, size: In<usize>, compute_type: In<u32>, scale_type: In<u32>);
    0x5004 local  books     cublasLtMatmulDescSetAttribute(matmul_desc: OutPtr, attr: In<u32>, buf: InPtr, size_in_bytes: In<usize>);
    0x5005 local  books     cublasLtMatmulPreferenceCreate(pref: OutPtr);
    0x5006 local  books     cublasLtMatmulPreferenceDestroy(pref: OutPtr);
    0x5007 local  books     cublasLtMatmulPreferenceGetAttribute(pref: OutPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x5008 local  books     cublasLtMatmulPreferenceInit_internal(pref: OutPtr, size: In<usize>);
    0x5009 local  books     cublasLtMatmulPreferenceSetAttribute(pref: OutPtr, attr: In<u32>, buf: InPtr, size_in_bytes: In<usize>);
    0x500a local  books     cublasLtMatrixLayoutCreate(mat_layout: OutPtr, kind: In<u32>, rows: In<u64>, cols: In<u64>, ld: In<i64>);
    0x500b local  books     cublasLtMatrixLayoutDestroy(mat_layout: OutPtr);
    0x500c local  books     cublasLtMatrixLayoutGetAttribute(mat_layout: OutPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x500d local  books     cublasLtMatrixLayoutInit_internal(mat_layout: OutPtr, size: In<usize>, kind: In<u32>, rows: In<u64>, cols: In<u64>, ld: In<i64>);
    0x500e local  books     cublasLtMatrixLayoutSetAttribute(mat_layout: OutPtr, attr: In<u32>, buf: InPtr, size_in_bytes: In<usize>);
    0x500f local  books     cublasLtMatrixTransformDescCreate(transform_desc: OutPtr, scale_type: In<u32>);
    0x5010 local  books     cublasLtMatrixTransformDescDestroy(transform_desc: OutPtr);
    0x5011 local  books     cublasLtMatrixTransformDescGetAttribute(transform_desc: OutPtr, attr: In<u32>, buf: OutPtr, size_in_bytes: In<usize>, size_written: Out<usize>);
    0x5012 local  books     cublasLtMatrixTransformDescInit_internal(transform_desc: OutPtr, size: In<usize>, scale_type: In<u32>);
    0x5013 local  books     cublasLtMatrixTransformDescSetAttribute(transform_desc: OutPtr, attr: In<u32>, buf: InPtr, size_in_bytes: In<usize>);
}};}
