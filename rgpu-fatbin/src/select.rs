//! Choosing images for a device.
//!
//! A driver prefers machine code for the device, the most recent first, and else compiles the most recent PTX
//! that the device admits.

use std::cmp::Reverse;

use crate::{Builder, Capability, Entry, Error, Fatbin, Flags, Kind};

/// Whether the device behind a trimmed container runs machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sass {
    /// A GPU: cubins are kept.
    Accepted,
    /// The software GPU: only PTX is of use.
    Rejected,
}

impl<'a> Fatbin<'a> {
    /// The PTX to compile for a device: of the highest architecture up to `device`. Where one architecture has
    /// both a portable and a suffixed (`a`, `f`) text, the portable one.
    pub fn select_ptx(&self, device: Capability) -> Option<&Entry<'a>> {
        self.usable_ptx(device)
            .max_by_key(|entry| (entry.arch(), Reverse(is_suffixed(entry))))
    }

    /// All PTX of the architecture that [`select_ptx`](Self::select_ptx) picks: a container that is to be
    /// linked holds one text per source file.
    pub fn select_all_ptx(&self, device: Capability) -> Vec<&Entry<'a>> {
        let Some(best) = self.select_ptx(device) else {
            return Vec::new();
        };
        self.usable_ptx(device)
            .filter(|entry| same_target(entry, best))
            .collect()
    }

    /// The PTX to compile for a device that runs nothing else: that of [`select_ptx`](Self::select_ptx), or, where all
    /// of it is for later devices, of the lowest architecture. A GPU would have machine code instead.
    pub fn nearest_ptx(&self, device: Capability) -> Option<&Entry<'a>> {
        self.select_ptx(device).or_else(|| {
            self.ptx()
                .filter(|entry| entry.arch() > device.arch())
                .min_by_key(|entry| (entry.arch(), is_suffixed(entry)))
        })
    }

    /// All PTX of the architecture that [`nearest_ptx`](Self::nearest_ptx) picks.
    pub fn nearest_all_ptx(&self, device: Capability) -> Vec<&Entry<'a>> {
        let Some(best) = self.nearest_ptx(device) else {
            return Vec::new();
        };
        self.ptx()
            .filter(|entry| same_target(entry, best))
            .collect()
    }

    /// The machine code to load on a GPU: of the highest architecture up to `device` in its major version.
    pub fn select_elf(&self, device: Capability) -> Option<&Entry<'a>> {
        self.entries()
            .iter()
            .filter(|entry| entry.kind() == Kind::ELF && device.admits(entry))
            .max_by_key(|entry| (entry.arch(), is_suffixed(entry)))
    }

    /// A container with only those images that `device` could use: the best PTX and, if it takes machine code,
    /// the best cubin and whatever this crate does not know. Images are copied as stored.
    ///
    /// Fails with [`Error::NoImage`] if nothing is left.
    pub fn trim(&self, device: Capability, sass: Sass) -> Result<Vec<u8>, Error> {
        let (ptx, elf) = match sass {
            Sass::Accepted => (self.select_ptx(device), self.select_elf(device)),
            Sass::Rejected => (self.nearest_ptx(device), None),
        };
        let keep = |entry: &&Entry<'a>| match entry.kind() {
            Kind::PTX => ptx.is_some_and(|best| same_target(entry, best)),
            Kind::ELF => elf.is_some_and(|best| same_target(entry, best)),
            Kind::LTO_IR => false,
            _ => sass == Sass::Accepted && device.admits(entry),
        };
        let mut builder = Builder::new();
        for entry in self.entries().iter().filter(keep) {
            builder.push_entry(entry);
        }
        if builder.is_empty() {
            return Err(Error::NoImage(device));
        }
        Ok(builder.finish())
    }

    fn usable_ptx(&self, device: Capability) -> impl Iterator<Item = &Entry<'a>> {
        self.ptx().filter(move |entry| device.admits(entry))
    }

    fn ptx(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries()
            .iter()
            .filter(|entry| entry.kind() == Kind::PTX)
    }
}

const SUFFIXES: u64 = Flags::ARCH_SPECIFIC.0 | Flags::FAMILY_SPECIFIC.0;

fn is_suffixed(entry: &Entry<'_>) -> bool {
    entry.flags().0 & SUFFIXES != 0
}

fn same_target(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    a.arch() == b.arch() && a.flags().0 & SUFFIXES == b.flags().0 & SUFFIXES
}
