//! Wires the parts together: lock the folder, open the database, start store, core and API; and stop them in
//! the order that loses nothing.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, router};
use crate::broker::{Broker, GpuInventory, StaticInventory};
use crate::core::{Core, CoreHandle, CoreParts, Message, Refresh, refresh_gpus};
use crate::db::{Db, DbError};
use crate::launcher::{Backend, GpuWrapper, KeepFolders, Launcher, LauncherConfig, LocalBackend};
use crate::queue::{Limits, Queue};
use crate::store::{Credentials, CredentialsError, Notice, Store, StoreConfig, StoreError};

/// How long open API streams may take to end.
const API_DRAIN: Duration = Duration::from_secs(3);

/// What the scheduler needs to know. [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Everything that the scheduler keeps: database, objects, logs, folders of jobs.
    pub data_dir: PathBuf,
    /// Address of the HTTP API; port 0 takes a free one.
    pub api_listen: SocketAddr,
    /// Address of the object store; port 0 takes a free one.
    pub store_listen: SocketAddr,
    /// Keys of the object store; without them a pair is made once and kept in the data folder.
    pub credentials: Option<Credentials>,
    /// Region named in events.
    pub region: String,
    /// How many jobs may run at once.
    pub limits: Limits,
    /// URLs of the GPU servers.
    pub gpu_servers: Vec<String>,
    /// Put before the command of a job that has a share of a GPU.
    pub gpu_wrapper: GpuWrapper,
    /// How often GPU servers are asked while a job waits for a GPU.
    pub gpu_refresh: Duration,
    /// Variables for every job.
    pub job_env: BTreeMap<String, String>,
    /// How long a job may run whose function does not say.
    pub default_timeout: Option<Duration>,
    /// How long a job may take to end when it is asked to.
    pub kill_grace: Duration,
    /// Which folders of ended jobs stay.
    pub keep_folders: KeepFolders,
    /// Control group for the jobs' groups; by default the scheduler's own.
    pub cgroup_parent: Option<PathBuf>,
    /// How many ended invocations are remembered, with their logs.
    pub keep_invocations: usize,
}

impl Config {
    /// The defaults, on free loopback ports, without GPU servers.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data_dir: data_dir.into(),
            api_listen: loopback,
            store_listen: loopback,
            credentials: None,
            region: "us-east-1".to_owned(),
            limits: Limits {
                total: cores,
                per_function: cores,
            },
            gpu_servers: Vec::new(),
            gpu_wrapper: GpuWrapper::default(),
            gpu_refresh: Duration::from_secs(1),
            job_env: BTreeMap::new(),
            default_timeout: Some(Duration::from_secs(24 * 3600)),
            kill_grace: Duration::from_secs(5),
            keep_folders: KeepFolders::Never,
            cgroup_parent: None,
            keep_invocations: 10_000,
        }
    }
}

