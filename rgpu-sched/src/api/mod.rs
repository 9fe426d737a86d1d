//! The HTTP API: functions, invocations, logs, events, in JSON.
//!
//! There are no tokens yet, and whoever may apply a function may run commands here. So the default address is
//! loopback, and requests that a browser sends on behalf of a foreign page are refused: those carry an `Origin`,
//! or, after a change of the name's address, a foreign `Host`.

mod error;
mod logs;
mod routes;
mod types;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

pub use self::types::{Applied, ErrorBody, FunctionView, Gpus, Health};

use self::error::ApiError;
use crate::core::CoreHandle;
use crate::db::Db;
use crate::store::ObjectStore;

/// Bounds a definition with its script, whose quotes and line ends take two bytes each in JSON.
const MAX_BODY: usize = 4 << 20;

/// What the handlers need.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) core: CoreHandle,
    pub(crate) db: Arc<Db>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Log paths are relative to it.
    pub(crate) base: PathBuf,
    pub(crate) store_url: String,
    pub(crate) loopback: bool,
    /// Ends streams.
    pub(crate) stop: CancellationToken,
}

/// The API's routes.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/health", get(routes::health))
        .route("/v1/functions", get(routes::functions).post(routes::apply))
        .route(
            "/v1/functions/{name}",
            get(routes::function).delete(routes::delete),
        )
        .route("/v1/invocations", get(routes::invocations))
        .route("/v1/invocations/{id}", get(routes::invocation))
        .route("/v1/invocations/{id}/logs", get(logs::logs))
        .route("/v1/invocations/{id}/cancel", post(routes::cancel))
        .route("/v1/events", get(routes::events))
        .route("/v1/gpus", get(routes::gpus))
        .fallback(|| async { ApiError::not_found("there is no such path; see docs/platform.md") })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            refuse_foreign_pages,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

async fn refuse_foreign_pages(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) {
        return ApiError::forbidden("requests from web pages are refused").into_response();
    }
    let host = headers.get(HOST).and_then(|h| h.to_str().ok());
    if api.loopback && !host.is_some_and(is_loopback_name) {
        return ApiError::forbidden(
            "the Host header must name this machine: localhost, 127.0.0.1 or [::1]",
        )
        .into_response();
    }
    next.run(request).await
}

/// Whether a `Host` header can only mean this machine.
fn is_loopback_name(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(host, |(name, _)| name);
    let bare = name
        .strip_prefix('[')
        .and_then(|n| n.strip_suffix(']'))
        .unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in [
            "localhost",
            "localhost:80",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.9.9.9:8",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "example.org",
            "example.org:80",
            "10.0.0.1:80",
            "localhost.example.org",
            "",
            "[::2]:80",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
