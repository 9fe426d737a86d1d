//! The one session of this process and what is known beside it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use rgpu_proto::handle::{FIRST_MINTED, HandleKind};
use rgpu_proto::hello::ServerHello;
use rgpu_proto::kinds::ClientSide;
use rgpu_proto::msg::{PRIMARY_CONTEXT, Window, WindowAt};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{self, Decode, DecodeError, Reader};

use crate::names::Hold;
use crate::session::{Origin, Session};
use crate::shadow::contexts::Contexts;
use crate::shadow::devices::DeviceShadow;
use crate::shadow::host::Bounds;
use crate::shadow::links::Links;
use crate::shadow::memory::Memory;
use crate::shadow::modules::Modules;
use crate::shadow::streams::Streams;
use crate::stats::STATS;
use crate::{api, config, log, session, stats, trace};

/// What `cuDriverGetVersion` says before there is a session: the version whose functions this library has.
pub(crate) const OWN_VERSION: i32 = 13000;

const SET_LIMIT: Opcode = Opcode::of("cuCtxSetLimit");
const COPY_STREAM_ATTRIBUTES: Opcode = Opcode::of("cuStreamCopyAttributes");

/// How often the server is asked for another window where the application already uses its addresses.
const WINDOW_TRIES: usize = 8;

/// A process with a session.
#[derive(Debug)]
pub(crate) struct Client {
    /// The session.
    pub(crate) session: Session,
    /// What the server said at the start.
    pub(crate) hello: ServerHello,
    /// The devices.
    pub(crate) devices: Vec<DeviceShadow>,
    /// Contexts.
    pub(crate) contexts: Mutex<Contexts>,
    /// Streams and events.
    pub(crate) streams: Mutex<Streams>,
    /// Modules, libraries, kernels, functions.
    pub(crate) modules: Mutex<Modules>,
    /// Links under way.
    pub(crate) links: Mutex<Links>,
    /// Device memory, pinned host memory, pools.
    pub(crate) memory: Mutex<Memory>,
    /// Where page-locked memory may lie.
    pub(crate) page_locked: Bounds,
    /// Its copies on the device. Locked before `memory`.
    pub(crate) mirrors: Mutex<api::Mirrors>,
    next_id: AtomicU32,
    /// How often something was destroyed that a launch may have looked up (`api::launch_plan`).
    pub(crate) changes: AtomicU64,
    /// The application has set a limit of a context.
    limits_changed: AtomicBool,
    /// The application has set attributes of streams.
    pub(crate) priorities_changed: AtomicBool,
    account: stats::Session,
}

static CLIENT: OnceLock<Option<Client>> = OnceLock::new();

/// The client, once `cuInit` has succeeded.
pub(crate) fn get() -> Result<&'static Client, Status> {
    CLIENT
        .get()
        .and_then(Option::as_ref)
        .ok_or(Status::ERROR_NOT_INITIALIZED)
}

/// Connects, the first time. A failure is said once and stays.
pub(crate) fn init() -> Result<(), Status> {
    let mut first = None;
    let client = CLIENT.get_or_init(|| {
        if let (Some(path), Some(server)) = (&config::get().trace, &config::get().server) {
            trace::begin(path, server);
        }
        let started = Instant::now();
        let opened = open();
        STATS.connecting.add_time(started.elapsed());
        trace::connected(started.elapsed().as_nanos() as u64);
        match opened {
            Ok(client) => {
                first = Some(());
                Some(client)
            }
            Err(reason) => {
                log::notice(format_args!("{reason}"));
                None
            }
        }
    });
    let client = client.as_ref().ok_or(Status::ERROR_NO_DEVICE)?;
    if first.is_some() {
        client.settle_in()?;
    }
    client.session.usable()
}

fn open() -> Result<Client, String> {
    let config = config::get();
    let server = config.server.as_deref().ok_or(
        "no GPU: RGPU_SERVER is not set (tcp://HOST:PORT, rdma://HOST:PORT or unix:/PATH)",
    )?;
    let memory = match config.memory.as_deref() {
        None => 0,
        Some(text) => config::parse_size(text)
            .ok_or_else(|| format!("no GPU: RGPU_MEMORY={text} is no size (as in 256Mi, 2Gi)"))?,
    };
    let (connection, hello) = session::open(server, memory, config.share)?;
    crate::gate::watch(connection.closer());
    let credit = hello.bulk_credit;
    let session = Session::new(connection, credit, config.sync);
    Ok(Client::new(session, hello, server))
}

