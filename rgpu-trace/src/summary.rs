//! A recording in a page: what an operator needs to see why a program is slow over the network.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::read::Recorded;
use crate::symbols::{Frame, Symbols};
use crate::text::{bytes, share, table, time};
use crate::{Kind, NO_CALL, Totals};

/// Calls in the table.
const CALLS: usize = 20;
/// Call sites that are shown.
const SITES: usize = 5;
/// Frames of a call site that are shown.
const FRAMES: usize = 8;

/// The page.
pub fn page(recorded: &Recorded, symbols: &mut Symbols) -> String {
    let wall = recorded.last().saturating_sub(recorded.begun);
    let mut page = head(recorded, wall);
    page += &calls(recorded);
    page += &sites(recorded, symbols);
    if recorded.dropped > 0 {
        let _ = writeln!(
            page,
            "\n  {} events found no room: they are in the totals, not in the trace nor among the call sites",
            recorded.dropped
        );
    }
    if recorded.ended.is_none() {
        page += "\n  The program was killed or left by _exit: calls that it was in are missing.\n";
    }
    page
}

fn head(recorded: &Recorded, wall: u64) -> String {
    let of_calls = || {
        recorded
            .totals
            .iter()
            .filter(|(slot, _)| **slot != NO_CALL)
            .map(|(_, totals)| totals)
    };
    let sum = |what: fn(&Totals) -> u64| recorded.totals.values().map(what).sum::<u64>();
    let trips = sum(|totals| totals.trips);
    let waited = some_thread_waits(recorded);
    let shortest = recorded
        .totals
        .values()
        .map(|totals| totals.shortest)
        .filter(|time| *time > 0)
        .min();
    let mut text = format!(
        "{} (process {}) at {}\n  {} calls in {}, {} round trips; connected in {}\n",
        recorded.program.rsplit('/').next().unwrap_or_default(),
        recorded.pid,
        recorded.server,
        of_calls().map(|totals| totals.calls).sum::<u64>(),
        time(wall),
        trips,
        time(recorded.connecting),
    );
    let _ = writeln!(
        text,
        "  waited {} ({} of that time); writing to the connection took {}",
        time(waited),
        share(waited, wall),
        time(recorded.sending)
    );
    if let Some(shortest) = shortest {
        let network = shortest.saturating_mul(trips);
        let _ = writeln!(
            text,
            "  the shortest round trip took {}: the network's part is about {}, the rest is the GPU's and the server's",
            time(shortest),
            time(network.min(sum(|totals| totals.waited)))
        );
    }
    let _ = writeln!(
        text,
        "  sent {}, received {}",
        bytes(sum(|totals| totals.sent)),
        bytes(sum(|totals| totals.received))
    );
    text
}

