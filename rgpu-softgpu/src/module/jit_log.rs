//! The options of a load or a link (`CUjit_option`): where the program wants to read what was said.

use std::ffi::c_void;
use std::time::Instant;

use super::image::Refusal;
use crate::status::{Result, Status, require};

const MAX_REGISTERS: u32 = 0;
const WALL_TIME: u32 = 2;
const INFO_BUFFER: u32 = 3;
const INFO_SIZE: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_SIZE: u32 = 6;
const TARGET: u32 = 9;
const VERBOSE: u32 = 12;
/// What is left of a `CUjit_target` without the marks of its `a` and `f` variants.
const TARGET_NUMBER: u32 = 0xffff;
/// `CU_JIT_NUM_OPTIONS` of CUDA 13.0.
const OPTIONS: u32 = 35;

/// The two arrays of a load: options, and a word for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionArrays {
    pub(crate) count: u32,
    pub(crate) options: *const u32,
    pub(crate) values: *mut *mut c_void,
}

/// A buffer of the program, its size, and the word that held it and then tells how much of it was used.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    bytes: *mut u8,
    room: usize,
    used: *mut *mut c_void,
}

/// Where the program wants the results of a compilation.
#[derive(Debug)]
pub(crate) struct JitLog {
    started: Instant,
    wall_time: Option<*mut *mut c_void>,
    info: Option<Buffer>,
    error: Option<Buffer>,
    target: Option<u32>,
    max_registers: Option<u32>,
    is_verbose: bool,
}

// SAFETY: CUDA wants the arrays and buffers of the options to stay valid while they are used, on whatever thread.
unsafe impl Send for JitLog {}

impl JitLog {
    /// No wishes.
    pub(crate) fn none() -> Self {
        Self {
            started: Instant::now(),
            wall_time: None,
            info: None,
            error: None,
            target: None,
            max_registers: None,
            is_verbose: false,
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
            // SAFETY: as above. The number lies in the low half of its pointer.
            let room = unsafe { size.read_unaligned() }.addr() & u32::MAX as usize;
            let used = size;
            (!bytes.is_null() && room > 0).then_some(Buffer { bytes, room, used })
        };
        let number = |option: u32| {
            // SAFETY: as above.
            let value = find(option).map(|at| unsafe { at.read_unaligned() });
            value.map(|value| value.addr() as u32)
        };
        log.wall_time = find(WALL_TIME);
        log.info = buffer(INFO_BUFFER, INFO_SIZE);
        log.error = buffer(ERROR_BUFFER, ERROR_SIZE);
        log.target = number(TARGET).map(|target| target & TARGET_NUMBER);
        log.max_registers = number(MAX_REGISTERS).filter(|most| *most > 0);
        log.is_verbose = number(VERBOSE).is_some_and(|wish| wish != 0);
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
        self.report("", message);
        outcome.map_err(|refusal: Refusal| -> Status { refusal.status })
    }

    /// The `sm` number that the program asks for.
    pub(crate) fn target(&self) -> Option<u32> {
        self.target
    }

    /// The most registers that a kernel which does not say itself may have.
    pub(crate) fn max_registers(&self) -> Option<u32> {
        self.max_registers
    }

    /// Whether the program wants to read more than errors.
    pub(crate) fn is_verbose(&self) -> bool {
        self.is_verbose
    }

    /// Writes what was said where the program wants it.
    pub(crate) fn report(&self, info: &str, error: &str) {
        if let Some(buffer) = self.info {
            buffer.fill(info);
        }
        if let Some(buffer) = self.error {
            buffer.fill(error);
        }
        if let Some(wall_time) = self.wall_time {
            let milliseconds = self.started.elapsed().as_secs_f32() * 1e3;
            // SAFETY: an element of the array of values, as `read` was promised; it takes a float here.
            unsafe { wall_time.cast::<f32>().write_unaligned(milliseconds) };
        }
    }
}

impl Buffer {
    /// Writes text with its end, cut to fit, and how many bytes that took.
    fn fill(self, text: &str) {
        let length = text.len().min(self.room - 1);
        // SAFETY: the word is an element of the array of values, and the buffer as long as it said
        // (`JitLog::read`'s promise).
        unsafe {
            self.bytes.copy_from_nonoverlapping(text.as_ptr(), length);
            self.bytes.add(length).write(0);
            let used = if text.is_empty() { 0 } else { length + 1 };
            self.used
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
    fn variants_of_a_target_have_its_number() {
        // CU_TARGET_COMPUTE_90 and CU_TARGET_COMPUTE_90A of cuda.h.
        for target in [90, 0x10000 + 90] {
            let options = [TARGET];
            let mut values = [std::ptr::without_provenance_mut(target)];
            let arrays = OptionArrays {
                count: 1,
                options: options.as_ptr(),
                values: values.as_mut_ptr(),
            };
            // SAFETY: the arrays are locals.
            let log = unsafe { JitLog::read(arrays) }.unwrap();
            assert_eq!(log.target(), Some(90));
        }
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