/// Ends the session as the process ends.
pub(crate) fn finish() {
    let Ok(client) = get() else { return };
    client.session.finish();
    trace::end();
    if let Some(path) = &config::get().stats {
        STATS.write(&client.account, path);
    }
}

impl Client {
    fn new(session: Session, hello: ServerHello, server: &str) -> Self {
        let devices: Vec<_> = hello
            .devices
            .iter()
            .map(|device| DeviceShadow::new(device, hello.lease))
            .collect();
        let account = stats::Session {
            server: server.to_owned(),
            device: devices
                .first()
                .map_or_else(String::new, |device| device.name.clone()),
            number: hello.session,
            lease: hello.lease,
        };
        let default_pools = (0..devices.len() as u32)
            .map(|at| FIRST_MINTED + at)
            .collect();
        Self {
            session,
            contexts: Mutex::new(Contexts::new(devices.len())),
            streams: Mutex::default(),
            modules: Mutex::default(),
            links: Mutex::default(),
            memory: Mutex::new(Memory::new(&hello, default_pools)),
            page_locked: Bounds::default(),
            mirrors: Mutex::default(),
            next_id: AtomicU32::new(FIRST_MINTED + devices.len() as u32),
            changes: AtomicU64::new(0),
            limits_changed: AtomicBool::new(false),
            priorities_changed: AtomicBool::new(false),
            devices,
            hello,
            account,
        }
    }

    /// Reserves the device window here too, so that no host pointer can look like a device pointer.
    fn settle_in(&'static self) -> Result<(), Status> {
        let (mut base, mut size) = (self.hello.window_base, self.hello.window_size);
        for _ in 0..WINDOW_TRIES {
            let reserved = reserve(base, size);
            let body = wire::to_bytes(&Window { reserved });
            let origin = Origin::within(PRIMARY_CONTEXT);
            if reserved {
                log::debug(format_args!(
                    "session {} on {}{}: {} bytes at {base:#x}",
                    self.hello.session,
                    self.account.server,
                    if self.session.shares_memory() {
                        ", through shared memory"
                    } else {
                        ""
                    },
                    self.hello.lease
                ));
                self.memory.hold().place(base, size);
                return self.session.post_bytes(Opcode::WINDOW, origin, &[&body]);
            }
            let answer = self.session.ask(Opcode::WINDOW, origin, &[&body])?;
            let other: WindowAt = wire::from_bytes(&answer)
                .map_err(|error| self.session.broken(Opcode::WINDOW, &error))?;
            (base, size) = (other.base, other.size);
        }
        log::notice(format_args!(
            "no GPU: this program uses the addresses of every window offered"
        ));
        Err(Status::ERROR_NO_DEVICE)
    }

    /// Brings a priority into the device's range.
    pub(crate) fn clamp_priority(&self, priority: i32) -> i32 {
        let (least, greatest) = self.hello.stream_priorities;
        priority.clamp(greatest.min(least), least.max(greatest))
    }

    /// A context, stream, module or library is gone: what was looked up before may be too.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Invents an id, of any kind. Ids are never used twice.
    pub(crate) fn mint(&self) -> u32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The context current to the calling thread.
    pub(crate) fn context(&self) -> Result<u32, Status> {
        let id = crate::thread::current_context();
        if id == 0 {
            return Err(Status::ERROR_INVALID_CONTEXT);
        }
        match self.contexts.hold().check(id) {
            Ok(()) => Ok(id),
            Err(_) => Err(Status::ERROR_CONTEXT_IS_DESTROYED),
        }
    }

    /// The same, after errors that make every call fail.
    pub(crate) fn working_context(&self) -> Result<u32, Status> {
        self.session.usable()?;
        self.context()
    }

    /// The context that a derived call acts in. Kernels of `cuLibrary*` belong to none, and cuBLAS and the like take the
    /// primary one where the thread has none.
    pub(crate) fn context_of(&self, op: Opcode) -> Result<u32, Status> {
        self.working_context().or_else(|status| match status {
            Status::ERROR_INVALID_CONTEXT | Status::ERROR_CONTEXT_IS_DESTROYED
                if needs_no_context(op) =>
            {
                Ok(PRIMARY_CONTEXT)
            }
            status => Err(status),
        })
    }

    /// The answer to a derived call, where it needs no asking.
    fn known_answer(&self, op: Opcode, context: u32, body: &[u8]) -> Option<Vec<u8>> {
        const GET_LIMIT: Opcode = Opcode::of("cuCtxGetLimit");
        if op != GET_LIMIT {
            return self.modules.hold().known_answer(op, body);
        }
        if self.limits_changed.load(Ordering::Relaxed) || context != PRIMARY_CONTEXT {
            return None;
        }
        let wanted = u32::decode(&mut Reader::new(body)).ok()?;
        let (_, value) = self
            .hello
            .limits
            .iter()
            .find(|(limit, _)| *limit == wanted)?;
        Some(wire::to_bytes(value))
    }

