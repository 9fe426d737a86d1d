//! How a product is computed: sums, then the epilogue, then D is stored.

use rgpu_softgpu_math::blas::status::{Result, Status, require};
use rgpu_softgpu_math::element::{Compute, Element, c32, c64, f16};
use rgpu_softgpu_math::gemm::{Matrix, Shape, Threads, batch, gemm};
use rgpu_softgpu_math::kind::{Dynamic, Kind};
use rgpu_softgpu_math::queue::{Scalar, Span, Stream};
use std::ffi::c_void;

use crate::epilogue::{Activated, Attached};
use crate::plan::{Beta, Plan, Scalars, Sums};

/// The device pointers of A, B, C and D.
pub(crate) type Pointers = [*mut c_void; 4];

/// A scalar of an argument, or a vector of them in device memory.
#[derive(Debug, Clone, Copy)]
enum Factor<X> {
    One(Scalar<X>),
    Rows(Span<X>, usize),
}

impl<X: Copy> Factor<X> {
    /// For the row `row` of the product number `index`.
    fn get(self, index: usize, row: usize) -> X {
        match self {
            Self::One(scalar) => scalar.get(),
            // SAFETY: the driver has vouched for every row of every product; any bytes are a value.
            Self::Rows(span, stride) => unsafe { span.pointer().add(index * stride + row).read() },
        }
    }
}

/// Puts a product into a stream.
///
/// # Safety
/// Scalars in host memory are valid.
pub(crate) unsafe fn enqueue(
    plan: Plan,
    pointers: Pointers,
    alpha: *const c_void,
    beta: *const c_void,
    stream: Stream,
) -> Result {
    // SAFETY: the caller's promise.
    unsafe {
        match (plan.sums, plan.scalar) {
            (Sums::Single, Kind::F16) => typed::<f32, f16>(plan, pointers, alpha, beta, stream),
            (Sums::Single, _) => typed::<f32, f32>(plan, pointers, alpha, beta, stream),
            (Sums::Double, Kind::I32) => typed::<f64, i32>(plan, pointers, alpha, beta, stream),
            (Sums::Double, Kind::F32) => typed::<f64, f32>(plan, pointers, alpha, beta, stream),
            (Sums::Double, _) => typed::<f64, f64>(plan, pointers, alpha, beta, stream),
            (Sums::ComplexSingle, _) => typed::<c32, c32>(plan, pointers, alpha, beta, stream),
            (Sums::ComplexDouble, _) => typed::<c64, c64>(plan, pointers, alpha, beta, stream),
        }
    }
}

/// # Safety
/// As [`enqueue`].
unsafe fn factors<X: Element<S>, S: Compute>(
    plan: &Plan,
    alpha: *const X,
    beta: *const X,
) -> Result<[Factor<X>; 2]> {
    require(!alpha.is_null())?;
    let rows = |pointer| {
        let all = (plan.d.count - 1)
            .saturating_mul(plan.alpha_stride)
            .saturating_add(plan.shape.m);
        Ok::<_, Status>(Factor::Rows(Span::new(pointer, all)?, plan.alpha_stride))
    };
    // SAFETY: the caller's promise.
    let host = |pointer: *const X| unsafe { Factor::One(Scalar::Known(pointer.read_unaligned())) };
    let device = |pointer| Ok::<_, Status>(Factor::One(Scalar::Device(Span::new(pointer, 1)?)));
    let zero = Factor::One(Scalar::Known(X::store(S::zero())));
    require(!beta.is_null() || plan.scalars == Scalars::Vector(Beta::Zero))?;
    Ok(match plan.scalars {
        Scalars::Host => [host(alpha), host(beta)],
        Scalars::Device => [device(alpha)?, device(beta)?],
        Scalars::Vector(Beta::Vector) => [rows(alpha)?, rows(beta)?],
        Scalars::Vector(Beta::Zero) => [rows(alpha)?, zero],
        Scalars::Vector(Beta::Host) => [rows(alpha)?, host(beta)],
    })
}

