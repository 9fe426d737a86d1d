//! The session of the client's `libcuda.so.1`, as the libraries use it.

use std::ffi::c_void;
use std::sync::OnceLock;

use rgpu_driver_abi::library_calls::{Calls, Export, SYMBOL, VERSION};
use rgpu_proto::handle::HandleKind;
use rgpu_proto::library::{Client, Fault};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::DecodeError;

use crate::objects::Objects;

/// The session, and what this library has in it.
#[derive(Debug)]
pub struct Session {
    calls: &'static Calls,
    objects: Objects,
}

/// This library's use of the session.
///
/// # Errors
/// [`Fault::Driver`] where the process has no `libcuda.so.1` of ours, or no server.
pub fn get() -> Result<&'static Session, Fault> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    let session = SESSION
        .get_or_init(|| {
            let calls = find()?;
            (calls.version == VERSION).then(|| Session {
                calls,
                objects: Objects::default(),
            })
        })
        .as_ref()
        .ok_or(Fault::Driver(Status::ERROR_SYSTEM_DRIVER_MISMATCH))?;
    // SAFETY: a function of `libcuda.so.1`, without parameters.
    driver(unsafe { (session.calls.init)() })?;
    Ok(session)
}

/// The table of the `libcuda.so.1` of this process, which programs load before its libraries.
fn find() -> Option<&'static Calls> {
    // SAFETY: a look-up by name in what is loaded already.
    let mut export = unsafe { libc::dlsym(libc::RTLD_DEFAULT, SYMBOL.as_ptr()) };
    if export.is_null() {
        // SAFETY: loads the driver as any CUDA program does.
        let driver = unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW) };
        if driver.is_null() {
            return None;
        }
        // SAFETY: as above.
        export = unsafe { libc::dlsym(driver, SYMBOL.as_ptr()) };
    }
    if export.is_null() {
        return None;
    }
    // SAFETY: a function of this name has this type.
    let export = unsafe { std::mem::transmute::<*mut c_void, Export>(export) };
    // SAFETY: it returns a table that lives as long as the process.
    unsafe { export().as_ref() }
}

fn driver(result: u32) -> Result<(), Fault> {
    Status(result).ok().map_err(Fault::Driver)
}

unsafe extern "C" fn keep(target: *mut c_void, body: *const u8, len: usize) {
    // SAFETY: `call` below passes a vector, and the driver lends a slice.
    unsafe {
        (*target.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(body, len));
    }
}

impl Session {
    /// Copies between host and device as a `CUDA_MEMCPY2D` says, in a stream or at once.
    ///
    /// # Errors
    /// As `cuMemcpy2D` fails.
    ///
    /// # Safety
    /// `copy` points to that structure, and what it names is as `cuMemcpy2D` requires.
    pub unsafe fn copy_2d(
        &self,
        copy: *const c_void,
        stream: Option<*mut c_void>,
    ) -> Result<(), Fault> {
        let (in_stream, stream) = (stream.is_some(), stream.unwrap_or(std::ptr::null_mut()));
        // SAFETY: the caller's promise.
        driver(unsafe { (self.calls.copy_2d)(copy, in_stream, stream) })
    }

    /// Writes a line to the client's log, where that is on.
    pub fn log(&self, text: &str) {
        // SAFETY: a slice that lives as long as the call. A failure has nowhere to go.
        let _ = unsafe { (self.calls.log)(text.as_ptr(), text.len()) };
    }
}

impl Client for &'static Session {
    fn check(&self, kind: HandleKind, id: u32) -> Result<(), Fault> {
        if self.objects.exists(kind, id) {
            Ok(())
        } else {
            Err(Fault::Handle)
        }
    }

    #[expect(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "a handle, which is looked up and never followed"
    )]
    fn stream(&self, stream: *mut c_void) -> Result<u32, Fault> {
        let mut id = 0;
        // SAFETY: `id` is live.
        driver(unsafe { (self.calls.stream)(stream, &raw mut id) })?;
        Ok(id)
    }

    fn mint(&self) -> Result<u32, Fault> {
        let mut id = 0;
        // SAFETY: `id` is live.
        driver(unsafe { (self.calls.mint)(&raw mut id) })?;
        Ok(id)
    }

    fn created(&self, kind: HandleKind, id: u32) {
        self.objects.created(kind, id);
    }

    fn gone(&self, kind: HandleKind, id: u32) {
        self.objects.gone(kind, id);
    }

    fn setting(&self, kind: HandleKind, id: u32, number: u8) -> u32 {
        self.objects.setting(kind, id, number)
    }

    fn set(&self, kind: HandleKind, id: u32, number: u8, value: u32) {
        self.objects.set(kind, id, number, value);
    }

    fn post(&self, op: Opcode, body: &[u8]) -> Result<(), Fault> {
        // SAFETY: a slice that lives as long as the call.
        driver(unsafe { (self.calls.post)(op.0, body.as_ptr(), body.len()) })
    }

    fn call(&self, op: Opcode, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut answer = Vec::<u8>::new();
        let target = (&raw mut answer).cast();
        // SAFETY: a slice and a vector that live as long as the call; `keep` takes such a vector.
        driver(unsafe { (self.calls.call)(op.0, body.as_ptr(), body.len(), keep, target) })?;
        Ok(answer)
    }

    fn broken(&self, op: Opcode, error: DecodeError) -> Fault {
        let reason = error.to_string();
        // SAFETY: a slice that lives as long as the call.
        let status = unsafe { (self.calls.broken)(op.0, reason.as_ptr(), reason.len()) };
        Fault::Driver(Status(status))
    }
}
