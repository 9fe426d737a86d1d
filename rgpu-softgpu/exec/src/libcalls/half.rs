//! Bodies of `half` rows.
use super::*;
pub(super) extern "C" fn add_rn_f16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rn_f16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rn_f16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rn_f16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rn_f16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rn_f16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_f16(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_f16x2(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rn_bf16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rn_bf16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rn_bf16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rn_bf16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rn_bf16(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rn_bf16x2(_: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_bf16(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_bf16x2(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_relu_f16(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_relu_bf16(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_relu_f16x2(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_relu_bf16x2(_: u32, _: u32, _: u32) -> u32 {
    std::process::abort()
}
