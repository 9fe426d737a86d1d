//! The host functions that compiled kernels call: one row per function.
//!
//! The JIT declares and links them from [`LIBCALLS`]; it knows nothing else of them. Names follow the PTX
//! instruction. Every function that needs the running thread takes its [`ThreadContext`] first. Conventions:
//!
//! - f16, bf16 and 8-bit floats travel as bits in the low end of a `u32` (high bits ignored on the way in,
//!   zero on the way out); `x2` forms use the whole `u32`.
//! - A pair (value, predicate) comes back as one `u64`: value in bits 0..32, predicate in bit 32.
//! - `.ftz` and `.sat` are the caller's: flush or clamp before and after.
//! - NaN results are PTX's canonical NaN.
//! - `trap` does not return. After `assertfail` the thread has to end.
//!
//! | function | arguments after the context |
//! |---|---|
//! | `translate` | generic (or global) address, bytes, 1 if it writes; gives the host address or traps |
//! | `translate_shared`, `_local`, `_param` | offset in that space (`param`: of the kernel's parameters), bytes, 1 if it writes |
//! | `local_alloc` | bytes, alignment; gives an offset in local memory, moves `local_top` |
//! | `trap` | [`crate::abi::Trap::code`] |
//! | `bar_sync`, `bar_arrive` | barrier 0..16, thread count (0: all of the block) |
//! | `bar_red` | barrier, thread count, predicate, [`bar_red`] operation |
//! | `shfl_sync` | [`shfl`] mode, value, b, c, lane mask; gives (value, predicate) |
//! | `vote_sync` | [`vote`] mode, predicate, lane mask |
//! | `match_any_sync` | value, lane mask |
//! | `match_all_sync` | value, lane mask; gives (mask, predicate) |
//! | `redux_sync` | [`redux`] operation, value, lane mask |
//! | `elect_sync` | lane mask; gives (leader, predicate) |
//! | `activemask` | a number that is the instruction's own within its kernel |
//! | `yield_` | none; called at the back edge of loops that poll memory |
//! | `atom_cas_b128` | address, compare low, high, swap low, high, where the old value goes (16 bytes) |
//! | `atom_exch_b128` | address, new low, high, where the old value goes (16 bytes) |

mod access;
mod approx;
mod atomic;
mod convert;
mod host;
mod integer;
mod meet;
mod printf;
mod round;
mod soft;

use crate::abi::ThreadContext;

/// First argument of the functions that need the running thread.
pub type Ctx = *mut ThreadContext;
/// A host address.
pub type Host = *mut u8;

/// Modes of `shfl_sync`.
pub mod shfl {
    /// `.up`.
    pub const UP: u32 = 0;
    /// `.down`.
    pub const DOWN: u32 = 1;
    /// `.bfly`.
    pub const BFLY: u32 = 2;
    /// `.idx`.
    pub const IDX: u32 = 3;
}

/// Modes of `vote_sync`.
pub mod vote {
    /// `.all`: 0 or 1.
    pub const ALL: u32 = 0;
    /// `.any`: 0 or 1.
    pub const ANY: u32 = 1;
    /// `.uni`: 0 or 1.
    pub const UNI: u32 = 2;
    /// `.ballot`: a lane mask.
    pub const BALLOT: u32 = 3;
}

/// Operations of `redux_sync`.
pub mod redux {
    /// `.add`.
    pub const ADD: u32 = 0;
    /// `.min.s32`.
    pub const MIN_S32: u32 = 1;
    /// `.max.s32`.
    pub const MAX_S32: u32 = 2;
    /// `.min.u32`.
    pub const MIN_U32: u32 = 3;
    /// `.max.u32`.
    pub const MAX_U32: u32 = 4;
    /// `.and.b32`.
    pub const AND: u32 = 5;
    /// `.or.b32`.
    pub const OR: u32 = 6;
    /// `.xor.b32`.
    pub const XOR: u32 = 7;
    /// `.min.f32`: a NaN loses against a number.
    pub const MIN_F32: u32 = 8;
    /// `.max.f32`.
    pub const MAX_F32: u32 = 9;
    /// `.min.NaN.f32`: a NaN wins.
    pub const MIN_NAN_F32: u32 = 10;
    /// `.max.NaN.f32`.
    pub const MAX_NAN_F32: u32 = 11;
}

/// Operations of `bar_red`.
pub mod bar_red {
    /// `.popc`: how many threads have the predicate.
    pub const POPC: u32 = 0;
    /// `.and`: 0 or 1.
    pub const AND: u32 = 1;
    /// `.or`: 0 or 1.
    pub const OR: u32 = 2;
}

