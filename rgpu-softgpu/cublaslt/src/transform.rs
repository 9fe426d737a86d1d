//! C = alpha op(A) + beta op(B): transposition, sums, changes of type and order.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::status::{Result, Status, require};
use rgpu_softgpu_math::element::{Element, c32, c64, f16};
use rgpu_softgpu_math::gemm::batch;
use rgpu_softgpu_math::kind::{Dynamic, Kind};
use rgpu_softgpu_math::queue::{Scalar, Span, Stream};

use crate::fields::{Fields, transform};
use crate::plan::{Layout, Operation};

/// A device pointer and its layout.
type End = (*mut c_void, Option<Fields>);

/// One that is added.
#[derive(Debug, Clone, Copy)]
struct Term<X> {
    factor: Scalar<X>,
    operation: Operation,
    layout: Layout,
    span: Span<u8>,
}

/// Puts a transform into a stream.
///
/// # Safety
/// Scalars in host memory are valid.
pub(crate) unsafe fn enqueue(
    descriptor: Fields,
    ends: [End; 3],
    scalars: [*const c_void; 2],
    stream: Stream,
) -> Result {
    // SAFETY: the caller's promise.
    unsafe {
        match Kind::of_data_type(descriptor.get(transform::SCALE_TYPE)) {
            Some(Kind::F16) => typed::<f32, f16>(descriptor, ends, scalars, stream),
            Some(Kind::F32) => typed::<f32, f32>(descriptor, ends, scalars, stream),
            Some(Kind::I32) => typed::<f64, i32>(descriptor, ends, scalars, stream),
            Some(Kind::F64) => typed::<f64, f64>(descriptor, ends, scalars, stream),
            Some(Kind::C32) => typed::<c32, c32>(descriptor, ends, scalars, stream),
            Some(Kind::C64) => typed::<c64, c64>(descriptor, ends, scalars, stream),
            _ => Err(Status::NOT_SUPPORTED),
        }
    }
}

/// # Safety
/// As [`enqueue`]; the scalars are of the type X.
unsafe fn typed<S: Dynamic, X: Element<S>>(
    descriptor: Fields,
    [a, b, (c, c_layout)]: [End; 3],
    [alpha, beta]: [*const c_void; 2],
    stream: Stream,
) -> Result {
    let on_device = match descriptor.get::<u32>(transform::POINTER_MODE) {
        0 => false,
        1 => true,
        _ => return Err(Status::NOT_SUPPORTED),
    };
    let target = Layout::new(c_layout.ok_or(Status::INVALID_VALUE)?)?;
    if !S::holds(target.kind) {
        return Err(Status::NOT_SUPPORTED);
    }
    let size = (target.rows, target.columns);
    // SAFETY: the caller's promise.
    let term = |(pointer, layout): End, factor: *const c_void, operation| unsafe {
        let factor = factor.cast::<X>();
        if factor.is_null() || layout.is_none() {
            return Ok(None);
        }
        let factor = match on_device {
            true => Scalar::Device(Span::new(factor, 1)?),
            false => Scalar::Known(factor.read_unaligned()),
        };
        if let Scalar::Known(value) = factor
            && value.load().is_zero()
        {
            return Ok(None);
        }
        let layout = Layout::new(layout.ok_or(Status::INVALID_VALUE)?)?;
        let operation = Operation::new(descriptor.get(operation))?;
        require(operation.size(layout) == size && layout.count == target.count)?;
        if !S::holds(layout.kind) {
            return Err(Status::NOT_SUPPORTED);
        }
        let span = Span::new(pointer.cast::<u8>().cast_const(), layout.bytes())?;
        Ok(Some(Term {
            factor,
            operation,
            layout,
            span,
        }))
    };
    let terms = [
        term(a, alpha, transform::TRANSA)?,
        term(b, beta, transform::TRANSB)?,
    ];
    let c = Span::new(c.cast::<u8>().cast_const(), target.bytes())?;
    Ok(stream.enqueue("cublasLtMatrixTransform", move |_| {
        batch(target.count, |index, _| {
            let (rows, columns) = size;
            let mut sums = vec![S::zero(); rows * columns];
            for term in terms.iter().flatten() {
                let factor = term.factor.get().load();
                let matrix = term.layout.matrix(term.span.pointer(), index);
                // SAFETY: the driver has vouched for it.
                let values = unsafe {
                    S::gather(
                        term.layout.kind,
                        term.operation.apply(matrix),
                        rows,
                        columns,
                    )
                };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += factor * value;
                }
            }
            // SAFETY: the driver has vouched for it.
            unsafe { S::scatter(target.kind, &sums, rows, target.matrix(c.pointer(), index)) };
        });
        Ok(())
    })?)
}
