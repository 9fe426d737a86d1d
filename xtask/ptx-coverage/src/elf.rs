//! The fat binaries in a program. Those of relocatable device code lie in a section of their own; the program hands
//! them over together, with a list that it makes when it starts, and so they are one module.

use std::ops::Range;

use anyhow::Result;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

/// How a container starts: magic, version 1, header of 16 bytes.
pub(crate) const CONTAINER: [u8; 8] = [0x50, 0xED, 0x55, 0xBA, 1, 0, 16, 0];
/// The section of relocatable device code.
const PARTS: &str = "__nv_relfatbin";

/// What a program loads as one module.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    /// The section that it lies in: `.nv_fatbin` holds what NVIDIA's compiler made, others what came in another way.
    pub(crate) section: String,
    /// Containers, each from its first byte on; what follows is not its own.
    pub(crate) containers: Vec<&'a [u8]>,
}

/// Whether a file is one of these.
pub(crate) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// All modules of a program.
pub(crate) fn loads(bytes: &[u8]) -> Result<Vec<Load<'_>>> {
    // A 32-bit program has no 64-bit device code.
    let Ok(file) = ElfFile64::<Endianness>::parse(bytes) else {
        return Ok(Vec::new());
    };
    let sections: Vec<(Range<u64>, String)> = file
        .sections()
        .filter_map(|section| {
            let (start, length) = section.file_range()?;
            let name = String::from_utf8_lossy(section.name_bytes().ok()?).into_owned();
            Some((start..start + length, name))
        })
        .collect();
    let section_of = |at: usize| {
        let mut all = sections.iter();
        let found = all.find(|(range, _)| range.contains(&(at as u64)));
        found.map_or_else(String::new, |(_, name)| name.clone())
    };
    let mut loads = Vec::new();
    let mut parts = Load {
        section: PARTS.to_owned(),
        containers: Vec::new(),
    };
    for at in memchr::memmem::find_iter(bytes, &CONTAINER) {
        let section = section_of(at);
        if section == PARTS {
            parts.containers.push(&bytes[at..]);
        } else {
            loads.push(Load {
                section,
                containers: vec![&bytes[at..]],
            });
        }
    }
    if !parts.containers.is_empty() {
        loads.push(parts);
    }
    Ok(loads)
}
