//! The fat binaries in a program. Those of relocatable device code lie in a section of their own; the program hands
//! them over together, with a list that it makes when it starts, and so they are one module.

use anyhow::Result;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

/// How a container starts: magic, version 1, header of 16 bytes.
pub(crate) const CONTAINER: [u8; 8] = [0x50, 0xED, 0x55, 0xBA, 1, 0, 16, 0];
/// The section of relocatable device code.
const PARTS: &str = "__nv_relfatbin";

/// What a program loads as one module: containers, each from its first byte on; what follows is not its own.
pub(crate) type Load<'a> = Vec<&'a [u8]>;

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
    let section = file
        .section_by_name(PARTS)
        .and_then(|section| section.file_range());
    let parts = section.map_or(0..0, |(start, length)| start..start + length);
    let (parts, whole): (Vec<_>, Vec<_>) =
        memchr::memmem::find_iter(bytes, &CONTAINER).partition(|at| parts.contains(&(*at as u64)));
    let from = |at: usize| &bytes[at..];
    let mut loads: Vec<Load<'_>> = whole.into_iter().map(|at| vec![from(at)]).collect();
    if !parts.is_empty() {
        loads.push(parts.into_iter().map(from).collect());
    }
    Ok(loads)
}
