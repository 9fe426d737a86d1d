//! `rgpu serve`: the GPU server.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rgpu_server::config::Config;
use rgpu_server::supervisor::Server;
use rgpu_transport::Url;

use crate::address::{self, DEFAULT_PORT};
use crate::libraries::{self, Set};
use crate::{log, size};

/// Share GPUs with other machines.
///
/// Each client gets a worker process of its own, with a lease of GPU memory. The address also serves the
/// control plane (`rgpu smi`), and over HTTP /metrics and /health.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) gpu: GpuArgs,
    /// Where to listen, may be repeated: tcp://HOST:PORT, also for clients of rdma://HOST:PORT, or unix:/PATH
    /// [default: the local server's socket and tcp://127.0.0.1:7461]
    #[arg(long, value_name = "URL")]
    listen: Vec<Url>,
}

/// Settings of the GPU server, shared with `rgpu up`.
#[derive(Debug, clap::Args)]
pub(crate) struct GpuArgs {
    /// Cap on the software GPU's memory, such as 4Gi [default: half of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// Lease of a client that does not say how much it wants [default: an eighth of the GPU's memory]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    lease: Option<u64>,
    /// The CUDA driver to load: a path, `software`, or `auto`: NVIDIA's where it is installed, else the
    /// software GPU
    #[arg(long, value_name = "LIBRARY", default_value = "auto")]
    driver: String,
    /// Workers kept ready, with a context created, for each GPU
    #[arg(long, value_name = "N", default_value_t = 2)]
    warm: usize,
    /// Folder for module images that clients have brought [default: the user's cache folder]
    #[arg(long, value_name = "FOLDER")]
    modules: Option<PathBuf>,
}

/// Where distributions and container runtimes put NVIDIA's driver library.
const NVIDIA: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
    "/usr/lib/libcuda.so.1",
    "/usr/local/nvidia/lib64/libcuda.so.1",
    "/usr/lib/wsl/lib/libcuda.so.1",
];

impl GpuArgs {
    /// The server's settings.
    pub(crate) fn config(&self, listen: Vec<Url>) -> anyhow::Result<Config> {
        let (driver, software) = self.driver()?;
        let executable = std::env::current_exe().context("cannot find this executable")?;
        Ok(Config {
            listen,
            driver,
            software,
            memory: self.memory,
            default_lease: self.lease,
            warm_workers: self.warm,
            modules: self.modules.clone().unwrap_or_else(cache_folder),
            worker_command: vec![executable.into(), "worker".into()],
        })
    }

    fn driver(&self) -> anyhow::Result<(PathBuf, bool)> {
        let software = || Ok((libraries::folder(Set::SoftGpu)?.join("libcuda.so.1"), true));
        match self.driver.as_str() {
            "software" => software(),
            "auto" => match NVIDIA.iter().map(Path::new).find(|path| path.exists()) {
                Some(path) => Ok((path.into(), false)),
                None => software(),
            },
            path => Ok((path.into(), false)),
        }
    }
}

/// `$XDG_CACHE_HOME/rgpu/modules`, or the same under `~/.cache`.
fn cache_folder() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    cache
        .unwrap_or_else(address::runtime_folder)
        .join("rgpu/modules")
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    log::to_stderr();
    let listen = if args.listen.is_empty() {
        default_listen()?
    } else {
        args.listen.clone()
    };
    let config = args.gpu.config(listen)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = Server::start(config).await?;
        announce(&server)?;
        stopped().await?;
        server.stop().await;
        Ok(())
    })
}

fn default_listen() -> anyhow::Result<Vec<Url>> {
    let folder = address::runtime_folder();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let tcp = Url::Tcp {
        host: "127.0.0.1".into(),
        port: DEFAULT_PORT,
    };
    Ok(vec![address::local_server(), tcp])
}

/// Tells people and scripts that the server is up.
fn announce(server: &Server) -> anyhow::Result<()> {
    let devices = server.devices().into_iter().enumerate();
    let mut text: String = devices
        .map(|(ordinal, name)| format!("device {ordinal}: {name}\n"))
        .collect();
    text.extend(
        server
            .urls()
            .iter()
            .map(|url| format!("listening on {url}\n")),
    );
    // At once, so that a script that has read what it wants may close its end.
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Waits for Ctrl-C or a request to end.
pub(crate) async fn stopped() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
