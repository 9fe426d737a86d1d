//! Streams and events.

use std::collections::{BTreeSet, HashMap};

use rgpu_proto::handle::FIRST_MINTED;
use rgpu_proto::status::Status;

/// The legacy default stream (`CU_STREAM_LEGACY`).
pub(crate) const LEGACY: u32 = 1;
/// The calling thread's default stream (`CU_STREAM_PER_THREAD`).
pub(crate) const PER_THREAD: u32 = 2;

/// A stream that the client created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// In which context.
    pub(crate) context: u32,
    /// `CUstream_flags`.
    pub(crate) flags: u32,
    /// Priority.
    pub(crate) priority: i32,
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// In which context.
    pub(crate) context: u32,
    /// How often it was recorded.
    pub(crate) recordings: u64,
    /// How far its last recording is.
    pub(crate) recording: Recording,
}

/// How far the last recording of an event is, as far as is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// It has happened, or there is none.
    Happened,
    /// It was issued when the session had so much news.
    Issued {
        /// See `Session::news`.
        news: u64,
    },
    /// The server answers this call when it has happened.
    Watched {
        /// See `Session::watch`.
        call: u64,
    },
}

impl Recording {
    /// The call that is answered when it has happened.
    pub(crate) const fn watch(self) -> Option<u64> {
        match self {
            Self::Watched { call } => Some(call),
            Self::Happened | Self::Issued { .. } => None,
        }
    }
}

/// All streams and events.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Streams by id.
    pub(crate) streams: HashMap<u32, Stream>,
    /// Events by id.
    pub(crate) events: HashMap<u32, Event>,
    /// Streams that were made to wait for an event while host functions were due somewhere.
    behind_host: BTreeSet<u32>,
}

impl Streams {
    /// Refuses a stream that does not exist.
    pub(crate) fn check_stream(&self, id: u32) -> Result<(), Status> {
        if id <= PER_THREAD || self.streams.contains_key(&id) {
            Ok(())
        } else {
            Err(Status::ERROR_INVALID_HANDLE)
        }
    }

    /// A stream: what was created, or what a default stream in `context` is.
    pub(crate) fn get(&self, id: u32, context: u32) -> Result<Stream, Status> {
        if id < FIRST_MINTED {
            self.check_stream(id)?;
            return Ok(Stream {
                context,
                flags: 0,
                priority: 0,
            });
        }
        self.streams
            .get(&id)
            .copied()
            .ok_or(Status::ERROR_INVALID_HANDLE)
    }

    /// An event was put before what comes next in `stream`, and host functions may be due before it.
    pub(crate) fn wait_behind_host(&mut self, stream: u32) {
        self.behind_host.insert(stream);
    }

    /// Whether what is issued to `stream` next could be ordered behind host functions of other streams: all streams but
    /// non-blocking ones are behind the legacy default stream, and that one behind them.
    pub(crate) fn may_be_behind_host(&self, stream: u32) -> bool {
        /// `CU_STREAM_NON_BLOCKING`.
        const NON_BLOCKING: u32 = 1;
        let known = self.streams.get(&stream);
        let blocking = known.is_none_or(|stream| stream.flags & NON_BLOCKING == 0);
        blocking || self.behind_host.contains(&stream)
    }

    /// No host function is due any more.
    pub(crate) fn no_host_functions(&mut self) {
        self.behind_host.clear();
    }

    /// An event that exists.
    pub(crate) fn event(&mut self, id: u32) -> Result<&mut Event, Status> {
        self.events.get_mut(&id).ok_or(Status::ERROR_INVALID_HANDLE)
    }

    /// Forgets what belongs to a context that is gone; the watches of its events.
    pub(crate) fn forget_context(&mut self, context: u32) -> Vec<u64> {
        self.streams.retain(|_, stream| stream.context != context);
        self.events
            .extract_if(|_, event| event.context == context)
            .filter_map(|(_, event)| event.recording.watch())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_streams_always_exist() {
        let mut streams = Streams::default();
        for id in [0, LEGACY, PER_THREAD] {
            assert_eq!(streams.check_stream(id), Ok(()));
        }
        assert_eq!(streams.check_stream(3), Err(Status::ERROR_INVALID_HANDLE));
        assert_eq!(streams.check_stream(20), Err(Status::ERROR_INVALID_HANDLE));
        streams.streams.insert(
            20,
            Stream {
                context: 1,
                flags: 1,
                priority: -1,
            },
        );
        assert_eq!(streams.get(20, 1).map(|stream| stream.priority), Ok(-1));
        assert!(streams.may_be_behind_host(PER_THREAD) && !streams.may_be_behind_host(20));
        streams.wait_behind_host(20);
        assert!(streams.may_be_behind_host(20));
        streams.forget_context(1);
        assert_eq!(streams.check_stream(20), Err(Status::ERROR_INVALID_HANDLE));
    }
}
