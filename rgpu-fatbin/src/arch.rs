//! Which image runs on which device.
//!
//! NVIDIA's compatibility rules: PTX for an architecture runs on it and on every later one; machine code runs
//! within one major version, from its minor version up. Suffix `a` (architecture-specific) pins both to
//! exactly one architecture; suffix `f` (family-specific) pins PTX to the major version as well.

use std::fmt;

use crate::container::{Entry, Flags, Kind};

/// A compute capability, such as 9.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// Major version.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
}

impl Capability {
    /// The capability `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From the number in `sm_NN`: 90 is 9.0, 103 is 10.3.
    pub const fn from_arch(arch: u32) -> Self {
        Self::new(arch / 10, arch % 10)
    }

    /// The number in `sm_NN`.
    pub const fn arch(self) -> u32 {
        self.major.saturating_mul(10).saturating_add(self.minor)
    }

    /// Whether a device of this capability can use `entry`, leaving aside whether it takes machine code at all.
    pub fn admits(self, entry: &Entry<'_>) -> bool {
        let arch = entry.arch();
        let same_family = Self::from_arch(arch).major == self.major && arch <= self.arch();
        if entry.flags().contains(Flags::ARCH_SPECIFIC) {
            arch == self.arch()
        } else if entry.flags().contains(Flags::FAMILY_SPECIFIC) || entry.kind() == Kind::ELF {
            same_family
        } else {
            arch <= self.arch()
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
