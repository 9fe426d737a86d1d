//! cuDNN, one file per family.

mod backend;
mod compute;
mod descriptor;
mod helper;
mod query;
mod rnn;

/// Feeds every family's rows of cuDNN to the macro `$then`, one call per family.
#[macro_export]
macro_rules! cudnn_rows {
    ($then:ident) => {
        $crate::cudnn_helper_rows!($then);
        $crate::cudnn_backend_rows!($then);
        $crate::cudnn_descriptor_rows!($then);
        $crate::cudnn_query_rows!($then);
        $crate::cudnn_compute_rows!($then);
        $crate::cudnn_rnn_rows!($then);
    };
}

super::rows_table! {
    "helper" cudnn_helper_rows;
    "backend" cudnn_backend_rows;
    "descriptor" cudnn_descriptor_rows;
    "query" cudnn_query_rows;
    "compute" cudnn_compute_rows;
    "rnn" cudnn_rnn_rows;
}
