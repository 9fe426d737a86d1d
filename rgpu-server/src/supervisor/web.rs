//! HTTP on the data port: the control plane, `/metrics` and `/health`.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::service::Routes;

use super::State;
use super::control::Service;
use crate::control::control_server::ControlServer;

/// All that is served over HTTP.
pub(super) fn router(state: &Arc<State>) -> Router {
    let metrics = Arc::clone(state);
    Routes::new(ControlServer::new(Service(Arc::clone(state))))
        .prepare()
        .into_axum_router()
        .route(
            "/metrics",
            get(move || async move { metrics.metrics_page() }),
        )
        .route("/health", get(|| async { "ok\n" }))
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let served = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(error, "http connection ended");
    }
}
