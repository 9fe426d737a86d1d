//! Scalars and results: by value where they are in host memory, by address where they are on the device.

use std::ffi::c_void;

use super::{Carried, Client, Fault, Notes, Worker};
use crate::kinds::*;
use crate::wire::{Decode, DecodeError, Encode, Reader};

/// Bytes of the largest scalar parameter: five `cuDoubleComplex` of `cublasRotmEx`.
const LARGEST: usize = 80;

/// A scalar, or where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Its bytes.
    Host(Bytes),
    /// Its address in device memory.
    Device(u64),
}

/// The bytes of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes {
    len: u8,
    bytes: [u8; LARGEST],
}

/// Room for a scalar, aligned for any.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
pub struct Scalars([u8; LARGEST]);

impl Default for Scalars {
    fn default() -> Self {
        Self([0; LARGEST])
    }
}

impl Bytes {
    /// Copies `len` bytes at `from`.
    ///
    /// # Safety
    /// There are as many.
    unsafe fn read(from: *const c_void, len: usize) -> Result<Self, Fault> {
        if from.is_null() || len > LARGEST {
            return Err(Fault::Value);
        }
        let mut bytes = [0; LARGEST];
        // SAFETY: the caller's promise; `bytes` has room, as checked.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), bytes.as_mut_ptr(), len) };
        Ok(Self {
            len: len as u8,
            bytes,
        })
    }

    fn of_slot(slot: &Scalars, len: usize) -> Self {
        Self {
            len: len as u8,
            bytes: slot.0,
        }
    }

    /// Writes them to `to`.
    ///
    /// # Safety
    /// `to` has room for them.
    unsafe fn write(&self, to: *mut c_void) {
        // SAFETY: the caller's promise.
        unsafe {
            std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), to.cast(), usize::from(self.len));
        }
    }

    fn slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        self.len.encode(out);
        out.extend_from_slice(self.slice());
    }
}

impl Decode for Bytes {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = u8::decode(input)?;
        if usize::from(len) > LARGEST {
            return Err(DecodeError::Invalid {
                what: "size of a scalar",
                value: u64::from(len),
            });
        }
        let mut bytes = [0; LARGEST];
        bytes[..usize::from(len)].copy_from_slice(input.bytes(usize::from(len))?);
        Ok(Self { len, bytes })
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Host(bytes) => {
                false.encode(out);
                bytes.encode(out);
            }
            Self::Device(address) => {
                true.encode(out);
                address.encode(out);
            }
        }
    }
}

impl Decode for Value {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(input)? {
            Self::Device(Decode::decode(input)?)
        } else {
            Self::Host(Decode::decode(input)?)
        })
    }
}

impl Value {
    /// Client: a scalar of `len` bytes that the call reads.
    ///
    /// # Safety
    /// A non-null `from` in host memory has `len` bytes.
    pub unsafe fn read(
        from: *const c_void,
        len: Option<usize>,
        device: bool,
    ) -> Result<Self, Fault> {
        if from.is_null() {
            return Err(Fault::Value);
        }
        if device {
            return Ok(Self::Device(from as u64));
        }
        // SAFETY: the caller's promise.
        unsafe { Bytes::read(from, len.ok_or(Fault::Value)?) }.map(Self::Host)
    }

    /// Worker: the pointer for the library, to `slot` or to the device. A client that says another place
    /// than the pointer mode does would have the library follow its number; it is refused.
    pub fn to_library(
        &self,
        slot: &mut Scalars,
        len: Option<usize>,
        device: bool,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        match self {
            Self::Device(address) if device => worker.device(*address),
            Self::Host(bytes) if !device && Some(usize::from(bytes.len)) == len => {
                slot.0 = bytes.bytes;
                Ok((&raw mut slot.0).cast())
            }
            _ => Err(Fault::Value),
        }
    }
}

impl Carried for FillIn {
    type Request = Option<Bytes>;
    type Reply = ();
    type Slot = Box<Scalars>;

    unsafe fn request(
        value: *const c_void,
        notes: &mut Notes,
        _: &impl Client,
    ) -> Result<Option<Bytes>, Fault> {
        if value.is_null() {
            return Ok(None);
        }
        let size = notes.scalar_size().ok_or(Fault::Value)?;
        // SAFETY: the application's element is as large as the type of the call says.
        unsafe { Bytes::read(value, size) }.map(Some)
    }

    unsafe fn deliver(_: *const c_void, (): (), _: &Notes) {}

    fn to_library(
        request: &Option<Bytes>,
        slot: &mut Box<Scalars>,
        notes: &Notes,
        _: &impl Worker,
    ) -> Result<*const c_void, Fault> {
        let Some(bytes) = request else {
            return Ok(std::ptr::null());
        };
        if notes.scalar_size() != Some(usize::from(bytes.len)) {
            return Err(Fault::Value);
        }
        slot.0 = bytes.bytes;
        Ok((&raw const slot.0).cast())
    }

    fn reply(_: &Option<Bytes>, _: &Box<Scalars>, _: &Notes) {}
}

/// Where a result goes: `None` is host memory.
type Place = Option<u64>;

fn place(value: *mut c_void, notes: &Notes) -> Result<Place, Fault> {
    if value.is_null() {
        return Err(Fault::Value);
    }
    Ok(notes.device_scalars.then_some(value as u64))
}

fn result_to_library(
    place: &Place,
    slot: &mut Scalars,
    notes: &Notes,
    worker: &impl Worker,
) -> Result<*mut c_void, Fault> {
    match place {
        Some(address) if notes.device_scalars => worker.device(*address),
        None if !notes.device_scalars => Ok((&raw mut slot.0).cast()),
        _ => Err(Fault::Value),
    }
}

