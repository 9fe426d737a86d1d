//! Which GPU a job gets: pure policy over what the servers last said.
//!
//! *Best fit*: of the devices with enough free memory, the one that has least left afterwards, so that large
//! pieces stay whole. *No starving*: a job that waits holds every device large enough for it, and later jobs may
//! use only the others.
//!
//! Free memory is what the server reported, less what we have leased since. A report already counts our own
//! leases of that moment, so what others use is `total - free - ours at the report`.

mod inventory;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use self::inventory::{GpuDevice, GpuInventory, InventoryError, StaticInventory};

use crate::queue::{Decision, GpuLease, InvocationId};

/// A server as the broker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its URL.
    pub url: String,
    /// Its devices, as last reported.
    pub devices: Vec<DeviceView>,
    /// Why it could not be asked, if the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A device as the broker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// What the server said.
    pub device: GpuDevice,
    /// Bytes that our jobs hold now.
    pub leased: u64,
    /// Bytes that a new job could have.
    pub available: u64,
}

#[derive(Debug)]
struct Device {
    reported: GpuDevice,
    /// Bytes that others used at the report.
    others: u64,
}

#[derive(Debug, Default)]
struct Server {
    devices: Vec<Device>,
    /// A server that has answered once; until all have, nothing is called impossible.
    known: bool,
    error: Option<String>,
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    servers: BTreeMap<String, Server>,
    leases: HashMap<InvocationId, GpuLease>,
    held: HashSet<(String, u32)>,
}