/// What `vmad` does besides multiplying and adding.
pub mod vmad {
    /// The product counts negative.
    pub const NEGATE_PRODUCT: u32 = 1;
    /// The addend counts negative.
    pub const NEGATE_ADDEND: u32 = 2;
    /// `.po`: one more.
    pub const PLUS_ONE: u32 = 4;
    /// The result is signed.
    pub const SIGNED: u32 = 8;
    /// `.sat`.
    pub const SATURATE: u32 = 16;
    /// `.shr7`.
    pub const SHIFT_7: u32 = 32;
    /// `.shr15`.
    pub const SHIFT_15: u32 = 64;
}

/// Type of an argument or a result, as the machine passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// Host address.
    Ptr,
}

/// One function that compiled code may call (C calling convention of the host).
#[derive(Debug)]
pub struct LibCall {
    /// Its name, unique in the table.
    pub name: &'static str,
    /// Its arguments.
    pub params: &'static [Ty],
    /// Its result.
    pub ret: Option<Ty>,
    address: Address,
}

impl LibCall {
    /// Where it is.
    pub fn address(&self) -> *const u8 {
        self.address.0
    }
}

/// The row called `name`.
pub fn find(name: &str) -> Option<&'static LibCall> {
    LIBCALLS.iter().find(|row| row.name == name)
}

#[derive(Debug)]
struct Address(*const u8);

// SAFETY: the address of a function; nothing is ever written through it.
unsafe impl Sync for Address {}

/// Rust types that may appear in a row.
trait Abi {
    const TY: Option<Ty>;
}

macro_rules! abi {
    ($($rust:ty => $ty:expr;)*) => { $(impl Abi for $rust { const TY: Option<Ty> = $ty; })* };
}

abi! {
    () => None;
    u32 => Some(Ty::I32);
    u64 => Some(Ty::I64);
    f32 => Some(Ty::F32);
    f64 => Some(Ty::F64);
    Ctx => Some(Ty::Ptr);
    Host => Some(Ty::Ptr);
}

const fn argument<T: Abi>() -> Ty {
    match T::TY {
        Some(ty) => ty,
        None => panic!("an argument has a type"),
    }
}

macro_rules! result {
    () => {
        ()
    };
    ($ty:ty) => {
        $ty
    };
}

macro_rules! libcalls {
    ($($module:ident::$name:ident($($param:ty),*) $(-> $ret:ty)?;)*) => {
        /// Every function that compiled code may call.
        pub static LIBCALLS: &[LibCall] = &[$(LibCall {
            name: stringify!($name),
            params: &[$(argument::<$param>()),*],
            ret: <result!($($ret)?) as Abi>::TY,
            address: Address({
                // The cast checks the row against the function.
                let function: unsafe extern "C" fn($($param),*) $(-> $ret)? = $module::$name;
                function as *const u8
            }),
        }),*];
    };
}

