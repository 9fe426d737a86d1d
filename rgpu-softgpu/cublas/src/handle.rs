//! Handles and their settings, and a call on its way into the handle's stream.

use std::ffi::c_void;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use rgpu_softgpu_math::handles::{CUBLAS, Handles};
use rgpu_softgpu_math::queue::{self, Context, Run, Scalar, Span, Stream};

use crate::status::{Result, Status, require};
use crate::types::{Blas, C, Real};

/// What a handle remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) stream: Stream,
    /// `cublasPointerMode_t`: 0 host, 1 device.
    pub(crate) pointer_mode: u32,
    /// `cublasMath_t`: how much precision may be lost; none is.
    pub(crate) math_mode: u32,
    /// `cublasAtomicsMode_t`: results are always the same.
    pub(crate) atomics_mode: u32,
    pub(crate) sm_count: i32,
}

static HANDLES: Handles<Mutex<Settings>> = Handles::new(CUBLAS);

/// A new handle with the default settings.
pub(crate) fn create() -> Result<*mut c_void> {
    Context::current_or_primary()?;
    Ok(HANDLES.add(Mutex::new(Settings {
        stream: Stream(std::ptr::null_mut()),
        pointer_mode: 0,
        math_mode: 0,
        atomics_mode: 0,
        sm_count: 0,
    })))
}

/// Forgets a handle. Its work has its own copies of what it needs.
pub(crate) fn destroy(handle: *mut c_void) -> Result {
    let settings = HANDLES.remove(handle).ok_or(Status::NOT_INITIALIZED)?;
    // Documented: releasing the handle's resources waits for the device.
    let stream = with(&settings, |settings| settings.stream);
    let _ = stream.synchronise();
    Ok(())
}

fn find(handle: *mut c_void) -> Result<Arc<Mutex<Settings>>> {
    HANDLES.get(handle).ok_or(Status::NOT_INITIALIZED)
}

fn with<R>(settings: &Mutex<Settings>, body: impl FnOnce(&mut Settings) -> R) -> R {
    body(&mut settings.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads or changes the settings of a handle.
pub(crate) fn settings<R>(handle: *mut c_void, body: impl FnOnce(&mut Settings) -> R) -> Result<R> {
    Ok(with(&*find(handle)?, body))
}

/// A call whose handle is valid, with the settings it was made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    name: &'static str,
    stream: Stream,
    on_device: bool,
}

impl Call {
    /// `name` is for the log.
    pub(crate) fn new(name: &'static str, handle: *mut c_void) -> Result<Self> {
        let settings = settings(handle, |settings| *settings)?;
        Context::current_or_primary()?;
        Ok(Self {
            name,
            stream: settings.stream,
            on_device: settings.pointer_mode == 1,
        })
    }

    /// Whether scalars and results are in device memory.
    pub(crate) fn is_on_device(&self) -> bool {
        self.on_device
    }

    /// The same call, with scalars in host memory whatever the pointer mode says.
    pub(crate) fn with_host_scalars(self) -> Self {
        Self {
            on_device: false,
            ..self
        }
    }

    /// A scalar argument, in host or device memory as the pointer mode says.
    ///
    /// # Safety
    /// In host memory it is valid. T is a type of which any bytes are a value.
    pub(crate) unsafe fn scalar<T: Copy>(&self, pointer: *const T) -> Result<Scalar<T>> {
        require(!pointer.is_null())?;
        Ok(match self.on_device {
            true => Scalar::Device(Span::new(pointer, 1)?),
            // SAFETY: the caller's promise.
            false => Scalar::Known(unsafe { pointer.read_unaligned() }),
        })
    }

    /// Puts the work of the call into the stream.
    pub(crate) fn enqueue(
        self,
        work: impl FnOnce(&Run) -> queue::Result + Send + 'static,
    ) -> Result {
        Ok(self.stream.enqueue(self.name, work)?)
    }
    /// Puts work into the stream that gives a value, which goes where the pointer mode says; on the host the call waits
    /// for it.
    ///
    /// # Safety
    /// A result in host memory may be written.
    pub(crate) unsafe fn result<T: Copy + Send + 'static>(
        self,
        result: *mut T,
        work: impl FnOnce(&Run) -> queue::Result<T> + Send + 'static,
    ) -> Result {
        require(!result.is_null())?;
        if self.on_device {
            let result = Span::new(result, 1)?;
            return self.enqueue(move |run| {
                let value = work(run)?;
                // SAFETY: one element, which the driver has vouched for.
                unsafe { result.pointer().write(value) };
                Ok(())
            });
        }
        let (send, receive) = channel();
        self.enqueue(move |run| {
            // The receiver is gone only if waiting failed.
            let _ = send.send(work(run)?);
            Ok(())
        })?;
        self.stream.synchronise()?;
        let value = receive.try_recv().map_err(|_| Status::EXECUTION_FAILED)?;
        // SAFETY: the caller's promise.
        unsafe { result.write_unaligned(value) };
        Ok(())
    }
}

/// A scalar that a matrix of `T` is multiplied with; some functions take only real ones.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Factor<T: Blas> {
    Any(Scalar<T>),
    Real(Scalar<Real<T>>),
}

impl<T: Blas> Factor<T> {
    /// # Safety
    /// As [`Call::scalar`].
    pub(crate) unsafe fn any(call: &Call, pointer: *const C<T>) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(Self::Any(unsafe { call.scalar(pointer.cast())? }))
    }

    /// # Safety
    /// As [`Call::scalar`].
    pub(crate) unsafe fn real(call: &Call, pointer: *const Real<T>) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(Self::Real(unsafe { call.scalar(pointer)? }))
    }

    /// The value; for use when the work runs.
    pub(crate) fn get(self) -> T {
        match self {
            Self::Any(scalar) => scalar.get(),
            Self::Real(scalar) => T::of_real(scalar.get()),
        }
    }

    /// Whether it is known now to be 0.
    pub(crate) fn is_known_zero(&self) -> bool {
        match self {
            Self::Any(Scalar::Known(value)) => value.is_zero(),
            Self::Real(Scalar::Known(value)) => T::of_real(*value).is_zero(),
            Self::Any(Scalar::Device(_)) | Self::Real(Scalar::Device(_)) => false,
        }
    }

    /// How many of its matrix's elements must be there: none where it is known to be 0.
    pub(crate) fn needs(&self, extent: usize) -> usize {
        if self.is_known_zero() { 0 } else { extent }
    }
}
