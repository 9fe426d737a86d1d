//! How much memory a device has.

use crate::status::{Result, Status};

/// Names the size of each device's memory: bytes, or a number with K, M, G or T (powers of 1024).
const VARIABLE: &str = "RGPU_SOFT_MEMORY";

/// What the environment asks for, or a fair part of half of what this machine or container has.
pub(super) fn from_environment(devices: u64) -> Result<u64> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(host_memory() / 2 / devices.max(1));
    };
    let size = text.to_str().and_then(parse).filter(|&size| size > 0);
    size.ok_or_else(|| {
        tracing::error!(?text, "{VARIABLE} is not a size such as 8GiB or 512M");
        Status::ERROR_INVALID_VALUE
    })
}

/// Bytes of `text`.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        "t" | "tb" | "ti" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Bytes of memory that this process could have.
fn host_memory() -> u64 {
    // SAFETY: sysconf only reads its argument.
    let (pages, page) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    let machine = u64::try_from(pages)
        .unwrap_or(0)
        .saturating_mul(u64::try_from(page).unwrap_or(0))
        .max(1 << 30);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    container.map_or(machine, |limit: u64| limit.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse("1048576"), Some(1 << 20));
        assert_eq!(parse("8GiB"), Some(8 << 30));
        assert_eq!(parse(" 512 M "), Some(512 << 20));
        assert_eq!(parse("3t"), Some(3 << 40));
        for wrong in ["", "G", "8 Gb/s", "-1", "99999999999T"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_host_has_memory() {
        assert!(host_memory() >= 1 << 28);
    }
}
