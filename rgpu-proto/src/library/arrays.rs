//! Arrays whose length another parameter says.

use super::{Carried, Client, Fault, Notes, Worker};
use crate::kinds::*;
use crate::wire::{Decode, Encode};

/// Items of an array at most: a tensor has 8 dimensions (`CUDNN_DIM_MAX`), a search returns some ten algorithms.
const LONGEST: usize = 1024;

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
