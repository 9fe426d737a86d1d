//! `rgpu worker`: started by `rgpu serve`, never by people.

use std::path::PathBuf;

use rgpu_server::worker::{self, Options};

use crate::log;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The CUDA driver to load
    #[arg(long)]
    driver: PathBuf,
    /// Folder of the module store
    #[arg(long)]
    modules: PathBuf,
}

pub(crate) fn main(args: Args) -> anyhow::Result<()> {
    let options = Options {
        driver: args.driver,
        modules: args.modules,
    };
    let result = worker::run(&options, log::to_file);
    if let Err(error) = &result {
        tracing::error!("worker failed: {error:#}");
    }
    // Threads of the driver may be in a kernel that does not end; nothing here is worth waiting for them.
    // SAFETY: ends the process without running destructors, as intended.
    unsafe { libc::_exit(i32::from(result.is_err())) }
}
