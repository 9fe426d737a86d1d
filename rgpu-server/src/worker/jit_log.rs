//! Options for the driver's compiler and linker, and what they write.

use std::ffi::{CStr, c_void};

// `CUjit_option` numbers of cuda.h.
const INFO_LOG_BUFFER: u32 = 3;
const INFO_LOG_BUFFER_SIZE: u32 = 4;
const ERROR_LOG_BUFFER: u32 = 5;
const ERROR_LOG_BUFFER_SIZE: u32 = 6;
/// Options whose value is a number (registers, threads per block, optimisation level, target, …); the
/// others take pointers, and a client's pointer means nothing here.
const PLAIN: [u32; 10] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14];

/// Bytes kept of what the driver says, of each kind.
const LOG_BYTES: usize = 16 << 10;

/// A client's options that are numbers, and buffers for the two logs.
///
/// The driver keeps the addresses of the arrays and the buffers of a link: they stay where they are while this lives.
#[derive(Debug)]
pub(super) struct JitLog {
    numbers: Box<[u32]>,
    values: Box<[*mut c_void]>,
    info: Box<[u8]>,
    error: Box<[u8]>,
}

// SAFETY: the pointers among `values` are to buffers that move along with it.
unsafe impl Send for JitLog {}

impl JitLog {
    pub(super) fn new(client: &[(u32, u64)]) -> Self {
        let mut info = vec![0_u8; LOG_BYTES].into_boxed_slice();
        let mut error = vec![0_u8; LOG_BYTES].into_boxed_slice();
        let (mut numbers, mut values): (Vec<_>, Vec<_>) = plain(client).unzip();
        numbers.extend([
            INFO_LOG_BUFFER,
            INFO_LOG_BUFFER_SIZE,
            ERROR_LOG_BUFFER,
            ERROR_LOG_BUFFER_SIZE,
        ]);
        values.extend([
            info.as_mut_ptr().cast(),
            LOG_BYTES as *mut c_void,
            error.as_mut_ptr().cast(),
            LOG_BYTES as *mut c_void,
        ]);
        Self {
            numbers: numbers.into(),
            values: values.into(),
            info,
            error,
        }
    }

    /// Numbers, values and their count, as the driver takes them.
    pub(super) fn options(&mut self) -> (*mut u32, *mut c_void, u32) {
        (
            self.numbers.as_mut_ptr(),
            self.values.as_mut_ptr().cast(),
            self.numbers.len() as u32,
        )
    }

    /// What the driver has said that is no error.
    pub(super) fn info(&self) -> String {
        text(&self.info)
    }

    /// The errors that the driver has reported.
    pub(super) fn error(&self) -> String {
        text(&self.error)
    }
}

/// Options without buffers.
pub(super) fn plain(client: &[(u32, u64)]) -> impl Iterator<Item = (u32, *mut c_void)> + '_ {
    client
        .iter()
        .filter(|(option, _)| PLAIN.contains(option))
        .map(|&(option, value)| (option, value as usize as *mut c_void))
}

fn text(log: &[u8]) -> String {
    CStr::from_bytes_until_nul(log).map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_pass_and_pointers_do_not() {
        const TARGET: u32 = 9;
        const GLOBAL_SYMBOL_NAMES: u32 = 17;
        let mut log = JitLog::new(&[(TARGET, 90), (GLOBAL_SYMBOL_NAMES, 0x1000)]);
        let (numbers, values, count) = log.options();
        // SAFETY: both arrays have `count` items.
        let (numbers, values) = unsafe {
            let values: *const usize = values.cast();
            (
                std::slice::from_raw_parts(numbers, count as usize),
                std::slice::from_raw_parts(values, count as usize),
            )
        };
        assert_eq!(numbers, [TARGET, 3, 4, 5, 6]);
        assert_eq!(
            (values[0], values[2], values[4]),
            (90, LOG_BYTES, LOG_BYTES)
        );
        assert_eq!((log.info(), log.error()), (String::new(), String::new()));
    }
}
