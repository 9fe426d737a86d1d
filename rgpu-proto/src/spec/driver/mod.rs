//! The CUDA driver API, one file per family.

use super::{Class, Row};

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

macro_rules! class {
    (posted) => {
        Class::Posted
    };
    (reply) => {
        Class::Reply
    };
    (local) => {
        Class::Local
    };
    (custom) => {
        Class::Custom
    };
    (absent) => {
        Class::Absent
    };
}

// `0x0801 custom cuStreamCreate(…);` becomes `Row { id: 0x0801, class: Class::Custom, name: "cuStreamCreate", family: "" }`.
macro_rules! rows_as_data {
    ($($id:literal $class:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {
        &[$(Row { id: $id, class: class!($class), name: stringify!($name), family: "" }),*]
    };
}

/// Families in the order of their ids.
const FAMILIES: &[(&str, &[Row])] = &[
    ("init", crate::driver_init_rows!(rows_as_data)),
    ("device", crate::driver_device_rows!(rows_as_data)),
    ("context", crate::driver_context_rows!(rows_as_data)),
    ("module", crate::driver_module_rows!(rows_as_data)),
    ("library", crate::driver_library_rows!(rows_as_data)),
    ("memory", crate::driver_memory_rows!(rows_as_data)),
    ("vmm", crate::driver_vmm_rows!(rows_as_data)),
    ("pool", crate::driver_pool_rows!(rows_as_data)),
    ("stream", crate::driver_stream_rows!(rows_as_data)),
    ("event", crate::driver_event_rows!(rows_as_data)),
    ("launch", crate::driver_launch_rows!(rows_as_data)),
    ("graph", crate::driver_graph_rows!(rows_as_data)),
    ("texture", crate::driver_texture_rows!(rows_as_data)),
    ("interop", crate::driver_interop_rows!(rows_as_data)),
];

const COUNT: usize = {
    let mut count = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        count += FAMILIES[family].1.len();
        family += 1;
    }
    count
};

/// Every row, in the order of the ids.
pub static ROWS: [Row; COUNT] = {
    let mut rows = [Row {
        id: 0,
        class: Class::Absent,
        name: "",
        family: "",
    }; COUNT];
    let (mut family, mut at) = (0, 0);
    while family < FAMILIES.len() {
        let (name, of_family) = FAMILIES[family];
        let mut row = 0;
        while row < of_family.len() {
            rows[at] = of_family[row];
            rows[at].family = name;
            at += 1;
            row += 1;
        }
        family += 1;
    }
    rows
};
