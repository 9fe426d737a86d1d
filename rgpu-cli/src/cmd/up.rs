//! `rgpu up`: GPU server, scheduler and object store on this machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rgpu_sched::broker::{GpuDevice, GpuInventory, InventoryError};
use rgpu_sched::launcher::GpuWrapper;
use rgpu_sched::{Config, Scheduler, Services};
use rgpu_server::control::InventoryRequest;
use rgpu_server::supervisor::Server;
use rgpu_transport::Url;
use serde_json::json;

use super::serve::{self, GpuArgs};
use crate::address::DEFAULT_PORT;
use crate::{control, log};

/// Start GPU server, scheduler and object store on this machine.
///
/// Upload a file to the object store and the functions that wait for it run as jobs, each with a share of the
/// GPU. Ctrl-C ends it all; what was stored stays in the data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    gpu: GpuArgs,
    /// Folder for objects, functions, invocations and logs
    #[arg(long, value_name = "FOLDER", default_value = "rgpu-data")]
    data: PathBuf,
    /// Where the GPU server listens, may be repeated [default: tcp://127.0.0.1:7461 and a socket in the data
    /// folder]
    #[arg(long, value_name = "URL")]
    listen: Vec<Url>,
    /// Where the object store (S3) listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    s3: SocketAddr,
    /// Where the scheduler listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7171")]
    api: SocketAddr,
    /// Further GPU servers that jobs may use
    #[arg(long, value_name = "URL")]
    gpu_server: Vec<Url>,
    /// How many jobs may run at once [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    /// Print the addresses as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    log::to_stderr();
    let data = std::path::absolute(&args.data)?;
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let listen = if args.listen.is_empty() {
        let tcp = Url::Tcp {
            host: "127.0.0.1".into(),
            port: DEFAULT_PORT,
        };
        vec![tcp, Url::Unix(data.join("gpu.sock"))]
    } else {
        args.listen.clone()
    };
    let gpu = args.gpu.config(listen)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = Server::start(gpu).await?;
        let urls = server
            .urls()
            .iter()
            .take(1)
            .chain(&args.gpu_server)
            .map(Url::to_string)
            .collect();
        let services = Services {
            inventory: Some(Arc::new(ControlPlane)),
            backend: None,
        };
        let scheduler = Scheduler::start_with(config(args, data, urls)?, services).await?;
        announce(args, &server, &scheduler)?;
        serve::stopped().await?;
        scheduler.shutdown().await;
        server.stop().await;
        Ok(())
    })
}

fn config(args: &Args, data: PathBuf, gpu_servers: Vec<String>) -> anyhow::Result<Config> {
    let rgpu = std::env::current_exe().context("cannot find this executable")?;
    let rgpu = rgpu
        .to_str()
        .context("the path of this executable is not UTF-8")?;
    let wrapper = [
        rgpu,
        "run",
        "--server",
        "{server}",
        "--memory",
        "{memory_bytes}",
        "--stats",
        "{stats}",
        "--",
    ];
    let mut config = Config::new(data);
    if let Some(jobs) = args.jobs {
        config.limits.total = jobs.get();
        config.limits.per_function = jobs.get();
    }
    config.api_listen = args.api;
    config.store_listen = args.s3;
    config.gpu_servers = gpu_servers;
    config.gpu_wrapper = GpuWrapper(wrapper.map(str::to_owned).into());
    Ok(config)
}

fn announce(args: &Args, server: &Server, scheduler: &Scheduler) -> anyhow::Result<()> {
    let credentials = scheduler.credentials();
    let (s3, api) = (scheduler.store_url(), scheduler.api_url());
    let gpu: Vec<String> = server.urls().iter().map(Url::to_string).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        let line = json!({
            "gpu_servers": gpu,
            "devices": server.devices(),
            "s3": s3,
            "access_key": credentials.access_key,
            "secret_key": credentials.secret_key,
            "api": api,
        });
        writeln!(out, "{line}")?;
    } else {
        for (ordinal, name) in server.devices().iter().enumerate() {
            writeln!(out, "GPU {ordinal}         {name}")?;
        }
        for url in gpu {
            writeln!(out, "GPU server    {url}")?;
        }
        writeln!(out, "scheduler     {api}")?;
        writeln!(out, "object store  {s3}")?;
        writeln!(out, "  AWS_ACCESS_KEY_ID={}", credentials.access_key)?;
        writeln!(out, "  AWS_SECRET_ACCESS_KEY={}", credentials.secret_key)?;
        writeln!(
            out,
            "\nAdd a function with `rgpu fn apply FILE`, then upload a file to its input bucket."
        )?;
    }
    Ok(out.flush()?)
}

/// Asks GPU servers over their control planes.
#[derive(Debug)]
struct ControlPlane;

#[async_trait::async_trait]
impl GpuInventory for ControlPlane {
    async fn devices(&self, url: &str) -> Result<Vec<GpuDevice>, InventoryError> {
        let failed = |error: &dyn std::fmt::Display| InventoryError::new(error.to_string());
        let url: Url = url
            .parse()
            .map_err(|error: rgpu_transport::UrlError| failed(&error))?;
        let mut control = control::connect(&url)
            .await
            .map_err(|error| failed(&format!("{error:#}")))?;
        let reply = control
            .inventory(InventoryRequest {})
            .await
            .map_err(|error| failed(&error))?;
        let devices = reply.into_inner().devices;
        Ok(devices
            .into_iter()
            .map(|device| GpuDevice {
                index: device.ordinal,
                name: device.name,
                uuid: device
                    .uuid
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
                total_memory: device.total_memory,
                free_memory: device.free_memory,
            })
            .collect())
    }
}
