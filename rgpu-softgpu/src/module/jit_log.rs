//! The options of a load (`CUjit_option`): where the program wants to read what went wrong.

use std::ffi::c_void;
use std::time::Instant;

use super::image::Refusal;
use crate::status::{Result, Status, require};

const WALL_TIME: u32 = 2;
const INFO_BUFFER: u32 = 3;
const INFO_SIZE: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_SIZE: u32 = 6;
/// `CU_JIT_NUM_OPTIONS` of CUDA 13.0.
const OPTIONS: u32 = 35;

/// The two arrays of a load: options, and a word for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionArrays {
    pub(crate) count: u32,
    pub(crate) options: *const u32,
    pub(crate) values: *mut *mut c_void,
}

/// A buffer of the program, and the word that holds its size and then how much of it was used.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    bytes: *mut u8,
    size: *mut *mut c_void,
}

/// Where the program wants the results of a compilation.
#[derive(Debug)]
pub(crate) struct JitLog {
    started: Instant,
    wall_time: Option<*mut *mut c_void>,
    info: Option<Buffer>,
    error: Option<Buffer>,
}

impl JitLog {
    /// No wishes.
    pub(crate) fn none() -> Self {
        Self {
            started: Instant::now(),
            wall_time: None,
            info: None,
            error: None,
        }
    }

    /// Reads the options of a load.
    ///
    /// # Safety
    /// Both arrays have `count` elements and, like the buffers they name, stay valid while `self` lives.
    pub(crate) unsafe fn read(arrays: OptionArrays) -> Result<Self> {
        let mut log = Self::none();
        let OptionArrays {
            count,
            options,
            values,
        } = arrays;
        if count == 0 {
            return Ok(log);
        }
        require(!options.is_null() && !values.is_null() && count <= OPTIONS)?;
        let find = |wanted: u32| -> Option<*mut *mut c_void> {
            (0..count as usize)
                // SAFETY: the caller's promise.
                .find(|&index| unsafe { options.add(index).read_unaligned() } == wanted)
                // SAFETY: as above.
                .map(|index| unsafe { values.add(index) })
        };
        let buffer = |bytes: u32, size: u32| {
            let (bytes, size) = (find(bytes)?, find(size)?);
            // SAFETY: an element of the array of values.
            let bytes: *mut u8 = unsafe { bytes.read_unaligned() }.cast();
            (!bytes.is_null()).then_some(Buffer { bytes, size })
        };
        log.wall_time = find(WALL_TIME);
        log.info = buffer(INFO_BUFFER, INFO_SIZE);
        log.error = buffer(ERROR_BUFFER, ERROR_SIZE);
        Ok(log)
    }

    /// Writes the outcome where the program wants it, and gives it on.
    pub(crate) fn finish<T>(self, outcome: std::result::Result<T, Refusal>) -> Result<T> {
        let message = match &outcome {
            Ok(_) => "",
            Err(refusal) => {
                tracing::error!(code = refusal.status.0, "{}", refusal.message);
                refusal.message.as_str()
            }
        };
        if let Some(buffer) = self.error {
            buffer.fill(message);
        }
        if let Some(buffer) = self.info {
            buffer.fill("");
        }
        if let Some(wall_time) = self.wall_time {
            let milliseconds = self.started.elapsed().as_secs_f32() * 1e3;
            // SAFETY: an element of the array of values, as `read` was promised; it takes a float here.
            unsafe { wall_time.cast::<f32>().write_unaligned(milliseconds) };
        }
        outcome.map_err(|refusal: Refusal| -> Status { refusal.status })
    }
}

impl Buffer {
    /// Writes text with its end, cut to fit, and how many bytes that took.
    fn fill(self, text: &str) {
        // SAFETY: the word is an element of the array of values, and the buffer as long as it says
        // (`JitLog::read`'s promise).
        unsafe {
            let room = self.size.read_unaligned().addr();
            if room == 0 {
                return;
            }
            let length = text.len().min(room - 1);
            self.bytes.copy_from_nonoverlapping(text.as_ptr(), length);
            self.bytes.add(length).write(0);
            let used = if text.is_empty() { 0 } else { length + 1 };
            self.size
                .write_unaligned(std::ptr::without_provenance_mut(used));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_to_the_buffer() {
        let mut bytes = [0xffu8; 8];
        let options = [ERROR_BUFFER, ERROR_SIZE, WALL_TIME];
        let mut values: [*mut c_void; 3] = [
            bytes.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(8),
            std::ptr::null_mut(),
        ];
        let arrays = OptionArrays {
            count: 3,
            options: options.as_ptr(),
            values: values.as_mut_ptr(),
        };
        // SAFETY: the arrays are locals.
        let log = unsafe { JitLog::read(arrays) }.unwrap();
        let refusal = Refusal::new(Status::ERROR_INVALID_PTX, "much too long a message");
        let outcome: Result = log.finish(Err(refusal));
        assert_eq!(outcome, Err(Status::ERROR_INVALID_PTX));
        assert_eq!(&bytes, b"much to\0");
        assert_eq!(values[1].addr(), 8);
    }

    #[test]
    fn missing_arrays_are_refused() {
        let arrays = OptionArrays {
            count: 1,
            options: std::ptr::null(),
            values: std::ptr::null_mut(),
        };
        // SAFETY: null arrays are refused before use.
        let refused = unsafe { JitLog::read(arrays) };
        assert_eq!(refused.err(), Some(Status::ERROR_INVALID_VALUE));
    }
}