/// Bytes of a `T`, where host code and library agree on it.
const fn fixed<T>(_: &Notes) -> Option<usize> {
    Some(size_of::<T>())
}

fn named(notes: &Notes) -> Option<usize> {
    notes.scalar_size()
}

fn named_five(notes: &Notes) -> Option<usize> {
    notes.scalar_size().map(|size| 5 * size)
}

/// "alpha and beta […] float for half and single, double for double tensors" (cuDNN, "Scaling Parameters").
const fn of_tensor(notes: &Notes) -> Option<usize> {
    Some(if notes.double { 8 } else { 4 })
}

macro_rules! scalar {
    ([$($generic:tt)*] $kind:ty, $size:expr, $device:expr) => {
        impl<$($generic)*> Carried for $kind {
            type Request = Value;
            type Reply = ();
            type Slot = Box<Scalars>;

            unsafe fn request(value: Self::C, notes: &mut Notes, _: &impl Client) -> Result<Value, Fault> {
                // SAFETY: the application's scalar is as large as the types of the call say.
                unsafe { Value::read(value.cast(), $size(notes), $device(notes)) }
            }

            unsafe fn deliver(_: Self::C, (): (), _: &Notes) {}

            fn to_library(
                request: &Value,
                slot: &mut Box<Scalars>,
                notes: &Notes,
                worker: &impl Worker,
            ) -> Result<Self::C, Fault> {
                Ok(request.to_library(slot, $size(notes), $device(notes), worker)?.cast_const().cast())
            }

            fn reply(_: &Value, _: &Box<Scalars>, _: &Notes) {}
        }
    };
}

const fn by_mode(notes: &Notes) -> bool {
    notes.device_scalars
}

/// "alpha and beta are pointers to host memory" (cuDNN, "Scaling Parameters").
const fn on_host(_: &Notes) -> bool {
    false
}

scalar!([T: Plain] ScalarIn<T>, fixed::<T>, by_mode);
scalar!([] ScalarEx, named, by_mode);
scalar!([] ScalarEx5, named_five, by_mode);
scalar!([] DnnScalar, of_tensor, on_host);

macro_rules! result {
    ([$($generic:tt)*] $kind:ty, $size:expr) => {
        impl<$($generic)*> Carried for $kind {
            type Request = Place;
            type Reply = Option<Bytes>;
            type Slot = Box<Scalars>;

            unsafe fn request(value: Self::C, notes: &mut Notes, _: &impl Client) -> Result<Place, Fault> {
                place(value.cast(), notes)
            }

            fn waits(request: &Place, _: &impl Client) -> Option<bool> {
                Some(request.is_none())
            }

            unsafe fn deliver(value: Self::C, reply: Option<Bytes>, notes: &Notes) {
                if let Some(bytes) = reply.filter(|bytes| Some(usize::from(bytes.len)) == $size(notes)) {
                    // SAFETY: the application's result is as large as the types of the call say.
                    unsafe { bytes.write(value.cast()) };
                }
            }

            fn to_library(
                request: &Place,
                slot: &mut Box<Scalars>,
                notes: &Notes,
                worker: &impl Worker,
            ) -> Result<Self::C, Fault> {
                $size(notes).filter(|size| *size <= LARGEST).ok_or(Fault::Value)?;
                Ok(result_to_library(request, slot, notes, worker)?.cast())
            }

            fn reply(request: &Place, slot: &Box<Scalars>, notes: &Notes) -> Option<Bytes> {
                let size = $size(notes).filter(|_| request.is_none())?;
                Some(Bytes::of_slot(slot, size))
            }
        }
    };
}

result!([T: Plain] ResultOut<T>, fixed::<T>);
result!([] ResultEx, named);
result!([] ResultEx5, named_five);

macro_rules! in_out {
    ([$($generic:tt)*] $kind:ty, $size:expr) => {
        impl<$($generic)*> Carried for $kind {
            type Request = Value;
            type Reply = Option<Bytes>;
            type Slot = Box<Scalars>;

            unsafe fn request(value: Self::C, notes: &mut Notes, _: &impl Client) -> Result<Value, Fault> {
                // SAFETY: the application's value is as large as the types of the call say.
                unsafe { Value::read(value.cast(), $size(notes), notes.device_scalars) }
            }

            fn waits(request: &Value, _: &impl Client) -> Option<bool> {
                Some(matches!(request, Value::Host(_)))
            }

            unsafe fn deliver(value: Self::C, reply: Option<Bytes>, notes: &Notes) {
                if let Some(bytes) = reply.filter(|bytes| Some(usize::from(bytes.len)) == $size(notes)) {
                    // SAFETY: the application's value is as large as the types of the call say.
                    unsafe { bytes.write(value.cast()) };
                }
            }

            fn to_library(
                request: &Value,
                slot: &mut Box<Scalars>,
                notes: &Notes,
                worker: &impl Worker,
            ) -> Result<Self::C, Fault> {
                let device = notes.device_scalars;
                Ok(request.to_library(slot, $size(notes), device, worker)?.cast())
            }

            fn reply(request: &Value, slot: &Box<Scalars>, notes: &Notes) -> Option<Bytes> {
                let size = $size(notes).filter(|_| matches!(request, Value::Host(_)))?;
                Some(Bytes::of_slot(slot, size))
            }
        }
    };
}

in_out!([T: Plain] ResultInOut<T>, fixed::<T>);
in_out!([] ResultInOutEx, named);
