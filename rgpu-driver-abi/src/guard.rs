//! The boundary between C and Rust: results become codes, panics become `CUDA_ERROR_UNKNOWN`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Status;

/// Runs the body of an entry point; its result as the `CUresult` to return to C.
///
/// A panic is a bug of ours; unwinding into C would be undefined. The panic hook has reported it by then, the
/// caller gets `CUDA_ERROR_UNKNOWN`, and the state it ran on is whatever the body left: bodies must not hold
/// shared state half-changed where they could panic.
///
/// ```
/// use rgpu_driver_abi::{Status, guard};
///
/// extern "C" fn get_version(version: *mut i32) -> u32 {
///     guard(|| {
///         // SAFETY: C passes null or a valid pointer.
///         let out = unsafe { version.as_mut() }.ok_or(Status::ERROR_INVALID_VALUE)?;
///         *out = 13000;
///         Ok(())
///     })
/// }
/// assert_eq!(get_version(std::ptr::null_mut()), 1);
/// ```
pub fn guard(body: impl FnOnce() -> Result<(), Status>) -> u32 {
    guard_status(body).0
}

/// [`guard`] for entry points that are declared to return a [`Status`].
pub fn guard_status(body: impl FnOnce() -> Result<(), Status>) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Status::of(result),
        Err(payload) => {
            // Dropping a payload may run foreign code, which may panic again.
            std::mem::forget(payload);
            Status::ERROR_UNKNOWN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_codes() {
        assert_eq!(guard(|| Ok(())), 0);
        assert_eq!(guard(|| Err(Status::ERROR_INVALID_VALUE)), 1);
    }

    #[test]
    fn panics_stay_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(guard(|| panic!("bug")), Status::ERROR_UNKNOWN.0);
        assert_eq!(guard(|| std::panic::panic_any(Bomb)), 999);
    }
}
