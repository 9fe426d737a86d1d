//! `rgpu smi`: what GPUs a server has, and who uses them.

use rgpu_server::control::{DisconnectRequest, InventoryReply, InventoryRequest};
use rgpu_transport::{Address, Url};
use serde_json::json;

use crate::address::{self, SERVER_VARIABLE};
use crate::{control, size};

/// Show GPUs, and who uses them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server: tcp://HOST:PORT, rdma://HOST:PORT or unix:/PATH [default: the local server]
    #[arg(long, value_name = "URL", env = SERVER_VARIABLE)]
    server: Option<Address>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// End the session of this number
    #[arg(long, value_name = "SESSION")]
    end: Option<u64>,
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let url = address::server(args.server.as_ref()).url;
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut control = control::connect(&url).await?;
        if let Some(session) = args.end {
            control
                .disconnect(DisconnectRequest { session })
                .await
                .map_err(|status| {
                    anyhow::anyhow!("cannot end session {session}: {}", status.message())
                })?;
            println!("session {session} ended");
            return Ok(());
        }
        let inventory = control.inventory(InventoryRequest {}).await?.into_inner();
        if args.json {
            println!("{:#}", as_json(&url, &inventory));
        } else {
            print!("{}", as_table(&url, &inventory));
        }
        Ok(())
    })
}

fn as_json(url: &Url, inventory: &InventoryReply) -> serde_json::Value {
    let devices: Vec<_> = inventory
        .devices
        .iter()
        .map(|d| {
            json!({"ordinal": d.ordinal, "name": d.name, "pci_bus_id": d.pci_bus_id,
                   "total_memory": d.total_memory, "free_memory": d.free_memory})
        })
        .collect();
    let clients: Vec<_> = inventory
        .clients
        .iter()
        .map(|c| {
            json!({"session": c.session, "device": c.device, "host": c.host, "pid": c.pid,
                   "program": c.program, "worker_pid": c.worker_pid, "lease": c.lease, "used": c.used,
                   "age_seconds": c.age_seconds})
        })
        .collect();
    json!({"server": url.to_string(), "server_version": inventory.server_version,
           "driver_version": inventory.driver_version, "warm_workers": inventory.warm_workers,
           "devices": devices, "clients": clients})
}

fn as_table(url: &Url, inventory: &InventoryReply) -> String {
    let driver = inventory.driver_version;
    let mut text = format!(
        "rgpu {} at {url}, CUDA driver {}.{}, {} warm worker(s)\n\n",
        inventory.server_version,
        driver / 1000,
        driver % 1000 / 10,
        inventory.warm_workers
    );
    text += &format!(
        "{:<4} {:<28} {:<14} {:>12} {:>12}\n",
        "GPU", "NAME", "BUS", "TOTAL", "UNLEASED"
    );
    for d in &inventory.devices {
        text += &format!(
            "{:<4} {:<28} {:<14} {:>12} {:>12}\n",
            d.ordinal,
            d.name,
            d.pci_bus_id,
            size::show(d.total_memory),
            size::show(d.free_memory)
        );
    }
    if inventory.clients.is_empty() {
        return text + "\nno clients\n";
    }
    text += &format!(
        "\n{:<8} {:<4} {:<24} {:>8} {:<18} {:>12} {:>12} {:>8}\n",
        "SESSION", "GPU", "HOST", "PID", "PROGRAM", "LEASE", "USED", "AGE"
    );
    for c in &inventory.clients {
        text += &format!(
            "{:<8} {:<4} {:<24} {:>8} {:<18} {:>12} {:>12} {:>7}s\n",
            c.session,
            c.device,
            c.host,
            c.pid,
            c.program,
            size::show(c.lease),
            size::show(c.used),
            c.age_seconds
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rgpu_server::control::{Client, Device};

    #[test]
    fn the_table_names_devices_and_clients() {
        let inventory = InventoryReply {
            server_version: "1".into(),
            driver_version: 13000,
            devices: vec![Device {
                name: "card".into(),
                total_memory: 1 << 30,
                ..Device::default()
            }],
            clients: vec![Client {
                program: "saxpy".into(),
                used: 3 << 20,
                ..Client::default()
            }],
            warm_workers: 2,
        };
        let url = "tcp://h:1".parse().expect("url");
        let table = as_table(&url, &inventory);
        for part in ["CUDA driver 13.0", "card", "1 GiB", "saxpy", "3 MiB"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
        assert!(as_table(&url, &InventoryReply::default()).contains("no clients"));
    }
}
