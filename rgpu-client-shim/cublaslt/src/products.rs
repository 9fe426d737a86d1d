//! Products and transforms: posted, with all that their descriptors say.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]
#![expect(clippy::too_many_arguments, reason = "so the C API has it")]

use std::ffi::c_void;

use rgpu_client_libs::{Session, session};
use rgpu_proto::handle::{Blas, BlasLt, FIRST_MINTED, Id, Named};
use rgpu_proto::library::lt::{
    self, Attributes, LAYOUT, MATMUL, POINTER_MODE, SCALE_TYPE, Shape, TRANSFORM,
    TRANSFORM_POINTER_MODE, TRANSFORM_SCALE_TYPE,
};
use rgpu_proto::library::{Client, Fault, Value, data_type_size};
use rgpu_proto::msg::lt::{Algo, LtHandle, LtMatmul, LtProblem, LtTransform};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use crate::api::Result;
use crate::descriptors::attributes;

const MATMUL_OP: Opcode = Opcode::of("cublasLtMatmul");
const TRANSFORM_OP: Opcode = Opcode::of("cublasLtMatrixTransform");

/// The handle of a call. Which handles of cuBLAS are alive only that library knows, and then the server.
pub(crate) fn handle(session: &'static Session, value: *mut c_void) -> Result<LtHandle> {
    if let Some(id) = Id::<Blas>::from_c(value).filter(|id| id.0 >= FIRST_MINTED) {
        return Ok(LtHandle::Blas(id));
    }
    let id = Id::<BlasLt>::from_c(value).ok_or(Fault::Handle)?;
    (&session).check(BlasLt::KIND, id.0)?;
    Ok(LtHandle::Own(id))
}

/// The `cublasLtMatmulAlgo_t` at `at`, if there is one.
///
/// # Safety
/// A non-null `at` points to one.
pub(crate) unsafe fn algo(at: *const c_void) -> Option<Algo> {
    // SAFETY: the caller's promise.
    (!at.is_null()).then(|| unsafe { at.cast::<Algo>().read_unaligned() })
}

/// A product, as its handle and descriptors say.
///
/// # Safety
/// Each descriptor is null or a descriptor of any kind.
pub(crate) unsafe fn problem(
    session: &'static Session,
    light_handle: *mut c_void,
    desc: *mut c_void,
    layouts: [*mut c_void; 4],
) -> Result<LtProblem> {
    let handle = handle(session, light_handle)?;
    // SAFETY: the caller's promise.
    let layout = |at| unsafe { attributes(&LAYOUT, at) };
    let [a, b, c, d] = layouts;
    Ok(LtProblem {
        handle,
        // SAFETY: the caller's promise.
        desc: unsafe { attributes(&MATMUL, desc)? },
        a: layout(a)?,
        b: layout(b)?,
        c: layout(c)?,
        d: layout(d)?,
    })
}

/// Alpha and beta, by the pointer mode and scale type of a descriptor.
///
/// # Safety
/// They are as the C function that has such a descriptor requires.
unsafe fn scalars(
    shape: &Shape,
    desc: &Attributes,
    [pointer_mode, scale_type]: [u32; 2],
    [alpha, beta]: [*const c_void; 2],
) -> Result<(Value, Option<Value>)> {
    let of = |number| lt::value_of(shape, desc, number);
    let scale_type = u32::try_from(of(scale_type)).map_err(|_| Fault::Value)?;
    let size = data_type_size(scale_type).map(|(size, _)| size);
    // SAFETY: the caller's promise: a scalar on the host has the scale type.
    let value = |at, device| unsafe { Value::read(at, size, device) };
    let [alpha_device, beta_device] =
        lt::scalars_on_device(of(pointer_mode)).ok_or(Fault::Value)?;
    let alpha = value(alpha, alpha_device.ok_or(Fault::Value)?)?;
    let beta = beta_device.map(|device| value(beta, device)).transpose()?;
    Ok((alpha, beta))
}

