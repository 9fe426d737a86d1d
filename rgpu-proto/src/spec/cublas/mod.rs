//! cuBLAS, one file per family.

mod batched;
mod gemm;
mod helper;
mod level1;
mod level2;
mod level3;

/// Feeds every family's rows of cuBLAS to the macro `$then`, one call per family.
#[macro_export]
macro_rules! cublas_rows {
    ($then:ident) => {
        $crate::cublas_helper_rows!($then);
        $crate::cublas_level1_rows!($then);
        $crate::cublas_level2_rows!($then);
        $crate::cublas_level3_rows!($then);
        $crate::cublas_gemm_rows!($then);
        $crate::cublas_batched_rows!($then);
    };
}

super::rows_table! {
    "helper" cublas_helper_rows;
    "level1" cublas_level1_rows;
    "level2" cublas_level2_rows;
    "level3" cublas_level3_rows;
    "gemm" cublas_gemm_rows;
    "batched" cublas_batched_rows;
}
