//! The control plane's service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::State;
use crate::control::control_server::Control;
use crate::control::{
    Client, Device, DisconnectReply, DisconnectRequest, InventoryReply, InventoryRequest,
};

/// Answers from the supervisor's state.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<State>);

#[tonic::async_trait]
impl Control for Service {
    async fn inventory(
        &self,
        _: Request<InventoryRequest>,
    ) -> Result<Response<InventoryReply>, Status> {
        let clients = &self.0.clients;
        let devices = clients
            .devices()
            .iter()
            .enumerate()
            .map(|(ordinal, device)| Device {
                ordinal: ordinal as u32,
                name: device.name.clone(),
                uuid: device.uuid.to_vec(),
                pci_bus_id: device.pci_bus_id.clone(),
                total_memory: device.total_memory,
                free_memory: clients.free(ordinal),
                ptx_only: device.runs_ptx_only(),
            })
            .collect();
        let list = clients
            .list()
            .into_iter()
            .map(|(session, client)| Client {
                session,
                device: client.lease.device as u32,
                host: client.hello.host,
                pid: client.hello.pid,
                program: client.hello.program,
                worker_pid: client.worker_pid,
                lease: client.lease.bytes,
                used: client.used,
                age_seconds: client.since.elapsed().as_secs(),
            })
            .collect();
        Ok(Response::new(InventoryReply {
            server_version: env!("CARGO_PKG_VERSION").into(),
            driver_version: clients.driver_version(),
            devices,
            clients: list,
            warm_workers: self.0.pool.warm() as u32,
        }))
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectReply>, Status> {
        let session = request.into_inner().session;
        if !self.0.clients.end(session) {
            return Err(Status::not_found(format!(
                "no session {session}; see `rgpu smi`"
            )));
        }
        self.0.pool.ended(session).await;
        Ok(Response::new(DisconnectReply {}))
    }
}