/// # Safety
/// As [`enqueue`]; the scalars are of the type X.
unsafe fn typed<S: Dynamic + Activated, X: Element<S>>(
    plan: Plan,
    [a, b, c, d]: Pointers,
    alpha: *const c_void,
    beta: *const c_void,
    stream: Stream,
) -> Result {
    // SAFETY: the caller's promise.
    let [alpha, beta] = unsafe { factors::<X, S>(&plan, alpha.cast(), beta.cast())? };
    let is_zero = |factor| match factor {
        Factor::One(Scalar::Known(value)) => X::load(value).is_zero(),
        _ => false,
    };
    let span = |pointer: *mut c_void, size| Span::new(pointer.cast::<u8>().cast_const(), size);
    // Neither C, where beta is 0, nor A and B, where alpha is 0, need exist.
    let factor_size = |size| if is_zero(alpha) { 0 } else { size };
    let a = span(a, factor_size(plan.a.bytes()))?;
    let b = span(b, factor_size(plan.b.bytes()))?;
    let d = span(d, plan.d.bytes())?;
    let c = match is_zero(beta) {
        true => span(c, 0)?,
        false => span(c, plan.c.bytes())?,
    };
    for (span, kind) in [
        (a, plan.a.kind),
        (b, plan.b.kind),
        (c, plan.c.kind),
        (d, plan.d.kind),
    ] {
        let part = if matches!(kind, Kind::C32 | Kind::C64) {
            2
        } else {
            1
        };
        let aligned = span.pointer().addr().is_multiple_of(kind.bytes() / part);
        require(span.is_empty() || aligned)?;
    }
    let Shape { m, n, .. } = plan.shape;
    let epilogue = plan.epilogue.attach(m, n, plan.d.count)?;
    let scales = plan.scales.map(|address| scale(address).transpose());
    let [a_scale, b_scale, c_scale, d_scale] = scales;
    let work = Work {
        plan,
        a,
        b,
        c,
        d,
        alpha,
        beta,
        scales: [a_scale?, b_scale?, c_scale?, d_scale?],
        maximum: scale(plan.d_maximum).transpose()?,
        epilogue,
    };
    Ok(stream.enqueue("cublasLtMatmul", move |_| {
        let largest = std::sync::Mutex::new(0.0);
        batch(plan.d.count, |index, threads| {
            let of_one = work.run::<S>(index, threads);
            let mut largest = largest
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *largest = f64::max(*largest, of_one);
        });
        if let Some(maximum) = work.maximum {
            let largest = largest
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // SAFETY: one float, which the driver has vouched for.
            unsafe { maximum.pointer().write(largest as f32) };
        }
        Ok(())
    })?)
}

/// The factor at a device address, if there is one.
fn scale(address: usize) -> Option<rgpu_softgpu_math::queue::Result<Span<f32>>> {
    let pointer: *const f32 = std::ptr::with_exposed_provenance(address);
    (address != 0).then(|| Span::new(pointer, 1))
}

/// All that a product needs when it runs.
#[derive(Debug)]
struct Work<X> {
    plan: Plan,
    a: Span<u8>,
    b: Span<u8>,
    c: Span<u8>,
    d: Span<u8>,
    alpha: Factor<X>,
    beta: Factor<X>,
    scales: [Option<Span<f32>>; 4],
    maximum: Option<Span<f32>>,
    epilogue: Attached,
}

impl<X: Copy + Send + Sync> Work<X> {
    fn scale<S: Dynamic>(&self, which: usize) -> S {
        match self.scales[which] {
            // SAFETY: one float, which the driver has vouched for.
            Some(span) => S::of_f64(unsafe { span.pointer().read() }.into()),
            None => S::one(),
        }
    }

