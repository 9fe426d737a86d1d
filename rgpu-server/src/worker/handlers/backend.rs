//! Attributes of cuDNN's backend descriptors.

use std::ffi::c_void;

use rgpu_proto::handle::HandleKind;
use rgpu_proto::library::derived::worker::Outcome;
use rgpu_proto::library::{Fault, Worker};
use rgpu_proto::msg::library::{
    BackendGet, BackendGot, BackendSet, Elements, TYPE_DESCRIPTOR, TYPE_HANDLE, TYPE_POINTER,
    attribute_size,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use crate::worker::session::Session;

const SET: Opcode = Opcode::of("cudnnBackendSetAttribute");
const GET: Opcode = Opcode::of("cudnnBackendGetAttribute");

/// Values of an attribute at most: more than any attribute has.
const MOST: i64 = 4096;

type SetAttribute = unsafe extern "C" fn(*mut c_void, u32, u32, i64, *const c_void) -> u32;
type GetAttribute = unsafe extern "C" fn(*mut c_void, u32, u32, i64, *mut i64, *mut c_void) -> u32;

impl Session {
    /// Values as the library takes them: handles of the driver's side, in memory of `u64`s.
    fn values(&self, kind: u32, elements: &Elements) -> Result<Vec<u64>, Fault> {
        let handles = |kind, ids: &[u32]| -> Result<Vec<u64>, Fault> {
            ids.iter()
                .map(|id| self.raw(kind, *id).map(|raw| raw as u64))
                .collect()
        };
        match (kind, elements) {
            (TYPE_HANDLE, Elements::Handles(ids)) => handles(HandleKind::Dnn, ids),
            (TYPE_DESCRIPTOR, Elements::Descriptors(ids)) => handles(HandleKind::DnnBackend, ids),
            (TYPE_POINTER, Elements::Pointers(addresses)) => addresses
                .iter()
                .map(|address| self.device(*address).map(|raw| raw as u64))
                .collect(),
            (TYPE_HANDLE | TYPE_DESCRIPTOR | TYPE_POINTER, _) => Err(Fault::Value),
            (_, Elements::Plain(bytes)) => Ok(words(bytes)),
            _ => Err(Fault::Value),
        }
    }

    pub(in crate::worker) fn backend_set(&mut self, body: &BackendSet) -> Outcome {
        let descriptor = self.raw(HandleKind::DnnBackend, body.descriptor.0)?;
        let values = self.values(body.kind, &body.elements)?;
        let size = attribute_size(body.kind).ok_or(Fault::Value)?;
        let count = usize::try_from(body.count).map_err(|_| Fault::Value)?;
        let given = match &body.elements {
            Elements::Plain(bytes) => bytes.len() / size,
            _ => values.len(),
        };
        if given != count {
            return Err(Fault::Value);
        }
        let function = self.function(SET.0).ok_or(Fault::Missing)?;
        // SAFETY: the library's function of this name has this type.
        let set = unsafe { std::mem::transmute::<*const c_void, SetAttribute>(function) };
        // SAFETY: a live descriptor, and as many values of the type as are said.
        Fault::from_code(unsafe {
            set(
                descriptor,
                body.name,
                body.kind,
                body.count,
                values.as_ptr().cast(),
            )
        })?;
        Ok(Vec::new())
    }

    pub(in crate::worker) fn backend_get(&mut self, body: &BackendGet) -> Outcome {
        let descriptor = self.raw(HandleKind::DnnBackend, body.descriptor.0)?;
        let size = attribute_size(body.kind).ok_or(Fault::Value)?;
        if !(0..=MOST).contains(&body.requested) || (body.kind == TYPE_HANDLE && body.wanted) {
            // The library's handles mean nothing to a client.
            return Err(Fault::Value);
        }
        let room = body.requested as usize;
        let mut values = vec![0u64; (room * size).div_ceil(8)];
        if body.kind == TYPE_DESCRIPTOR && body.wanted {
            if body.descriptors.len() != room {
                return Err(Fault::Value);
            }
            values = self.values(body.kind, &Elements::Descriptors(body.descriptors.clone()))?;
        }
        let mut count = 0;
        let elements = if body.wanted {
            values.as_mut_ptr().cast()
        } else {
            std::ptr::null_mut()
        };
        let function = self.function(GET.0).ok_or(Fault::Missing)?;
        // SAFETY: the library's function of this name has this type.
        let get = unsafe { std::mem::transmute::<*const c_void, GetAttribute>(function) };
        // SAFETY: a live descriptor, and room for as many values of the type as are asked for.
        Fault::from_code(unsafe {
            get(
                descriptor,
                body.name,
                body.kind,
                body.requested,
                &raw mut count,
                elements,
            )
        })?;
        let got = usize::try_from(count).unwrap_or(0).min(room) * usize::from(body.wanted);
        let elements = match body.kind {
            TYPE_DESCRIPTOR => Elements::Descriptors(Vec::new()),
            TYPE_POINTER => Elements::Pointers(values[..got].to_vec()),
            _ => {
                let mut bytes: Vec<u8> =
                    values.iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes.truncate(got * size);
                Elements::Plain(bytes)
            }
        };
        Ok(wire::to_bytes(&BackendGot { count, elements }))
    }
}

/// Bytes in memory that is aligned for any value.
fn words(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_order() {
        assert_eq!(words(&[1, 0, 0, 0, 2, 0, 0, 0, 3]), [0x2_0000_0001, 3]);
    }
}
