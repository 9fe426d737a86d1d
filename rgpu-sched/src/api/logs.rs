//! The log of an invocation: what there is, or all of it as it grows.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::error::ApiError;
use super::routes::invocation_id;
use crate::queue::{Invocation, InvocationId};

const CHUNK: usize = 64 << 10;

/// The questions of `GET /v1/invocations/{id}/logs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    follow: bool,
}

pub(super) async fn logs(
    Shared(api): Shared<Arc<Api>>,
    path: Result<Path<i64>, PathRejection>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let id = invocation_id(path)?;
    let Query(LogQuery { follow }) = query.map_err(|e| ApiError::bad_request(e.body_text()))?;
    api.find(id).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut reader = LogReader { api, id, sender };
        if let Err(error) = reader.send_log(follow).await {
            drop(reader.sender.send(Err(error)).await);
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

struct LogReader {
    api: Arc<Api>,
    id: InvocationId,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

/// Why following goes on.
enum Wake {
    Again,
    End,
}

impl LogReader {
    async fn send_log(&mut self, follow: bool) -> io::Result<()> {
        let mut changes = self.api.core.changes();
        let mut invocation = self.current().await?;
        while follow && invocation.log.is_none() && !invocation.state.is_final() {
            if let Wake::End = self.change(&mut changes).await {
                return Ok(());
            }
            invocation = self.current().await?;
        }
        let Some(log) = &invocation.log else {
            return Ok(());
        };
        let path = self.api.base.join(log);
        let Some(mut file) = self.open(&path, follow, &mut changes).await? else {
            return Ok(());
        };
        if !follow {
            self.copy(&mut file).await?;
            return Ok(());
        }
        let growth = Growth::of(&path)?;
        loop {
            // In this order: what was written before the end is in the file by now.
            let ended = self.current().await?.state.is_final();
            if !self.copy(&mut file).await? || ended {
                return Ok(());
            }
            let wake = tokio::select! {
                wake = self.change(&mut changes) => wake,
                grown = growth.wait() => { grown?; Wake::Again }
            };
            if let Wake::End = wake {
                return Ok(());
            }
        }
    }

    async fn current(&self) -> io::Result<Invocation> {
        let id = self.id;
        let found = self
            .api
            .db(move |db| db.invocation(id))
            .await
            .map_err(|_| io::Error::other("database"))?;
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the invocation is gone"))
    }

    /// The log file; a job that was just begun makes it soon, and reports its next phase then.
    async fn open(
        &self,
        path: &FilePath,
        follow: bool,
        changes: &mut Receiver<Arc<Invocation>>,
    ) -> io::Result<Option<File>> {
        loop {
            let ended = self.current().await?.state.is_final();
            match File::open(path).await {
                Ok(file) => return Ok(Some(file)),
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                Err(_) if ended || !follow => return Ok(None),
                Err(_) => {}
            }
            if let Wake::End = self.change(changes).await {
                return Ok(None);
            }
        }
    }

    /// Waits for a change of the invocation, or for the end of the stream.
    async fn change(&self, changes: &mut Receiver<Arc<Invocation>>) -> Wake {
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = self.api.stop.cancelled() => return Wake::End,
                () = self.sender.closed() => return Wake::End,
            };
            match change {
                Ok(changed) if changed.id != self.id => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return Wake::Again,
                Err(RecvError::Closed) => return Wake::End,
            }
        }
    }

    /// Sends what is new in the file; tells whether anybody still reads.
    async fn copy(&self, file: &mut File) -> io::Result<bool> {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).await?;
            if read == 0 {
                return Ok(true);
            }
            chunk.truncate(read);
            if self.sender.send(Ok(Bytes::from(chunk))).await.is_err() {
                return Ok(false);
            }
        }
    }
}

/// Tells when a file has grown.
struct Growth {
    watch: Inotify,
    ready: AsyncFd<OwnedFd>,
}

impl Growth {
    fn of(path: &FilePath) -> io::Result<Self> {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        watch.add_watch(path, AddWatchFlags::IN_MODIFY)?;
        let descriptor = watch.as_fd().try_clone_to_owned()?;
        #[expect(
            unsafe_code,
            reason = "tokio has no safe way to wait for a descriptor of inotify"
        )]
        // SAFETY: an `OwnedFd` is open and stays the same descriptor for as long as it lives, and nothing
        // replaces the one inside `ready`.
        let ready = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
        Ok(Self { watch, ready })
    }

    async fn wait(&self) -> io::Result<()> {
        let mut ready = self.ready.readable().await?;
        // Only that something happened matters; the events are read to arm the next wait.
        while self
            .watch
            .read_events()
            .is_ok_and(|events| !events.is_empty())
        {}
        ready.clear_ready();
        Ok(())
    }
}
