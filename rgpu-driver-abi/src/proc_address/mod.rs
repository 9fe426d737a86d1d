//! `cuGetProcAddress`: which exported symbol a request for a base name means.
//!
//! A caller names a function without suffix (`cuMemAlloc`), the CUDA version whose header it was compiled with,
//! and flags. The answer is the newest form that is not newer than that version: its ABI is the one the caller
//! expects. A form that we do not export is *not found*; an older one in its place would have another ABI.
//!
//! ```
//! use rgpu_driver_abi::proc_address::{Outcome, PER_THREAD_DEFAULT_STREAM, lookup, symbol};
//!
//! assert_eq!(symbol("cuMemAlloc", 12000, 0), Ok("cuMemAlloc_v2"));
//! assert_eq!(symbol("cuMemcpyAsync", 12000, PER_THREAD_DEFAULT_STREAM), Ok("cuMemcpyAsync_ptsz"));
//!
//! // In `cuGetProcAddress_v2`: `exported` finds the address of one of our own symbols.
//! let exported = |name: &str| (name == "cuInit").then_some(0x1000 as *const std::ffi::c_void);
//! let outcome = lookup("cuInit", 13000, 0, exported);
//! assert_eq!(outcome, Outcome::Found(0x1000 as *const std::ffi::c_void));
//! ```

mod rows;

use std::ffi::c_void;
use std::ptr;

use rows::{ROWS, Row};

/// A CUDA version as 1000 * major + 10 * minor, and the symbol that appeared with it.
pub type Variant = (i32, &'static str);

/// `CU_GET_PROC_ADDRESS_DEFAULT`: for a driver, the same as legacy.
pub const DEFAULT: u64 = 0;
/// `CU_GET_PROC_ADDRESS_LEGACY_STREAM`.
pub const LEGACY_STREAM: u64 = 1;
/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`.
pub const PER_THREAD_DEFAULT_STREAM: u64 = 2;

/// Why a request means no symbol. The numbers are `CUdriverProcAddressQueryResult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// No such function, or we do not export the form that is asked for.
    SymbolNotFound = 1,
    /// The function is newer than the version that is asked for.
    VersionNotSufficient = 2,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Never null.
    Found(*const c_void),
    /// Null, and the reason.
    Missing(Miss),
}

impl Outcome {
    /// What to store in `*pfn`.
    pub fn pointer(self) -> *const c_void {
        match self {
            Self::Found(pointer) => pointer,
            Self::Missing(_) => ptr::null(),
        }
    }

    /// What to store in `*symbolStatus`, where the caller wants it.
    pub fn query_result(self) -> u32 {
        match self {
            Self::Found(_) => 0,
            Self::Missing(miss) => miss as u32,
        }
    }
}

/// The symbol that a request means, whether we export it or not.
///
/// NVIDIA's documentation: a per-thread request for a function that has no such form, at all or in that
/// version, is answered with the legacy form.
pub fn symbol(base: &str, version: i32, flags: u64) -> Result<&'static str, Miss> {
    let row = find(base).ok_or(Miss::SymbolNotFound)?;
    let per_thread = match flags & PER_THREAD_DEFAULT_STREAM {
        0 => None,
        _ => newest(row.per_thread, version),
    };
    per_thread
        .or_else(|| newest(row.legacy, version))
        .ok_or(Miss::VersionNotSufficient)
}

/// Answers a request. `exported` gives the address of a symbol of ours by its full name, or `None`.
///
/// Left to the caller of `cuGetProcAddress`: null arguments, and a version above the driver's own, are
/// `CUDA_ERROR_INVALID_VALUE`; a miss is `CUDA_SUCCESS` with a null pointer from `cuGetProcAddress_v2`,
/// `CUDA_ERROR_NOT_FOUND` from the `cuGetProcAddress` of CUDA 11.
pub fn lookup(
    base: &str,
    version: i32,
    flags: u64,
    exported: impl FnOnce(&'static str) -> Option<*const c_void>,
) -> Outcome {
    let found = symbol(base, version, flags).and_then(|symbol| {
        exported(symbol)
            .filter(|pointer| !pointer.is_null())
            .ok_or(Miss::SymbolNotFound)
    });
    match found {
        Ok(pointer) => Outcome::Found(pointer),
        Err(miss) => Outcome::Missing(miss),
    }
}

/// Every symbol of the table with its base name: what a driver of CUDA 13.0 exports through this function.
pub fn symbols() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROWS.iter().flat_map(|row| {
        let variants = row.legacy.iter().chain(row.per_thread);
        variants.map(|&(_, symbol)| (row.base, symbol))
    })
}

fn find(base: &str) -> Option<&'static Row> {
    let at = ROWS.binary_search_by_key(&base, |row| row.base).ok()?;
    Some(&ROWS[at])
}