    /// The device of an ordinal.
    pub(crate) fn device(&self, ordinal: i32) -> Result<&DeviceShadow, Status> {
        usize::try_from(ordinal)
            .ok()
            .and_then(|at| self.devices.get(at))
            .ok_or(Status::ERROR_INVALID_DEVICE)
    }
}

/// Reserves [base, +size) without memory behind it, unless something is there already.
fn reserve(base: u64, size: u64) -> bool {
    let Ok(size) = usize::try_from(size) else {
        return false;
    };
    let wish = base as usize as *mut libc::c_void;
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE maps only where nothing is mapped; nobody can rely on such addresses.
    let at = unsafe { libc::mmap(wish, size, libc::PROT_NONE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return false;
    }
    if at != wish {
        // Kernels before 4.17 take the address as a hint.
        // SAFETY: this mapping was made above and nobody else knows of it.
        unsafe { libc::munmap(at, size) };
        return false;
    }
    true
}

// The half of derived rows: handles are checked here, everything else by the server.
impl ClientSide for &'static Client {
    fn check(&self, kind: HandleKind, id: u32) -> Result<(), Status> {
        let known = match kind {
            HandleKind::Context => return self.contexts.hold().check(id),
            HandleKind::Stream => return self.streams.hold().check_stream(id),
            HandleKind::Event => self.streams.hold().events.contains_key(&id),
            HandleKind::Module => self.modules.hold().modules.contains_key(&id),
            HandleKind::Library => self.modules.hold().libraries.contains_key(&id),
            HandleKind::Kernel => self.modules.hold().kernels.contains_key(&id),
            HandleKind::Function => self.modules.hold().functions.contains_key(&id),
            HandleKind::Pool => self.memory.hold().pools.exists(id),
            HandleKind::Link => self.links.hold().contains_key(&id),
            HandleKind::Physical => self.memory.hold().vmm.knows(id),
            // Objects of cuBLAS and the like: the libraries in front of them know theirs.
            _ => false,
        };
        if known {
            Ok(())
        } else {
            Err(Status::ERROR_INVALID_HANDLE)
        }
    }

    fn post(&self, op: Opcode, body: &[u8]) -> Result<(), Status> {
        const WAIT_EVENT: Opcode = Opcode::of("cuStreamWaitEvent");
        let context = self.context_of(op)?;
        if op == WAIT_EVENT && self.session.host_functions().any_in(None) {
            let stream = u32::decode(&mut Reader::new(body)).unwrap_or(0);
            self.streams.hold().wait_behind_host(stream);
        }
        api::posting(self, op, body, || {
            self.session
                .post_bytes(op, Origin::within(context), &[body])
        })
    }

    fn call(&self, op: Opcode, body: &[u8]) -> Result<Vec<u8>, Status> {
        let context = self.context_of(op)?;
        if let Some(known) = self.known_answer(op, context, body) {
            return Ok(known);
        }
        let origin = Origin::within(context);
        if let Some(answer) = api::occupancy_of_all_blocks(self, op, origin, body) {
            return answer;
        }
        let answer = self.session.ask(op, origin, &[body])?;
        self.modules.hold().observe(op, body, &answer);
        if op == SET_LIMIT {
            self.limits_changed.store(true, Ordering::Relaxed);
        }
        if op == COPY_STREAM_ATTRIBUTES {
            self.priorities_changed.store(true, Ordering::Relaxed);
        }
        Ok(answer)
    }

    fn broken(&self, op: Opcode, error: DecodeError) -> Status {
        self.session.broken(op, &error)
    }
}

fn needs_no_context(op: Opcode) -> bool {
    use rgpu_proto::spec::{self, driver};
    let of_driver = |id| driver::ROWS.last().is_some_and(|last| id <= last.id);
    spec::row(op.0).is_some_and(|row| row.family == "library" || !of_driver(row.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_reserved_only_where_nothing_is() {
        const SIZE: u64 = 1 << 20;
        // SAFETY: a fresh mapping at an address of the system's choice.
        let taken = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE as usize,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(taken, libc::MAP_FAILED);
        let base = taken as usize as u64;
        assert!(!reserve(base, SIZE));
        assert!(!reserve(base + SIZE / 2, SIZE));
    }
}
