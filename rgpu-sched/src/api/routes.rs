//! The handlers; they translate and do no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::error::ApiError;
use super::types::{Applied, FunctionView, Gpus, Health};
use crate::core::Cancelled;
use crate::db::{Db, DbError, InvocationFilter, StoredFunction};
use crate::function::{Function, parse_json};
use crate::queue::{Invocation, InvocationId};

/// The longest wait that one request may ask for; clients ask again.
const MAX_WAIT: u64 = 60;

type Answer<T> = Result<Json<T>, ApiError>;
type ApiState = Shared<Arc<Api>>;

impl Api {
    /// Asks the database off the runtime's threads.
    pub(super) async fn db<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Db) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let db = Arc::clone(&self.db);
        let asked = tokio::task::spawn_blocking(move || ask(&db)).await;
        Ok(asked.map_err(|e| ApiError::internal(e.to_string()))??)
    }

    /// The invocation, or 404.
    pub(super) async fn find(&self, id: InvocationId) -> Result<Invocation, ApiError> {
        let found = self.db(move |db| db.invocation(id)).await?;
        found.ok_or_else(|| ApiError::not_found(format!("there is no invocation {id}")))
    }
}

pub(super) fn invocation_id(
    path: Result<Path<i64>, PathRejection>,
) -> Result<InvocationId, ApiError> {
    path.map(|Path(id)| InvocationId(id))
        .map_err(|_| ApiError::bad_request("an invocation's id is a number"))
}

pub(super) async fn health(Shared(api): ApiState) -> Answer<Health> {
    let overview = api.core.overview().await?;
    Ok(Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: api.store_url.clone(),
        waiting: overview.waiting,
        running: overview.running,
    }))
}

pub(super) async fn apply(
    Shared(api): ApiState,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    // A page of another site can send other types without asking, but not this one.
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if !media
        .split(';')
        .next()
        .is_some_and(|m| m.trim().eq_ignore_ascii_case("application/json"))
    {
        return Err(ApiError::wrong_type());
    }
    let function = Function::try_from(parse_json(&body)?)?;
    for bucket in function.buckets() {
        api.objects.ensure_bucket(bucket).await?;
    }
    let (name, warnings) = (function.name.clone(), function.warnings());
    let created = api.core.apply(function).await?;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(Applied {
            name,
            created,
            warnings,
        }),
    )
        .into_response())
}

fn view(db: &Db, stored: StoredFunction) -> Result<FunctionView, DbError> {
    let StoredFunction {
        function,
        created,
        updated,
    } = stored;
    let counts = db.count_by_state(&function.name)?;
    let invocations: BTreeMap<String, u64> = counts
        .into_iter()
        .map(|(state, count)| (state.as_str().to_owned(), count))
        .collect();
    Ok(FunctionView {
        spec: function.spec().clone(),
        name: function.name,
        created,
        updated,
        invocations,
    })
}

pub(super) async fn functions(Shared(api): ApiState) -> Answer<Vec<FunctionView>> {
    let all = api
        .db(|db| db.functions()?.into_iter().map(|f| view(db, f)).collect())
        .await?;
    Ok(Json(all))
}

fn no_function(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no function `{name}`"))
}

pub(super) async fn function(
    Shared(api): ApiState,
    Path(name): Path<String>,
) -> Answer<FunctionView> {
    let wanted = name.clone();
    let found = api
        .db(move |db| db.function(&wanted)?.map(|f| view(db, f)).transpose())
        .await?;
    found.map(Json).ok_or_else(|| no_function(&name))
}

pub(super) async fn delete(
    Shared(api): ApiState,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    if api.core.delete(name.clone()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_function(&name))
    }
}

/// The questions of `GET /v1/invocations`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    function: Option<String>,
    state: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn invocations(
    Shared(api): ApiState,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<Vec<Invocation>> {
    let Query(query) = query.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let filter = InvocationFilter {
        function: query.function,
        state: query
            .state
            .map(|s| s.parse())
            .transpose()
            .map_err(ApiError::bad_request)?,
        bucket: query.bucket,
        key: query.key,
        before: query.before.map(InvocationId),
        limit: query.limit,
    };
    Ok(Json(api.db(move |db| db.invocations(&filter)).await?))
}

/// The questions of `GET /v1/invocations/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<u64>,
}

pub(super) async fn invocation(
    Shared(api): ApiState,
    path: Result<Path<i64>, PathRejection>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Answer<Invocation> {
    let id = invocation_id(path)?;
    let Query(query) = query.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let patience = Duration::from_secs(query.wait.unwrap_or(0).min(MAX_WAIT));
    // Listening starts before looking, so that no change falls between.
    let mut changes = api.core.changes();
    let mut current = api.find(id).await?;
    let changed = async {
        while !current.state.is_final() {
            match changes.recv().await {
                Ok(change) if change.id == id => current = Invocation::clone(&change),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => current = api.find(id).await?,
                Err(RecvError::Closed) => break,
            }
        }
        Ok::<(), ApiError>(())
    };
    tokio::select! {
        waited = tokio::time::timeout(patience, changed) => waited.unwrap_or(Ok(()))?,
        () = api.stop.cancelled() => {}
    }
    Ok(Json(current))
}

pub(super) async fn cancel(
    Shared(api): ApiState,
    path: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let id = invocation_id(path)?;
    match api.core.cancel(id).await? {
        Cancelled::Yes => Ok(StatusCode::ACCEPTED),
        Cancelled::AlreadyEnded(state) => Err(ApiError::conflict(format!(
            "invocation {id} has ended: {state}"
        ))),
        Cancelled::Unknown => Err(ApiError::not_found(format!("there is no invocation {id}"))),
    }
}

pub(super) async fn gpus(Shared(api): ApiState) -> Answer<Gpus> {
    Ok(Json(Gpus {
        servers: api.core.fresh_overview().await?.gpus,
    }))
}

/// Every change of every invocation, one JSON object a line, until the client goes.
pub(super) async fn events(Shared(api): ApiState) -> Response {
    let mut changes = api.core.changes();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(16);
    let stop = api.stop.clone();
    tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = stop.cancelled() => return,
                () = sender.closed() => return,
            };
            let value = match change {
                Ok(invocation) => serde_json::to_value(&*invocation).unwrap_or_default(),
                Err(RecvError::Lagged(missed)) => json!({"missed": missed}),
                Err(RecvError::Closed) => return,
            };
            if sender
                .send(Ok(Bytes::from(format!("{value}\n"))))
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
