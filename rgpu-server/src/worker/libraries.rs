//! The libraries whose calls are forwarded whole: cuBLAS, cuBLASLt, cuDNN.
//!
//! They are loaded when their first call arrives: from the folder of the driver, if that has them (so the software
//! GPU's come with the software GPU), else as the loader finds them.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library as SharedObject, RTLD_LOCAL, RTLD_NOW};
use rgpu_proto::handle::HandleKind;
use rgpu_proto::kinds::{SETTINGS, WorkerSide};
use rgpu_proto::library::derived::worker::{self as derived, Handler, Outcome};
use rgpu_proto::library::{Fault, Worker};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec::{self, Row};
use rgpu_proto::wire::Encode;

use super::handlers::Descriptors;
use super::session::{Answer, Handled, Session};
use super::wire_in::End;

/// A table of rows and the shared object that has their functions.
const LIBRARIES: [(&[Row], &str); 3] = [
    (&spec::cublas::ROWS, "libcublas.so.12"),
    (&spec::cublaslt::ROWS, "libcublasLt.so.12"),
    (&spec::cudnn::ROWS, "libcudnn.so.9"),
];

const BACKEND_SET: Opcode = Opcode::of("cudnnBackendSetAttribute");
const BACKEND_GET: Opcode = Opcode::of("cudnnBackendGetAttribute");

/// Which of [`LIBRARIES`] a row belongs to.
fn library_of(id: u16) -> Option<usize> {
    LIBRARIES.iter().position(|(rows, _)| {
        let (first, last) = (rows.first(), rows.last());
        first.is_some_and(|row| row.id <= id) && last.is_some_and(|row| id <= row.id)
    })
}

/// The libraries of a session.
pub(super) struct Libraries {
    /// Folder of the driver.
    folder: PathBuf,
    loaded: [Option<Loaded>; LIBRARIES.len()],
    /// The first posted call of each library that failed since the last answer.
    failed: [Option<Fault>; LIBRARIES.len()],
    /// What each handle was last given.
    settings: HashMap<(HandleKind, u32), [u32; SETTINGS]>,
    /// Of cuBLASLt.
    pub(super) descriptors: Descriptors,
    handlers: Arc<HashMap<u16, Handler<Session>>>,
}

/// A library, or that it cannot be loaded, and its functions as they were looked up.
struct Loaded {
    object: Option<SharedObject>,
    functions: HashMap<u16, Option<Function>>,
}

/// A function of a library.
#[derive(Clone, Copy)]
struct Function(*const c_void);

// SAFETY: functions are the same on every thread; nothing is read through the pointer.
unsafe impl Send for Function {}

impl Libraries {
    pub(super) fn new(driver: &Path) -> Self {
        Self {
            folder: driver.parent().map(Path::to_owned).unwrap_or_default(),
            loaded: [const { None }; LIBRARIES.len()],
            failed: [None; LIBRARIES.len()],
            settings: HashMap::new(),
            descriptors: Descriptors::default(),
            handlers: Arc::new(derived::handlers()),
        }
    }

    fn function(&mut self, id: u16) -> Option<*const c_void> {
        let at = library_of(id)?;
        let folder = &self.folder;
        let loaded = self.loaded[at].get_or_insert_with(|| Loaded {
            object: load(folder, LIBRARIES[at].1),
            functions: HashMap::new(),
        });
        let object = loaded.object.as_ref()?;
        let function = loaded.functions.entry(id).or_insert_with(|| {
            let name = CString::new(spec::row(id)?.name).ok()?;
            // SAFETY: the symbol is only stored here; it is called with the row's signature.
            let symbol = unsafe { object.get::<*const c_void>(name.as_bytes_with_nul()) }.ok()?;
            Some(Function(symbol.into_raw()))
        });
        function.map(|function| function.0)
    }
}

fn load(folder: &Path, name: &str) -> Option<SharedObject> {
    let beside = folder.join(name);
    let path = if beside.exists() {
        beside
    } else {
        PathBuf::from(name)
    };
    // SAFETY: initialisers of a library of the driver's owner are safe to run in a process of our own.
    match unsafe { SharedObject::open(Some(&path), RTLD_NOW | RTLD_LOCAL) } {
        Ok(object) => {
            tracing::info!(path = %path.display(), "library loaded");
            Some(object)
        }
        Err(error) => {
            tracing::warn!(%error, "library missing: its calls answer NOT_SUPPORTED");
            None
        }
    }
}

