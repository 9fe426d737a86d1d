//! The container format, read from untrusted bytes.
//!
//! ```text
//! container  0  u32 magic 0xBA55ED50   4  u16 version 1   6  u16 header size (16)   8  u64 bytes that follow
//! entry      0  u16 kind               2  u16 version 0x101        4  u32 header size (64 or more)
//!            8  u64 payload bytes, padded to 8                    16  u32 compressed bytes, 0 if plain
//!           20  u32 offset of the options record, 0 if none       24  u16 minor, 26 u16 major (of PTX: its version)
//!           28  u32 architecture (90 for sm_90)                   32  u32 offset, 36 u32 length of the identifier
//!           40  u64 flags                48  u64 seed (LTO-IR)    56  u64 bytes once unpacked, 0 if plain
//! options    0  u32 offset of the text, 4  u32 its length   (offsets count from the start of the entry)
//! ```

use std::borrow::Cow;
use std::fmt;

use crate::{Error, MAX_CONTAINER_BYTES, MAX_ENTRIES, compress};

pub(crate) const CONTAINER_MAGIC: u32 = 0xBA55_ED50;
pub(crate) const CONTAINER_VERSION: u16 = 1;
pub(crate) const CONTAINER_HEADER: usize = 16;
pub(crate) const ENTRY_VERSION: u16 = 0x101;
pub(crate) const ENTRY_HEADER: usize = 64;

/// What an entry holds. A number from a file, so not an enum.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// PTX text.
    pub const PTX: Self = Self(1);
    /// Machine code in ELF ("cubin").
    pub const ELF: Self = Self(2);
    /// LTO intermediate code, for `nvJitLink` only.
    pub const LTO_IR: Self = Self(8);
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PTX => f.write_str("PTX"),
            Self::ELF => f.write_str("ELF"),
            Self::LTO_IR => f.write_str("LTO_IR"),
            Self(other) => write!(f, "Kind({other:#x})"),
        }
    }
}

/// Flags of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(pub u64);

impl Flags {
    /// For a 64-bit host.
    pub const ADDRESS_64: Self = Self(0x1);
    /// Built with `-G`.
    pub const DEBUG: Self = Self(0x2);
    /// For a Linux host.
    pub const LINUX: Self = Self(0x10);
    /// The payload is compressed in a way that CUDA 6 and older wrote.
    pub const COMPRESSED_OLD: Self = Self(0x1000);
    /// The payload is an LZ4 block.
    pub const COMPRESSED_LZ4: Self = Self(0x2000);
    /// The payload is a zstd frame.
    pub const COMPRESSED_ZSTD: Self = Self(0x8000);
    /// For exactly one architecture (`sm_90a`).
    pub const ARCH_SPECIFIC: Self = Self(0x10_0000);
    /// For one family of architectures (`sm_100f`).
    pub const FAMILY_SPECIFIC: Self = Self(0x20_0000);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#x})", self.0)
    }
}

/// A parsed container; borrows its bytes.
#[derive(Debug, Clone)]
pub struct Fatbin<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
}

impl<'a> Fatbin<'a> {
    /// Reads the container at the start of `bytes`; what follows it is ignored.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, total) = container_extent(bytes)?;
        let bytes = bytes
            .get(..total)
            .ok_or(Error::Truncated("fatbin container"))?;
        let mut rest = &bytes[header..];
        let mut entries = Vec::new();
        // Less than an entry's header at the end is padding.
        while rest.len() >= ENTRY_HEADER {
            if entries.len() == MAX_ENTRIES {
                return Err(Error::Invalid("number of fatbin entries"));
            }
            let entry = Entry::parse(rest)?;
            rest = &rest[entry.bytes.len()..];
            entries.push(entry);
        }
        Ok(Self { bytes, entries })
    }

    /// The container's own bytes, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All entries, in file order.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }
}

/// Checks a container's header; answers (header size, total size). Needs only the first 16 bytes.
pub(crate) fn container_extent(bytes: &[u8]) -> Result<(usize, usize), Error> {
    const SHORT: Error = Error::Truncated("fatbin header");
    let magic = le_u32(bytes, 0).ok_or(SHORT)?;
    if magic != CONTAINER_MAGIC {
        return Err(Error::BadMagic(magic));
    }
    let version = le_u16(bytes, 4).ok_or(SHORT)?;
    if version != CONTAINER_VERSION {
        return Err(Error::BadVersion {
            what: "fatbin container",
            version: version.into(),
        });
    }
    let header = usize::from(le_u16(bytes, 6).ok_or(SHORT)?);
    if header < CONTAINER_HEADER {
        return Err(Error::Invalid("fatbin header size"));
    }
    let body = le_u64(bytes, 8).ok_or(SHORT)?;
    let total = (header as u64).saturating_add(body);
    let limit = MAX_CONTAINER_BYTES as u64;
    if total > limit {
        return Err(Error::TooLarge {
            what: "fatbin container",
            size: total,
            limit,
        });
    }
    let total = usize::try_from(total).map_err(|_| Error::Invalid("fatbin container size"))?;
    Ok((header, total))
}

