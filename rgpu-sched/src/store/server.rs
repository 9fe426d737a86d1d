//! The store's HTTP server: signature version 4 on every request, and an orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::access::{S3Access, S3AccessContext};
use s3s::service::S3Service;
use s3s::{S3Result, s3_error};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::guard::Peer;

/// A client that sends no request head for so long is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long transfers in flight may take once the store stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept (usually: no file descriptors left), for which there is no event to wait on.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Lets in only requests that carry a valid signature of version 4.
#[derive(Debug)]
pub(super) struct SignatureV4Only;

#[async_trait::async_trait]
impl S3Access for SignatureV4Only {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "every request must be signed"));
        }
        let header = cx
            .headers()
            .get("authorization")
            .and_then(|v| v.to_str().ok());
        let by_header = header.is_some_and(|v| v.starts_with("AWS4-"));
        let by_query = header.is_none()
            && cx
                .uri()
                .query()
                .is_some_and(|q| q.contains("X-Amz-Signature="));
        if by_header || by_query {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied, "signature version 4 is required"))
        }
    }
}

/// Serves until `stop`, then lets transfers in flight end.
pub(super) async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(pair) => pair,
            Err(error) => {
                tracing::warn!(%error, "store: cannot accept a connection");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        socket.set_nodelay(true).ok();
        let connection = http.serve_connection(
            TokioIo::new(socket),
            WithPeer {
                service: service.clone(),
                peer,
            },
        );
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "store: connection ended");
            }
        });
    }
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("store: transfers were cut off at shutdown");
    }
}

/// Adds the peer's address to each request.
#[derive(Clone)]
struct WithPeer {
    service: S3Service,
    peer: SocketAddr,
}

impl hyper::service::Service<hyper::Request<Incoming>> for WithPeer {
    type Response = s3s::HttpResponse;
    type Error = s3s::HttpError;
    type Future = <S3Service as hyper::service::Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        hyper::service::Service::call(&self.service, request)
    }
}
