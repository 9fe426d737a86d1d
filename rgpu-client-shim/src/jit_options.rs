//! Options of the driver's compiler and linker (`CUjit_option`): numbers for the server, and buffers in which the
//! application reads what was said.

use std::ffi::c_void;

use rgpu_proto::status::Status;

// Numbers of cuda.h.
const INFO_LOG: u32 = 3;
const INFO_LOG_SIZE: u32 = 4;
const ERROR_LOG: u32 = 5;
const ERROR_LOG_SIZE: u32 = 6;
/// Options whose value is a plain number that the server's compiler can use: MAX_REGISTERS,
/// THREADS_PER_BLOCK, OPTIMIZATION_LEVEL, TARGET_FROM_CUCONTEXT, TARGET, FALLBACK_STRATEGY,
/// GENERATE_DEBUG_INFO, LOG_VERBOSE, GENERATE_LINE_INFO, CACHE_MODE.
const NUMBERS: [u32; 10] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14];

/// The options of a load or a link.
#[derive(Debug, Default)]
pub(crate) struct JitOptions {
    numbers: Vec<(u32, u64)>,
    info: Buffer,
    error: Buffer,
}

/// A buffer of the application.
#[derive(Debug, Default, Clone, Copy)]
struct Buffer {
    at: usize,
    room: usize,
    /// Where the room stood, and where to store how much of it was used.
    size_at: usize,
}

impl JitOptions {
    /// Reads `count` options and their values.
    ///
    /// # Safety
    /// Where `count` is not 0, both arrays have that many items.
    pub(crate) unsafe fn read(
        count: u32,
        options: *const u32,
        values: *mut c_void,
    ) -> Result<Self, Status> {
        let mut read = Self::default();
        if count > 0 && (options.is_null() || values.is_null()) {
            return Err(Status::ERROR_INVALID_VALUE);
        }
        for at in 0..count as usize {
            let slot = values.cast::<usize>().wrapping_add(at);
            // SAFETY: the caller's promise.
            let (option, value) =
                unsafe { (options.add(at).read_unaligned(), slot.read_unaligned()) };
            // A number lies in the low half of its pointer.
            let number = value & u32::MAX as usize;
            match option {
                INFO_LOG => read.info.at = value,
                INFO_LOG_SIZE => (read.info.room, read.info.size_at) = (number, slot as usize),
                ERROR_LOG => read.error.at = value,
                ERROR_LOG_SIZE => (read.error.room, read.error.size_at) = (number, slot as usize),
                option if NUMBERS.contains(&option) => read.numbers.push((option, number as u64)),
                _ => {}
            }
        }
        Ok(read)
    }

    /// Numbers and values for the server.
    pub(crate) fn numbers(&self) -> &[(u32, u64)] {
        &self.numbers
    }

    /// Gives the application what was said.
    ///
    /// # Safety
    /// The call for which the options were read has not returned, or CUDA wants the arrays and buffers to stay valid
    /// after it and until now.
    pub(crate) unsafe fn report(&self, info: &str, error: &str) {
        // SAFETY: the caller's promise.
        unsafe {
            self.info.fill(info);
            self.error.fill(error);
        }
    }
}

impl Buffer {
    /// Stores text, cut to fit, and how much room it took.
    ///
    /// # Safety
    /// As [`JitOptions::report`].
    unsafe fn fill(self, text: &str) {
        let mut used = 0;
        if self.at != 0 && self.room > 0 {
            used = text.len().min(self.room - 1);
            let at = self.at as *mut u8;
            // SAFETY: the application's buffer of `room` bytes.
            unsafe {
                std::ptr::copy_nonoverlapping(text.as_ptr(), at, used);
                at.add(used).write(0);
            }
            // The terminating NUL counts, as it does in NVIDIA's driver.
            used += usize::from(used > 0);
        }
        if self.size_at != 0 {
            // SAFETY: an item of the application's array of values.
            unsafe { (self.size_at as *mut usize).write_unaligned(used) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_logs_are_cut_to_their_buffers() {
        const TARGET: u32 = 9;
        let (mut info, mut error) = ([0xff_u8; 16], [0xff_u8; 4]);
        let options = [INFO_LOG, INFO_LOG_SIZE, ERROR_LOG, ERROR_LOG_SIZE, TARGET];
        let mut values = [
            info.as_mut_ptr() as usize,
            info.len(),
            error.as_mut_ptr() as usize,
            error.len(),
            90,
        ];
        // SAFETY: the arrays and buffers are locals.
        let read = unsafe { JitOptions::read(5, options.as_ptr(), values.as_mut_ptr().cast()) };
        let read = read.unwrap();
        assert_eq!(read.numbers(), [(TARGET, 90)]);
        for (said, failed) in [("", "too long"), ("info", "too long")] {
            // SAFETY: as above.
            unsafe { read.report(said, failed) };
            assert_eq!(&error, b"too\0");
            assert_eq!(&info[..=said.len()], [said.as_bytes(), b"\0"].concat());
        }
        assert_eq!((values[1], values[3]), (5, 4));
    }

    #[test]
    fn missing_arrays_are_refused() {
        // SAFETY: null arrays are refused before use.
        let read = unsafe { JitOptions::read(1, std::ptr::null(), std::ptr::null_mut()) };
        assert_eq!(read.err(), Some(Status::ERROR_INVALID_VALUE));
    }
}