pub(crate) unsafe fn cublasLtMatmul(
    light_handle: *mut c_void,
    compute_desc: *mut c_void,
    alpha: *const c_void,
    a: *mut c_void,
    adesc: *mut c_void,
    b: *mut c_void,
    bdesc: *mut c_void,
    beta: *const c_void,
    c: *mut c_void,
    cdesc: *mut c_void,
    d: *mut c_void,
    ddesc: *mut c_void,
    chosen: *const c_void,
    workspace: *mut c_void,
    workspace_size_in_bytes: usize,
    stream: *mut c_void,
) -> Result {
    let session = session::get()?;
    let layouts = [adesc, bdesc, cdesc, ddesc];
    // SAFETY: as the C function of this name requires.
    let problem = unsafe { problem(session, light_handle, compute_desc, layouts)? };
    let numbers = [POINTER_MODE, SCALE_TYPE];
    // SAFETY: as above.
    let (alpha, beta) = unsafe { scalars(&MATMUL, &problem.desc, numbers, [alpha, beta])? };
    let body = LtMatmul {
        problem,
        alpha,
        beta,
        matrices: [a, b, c, d].map(|matrix| matrix as u64),
        // SAFETY: as above.
        algo: unsafe { algo(chosen) },
        workspace: workspace as u64,
        workspace_size: workspace_size_in_bytes as u64,
        stream: Id::new((&session).stream(stream)?),
    };
    (&session).post(MATMUL_OP, &wire::to_bytes(&body))
}

pub(crate) unsafe fn cublasLtMatrixTransform(
    light_handle: *mut c_void,
    transform_desc: *mut c_void,
    alpha: *const c_void,
    a: *mut c_void,
    adesc: *mut c_void,
    beta: *const c_void,
    b: *mut c_void,
    bdesc: *mut c_void,
    c: *mut c_void,
    cdesc: *mut c_void,
    stream: *mut c_void,
) -> Result {
    let session = session::get()?;
    // SAFETY: as the C function of this name requires.
    let layout = |at| unsafe { attributes(&LAYOUT, at) };
    let maybe = |at: *mut c_void| (!at.is_null()).then(|| layout(at)).transpose();
    let handle = handle(session, light_handle)?;
    // SAFETY: as above.
    let desc = unsafe { attributes(&TRANSFORM, transform_desc)? };
    let numbers = [TRANSFORM_POINTER_MODE, TRANSFORM_SCALE_TYPE];
    // SAFETY: as above.
    let (alpha, beta) = unsafe { scalars(&TRANSFORM, &desc, numbers, [alpha, beta])? };
    let body = LtTransform {
        handle,
        desc,
        a: maybe(adesc)?,
        b: maybe(bdesc)?,
        c: layout(cdesc)?,
        alpha,
        beta,
        matrices: [a, b, c].map(|matrix| matrix as u64),
        stream: Id::new((&session).stream(stream)?),
    };
    (&session).post(TRANSFORM_OP, &wire::to_bytes(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CUDA_C_32F, whose values have eight bytes.
    const COMPLEX: u64 = 4;

    fn read(
        mode: u64,
        alpha: *const c_void,
        beta: *const c_void,
    ) -> Result<(Value, Option<Value>)> {
        let desc = vec![(SCALE_TYPE, COMPLEX), (POINTER_MODE, mode)];
        // SAFETY: what is on the host has eight bytes.
        unsafe { scalars(&MATMUL, &desc, [POINTER_MODE, SCALE_TYPE], [alpha, beta]) }
    }

    #[test]
    fn scalars_are_read_where_the_pointer_mode_says() {
        let values = [1.0f32, 2.0, 3.0, 4.0];
        let host = |at: usize| (&raw const values[at]).cast::<c_void>();
        let device = std::ptr::without_provenance::<c_void>(0x7000_0000);
        // SAFETY: eight bytes of two floats.
        let bytes = |at| unsafe { Value::read(host(at), Some(8), false) }.unwrap();
        let there = Value::Device(0x7000_0000);
        assert_eq!(read(0, host(0), host(2)), Ok((bytes(0), Some(bytes(2)))));
        assert_eq!(read(1, device, device), Ok((there, Some(there))));
        assert_eq!(read(2, device, device), Ok((there, Some(there))));
        assert_eq!(read(3, device, std::ptr::null()), Ok((there, None)));
        assert_eq!(read(4, device, host(2)), Ok((there, Some(bytes(2)))));
        assert_eq!(read(5, device, device), Err(Fault::Value));
        assert_eq!(read(0, host(0), std::ptr::null()), Err(Fault::Value));
    }
}
