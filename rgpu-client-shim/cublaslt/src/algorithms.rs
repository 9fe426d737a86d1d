//! Questions about algorithms.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]
#![expect(clippy::too_many_arguments, reason = "so the C API has it")]

use std::ffi::c_void;

use rgpu_client_libs::session;
use rgpu_proto::library::Fault;
use rgpu_proto::library::lt::PREFERENCE;
use rgpu_proto::msg::lt::{
    Algo, HeuristicResult, LtAlgoGet, LtAlgoGot, LtAlgoSet, LtCheck, LtHeuristic, LtTypes,
};
use rgpu_proto::opcode::Opcode;

use crate::answers::ask;
use crate::api::{Result, put};
use crate::descriptors::attributes;
use crate::products::{algo, handle, problem};

const HEURISTIC: Opcode = Opcode::of("cublasLtMatmulAlgoGetHeuristic");
const CHECK: Opcode = Opcode::of("cublasLtMatmulAlgoCheck");
const IDS: Opcode = Opcode::of("cublasLtMatmulAlgoGetIds");
const INIT: Opcode = Opcode::of("cublasLtMatmulAlgoInit");
const CAPABILITY: Opcode = Opcode::of("cublasLtMatmulAlgoCapGetAttribute");
const CONFIG_GET: Opcode = Opcode::of("cublasLtMatmulAlgoConfigGetAttribute");
const CONFIG_SET: Opcode = Opcode::of("cublasLtMatmulAlgoConfigSetAttribute");

/// Bytes of a value that an attribute of an algorithm is set to, at most.
const MOST: usize = 64;

