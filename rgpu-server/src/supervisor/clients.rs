//! The sessions of a server: leases and what people want to know of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rgpu_proto::hello::{ClientHello, ClientInfo, Device, Inventory};
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::leases::{Lease, Leases, NoLease};
use crate::handover::Ready;

/// How long the memory of a client that has gone may take to be free again.
const CLEARING_UP: Duration = Duration::from_secs(1);

/// Sessions, by number.
#[derive(Debug)]
pub(super) struct Clients {
    devices: Vec<Device>,
    driver_version: i32,
    state: Mutex<Table>,
    released: Notify,
}

#[derive(Debug)]
struct Table {
    leases: Leases,
    sessions: BTreeMap<u64, Client>,
    next: u64,
}

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) hello: ClientHello,
    pub(super) lease: Lease,
    pub(super) worker_pid: u32,
    pub(super) used: u64,
    pub(super) since: Instant,
    /// Ends the session.
    pub(super) end: CancellationToken,
}

/// A lease in use; dropping it takes the lease back.
#[derive(Debug)]
pub(super) struct Session {
    clients: Arc<super::State>,
    pub(super) number: u64,
    pub(super) lease: Lease,
    pub(super) end: CancellationToken,
}

impl Clients {
    pub(super) fn new(seen: &Ready, default_lease: Option<u64>) -> Self {
        let memory = seen
            .devices
            .iter()
            .map(|device| device.total_memory)
            .collect();
        let table = Table {
            leases: Leases::new(memory, default_lease),
            sessions: BTreeMap::new(),
            next: 1,
        };
        Self {
            devices: seen.devices.clone(),
            driver_version: seen.driver_version,
            state: Mutex::new(table),
            released: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(super) const fn driver_version(&self) -> i32 {
        self.driver_version
    }

    /// Bytes of a device that no lease covers.
    pub(super) fn free(&self, device: usize) -> u64 {
        self.lock().leases.free(device)
    }

    /// Sessions with their numbers.
    pub(super) fn list(&self) -> Vec<(u64, Client)> {
        self.lock()
            .sessions
            .iter()
            .map(|(number, client)| (*number, client.clone()))
            .collect()
    }

    /// Notes that a worker serves a session.
    pub(super) fn served_by(&self, number: u64, worker_pid: u32) {
        if let Some(client) = self.lock().sessions.get_mut(&number) {
            client.worker_pid = worker_pid;
        }
    }

    /// Notes how much memory a session uses.
    pub(super) fn uses(&self, number: u64, bytes: u64) {
        if let Some(client) = self.lock().sessions.get_mut(&number) {
            client.used = bytes;
        }
    }

    /// Ends a session; `false` where there is none of that number.
    pub(super) fn end(&self, number: u64) -> bool {
        let table = self.lock();
        table
            .sessions
            .get(&number)
            .inspect(|client| client.end.cancel())
            .is_some()
    }

    /// What the data protocol tells of a server.
    pub(super) fn inventory(&self) -> Inventory {
        let clients = self
            .list()
            .into_iter()
            .map(|(session, client)| ClientInfo {
                session,
                pid: client.hello.pid,
                worker_pid: client.worker_pid,
                host: client.hello.host,
                program: client.hello.program,
                device: client.lease.device as u32,
                lease: client.lease.bytes,
                used: client.used,
            })
            .collect();
        Inventory {
            server: env!("CARGO_PKG_VERSION").into(),
            driver_version: self.driver_version,
            free: (0..self.devices.len())
                .map(|device| self.free(device))
                .collect(),
            devices: self.devices.clone(),
            clients,
        }
    }
}

impl Session {
    /// A lease for a client. Where memory is short, it waits a moment: a program that follows another must not
    /// be refused because the server is still clearing up after the one before.
    pub(super) async fn open_soon(
        state: &Arc<super::State>,
        hello: &ClientHello,
    ) -> Result<Self, NoLease> {
        let deadline = tokio::time::Instant::now() + CLEARING_UP;
        loop {
            let released = state.clients.released.notified();
            tokio::pin!(released);
            // From here on a release is not missed.
            released.as_mut().enable();
            let refused = match Self::open(state, hello) {
                Ok(session) => return Ok(session),
                Err(refused) => refused,
            };
            if timeout_at(deadline, released).await.is_err() {
                return Err(refused);
            }
        }
    }

    /// A lease for a client.
    fn open(state: &Arc<super::State>, hello: &ClientHello) -> Result<Self, NoLease> {
        let mut table = state.clients.lock();
        let number = table.next;
        let lease = table.leases.grant(number, hello.memory)?;
        table.next += 1;
        let end = CancellationToken::new();
        let client = Client {
            hello: hello.clone(),
            lease,
            worker_pid: 0,
            used: 0,
            since: Instant::now(),
            end: end.clone(),
        };
        table.sessions.insert(number, client);
        drop(table);
        Ok(Self {
            clients: Arc::clone(state),
            number,
            lease,
            end,
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut table = self.clients.clients.lock();
        table.leases.release(self.number);
        table.sessions.remove(&self.number);
        drop(table);
        self.clients.clients.released.notify_waiters();
    }
}