/// Nanoseconds in which at least one thread waited.
fn some_thread_waits(recorded: &Recorded) -> u64 {
    let waits = recorded
        .events
        .values()
        .flatten()
        .filter(|event| matches!(event.kind, Kind::Wait | Kind::Stall));
    let mut spans: Vec<(u64, u64)> = waits
        .map(|wait| (wait.start, wait.start.saturating_add(wait.nanoseconds)))
        .collect();
    spans.sort_unstable();
    let (mut sum, mut until) = (0, 0);
    for (start, end) in spans {
        sum += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    sum
}

fn calls(recorded: &Recorded) -> String {
    let mut all: Vec<(&u16, &Totals)> = recorded.totals.iter().collect();
    all.sort_by_key(|(slot, totals)| (std::cmp::Reverse((totals.waited, totals.inside)), **slot));
    let header = [
        "call",
        "class",
        "calls",
        "round trips",
        "waited",
        "mean",
        "longest",
        "in all",
        "sent",
        "received",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (slot, totals) in all.iter().take(CALLS) {
        let class = recorded.calls.get(slot).map_or("", |(_, class)| class);
        let or_none = |number: u64, text: String| if number == 0 { String::new() } else { text };
        rows.push(vec![
            recorded.call(**slot).to_owned(),
            class.to_owned(),
            totals.calls.to_string(),
            or_none(totals.trips, totals.trips.to_string()),
            or_none(totals.waited, time(totals.waited)),
            or_none(totals.trips, time(totals.waited / totals.trips.max(1))),
            or_none(totals.longest, time(totals.longest)),
            or_none(totals.inside, time(totals.inside)),
            or_none(totals.sent, bytes(totals.sent)),
            or_none(totals.received, bytes(totals.received)),
        ]);
    }
    let mut text = format!("\n{}", table(&rows));
    if all.len() > CALLS {
        let rest: u64 = all[CALLS..].iter().map(|(_, totals)| totals.calls).sum();
        let _ = writeln!(
            text,
            "  and {} others, called {rest} times",
            all.len() - CALLS
        );
    }
    text
}

/// What the waits of one place add up to.
#[derive(Debug, Default)]
struct Sum {
    waits: u64,
    waited: u64,
    longest: u64,
}

fn sites(recorded: &Recorded, symbols: &mut Symbols) -> String {
    let mut sums: BTreeMap<(u16, u64), Sum> = BTreeMap::new();
    for event in recorded.events.values().flatten() {
        if matches!(event.kind, Kind::Wait | Kind::Stall) {
            let sum = sums.entry((event.call, event.b)).or_default();
            sum.waits += 1;
            sum.waited += event.nanoseconds;
            sum.longest = sum.longest.max(event.nanoseconds);
        }
    }
    if sums.is_empty() {
        return String::new();
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.waited));
    let mut text = String::from("\n  Who waits most:\n");
    for ((call, site), sum) in sums.iter().take(SITES) {
        let _ = writeln!(
            text,
            "  {} in {} waits, the longest {}, of {}",
            time(sum.waited),
            sum.waits,
            time(sum.longest),
            recorded.call(*call)
        );
        let Some((frames, python)) = recorded.sites.get(site) else {
            continue;
        };
        for line in python.iter().take(FRAMES) {
            let _ = writeln!(text, "      Python: {line}");
        }
        let frames = symbols.frames(recorded, frames);
        let shown = if python.is_empty() { FRAMES } else { 3 };
        for frame in telling(&frames).take(shown) {
            let _ = writeln!(text, "      {frame}");
        }
    }
    text
}

/// Frames of which somebody learns something: those with names, but for the standard libraries', if there are any.
fn telling(frames: &[Frame]) -> impl Iterator<Item = &Frame> {
    const START: [&str; 7] = [
        "core::",
        "std::",
        "alloc::",
        "<&dyn core::",
        "__rust_",
        "__libc_",
        "_start",
    ];
    let tells = |frame: &Frame| {
        !frame.name.contains('+')
            && !START.iter().any(|start| frame.name.starts_with(start))
            && !frame.name.starts_with('{')
    };
    let some = frames.iter().any(tells);
    frames.iter().filter(move |frame| !some || tells(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn wait(call: u16, start: u64, nanoseconds: u64, site: u64) -> Event {
        Event {
            kind: Kind::Wait,
            call,
            op: 0,
            start,
            nanoseconds,
            a: 1,
            b: site,
        }
    }

    #[test]
    fn the_page_says_who_waits() {
        const MS: u64 = 1_000_000;
        let totals = Totals {
            calls: 3,
            sent: 96,
            received: 2048,
            trips: 3,
            waited: 30 * MS,
            longest: 20 * MS,
            shortest: 2 * MS,
            inside: 31 * MS,
        };
        let recorded = Recorded {
            pid: 7,
            program: "/x/train".into(),
            server: "tcp://gpu1:7461".into(),
            begun: 0,
            ended: Some(100 * MS),
            dropped: 4,
            calls: BTreeMap::from([(1, ("cuCtxSynchronize".to_owned(), "reply".to_owned()))]),
            totals: BTreeMap::from([(1, totals)]),
            // Two threads wait at the same time for 5 ms.
            events: BTreeMap::from([
                (
                    1,
                    vec![wait(1, 0, 10 * MS, 1), wait(1, 20 * MS, 20 * MS, 1)],
                ),
                (2, vec![wait(1, 35 * MS, 10 * MS, 2)]),
            ]),
            sites: BTreeMap::from([(1, (vec![], vec!["step (train.py:9)".to_owned()]))]),
            ..Recorded::default()
        };
        let page = page(&recorded, &mut Symbols::default());
        for part in [
            "train (process 7) at tcp://gpu1:7461",
            "3 calls in 100.00 ms, 3 round trips",
            "waited 35.00 ms (35 % of that time)",
            "the shortest round trip took 2.00 ms: the network's part is about 6.00 ms",
            "30.00 ms in 2 waits, the longest 20.00 ms, of cuCtxSynchronize\n      Python: step (train.py:9)",
            "10.00 ms in 1 waits",
            "4 events found no room",
        ] {
            assert!(page.contains(part), "no `{part}` in\n{page}");
        }
        assert!(!page.contains("_exit"), "{page}");
        let row = page.lines().find(|line| line.contains("reply")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let expected =
            "cuCtxSynchronize reply 3 3 30.00 ms 10.00 ms 20.00 ms 31.00 ms 96 B 2.0 KiB";
        assert_eq!(cells.join(" "), expected);
    }
}
