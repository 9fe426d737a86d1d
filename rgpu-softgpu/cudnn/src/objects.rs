//! What handles and descriptors stand for.
//!
//! The pointers that programs get are numbers of a table: one that was not handed out, was taken back, or is of another
//! kind is `CUDNN_STATUS_BAD_PARAM`.

use std::any::Any;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use rgpu_softgpu_math::handles::Handles;
use rgpu_softgpu_math::nn;
use rgpu_softgpu_math::queue::{Run, Stream};

use crate::status::{Result, Status, require};

/// Upper half of the handles, so that none is taken for another library's.
const BITS: usize = 0x646e << 32;

static OBJECTS: Handles<Mutex<Box<dyn Any + Send>>> = Handles::new(BITS);

/// Hands out an object.
///
/// # Safety
/// `handle` is null or may be written.
pub(crate) unsafe fn create<T: Any + Send>(handle: *mut *mut c_void, object: T) -> Result {
    require(!handle.is_null())?;
    // SAFETY: the promise of this function.
    unsafe { handle.write(OBJECTS.add(Mutex::new(Box::new(object)))) };
    Ok(())
}

/// Takes an object back.
pub(crate) fn destroy<T: Any>(handle: *mut c_void) -> Result {
    with(handle, |_: &mut T| Ok(()))?;
    OBJECTS.remove(handle);
    Ok(())
}

/// Works on an object.
pub(crate) fn with<T: Any, R>(
    handle: *mut c_void,
    work: impl FnOnce(&mut T) -> Result<R>,
) -> Result<R> {
    let object = OBJECTS.get(handle).ok_or(Status::BAD_PARAM)?;
    let mut object = object.lock().unwrap_or_else(PoisonError::into_inner);
    work(object.downcast_mut().ok_or(Status::BAD_PARAM)?)
}

/// A copy of an object.
pub(crate) fn get<T: Any + Clone>(handle: *mut c_void) -> Result<T> {
    with(handle, |object: &mut T| Ok(object.clone()))
}

/// What a `cudnnHandle_t` stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) stream: Stream,
}

impl Context {
    /// Puts work into the stream. What goes wrong then is logged.
    pub(crate) fn submit(
        self,
        name: &'static str,
        work: impl FnOnce(&Run) -> nn::Result + Send + 'static,
    ) -> Result {
        self.stream.enqueue(name, move |run| {
            if let Err(error) = work(run) {
                tracing::error!(call = name, %error, "did not run");
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The C functions that create and destroy descriptors.
macro_rules! descriptors {
    ($($create:ident, $destroy:ident: $type:ty;)*) => {$(
        pub(crate) unsafe fn $create(descriptor: *mut *mut c_void) -> Result {
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { create(descriptor, <$type>::default()) }
        }

        pub(crate) unsafe fn $destroy(descriptor: *mut c_void) -> Result {
            destroy::<$type>(descriptor)
        }
    )*};
}
pub(crate) use descriptors;

/// Runs `$body` in the stream with `$t` as the type that is computed with.
macro_rules! submit {
    ($context:expr, $name:literal, $doubles:expr, $t:ident => $body:expr) => {{
        let doubles = $doubles;
        $context.submit($name, move |_| {
            if doubles {
                type $t = f64;
                $body
            } else {
                type $t = f32;
                $body
            }
        })
    }};
}
pub(crate) use submit;
