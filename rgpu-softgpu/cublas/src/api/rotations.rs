//! Rotations of vectors.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::vector::{self, Modified};
use rgpu_softgpu_math::element::{Compute, Element, Float, c32, c64};
use rgpu_softgpu_math::queue::Span;

use super::level1::Complex;
use super::{Dev, Handle};
use crate::args::{Index, length, vector as argument};
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, require};
use crate::types::{Blas, C, Real};

/// The cosine is of the type A, the sine of the type B, elements of the type X; they are computed with as S.
///
/// # Safety
/// Scalars in host memory are valid.
pub(super) unsafe fn rotate<S, X, A, B, I>(
    call: Call,
    n: I,
    [x, y]: [Dev; 2],
    [incx, incy]: [I; 2],
    c: (*const A, impl Fn(A) -> S + Send + 'static),
    s: (*const B, impl Fn(B) -> S + Send + 'static),
) -> Result
where
    S: Compute,
    X: Element<S>,
    A: Copy + Send + Sync + 'static,
    B: Copy + Send + Sync + 'static,
    I: Index,
{
    // SAFETY: the caller's promise.
    let (cosine, sine) = unsafe { (call.scalar(c.0)?, call.scalar(s.0)?) };
    let n = length(n);
    let (x, y) = (
        argument::<X>(x.cast(), n, incx)?,
        argument::<X>(y.cast(), n, incy)?,
    );
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe { vector::rotate(x, y, (c.1)(cosine.get()), (s.1)(sine.get())) };
        Ok(())
    })
}

named! {
    /// A rotation by a cosine and a sine.
    unsafe fn typed_rot<T: Blas, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, c: *const Real<T>, s: *const C<T>,
    ) -> Result {
        let (call, s) = (Call::new("rot", handle)?, s.cast::<T>());
        // SAFETY: the contract of this function.
        unsafe { rotate::<T, T, _, _, I>(call, n, [x, y], [incx, incy], (c, T::of_real), (s, |s| s)) }
    }
    cublasSrot_v2, cublasSrot_v2_64: f32;
    cublasDrot_v2, cublasDrot_v2_64: f64;
    cublasCrot_v2, cublasCrot_v2_64: c32;
    cublasZrot_v2, cublasZrot_v2_64: c64;
}

named! {
    /// A rotation of complex vectors by real numbers.
    unsafe fn real_rot<T: Complex, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, c: *const Real<T>, s: *const Real<T>,
    ) -> Result {
        let call = Call::new("rot", handle)?;
        // SAFETY: the contract of this function.
        unsafe { rotate::<T, T, _, _, I>(call, n, [x, y], [incx, incy], (c, T::of_real), (s, T::of_real)) }
    }
    cublasCsrot_v2, cublasCsrot_v2_64: c32;
    cublasZdrot_v2, cublasZdrot_v2_64: c64;
}

/// S and D.
pub(super) trait Single: Compute<Real = Self> + Float {}

impl Single for f32 {}
impl Single for f64 {}

/// Parameters are of the type P, elements of the type X; they are computed with as S.
///
/// # Safety
/// Parameters in host memory are valid.
pub(super) unsafe fn rotate_modified<S: Single, X: Element<S>, P: Element<S>, I: Index>(
    call: Call,
    n: I,
    [x, y]: [Dev; 2],
    [incx, incy]: [I; 2],
    parameters: *const Modified<P>,
) -> Result {
    // SAFETY: the caller's promise.
    let parameters = unsafe { call.scalar(parameters)? };
    let n = length(n);
    let (x, y) = (
        argument::<X>(x.cast(), n, incx)?,
        argument::<X>(y.cast(), n, incy)?,
    );
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe { vector::rotate_modified(x, y, parameters.get().map(P::load)) };
        Ok(())
    })
}

named! {
    /// A modified rotation.
    unsafe fn typed_rotm<T: Single, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, parameters: *const Modified<T>,
    ) -> Result {
        let call = Call::new("rotm", handle)?;
        // SAFETY: the contract of this function.
        unsafe { rotate_modified::<T, T, T, I>(call, n, [x, y], [incx, incy], parameters) }
    }
    cublasSrotm_v2, cublasSrotm_v2_64: f32;
    cublasDrotm_v2, cublasDrotm_v2_64: f64;
}

