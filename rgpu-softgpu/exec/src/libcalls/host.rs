//! Bodies of `host` rows.
use super::*;
pub(super) extern "C" fn clock64(_: Ctx) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn globaltimer(_: Ctx) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn vprintf(_: Ctx, _: u64, _: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn malloc(_: Ctx, _: u64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn free(_: Ctx, _: u64) {
    std::process::abort()
}
pub(super) extern "C" fn assertfail(_: Ctx, _: u64, _: u64, _: u32, _: u64, _: u64) {
    std::process::abort()
}
