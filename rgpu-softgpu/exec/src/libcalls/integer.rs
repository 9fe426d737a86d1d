//! Bodies of `integer` rows.
use super::*;
pub(super) extern "C" fn prmt_b32(_: u32, _: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fns_b32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfe_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfind_u32(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfe_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfind_s32(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfe_u64(_: u64, _: u32, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn bfind_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfe_s64(_: u64, _: u32, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn bfind_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfi_b32(_: u32, _: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bfi_b64(_: u64, _: u64, _: u32, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn dp4a_u32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp4a_u32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp4a_s32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp4a_s32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_lo_u32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_hi_u32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_lo_u32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_hi_u32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_lo_s32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_hi_s32_u32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_lo_s32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn dp2a_hi_s32_s32(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
