//! cudart's start-up question: is this the driver that it was built for?
//!
//! cudart asks several times, with its own version plus 0, 1, 2 and the time; the driver answers 16 bytes, which
//! cudart computes too and compares. A wrong answer is `cudaErrorSoftwareValidityNotEstablished` (103) from
//! every later call. The last digit of the version says which answer: 0 and 1 have fixed ones; others want an
//! HMAC-MD2 (RFC 2104, RFC 1319) over what both sides can see of the process and its devices. (First documented
//! by the sources of ZLUDA, `dark_api`; that the hash is HMAC-MD2 was found here.)

use hmac::{Hmac, KeyInit, Mac};
use md2::Md2;

/// The key of the HMAC, one MD2 block.
const KEY: [u8; 16] = [
    0x14, 0x6A, 0xDD, 0xAE, 0x53, 0xA9, 0xA7, 0x52, 0xAA, 0x08, 0x41, 0x36, 0x0B, 0xF5, 0x5A, 0x9F,
];

const ANSWER_0: [u64; 2] = [0x3341_181C_03CB_675C, 0x8ED3_83AA_1F4C_D1E8];
const ANSWER_1: [u64; 2] = [0x1841_181C_03CB_675C, 0x8ED3_83AA_1F4C_D1E8];

/// What identifies a device here. The same values that `cuDeviceGetUuid` and `cuDeviceGetAttribute` give, since
/// cudart gets them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceIdentity {
    /// `cuDeviceGetUuid`.
    pub uuid: [u8; 16],
    /// `CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID`.
    pub pci_domain: i32,
    /// `CU_DEVICE_ATTRIBUTE_PCI_BUS_ID`.
    pub pci_bus: i32,
    /// `CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID`.
    pub pci_device: i32,
}

/// The process as both sides see it.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// What `cuDriverGetVersion` answers.
    pub driver_version: u32,
    /// The process id.
    pub process: u32,
    /// The low half of `pthread_self()`.
    pub thread: u32,
    /// Address of the CUDART_INTERFACE table.
    pub cudart_table: usize,
    /// Address of the INTEGRITY_CHECK table.
    pub integrity_table: usize,
    /// Address in slot 1 of the INTEGRITY_CHECK table.
    pub function: usize,
}

/// The answer to one question.
pub fn answer(
    version: u32,
    unix_seconds: u64,
    facts: &Facts,
    devices: &[DeviceIdentity],
) -> [u64; 2] {
    match version % 10 {
        0 => ANSWER_0,
        1 => ANSWER_1,
        _ => keyed_hash(version, unix_seconds, facts, devices),
    }
}

/// Hashes a C structure of 48 bytes, and one of 28 for each device, in this machine's byte order.
fn keyed_hash(
    version: u32,
    unix_seconds: u64,
    facts: &Facts,
    devices: &[DeviceIdentity],
) -> [u64; 2] {
    let mut mac = Hmac::<Md2>::new(&KEY.into());
    for word in [facts.driver_version, version, facts.process, facts.thread] {
        mac.update(&word.to_ne_bytes());
    }
    for address in [facts.cudart_table, facts.integrity_table, facts.function] {
        mac.update(&address.to_ne_bytes());
    }
    mac.update(&unix_seconds.to_ne_bytes());
    for device in devices {
        mac.update(&device.uuid);
        for number in [device.pci_domain, device.pci_bus, device.pci_device] {
            mac.update(&number.to_ne_bytes());
        }
    }
    let bytes = <[u8; 16]>::from(mac.finalize().into_bytes());
    let (low, high) = bytes.split_at(8);
    let word = |half: &[u8]| half.try_into().map_or(0, u64::from_ne_bytes);
    [word(low), word(high)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        driver_version: 13000,
        process: 4711,
        thread: 0xf79c_1000,
        cudart_table: 0x7fff_f695_8240,
        integrity_table: 0x7fff_f695_8220,
        function: 0x7fff_f2aa_f4a0,
    };

    fn device() -> DeviceIdentity {
        DeviceIdentity {
            uuid: [0x42; 16],
            pci_domain: 0,
            pci_bus: 1,
            pci_device: 0,
        }
    }

    #[test]
    fn fixed_answers_depend_on_the_version_only() {
        for version in [12080, 13000] {
            assert_eq!(answer(version, 1, &FACTS, &[]), ANSWER_0);
            assert_eq!(answer(version + 1, 2, &FACTS, &[device()]), ANSWER_1);
        }
    }

    /// The expected values come from another implementation (in C, straight from RFC 1319), whose answers
    /// cudart 13.0.2 accepted.
    #[test]
    fn hashed_answers_equal_an_independent_implementation() {
        assert_eq!(
            answer(13002, 1_795_494_667, &FACTS, &[]),
            [0xe4bb_d4c7_b5f3_02e5, 0x563f_cca6_fe0e_8ea8]
        );
        assert_eq!(
            answer(13002, 1_795_494_667, &FACTS, &[device()]),
            [0x1983_2c3a_db66_816a, 0x627b_c93c_50f6_2797]
        );
    }

    #[test]
    fn every_input_counts() {
        let base = answer(13002, 7, &FACTS, &[device()]);
        let mut other_device = device();
        other_device.pci_bus = 2;
        let mut facts = FACTS;
        facts.thread += 1;
        for other in [
            answer(13003, 7, &FACTS, &[device()]),
            answer(13002, 8, &FACTS, &[device()]),
            answer(13002, 7, &FACTS, &[device(), device()]),
            answer(13002, 7, &FACTS, &[other_device]),
            answer(13002, 7, &facts, &[device()]),
        ] {
            assert_ne!(base, other);
        }
    }
}
