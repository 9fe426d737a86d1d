//! Bodies of `convert` rows.
use super::*;
pub(super) extern "C" fn cvt_rn_f16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_bf16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_bf16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_bf16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_bf16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_bf16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_bf16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_bf16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_bf16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f32_f64(_: f64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f32_f64(_: f64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f32_f64(_: f64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_f32_f16(_: u32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_f32_bf16(_: u32) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_f64_f16(_: u32) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_f64_bf16(_: u32) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_bf16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_bf16_f16(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_tf32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_tf32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rna_tf32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_bf16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_bf16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_bf16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_bf16_s64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_bf16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_bf16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_bf16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_bf16_u64(_: u64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f32_s64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f32_s64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f32_s64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f32_s64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f32_u64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f32_u64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f32_u64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f32_u64(_: u64) -> f32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f64_s64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f64_s64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f64_s64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f64_s64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f64_u64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rz_f64_u64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rm_f64_u64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rp_f64_u64(_: u64) -> f64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u8_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u16_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u32_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u64_f32(_: f32) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u8_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u16_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u32_f64(_: f64) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_s64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_s64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_s64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_s64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rni_u64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rzi_u64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rmi_u64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rpi_u64_f64(_: f64) -> u64 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_satfinite_e4m3_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_e4m3(_: u32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_satfinite_e5m2_f32(_: f32) -> u32 {
    std::process::abort()
}
pub(super) extern "C" fn cvt_rn_f16_e5m2(_: u32) -> u32 {
    std::process::abort()
}
