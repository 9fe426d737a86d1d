//! Client and worker halves of `posted` and `reply` rows, derived from the rows.

/// Client halves: `unsafe fn cuEventRecord(side, event, stream) -> Result<(), Status>` and so on.
#[expect(non_snake_case, reason = "functions carry the names of the C API")]
#[expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]
pub mod client {
    use crate::handle::*;
    use crate::kinds::*;
    use crate::opcode::Opcode;
    use crate::status::Status;
    use crate::wire::{Decode, Encode, Reader};

    // `0x080f posted queued cuStreamWaitEvent(h_stream: Handle<Stream>, …);` becomes
    // `pub unsafe fn cuStreamWaitEvent<S: ClientSide>(side: &S, h_stream: *mut c_void, …) -> Result<(), Status>`.
    macro_rules! client_row {
        (posted $id:literal $name:ident ($($param:ident : $kind:ty),*)) => {
            /// Posts the call of this name.
            pub unsafe fn $name<S: ClientSide>(side: &S, $($param: <$kind as Kind>::C),*) -> Result<(), Status> {
                let mut _body = Vec::new();
                // SAFETY: the arguments are the application's, as the C function of this name requires.
                $(unsafe { <$kind as Carried>::request($param, side)? }.encode(&mut _body);)*
                side.post(Opcode($id), &_body)
            }
        };
        (reply $id:literal $name:ident ($($param:ident : $kind:ty),*)) => {
            /// Makes the call of this name and waits for its answer.
            pub unsafe fn $name<S: ClientSide>(side: &S, $($param: <$kind as Kind>::C),*) -> Result<(), Status> {
                let mut body = Vec::new();
                // SAFETY: the arguments are the application's, as the C function of this name requires.
                $(unsafe { <$kind as Carried>::request($param, side)? }.encode(&mut body);)*
                let reply = side.call(Opcode($id), &body)?;
                let mut reader = Reader::new(&reply);
                $(
                    let value = Decode::decode(&mut reader).map_err(|error| side.broken(Opcode($id), error))?;
                    // SAFETY: `request` accepted this argument above.
                    unsafe { <$kind as Carried>::deliver($param, value) };
                )*
                reader.end().map_err(|error| side.broken(Opcode($id), error))
            }
        };
        ($class:ident $id:literal $name:ident $params:tt) => {};
    }

    macro_rules! client_rows {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            $(client_row!($class $id $name $params);)*
        };
    }

    crate::driver_rows!(client_rows);
}

/// Worker halves: decode, call the driver, encode.
pub mod worker {
    use crate::handle::*;
    use crate::kinds::*;
    use crate::status::Status;
    use crate::wire::{Decode, DecodeError, Encode, Reader};

    /// Why a derived call was not carried out.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Failure {
        /// The client broke the protocol; the session ends.
        Malformed(DecodeError),
        /// The call failed with this code.
        Status(Status),
    }

    /// A derived handler: body in, body of the answer out.
    pub type Handler<W> = fn(&W, &[u8]) -> Result<Vec<u8>, Failure>;

    // `0x080f posted queued cuStreamWaitEvent(…);` becomes a closure that decodes the parameters, calls the
    // driver's function and encodes what it returned; rows of other classes become `None`.
    macro_rules! worker_row {
        (posted $id:literal $params:tt) => { worker_row!(@some $id $params) };
        (reply $id:literal $params:tt) => { worker_row!(@some $id $params) };
        (@some $id:literal ($($param:ident : $kind:ty),*)) => {
            Some({
                let handler: Handler<W> = |side, body| {
                let mut _reader = Reader::new(body);
                $(
                    let request: <$kind as Carried>::Request =
                        Decode::decode(&mut _reader).map_err(Failure::Malformed)?;
                    let mut $param = (request, <$kind as Carried>::Slot::default());
                )*
                _reader.end().map_err(Failure::Malformed)?;
                let symbol = side.symbol($id).ok_or(Failure::Status(Status::ERROR_NOT_SUPPORTED))?;
                type Entry = unsafe extern "C" fn($(<$kind as Kind>::C),*) -> u32;
                // SAFETY: `symbol` is the driver's function of this row, whose signature the row states.
                let function = unsafe { std::mem::transmute::<*const std::ffi::c_void, Entry>(symbol) };
                $(let argument = <$kind as Carried>::to_driver(&$param.0, &mut $param.1, side).map_err(Failure::Status)?;
                  let $param = (argument, $param.1);)*
                // SAFETY: handles come from the worker's map and pointers point into the slots above.
                let status = Status(unsafe { function($($param.0),*) });
                status.ok().map_err(Failure::Status)?;
                let mut _reply = Vec::new();
                $(<$kind as Carried>::reply(&$param.1).encode(&mut _reply);)*
                Ok(_reply)
                };
                handler
            })
        };
        ($class:ident $id:literal $params:tt) => { None };
    }

    macro_rules! worker_rows {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            {
                let rows: Vec<(u16, Option<Handler<W>>)> = vec![$(($id, worker_row!($class $id $params))),*];
                rows
            }
        };
    }

    macro_rules! families {
        ($table:ident: $($family:ident),*) => {
            $(for (id, handler) in crate::$family!(worker_rows) {
                if let Some(handler) = handler {
                    $table.insert(id, handler);
                }
            })*
        };
    }

    /// The derived handler of every `posted` and `reply` row, by id.
    pub fn handlers<W: WorkerSide>() -> std::collections::HashMap<u16, Handler<W>> {
        let mut table = std::collections::HashMap::new();
        families!(table: driver_context_rows, driver_library_rows, driver_stream_rows, driver_event_rows, driver_launch_rows);
        table
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::spec::{self, Class};
        use std::ffi::c_void;

        struct NoDriver;

        impl WorkerSide for NoDriver {
            fn driver_handle(&self, _: HandleKind, _: u32) -> Result<*mut c_void, Status> {
                Err(Status::ERROR_INVALID_HANDLE)
            }

            fn symbol(&self, _: u16) -> Option<*const c_void> {
                None
            }
        }

        #[test]
        fn every_posted_and_reply_row_has_a_handler() {
            let table = handlers::<NoDriver>();
            for row in &spec::driver::ROWS {
                let derived = matches!(row.class, Class::Posted | Class::Reply);
                assert_eq!(table.contains_key(&row.id), derived, "{}", row.name);
            }
        }

        #[test]
        fn a_short_body_is_malformed() {
            let table = handlers::<NoDriver>();
            let record = table[&spec::row_named("cuEventRecord").expect("row").id];
            assert!(matches!(
                record(&NoDriver, &[1]),
                Err(Failure::Malformed(_))
            ));
            assert_eq!(
                record(&NoDriver, &[0; 8]),
                Err(Failure::Status(Status::ERROR_NOT_SUPPORTED))
            );
        }
    }
}