impl Session {
    /// Carries out a call of a library.
    pub(super) fn library_call(&mut self, body: &[u8]) -> Handled {
        let op = self.frame.op;
        let outcome = self.library_outcome(body)?;
        let Some(library) = library_of(op.0) else {
            return Err(End::NotForServers(op).into());
        };
        if let Err(fault) = outcome {
            tracing::debug!(%op, ?fault, "call of a library failed");
        }
        if !self.waits() {
            let failed = &mut self.libraries.failed[library];
            *failed = failed.or(outcome.err());
            return Ok(Answer::Done(Vec::new()));
        }
        let earlier = self.libraries.failed[library].take();
        let outcome = earlier.map_or(outcome, Err);
        let mut answer = Vec::new();
        match outcome {
            Ok(results) => {
                0u32.encode(&mut answer);
                answer.extend_from_slice(&results);
            }
            Err(fault) => fault.code().encode(&mut answer),
        }
        Ok(Answer::Done(answer))
    }

    fn library_outcome(&mut self, body: &[u8]) -> Result<Outcome, super::session::Failed> {
        let op = self.frame.op;
        match op {
            BACKEND_SET => return Ok(self.backend_set(&self.decode(body)?)),
            BACKEND_GET => return Ok(self.backend_get(&self.decode(body)?)),
            _ => {}
        }
        if let Some(outcome) = self.lt_call(op, body) {
            return outcome;
        }
        let Some(handler) = self.libraries.handlers.get(&op.0).copied() else {
            return Err(End::NotForServers(op).into());
        };
        if takes_stream(op) {
            self.resolve_per_thread(body)?;
        }
        handler(self, body).map_err(|error| End::Body { op, error }.into())
    }
}

/// Whether a call names a stream, which may be the calling thread's own.
fn takes_stream(op: Opcode) -> bool {
    const BLAS: Opcode = Opcode::of("cublasSetStream_v2");
    const DNN: Opcode = Opcode::of("cudnnSetStream");
    op == BLAS || op == DNN
}

impl Worker for Session {
    fn raw(&self, kind: HandleKind, id: u32) -> Result<*mut c_void, Fault> {
        self.driver_handle(kind, id).map_err(|_| Fault::Handle)
    }

    fn bind(&mut self, kind: HandleKind, id: u32, raw: *mut c_void) -> Result<(), Fault> {
        self.handles
            .bind_kind(kind, id, raw)
            .map_err(|_| Fault::Memory)
    }

    fn unbind(&mut self, kind: HandleKind, id: u32) {
        self.handles.forget(kind, id);
        self.libraries.settings.remove(&(kind, id));
    }

    fn device(&self, address: u64) -> Result<*mut c_void, Fault> {
        if address != 0 && !self.window.holds(address, 1) {
            return Err(Fault::Value);
        }
        Ok(address as *mut c_void)
    }

    fn setting(&self, kind: HandleKind, id: u32, number: u8) -> u32 {
        let settings = self.libraries.settings.get(&(kind, id));
        settings
            .and_then(|settings| settings.get(usize::from(number)).copied())
            .unwrap_or(0)
    }

    fn set(&mut self, kind: HandleKind, id: u32, number: u8, value: u32) {
        let settings = self.libraries.settings.entry((kind, id)).or_default();
        if let Some(setting) = settings.get_mut(usize::from(number)) {
            *setting = value;
        }
    }

    fn function(&mut self, id: u16) -> Option<*const c_void> {
        self.libraries.function(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_belongs_to_its_library() {
        let of = |name: &str| spec::row_named(name).and_then(|row| library_of(row.id));
        assert_eq!(of("cublasSgemm_v2"), Some(0));
        assert_eq!(of("cublasLtMatmul"), Some(1));
        assert_eq!(of("cudnnCreate"), Some(2));
        assert_eq!(of("cuInit"), None);
    }
}
