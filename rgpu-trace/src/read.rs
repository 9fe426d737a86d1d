//! Reads a recording, whole or as far as its program came. Whatever the bytes are, there is an answer or an error.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::layout::{
    BLOCK, EVENT, EVENTS, EVENTS_OF_BLOCK, HEAD, MAGIC, NOTES, TOTALS, block, blocks_at, head,
};
use crate::{Event, Note, Totals};

/// What a recording holds.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The process.
    pub pid: u32,
    /// The program, as it was called.
    pub program: String,
    /// The server's address.
    pub server: String,
    /// When it began, in nanoseconds of the monotonic clock.
    pub begun: u64,
    /// When it ended, if it ended by itself.
    pub ended: Option<u64>,
    /// Events that found no room.
    pub dropped: u64,
    /// Nanoseconds that writing to the connection took.
    pub sending: u64,
    /// Nanoseconds until the session was there.
    pub connecting: u64,
    /// Names and classes of calls, by their slots.
    pub calls: BTreeMap<u16, (String, String)>,
    /// Names of operations.
    pub operations: BTreeMap<u16, String>,
    /// What calls add up to, by slot, of those that were made.
    pub totals: BTreeMap<u16, Totals>,
    /// Threads: number of the system and name.
    pub threads: BTreeMap<u64, (i32, String)>,
    /// What happened, by thread, in the order of its end.
    pub events: BTreeMap<u64, Vec<Event>>,
    /// Mapped files.
    pub modules: Vec<Module>,
    /// Call sites: addresses, and lines of Python.
    pub sites: BTreeMap<u64, (Vec<u64>, Vec<String>)>,
}

/// A mapped file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Module {
    /// The first address.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
    /// The first address in the file.
    pub offset: u64,
    /// The file.
    pub path: String,
}

/// Most calls there can be names for.
const MOST_SLOTS: u64 = 1 << 16;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the recording at `path`.
///
/// # Errors
/// It cannot be read, or is none.
pub fn file(path: &Path) -> io::Result<Recorded> {
    bytes(&std::fs::read(path)?)
}

