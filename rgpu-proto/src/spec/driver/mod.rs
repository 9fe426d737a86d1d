//! The CUDA driver API, one file per family.

mod context;
mod device;
mod event;
mod graph;
mod init;
mod interop;
mod launch;
mod library;
mod memory;
mod module;
mod pool;
mod stream;
mod texture;
mod vmm;

/// Feeds every family's rows to the macro `$then`, one call per family.
#[macro_export]
macro_rules! driver_rows {
    ($then:ident) => {
        $crate::driver_init_rows!($then);
        $crate::driver_device_rows!($then);
        $crate::driver_context_rows!($then);
        $crate::driver_module_rows!($then);
        $crate::driver_library_rows!($then);
        $crate::driver_memory_rows!($then);
        $crate::driver_vmm_rows!($then);
        $crate::driver_pool_rows!($then);
        $crate::driver_stream_rows!($then);
        $crate::driver_event_rows!($then);
        $crate::driver_launch_rows!($then);
        $crate::driver_graph_rows!($then);
        $crate::driver_texture_rows!($then);
        $crate::driver_interop_rows!($then);
    };
}

super::rows_table! {
    "init" driver_init_rows;
    "device" driver_device_rows;
    "context" driver_context_rows;
    "module" driver_module_rows;
    "library" driver_library_rows;
    "memory" driver_memory_rows;
    "vmm" driver_vmm_rows;
    "pool" driver_pool_rows;
    "stream" driver_stream_rows;
    "event" driver_event_rows;
    "launch" driver_launch_rows;
    "graph" driver_graph_rows;
    "texture" driver_texture_rows;
    "interop" driver_interop_rows;
}
