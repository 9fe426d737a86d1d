//! Bodies of `access` rows.
use super::*;
pub(super) extern "C" fn translate(_: Ctx, _: u64, _: u32, _: u32) -> Host {
    std::process::abort()
}
pub(super) extern "C" fn translate_shared(_: Ctx, _: u64, _: u32, _: u32) -> Host {
    std::process::abort()
}
pub(super) extern "C" fn translate_local(_: Ctx, _: u64, _: u32, _: u32) -> Host {
    std::process::abort()
}
pub(super) extern "C" fn translate_param(_: Ctx, _: u64, _: u32, _: u32) -> Host {
    std::process::abort()
}
pub(super) extern "C" fn local_alloc(_: Ctx, _: u64, _: u64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn trap(_: Ctx, _: u32) {
    std::process::abort()
}
