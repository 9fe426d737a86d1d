//! `CUdevice_attribute`: the limits of compute capability 9.0 (CUDA C++ Programming Guide, "Compute
//! Capabilities"), and 0 for what the software GPU cannot do.

use super::{CAPABILITY, Device, limits};

/// `CU_DEVICE_ATTRIBUTE_MAX` of CUDA 13.0 less one: the last attribute.
const LAST: u32 = 147;

/// The attribute's value; `None` for a number that is no attribute.
pub(super) fn value(device: &Device, attribute: u32) -> Option<i32> {
    let of_limit = |limit: u32| i32::try_from(limit).unwrap_or(i32::MAX);
    Some(match attribute {
        1 => of_limit(limits::THREADS_PER_BLOCK),
        2..=4 => of_limit(limits::BLOCK[attribute as usize - 2]),
        5..=7 => of_limit(limits::GRID[attribute as usize - 5]),
        8 => of_limit(limits::SHARED_PER_BLOCK),
        9 => of_limit(limits::CONSTANT),
        10 => of_limit(limits::WARP),
        11 => limits::MAX_PITCH as i32,
        12 | 82 => of_limit(limits::REGISTERS_PER_SM),
        16 => of_limit(device.multiprocessors()),
        33 => of_limit(device.pci().1),
        34 => of_limit(device.pci().2),
        39 => of_limit(limits::THREADS_PER_SM),
        50 => of_limit(device.pci().0),
        75 => CAPABILITY.0.into(),
        76 => CAPABILITY.1.into(),
        81 => of_limit(limits::SHARED_PER_SM),
        97 => of_limit(limits::SHARED_PER_BLOCK_OPTIN),
        106 => of_limit(limits::BLOCKS_PER_SM),
        111 => of_limit(limits::SHARED_RESERVED_PER_BLOCK),
        other => fixed(other).or_else(|| (1..=LAST).contains(&other).then_some(0))?,
    })
}

/// Values that depend on nothing.
fn fixed(attribute: u32) -> Option<i32> {
    Some(match attribute {
        // Clocks in kHz: one tick of `clock64` is a nanosecond.
        13 | 36 => 1_000_000,
        14 => limits::TEXTURE_ALIGNMENT as i32,
        15 => 1, // copies overlap with kernels
        19 => 1, // can map host memory
        21 | 22 => 131_072,
        23 => 65_536,
        24..=26 => 16_384,
        27 | 28 => 32_768,
        29 => 2_048,
        30 => 512,
        31 => 1,        // concurrent kernels
        37 => 64,       // width of the memory bus
        38 => 50 << 20, // second-level cache
        40 => 3,        // copy engines
        41 => 1,        // unified addressing
        42 => 32_768,
        43 => 2_048,
        45 | 46 => 32_768,
        47 | 48 => 8_192,
        49 => 32_768,
        51 => 32,
        52 | 53 => 32_768,
        54 => 2_046,
        55 => 32_768,
        56 => 131_072,
        57 => 65_536,
        58..=60 => 16_384,
        61 => 32_768,
        62 => 2_048,
        63 | 64 => 32_768,
        65 => 2_048,
        66 | 67 => 32_768,
        68 => 2_046,
        69 => 268_435_456,
        70 => 131_072,
        71 => 65_000,
        72 => 2_097_120,
        73 | 74 => 32_768,
        77 => 32_768,
        78 => 1, // stream priorities
        79 | 80 => 1,
        87 => 2,         // single precision is twice as fast as double
        90 => 1,         // preemption
        91 => 1,         // a registered host pointer is its own device pointer
        95 => 1,         // cooperative launches
        99 => 1,         // host registration
        102 => 1,        // virtual memory management
        115 => 1,        // memory pools
        122 | 123 => 1,  // streams write and wait for words of memory
        126 => 1,        // one memory synchronisation domain
        131 | 134 => -1, // on no NUMA node in particular
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Device = Device {
        number: 0,
        multiprocessors: 6,
        memory_size: 1 << 30,
    };

    #[test]
    fn every_attribute_has_a_value_and_nothing_else_does() {
        for attribute in 1..=LAST {
            assert!(value(&DEVICE, attribute).is_some(), "{attribute}");
        }
        for attribute in [0, LAST + 1, u32::MAX] {
            assert_eq!(value(&DEVICE, attribute), None);
        }
    }

    #[test]
    fn limits_fit_each_other() {
        let get = |attribute| value(&DEVICE, attribute).unwrap();
        assert_eq!((get(75), get(76), get(16)), (9, 0, 6));
        assert_eq!(get(97) + get(111), get(81));
        assert_eq!(get(39) % get(10), 0);
        assert_eq!(get(5), i32::MAX);
        assert_eq!(get(83), 0, "managed memory is not supported");
    }
}