/// One image of a container.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Header and payload.
    bytes: &'a [u8],
    header: usize,
    kind: Kind,
    flags: Flags,
    arch: u32,
    compressed: usize,
    unpacked: u64,
}

impl<'a> Entry<'a> {
    fn parse(rest: &'a [u8]) -> Result<Self, Error> {
        const SHORT: Error = Error::Truncated("fatbin entry header");
        let version = le_u16(rest, 2).ok_or(SHORT)?;
        if version != ENTRY_VERSION {
            return Err(Error::BadVersion {
                what: "fatbin entry",
                version: version.into(),
            });
        }
        let header = le_u32(rest, 4).ok_or(SHORT)? as usize;
        if header < ENTRY_HEADER {
            return Err(Error::Invalid("fatbin entry header size"));
        }
        let payload = usize::try_from(le_u64(rest, 8).ok_or(SHORT)?)
            .map_err(|_| Error::Invalid("fatbin payload size"))?;
        let total = header
            .checked_add(payload)
            .ok_or(Error::Invalid("fatbin payload size"))?;
        let bytes = rest.get(..total).ok_or(Error::Truncated("fatbin entry"))?;
        let compressed = le_u32(rest, 16).ok_or(SHORT)? as usize;
        if compressed > payload {
            return Err(Error::Invalid("compressed size of a fatbin entry"));
        }
        Ok(Self {
            bytes,
            header,
            kind: Kind(le_u16(rest, 0).ok_or(SHORT)?),
            flags: Flags(le_u64(rest, 40).ok_or(SHORT)?),
            arch: le_u32(rest, 28).ok_or(SHORT)?,
            compressed,
            unpacked: le_u64(rest, 56).ok_or(SHORT)?,
        })
    }

    /// What the payload is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The entry's flags.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The number in `sm_NN` or `compute_NN`.
    pub fn arch(&self) -> u32 {
        self.arch
    }

    /// Of a PTX entry, its ISA version as (major, minor).
    pub fn version(&self) -> (u16, u16) {
        let field = |at| le_u16(self.bytes, at).unwrap_or(0);
        (field(26), field(24))
    }

    /// The source file's name, where the compiler recorded it (`-G`, `-lineinfo`).
    pub fn identifier(&self) -> Option<&'a str> {
        let (at, len) = (le_u32(self.bytes, 32)?, le_u32(self.bytes, 36)?);
        self.header_text(at, len)
    }

    /// The `ptxas` options that the driver's compiler should use, of entries that hold PTX or LTO-IR.
    pub fn options(&self) -> Option<&'a str> {
        let record = le_u32(self.bytes, 20)? as usize;
        if record == 0 || self.kind == Kind::ELF {
            return None;
        }
        let at = le_u32(self.bytes, record)?;
        let len = le_u32(self.bytes, record.checked_add(4)?)?;
        self.header_text(at, len)
    }

    fn header_text(&self, at: u32, len: u32) -> Option<&'a str> {
        let (at, len) = (at as usize, len as usize);
        let text = self.bytes[..self.header].get(at..at.checked_add(len)?)?;
        let text = std::str::from_utf8(text).ok()?.trim_matches(['\0', ' ']);
        (!text.is_empty()).then_some(text)
    }

    /// Header and payload as stored; what a container is built from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The payload as stored, perhaps compressed, perhaps padded with zeros.
    pub fn stored(&self) -> &'a [u8] {
        &self.bytes[self.header..]
    }

    /// Whether [`image`](Self::image) has to unpack.
    pub fn is_compressed(&self) -> bool {
        const ANY: u64 =
            Flags::COMPRESSED_OLD.0 | Flags::COMPRESSED_LZ4.0 | Flags::COMPRESSED_ZSTD.0;
        self.flags.0 & ANY != 0
    }

    /// The image, unpacked if need be; at most [`MAX_IMAGE_BYTES`](crate::MAX_IMAGE_BYTES).
    pub fn image(&self) -> Result<Cow<'a, [u8]>, Error> {
        let stored = match self.compressed {
            0 => self.stored(),
            size => &self.stored()[..size],
        };
        if self.flags.contains(Flags::COMPRESSED_ZSTD) {
            compress::zstd(stored, self.unpacked).map(Cow::Owned)
        } else if self.flags.contains(Flags::COMPRESSED_LZ4) {
            compress::lz4(stored, self.unpacked).map(Cow::Owned)
        } else if self.is_compressed() {
            Err(Error::Compression("unknown compression".to_owned()))
        } else {
            Ok(Cow::Borrowed(self.stored()))
        }
    }

    /// The text of a PTX entry, without the zeros that end it.
    pub fn ptx(&self) -> Result<String, Error> {
        if self.kind != Kind::PTX {
            return Err(Error::Invalid("kind of image, PTX was asked for"));
        }
        let image = self.image()?;
        let end = image
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        // PTX is ASCII but for comments and file names, where a foreign byte does no harm.
        Ok(String::from_utf8_lossy(&image[..end]).into_owned())
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("arch", &self.arch)
            .field("flags", &self.flags)
            .field("stored", &self.stored().len())
            .field("unpacked", &self.unpacked)
            .finish_non_exhaustive()
    }
}

pub(crate) fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