/// Why the scheduler did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("data folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another scheduler uses the data folder.
    #[error("data folder {0} is in use by another scheduler")]
    InUse(PathBuf),
    /// A setting makes no sense.
    #[error("setting {0}")]
    Setting(&'static str),
    /// See the source.
    #[error(transparent)]
    Db(#[from] DbError),
    /// See the source.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// See the source.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API's address cannot be used.
    #[error("API cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What can be replaced: where GPUs are learnt from, and where jobs run.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// Asks GPU servers for their devices; without it none has any.
    pub inventory: Option<Arc<dyn GpuInventory>>,
    /// Runs jobs; without it they are local processes.
    pub backend: Option<Arc<dyn Backend>>,
}

/// A running scheduler. Dropping it stops its jobs but waits for nothing; prefer [`Scheduler::shutdown`].
#[derive(Debug)]
pub struct Scheduler {
    api_address: SocketAddr,
    store_address: SocketAddr,
    credentials: Credentials,
    core: CoreHandle,
    store: Option<Store>,
    api: Option<JoinHandle<io::Result<()>>>,
    stop: CancellationToken,
    _lock: Flock<File>,
}

impl Scheduler {
    /// Starts with local processes and no knowledge of GPUs.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Services::default()).await
    }

    /// Starts.
    pub async fn start_with(config: Config, services: Services) -> Result<Self, StartError> {
        if config.limits.total == 0 || config.limits.per_function == 0 {
            return Err(StartError::Setting("limits: no job could ever run"));
        }
        let base = make_folder(&config.data_dir)?;
        let lock = lock_folder(&base)?;
        let db = Arc::new(Db::open(&base.join("rgpu.sqlite"))?);
        let credentials = match config.credentials.clone() {
            Some(given) => given,
            None => Credentials::load_or_create(&base.join("credentials.json"))?,
        };

        let (notices, inbox) = mpsc::channel(64);
        let store_config = StoreConfig {
            listen: config.store_listen,
            root: base.join("objects"),
            credentials: credentials.clone(),
        };
        let store = Store::start(store_config, notices).await?;
        let launcher = make_launcher(&config, &base, &db, &store, services.backend)?;
        launcher.clear_leftovers().await;

        let broker = Broker::new(config.gpu_servers.iter().cloned());
        let (urls, refresh) = (broker.urls(), Arc::new(Refresh::new()));
        let parts = CoreParts {
            db: Arc::clone(&db),
            queue: Queue::new(config.limits),
            broker,
            launcher,
            refresh: Arc::clone(&refresh),
            region: config.region.clone(),
            keep_invocations: config.keep_invocations,
            base: base.clone(),
        };
        let core = Core::start(parts, Handle::current())?;
        let stop = CancellationToken::new();
        tokio::spawn(forward(inbox, core.clone()));
        let inventory = services
            .inventory
            .unwrap_or_else(|| Arc::new(StaticInventory::default()));
        tokio::spawn(refresh_gpus(
            urls,
            inventory,
            refresh,
            config.gpu_refresh,
            core.clone(),
            stop.clone(),
        ));

        let store_address = store.address();
        let api = Api {
            core: core.clone(),
            db,
            objects: store.objects(),
            base,
            store_url: format!("http://{store_address}"),
            loopback: config.api_listen.ip().is_loopback(),
            stop: stop.clone(),
        };
        let (api_address, api) = serve_api(config.api_listen, api).await?;
        tracing::info!(api = %api_address, store = %store_address, "scheduler ready");
        Ok(Self {
            api_address,
            store_address,
            credentials,
            core,
            store: Some(store),
            api: Some(api),
            stop,
            _lock: lock,
        })
    }

    /// Where the HTTP API is.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api_address)
    }

    /// Where the object store is.
    #[must_use]
    pub fn store_url(&self) -> String {
        format!("http://{}", self.store_address)
    }

    /// The object store's keys.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Stops: no new jobs, running ones are ended and will be begun again by the next start, uploads in flight
    /// are finished and recorded.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        drop(self.core.send(Message::Drain));
        if let Some(store) = self.store.take() {
            store.stop().await;
        }
        drop(self.core.send(Message::Exit));
        self.core.join().await;
        if let Some(mut api) = self.api.take()
            && tokio::time::timeout(API_DRAIN, &mut api).await.is_err()
        {
            api.abort();
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop.cancel();
        drop(self.core.send(Message::Drain));
        drop(self.core.send(Message::Exit));
    }
}

fn make_folder(path: &Path) -> Result<PathBuf, StartError> {
    let failed = |source| StartError::Folder {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    path.canonicalize().map_err(failed)
}

fn lock_folder(base: &Path) -> Result<Flock<File>, StartError> {
    let failed = |source| StartError::Folder {
        path: base.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(base.join("lock"))
        .map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => StartError::InUse(base.to_owned()),
        other => failed(other.into()),
    })
}

fn make_launcher(
    config: &Config,
    base: &Path,
    db: &Db,
    store: &Store,
    backend: Option<Arc<dyn Backend>>,
) -> Result<Launcher, StartError> {
    let fresh = Credentials::random_tag().map_err(|source| StartError::Folder {
        path: base.to_owned(),
        source,
    })?;
    let launcher = LauncherConfig {
        work: base.join("work"),
        base: base.to_owned(),
        gpu_wrapper: config.gpu_wrapper.clone(),
        job_env: config.job_env.clone(),
        default_timeout: config.default_timeout,
        kill_grace: config.kill_grace,
        keep: config.keep_folders,
        tag: db.tag(&fresh)?,
    };
    let backend =
        backend.unwrap_or_else(|| Arc::new(LocalBackend::new(config.cgroup_parent.as_deref())));
    Ok(Launcher::new(launcher, store.objects(), backend))
}

/// Hands the store's events to the core.
async fn forward(mut inbox: mpsc::Receiver<Notice>, core: CoreHandle) {
    while let Some(notice) = inbox.recv().await {
        if core.send(Message::Created(notice)).is_err() {
            return;
        }
    }
}

async fn serve_api(
    listen: SocketAddr,
    api: Api,
) -> Result<(SocketAddr, JoinHandle<io::Result<()>>), StartError> {
    let failed = |source| StartError::Listen {
        address: listen,
        source,
    };
    if !listen.ip().is_loopback() {
        tracing::warn!(address = %listen, "the API has no authentication: whoever reaches it can run commands here");
    }
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = api.stop.clone();
    let server = axum::serve(listener, router(Arc::new(api)));
    let server = server.with_graceful_shutdown(async move { stop.cancelled().await });
    Ok((address, tokio::spawn(server.into_future())))
}
