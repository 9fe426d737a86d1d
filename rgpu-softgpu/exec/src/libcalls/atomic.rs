//! Bodies of `atomic` rows.
use super::*;
pub(super) extern "C" fn atom_inc_u32(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_dec_u32(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_inc_u64(_: Host, _: u64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn atom_dec_u64(_: Host, _: u64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_f32(_: Host, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_f64(_: Host, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_f16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_bf16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_f16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_add_bf16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_min_f16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_min_bf16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_min_f16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_min_bf16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_max_f16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_max_bf16(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_max_f16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_max_bf16x2(_: Host, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_cas_b16(_: Host, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn atom_cas_b128(_: Host, _: u64, _: u64, _: u64, _: u64, _: Host) {
    std::process::abort()
}
pub(super) extern "C" fn atom_exch_b128(_: Host, _: u64, _: u64, _: Host) {
    std::process::abort()
}
