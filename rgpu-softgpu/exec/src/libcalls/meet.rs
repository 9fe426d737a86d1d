//! Bodies of `meet` rows.
use super::*;
pub(super) extern "C" fn bar_sync(_: Ctx, _: u32, _: u32) {
    std::process::abort()
}
pub(super) extern "C" fn bar_arrive(_: Ctx, _: u32, _: u32) {
    std::process::abort()
}
pub(super) extern "C" fn bar_red(_: Ctx, _: u32, _: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn bar_warp_sync(_: Ctx, _: u32) {
    std::process::abort()
}
pub(super) extern "C" fn shfl_sync(_: Ctx, _: u32, _: u32, _: u32, _: u32, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn vote_sync(_: Ctx, _: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn match_any_sync(_: Ctx, _: u64, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn match_all_sync(_: Ctx, _: u64, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn redux_sync(_: Ctx, _: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn elect_sync(_: Ctx, _: u32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn activemask(_: Ctx, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn yield_(_: Ctx) {
    std::process::abort()
}
pub(super) extern "C" fn nanosleep(_: Ctx, _: u32) {
    std::process::abort()
}
