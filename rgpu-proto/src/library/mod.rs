//! How calls of libraries (cuBLAS, cuBLASLt, cuDNN) cross the wire.
//!
//! The rows name the kinds of the parameters ([`crate::kinds`]); here each kind gets its marshalling, once, and
//! [`derived`] pairs the two. A call has three steps on each side:
//!
//! ```text
//! client: note every parameter -> encode every parameter -> post, or ask and deliver every answer
//! worker: decode every parameter -> note -> call the library's function -> keep or forget handles, encode answers
//! ```
//!
//! [`Notes`] is what one parameter says about the others: how many items an array has, how large a scalar is,
//! whether scalars are in device memory. Both sides make them from the same parameters, so that nothing that
//! the wire says about a size is believed.
//!
//! The body of an answer begins with the library's own status ([`Fault::code`]); results follow only after 0.

mod arrays;
pub mod derived;
mod handles;
pub mod lt;
mod notes;
mod scalars;
mod values;

use std::ffi::c_void;

pub use notes::{Created, Notes, data_type_size};
pub use scalars::{Scalars, Value};

use crate::handle::HandleKind;
use crate::kinds::Kind;
use crate::opcode::Opcode;
use crate::status::Status;
use crate::wire::{Decode, DecodeError, Encode};

/// Why a library's call failed, in no library's own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A handle that is none.
    Handle,
    /// An argument that cannot be.
    Value,
    /// The server's library does not have this function.
    Missing,
    /// No more handles.
    Memory,
    /// The session failed with this code of the driver.
    Driver(Status),
    /// The library's own status.
    Library(u32),
}

impl Fault {
    const OWN: u32 = 0xffff_0000;

    /// The number that stands for it on the wire: the library's, or one of those that no library has.
    pub const fn code(self) -> u32 {
        match self {
            Self::Handle => Self::OWN,
            Self::Value => Self::OWN + 1,
            Self::Missing => Self::OWN + 2,
            Self::Memory => Self::OWN + 3,
            // A session that failed has no answer to put a number in.
            Self::Driver(_) => Self::OWN + 4,
            Self::Library(code) => code,
        }
    }

    /// What a number from the wire says; `Ok` for success.
    pub const fn from_code(code: u32) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            Self::OWN => Self::Handle,
            0xffff_0001 => Self::Value,
            0xffff_0002 => Self::Missing,
            0xffff_0003 => Self::Memory,
            0xffff_0004 => Self::Driver(Status::ERROR_UNKNOWN),
            code => Self::Library(code),
        })
    }
}

/// What the client half needs of its library.
pub trait Client {
    /// Refuses a handle that this process did not create or has destroyed.
    fn check(&self, kind: HandleKind, id: u32) -> Result<(), Fault>;
    /// The id of a stream of the application, which may be a default stream.
    fn stream(&self, stream: *mut c_void) -> Result<u32, Fault>;
    /// Invents an id.
    fn mint(&self) -> Result<u32, Fault>;
    /// A handle exists from now on.
    fn created(&self, kind: HandleKind, id: u32);
    /// A handle exists no more.
    fn gone(&self, kind: HandleKind, id: u32);
    /// What the handle was last given as setting `number`; 0 before.
    fn setting(&self, kind: HandleKind, id: u32, number: u8) -> u32;
    /// The handle is given the setting.
    fn set(&self, kind: HandleKind, id: u32, number: u8, value: u32);
    /// Sends a call and returns at once.
    fn post(&self, op: Opcode, body: &[u8]) -> Result<(), Fault>;
    /// Sends a call and waits for the body of its answer.
    fn call(&self, op: Opcode, body: &[u8]) -> Result<Vec<u8>, Fault>;
    /// The server broke the protocol: end the session and say why.
    fn broken(&self, op: Opcode, error: DecodeError) -> Fault;
}

/// What the worker half needs of its session.
pub trait Worker {
    /// The library's (or for streams the driver's) handle of a client's id.
    fn raw(&self, kind: HandleKind, id: u32) -> Result<*mut c_void, Fault>;
    /// Puts a handle behind an id that the client has just invented.
    fn bind(&mut self, kind: HandleKind, id: u32, raw: *mut c_void) -> Result<(), Fault>;
    /// Forgets an id.
    fn unbind(&mut self, kind: HandleKind, id: u32);
    /// Refuses an address outside the client's device memory; null is let through.
    fn device(&self, address: u64) -> Result<*mut c_void, Fault>;
    /// What the handle was last given as setting `number`; 0 before.
    fn setting(&self, kind: HandleKind, id: u32, number: u8) -> u32;
    /// The handle is given the setting.
    fn set(&mut self, kind: HandleKind, id: u32, number: u8, value: u32);
    /// Address of the library's function of the row `id`, if the server has it.
    fn function(&mut self, id: u16) -> Option<*const c_void>;
}

/// A kind that crosses the wire in a call of a library.
pub trait Carried: Kind {
    /// What the client sends for it.
    type Request: Encode + Decode;
    /// What the worker sends back for it.
    type Reply: Encode + Decode;
    /// Where the library reads from or writes to.
    type Slot: Default;

    /// Client: what the argument says about the others.
    fn note(_value: Self::C, _client: &impl Client, _notes: &mut Notes) {}

    /// Client: the request of an argument.
    ///
    /// # Safety
    /// `value` is what the application passed for this parameter; a non-null pointer is valid for its type.
    unsafe fn request(
        value: Self::C,
        notes: &mut Notes,
        client: &impl Client,
    ) -> Result<Self::Request, Fault>;

    /// Client: whether the call must wait because of this argument; `None` where it does not matter.
    fn waits(_request: &Self::Request, _client: &impl Client) -> Option<bool> {
        None
    }

    /// Client: the call was sent (and, where it waited, succeeded).
    ///
    /// # Safety
    /// `value` was accepted by [`Self::request`] in this same call.
    unsafe fn sent(_value: Self::C, _request: &Self::Request, _: &Notes, _client: &impl Client) {}

    /// Client: stores the answer where the application wants it.
    ///
    /// # Safety
    /// `value` was accepted by [`Self::request`] in this same call.
    unsafe fn deliver(value: Self::C, reply: Self::Reply, notes: &Notes);

    /// Worker: what the argument says about the others.
    fn noted(_request: &Self::Request, _worker: &impl Worker, _notes: &mut Notes) {}

    /// Worker: the argument for the library. Pointers point into `slot`.
    fn to_library(
        request: &Self::Request,
        slot: &mut Self::Slot,
        notes: &Notes,
        worker: &impl Worker,
    ) -> Result<Self::C, Fault>;

    /// Worker: the call succeeded.
    fn settled(
        _request: &Self::Request,
        _slot: &Self::Slot,
        _: &Notes,
        _worker: &mut impl Worker,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// Worker: what the library left in `slot`.
    fn reply(request: &Self::Request, slot: &Self::Slot, notes: &Notes) -> Self::Reply;
}
