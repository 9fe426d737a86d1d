//! Attributes of backend descriptors: values whose type is known when the program runs.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]

use std::ffi::c_void;

use rgpu_client_libs::session;
use rgpu_proto::handle::{Dnn, DnnBackend, Id, Named};
use rgpu_proto::library::{Client, Fault};
use rgpu_proto::msg::library::{
    BackendGet, BackendGot, BackendSet, Elements, TYPE_DESCRIPTOR, TYPE_HANDLE, TYPE_POINTER,
    attribute_size,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Decode, Reader};

use crate::api::Result;

/// Values of an attribute at most: more than any attribute has.
const MOST: usize = 4096;

const SET: Opcode = Opcode::of("cudnnBackendSetAttribute");
const GET: Opcode = Opcode::of("cudnnBackendGetAttribute");

/// The id of a handle of the application that is alive.
fn id<K: Named>(client: &impl Client, value: *mut c_void) -> Result<Id<K>> {
    let id = Id::<K>::from_c(value).ok_or(Fault::Handle)?;
    client.check(K::KIND, id.0)?;
    Ok(id)
}

fn count(value: i64) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|count| *count <= MOST)
        .ok_or(Fault::Value)
}

/// `count` items at `from`.
///
/// # Safety
/// A non-null `from` has them.
unsafe fn items<T: Copy>(from: *const c_void, count: usize) -> Result<Vec<T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if from.is_null() {
        return Err(Fault::Value);
    }
    let from = from.cast::<T>();
    // SAFETY: the caller's promise.
    Ok((0..count)
        .map(|at| unsafe { from.add(at).read_unaligned() })
        .collect())
}

/// What the application wants an attribute to be.
///
/// # Safety
/// A non-null `from` has `count` values of the type.
unsafe fn elements(
    client: &impl Client,
    kind: u32,
    count: usize,
    from: *const c_void,
) -> Result<Elements> {
    let size = attribute_size(kind).ok_or(Fault::Value)?;
    // SAFETY: the caller's promise; each type is as large as `attribute_size` says.
    unsafe {
        Ok(match kind {
            TYPE_HANDLE => Elements::Handles(
                items::<*mut c_void>(from, count)?
                    .into_iter()
                    .map(|value| id::<Dnn>(client, value).map(|id| id.0))
                    .collect::<Result<_>>()?,
            ),
            TYPE_DESCRIPTOR => Elements::Descriptors(
                items::<*mut c_void>(from, count)?
                    .into_iter()
                    .map(|value| id::<DnnBackend>(client, value).map(|id| id.0))
                    .collect::<Result<_>>()?,
            ),
            TYPE_POINTER => Elements::Pointers(items::<u64>(from, count)?),
            _ => Elements::Plain(items::<u8>(from, count * size)?),
        })
    }
}

pub(crate) unsafe fn cudnnBackendSetAttribute(
    descriptor: *mut c_void,
    name: u32,
    kind: u32,
    element_count: i64,
    elements_at: *const c_void,
) -> Result {
    let client = session::get()?;
    let body = BackendSet {
        descriptor: id(&client, descriptor)?,
        name,
        kind,
        count: element_count,
        // SAFETY: as the C function of this name requires.
        elements: unsafe { elements(&client, kind, count(element_count)?, elements_at)? },
    };
    (&client).post(SET, &wire::to_bytes(&body))
}

pub(crate) unsafe fn cudnnBackendGetAttribute(
    descriptor: *mut c_void,
    name: u32,
    kind: u32,
    requested: i64,
    element_count: *mut c_void,
    elements_at: *mut c_void,
) -> Result {
    let client = session::get()?;
    let room = count(requested)?;
    let size = attribute_size(kind).ok_or(Fault::Value)?;
    let wanted = !elements_at.is_null() && room > 0;
    let descriptors = if kind == TYPE_DESCRIPTOR && wanted {
        // SAFETY: the application passes descriptors to be filled.
        unsafe { items::<*mut c_void>(elements_at, room)? }
            .into_iter()
            .map(|value| id::<DnnBackend>(&client, value).map(|id| id.0))
            .collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    let body = BackendGet {
        descriptor: id(&client, descriptor)?,
        name,
        kind,
        requested,
        descriptors,
        wanted,
    };
    let answer = (&client).call(GET, &wire::to_bytes(&body))?;
    let broken = |error| (&client).broken(GET, error);
    let mut reader = Reader::new(&answer);
    Fault::from_code(u32::decode(&mut reader).map_err(broken)?)?;
    let got = BackendGot::decode(&mut reader).map_err(broken)?;
    reader.end().map_err(broken)?;
    let bytes = match got.elements {
        Elements::Plain(bytes) => bytes,
        Elements::Pointers(addresses) => addresses.into_iter().flat_map(u64::to_le_bytes).collect(),
        Elements::Handles(ids) => ids
            .into_iter()
            .flat_map(|number| (Id::<Dnn>::new(number).to_c() as u64).to_le_bytes())
            .collect(),
        // Filled where they are.
        Elements::Descriptors(_) => Vec::new(),
    };
    if wanted {
        let len = bytes.len().min(room * size);
        // SAFETY: the application has room for `room` values.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), elements_at.cast(), len) };
    }
    if !element_count.is_null() {
        // SAFETY: the application passed a place for a count.
        unsafe { element_count.cast::<i64>().write_unaligned(got.count) };
    }
    Ok(())
}
