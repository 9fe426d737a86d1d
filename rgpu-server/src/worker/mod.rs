//! One process per client: loads the driver, makes a context, waits for a client, serves it, and exits.
//!
//! ```text
//! load driver -> primary context -> Ready -> (warm) -> Assign -> hello -> session -> exit
//! ```
//!
//! Whatever the client held goes with the process: memory, modules, a poisoned context, a crash.

mod contexts;
mod driver;
mod event;
mod handlers;
mod handles;
mod host_func;
mod jit_log;
mod libraries;
mod output;
mod session;
mod snapshot;
mod spare;
mod staging;
mod transfers;
mod waits;
mod window;
mod wire_in;
mod writer;

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::handover::{self, Assign, Ready, WORKER_FD};
use crate::store::Store;
use driver::Driver;

/// What a worker is told on its command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `libcuda.so.1` to load.
    pub driver: PathBuf,
    /// Folder of the module store.
    pub modules: PathBuf,
}

/// Runs a worker whose supervisor is at [`WORKER_FD`]. Returns when the client or the supervisor is gone.
///
/// # Errors
/// No usable driver, or a supervisor that does not keep to its side.
pub fn run(options: &Options, log: impl FnOnce(std::fs::File)) -> anyhow::Result<()> {
    die_with_parent()?;
    let (pipes, stderr) = output::capture().context("cannot capture the driver's output")?;
    log(stderr);
    // SAFETY: the supervisor put this end of its socket pair there, and nothing else owns it.
    let supervisor = unsafe { OwnedFd::from_raw_fd(WORKER_FD) };
    let store = Store::open(options.modules.clone()).context("cannot open the module store")?;
    let driver = Arc::new(load(&options.driver)?);
    let warm = snapshot::Warm::up(&driver)?;
    let ready = Ready {
        driver_version: warm.driver_version,
        devices: warm.devices.clone(),
    };
    handover::send(supervisor.as_fd(), &ready, None).context("the supervisor is gone")?;
    let (assign, socket) = match handover::receive::<Assign>(supervisor.as_fd()) {
        Ok((assign, Some(socket))) => (assign, socket),
        Ok((_, None)) => anyhow::bail!("an assignment came without a socket"),
        // The supervisor went away while this worker was idle.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        Err(error) => return Err(error).context("cannot receive an assignment"),
    };
    let libraries = libraries::Libraries::new(&options.driver);
    let parts = session::Parts {
        driver,
        libraries,
        store,
    };
    session::serve(parts, &warm, &assign, socket, pipes, supervisor)
}

fn load(path: &Path) -> anyhow::Result<Driver> {
    Driver::load(path).with_context(|| format!("cannot load the CUDA driver {}", path.display()))
}

/// A worker does not outlive its supervisor.
fn die_with_parent() -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    Ok(())
}
