//! The embedded object store: the S3 protocol over a local folder, whose uploads raise events.
//!
//! `s3s` speaks the protocol, `s3s-fs` keeps the files, `guard` adds what makes the two safe to use, and
//! `server` listens. Objects lie as plain files under `root/bucket/key`.

mod credentials;
mod event;
mod guard;
mod names;
mod objects;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::credentials::{Credentials, CredentialsError};
pub use self::event::{Chain, Creation, Notice, Notices, ObjectEvent};
pub use self::objects::{ObjectError, ObjectStore};

use self::guard::Guard;

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder that holds the buckets.
    pub root: PathBuf,
    /// Keys that requests must be signed with.
    pub credentials: Credentials,
}

/// Why the store did not start.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("object store folder {path}: {message}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The address cannot be used.
    #[error("object store cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running store.
#[derive(Debug)]
pub struct Store {
    address: SocketAddr,
    guard: Guard,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Store {
    /// Opens the folder and listens. Events go to `notices`, and each upload waits for its own to be accepted.
    pub async fn start(config: StoreConfig, notices: Notices) -> Result<Self, StoreError> {
        let StoreConfig {
            listen,
            root,
            credentials,
        } = config;
        let unusable = |message: String| StoreError::Folder {
            path: root.clone(),
            message,
        };
        std::fs::create_dir_all(&root).map_err(|e| unusable(e.to_string()))?;
        let root = root.canonicalize().map_err(|e| unusable(e.to_string()))?;
        let files = FileSystem::new(&root).map_err(|e| unusable(format!("{e:?}")))?;
        let guard = Guard::new(files, root, notices);

        let mut builder = S3ServiceBuilder::new(guard.clone());
        builder.set_auth(SimpleAuth::from_single(
            credentials.access_key,
            credentials.secret_key,
        ));
        builder.set_access(server::SignatureV4Only);
        let service = builder.build();

        let refused = |source| StoreError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = CancellationToken::new();
        let server = tokio::spawn(server::serve(listener, service, stop.clone()));
        Ok(Self {
            address,
            guard,
            stop,
            server,
        })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store without the network.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.guard.clone())
    }

    /// Stops listening and waits for transfers in flight.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "store: server ended badly");
        }
    }
}
