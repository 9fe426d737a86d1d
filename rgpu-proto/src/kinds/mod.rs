//! The closed set of parameter kinds. Marshalling lives here, once; the rows only pair names with kinds.
//!
//! | kind | C type | crosses the wire |
//! |---|---|---|
//! | `In<T>` | `T` | yes |
//! | `Out<T>` | `T *` | yes, back |
//! | `Handle<K>` | an opaque pointer | as an id |
//! | `NewHandle<K>` | pointer to an opaque pointer | in `custom` rows |
//! | `DevicePtr` | `CUdeviceptr` | in `custom` rows |
//! | `InPtr`, `OutPtr` | `const void *`, `void *` | never by itself |
//! | `CStr` | `const char *` | in `custom` rows |
//! | `Callback` | a function pointer | never |
//! | `Opaque` | any other word | never |

mod library;

pub use library::*;

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;

use crate::handle::{HandleKind, Id, Named};
use crate::status::Status;
use crate::wire::{Decode, Encode};

/// A parameter kind: what it is in C.
pub trait Kind {
    /// Its C type.
    type C: Copy;
}

/// A kind that crosses the wire by itself, so that `posted` and `reply` rows may use it.
pub trait Carried: Kind {
    /// What the client sends for it.
    type Request: Encode + Decode;
    /// What the worker sends back for it.
    type Reply: Encode + Decode;
    /// Where the driver writes to.
    type Slot: Default;

    /// Client: the request of a C argument.
    ///
    /// # Safety
    /// `value` is what the application passed for this parameter; a non-null pointer is valid for its type.
    unsafe fn request(value: Self::C, client: &impl ClientSide) -> Result<Self::Request, Status>;

    /// Client: stores the answer where the application wants it.
    ///
    /// # Safety
    /// `value` was accepted by [`Self::request`] in this same call.
    unsafe fn deliver(value: Self::C, reply: Self::Reply);

    /// Worker: the argument for the driver. Pointers point into `slot`.
    fn to_driver(
        request: &Self::Request,
        slot: &mut Self::Slot,
        worker: &impl WorkerSide,
    ) -> Result<Self::C, Status>;

    /// Worker: what the driver left in `slot`.
    fn reply(slot: &Self::Slot) -> Self::Reply;
}

/// What the client half needs of its session.
pub trait ClientSide {
    /// Refuses a handle that this client did not create or has destroyed.
    fn check(&self, kind: HandleKind, id: u32) -> Result<(), Status>;
    /// Sends a call and returns at once.
    fn post(&self, op: crate::opcode::Opcode, body: &[u8]) -> Result<(), Status>;
    /// Sends a call and waits for the body of its answer.
    fn call(&self, op: crate::opcode::Opcode, body: &[u8]) -> Result<Vec<u8>, Status>;
    /// The server broke the protocol: end the session and say why.
    fn broken(&self, op: crate::opcode::Opcode, error: crate::wire::DecodeError) -> Status;
}

/// What the worker half needs of its session.
pub trait WorkerSide {
    /// The driver's handle of a client's id, in the frame being handled.
    fn driver_handle(&self, kind: HandleKind, id: u32) -> Result<*mut c_void, Status>;
    /// Address of the driver's function of the row `id`, if this driver has it.
    fn symbol(&self, id: u16) -> Option<*const c_void>;
}

/// A scalar that crosses as it is.
pub trait Scalar: Copy + Default + Encode + Decode + 'static {}

macro_rules! scalars {
    ($($scalar:ty),*) => { $(impl Scalar for $scalar {})* };
}
scalars!(u8, u16, u32, u64, usize, i32, i64, f32, f64);

/// A scalar passed by value.
#[derive(Debug)]
pub struct In<T>(PhantomData<T>);

impl<T: Scalar> Kind for In<T> {
    type C = T;
}

impl<T: Scalar> Carried for In<T> {
    type Request = T;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: T, _: &impl ClientSide) -> Result<T, Status> {
        Ok(value)
    }

    unsafe fn deliver(_: T, (): ()) {}

    fn to_driver(request: &T, (): &mut (), _: &impl WorkerSide) -> Result<T, Status> {
        Ok(*request)
    }

    fn reply((): &()) {}
}

/// A scalar returned through a pointer, which must not be null.
#[derive(Debug)]
pub struct Out<T>(PhantomData<T>);

impl<T: Scalar> Kind for Out<T> {
    type C = *mut T;
}

impl<T: Scalar> Carried for Out<T> {
    type Request = ();
    type Reply = T;
    type Slot = Box<T>;

    unsafe fn request(value: *mut T, _: &impl ClientSide) -> Result<(), Status> {
        if value.is_null() {
            Err(Status::ERROR_INVALID_VALUE)
        } else {
            Ok(())
        }
    }

    unsafe fn deliver(value: *mut T, reply: T) {
        // SAFETY: the application passed a pointer to a T; `request` refused null.
        unsafe { value.write_unaligned(reply) };
    }

    fn to_driver((): &(), slot: &mut Box<T>, _: &impl WorkerSide) -> Result<*mut T, Status> {
        Ok(&raw mut **slot)
    }

    fn reply(slot: &Box<T>) -> T {
        **slot
    }
}

/// A handle that exists already.
#[derive(Debug)]
pub struct Handle<K>(PhantomData<K>);

impl<K: Named> Kind for Handle<K> {
    type C = *mut c_void;
}

impl<K: Named> Carried for Handle<K> {
    type Request = Id<K>;
    type Reply = ();
    type Slot = ();

    unsafe fn request(value: *mut c_void, client: &impl ClientSide) -> Result<Id<K>, Status> {
        let id = Id::from_c(value).ok_or(Status::ERROR_INVALID_HANDLE)?;
        client.check(K::KIND, id.0)?;
        Ok(id)
    }

    unsafe fn deliver(_: *mut c_void, (): ()) {}

    fn to_driver(id: &Id<K>, (): &mut (), worker: &impl WorkerSide) -> Result<*mut c_void, Status> {
        worker.driver_handle(K::KIND, id.0)
    }

    fn reply((): &()) {}
}

/// A handle returned through a pointer.
#[derive(Debug)]
pub struct NewHandle<K>(PhantomData<K>);

impl<K: Named> Kind for NewHandle<K> {
    type C = *mut *mut c_void;
}

macro_rules! plain_kinds {
    ($($(#[$meta:meta])* $name:ident = $c:ty;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Kind for $name {
            type C = $c;
        }
    )*};
}

use plain_kinds;

plain_kinds! {
    /// A device address; for `cuMemcpy` and pointer attributes possibly a host address.
    DevicePtr = u64;
    /// Host memory or a structure that the call reads.
    InPtr = *const c_void;
    /// Host memory or a structure that the call writes.
    OutPtr = *mut c_void;
    /// NUL-terminated text.
    CStr = *const c_char;
    /// A function of the application; `None` is null.
    Callback = Option<unsafe extern "C" fn()>;
    /// A word that only absent rows take.
    Opaque = usize;
}
