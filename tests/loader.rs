//! Libraries that are opened by name, as an application does that was not linked with them.

use std::ffi::c_void;

use libloading::os::unix::{Library as Loaded, Symbol};

/// A library that was opened by name.
#[derive(Debug)]
pub struct Library(Loaded);

impl Library {
    /// Opens it.
    ///
    /// # Panics
    /// The loader does not find it.
    pub fn open(name: &str) -> Self {
        // SAFETY: loading a CUDA library has no preconditions.
        Self(unsafe { Loaded::new(name) }.expect("the loader finds the library"))
    }

    /// The function of that name.
    ///
    /// # Safety
    /// It has the type `F`.
    ///
    /// # Panics
    /// There is none.
    pub unsafe fn function<F>(&self, name: &str) -> Symbol<F> {
        // SAFETY: the caller's promise.
        let found = unsafe { self.0.get::<F>(name.as_bytes()) };
        found.unwrap_or_else(|_| panic!("no {name}"))
    }
}

/// No handle.
pub const fn null() -> *mut c_void {
    std::ptr::null_mut()
}
