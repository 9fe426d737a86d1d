//! How long a cubin is: an ELF file does not say, its headers must be walked.

use crate::container::{le_u16, le_u32, le_u64};
use crate::{Error, MAX_IMAGE_BYTES};

pub(crate) const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
pub(crate) const ELF_HEADER: usize = 64;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_CUDA: u16 = 190;
/// The OS/ABI byte of cubins that CUDA 13 writes; there the architecture has moved within `e_flags`.
const ABI_CUDA_13: u8 = 0x41;
const SECTION_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_WITHOUT_BYTES: u32 = 8;

/// The size of the cubin at the start of `bytes`: up to the end of its last header table, section or segment.
pub fn cubin_size(bytes: &[u8]) -> Result<usize, Error> {
    let size = extent(|at, len| bytes.get(at..at.checked_add(len)?))?;
    match size <= bytes.len() {
        true => Ok(size),
        false => Err(Error::Truncated("cubin")),
    }
}

/// The number in `sm_NN` of a cubin.
pub fn cubin_arch(bytes: &[u8]) -> Result<u32, Error> {
    let header = bytes
        .get(..ELF_HEADER)
        .ok_or(Error::Truncated("cubin header"))?;
    check_header(header)?;
    let flags = le_u32(header, 48).ok_or(Error::Truncated("cubin header"))?;
    match header[7] {
        ABI_CUDA_13 => Ok((flags >> 8) & 0xff),
        _ => Ok(flags & 0xff),
    }
}

fn check_header(header: &[u8]) -> Result<(), Error> {
    if header[..4] != ELF_MAGIC {
        return Err(Error::BadMagic(le_u32(header, 0).unwrap_or(0)));
    }
    let machine = le_u16(header, 18);
    if header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN || machine != Some(MACHINE_CUDA) {
        return Err(Error::Invalid("ELF header, not a 64-bit CUDA cubin"));
    }
    Ok(())
}

/// [`cubin_size`] over anything that can be read at an offset.
pub(crate) fn extent<'a>(read: impl Fn(usize, usize) -> Option<&'a [u8]>) -> Result<usize, Error> {
    let header = read(0, ELF_HEADER).ok_or(Error::Truncated("cubin header"))?;
    check_header(header)?;
    let sections = Table::new(header, 40, 58, 60, SECTION_HEADER)?;
    let segments = Table::new(header, 32, 54, 56, PROGRAM_HEADER)?;

    let mut end = ELF_HEADER;
    // More than 65279 sections: the count is in the first section's size field.
    let mut count = sections.count;
    if count == 0 && sections.at != 0 {
        let first = read(sections.at, SECTION_HEADER).ok_or(Error::Truncated("cubin sections"))?;
        count = position(le_u64(first, 32))?;
    }
    grow(&mut end, sections.at, bounded(count, SECTION_HEADER)?)?;
    for index in 0..count {
        let section = read(sections.at + index * SECTION_HEADER, SECTION_HEADER)
            .ok_or(Error::Truncated("cubin sections"))?;
        if le_u32(section, 4) != Some(SECTION_WITHOUT_BYTES) {
            let (at, len) = (le_u64(section, 24), le_u64(section, 32));
            // A table of more than 65279 sections keeps its own length in the null section.
            if index > 0 {
                grow(&mut end, position(at)?, position(len)?)?;
            }
        }
    }
    grow(
        &mut end,
        segments.at,
        bounded(segments.count, PROGRAM_HEADER)?,
    )?;
    for index in 0..segments.count {
        let segment = read(segments.at + index * PROGRAM_HEADER, PROGRAM_HEADER)
            .ok_or(Error::Truncated("cubin segments"))?;
        grow(
            &mut end,
            position(le_u64(segment, 8))?,
            position(le_u64(segment, 32))?,
        )?;
    }
    Ok(end)
}

/// A header table: where it is and how many rows it has.
struct Table {
    at: usize,
    count: usize,
}

impl Table {
    fn new(
        header: &[u8],
        offset_at: usize,
        size_at: usize,
        count_at: usize,
        row: usize,
    ) -> Result<Self, Error> {
        let at = position(le_u64(header, offset_at))?;
        let count = usize::from(le_u16(header, count_at).unwrap_or(0));
        if count > 0 && le_u16(header, size_at).map(usize::from) != Some(row) {
            return Err(Error::Invalid("row size of an ELF table"));
        }
        Ok(Self { at, count })
    }
}

/// A file offset or size, checked against the limit so that sums cannot overflow.
fn position(value: Option<u64>) -> Result<usize, Error> {
    match value.map(usize::try_from) {
        Some(Ok(value)) if value <= MAX_IMAGE_BYTES => Ok(value),
        _ => Err(Error::Invalid("offset in a cubin")),
    }
}

fn bounded(count: usize, row: usize) -> Result<usize, Error> {
    position(count.checked_mul(row).map(|size| size as u64))
}

fn grow(end: &mut usize, at: usize, len: usize) -> Result<(), Error> {
    *end = (*end).max(position(Some(at as u64 + len as u64))?);
    Ok(())
}
