//! How much memory a device has.

use rgpu_softgpu_exec::size;

use crate::status::{Result, Status};

/// Names the size of each device's memory: bytes, or a number with K, M, G or T (powers of 1024).
const VARIABLE: &str = "RGPU_SOFT_MEMORY";

/// What the environment asks for, or a fair part of half of what this machine or container has.
pub(super) fn from_environment(devices: u64) -> Result<u64> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(host_memory() / 2 / devices.max(1));
    };
    let size = text.to_str().and_then(size::parse).filter(|&size| size > 0);
    size.ok_or_else(|| {
        tracing::error!(?text, "{VARIABLE} is not a size such as 8GiB or 512M");
        Status::ERROR_INVALID_VALUE
    })
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
    fn a_host_has_memory() {
        assert!(host_memory() >= 1 << 28);
    }
}
