//! NVIDIA fat binaries: what `nvcc` embeds in a program and hands to `cuModuleLoadData`.
//!
//! A *container* is a header and a run of *entries*; an entry is one image (PTX text, machine code, …) for
//! one architecture, often compressed. A program passes the driver a pointer to one of four things, told
//! apart by their first bytes ([`sniff()`]): a *wrapper* (which points to a container, and for programs built
//! with `-rdc=true` to more of them), a bare container, an ELF cubin, or NUL-terminated PTX text.
//!
//! * [`Fatbin::parse`] reads a container from bytes. The bytes are untrusted: every offset is checked, the
//!   size of what an image unpacks to is bounded, nothing panics.
//! * [`Fatbin::select_ptx`] and [`Fatbin::trim`] hold the rules by which a device picks images.
//! * [`Builder`] writes containers.
//! * [`raw`] is the only unsafe part: it finds out how many bytes lie behind a program's pointer.
//!
//! ```
//! use rgpu_fatbin::{Builder, Capability, Fatbin, Sass};
//!
//! let mut builder = Builder::new();
//! builder.push_ptx(80, b".version 8.0\n.target sm_80\n.address_size 64\n");
//! builder.push_ptx(100, b".version 9.0\n.target sm_100\n.address_size 64\n");
//! let bytes = builder.finish();
//!
//! let fatbin = Fatbin::parse(&bytes)?;
//! let hopper = Capability::new(9, 0);
//! let ptx = fatbin.select_ptx(hopper).unwrap();
//! assert_eq!(ptx.arch(), 80);
//! assert!(ptx.ptx()?.starts_with(".version 8.0"));
//! assert!(fatbin.trim(hopper, Sass::Rejected)?.len() < bytes.len());
//! # Ok::<(), rgpu_fatbin::Error>(())
//! ```

mod arch;
mod builder;
mod compress;
mod container;
mod elf;
pub mod host;
pub mod raw;
mod select;
mod sniff;
#[cfg(test)]
mod tests;

pub use arch::Capability;
pub use builder::Builder;
pub use container::{Entry, Fatbin, Flags, Kind};
pub use elf::{cubin_arch, cubin_size};
pub use select::Sass;
pub use sniff::{ImageKind, SNIFF_BYTES, sniff};

/// The most bytes one image may unpack to. The largest cubins of NVIDIA's own libraries stay under 100 MB.
pub const MAX_IMAGE_BYTES: usize = 512 << 20;

/// The most bytes one container may span. cuBLASLt's largest is a few hundred megabytes.
pub const MAX_CONTAINER_BYTES: usize = 2 << 30;

/// The most entries one container may hold; `nvcc` writes one or two per architecture and source file.
pub const MAX_ENTRIES: usize = 1 << 16;

/// Why bytes are not a usable fat binary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data ends before the structure does.
    #[error("truncated {0}")]
    Truncated(&'static str),
    /// The leading magic number is none that this crate knows.
    #[error("not a module image (magic {0:#010x})")]
    BadMagic(u32),
    /// A version this crate does not read.
    #[error("unsupported {what} version {version:#x}")]
    BadVersion {
        /// Which structure.
        what: &'static str,
        /// The version found.
        version: u32,
    },
    /// A field contradicts another, or a limit.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// Larger than a limit of this crate.
    #[error("{what} of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Which structure.
        what: &'static str,
        /// The size found or declared.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The payload does not unpack to what its header declares.
    #[error("cannot unpack the image: {0}")]
    Compression(String),
    /// No image in the container can run on the device: `CUDA_ERROR_NO_BINARY_FOR_GPU`.
    #[error("no image for compute capability {0}")]
    NoImage(Capability),
}
