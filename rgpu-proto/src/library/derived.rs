//! Client and worker halves of the `posted` and `reply` rows of libraries, derived from the rows.

/// Client halves: `unsafe fn cublasSgemm_v2(client, handle, …) -> Result<(), Fault>` and so on.
#[expect(non_snake_case, reason = "functions carry the names of the C API")]
#[expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]
#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub mod client {
    use crate::handle::*;
    use crate::kinds::{Kind, *};
    use crate::library::{Carried, Client, Fault, Notes};
    use crate::opcode::Opcode;
    use crate::wire::{Decode, Encode, Reader};

    // Whether a call may have to wait: `reply` rows, unless all their results go to device memory.
    macro_rules! may_wait {
        (posted) => {
            false
        };
        (reply) => {
            true
        };
    }

    // `0x4408 posted queued cublasDgemm_v2(handle: Handle<Blas>, …);` becomes
    // `pub unsafe fn cublasDgemm_v2<S: Client>(client: &S, handle: *mut c_void, …) -> Result<(), Fault>`.
    macro_rules! client_row {
        (local $($rest:tt)*) => {};
        (custom $($rest:tt)*) => {};
        (absent $($rest:tt)*) => {};
        ($class:ident $id:literal $name:ident ($($param:ident : $kind:ty),*)) => {
            /// Makes the call of this name.
            pub unsafe fn $name<S: Client>(side: &S, $($param: <$kind as Kind>::C),*) -> Result<(), Fault> {
                const OP: Opcode = Opcode($id);
                let mut notes = Notes::default();
                $(<$kind as Carried>::note($param, side, &mut notes);)*
                let mut body = Vec::with_capacity(128);
                let mut waits = None;
                $(
                    // SAFETY: the arguments are the application's, as the C function of this name requires.
                    let request = unsafe { <$kind as Carried>::request($param, &mut notes, side)? };
                    let $param = ($param, request);
                    $param.1.encode(&mut body);
                    if let Some(wait) = <$kind as Carried>::waits(&$param.1, side) {
                        waits = Some(wait | waits.unwrap_or(false));
                    }
                )*
                if may_wait!($class) && waits.unwrap_or(true) {
                    let reply = side.call(OP, &body)?;
                    let broken = |error| side.broken(OP, error);
                    let mut reader = Reader::new(&reply);
                    Fault::from_code(u32::decode(&mut reader).map_err(broken)?)?;
                    $(
                        let value = Decode::decode(&mut reader).map_err(broken)?;
                        // SAFETY: `request` accepted this argument above.
                        unsafe { <$kind as Carried>::deliver($param.0, value, &notes) };
                    )*
                    reader.end().map_err(broken)?;
                } else {
                    side.post(OP, &body)?;
                }
                // SAFETY: `request` accepted these arguments above.
                $(unsafe { <$kind as Carried>::sent($param.0, &$param.1, &notes, side) };)*
                Ok(())
            }
        };
    }

    macro_rules! client_rows {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            $(client_row!($class $id $name $params);)*
        };
    }

    crate::cublas_rows!(client_rows);
    crate::cublaslt_rows!(client_rows);
    crate::cudnn_rows!(client_rows);
}

/// Worker halves: decode, call the library, encode.
#[expect(non_snake_case, reason = "functions carry the names of the C API")]
pub mod worker {
    use std::collections::HashMap;
    use std::ffi::c_void;

    use crate::handle::*;
    use crate::kinds::{Kind, *};
    use crate::library::{Carried, Fault, Notes, Worker};
    use crate::wire::{Decode, DecodeError, Encode, Reader};

    /// What a library's call came to: the encoded results, or why it failed.
    pub type Outcome = Result<Vec<u8>, Fault>;

    /// A derived handler: body in, outcome out. An error of the body ends the session.
    pub type Handler<W> = fn(&mut W, &[u8]) -> Result<Outcome, DecodeError>;

    // `0x4408 posted queued cublasDgemm_v2(…);` becomes a function that decodes the parameters, calls the library's
    // function and encodes what it returned. A function each: closures of one body are type-checked together,
    // which takes minutes for all rows.
    macro_rules! worker_row {
        (local $($rest:tt)*) => {};
        (custom $($rest:tt)*) => {};
        (absent $($rest:tt)*) => {};
        ($class:ident $id:literal $name:ident ($($param:ident : $kind:ty),*)) => {
            /// Carries the call of this name out.
            fn $name<W: Worker>(side: &mut W, body: &[u8]) -> Result<Outcome, DecodeError> {
                let mut reader = Reader::new(body);
                $(
                    let request: <$kind as Carried>::Request = Decode::decode(&mut reader)?;
                    let mut $param = (request, <$kind as Carried>::Slot::default());
                )*
                reader.end()?;
                let act = || {
                    let mut notes = Notes::default();
                    $(<$kind as Carried>::noted(&$param.0, side, &mut notes);)*
                    let function = side.function($id).ok_or(Fault::Missing)?;
                    type Entry = unsafe extern "C" fn($(<$kind as Kind>::C),*) -> u32;
                    // SAFETY: `function` is the library's function of this row, whose signature the row states.
                    let function = unsafe { std::mem::transmute::<*const c_void, Entry>(function) };
                    $(
                        let argument = <$kind as Carried>::to_library(&$param.0, &mut $param.1, &notes, side)?;
                        let $param = (&$param.0, &$param.1, argument);
                    )*
                    // SAFETY: handles come from the worker's map, pointers point into the slots above or into
                    // the client's device memory.
                    Fault::from_code(unsafe { function($($param.2),*) })?;
                    let mut results = Vec::new();
                    $(
                        <$kind as Carried>::settled($param.0, $param.1, &notes, side)?;
                        <$kind as Carried>::reply($param.0, $param.1, &notes).encode(&mut results);
                    )*
                    Ok(results)
                };
                Ok({ act }())
            }
        };
    }

    macro_rules! worker_rows {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            $(worker_row!($class $id $name $params);)*
        };
    }

    crate::cublas_rows!(worker_rows);
    crate::cublaslt_rows!(worker_rows);
    crate::cudnn_rows!(worker_rows);

    macro_rules! entry {
        (posted $id:literal $name:ident) => {
            Some(($id, $name::<W> as Handler<W>))
        };
        (reply $id:literal $name:ident) => {
            Some(($id, $name::<W> as Handler<W>))
        };
        ($class:ident $id:literal $name:ident) => {
            None
        };
    }

    macro_rules! entries {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {{
            let rows: &[Option<(u16, Handler<W>)>] = &[$(entry!($class $id $name)),*];
            rows
        }};
    }

    macro_rules! families {
        ($table:ident: $($family:ident),*) => {
            $($table.extend(crate::$family!(entries).iter().copied().flatten());)*
        };
    }

    /// The derived handler of every `posted` and `reply` row of the libraries, by id.
    pub fn handlers<W: Worker>() -> HashMap<u16, Handler<W>> {
        let mut table = HashMap::new();
        families!(table: cublas_helper_rows, cublas_level1_rows, cublas_level2_rows, cublas_level3_rows, cublas_gemm_rows, cublas_batched_rows, cublaslt_descriptor_rows, cublaslt_matmul_rows, cublaslt_helper_rows, cudnn_helper_rows, cudnn_backend_rows, cudnn_descriptor_rows, cudnn_query_rows, cudnn_compute_rows, cudnn_rnn_rows);
        table
    }
}