libcalls! {
    // Memory and traps.
    access::translate(Ctx, u64, u32, u32) -> Host;
    access::translate_shared(Ctx, u64, u32, u32) -> Host;
    access::translate_local(Ctx, u64, u32, u32) -> Host;
    access::translate_param(Ctx, u64, u32, u32) -> Host;
    access::local_alloc(Ctx, u64, u64) -> u64;
    access::trap(Ctx, u32);
    // Threads that meet.
    meet::bar_sync(Ctx, u32, u32);
    meet::bar_arrive(Ctx, u32, u32);
    meet::bar_red(Ctx, u32, u32, u32, u32) -> u32;
    meet::bar_warp_sync(Ctx, u32);
    meet::shfl_sync(Ctx, u32, u32, u32, u32, u32) -> u64;
    meet::vote_sync(Ctx, u32, u32, u32) -> u32;
    meet::match_any_sync(Ctx, u64, u32) -> u32;
    meet::match_all_sync(Ctx, u64, u32) -> u64;
    meet::redux_sync(Ctx, u32, u32, u32) -> u32;
    meet::elect_sync(Ctx, u32) -> u64;
    meet::activemask(Ctx, u32) -> u32;
    meet::yield_(Ctx);
    meet::nanosleep(Ctx, u32);
    // The host.
    host::clock64(Ctx) -> u64;
    host::globaltimer(Ctx) -> u64;
    host::vprintf(Ctx, u64, u64) -> u32;
    host::malloc(Ctx, u64) -> u64;
    host::free(Ctx, u64);
    host::assertfail(Ctx, u64, u64, u32, u64, u64);
    // Atomics wider than Cranelift's; the pointer is a host address, aligned to 16.
    atomic::atom_cas_b128(Host, u64, u64, u64, u64, Host);
    atomic::atom_exch_b128(Host, u64, u64, Host);
    // Integer.
    integer::fns_b32(u32, u32, u32) -> u32;
    integer::vmad(u64, u64, u64, u32) -> u32;
    // Doubles in directed roundings, exactly; the rest is compiled inline.
    round::mul_rz_f64(f64, f64) -> f64;
    round::mul_rm_f64(f64, f64) -> f64;
    round::mul_rp_f64(f64, f64) -> f64;
    round::div_rz_f64(f64, f64) -> f64;
    round::div_rm_f64(f64, f64) -> f64;
    round::div_rp_f64(f64, f64) -> f64;
    round::fma_rz_f64(f64, f64, f64) -> f64;
    round::fma_rm_f64(f64, f64, f64) -> f64;
    round::fma_rp_f64(f64, f64, f64) -> f64;
    round::sqrt_rz_f64(f64) -> f64;
    round::sqrt_rm_f64(f64) -> f64;
    round::sqrt_rp_f64(f64) -> f64;
    round::rcp_rz_f64(f64) -> f64;
    round::rcp_rm_f64(f64) -> f64;
    round::rcp_rp_f64(f64) -> f64;
    // Floating point, approximate.
    approx::rsqrt_approx_f32(f32) -> f32;
    approx::sin_approx_f32(f32) -> f32;
    approx::cos_approx_f32(f32) -> f32;
    approx::lg2_approx_f32(f32) -> f32;
    approx::ex2_approx_f32(f32) -> f32;
    approx::tanh_approx_f32(f32) -> f32;
    approx::rcp_approx_ftz_f64(f64) -> f64;
    approx::rsqrt_approx_f64(f64) -> f64;
    approx::rsqrt_approx_ftz_f64(f64) -> f64;
    approx::ex2_approx_f16(u32) -> u32;
    approx::ex2_approx_ftz_bf16(u32) -> u32;
    approx::ex2_approx_f16x2(u32) -> u32;
    approx::ex2_approx_ftz_bf16x2(u32) -> u32;
    approx::tanh_approx_f16(u32) -> u32;
    approx::tanh_approx_bf16(u32) -> u32;
    approx::tanh_approx_f16x2(u32) -> u32;
    approx::tanh_approx_bf16x2(u32) -> u32;
    // Conversions; f16, bf16 and 8-bit floats travel in the low bits of a u32.
    convert::cvt_rs_f16_f32(f32, u32) -> u32;
    convert::cvt_rs_bf16_f32(f32, u32) -> u32;
    convert::cvt_rn_f16_s64(u64) -> u32;
    convert::cvt_rz_f16_s64(u64) -> u32;
    convert::cvt_rm_f16_s64(u64) -> u32;
    convert::cvt_rp_f16_s64(u64) -> u32;
    convert::cvt_rn_f16_u64(u64) -> u32;
    convert::cvt_rz_f16_u64(u64) -> u32;
    convert::cvt_rm_f16_u64(u64) -> u32;
    convert::cvt_rp_f16_u64(u64) -> u32;
    convert::cvt_rn_bf16_s64(u64) -> u32;
    convert::cvt_rz_bf16_s64(u64) -> u32;
    convert::cvt_rm_bf16_s64(u64) -> u32;
    convert::cvt_rp_bf16_s64(u64) -> u32;
    convert::cvt_rn_bf16_u64(u64) -> u32;
    convert::cvt_rz_bf16_u64(u64) -> u32;
    convert::cvt_rm_bf16_u64(u64) -> u32;
    convert::cvt_rp_bf16_u64(u64) -> u32;
    convert::cvt_rn_f32_s64(u64) -> f32;
    convert::cvt_rz_f32_s64(u64) -> f32;
    convert::cvt_rm_f32_s64(u64) -> f32;
    convert::cvt_rp_f32_s64(u64) -> f32;
    convert::cvt_rn_f32_u64(u64) -> f32;
    convert::cvt_rz_f32_u64(u64) -> f32;
    convert::cvt_rm_f32_u64(u64) -> f32;
    convert::cvt_rp_f32_u64(u64) -> f32;
    convert::cvt_rn_f64_s64(u64) -> f64;
    convert::cvt_rz_f64_s64(u64) -> f64;
    convert::cvt_rm_f64_s64(u64) -> f64;
    convert::cvt_rp_f64_s64(u64) -> f64;
    convert::cvt_rn_f64_u64(u64) -> f64;
    convert::cvt_rz_f64_u64(u64) -> f64;
    convert::cvt_rm_f64_u64(u64) -> f64;
    convert::cvt_rp_f64_u64(u64) -> f64;
    convert::cvt_rn_satfinite_e4m3_f32(f32) -> u32;
    convert::cvt_rn_f16_e4m3(u32) -> u32;
    convert::cvt_rn_satfinite_e5m2_f32(f32) -> u32;
    convert::cvt_rn_f16_e5m2(u32) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = LIBCALLS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let rows = names.len();
        names.dedup();
        assert_eq!(names.len(), rows);
    }

    #[test]
    fn rows_carry_the_signature() {
        let row = find("shfl_sync").unwrap();
        assert_eq!(
            row.params,
            [Ty::Ptr, Ty::I32, Ty::I32, Ty::I32, Ty::I32, Ty::I32]
        );
        assert_eq!(row.ret, Some(Ty::I64));
        assert_eq!(find("yield_").unwrap().ret, None);
        assert!(find("no such function").is_none());
    }
}
