//! Who may hold how much of which device. Pure bookkeeping.
//!
//! Invariant: on every device, the sum of the leases is at most its memory.

use std::collections::BTreeMap;

/// Leases on the devices of a server.
#[derive(Debug)]
pub(super) struct Leases {
    devices: Vec<u64>,
    granted: BTreeMap<u64, Lease>,
    default: Option<u64>,
}

/// A granted share of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// Index of the device.
    pub(super) device: usize,
    /// Bytes.
    pub(super) bytes: u64,
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLease {
    /// Not enough memory is free on any device.
    #[error(
        "{asked} MiB of GPU memory asked for, {free} MiB free on the emptiest of {devices} device(s): \
         ask for less (RGPU_MEMORY, rgpu run --memory) or try again when others are done"
    )]
    Memory {
        /// MiB asked for.
        asked: u64,
        /// MiB free.
        free: u64,
        /// Devices of the server.
        devices: usize,
    },
}

/// Leases are granted in whole allocation granules of NVIDIA's cards.
const GRANULE: u64 = 2 << 20;
/// The default lease is this part of a device.
const DEFAULT_PART: u64 = 8;

impl Leases {
    /// No leases on devices with so many bytes each. `default` is the lease of a client that does not say
    /// how much it wants; without it, an eighth of the device.
    pub(super) fn new(devices: Vec<u64>, default: Option<u64>) -> Self {
        Self {
            devices,
            granted: BTreeMap::new(),
            default,
        }
    }

    /// Bytes of device `device` that no lease covers.
    pub(super) fn free(&self, device: usize) -> u64 {
        let leased: u64 = self
            .granted
            .values()
            .filter(|lease| lease.device == device)
            .map(|lease| lease.bytes)
            .sum();
        self.devices[device].saturating_sub(leased)
    }

    /// Grants `asked` bytes (0: the default) to `session` on the device with the most free memory.
    pub(super) fn grant(&mut self, session: u64, asked: u64) -> Result<Lease, NoLease> {
        let emptiest =
            (0..self.devices.len()).max_by_key(|&device| (self.free(device), usize::MAX - device));
        let device = emptiest.unwrap_or_default();
        let free = emptiest.map_or(0, |device| self.free(device));
        let bytes = self.size(asked, device);
        if emptiest.is_none() || bytes > free || bytes == 0 {
            let (asked, free) = (bytes >> 20, free >> 20);
            return Err(NoLease::Memory {
                asked,
                free,
                devices: self.devices.len(),
            });
        }
        let lease = Lease { device, bytes };
        self.granted.insert(session, lease);
        Ok(lease)
    }

    fn size(&self, asked: u64, device: usize) -> u64 {
        let total = self.devices.get(device).copied().unwrap_or(0);
        let bytes = match asked {
            0 => self.default.unwrap_or(total / DEFAULT_PART),
            asked => asked,
        };
        // A lease of the whole device stays possible where its size is no multiple of the granule.
        match bytes.checked_next_multiple_of(GRANULE) {
            Some(rounded) if rounded <= total || bytes > total => rounded,
            _ => bytes,
        }
    }

    /// Takes a lease back. Releasing twice does nothing.
    pub(super) fn release(&mut self, session: u64) {
        self.granted.remove(&session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_lease_is_a_share_and_comes_back() {
        let mut leases = Leases::new(vec![1024 * MIB], None);
        let lease = leases.grant(1, 0).expect("default");
        assert_eq!(
            lease,
            Lease {
                device: 0,
                bytes: 128 * MIB
            }
        );
        assert_eq!(leases.free(0), 896 * MIB);
        leases.release(1);
        leases.release(1);
        assert_eq!(leases.free(0), 1024 * MIB);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_advice() {
        let mut leases = Leases::new(vec![1024 * MIB], None);
        leases.grant(1, 1000 * MIB).expect("fits");
        let error = leases.grant(2, 100 * MIB).expect_err("does not fit");
        assert!(
            error
                .to_string()
                .contains("100 MiB of GPU memory asked for, 24 MiB free"),
            "{error}"
        );
        assert!(Leases::new(vec![], None).grant(1, 0).is_err());
    }

    #[test]
    fn clients_spread_over_devices() {
        let mut leases = Leases::new(vec![1024 * MIB, 1024 * MIB], Some(256 * MIB));
        let devices: Vec<usize> = (0..4)
            .map(|session| leases.grant(session, 0).expect("fits").device)
            .collect();
        assert_eq!(devices, [0, 1, 0, 1]);
    }

    #[test]
    fn a_whole_odd_device_can_be_leased() {
        let odd = 1024 * MIB + 5;
        let mut leases = Leases::new(vec![odd], None);
        assert_eq!(leases.grant(1, odd).expect("all of it").bytes, odd);
    }

    proptest! {
        #[test]
        fn no_device_is_oversold(asks: Vec<(u8, u32, bool)>) {
            let mut leases = Leases::new(vec![1 << 30, 1 << 31], None);
            for (session, asked, release) in asks {
                let session = u64::from(session);
                if release {
                    leases.release(session);
                } else if !leases.granted.contains_key(&session) {
                    let _ = leases.grant(session, u64::from(asked));
                }
                for device in 0..2 {
                    let leased: u64 = leases
                        .granted
                        .values()
                        .filter(|lease| lease.device == device)
                        .map(|lease| lease.bytes)
                        .sum();
                    prop_assert!(leased <= leases.devices[device]);
                }
            }
        }
    }
}
