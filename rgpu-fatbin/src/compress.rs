//! Unpacking, bounded by the size that the header declares and by a limit of ours.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use crate::{Error, MAX_IMAGE_BYTES};

/// An LZ4 block cannot grow by more than this factor, so a header that declares more lies.
const LZ4_MAX_RATIO: u64 = 255;

pub(crate) fn lz4(stored: &[u8], declared: u64) -> Result<Vec<u8>, Error> {
    let size = declared_size(declared)?;
    if declared > (stored.len() as u64).saturating_mul(LZ4_MAX_RATIO) {
        return Err(Error::Invalid("unpacked size of an LZ4 image"));
    }
    let mut out = vec![0; size];
    let written = lz4_flex::block::decompress_into(stored, &mut out)
        .map_err(|error| Error::Compression(error.to_string()))?;
    exact(written, size)?;
    Ok(out)
}

/// Grows with what the stream really holds, so that a lie in the header allocates nothing.
pub(crate) fn zstd(stored: &[u8], declared: u64) -> Result<Vec<u8>, Error> {
    let size = declared_size(declared)?;
    let decoder =
        StreamingDecoder::new(stored).map_err(|error| Error::Compression(error.to_string()))?;
    let mut out = Vec::new();
    decoder
        .take(declared.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|error| Error::Compression(error.to_string()))?;
    exact(out.len(), size)?;
    Ok(out)
}

fn declared_size(declared: u64) -> Result<usize, Error> {
    let limit = MAX_IMAGE_BYTES as u64;
    match usize::try_from(declared) {
        Ok(size) if declared <= limit => Ok(size),
        _ => Err(Error::TooLarge {
            what: "unpacked image",
            size: declared,
            limit,
        }),
    }
}

fn exact(written: usize, declared: usize) -> Result<(), Error> {
    if written == declared {
        return Ok(());
    }
    Err(Error::Compression(format!(
        "{written} bytes where the header declares {declared}"
    )))
}
