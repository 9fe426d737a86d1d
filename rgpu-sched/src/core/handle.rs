//! How the rest of the scheduler speaks to its heart.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Cancelled, Message, Overview, Refresh};
use crate::db::DbError;
use crate::function::Function;
use crate::queue::{Invocation, InvocationId};

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    #[error("the scheduler is shutting down")]
    Gone,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Speaks to the core; clones speak to the same one.
#[derive(Clone, Debug)]
pub(crate) struct CoreHandle {
    messages: mpsc::UnboundedSender<Message>,
    changes: broadcast::Sender<Arc<Invocation>>,
    refresh: Arc<Refresh>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl CoreHandle {
    pub(super) fn new(
        messages: mpsc::UnboundedSender<Message>,
        changes: broadcast::Sender<Arc<Invocation>>,
        refresh: Arc<Refresh>,
        thread: JoinHandle<()>,
    ) -> Self {
        Self {
            messages,
            changes,
            refresh,
            thread: Arc::new(Mutex::new(Some(thread))),
        }
    }

    pub(crate) fn send(&self, message: Message) -> Result<(), CoreError> {
        self.messages.send(message).map_err(|_| CoreError::Gone)
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, CoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(question(reply))?;
        answer.await.map_err(|_| CoreError::Gone)
    }

    /// Adds or replaces a function; tells whether it is new.
    pub(crate) async fn apply(&self, function: Function) -> Result<bool, CoreError> {
        Ok(self
            .ask(|reply| Message::Apply(Box::new(function), reply))
            .await??)
    }

    /// Removes a function; tells whether it was there.
    pub(crate) async fn delete(&self, name: String) -> Result<bool, CoreError> {
        Ok(self.ask(|reply| Message::Delete(name, reply)).await??)
    }

    pub(crate) async fn cancel(&self, id: InvocationId) -> Result<Cancelled, CoreError> {
        Ok(self.ask(|reply| Message::Cancel(id, reply)).await??)
    }

    pub(crate) async fn overview(&self) -> Result<Overview, CoreError> {
        self.ask(Message::Overview).await
    }

    /// The same, after the GPU servers have been asked once more.
    pub(crate) async fn fresh_overview(&self) -> Result<Overview, CoreError> {
        self.refresh.round().await;
        self.overview().await
    }

    /// Every change of every invocation from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<Invocation>> {
        self.changes.subscribe()
    }

    /// Waits for the core's end, which must have been asked for.
    pub(crate) async fn join(&self) {
        let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("the scheduler's thread ended badly");
        }
    }
}
