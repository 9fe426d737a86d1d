//! What a sequence has made so far, and how its use of memory is kept free of races.
//!
//! Two uses of one piece of memory in different streams are a race in CUDA, with any result. So before a buffer is used
//! in another stream than last time, the new use is put behind the old one: by an event, or by waiting for the stream
//! or the context, whichever the operation says (`how`). Streams that CUDA orders by itself (a default stream and those
//! that wait for it) are left to CUDA. Reading counts as use.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use rgpu_tests::loader::{Library, null};

/// Calls a function by name; its status is printed.
macro_rules! call {
    ($machine:expr, $name:literal $(, $arg:expr => $type:ty)* $(,)?) => {{
        type Entry = unsafe extern "C" fn($($type),*) -> u32;
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { $machine.cuda.function::<Entry>($name) };
        // SAFETY: pointers are to live locals or buffers; handles may be any number, which the driver refuses.
        let status = unsafe { function($($arg),*) };
        $machine.note($name, status);
        status
    }};
}
pub(crate) use call;

/// A stream in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) context: *mut c_void,
    pub(crate) stream: *mut c_void,
    /// It waits for the context's default stream and the other way round.
    pub(crate) blocking: bool,
}

impl Lane {
    /// CUDA orders work of both by itself.
    fn ordered_with(self, other: Self) -> bool {
        let default = |lane: Self| lane.stream.addr() <= 1;
        self.context == other.context
            && (self.stream == other.stream
                || (default(self) && default(other))
                || (default(self) && other.blocking)
                || (default(other) && self.blocking))
    }
}

/// A piece of memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffer {
    pub(crate) at: u64,
    pub(crate) size: usize,
    pub(crate) live: bool,
    pub(crate) context: *mut c_void,
    /// Where it was last used since somebody waited for it.
    pub(crate) last: Option<Lane>,
}

impl Buffer {
    pub(crate) const NONE: Self = Self {
        at: 0,
        size: 0,
        live: false,
        context: null(),
        last: None,
    };
}

/// A stream of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) handle: *mut c_void,
    pub(crate) blocking: bool,
    pub(crate) context: *mut c_void,
}

/// What host functions have written down: context and stream, as numbers, and a value.
pub(crate) type Diary = Arc<Mutex<Vec<((usize, usize), u32)>>>;

/// The state.
pub(crate) struct Machine {
    pub(crate) cuda: Library,
    pub(crate) contexts: [*mut c_void; 3],
    pub(crate) context_live: [bool; 3],
    pub(crate) streams: [Option<Stream>; 4],
    pub(crate) events: [*mut c_void; 3],
    pub(crate) modules: [*mut c_void; 2],
    pub(crate) functions: [*mut c_void; 4],
    /// Whether each takes the parameters of `mix`.
    pub(crate) mixes: [bool; 4],
    pub(crate) pools: [*mut c_void; 2],
    pub(crate) device: [Buffer; 5],
    pub(crate) pinned: [Buffer; 2],
    pub(crate) diary: Diary,
    lines: RefCell<String>,
}

/// A handle that no driver gave out.
pub(crate) const BOGUS: *mut c_void = std::ptr::without_provenance_mut(0x1234_5678);
/// An address that belongs to nothing on the device.
pub(crate) const NOWHERE: u64 = 0x10_0000_1000;
/// `CUDA_ERROR_NOT_READY`.
pub(crate) const NOT_READY: u32 = 600;

/// Which of the two kinds of memory a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Device,
    Pinned,
}

impl Machine {
    pub(crate) fn new(cuda: Library) -> Self {
        Self {
            cuda,
            contexts: [null(); 3],
            context_live: [false; 3],
            streams: [None; 4],
            events: [null(); 3],
            modules: [null(); 2],
            functions: [null(); 4],
            mixes: [true; 4],
            pools: [null(); 2],
            device: [Buffer::NONE; 5],
            pinned: [Buffer::NONE; 2],
            diary: Diary::default(),
            lines: RefCell::default(),
        }
    }

    /// Writes down what a call returned.
    pub(crate) fn note(&self, name: &str, status: u32) {
        self.say(&format!("  {name} {status}"));
    }

    /// Writes down a line.
    pub(crate) fn say(&self, line: &str) {
        let mut lines = self.lines.borrow_mut();
        lines.push_str(line);
        lines.push('\n');
    }

    /// Takes what was written down.
    pub(crate) fn said(&self) -> String {
        std::mem::take(&mut self.lines.borrow_mut())
    }

    /// The context current to this thread, or null.
    pub(crate) fn current(&self) -> *mut c_void {
        type Entry = unsafe extern "C" fn(*mut *mut c_void) -> u32;
        let mut context = null();
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { self.cuda.function::<Entry>("cuCtxGetCurrent") };
        // SAFETY: `context` is live.
        match unsafe { function(&raw mut context) } {
            0 => context,
            _ => null(),
        }
    }

    /// The stream that an argument names.
    pub(crate) fn stream(&self, argument: u32) -> *mut c_void {
        match argument {
            1..4 => self.streams[argument as usize].map_or(null(), |stream| stream.handle),
            4 => std::ptr::without_provenance_mut(1),
            5 => std::ptr::without_provenance_mut(2),
            6.. => BOGUS,
            _ => null(),
        }
    }

