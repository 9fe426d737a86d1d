//! Counters of the supervisor, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::State;

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) connections: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) malformed: AtomicU64,
}

impl State {
    /// The page at `/metrics`.
    pub(super) fn metrics_page(&self) -> String {
        let mut page = String::new();
        let counters = [
            (
                "rgpu_connections_total",
                "Connections accepted.",
                &self.metrics.connections,
            ),
            (
                "rgpu_sessions_total",
                "Sessions begun.",
                &self.metrics.sessions,
            ),
            (
                "rgpu_refused_total",
                "Clients refused with a reason.",
                &self.metrics.refused,
            ),
            (
                "rgpu_malformed_total",
                "Connections that broke the protocol.",
                &self.metrics.malformed,
            ),
        ];
        for (name, help, value) in counters {
            metric(
                &mut page,
                name,
                help,
                "counter",
                &[(String::new(), value.load(Relaxed))],
            );
        }
        let clients = self.clients.list();
        metric(
            &mut page,
            "rgpu_clients",
            "Sessions now.",
            "gauge",
            &[(String::new(), clients.len() as u64)],
        );
        let by_device = |of: &dyn Fn(usize) -> u64| -> Vec<(String, u64)> {
            (0..self.clients.devices().len())
                .map(|device| (format!("{{device=\"{device}\"}}"), of(device)))
                .collect()
        };
        let total = by_device(&|device| self.clients.devices()[device].total_memory);
        metric(
            &mut page,
            "rgpu_device_memory_bytes",
            "Memory of a device.",
            "gauge",
            &total,
        );
        let free = by_device(&|device| self.clients.free(device));
        metric(
            &mut page,
            "rgpu_device_free_bytes",
            "Memory that no lease covers.",
            "gauge",
            &free,
        );
        let used: Vec<_> = clients
            .iter()
            .map(|(session, client)| (format!("{{session=\"{session}\"}}"), client.used))
            .collect();
        metric(
            &mut page,
            "rgpu_client_memory_bytes",
            "Memory that a client uses.",
            "gauge",
            &used,
        );
        page
    }
}

fn metric(page: &mut String, name: &str, help: &str, kind: &str, values: &[(String, u64)]) {
    // Writing to a String does not fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(page, "{name}{labels} {value}");
    }
}
