//! Copying bulk data between processors.
//!
//! What one processor has written to its cache, another reads slowly, and a cache line that is written is read first. So
//! long pieces are written past the caches, by both sides: on a virtual machine of two processors (AMD EPYC) 256 MiB took
//! 24 to 30 ms at best from memory through slots to memory, against 38 to 57 ms with plain copies.

/// From this length on. Shorter pieces may well be used at once, and are in the cache then.
const LONG: usize = 256 << 10;

/// Copies `len` bytes.
///
/// # Safety
/// As [`std::ptr::copy_nonoverlapping`].
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= LONG {
        // SAFETY: the caller's promise.
        return unsafe { past_caches(from, to, len) };
    }
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) }
}

/// The same, by stores that go past the caches.
///
/// # Safety
/// As [`std::ptr::copy_nonoverlapping`].
#[cfg(target_arch = "x86_64")]
unsafe fn past_caches(from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    /// Bytes of a cache line, which is best written as a whole.
    const LINE: usize = 64;
    const PART: usize = size_of::<__m128i>();
    let front = to.align_offset(LINE).min(len);
    let lines = (len - front) / LINE * LINE;
    // SAFETY: `front`, `lines` and the rest are `len` bytes together; `to + front` is a multiple of 64, as the stores need;
    // every x86-64 processor has them.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, front);
        for at in (front..front + lines).step_by(LINE) {
            let line: [__m128i; LINE / PART] =
                std::array::from_fn(|part| _mm_loadu_si128(from.add(at + part * PART).cast()));
            for (part, value) in line.into_iter().enumerate() {
                _mm_stream_si128(to.add(at + part * PART).cast(), value);
            }
        }
        let done = front + lines;
        std::ptr::copy_nonoverlapping(from.add(done), to.add(done), len - done);
        // Such stores may be seen late otherwise, behind those that announce them.
        _mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_copied_wherever_they_begin_and_end() {
        let source: Vec<u8> = (0..LONG + 300).map(|i| (i % 251) as u8).collect();
        for from in [0, 1, 15, 63] {
            for to in [0, 1, 16, 47, 63] {
                for len in [0, 1, LONG - 1, LONG, LONG + 1, LONG + 64, LONG + 200] {
                    let mut target = vec![0xff; len + 130];
                    // SAFETY: both have room from there on.
                    unsafe {
                        copy(source.as_ptr().add(from), target.as_mut_ptr().add(to), len);
                    }
                    assert!(target[..to].iter().all(|byte| *byte == 0xff));
                    assert!(target[to..to + len] == source[from..from + len]);
                    assert!(target[to + len..].iter().all(|byte| *byte == 0xff));
                }
            }
        }
    }
}
