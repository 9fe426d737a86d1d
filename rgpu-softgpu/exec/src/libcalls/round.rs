//! Bodies of `round` rows.
use super::*;
pub(super) extern "C" fn add_rz_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rm_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rp_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rz_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rm_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rp_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rz_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rm_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rp_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn div_rz_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn div_rm_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn div_rp_f32(_: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_f32(_: f32, _: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rz_f32(_: f32, _: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rm_f32(_: f32, _: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rp_f32(_: f32, _: f32, _: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rz_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rm_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rp_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rn_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rz_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rm_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rp_f32(_: f32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn add_rz_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn add_rm_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn add_rp_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rz_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rm_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sub_rp_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rz_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rm_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn mul_rp_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn div_rz_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn div_rm_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn div_rp_f64(_: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rn_f64(_: f64, _: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rz_f64(_: f64, _: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rm_f64(_: f64, _: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn fma_rp_f64(_: f64, _: f64, _: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rz_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rm_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn sqrt_rp_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rn_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rz_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rm_f64(_: f64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn rcp_rp_f64(_: f64) -> f64 {
    std::process::abort()
}