    /// The same with what is known of it.
    pub(crate) fn lane(&self, argument: u32) -> Lane {
        let handle = self.stream(argument);
        let known = self.streams.iter().flatten().find(|s| s.handle == handle);
        known.map_or_else(
            || Lane {
                context: self.current(),
                stream: handle,
                blocking: true,
            },
            |stream| Lane {
                context: stream.context,
                stream: handle,
                blocking: stream.blocking,
            },
        )
    }

    fn buffers(&mut self, kind: Kind) -> &mut [Buffer] {
        match kind {
            Kind::Device => &mut self.device,
            Kind::Pinned => &mut self.pinned,
        }
    }

    /// The buffer that an argument names; one that never was has no bytes.
    pub(crate) fn buffer(&self, kind: Kind, argument: u32) -> Buffer {
        let (known, odd): (&[Buffer], u64) = match kind {
            Kind::Device => (&self.device, NOWHERE),
            Kind::Pinned => (&self.pinned, 0),
        };
        let at = argument as usize;
        known.get(at).copied().unwrap_or(Buffer {
            at: if at > known.len() { odd } else { 0 },
            ..Buffer::NONE
        })
    }

    /// Puts the use of a buffer in `lane` behind the last one, and remembers it.
    pub(crate) fn acquire(&mut self, kind: Kind, argument: u32, lane: Lane, how: u32) {
        let before = self.buffer(kind, argument).last;
        if let Some(before) = before.filter(|before| !before.ordered_with(lane)) {
            self.join(before, Some(lane), how);
        }
        if let Some(buffer) = self.buffers(kind).get_mut(argument as usize) {
            buffer.last = Some(lane);
        }
    }

    /// Waits until nothing uses a buffer.
    pub(crate) fn settle(&mut self, kind: Kind, argument: u32, how: u32) {
        if let Some(before) = self.buffer(kind, argument).last {
            self.join(before, None, how);
        }
        if let Some(buffer) = self.buffers(kind).get_mut(argument as usize) {
            buffer.last = None;
        }
    }

    /// Makes `lane`, or this thread, wait for what was issued in `before`.
    fn join(&mut self, before: Lane, lane: Option<Lane>, how: u32) {
        let here = self.current();
        let at = self.contexts.iter().position(|c| *c == before.context);
        if !at.is_some_and(|at| self.context_live[at]) {
            // What a context that was destroyed had under way is over.
            return;
        }
        let away = here != before.context;
        if away {
            call!(self, "cuCtxPushCurrent_v2", before.context => *mut c_void);
        }
        let event = match how {
            0 => self.recorded(before),
            1 if call!(self, "cuStreamSynchronize", before.stream => *mut c_void) == 0 => None,
            _ => {
                call!(self, "cuCtxSynchronize");
                None
            }
        };
        if away {
            let mut popped = null();
            call!(self, "cuCtxPopCurrent_v2", &raw mut popped => *mut *mut c_void);
        }
        // A default stream is that of the context in which it is named.
        let Some(event) = event else {
            return;
        };
        let waits = match lane {
            Some(lane) => {
                call!(self, "cuStreamWaitEvent", lane.stream => *mut c_void, event => *mut c_void, 0 => u32)
            }
            None => call!(self, "cuEventSynchronize", event => *mut c_void),
        };
        if waits != 0 {
            // Nobody can be made to wait in that stream or here: then here, where the event is.
            call!(self, "cuCtxPushCurrent_v2", before.context => *mut c_void);
            call!(self, "cuCtxSynchronize");
            let mut popped = null();
            call!(self, "cuCtxPopCurrent_v2", &raw mut popped => *mut *mut c_void);
        }
        call!(self, "cuEventDestroy_v2", event => *mut c_void);
    }

    /// An event at the end of a stream of the current context; where the stream is gone, all is waited for instead.
    fn recorded(&self, before: Lane) -> Option<*mut c_void> {
        let mut event = null();
        let created =
            call!(self, "cuEventCreate", &raw mut event => *mut *mut c_void, 2 => u32) == 0;
        if created
            && call!(self, "cuEventRecord", event => *mut c_void, before.stream => *mut c_void) == 0
        {
            return Some(event);
        }
        if created {
            call!(self, "cuEventDestroy_v2", event => *mut c_void);
        }
        call!(self, "cuCtxSynchronize");
        None
    }

    /// What a slot's number stands for, so that handles can be compared between runs.
    pub(crate) fn context_name(&self, handle: *mut c_void) -> String {
        if handle.is_null() {
            return "none".into();
        }
        let at = self.contexts.iter().position(|known| *known == handle);
        at.map_or_else(|| "other".into(), |at| format!("context {at}"))
    }

    /// A context is gone, and its memory with it.
    pub(crate) fn context_gone(&mut self, context: *mut c_void) {
        for buffer in self.device.iter_mut().chain(&mut self.pinned) {
            if buffer.context == context {
                buffer.live = false;
            }
        }
        if let Some(at) = self.contexts.iter().position(|known| *known == context) {
            self.context_live[at] = false;
        }
    }
}

/// FNV-1a: tells contents apart, in one line.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