impl Broker {
    /// Knows the servers' addresses and nothing of their devices yet.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = String>) -> Self {
        let servers = servers
            .into_iter()
            .map(|url| (url, Server::default()))
            .collect();
        Self {
            servers,
            leases: HashMap::new(),
            held: HashSet::new(),
        }
    }

    /// The servers' addresses.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.servers.keys().cloned().collect()
    }

    /// A server's answer. One that does not answer gets no new jobs, and its devices stay known.
    pub fn report(&mut self, url: &str, answer: Result<Vec<GpuDevice>, InventoryError>) {
        let ours: Vec<(u32, u64)> = self
            .leases
            .values()
            .filter(|l| l.server == url)
            .map(|l| (l.device, l.memory))
            .collect();
        let Some(server) = self.servers.get_mut(url) else {
            return;
        };
        match answer {
            Ok(devices) => {
                let with_others = |reported: GpuDevice| {
                    let ours: u64 = ours
                        .iter()
                        .filter(|(d, _)| *d == reported.index)
                        .map(|(_, m)| m)
                        .sum();
                    let used = reported.total_memory.saturating_sub(reported.free_memory);
                    Device {
                        others: used.saturating_sub(ours),
                        reported,
                    }
                };
                server.devices = devices.into_iter().map(with_others).collect();
                server.known = true;
                server.error = None;
            }
            Err(error) => server.error = Some(error.to_string()),
        }
    }

    /// Starts a round of decisions: forgets which devices waiting jobs held.
    pub fn begin_round(&mut self) {
        self.held.clear();
    }

    /// Decides for one job; jobs must be asked about in order of arrival. A grant is a lease until released.
    pub fn decide(&mut self, id: InvocationId, memory: u64) -> Decision<GpuLease> {
        if self.servers.is_empty() {
            return Decision::Never(
                "the function needs a GPU and the scheduler knows no GPU server".to_owned(),
            );
        }
        if let Some(reason) = self.impossible(memory) {
            return Decision::Never(reason);
        }
        let Some(lease) = self.best_fit(memory) else {
            self.hold_candidates(memory);
            return Decision::Wait;
        };
        self.leases.insert(id, lease.clone());
        Decision::Grant(lease)
    }

    /// A job has ended; its share is free.
    pub fn release(&mut self, id: InvocationId) {
        self.leases.remove(&id);
    }

    /// What the broker knows.
    #[must_use]
    pub fn view(&self) -> Vec<ServerView> {
        let device = |url: &str, d: &Device| DeviceView {
            device: d.reported.clone(),
            leased: self.leased(url, d.reported.index),
            available: self.available(url, d),
        };
        let server = |(url, s): (&String, &Server)| ServerView {
            url: url.clone(),
            devices: s.devices.iter().map(|d| device(url, d)).collect(),
            error: s.error.clone(),
        };
        self.servers.iter().map(server).collect()
    }

    fn leased(&self, url: &str, index: u32) -> u64 {
        self.leases
            .values()
            .filter(|l| l.server == url && l.device == index)
            .map(|l| l.memory)
            .sum()
    }

    fn available(&self, url: &str, device: &Device) -> u64 {
        let taken = self
            .leased(url, device.reported.index)
            .saturating_add(device.others);
        device.reported.total_memory.saturating_sub(taken)
    }

    /// Why no device will ever fit, once every server has told what it has.
    fn impossible(&self, memory: u64) -> Option<String> {
        if !self.servers.values().all(|s| s.known) {
            return None;
        }
        let all = self.servers.values().flat_map(|s| &s.devices);
        match all.map(|d| d.reported.total_memory).max() {
            Some(largest) if largest >= memory => None,
            Some(largest) => Some(format!(
                "the function needs {memory} bytes of GPU memory; the largest GPU known has {largest}"
            )),
            None => Some("the function needs a GPU and no GPU server has one".to_owned()),
        }
    }

    fn best_fit(&self, memory: u64) -> Option<GpuLease> {
        let mut best: Option<(u64, GpuLease)> = None;
        for (url, server) in self
            .servers
            .iter()
            .filter(|(_, s)| s.known && s.error.is_none())
        {
            for device in &server.devices {
                let index = device.reported.index;
                let available = self.available(url, device);
                if available < memory || self.held.contains(&(url.clone(), index)) {
                    continue;
                }
                let left = available - memory;
                if best.as_ref().is_none_or(|(least, _)| left < *least) {
                    let device_name = device.reported.name.clone();
                    best = Some((
                        left,
                        GpuLease {
                            server: url.clone(),
                            device: index,
                            device_name,
                            memory,
                        },
                    ));
                }
            }
        }
        best.map(|(_, lease)| lease)
    }

    fn hold_candidates(&mut self, memory: u64) {
        for (url, server) in &self.servers {
            for device in server
                .devices
                .iter()
                .filter(|d| d.reported.total_memory >= memory)
            {
                self.held.insert((url.clone(), device.reported.index));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gpu(index: u32, total: u64, free: u64) -> GpuDevice {
        GpuDevice {
            index,
            name: format!("gpu{index}"),
            uuid: String::new(),
            total_memory: total,
            free_memory: free,
        }
    }

    fn broker(servers: &[(&str, Vec<GpuDevice>)]) -> Broker {
        let mut b = Broker::new(servers.iter().map(|(url, _)| (*url).to_owned()));
        for (url, devices) in servers {
            b.report(url, Ok(devices.clone()));
        }
        b
    }

    fn placed(b: &mut Broker, id: i64, memory: u64) -> Option<(String, u32)> {
        match b.decide(InvocationId(id), memory) {
            Decision::Grant(l) => Some((l.server, l.device)),
            Decision::Wait => None,
            Decision::Never(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_tightest_fit_is_taken() {
        let mut b = broker(&[
            ("s1", vec![gpu(0, 80, 80), gpu(1, 40, 40)]),
            ("s2", vec![gpu(0, 24, 24)]),
        ]);
        assert_eq!(placed(&mut b, 1, 20), Some(("s2".into(), 0)));
        assert_eq!(placed(&mut b, 2, 20), Some(("s1".into(), 1)));
        assert_eq!(placed(&mut b, 3, 20), Some(("s1".into(), 1)));
        assert_eq!(placed(&mut b, 4, 70), Some(("s1".into(), 0)));
        assert_eq!(placed(&mut b, 5, 20), None);
        b.release(InvocationId(2));
        b.begin_round();
        assert_eq!(placed(&mut b, 5, 20), Some(("s1".into(), 1)));
    }

    #[test]
    fn a_waiting_job_is_not_overtaken_where_it_would_fit() {
        let mut b = broker(&[("s1", vec![gpu(0, 80, 80), gpu(1, 16, 16)])]);
        assert!(placed(&mut b, 1, 40).is_some());
        b.begin_round();
        assert_eq!(placed(&mut b, 2, 60), None);
        assert_eq!(
            placed(&mut b, 3, 20),
            None,
            "would fit beside job 1, but job 2 waits for that device"
        );
        assert_eq!(
            placed(&mut b, 4, 10),
            Some(("s1".into(), 1)),
            "job 2 could never use this one"
        );
    }

    #[test]
    fn what_others_use_is_not_ours_to_give() {
        let mut b = broker(&[("s1", vec![gpu(0, 80, 50)])]);
        assert!(placed(&mut b, 1, 40).is_some());
        assert_eq!(b.view()[0].devices[0].available, 10);
        // Our job's 40 are now in the report too, and are not counted twice.
        b.report("s1", Ok(vec![gpu(0, 80, 10)]));
        assert_eq!(b.view()[0].devices[0].available, 10);
        // Released before the next report.
        b.release(InvocationId(1));
        assert_eq!(b.view()[0].devices[0].available, 50);
    }

    #[test]
    fn impossible_only_when_all_servers_are_known() {
        let mut b = Broker::new(["s1".to_owned(), "s2".to_owned()]);
        b.report("s1", Ok(vec![gpu(0, 8, 8)]));
        assert_eq!(b.decide(InvocationId(1), 16), Decision::Wait);
        b.report("s2", Ok(vec![]));
        assert!(
            matches!(b.decide(InvocationId(1), 16), Decision::Never(why) if why.contains("largest GPU known has 8"))
        );
        assert!(matches!(
            Broker::new([]).decide(InvocationId(1), 1),
            Decision::Never(_)
        ));
    }

    #[test]
    fn a_silent_server_gets_no_jobs() {
        let mut b = broker(&[("s1", vec![gpu(0, 8, 8)])]);
        b.report("s1", Err(InventoryError::new("connection refused")));
        assert_eq!(b.decide(InvocationId(1), 4), Decision::Wait);
        assert_eq!(b.view()[0].error.as_deref(), Some("connection refused"));
        b.report("s1", Ok(vec![gpu(0, 8, 8)]));
        b.begin_round();
        assert!(placed(&mut b, 1, 4).is_some());
    }

    proptest! {
        #[test]
        fn no_device_is_promised_twice(
            sizes in prop::collection::vec(1u64..100, 1..5),
            jobs in prop::collection::vec((1u64..60, any::<bool>()), 1..40),
        ) {
            let devices = sizes.iter().enumerate().map(|(i, &s)| gpu(u32::try_from(i).unwrap(), s, s)).collect();
            let mut b = broker(&[("s", devices)]);
            for (id, (memory, release)) in jobs.into_iter().enumerate() {
                let id = InvocationId(i64::try_from(id).unwrap());
                b.begin_round();
                b.decide(id, memory);
                for device in &b.view()[0].devices {
                    prop_assert!(device.leased <= device.device.total_memory);
                }
                if release {
                    b.release(id);
                }
            }
        }
    }
}
