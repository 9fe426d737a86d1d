//! Bodies of `approx` rows.
use super::*;
pub(super) extern "C" fn rcp_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rsqrt_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sin_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cos_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn lg2_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn ex2_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn tanh_approx_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn div_approx_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn div_full_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_approx_ftz_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rsqrt_approx_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rsqrt_approx_ftz_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn ex2_approx_f16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn ex2_approx_bf16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn ex2_approx_f16x2(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn ex2_approx_bf16x2(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn tanh_approx_f16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn tanh_approx_bf16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn tanh_approx_f16x2(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn tanh_approx_bf16x2(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn ftz_f32(_: f32) -> f32 {
    std::process::abort()
}
