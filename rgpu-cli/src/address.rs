//! Where the local server is found when no address is given.

use std::path::PathBuf;

use rgpu_transport::{Address, Url};

/// Environment variable with the server's address, read by the client library too.
pub(crate) const SERVER_VARIABLE: &str = "RGPU_SERVER";

/// Port of a server on TCP when none is chosen.
pub(crate) const DEFAULT_PORT: u16 = 7461;

/// A folder of this user for sockets: `$XDG_RUNTIME_DIR/rgpu`, or `/tmp/rgpu-UID`.
pub(crate) fn runtime_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("rgpu"),
        // SAFETY: getuid has no preconditions and cannot fail.
        None => std::env::temp_dir().join(format!("rgpu-{}", unsafe { libc::getuid() })),
    }
}

/// The local server's address.
pub(crate) fn local_server() -> Url {
    Url::Unix(runtime_folder().join("server.sock"))
}

/// The server to use: as given, else the local one.
pub(crate) fn server(given: Option<&Address>) -> Address {
    given.cloned().unwrap_or_else(|| local_server().into())
}
