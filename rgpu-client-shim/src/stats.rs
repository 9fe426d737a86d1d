//! Counts of calls, frames and waits, written as JSON at exit where `RGPU_STATS` names a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec::driver::ROWS;

use crate::names::Hold;

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts `amount` more.
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Counts `amount` more, where no other thread counts at the same time: it costs no more than an addition.
    pub(crate) fn add_alone(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed) + amount, Relaxed);
    }

    /// Adds a duration, in nanoseconds.
    pub(crate) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The count.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.get()).as_secs_f64()
    }
}

/// All counts of this process.
#[derive(Debug)]
pub(crate) struct Stats {
    calls: [Counter; ROWS.len()],
    /// Unix time of the first call, in microseconds.
    first: AtomicU64,
    /// Unix time of the last call, in microseconds.
    last: AtomicU64,
    /// Calls that waited for an answer and the time of their waits, by operation.
    waits: Mutex<BTreeMap<u16, (u64, Duration)>>,
    /// Frames sent.
    pub(crate) frames_sent: Counter,
    /// Frames received.
    pub(crate) frames_received: Counter,
    /// Bytes sent, headers included.
    pub(crate) bytes_sent: Counter,
    /// Bytes received, headers included.
    pub(crate) bytes_received: Counter,
    /// Time spent connecting.
    pub(crate) connecting: Counter,
    /// Time spent loading modules.
    pub(crate) module_load: Counter,
    /// Modules and libraries loaded.
    pub(crate) modules: Counter,
    /// Bytes of module images that had to be sent.
    pub(crate) module_bytes: Counter,
}

/// The counts.
pub(crate) static STATS: Stats = Stats {
    calls: [const { Counter::new() }; ROWS.len()],
    first: AtomicU64::new(0),
    last: AtomicU64::new(0),
    waits: Mutex::new(BTreeMap::new()),
    frames_sent: Counter::new(),
    frames_received: Counter::new(),
    bytes_sent: Counter::new(),
    bytes_received: Counter::new(),
    connecting: Counter::new(),
    module_load: Counter::new(),
    modules: Counter::new(),
    module_bytes: Counter::new(),
};

/// Where row `id` stands in [`ROWS`]; computed at compile time by the entry points.
pub(crate) const fn row_index(id: u16) -> usize {
    let mut at = 0;
    while at < ROWS.len() {
        if ROWS[at].id == id {
            return at;
        }
        at += 1;
    }
    panic!("no row of that id")
}

/// Who was called, for the report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// The server's address.
    pub(crate) server: String,
    /// The device's name.
    pub(crate) device: String,
    /// The session's number at the server.
    pub(crate) number: u64,
    /// Bytes leased.
    pub(crate) lease: u64,
}

impl Stats {
    /// Counts a call of the row at `index`.
    pub(crate) fn call(&self, index: usize) {
        self.calls[index].add(1);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as u64);
        self.last.store(now, Relaxed);
        if self.first.load(Relaxed) == 0 {
            let _ = self.first.compare_exchange(0, now, Relaxed, Relaxed);
        }
    }

    /// Counts a wait for answers of `op`.
    pub(crate) fn wait(&self, op: Opcode, time: Duration) {
        let mut waits = self.waits.hold();
        let (count, sum) = waits.entry(op.0).or_default();
        *count += 1;
        *sum += time;
    }

    fn report(&self, session: &Session) -> serde_json::Value {
        let mut by_class = BTreeMap::from(
            ["posted", "reply", "local", "custom", "absent"].map(|class| (class, 0_u64)),
        );
        let mut by_name = BTreeMap::new();
        for (row, count) in ROWS.iter().zip(&self.calls) {
            let count = count.get();
            if count > 0 {
                *by_class.entry(row.class.name()).or_default() += count;
                by_name.insert(row.name, count);
            }
        }
        let waits = self.waits.hold().clone();
        let by_operation: BTreeMap<_, _> = waits
            .iter()
            .map(|(op, (count, time))| {
                let wait =
                    serde_json::json!({"round_trips": count, "wait_seconds": time.as_secs_f64()});
                (Opcode(*op).name(), wait)
            })
            .collect();
        let waited: Duration = waits.values().map(|(_, time)| *time).sum();
        let unix = |time: &AtomicU64| time.load(Relaxed) as f64 / 1e6;
        serde_json::json!({
            "server": session.server,
            "device": session.device,
            "session": session.number,
            "lease_bytes": session.lease,
            "program": std::env::args_os().next().map(|name| name.to_string_lossy().into_owned()),
            "pid": std::process::id(),
            "calls": by_name.values().sum::<u64>(),
            "calls_by_class": by_class,
            "calls_by_name": by_name,
            "round_trips": waits.values().map(|(count, _)| count).sum::<u64>(),
            "waits_by_operation": by_operation,
            "frames_sent": self.frames_sent.get(),
            "frames_received": self.frames_received.get(),
            "bytes_sent": self.bytes_sent.get(),
            "bytes_received": self.bytes_received.get(),
            "wait_seconds": waited.as_secs_f64(),
            "connect_seconds": self.connecting.seconds(),
            "module_load_seconds": self.module_load.seconds(),
            "modules_loaded": self.modules.get(),
            "module_bytes_sent": self.module_bytes.get(),
            "first_call_unix": unix(&self.first),
            "last_call_unix": unix(&self.last),
            "wall_seconds": unix(&self.last) - unix(&self.first),
        })
    }

    /// Writes the report to `path`; a failure is worth a line, nothing more.
    pub(crate) fn write(&self, session: &Session, path: &Path) {
        let text = format!("{:#}\n", self.report(session));
        if let Err(error) = std::fs::write(path, text) {
            crate::log::notice(format_args!("cannot write {}: {error}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_class() {
        let index = row_index(
            rgpu_proto::spec::row_named("cuDriverGetVersion")
                .unwrap()
                .id,
        );
        STATS.call(index);
        let report = STATS.report(&Session {
            server: "tcp://h:1".into(),
            ..Session::default()
        });
        assert_eq!(report["server"], "tcp://h:1");
        assert!(report["calls_by_name"]["cuDriverGetVersion"].as_u64() >= Some(1));
        assert!(report["calls_by_class"]["local"].as_u64() >= Some(1));
        assert!(report["first_call_unix"].as_f64() > Some(1e9));
    }

    #[test]
    fn waits_are_counted_by_operation() {
        STATS.wait(Opcode::FENCE, Duration::from_millis(1500));
        STATS.wait(Opcode::FENCE, Duration::from_millis(500));
        let report = STATS.report(&Session::default());
        let fences = &report["waits_by_operation"]["FENCE"];
        assert_eq!(
            (&fences["round_trips"], &fences["wait_seconds"]),
            (&2.into(), &2.0.into())
        );
        assert!(report["round_trips"].as_u64() >= Some(2));
    }
}
