//! `CUstreamAttrID`: what a stream's later work is to be like.
//!
//! The priority decides which of several kernels starts its blocks first. The rest is kept for whoever asks: there is no
//! cache to set aside, one memory synchronisation domain, and waiting is always the same.

use crate::device::limits;
use crate::status::{Result, Status, require};

const ACCESS_POLICY_WINDOW: u32 = 1;
const SYNCHRONIZATION_POLICY: u32 = 3;
const PRIORITY: u32 = 8;
const MEM_SYNC_DOMAIN_MAP: u32 = 9;
const MEM_SYNC_DOMAIN: u32 = 10;

/// `CU_SYNC_POLICY_AUTO`, the first, and `CU_SYNC_POLICY_BLOCKING_SYNC`, the last.
const SYNC_AUTO: u32 = 1;
const SYNC_LAST: u32 = 4;
/// `CU_ACCESS_PROPERTY_STREAMING` and `CU_ACCESS_PROPERTY_PERSISTING`.
const STREAMING: u32 = 1;
const PERSISTING: u32 = 2;

/// Bytes of `CUaccessPolicyWindow`.
const WINDOW: usize = 32;

/// The attributes of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    window: [u8; WINDOW],
    synchronisation: u32,
    priority: i32,
    domains: [u8; 2],
    domain: u32,
}

impl Default for Attributes {
    fn default() -> Self {
        Self::with_priority(limits::LEAST_PRIORITY)
    }
}

impl Attributes {
    pub(super) fn with_priority(priority: i32) -> Self {
        Self {
            window: [0; WINDOW],
            synchronisation: SYNC_AUTO,
            priority,
            domains: [0; 2],
            domain: 0,
        }
    }

    pub(super) fn priority(&self) -> i32 {
        self.priority
    }

    /// The member of `CUstreamAttrValue` that holds an attribute, as bytes.
    pub(crate) fn get(&self, attribute: u32) -> Result<Vec<u8>> {
        Ok(match attribute {
            ACCESS_POLICY_WINDOW => self.window.to_vec(),
            SYNCHRONIZATION_POLICY => self.synchronisation.to_ne_bytes().to_vec(),
            PRIORITY => self.priority.to_ne_bytes().to_vec(),
            MEM_SYNC_DOMAIN_MAP => self.domains.to_vec(),
            MEM_SYNC_DOMAIN => self.domain.to_ne_bytes().to_vec(),
            _ => return Err(Status::ERROR_INVALID_VALUE),
        })
    }

    /// Sets an attribute from the bytes of a `CUstreamAttrValue`.
    pub(crate) fn set(&mut self, attribute: u32, value: &[u8; 64]) -> Result {
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&value[at..at + 4]);
            u32::from_ne_bytes(bytes)
        };
        match attribute {
            ACCESS_POLICY_WINDOW => {
                let ratio = f32::from_bits(word(16));
                require((0.0..=1.0).contains(&ratio))?;
                require(word(20) <= PERSISTING && word(24) <= STREAMING)?;
                self.window.copy_from_slice(&value[..WINDOW]);
                // The largest window of this device (CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE) is empty.
                self.window[8..16].fill(0);
            }
            SYNCHRONIZATION_POLICY => {
                require((SYNC_AUTO..=SYNC_LAST).contains(&word(0)))?;
                self.synchronisation = word(0);
            }
            PRIORITY => self.priority = super::clamp_priority(word(0).cast_signed()),
            MEM_SYNC_DOMAIN_MAP => {
                // CU_DEVICE_ATTRIBUTE_MEM_SYNC_DOMAIN_COUNT is 1.
                require(value[..2] == [0, 0])?;
            }
            MEM_SYNC_DOMAIN => {
                require(word(0) <= 1)?;
                self.domain = word(0);
            }
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(words: &[u32]) -> [u8; 64] {
        let mut value = [0; 64];
        for (at, word) in words.iter().enumerate() {
            value[at * 4..at * 4 + 4].copy_from_slice(&word.to_ne_bytes());
        }
        value
    }

    #[test]
    fn what_is_set_is_got_and_what_is_wrong_refused() {
        let mut attributes = Attributes::default();
        assert_eq!(
            attributes.get(SYNCHRONIZATION_POLICY).unwrap(),
            [1, 0, 0, 0]
        );
        attributes
            .set(SYNCHRONIZATION_POLICY, &value(&[SYNC_LAST]))
            .unwrap();
        assert_eq!(
            attributes.get(SYNCHRONIZATION_POLICY).unwrap(),
            [4, 0, 0, 0]
        );
        for wrong in [0, 5] {
            assert!(
                attributes
                    .set(SYNCHRONIZATION_POLICY, &value(&[wrong]))
                    .is_err()
            );
        }
        attributes
            .set(PRIORITY, &value(&[(-100i32).cast_unsigned()]))
            .unwrap();
        assert_eq!(attributes.priority(), limits::GREATEST_PRIORITY);
        attributes.set(PRIORITY, &value(&[7])).unwrap();
        assert_eq!(attributes.priority(), limits::LEAST_PRIORITY);
        assert!(attributes.set(MEM_SYNC_DOMAIN, &value(&[2])).is_err());
        assert!(attributes.set(2, &value(&[0])).is_err());
        assert!(attributes.get(2).is_err());

        let mut window = value(&[1, 2, 4096, 0, 0.5f32.to_bits(), 2, 1]);
        attributes.set(ACCESS_POLICY_WINDOW, &window).unwrap();
        let got = attributes.get(ACCESS_POLICY_WINDOW).unwrap();
        assert_eq!((&got[..8], &got[8..16]), (&window[..8], &[0; 8][..]));
        window[16..20].copy_from_slice(&1.5f32.to_ne_bytes());
        assert!(attributes.set(ACCESS_POLICY_WINDOW, &window).is_err());
    }
}
