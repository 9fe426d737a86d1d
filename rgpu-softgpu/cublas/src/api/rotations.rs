//! Rotations of vectors.

use rgpu_softgpu_math::blas::vector::{self, Modified};
use rgpu_softgpu_math::element::{Compute, Float, c32, c64};
use rgpu_softgpu_math::queue::Span;

use super::level1::Complex;
use super::{Dev, Handle};
use crate::args::{Index, length, vector as argument};
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, require};
use crate::types::{Blas, C, Real, Typed};

/// # Safety
/// Scalars in host memory are valid.
unsafe fn rotate<T: Blas, S: Copy + Send + Sync + 'static, I: Index>(
    handle: Handle,
    n: I,
    [x, y]: [Dev; 2],
    [incx, incy]: [I; 2],
    c: *const Real<T>,
    s: *const S,
    sine: impl Fn(S) -> T + Send + 'static,
) -> Result {
    let call = Call::new("rot", handle)?;
    // SAFETY: the caller's promise.
    let (c, s) = unsafe { (call.scalar(c)?, call.scalar(s)?) };
    let n = length(n);
    let (x, y) = (
        argument::<T>(x.cast(), n, incx)?,
        argument::<T>(y.cast(), n, incy)?,
    );
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe { vector::rotate(x, y, T::of_real(c.get()), sine(s.get())) };
        Ok(())
    })
}

named! {
    /// A rotation by a cosine and a sine.
    unsafe fn typed_rot<T: Blas, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, c: *const Real<T>, s: *const C<T>,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { rotate::<T, T, I>(handle, n, [x, y], [incx, incy], c, s.cast(), |s| s) }
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
        // SAFETY: the contract of this function.
        unsafe { rotate::<T, Real<T>, I>(handle, n, [x, y], [incx, incy], c, s, T::of_real) }
    }
    cublasCsrot_v2, cublasCsrot_v2_64: c32;
    cublasZdrot_v2, cublasZdrot_v2_64: c64;
}

/// S and D.
trait Single: Typed<Compute = Self, Real = Self> + Compute<Real = Self> + Float {}

impl Single for f32 {}
impl Single for f64 {}

named! {
    /// A modified rotation.
    unsafe fn typed_rotm<T: Single, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, parameters: *const Modified<T>,
    ) -> Result {
        let call = Call::new("rotm", handle)?;
        // SAFETY: the contract of this function.
        let parameters = unsafe { call.scalar(parameters)? };
        let n = length(n);
        let (x, y) = (argument::<T>(x.cast(), n, incx)?, argument::<T>(y.cast(), n, incy)?);
        call.enqueue(move |_| {
            // SAFETY: the driver has vouched for both.
            unsafe { vector::rotate_modified(x, y, parameters.get()) };
            Ok(())
        })
    }
    cublasSrotm_v2, cublasSrotm_v2_64: f32;
    cublasDrotm_v2, cublasDrotm_v2_64: f64;
}

named! {
    /// The rotation that makes the second of two numbers zero.
    unsafe fn typed_rotg<T: Blas, I: Index>(
        handle: Handle, a: *mut C<T>, b: *mut C<T>, c: *mut Real<T>, s: *mut C<T>,
    ) -> Result {
        let call = Call::new("rotg", handle)?;
        let (a, b, s) = (a.cast::<T>(), b.cast::<T>(), s.cast::<T>());
        require(!a.is_null() && !b.is_null() && !c.is_null() && !s.is_null())?;
        if call.is_on_device() {
            let (a, b, s) = (Span::new(a, 1)?, Span::new(b, 1)?, Span::new(s, 1)?);
            let c = Span::new(c, 1)?;
            return call.enqueue(move |_| {
                // SAFETY: one number each, for which the driver has vouched.
                unsafe { make(a.pointer(), b.pointer(), c.pointer(), s.pointer()) };
                Ok(())
            });
        }
        // SAFETY: the contract of this function.
        unsafe { make(a, b, c, s) };
        Ok(())
    }
    cublasSrotg_v2: f32;
    cublasDrotg_v2: f64;
    cublasCrotg_v2: c32;
    cublasZrotg_v2: c64;
}

/// # Safety
/// All pointers may be read and written.
unsafe fn make<T: Blas>(a: *mut T, b: *mut T, c: *mut Real<T>, s: *mut T) {
    // SAFETY: the caller's promise.
    unsafe {
        let (r, z, cosine, sine) = vector::make_rotation(a.read_unaligned(), b.read_unaligned());
        a.write_unaligned(r);
        b.write_unaligned(z);
        c.write_unaligned(cosine);
        s.write_unaligned(sine);
    }
}
