//! What a server is told.

use std::path::PathBuf;

use rgpu_transport::Url;

/// A server's settings, valid as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; at least one address.
    pub listen: Vec<Url>,
    /// The `libcuda.so.1` that workers load.
    pub driver: PathBuf,
    /// Whether that is the software GPU.
    pub software: bool,
    /// Cap on the software GPU's memory, in bytes.
    pub memory: Option<u64>,
    /// Lease of a client that does not say how much it wants, in bytes; an eighth of the device without it.
    pub default_lease: Option<u64>,
    /// Workers kept ready for each device.
    pub warm_workers: usize,
    /// Folder of the module store.
    pub modules: PathBuf,
    /// Program and first arguments that start a worker; `--driver` and `--modules` are added.
    pub worker_command: Vec<std::ffi::OsString>,
}
