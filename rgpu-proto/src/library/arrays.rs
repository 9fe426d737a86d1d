//! Arrays whose length another parameter says.

use std::ffi::c_void;

use super::{Carried, Client, Fault, Notes, Worker};
use crate::kinds::*;
use crate::wire::{Decode, Encode};

/// Items of an array at most: the longest are those with a length for each sequence of a batch.
const LONGEST: usize = 1 << 16;

fn checked(count: usize) -> Result<usize, Fault> {
    if count > LONGEST {
        Err(Fault::Value)
    } else {
        Ok(count)
    }
}

impl<T: Plain + Encode + Decode> Carried for InArray<T> {
    type Request = Vec<T>;
    type Reply = ();
    type Slot = ();

    unsafe fn request(
        value: *const T,
        notes: &mut Notes,
        _: &impl Client,
    ) -> Result<Vec<T>, Fault> {
        let count = checked(notes.count)?;
        if value.is_null() {
            return Err(Fault::Value);
        }
        // SAFETY: the application passes as many items as it says.
        Ok((0..count)
            .map(|at| unsafe { value.add(at).read_unaligned() })
            .collect())
    }

    unsafe fn deliver(_: *const T, (): (), _: &Notes) {}

    fn to_library(
        request: &Vec<T>,
        (): &mut (),
        notes: &Notes,
        _: &impl Worker,
    ) -> Result<*const T, Fault> {
        if request.len() == notes.count {
            Ok(request.as_ptr())
        } else {
            Err(Fault::Value)
        }
    }

    fn reply(_: &Vec<T>, (): &(), _: &Notes) {}
}

impl<T: Plain + Encode + Decode> Carried for OutArray<T> {
    type Request = bool;
    type Reply = Vec<T>;
    type Slot = Vec<T>;

    unsafe fn request(value: *mut T, notes: &mut Notes, _: &impl Client) -> Result<bool, Fault> {
        checked(notes.count)?;
        Ok(!value.is_null())
    }

    unsafe fn deliver(value: *mut T, reply: Vec<T>, notes: &Notes) {
        if value.is_null() {
            return;
        }
        for (at, item) in reply.into_iter().take(notes.count).enumerate() {
            // SAFETY: the application has room for as many items as it says.
            unsafe { value.add(at).write_unaligned(item) };
        }
    }

    fn to_library(
        wanted: &bool,
        slot: &mut Vec<T>,
        notes: &Notes,
        _: &impl Worker,
    ) -> Result<*mut T, Fault> {
        if !*wanted {
            return Ok(std::ptr::null_mut());
        }
        // SAFETY: any bytes are a value of plain data.
        slot.resize(checked(notes.count)?, unsafe { std::mem::zeroed() });
        Ok(slot.as_mut_ptr())
    }

    fn reply(_: &bool, slot: &Vec<T>, _: &Notes) -> Vec<T> {
        slot.clone()
    }
}

impl Carried for InArrayEx {
    type Request = Vec<u8>;
    type Reply = ();
    /// Aligned for every type of scalar.
    type Slot = Vec<u64>;

    unsafe fn request(
        value: *const c_void,
        notes: &mut Notes,
        _: &impl Client,
    ) -> Result<Vec<u8>, Fault> {
        let size = checked(notes.count)? * notes.scalar_size().ok_or(Fault::Value)?;
        if value.is_null() {
            return Err(Fault::Value);
        }
        // SAFETY: the application passes as many scalars as it says, of the type that it says.
        Ok(unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) }.to_vec())
    }

    unsafe fn deliver(_: *const c_void, (): (), _: &Notes) {}

    fn to_library(
        request: &Vec<u8>,
        slot: &mut Vec<u64>,
        notes: &Notes,
        _: &impl Worker,
    ) -> Result<*const c_void, Fault> {
        let size = checked(notes.count)? * notes.scalar_size().ok_or(Fault::Value)?;
        if request.len() != size {
            return Err(Fault::Value);
        }
        slot.extend(request.chunks(8).map(|part| {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            u64::from_ne_bytes(bytes)
        }));
        Ok(slot.as_ptr().cast())
    }

    fn reply(_: &Vec<u8>, _: &Vec<u64>, _: &Notes) {}
}
