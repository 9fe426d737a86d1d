//! Recordings in the trace event format of Chrome, which <https://ui.perfetto.dev> opens: a track for each thread with its
//! calls and, within them, their waits; round trips as spans of their own; counters of bytes.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::read::Recorded;
use crate::symbols::Symbols;
use crate::{Event, Kind};

/// Writes `recordings` to `out`. The earliest begins at 0.
///
/// # Errors
/// Those of writing.
pub fn write(recordings: &[Recorded], symbols: &mut Symbols, out: impl Write) -> io::Result<()> {
    let zero = recordings
        .iter()
        .map(|recorded| recorded.begun)
        .min()
        .unwrap_or(0);
    let mut list = List {
        out,
        zero,
        first: true,
    };
    list.out
        .write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")?;
    for recorded in recordings {
        list.process(recorded, symbols)?;
    }
    let programs = recordings.iter().map(
        |r| json!({"pid": r.pid, "program": r.program, "server": r.server, "dropped": r.dropped}),
    );
    let other = json!({"rgpu": programs.collect::<Vec<_>>()});
    write!(list.out, "\n],\"otherData\":{other}}}\n")?;
    list.out.flush()
}

struct List<W> {
    out: W,
    zero: u64,
    first: bool,
}

impl<W: Write> List<W> {
    fn put(&mut self, value: &Value) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.out.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut self.out, value)?;
        Ok(())
    }

    /// Microseconds since the beginning.
    fn at(&self, nanoseconds: u64) -> f64 {
        nanoseconds.saturating_sub(self.zero) as f64 / 1e3
    }

    fn process(&mut self, recorded: &Recorded, symbols: &mut Symbols) -> io::Result<()> {
        let pid = recorded.pid;
        let name = recorded.program.rsplit('/').next().unwrap_or_default();
        self.put(&json!({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}))?;
        for (tid, name) in recorded.threads.values() {
            self.put(&json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}))?;
        }
        for (thread, events) in &recorded.events {
            let tid = recorded
                .threads
                .get(thread)
                .map_or(*thread as i32, |(tid, _)| *tid);
            for event in events {
                self.event(recorded, symbols, tid, event)?;
            }
        }
        for (kind, name) in [
            (Kind::Sent, "bytes sent"),
            (Kind::Received, "bytes received"),
        ] {
            self.counter(recorded, kind, name)?;
        }
        Ok(())
    }

    fn event(
        &mut self,
        recorded: &Recorded,
        symbols: &mut Symbols,
        tid: i32,
        event: &Event,
    ) -> io::Result<()> {
        let (pid, ts) = (recorded.pid, self.at(event.start));
        let dur = event.nanoseconds as f64 / 1e3;
        let unnamed = || format!("{:#06x}", event.op);
        let op = || {
            let call = recorded.operations.get(&event.op);
            call.cloned().unwrap_or_else(unnamed)
        };
        match event.kind {
            Kind::Call => {
                let (name, class) = recorded.calls.get(&event.call).map_or(("?", "?"), |(n, c)| (n, c));
                self.put(&json!({"ph": "X", "cat": class, "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur}))
            }
            Kind::Wait | Kind::Stall => {
                let name = if event.kind == Kind::Wait {
                    "waits for the answer"
                } else {
                    "waits for room"
                };
                let mut args = json!({"call": event.a, "asked": op()});
                if let Some((frames, python)) = recorded.sites.get(&event.b) {
                    let frames = symbols.frames(recorded, frames);
                    args["site"] = frames.iter().map(ToString::to_string).collect();
                    if !python.is_empty() {
                        args["python"] = json!(python);
                    }
                }
                self.put(&json!({"ph": "X", "cat": "wait", "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args}))
            }
            Kind::Trip => {
                let name = recorded.call(event.call);
                let id = format!("{pid}-{}", event.a);
                let end = self.at(event.start.saturating_add(event.nanoseconds));
                self.put(&json!({"ph": "b", "cat": "round trip", "name": name, "id": id, "pid": pid, "tid": tid, "ts": ts, "args": {"asked": op()}}))?;
                self.put(&json!({"ph": "e", "cat": "round trip", "name": name, "id": id, "pid": pid, "tid": tid, "ts": end}))
            }
            Kind::Sent => self.put(&json!({"ph": "X", "cat": "connection", "name": "sends", "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": {"bytes": event.a}})),
            // A point of the counter.
            Kind::Received => Ok(()),
        }
    }

    /// All bytes up to each moment, of all threads.
    fn counter(&mut self, recorded: &Recorded, kind: Kind, name: &str) -> io::Result<()> {
        let events = recorded
            .events
            .values()
            .flatten()
            .filter(|event| event.kind == kind);
        let mut points: Vec<(u64, u64)> = events.map(|event| (event.start, event.a)).collect();
        points.sort_unstable();
        let mut sum = 0_u64;
        for (at, bytes) in points {
            sum = sum.saturating_add(bytes);
            let ts = self.at(at);
            self.put(&json!({"ph": "C", "name": name, "pid": recorded.pid, "ts": ts, "args": {"bytes": sum}}))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn event(kind: Kind, call: u16, start: u64, nanoseconds: u64, a: u64) -> Event {
        Event {
            kind,
            call,
            op: 9,
            start,
            nanoseconds,
            a,
            b: 0,
        }
    }

    #[test]
    fn what_happened_stands_in_the_trace() {
        let recorded = Recorded {
            pid: 70,
            program: "/bin/saxpy".into(),
            begun: 1000,
            calls: BTreeMap::from([(1, ("cuCtxSynchronize".to_owned(), "reply".to_owned()))]),
            operations: BTreeMap::from([(9, "FENCE".to_owned())]),
            threads: BTreeMap::from([(1, (71, "main".to_owned()))]),
            events: BTreeMap::from([(
                1,
                vec![
                    event(Kind::Sent, 1, 2000, 10, 40),
                    event(Kind::Sent, 1, 5000, 10, 60),
                    event(Kind::Trip, 1, 2000, 3000, 5),
                    event(Kind::Wait, 1, 2100, 2900, 5),
                    event(Kind::Call, 1, 1500, 4000, 0),
                ],
            )]),
            ..Recorded::default()
        };
        let mut out = Vec::new();
        write(&[recorded], &mut Symbols::default(), &mut out).unwrap();
        let trace: Value = serde_json::from_slice(&out).expect("JSON");
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |phase: &str| {
            events
                .iter()
                .filter(|e| e["ph"] == phase)
                .collect::<Vec<_>>()
        };
        let call = of("X").into_iter().find(|e| e["cat"] == "reply").unwrap();
        assert_eq!(
            (&call["name"], &call["pid"], &call["tid"]),
            (&"cuCtxSynchronize".into(), &70.into(), &71.into())
        );
        assert_eq!((&call["ts"], &call["dur"]), (&0.5.into(), &4.0.into()));
        let wait = of("X").into_iter().find(|e| e["cat"] == "wait").unwrap();
        assert_eq!(
            (&wait["ts"], &wait["dur"], &wait["args"]["asked"]),
            (&1.1.into(), &2.9.into(), &"FENCE".into())
        );
        let (begin, end) = (of("b"), of("e"));
        assert_eq!(
            (begin.len(), end.len(), &begin[0]["id"]),
            (1, 1, &end[0]["id"])
        );
        assert_eq!((&begin[0]["ts"], &end[0]["ts"]), (&1.0.into(), &4.0.into()));
        let sums: Vec<_> = of("C")
            .iter()
            .map(|e| e["args"]["bytes"].as_u64().unwrap())
            .collect();
        assert_eq!(sums, [40, 100]);
        assert_eq!(of("M").len(), 2);
    }
}
