//! The C functions.

use std::ffi::c_char;

use rgpu_client_libs::entries;
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;

use crate::{api, status, text};

rgpu_proto::cudnn_rows!(entries);

/// See NVIDIA's cuDNN reference: the version of the library, the server's.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetVersion() -> usize {
    api::version()
}

/// See NVIDIA's cuDNN reference: the highest compute capability that the library knows, as 100 * major + 10 * minor.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetMaxDeviceVersion() -> usize {
    api::MAX_DEVICE_VERSION
}

/// See NVIDIA's cuDNN reference: the CUDA runtime that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetCudartVersion() -> usize {
    api::CUDART_VERSION
}

/// See NVIDIA's cuDNN reference: the name of a status.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetErrorString(status: u32) -> *const c_char {
    text::name(status).as_ptr()
}

/// See NVIDIA's cuDNN reference: what the last error of this thread was about. Messages stay with the server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudnnGetLastErrorString(message: *mut c_char, max_size: usize) {
    if !message.is_null() && max_size > 0 {
        // SAFETY: the application passed room for `max_size` bytes.
        unsafe { message.write(0) };
    }
}
