//! One function per `local` row; those of backend descriptors are in `backend`.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]

use std::ffi::c_void;
use std::sync::OnceLock;

use rgpu_client_libs::session;
use rgpu_proto::handle::{Dnn, Id, Named, Stream};
use rgpu_proto::kinds::STREAM;
use rgpu_proto::library::{Client, Fault, derived};

pub(crate) use crate::backend::*;

/// Of the CUDA release whose functions this library has.
pub(crate) const CUDART_VERSION: usize = 12090;
/// Of the newest GPUs that cuDNN 9.2 knows.
pub(crate) const MAX_DEVICE_VERSION: usize = 1200;

pub(crate) type Result<T = ()> = std::result::Result<T, Fault>;

/// The version of the server's library, as `CUDNN_VERSION` counts; 0 where there is none.
pub(crate) fn version() -> usize {
    static VERSION: OnceLock<usize> = OnceLock::new();
    if let Some(version) = VERSION.get() {
        return *version;
    }
    // CUDNN_MAJOR, _MINOR and _PATCHLEVEL are the library properties 0, 1 and 2 (library_types.h).
    let property = |number| -> Result<usize> {
        let mut value = 0;
        // SAFETY: `value` is live.
        unsafe {
            derived::client::cudnnGetProperty(&session::get()?, number, &raw mut value)?;
        }
        usize::try_from(value).map_err(|_| Fault::Value)
    };
    match (property(0), property(1), property(2)) {
        (Ok(major), Ok(minor), Ok(patch)) => {
            *VERSION.get_or_init(|| major * 10_000 + minor * 100 + patch)
        }
        _ => 0,
    }
}

pub(crate) unsafe fn cudnnGetStream(handle: *mut c_void, stream: *mut *mut c_void) -> Result {
    let session = session::get()?;
    let id = Id::<Dnn>::from_c(handle).ok_or(Fault::Handle)?;
    (&session).check(Dnn::KIND, id.0)?;
    if stream.is_null() {
        return Err(Fault::Value);
    }
    let set = Id::<Stream>::new((&session).setting(Dnn::KIND, id.0, STREAM));
    // SAFETY: the application passed a place for a stream, which is not null.
    unsafe { stream.write_unaligned(set.to_c()) };
    Ok(())
}

// cuDNN 9 is several libraries, whose versions these compare; here it is one.

pub(crate) unsafe fn cudnnAdvVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnCnnVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnGraphVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnOpsVersionCheck() -> Result {
    Ok(())
}

// The log is that of the server's library; here there is none to be called back from.

pub(crate) unsafe fn cudnnSetCallback(
    _mask: u32,
    _data: *mut c_void,
    _callback: Option<unsafe extern "C" fn()>,
) -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnGetCallback(
    mask: *mut u32,
    data: *mut c_void,
    callback: *mut c_void,
) -> Result {
    for place in [data, callback] {
        if !place.is_null() {
            // SAFETY: the application passed a place for a pointer.
            unsafe {
                place
                    .cast::<*mut c_void>()
                    .write_unaligned(std::ptr::null_mut())
            };
        }
    }
    if !mask.is_null() {
        // SAFETY: the application passed a place for a number.
        unsafe { mask.write_unaligned(0) };
    }
    Ok(())
}
