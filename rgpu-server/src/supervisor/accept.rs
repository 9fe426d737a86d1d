//! From a connection to a session: first bytes, hello, lease, hand-over.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rgpu_proto::hello::{
    self, ClientHello, HelloError, HelloKind, Intent, MAGIC, OLDEST_VERSION, PREAMBLE_LEN,
    Preamble, Refusal, RefusalCode, VERSION,
};
use rgpu_proto::wire;
use rgpu_transport::{SocketFile, Url};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::clients::Session;
use super::{State, web};
use crate::handover::Assign;

/// A client that has not said what it wants by then is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`: out of file descriptors, and retrying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A client's socket.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn bind(url: &Url) -> io::Result<Self> {
        match rgpu_transport::Listener::bind(url)? {
            rgpu_transport::Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?))
            }
            rgpu_transport::Listener::Unix(listener, file) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(listener)?, file))
            }
        }
    }

    pub(super) fn url(&self) -> Url {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => Url::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                },
                // A bound socket has an address.
                Err(_) => Url::Tcp {
                    host: "0.0.0.0".into(),
                    port: 0,
                },
            },
            Self::Unix(_, file) => Url::Unix(file.path().into()),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), format!("tcp://{peer}")))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let pid = stream
                    .peer_cred()
                    .ok()
                    .and_then(|cred| cred.pid())
                    .unwrap_or(0);
                Ok((Stream::Unix(stream), format!("unix client of pid {pid}")))
            }
        }
    }
}

/// Accepts clients until `stop`.
pub(super) async fn run(listener: Listener, state: Arc<State>, stop: CancellationToken) {
    let router = web::router(&state);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        state.metrics.connections.fetch_add(1, Relaxed);
        let (state, router, stop) = (Arc::clone(&state), router.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = route(stream, &peer, state, router) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Tells the protocols apart by the first four bytes.
async fn route(mut stream: Stream, peer: &str, state: Arc<State>, router: axum::Router) {
    let mut first = [0; 4];
    match timeout(PATIENCE, stream.read_exact(&mut first)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return tracing::debug!(peer, %error, "client left before it spoke"),
        Err(_) => return malformed(&state, peer, "it said nothing for 10 s"),
    }
    match &first {
        magic if *magic == MAGIC => data(stream, peer, state).await,
        b"PRI " | b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"DELE" => {
            let (reader, writer) = tokio::io::split(stream);
            web::serve(
                tokio::io::join(io::Cursor::new(first).chain(reader), writer),
                router,
            )
            .await;
        }
        other => malformed(
            &state,
            peer,
            &format!("it speaks neither rgpu nor HTTP (first bytes {other:02x?})"),
        ),
    }
}

fn malformed(state: &State, peer: &str, why: &str) {
    state.metrics.malformed.fetch_add(1, Relaxed);
    tracing::warn!(peer, "connection closed: {why}");
}

/// Greets a client of the data protocol.
async fn data(mut stream: Stream, peer: &str, state: Arc<State>) {
    let hello = match timeout(PATIENCE, read_hello(&mut stream)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => {
            malformed(&state, peer, &error.to_string());
            return refuse(
                stream,
                &state,
                peer,
                RefusalCode::Malformed,
                error.to_string(),
            )
            .await;
        }
        Err(_) => return malformed(&state, peer, "its hello took more than 10 s"),
    };
    let (client, server) = (
        (hello.min_version, hello.max_version),
        (OLDEST_VERSION, VERSION),
    );
    let Some(version) = hello::negotiate(client, server) else {
        let reason = hello::version_mismatch(client, server);
        return refuse(stream, &state, peer, RefusalCode::Version, reason).await;
    };
    match hello.intent {
        Intent::Inventory => {
            let inventory = hello::to_bytes(HelloKind::Inventory, &state.clients.inventory());
            // A client that is gone needs no answer.
            let _ = stream.write_all(&inventory).await;
        }
        Intent::Session => session(stream, peer, state, version, hello).await,
    }
}

async fn session(
    mut stream: Stream,
    peer: &str,
    state: Arc<State>,
    version: u16,
    hello: ClientHello,
) {
    let session = match Session::open_soon(&state, &hello).await {
        Ok(session) => session,
        Err(error) => {
            return refuse(stream, &state, peer, RefusalCode::Memory, error.to_string()).await;
        }
    };
    let device = session.lease.device;
    let worker = match state.pool.ready(device) {
        Some(worker) => Ok(worker),
        None => {
            // A client that is gone is noticed by its worker.
            let _ = stream
                .write_all(&hello::to_bytes(HelloKind::Patience, &()))
                .await;
            state.pool.start_for(device).await
        }
    };
    let worker = match worker {
        Ok(worker) => worker,
        Err(error) => {
            let reason = format!("no GPU worker starts: {error}");
            return refuse(stream, &state, peer, RefusalCode::Unavailable, reason).await;
        }
    };
    tracing::info!(
        session = session.number,
        peer,
        program = %hello.program,
        client_pid = hello.pid,
        worker_pid = worker.pid(),
        lease = session.lease.bytes,
        "session begins"
    );
    state.metrics.sessions.fetch_add(1, Relaxed);
    let assign = Assign {
        session: session.number,
        version,
        lease: session.lease.bytes,
        hello,
    };
    match stream.into_fd() {
        Ok(fd) => state.pool.serve(&state, worker, session, assign, fd).await,
        Err(error) => tracing::warn!(peer, %error, "cannot hand the client over"),
    }
}

/// Tells a client why not, in words, and logs the same words.
async fn refuse(mut stream: Stream, state: &State, peer: &str, code: RefusalCode, reason: String) {
    state.metrics.refused.fetch_add(1, Relaxed);
    tracing::warn!(peer, "client refused: {reason}");
    let refusal = Refusal {
        code,
        reason,
        min_version: OLDEST_VERSION,
        max_version: VERSION,
    };
    // A client that is gone needs no answer.
    let _ = stream
        .write_all(&hello::to_bytes(HelloKind::Refusal, &refusal))
        .await;
    let _ = stream.shutdown().await;
}

/// Why there is no hello.
#[derive(Debug, thiserror::Error)]
enum NoHello {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("malformed hello: {0}")]
    Decode(#[from] wire::DecodeError),
    #[error("the first message is not a client's")]
    Kind,
    #[error("its hello ended early: {0}")]
    Io(#[from] io::Error),
}

/// The hello whose magic has been read already.
async fn read_hello(stream: &mut (impl AsyncRead + Unpin)) -> Result<ClientHello, NoHello> {
    let mut preamble = [0; PREAMBLE_LEN];
    preamble[..MAGIC.len()].copy_from_slice(&MAGIC);
    stream.read_exact(&mut preamble[MAGIC.len()..]).await?;
    let preamble = Preamble::from_bytes(&preamble)?;
    if preamble.kind != HelloKind::Client {
        return Err(NoHello::Kind);
    }
    let mut body = vec![0; preamble.len];
    stream.read_exact(&mut body).await?;
    Ok(wire::from_bytes(&body)?)
}

impl Stream {
    fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.into()
            }
            Self::Unix(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.into()
            }
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => std::pin::Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => std::pin::Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => std::pin::Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => std::pin::Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => std::pin::Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => std::pin::Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => std::pin::Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => std::pin::Pin::new(stream).poll_shutdown(cx),
        }
    }
}
