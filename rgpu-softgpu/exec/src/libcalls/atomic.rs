//! Atomics of 16 bytes, by the processor's own instruction: no lock, since the access may fault.

use super::Host;

/// Replaces `expected` at `at` by `new`, and gives what was there.
///
/// # Safety
/// `at` is aligned to 16. If nothing is mapped there, the access faults, which the caller expects.
#[cfg(target_arch = "x86_64")]
unsafe fn compare_exchange(at: *mut u128, expected: u128, new: u128) -> u128 {
    let (found_low, found_high): (u64, u64);
    // SAFETY: by contract. The compiler keeps rbx to itself, so it is swapped in and back out. A processor without
    // the instruction (made before 2006) raises a signal, which ends the kernel as an illegal instruction.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {low}",
            "lock cmpxchg16b [rdi]",
            "mov rbx, {low}",
            low = inout(reg) new as u64 => _,
            in("rcx") (new >> 64) as u64,
            in("rdi") at,
            inout("rax") expected as u64 => found_low,
            inout("rdx") (expected >> 64) as u64 => found_high,
            options(nostack),
        );
    }
    word(found_low, found_high)
}

/// Replaces `expected` at `at` by `new`, and gives what was there.
///
/// # Safety
/// `at` is aligned to 16. If nothing is mapped there, the access faults, which the caller expects.
#[cfg(target_arch = "aarch64")]
unsafe fn compare_exchange(at: *mut u128, expected: u128, new: u128) -> u128 {
    let (low, high) = (expected as u64, (expected >> 64) as u64);
    let (found_low, found_high): (u64, u64);
    // SAFETY: by contract. Where the values differ, what was found is stored back, so that both halves are known to
    // be of one moment.
    unsafe {
        std::arch::asm!(
            "2:",
            "ldaxp {found_low}, {found_high}, [{at}]",
            "cmp {found_low}, {low}",
            "ccmp {found_high}, {high}, #0, eq",
            "csel {put_low}, {new_low}, {found_low}, eq",
            "csel {put_high}, {new_high}, {found_high}, eq",
            "stlxp {failed:w}, {put_low}, {put_high}, [{at}]",
            "cbnz {failed:w}, 2b",
            at = in(reg) at,
            low = in(reg) low,
            high = in(reg) high,
            new_low = in(reg) new as u64,
            new_high = in(reg) (new >> 64) as u64,
            found_low = out(reg) found_low,
            found_high = out(reg) found_high,
            put_low = out(reg) _,
            put_high = out(reg) _,
            failed = out(reg) _,
            options(nostack),
        );
    }
    word(found_low, found_high)
}

fn word(low: u64, high: u64) -> u128 {
    u128::from(low) | u128::from(high) << 64
}

pub(super) extern "C" fn atom_cas_b128(
    at: Host,
    low: u64,
    high: u64,
    new_low: u64,
    new_high: u64,
    old: Host,
) {
    // SAFETY: compiled code has checked the alignment; `old` is its own.
    unsafe {
        let found = compare_exchange(at.cast(), word(low, high), word(new_low, new_high));
        old.cast::<u128>().write_unaligned(found);
    }
}

pub(super) extern "C" fn atom_exch_b128(at: Host, low: u64, high: u64, old: Host) {
    let mut expected = 0;
    loop {
        // SAFETY: as above.
        let found = unsafe { compare_exchange(at.cast(), expected, word(low, high)) };
        if found == expected {
            // SAFETY: as above.
            unsafe { old.cast::<u128>().write_unaligned(found) };
            return;
        }
        expected = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An aligned place that threads share.
    struct Place(std::cell::UnsafeCell<u128>);

    // SAFETY: accessed by the functions under test only, while threads run.
    unsafe impl Sync for Place {}

    impl Place {
        fn at(&self) -> Host {
            self.0.get().cast()
        }
    }

    #[test]
    fn both_halves_change_together() {
        let place = Place(0.into());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let at = place.at();
                    for _ in 0..2000 {
                        let mut seen = 0u128;
                        loop {
                            let mut found = 0u128;
                            let old: Host = (&raw mut found).cast();
                            let next = seen + (1 << 64 | 1);
                            atom_cas_b128(
                                at,
                                seen as u64,
                                (seen >> 64) as u64,
                                next as u64,
                                (next >> 64) as u64,
                                old,
                            );
                            if found == seen {
                                break;
                            }
                            assert_eq!(found as u64, (found >> 64) as u64);
                            seen = found;
                        }
                    }
                });
            }
        });
        let mut old = 0u128;
        atom_exch_b128(place.at(), 1, 2, (&raw mut old).cast());
        assert_eq!(old, word(8000, 8000));
        assert_eq!(place.0.into_inner(), word(1, 2));
    }
}
