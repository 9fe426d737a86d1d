//! Takes clients in: listens, greets, leases, and hands each to a worker.
//!
//! ```text
//! accept -> first bytes -> rgpu hello -> lease -> warm worker -> hand the socket over
//!                       -> HTTP/2     -> control plane (gRPC)
//!                       -> HTTP/1     -> /metrics, /health
//! ```
//!
//! The supervisor never loads a driver and reads one bounded message of a client, so that no client can
//! make it crash or allocate without bound.

mod accept;
mod clients;
mod control;
mod leases;
mod metrics;
mod pool;
mod web;

use std::io;
use std::sync::Arc;

use rgpu_transport::Url;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use clients::Clients;
use pool::Pool;

/// A server that runs; dropping it ends the server and all its sessions.
#[derive(Debug)]
pub struct Server {
    urls: Vec<Url>,
    state: Arc<State>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// What the supervisor's tasks share.
#[derive(Debug)]
struct State {
    clients: Clients,
    pool: Pool,
    metrics: metrics::Metrics,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("cannot listen at {url}: {error}")]
    Listen {
        /// The address.
        url: Url,
        /// Why.
        error: io::Error,
    },
    /// No worker comes up.
    #[error("no GPU worker starts: {0}")]
    Worker(#[from] pool::WorkerError),
}

impl Server {
    /// Starts the first workers, then listens.
    ///
    /// # Errors
    /// The driver does not work, or an address is taken.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listeners = config
            .listen
            .iter()
            .map(|url| {
                accept::Listener::bind(url).map_err(|error| StartError::Listen {
                    url: url.clone(),
                    error,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let stop = CancellationToken::new();
        let (pool, seen) = Pool::start(config.clone()).await?;
        let clients = Clients::new(&seen, config.default_lease);
        let state = Arc::new(State {
            clients,
            pool,
            metrics: metrics::Metrics::default(),
        });
        let mut tasks = JoinSet::new();
        let mut urls = Vec::new();
        for listener in listeners {
            urls.push(listener.url());
            tasks.spawn(accept::run(listener, Arc::clone(&state), stop.clone()));
        }
        Ok(Self {
            urls,
            state,
            tasks,
            stop,
        })
    }

    /// Where the server listens, with the ports that the system chose.
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Names of the devices, for people.
    pub fn devices(&self) -> Vec<String> {
        self.state
            .clients
            .devices()
            .iter()
            .map(|device| device.name.clone())
            .collect()
    }

    /// Stops listening and ends all sessions.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.state.pool.stop().await;
    }
}