/// Reads a recording.
///
/// # Errors
/// It is none.
pub fn bytes(bytes: &[u8]) -> io::Result<Recorded> {
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()))
        .collect();
    if words.len() < HEAD / 8 || words[head::MAGIC] != MAGIC {
        return Err(invalid("this is no recording of rgpu"));
    }
    if words[head::SLOTS] > MOST_SLOTS {
        return Err(invalid("this recording is broken: too many calls"));
    }
    let slots = words[head::SLOTS] as usize;
    let first = blocks_at(slots);
    if bytes.len() < first {
        return Err(invalid("this recording is cut off"));
    }
    let mut recorded = Recorded {
        pid: words[head::PROCESS] as u32,
        begun: words[head::BEGUN],
        ended: Some(words[head::ENDED]).filter(|ended| *ended != 0),
        dropped: words[head::DROPPED],
        sending: words[head::SENDING],
        connecting: words[head::CONNECTING],
        ..Recorded::default()
    };
    for (slot, words) in words[HEAD / 8..]
        .chunks_exact(TOTALS)
        .take(slots)
        .enumerate()
    {
        let totals = Totals::of(words.try_into().unwrap_or_default());
        if totals != Totals::default() {
            recorded.totals.insert(slot as u16, totals);
        }
    }
    let given = words[head::BLOCKS].min(bytes.len() as u64) as usize;
    for block in words[first / 8..].chunks_exact(BLOCK / 8).take(given) {
        let (start, contents) = block.split_at(block::WORDS);
        let used = (start[block::USED] as usize).min(contents.len() * 8);
        match start[block::KIND] {
            EVENTS => {
                let events = contents
                    .chunks_exact(EVENT)
                    .take((used / 8 / EVENT).min(EVENTS_OF_BLOCK));
                let events = events.filter_map(|words| Event::of(words.try_into().ok()?));
                let thread = recorded.events.entry(start[block::THREAD]).or_default();
                thread.extend(events);
            }
            NOTES => {
                let text: Vec<u8> = contents[..used / 8]
                    .iter()
                    .flat_map(|word| word.to_le_bytes())
                    .collect();
                for line in text.split(|byte| *byte == b'\n') {
                    if let Ok(note) = serde_json::from_slice(line) {
                        recorded.take(note);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(recorded)
}

impl Recorded {
    fn take(&mut self, note: Note) {
        match note {
            Note::Process {
                program, server, ..
            } => {
                (self.program, self.server) = (program, server);
            }
            Note::Calls { first, names } => self.calls.extend((first..=u16::MAX).zip(names)),
            Note::Operations(names) => self.operations.extend(names),
            Note::Thread { number, tid, name } => {
                self.threads.insert(number, (tid, name));
            }
            Note::Module {
                start,
                end,
                offset,
                path,
            } => self.modules.push(Module {
                start,
                end,
                offset,
                path,
            }),
            Note::Site {
                number,
                frames,
                python,
            } => {
                self.sites.insert(number, (frames, python));
            }
        }
    }

    /// The name of a call.
    pub fn call(&self, slot: u16) -> &str {
        self.calls.get(&slot).map_or("?", |(name, _)| name)
    }

    /// When the last thing happened.
    pub fn last(&self) -> u64 {
        let ends = self
            .events
            .values()
            .flatten()
            .map(|event| event.start.saturating_add(event.nanoseconds));
        self.ended
            .into_iter()
            .chain(ends)
            .max()
            .unwrap_or(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::record::{Place, Recording, Waited};

    fn event(number: u64) -> Event {
        Event {
            kind: Kind::Call,
            call: 1,
            op: 0,
            start: number,
            nanoseconds: 1,
            a: 0,
            b: 0,
        }
    }

    #[test]
    fn what_was_recorded_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let recording = Recording::create(&path, 1 << 20, 3).unwrap();
        recording.called(2);
        recording.sent(2, 40);
        recording.received(2, 50);
        for nanoseconds in [30, 10, 20] {
            recording.waited(2, Waited::Trip, nanoseconds);
        }
        recording.waited(2, Waited::Stall, 5);
        recording.returned(2, 99);
        let site = Note::Site {
            number: 1,
            frames: vec![7, 8],
            python: vec!["a\nb".into()],
        };
        recording.note(&site);
        recording.note(&Note::Calls {
            first: 1,
            names: vec![
                ("one".into(), "posted".into()),
                ("two".into(), "reply".into()),
            ],
        });
        let mut places = [Place::default(); 2];
        for number in 0..3000 {
            let thread = number % 2;
            recording.event(thread, &mut places[thread as usize], &event(number));
        }
        // Nothing was closed: a killed program's recording is read all the same.
        let recorded = file(&path).unwrap();
        assert_eq!((recorded.pid, recorded.ended), (std::process::id(), None));
        let expected = Totals {
            calls: 1,
            sent: 40,
            received: 50,
            trips: 3,
            waited: 65,
            longest: 30,
            shortest: 10,
            inside: 99,
        };
        assert_eq!(recorded.totals, BTreeMap::from([(2, expected)]));
        assert_eq!(recorded.call(2), "two");
        assert_eq!(recorded.sites[&1], (vec![7, 8], vec!["a\nb".to_owned()]));
        for thread in 0..2 {
            let starts: Vec<u64> = recorded.events[&thread]
                .iter()
                .map(|event| event.start)
                .collect();
            assert_eq!(starts, (thread..3000).step_by(2).collect::<Vec<_>>());
        }
        recording.end();
        assert!(file(&path).unwrap().ended.is_some());
    }

    #[test]
    fn a_full_recording_keeps_room_for_waits_and_counts_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let recording = Recording::create(&path, blocks_at(1) + 4 * BLOCK, 1).unwrap();
        let (mut calls, mut waits) = (Place::default(), Place::default());
        let many = 5 * EVENTS_OF_BLOCK as u64;
        for number in 0..many {
            recording.event(1, &mut calls, &event(number));
        }
        for number in 0..many {
            let wait = Event {
                kind: Kind::Wait,
                ..event(number)
            };
            recording.event(2, &mut waits, &wait);
        }
        let recorded = file(&path).unwrap();
        assert_eq!(recorded.events[&1].len(), 3 * EVENTS_OF_BLOCK);
        assert_eq!(recorded.events[&2].len(), EVENTS_OF_BLOCK);
        assert_eq!(recorded.dropped, 2 * many - 4 * EVENTS_OF_BLOCK as u64);
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let recording = Recording::create(&path, 1 << 18, 2).unwrap();
        recording.note(&Note::Operations(vec![(1, "x".into())]));
        recording.event(1, &mut Place::default(), &event(1));
        let whole = std::fs::read(&path).unwrap();
        assert!(
            bytes(&[]).is_err() && bytes(&whole[..4095]).is_err() && bytes(&[1; 9000]).is_err()
        );
        let mut seed = 1_u64;
        for _ in 0..2000 {
            let mut broken = whole.clone();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize
                    % broken.len().min(if seed & 1 == 0 { 80 } else { 80_000 });
                broken[at] = (seed >> 20) as u8;
            }
            broken.truncate(whole.len() - (seed >> 50) as usize % whole.len());
            // An answer or an error.
            let _ = bytes(&broken);
        }
    }
}
