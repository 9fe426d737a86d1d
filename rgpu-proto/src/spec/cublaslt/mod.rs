//! cuBLASLt, one file per family.

mod descriptor;
mod helper;
mod matmul;

/// Feeds every family's rows of cuBLASLt to the macro `$then`, one call per family.
#[macro_export]
macro_rules! cublaslt_rows {
    ($then:ident) => {
        $crate::cublaslt_descriptor_rows!($then);
        $crate::cublaslt_matmul_rows!($then);
        $crate::cublaslt_helper_rows!($then);
    };
}

super::rows_table! {
    "descriptor" cublaslt_descriptor_rows;
    "matmul" cublaslt_matmul_rows;
    "helper" cublaslt_helper_rows;
}