/// Stores a list where the application has room for `room` items, and its length.
///
/// # Safety
/// Non-null pointers have that room.
unsafe fn put_list<T>(items: Vec<T>, to: *mut T, room: i32, count: *mut i32) -> Result {
    if to.is_null() {
        return Err(Fault::Value);
    }
    let room = usize::try_from(room).map_err(|_| Fault::Value)?;
    let len = items.len().min(room);
    for (at, item) in items.into_iter().take(len).enumerate() {
        // SAFETY: the caller's promise, and not null.
        unsafe { to.add(at).write_unaligned(item) };
    }
    // SAFETY: the caller's promise.
    unsafe { put(count, len as i32) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoGetHeuristic(
    light_handle: *mut c_void,
    operation_desc: *mut c_void,
    adesc: *mut c_void,
    bdesc: *mut c_void,
    cdesc: *mut c_void,
    ddesc: *mut c_void,
    preference: *mut c_void,
    requested: i32,
    results: *mut c_void,
    count: *mut i32,
) -> Result {
    if requested <= 0 || results.is_null() || count.is_null() {
        return Err(Fault::Value);
    }
    let session = session::get()?;
    let layouts = [adesc, bdesc, cdesc, ddesc];
    // SAFETY: as the C function of this name requires.
    let question = unsafe {
        LtHeuristic {
            problem: problem(session, light_handle, operation_desc, layouts)?,
            preference: attributes(&PREFERENCE, preference)?,
            requested,
        }
    };
    // A failure leaves no results, whatever the application makes of the status.
    // SAFETY: as above.
    unsafe { put(count, 0)? };
    let answer: Vec<HeuristicResult> = ask(HEURISTIC, &question)?;
    // SAFETY: as above.
    unsafe { put_list(answer, results.cast(), requested, count) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoCheck(
    light_handle: *mut c_void,
    operation_desc: *mut c_void,
    adesc: *mut c_void,
    bdesc: *mut c_void,
    cdesc: *mut c_void,
    ddesc: *mut c_void,
    checked: *const c_void,
    result: *mut c_void,
) -> Result {
    if result.is_null() {
        return Err(Fault::Value);
    }
    let session = session::get()?;
    let layouts = [adesc, bdesc, cdesc, ddesc];
    // SAFETY: as the C function of this name requires.
    let question = unsafe {
        LtCheck {
            problem: problem(session, light_handle, operation_desc, layouts)?,
            algo: algo(checked).ok_or(Fault::Value)?,
        }
    };
    let [_, _, _, _, _, _, _, _, properties @ ..]: HeuristicResult = ask(CHECK, &question)?;
    // "algo field is never updated", and comes first.
    // SAFETY: as above.
    unsafe {
        result
            .cast::<Algo>()
            .add(1)
            .cast::<[u64; 4]>()
            .write_unaligned(properties)
    };
    Ok(())
}

pub(crate) unsafe fn cublasLtMatmulAlgoGetIds(
    light_handle: *mut c_void,
    compute_type: u32,
    scale_type: u32,
    atype: u32,
    btype: u32,
    ctype: u32,
    dtype: u32,
    requested: i32,
    ids: *mut i32,
    count: *mut i32,
) -> Result {
    if requested <= 0 || ids.is_null() || count.is_null() {
        return Err(Fault::Value);
    }
    let question = LtTypes {
        handle: handle(session::get()?, light_handle)?,
        types: [compute_type, scale_type, atype, btype, ctype, dtype],
        number: requested,
    };
    let answer: Vec<i32> = ask(IDS, &question)?;
    // SAFETY: as the C function of this name requires.
    unsafe { put_list(answer, ids, requested, count) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoInit(
    light_handle: *mut c_void,
    compute_type: u32,
    scale_type: u32,
    atype: u32,
    btype: u32,
    ctype: u32,
    dtype: u32,
    algo_id: i32,
    place: *mut c_void,
) -> Result {
    let question = LtTypes {
        handle: handle(session::get()?, light_handle)?,
        types: [compute_type, scale_type, atype, btype, ctype, dtype],
        number: algo_id,
    };
    if place.is_null() {
        return Err(Fault::Value);
    }
    let answer: Algo = ask(INIT, &question)?;
    // SAFETY: as the C function of this name requires.
    unsafe { put(place.cast(), answer) }
}

/// A C function that reads an attribute of an algorithm.
///
/// # Safety
/// Non-null pointers are as that function requires.
unsafe fn get(
    op: Opcode,
    of: *const c_void,
    number: u32,
    to: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result {
    if (size == 0 && written.is_null()) || (size > 0 && to.is_null()) {
        return Err(Fault::Value);
    }
    let question = LtAlgoGet {
        // SAFETY: the caller's promise.
        algo: unsafe { algo(of) }.ok_or(Fault::Value)?,
        number,
        size: size as u64,
    };
    let answer: LtAlgoGot = ask(op, &question)?;
    let len = answer.value.len().min(size);
    // SAFETY: the caller's promise; without a size nothing is written.
    unsafe { std::ptr::copy_nonoverlapping(answer.value.as_ptr(), to.cast(), len) };
    if !written.is_null() {
        // SAFETY: the caller's promise.
        unsafe { written.write_unaligned(answer.written as usize) };
    }
    Ok(())
}

pub(crate) unsafe fn cublasLtMatmulAlgoCapGetAttribute(
    of: *const c_void,
    number: u32,
    to: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { get(CAPABILITY, of, number, to, size, written) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoConfigGetAttribute(
    of: *const c_void,
    number: u32,
    to: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { get(CONFIG_GET, of, number, to, size, written) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoConfigSetAttribute(
    of: *mut c_void,
    number: u32,
    from: *const c_void,
    size: usize,
) -> Result {
    if from.is_null() || size > MOST {
        return Err(Fault::Value);
    }
    // SAFETY: as the C function of this name requires.
    let value = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) };
    let question = LtAlgoSet {
        // SAFETY: as above.
        algo: unsafe { algo(of) }.ok_or(Fault::Value)?,
        number,
        value: value.to_vec(),
    };
    let answer: Algo = ask(CONFIG_SET, &question)?;
    // SAFETY: as above.
    unsafe { put(of.cast(), answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_stored_up_to_the_room_there_is() {
        let (mut ids, mut count) = ([0; 3], 0);
        let (to, length) = (ids.as_mut_ptr(), &raw mut count);
        // SAFETY: there is room for two.
        unsafe { put_list(vec![7, 8, 9], to, 2, length) }.unwrap();
        assert_eq!((ids, count), ([7, 8, 0], 2));
        // SAFETY: there is room for three.
        unsafe { put_list(vec![5], to, 3, length) }.unwrap();
        assert_eq!((ids, count), ([5, 8, 0], 1));
    }
}