fn newest(variants: &[Variant], version: i32) -> Option<&'static str> {
    let fit = variants.iter().rev().find(|variant| variant.0 <= version)?;
    Some(fit.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NEWEST: i32 = 13000;

    #[test]
    fn rows_are_sorted_and_complete() {
        assert!(ROWS.windows(2).all(|pair| pair[0].base < pair[1].base));
        for row in ROWS {
            assert!(!row.legacy.is_empty(), "{}", row.base);
            for variants in [row.legacy, row.per_thread] {
                assert!(variants.windows(2).all(|pair| pair[0].0 < pair[1].0));
                for (version, symbol) in variants {
                    assert!((2000..=NEWEST).contains(version), "{symbol}");
                    assert!(symbol.starts_with(row.base), "{symbol}");
                }
            }
        }
    }

    #[test]
    fn symbols_are_unique() {
        let all: Vec<_> = symbols().map(|(_, symbol)| symbol).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_version_picks_the_form() {
        for (base, version, expected) in [
            ("cuMemAlloc", 2000, "cuMemAlloc"),
            ("cuMemAlloc", 3010, "cuMemAlloc"),
            ("cuMemAlloc", 3020, "cuMemAlloc_v2"),
            ("cuMemAlloc", NEWEST, "cuMemAlloc_v2"),
            ("cuCtxCreate", 3020, "cuCtxCreate_v2"),
            ("cuCtxCreate", 11040, "cuCtxCreate_v3"),
            ("cuCtxCreate", 12040, "cuCtxCreate_v3"),
            ("cuCtxCreate", 12050, "cuCtxCreate_v4"),
            ("cuEventElapsedTime", 12070, "cuEventElapsedTime"),
            ("cuEventElapsedTime", 12080, "cuEventElapsedTime_v2"),
            ("cuDeviceGetUuid", 9020, "cuDeviceGetUuid"),
            ("cuDeviceGetUuid", 11040, "cuDeviceGetUuid_v2"),
            ("cuStreamBeginCapture", 10000, "cuStreamBeginCapture"),
            ("cuStreamBeginCapture", 10010, "cuStreamBeginCapture_v2"),
            ("cuCtxSynchronize", 12090, "cuCtxSynchronize"),
            ("cuCtxSynchronize", NEWEST, "cuCtxSynchronize_v2"),
            ("cuGetProcAddress", 11030, "cuGetProcAddress"),
            ("cuGetProcAddress", 12000, "cuGetProcAddress_v2"),
        ] {
            assert_eq!(symbol(base, version, DEFAULT), Ok(expected));
            assert_eq!(symbol(base, version, LEGACY_STREAM), Ok(expected));
        }
    }

    #[test]
    fn the_per_thread_flag_picks_the_suffix() {
        let per_thread = |base, version| symbol(base, version, PER_THREAD_DEFAULT_STREAM);
        assert_eq!(per_thread("cuMemcpy", NEWEST), Ok("cuMemcpy_ptds"));
        assert_eq!(
            per_thread("cuMemcpyHtoD", NEWEST),
            Ok("cuMemcpyHtoD_v2_ptds")
        );
        assert_eq!(
            per_thread("cuStreamGetCaptureInfo", 11030),
            Ok("cuStreamGetCaptureInfo_v2_ptsz")
        );
        // No such form at all, and none in that version.
        assert_eq!(per_thread("cuMemAlloc", NEWEST), Ok("cuMemAlloc_v2"));
        assert_eq!(per_thread("cuMemcpyHtoD", 4000), Ok("cuMemcpyHtoD_v2"));
    }

    #[test]
    fn misses_say_why() {
        let missing = |base, version| symbol(base, version, DEFAULT).unwrap_err();
        assert_eq!(
            missing("cuLibraryLoadData", 11080),
            Miss::VersionNotSufficient
        );
        assert_eq!(missing("cuInit", 0), Miss::VersionNotSufficient);
        for name in ["", "cu", "cuNoSuchFunction", "cuMemAlloc_v2", "zzz"] {
            assert_eq!(missing(name, NEWEST), Miss::SymbolNotFound);
        }
    }

    #[test]
    fn an_older_form_never_stands_in_for_the_one_asked_for() {
        let only_old = |name: &str| (name == "cuCtxCreate_v2").then_some(0x10 as *const c_void);
        let found = lookup("cuCtxCreate", 11000, 0, only_old);
        assert_eq!(found, Outcome::Found(0x10 as *const c_void));
        assert_eq!((found.pointer() as usize, found.query_result()), (0x10, 0));

        let missing = lookup("cuCtxCreate", NEWEST, 0, only_old);
        assert_eq!(missing, Outcome::Missing(Miss::SymbolNotFound));
        assert_eq!(
            (missing.pointer(), missing.query_result()),
            (ptr::null(), 1)
        );

        let null = lookup("cuInit", NEWEST, 0, |_| Some(ptr::null()));
        assert_eq!(null, Outcome::Missing(Miss::SymbolNotFound));
    }

    /// The requests of cudart 13.0.2, as it made them (docs/cudart-13.md).
    #[test]
    fn every_request_of_cudart_means_a_symbol() {
        let requests = include_str!("../../testdata/cudart-13.0.2-lookups.txt");
        let mut count = 0;
        for line in requests.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [name, version, flags] = fields[..] else {
                panic!("bad line: {line}");
            };
            let found = symbol(name, version.parse().unwrap(), flags.parse().unwrap());
            assert!(found.is_ok(), "{line}: {found:?}");
            count += 1;
        }
        assert_eq!(count, 439);
    }
}