/// Runs `make` on numbers in host or device memory, as the pointer mode says.
///
/// # Safety
/// In host memory all may be read and written.
pub(super) unsafe fn in_place<const N: usize>(
    call: Call,
    numbers: [(*mut c_void, usize); N],
    make: impl FnOnce([*mut c_void; N]) + Send + 'static,
) -> Result {
    require(numbers.iter().all(|(pointer, _)| !pointer.is_null()))?;
    if !call.is_on_device() {
        make(numbers.map(|(pointer, _)| pointer));
        return Ok(());
    }
    let mut spans = [None; N];
    for (span, (pointer, bytes)) in spans.iter_mut().zip(numbers) {
        *span = Some(Span::new(pointer.cast::<u8>().cast_const(), bytes)?);
    }
    call.enqueue(move |_| {
        make(spans.map(|span| span.map_or(std::ptr::null_mut(), |span| span.pointer().cast())));
        Ok(())
    })
}

/// The rotation that makes the second of two numbers zero, for numbers of the types T and (the sine) U, and C for the
/// cosine.
///
/// # Safety
/// As [`in_place`].
pub(super) unsafe fn make<S, T, C, U>(
    call: Call,
    [a, b, c, s]: [*mut c_void; 4],
    cosine: impl Fn(S::Real) -> C + Send + 'static,
) -> Result
where
    S: Compute,
    T: Element<S>,
    C: Copy,
    U: Element<S>,
{
    let numbers = [
        (a, size_of::<T>()),
        (b, size_of::<T>()),
        (c, size_of::<C>()),
        (s, size_of::<U>()),
    ];
    // SAFETY: the caller's promise; on the device the driver has vouched for all.
    unsafe {
        in_place(call, numbers, move |[a, b, c, s]| {
            let (a, b) = (a.cast::<T>(), b.cast::<T>());
            let (r, z, cos, sin) =
                vector::make_rotation(a.read_unaligned().load(), b.read_unaligned().load());
            a.write_unaligned(T::store(r));
            b.write_unaligned(T::store(z));
            c.cast::<C>().write_unaligned(cosine(cos));
            s.cast::<U>().write_unaligned(U::store(sin));
        })
    }
}

named! {
    /// The rotation that makes the second of two numbers zero.
    unsafe fn typed_rotg<T: Blas, I: Index>(
        handle: Handle, a: *mut C<T>, b: *mut C<T>, c: *mut Real<T>, s: *mut C<T>,
    ) -> Result {
        let call = Call::new("rotg", handle)?;
        // SAFETY: the contract of this function.
        unsafe { make::<T, T, Real<T>, T>(call, [a.cast(), b.cast(), c.cast(), s.cast()], |c| c) }
    }
    cublasSrotg_v2: f32;
    cublasDrotg_v2: f64;
    cublasCrotg_v2: c32;
    cublasZrotg_v2: c64;
}

/// The modified rotation that makes the second of two numbers zero, for numbers of the type T.
///
/// # Safety
/// As [`in_place`], and `y1` in host memory is valid.
pub(super) unsafe fn make_modified<S: Single, T: Element<S>>(
    call: Call,
    [d1, d2, x1]: [*mut c_void; 3],
    y1: *const T,
    parameters: *mut c_void,
) -> Result {
    let one = size_of::<T>();
    let numbers = [(d1, one), (d2, one), (x1, one), (parameters, 5 * one)];
    // SAFETY: the caller's promise; on the device the driver has vouched for all.
    unsafe {
        let y1 = call.scalar(y1)?;
        in_place(call, numbers, move |[d1, d2, x1, parameters]| {
            let places = [d1, d2, x1].map(<*mut c_void>::cast::<T>);
            let values = places.map(|place| place.read_unaligned().load());
            let (values, made) = vector::make_modified(values, y1.get().load());
            for (place, value) in places.into_iter().zip(values) {
                place.write_unaligned(T::store(value));
            }
            let made = made.map(T::store);
            parameters.cast::<Modified<T>>().write_unaligned(made);
        })
    }
}

named! {
    /// The modified rotation that makes the second of two numbers zero.
    unsafe fn typed_rotmg<T: Single, I: Index>(
        handle: Handle, d1: *mut T, d2: *mut T, x1: *mut T, y1: *const T, parameters: *mut Modified<T>,
    ) -> Result {
        let call = Call::new("rotmg", handle)?;
        // SAFETY: the contract of this function.
        unsafe { make_modified::<T, T>(call, [d1.cast(), d2.cast(), x1.cast()], y1, parameters.cast()) }
    }
    cublasSrotmg_v2: f32;
    cublasDrotmg_v2: f64;
}
