//! The driver's linker.

use std::ffi::{c_char, c_void};
use std::path::Path;

use rgpu_fatbin::ImageKind;
use rgpu_fatbin::raw::{self, RawImage};

use super::{put, put_if_wanted, text};
use crate::module::{InputKind, JitLog, Linker, OptionArrays};
use crate::status::{Result, Status, require};
use crate::{context, driver};

type Handle = *mut c_void;

/// What an input is called whose program gives it no name.
const UNNAMED: &str = "input";

pub(crate) unsafe fn cuLinkCreate_v2(
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
    state_out: *mut Handle,
) -> Result {
    context::current()?;
    require(!state_out.is_null())?;
    let arrays = OptionArrays {
        count: num_options,
        options,
        values: option_values.cast(),
    };
    // SAFETY: the contract of this function: arrays and buffers stay valid until the link is destroyed.
    unsafe { put(state_out, Linker::create(JitLog::read(arrays)?)?) }
}

/// The kind of an input, and whether its own options are in order: none of them changes what a link here makes.
///
/// # Safety
/// As the functions below.
unsafe fn check(kind: u32, arrays: OptionArrays) -> Result<InputKind> {
    // SAFETY: the caller's promise.
    unsafe { JitLog::read(arrays) }?;
    InputKind::of(kind).ok_or(Status::ERROR_INVALID_VALUE)
}

pub(crate) unsafe fn cuLinkAddData_v2(
    state: Handle,
    kind: u32,
    data: *mut c_void,
    size: usize,
    name: *const c_char,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    context::current()?;
    let linker = driver::get()?.linkers.get(state)?;
    let arrays = OptionArrays {
        count: num_options,
        options,
        values: option_values.cast(),
    };
    // SAFETY: the contract of this function.
    let kind = unsafe { check(kind, arrays) }?;
    require(!data.is_null() && size > 0)?;
    // SAFETY: the contract of this function.
    let mut bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) };
    if kind == InputKind::FatBinary && rgpu_fatbin::sniff(bytes) == Some(ImageKind::Wrapper) {
        // SAFETY: the magic number says that a complete wrapper is here.
        match unsafe { raw::image(data) } {
            Ok(RawImage::Fatbin { main, .. }) => bytes = main,
            _ => return Err(Status::ERROR_INVALID_IMAGE),
        }
    }
    let name = if name.is_null() {
        UNNAMED
    } else {
        // SAFETY: the contract of this function.
        unsafe { text(name) }?
    };
    linker.add(kind, name, bytes)
}

pub(crate) unsafe fn cuLinkAddFile_v2(
    state: Handle,
    kind: u32,
    path: *const c_char,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    context::current()?;
    let linker = driver::get()?.linkers.get(state)?;
    let arrays = OptionArrays {
        count: num_options,
        options,
        values: option_values.cast(),
    };
    // SAFETY: the contract of this function.
    let (kind, name) = unsafe { (check(kind, arrays)?, text(path)?) };
    let bytes = std::fs::read(Path::new(name)).map_err(|_| Status::ERROR_FILE_NOT_FOUND)?;
    linker.add(kind, name, &bytes)
}

/// The image stays where it is until the link is destroyed.
pub(crate) unsafe fn cuLinkComplete(
    state: Handle,
    cubin_out: *mut c_void,
    size_out: *mut usize,
) -> Result {
    context::current()?;
    let linker = driver::get()?.linkers.get(state)?;
    require(!cubin_out.is_null())?;
    let (image, size) = linker.complete()?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(size_out, size);
        put(cubin_out.cast(), image)
    }
}

pub(crate) unsafe fn cuLinkDestroy(state: Handle) -> Result {
    driver::get()?.linkers.remove(state).map(drop)
}
