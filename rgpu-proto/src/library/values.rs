//! Values and addresses.

use std::ffi::c_void;

use super::{Carried, Client, Fault, Notes, Worker, notes};
use crate::kinds::*;
use crate::wire::{Decode, Encode};

impl<T: Scalar> Carried for In<T> {
    type Request = T;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: T, _: &mut Notes, _: &impl Client) -> Result<T, Fault> {
        Ok(value)
    }

    unsafe fn deliver(_: T, (): (), _: &Notes) {}

    fn to_library(request: &T, (): &mut (), _: &Notes, _: &impl Worker) -> Result<T, Fault> {
        Ok(*request)
    }

    fn reply(_: &T, (): &(), _: &Notes) {}
}

impl Carried for Dev {
    type Request = u64;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: *mut c_void, _: &mut Notes, _: &impl Client) -> Result<u64, Fault> {
        Ok(value as u64)
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn to_library(
        request: &u64,
        (): &mut (),
        _: &Notes,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        worker.device(*request)
    }

    fn reply(_: &u64, (): &(), _: &Notes) {}
}

// A number by value that says something about the other parameters.
macro_rules! noted {
    ($kind:ty, |$value:ident, $notes:ident| $note:expr) => {
        impl Carried for $kind {
            type Request = Self::C;
            type Reply = ();
            type Slot = ();

            fn note($value: Self::C, _: &impl Client, $notes: &mut Notes) {
                $note;
            }

            unsafe fn request(
                value: Self::C,
                _: &mut Notes,
                _: &impl Client,
            ) -> Result<Self::C, Fault> {
                Ok(value)
            }

            unsafe fn deliver(_: Self::C, (): (), _: &Notes) {}

            fn noted(&$value: &Self::C, _: &impl Worker, $notes: &mut Notes) {
                $note;
            }

            fn to_library(
                request: &Self::C,
                (): &mut (),
                _: &Notes,
                _: &impl Worker,
            ) -> Result<Self::C, Fault> {
                Ok(*request)
            }

            fn reply(_: &Self::C, (): &(), _: &Notes) {}
        }
    };
}

noted!(DataType, |value, notes| {
    notes.complex |= notes::data_type_size(value).is_some_and(|(_, complex)| complex);
});
noted!(ScalarType, |value, notes| {
    notes.note_scalar(notes::data_type_size(value).map(|(size, _)| size));
});
noted!(ComputeType, |value, notes| {
    notes.compute = notes::compute_type_size(value);
});
noted!(FillType, |value, notes| {
    notes.note_scalar(notes::dnn_type_size(value));
});
noted!(Count, |value, notes| {
    notes.count = usize::try_from(value).unwrap_or(0);
});
noted!(Count64, |value, notes| {
    notes.count = usize::try_from(value).unwrap_or(0);
});

/// `CUDNN_DATA_DOUBLE` (cudnn_graph.h).
const DNN_DOUBLE: u32 = 1;

impl Carried for DnnType {
    type Request = u32;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: u32, _: &mut Notes, _: &impl Client) -> Result<u32, Fault> {
        Ok(value)
    }

    unsafe fn sent(_: u32, request: &u32, notes: &Notes, client: &impl Client) {
        if let Some((kind, id)) = notes.handle {
            client.set(kind, id, DNN_DOUBLES, u32::from(*request == DNN_DOUBLE));
        }
    }

    unsafe fn deliver(_: u32, (): (), _: &Notes) {}

    fn to_library(request: &u32, (): &mut (), _: &Notes, _: &impl Worker) -> Result<u32, Fault> {
        Ok(*request)
    }

    fn settled(
        request: &u32,
        (): &(),
        notes: &Notes,
        worker: &mut impl Worker,
    ) -> Result<(), Fault> {
        if let Some((kind, id)) = notes.handle {
            worker.set(kind, id, DNN_DOUBLES, u32::from(*request == DNN_DOUBLE));
        }
        Ok(())
    }

    fn reply(_: &u32, (): &(), _: &Notes) {}
}

impl<const N: u8> Carried for Setting<N> {
    type Request = u32;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: u32, _: &mut Notes, _: &impl Client) -> Result<u32, Fault> {
        Ok(value)
    }

    unsafe fn sent(_: u32, request: &u32, notes: &Notes, client: &impl Client) {
        if let Some((kind, id)) = notes.whose() {
            client.set(kind, id, N, *request);
        }
    }

    unsafe fn deliver(_: u32, (): (), _: &Notes) {}

    fn to_library(request: &u32, (): &mut (), _: &Notes, _: &impl Worker) -> Result<u32, Fault> {
        Ok(*request)
    }

    fn settled(
        request: &u32,
        (): &(),
        notes: &Notes,
        worker: &mut impl Worker,
    ) -> Result<(), Fault> {
        if let Some((kind, id)) = notes.whose() {
            worker.set(kind, id, N, *request);
        }
        Ok(())
    }

    fn reply(_: &u32, (): &(), _: &Notes) {}
}

impl<T: Scalar> Carried for Out<T> {
    type Request = ();
    type Reply = T;
    type Slot = Box<T>;

    unsafe fn request(value: *mut T, _: &mut Notes, _: &impl Client) -> Result<(), Fault> {
        if value.is_null() {
            Err(Fault::Value)
        } else {
            Ok(())
        }
    }

    unsafe fn deliver(value: *mut T, reply: T, _: &Notes) {
        // SAFETY: the application passed a pointer to a T; `request` refused null.
        unsafe { value.write_unaligned(reply) };
    }

    fn to_library((): &(), slot: &mut Box<T>, _: &Notes, _: &impl Worker) -> Result<*mut T, Fault> {
        Ok(&raw mut **slot)
    }

    fn reply((): &(), slot: &Box<T>, _: &Notes) -> T {
        **slot
    }
}

impl<T: Plain + Default + Encode + Decode> Carried for OutOpt<T> {
    type Request = bool;
    type Reply = Option<T>;
    type Slot = Box<T>;

    unsafe fn request(value: *mut T, _: &mut Notes, _: &impl Client) -> Result<bool, Fault> {
        Ok(!value.is_null())
    }

    unsafe fn deliver(value: *mut T, reply: Option<T>, _: &Notes) {
        if let Some(reply) = reply.filter(|_| !value.is_null()) {
            // SAFETY: the application passed a pointer to a T.
            unsafe { value.write_unaligned(reply) };
        }
    }

    fn to_library(
        wanted: &bool,
        slot: &mut Box<T>,
        _: &Notes,
        _: &impl Worker,
    ) -> Result<*mut T, Fault> {
        Ok(if *wanted {
            &raw mut **slot
        } else {
            std::ptr::null_mut()
        })
    }

    fn reply(wanted: &bool, slot: &Box<T>, _: &Notes) -> Option<T> {
        wanted.then_some(**slot)
    }
}