    /// Computes one product of the batch; gives the largest absolute value of D, before its scale.
    fn run<S: Dynamic + Activated>(&self, index: usize, threads: Threads) -> f64
    where
        X: Element<S>,
    {
        let plan = &self.plan;
        let Shape { m, n, .. } = plan.shape;
        let a = plan.operations[0].apply(plan.a.matrix(self.a.pointer(), index));
        let b = plan.operations[1].apply(plan.b.matrix(self.b.pointer(), index));
        let d = plan.d.matrix(self.d.pointer(), index);
        let by_rows = matches!(plan.scalars, Scalars::Vector(_));
        let factor = self.scale::<S>(0) * self.scale::<S>(1);
        let alpha = match by_rows {
            true => factor,
            false => self.alpha.get(index, 0).load() * factor,
        };
        let beta = |row| self.beta.get(index, row).load() * self.scale::<S>(2);
        let needs_c = (0..if by_rows { m } else { 1 }).any(|row| !beta(row).is_zero());
        let c = needs_c.then(|| {
            let c = plan.c.matrix(self.c.pointer(), index);
            // SAFETY: the driver has vouched for C.
            unsafe { S::gather(plan.c.kind, c, m, n) }
        });
        let same = plan.d.kind == S::KIND && plan.epilogue.is_none() && self.maximum.is_none();
        if same && !by_rows && self.scales[3].is_none() {
            // The product can be made in its place.
            let d = d.cast::<S>();
            // SAFETY: the driver has vouched for D.
            unsafe {
                if let Some(c) = &c {
                    rgpu_softgpu_math::gemm::scatter(c, m, d);
                }
                self.product(
                    alpha,
                    a,
                    b,
                    if needs_c { beta(0) } else { S::zero() },
                    d,
                    threads,
                );
            }
            return 0.0;
        }
        let mut sums = vec![S::zero(); m * n];
        let room = Matrix::columns(sums.as_mut_ptr(), m);
        // SAFETY: the sums have `m` rows and `n` columns.
        unsafe { self.product(alpha, a, b, S::zero(), room, threads) };
        for (at, sum) in sums.iter_mut().enumerate() {
            if by_rows {
                *sum *= self.alpha.get(index, at % m).load();
            }
            if let Some(c) = &c {
                *sum += beta(at % m) * c[at];
            }
        }
        let factors = [(plan.a.kind, a), (plan.b.kind, b)];
        // SAFETY: A and B are as the plan says.
        unsafe {
            self.epilogue
                .apply(index, &mut sums, m, plan.shape.k, factors)
        };
        let mut largest = 0.0;
        if self.maximum.is_some() {
            let sizes = sums.iter().map(|value| value.modulus_f64());
            largest = sizes.fold(0.0, f64::max);
        }
        if self.scales[3].is_some() {
            let scale = self.scale::<S>(3);
            sums.iter_mut().for_each(|value| *value *= scale);
        }
        // SAFETY: the driver has vouched for D.
        unsafe { S::scatter(plan.d.kind, &sums, m, d) };
        largest
    }

    /// # Safety
    /// `target` has `m` rows and `n` columns that may be written, and read unless beta is 0.
    unsafe fn product<S: Dynamic>(
        &self,
        alpha: S,
        a: Matrix<u8>,
        b: Matrix<u8>,
        beta: S,
        target: Matrix<S>,
        threads: Threads,
    ) {
        let shape = self.plan.shape;
        let Shape { m, n, k } = shape;
        let (mut a_room, mut b_room) = (Vec::new(), Vec::new());
        // SAFETY: the driver has vouched for A and B, which are not touched where alpha is 0.
        unsafe {
            let alpha_is_zero = alpha.is_zero();
            let factor = |kind, matrix: Matrix<u8>, rows, columns, room: &mut Vec<S>| {
                if kind == S::KIND || alpha_is_zero {
                    return matrix.cast::<S>();
                }
                *room = S::gather(kind, matrix, rows, columns);
                Matrix::columns(room.as_mut_ptr(), rows)
            };
            let a = factor(self.plan.a.kind, a, m, k, &mut a_room);
            let b = factor(self.plan.b.kind, b, k, n, &mut b_room);
            gemm(shape, alpha, a, b, beta, target, threads);
        }
    }
}
