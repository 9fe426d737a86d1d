//! Asks the GPU servers what they have: on request, and again and again while a job waits for a GPU, because
//! memory that others give back raises no event here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::handle::CoreHandle;
use super::{GpuReports, Message};
use crate::broker::{GpuInventory, InventoryError};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The state shared with the core.
#[derive(Debug)]
pub(crate) struct Refresh {
    wanted: Notify,
    waiting: AtomicBool,
    rounds: watch::Sender<u64>,
}

impl Refresh {
    pub(crate) fn new() -> Self {
        Self {
            wanted: Notify::new(),
            waiting: AtomicBool::new(false),
            rounds: watch::Sender::new(0),
        }
    }

    /// Asks for a round of questions, soon.
    pub(crate) fn request(&self) {
        self.wanted.notify_one();
    }

    /// Whether a job waits for a GPU.
    pub(super) fn set_waiting(&self, waiting: bool) {
        if !self.waiting.swap(waiting, Ordering::Relaxed) && waiting {
            self.request();
        }
    }

    /// Asks, and waits until a round has ended.
    pub(super) async fn round(&self) {
        let mut rounds = self.rounds.subscribe();
        rounds.mark_unchanged();
        self.request();
        // A server that does not answer must not hold this up for long.
        tokio::time::timeout(PATIENCE * 2, rounds.changed())
            .await
            .ok();
    }
}

/// Runs until `stop`.
pub(crate) async fn refresh_gpus(
    urls: Vec<String>,
    inventory: Arc<dyn GpuInventory>,
    refresh: Arc<Refresh>,
    every: Duration,
    core: CoreHandle,
    stop: CancellationToken,
) {
    let mut silent = HashMap::new();
    loop {
        let pause = async {
            if refresh.waiting.load(Ordering::Relaxed) {
                tokio::time::sleep(every).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = refresh.wanted.notified() => {}
            () = pause => {}
        }
        let reports = ask_all(&urls, &*inventory).await;
        tell_news(&mut silent, &reports);
        if core.send(Message::Gpus(reports)).is_err() {
            return;
        }
        refresh.rounds.send_modify(|n| *n += 1);
    }
}

/// Logs when a server falls silent, and when it answers again.
fn tell_news(silent: &mut HashMap<String, InventoryError>, reports: &GpuReports) {
    for (url, answer) in reports {
        match answer {
            Ok(_) if silent.remove(url).is_some() => {
                tracing::info!(url, "GPU server answers again")
            }
            Ok(_) => {}
            Err(error) => {
                if silent.insert(url.clone(), error.clone()).as_ref() != Some(error) {
                    tracing::warn!(url, %error, "GPU server does not answer; jobs wait for it");
                }
            }
        }
    }
}

async fn ask_all(urls: &[String], inventory: &dyn GpuInventory) -> GpuReports {
    let ask = |url: &String| {
        let url = url.clone();
        async move {
            let answer = tokio::time::timeout(PATIENCE, inventory.devices(&url)).await;
            let silent = || {
                Err(InventoryError::new(format!(
                    "no answer within {} s",
                    PATIENCE.as_secs()
                )))
            };
            let answer = answer.unwrap_or_else(|_| silent());
            (url, answer)
        }
    };
    join_all(urls.iter().map(ask)).await
}
