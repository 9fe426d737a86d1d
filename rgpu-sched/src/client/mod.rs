//! The API's client, and what `rgpu fn` does with it.

mod commands;
mod table;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

pub use self::commands::{CommandError, apply_file, list, remove, show_logs};
pub use self::table::{functions_table, invocations_table};

use crate::api::{Applied, ErrorBody, FunctionView, Gpus, Health};
use crate::db::InvocationFilter;
use crate::function::FunctionSpec;
use crate::queue::{Invocation, InvocationId, State};

/// The address that is assumed when none is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7171";
/// How long one question waits for an invocation's end.
const POLL: Duration = Duration::from_secs(30);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error(
        "no scheduler at {url}: {reason}; start one with `rgpu up`, or name another with --api"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The scheduler refused.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its message.
        message: String,
    },
    /// The answer cannot be read.
    #[error("the scheduler at {url} gave an answer that cannot be read: {reason}")]
    Answer {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The address is none.
    #[error("`{0}` is not an address like {DEFAULT_URL}")]
    Url(String),
}

/// Speaks to a scheduler.
#[derive(Clone, Debug)]
pub struct ApiClient {
    url: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl ApiClient {
    /// For the scheduler at `url`, such as [`DEFAULT_URL`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/');
        let parsed: hyper::Uri = url.parse().map_err(|_| ClientError::Url(url.to_owned()))?;
        if parsed.scheme_str() != Some("http")
            || parsed.host().is_none()
            || !matches!(parsed.path(), "" | "/")
        {
            return Err(ClientError::Url(url.to_owned()));
        }
        Ok(Self {
            url: url.to_owned(),
            http: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|_| ClientError::Url(format!("{}{path}", self.url)))?;
        let answered = self.http.request(request).await;
        let response = answered.map_err(|e| ClientError::Unreachable {
            url: self.url.clone(),
            reason: innermost(&e),
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.bytes(response).await?;
        let message = serde_json::from_slice::<ErrorBody>(&bytes).map(|b| b.error);
        let message =
            message.unwrap_or_else(|_| format!("{status}: {}", String::from_utf8_lossy(&bytes)));
        Err(ClientError::Refused {
            status: status.as_u16(),
            message,
        })
    }

    fn unreadable(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Answer {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }

    async fn bytes(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        Ok(response
            .into_body()
            .collect()
            .await
            .map_err(|e| self.unreadable(&e))?
            .to_bytes())
    }

    async fn json<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T, ClientError> {
        serde_json::from_slice(&self.bytes(response).await?).map_err(|e| self.unreadable(&e))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.send(Method::GET, path, None).await?).await
    }

    /// Whether the scheduler is well, and how much it has to do.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get("/health").await
    }

    /// Adds or replaces a function.
    pub async fn apply(&self, spec: &FunctionSpec) -> Result<Applied, ClientError> {
        let body = serde_json::to_vec(spec).map_err(|e| self.unreadable(&e))?;
        self.json(self.send(Method::POST, "/v1/functions", Some(body)).await?)
            .await
    }

    /// All functions.
    pub async fn functions(&self) -> Result<Vec<FunctionView>, ClientError> {
        self.get("/v1/functions").await
    }

    /// One function.
    pub async fn function(&self, name: &str) -> Result<FunctionView, ClientError> {
        self.get(&format!("/v1/functions/{}", encode(name))).await
    }

    /// Removes a function; its waiting invocations are cancelled.
    pub async fn delete(&self, name: &str) -> Result<(), ClientError> {
        self.send(
            Method::DELETE,
            &format!("/v1/functions/{}", encode(name)),
            None,
        )
        .await
        .map(drop)
    }

    /// Invocations, newest first.
    pub async fn invocations(
        &self,
        filter: &InvocationFilter,
    ) -> Result<Vec<Invocation>, ClientError> {
        let query: Vec<String> = [
            ("function", filter.function.clone()),
            ("state", filter.state.map(|s| s.as_str().to_owned())),
            ("bucket", filter.bucket.clone()),
            ("key", filter.key.clone()),
            ("before", filter.before.map(|id| id.to_string())),
            ("limit", filter.limit.map(|n| n.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
        .collect();
        self.get(&format!("/v1/invocations?{}", query.join("&")))
            .await
    }

    /// One invocation as it is now.
    pub async fn invocation(&self, id: InvocationId) -> Result<Invocation, ClientError> {
        self.get(&format!("/v1/invocations/{id}")).await
    }

    /// Waits until the invocation has ended, or for `patience`; returns it as it is then.
    pub async fn wait(
        &self,
        id: InvocationId,
        patience: Duration,
    ) -> Result<Invocation, ClientError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let left = deadline
                .saturating_duration_since(tokio::time::Instant::now())
                .min(POLL);
            // Rounded up, so that the last question does not come back at once.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            let now: Invocation = self
                .get(&format!("/v1/invocations/{id}?wait={seconds}"))
                .await?;
            if now.state.is_final() || left.is_zero() {
                return Ok(now);
            }
        }
    }

    /// Every change of every invocation from now on.
    pub async fn events(&self) -> Result<Events, ClientError> {
        let response = self.send(Method::GET, "/v1/events", None).await?;
        Ok(Events {
            body: response.into_body(),
            buffer: Vec::new(),
        })
    }

    /// The log so far, or with `follow` all of it until the invocation has ended; in pieces, to `sink`.
    pub async fn logs(
        &self,
        id: InvocationId,
        follow: bool,
        mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let response = self
            .send(
                Method::GET,
                &format!("/v1/invocations/{id}/logs?follow={follow}"),
                None,
            )
            .await?;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|e| self.unreadable(&e))?.into_data() {
                sink(&data).map_err(|e| self.unreadable(&e))?;
            }
        }
        Ok(())
    }

    /// Cancels an invocation that has not ended.
    pub async fn cancel(&self, id: InvocationId) -> Result<(), ClientError> {
        self.send(Method::POST, &format!("/v1/invocations/{id}/cancel"), None)
            .await
            .map(drop)
    }

    /// The GPU servers that jobs can be sent to.
    pub async fn gpus(&self) -> Result<Gpus, ClientError> {
        self.get("/v1/gpus").await
    }
}

/// A stream of changes; see [`ApiClient::events`].
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// The next change of an invocation; `None` when the scheduler ends. Changes that came too fast are left out.
    pub async fn next(&mut self) -> Option<Invocation> {
        loop {
            while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Ok(invocation) = serde_json::from_slice(&line) {
                    return Some(invocation);
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

impl ClientError {
    /// Whether the scheduler said that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND.as_u16())
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The cause at the bottom says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Whether the invocation ended well.
#[must_use]
pub fn succeeded(invocation: &Invocation) -> bool {
    invocation.state == State::Succeeded
}
