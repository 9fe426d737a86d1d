//! Handles: used, created, destroyed.

use std::ffi::c_void;

use super::{Carried, Client, Created, Fault, Notes, Worker};
use crate::handle::{DnnBackend, DnnDropout, HandleKind, Id, Named};
use crate::kinds::*;

/// The id of an application's value.
fn id<K: Named>(value: *mut c_void, client: &impl Client) -> Result<Id<K>, Fault> {
    if K::KIND == HandleKind::Stream {
        return client.stream(value).map(Id::new);
    }
    let id = Id::<K>::from_c(value).ok_or(Fault::Handle)?;
    client.check(K::KIND, id.0)?;
    Ok(id)
}

impl Notes {
    /// Whose setting it is that the call gives: the handle that it creates, or else the one that it names.
    pub(super) fn whose(&self) -> Option<(HandleKind, u32)> {
        self.created
            .map(|created| (created.kind, created.id))
            .or(self.handle)
    }

    /// The first handle of a call is the one that it is made on.
    fn see(&mut self, kind: HandleKind, id: u32, setting: impl Fn(u8) -> u32) {
        if self.handle.is_none() {
            self.handle = Some((kind, id));
        }
        match kind {
            HandleKind::Blas => self.device_scalars |= setting(POINTER_MODE) != 0,
            HandleKind::DnnTensor | HandleKind::DnnFilter => {
                self.double |= setting(DNN_DOUBLES) != 0
            }
            _ => {}
        }
    }
}

impl<K: Named> Carried for Handle<K> {
    type Request = Id<K>;
    type Reply = ();
    type Slot = ();

    fn note(value: *mut c_void, client: &impl Client, notes: &mut Notes) {
        if let Some(id) = Id::<K>::from_c(value) {
            notes.see(K::KIND, id.0, |number| {
                client.setting(K::KIND, id.0, number)
            });
        }
    }

    unsafe fn request(
        value: *mut c_void,
        _: &mut Notes,
        client: &impl Client,
    ) -> Result<Id<K>, Fault> {
        id(value, client)
    }

    unsafe fn sent(_: *mut c_void, id: &Id<K>, notes: &Notes, client: &impl Client) {
        // `cublasSetStream` and `cudnnSetStream` are the only calls of a library's handle that name a stream.
        if let (HandleKind::Stream, Some((kind, handle))) = (K::KIND, notes.handle) {
            client.set(kind, handle, STREAM, id.0);
        }
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn noted(id: &Id<K>, worker: &impl Worker, notes: &mut Notes) {
        notes.see(K::KIND, id.0, |number| {
            worker.setting(K::KIND, id.0, number)
        });
    }

    fn to_library(
        id: &Id<K>,
        (): &mut (),
        _: &Notes,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        worker.raw(K::KIND, id.0)
    }

    fn reply(_: &Id<K>, (): &(), _: &Notes) {}
}

impl<K: Named> Carried for HandleOpt<K> {
    type Request = Id<K>;
    type Reply = ();
    type Slot = ();

    fn note(value: *mut c_void, client: &impl Client, notes: &mut Notes) {
        if !value.is_null() {
            Handle::<K>::note(value, client, notes);
        }
    }

    unsafe fn request(
        value: *mut c_void,
        _: &mut Notes,
        client: &impl Client,
    ) -> Result<Id<K>, Fault> {
        if value.is_null() {
            return Ok(Id::NULL);
        }
        id(value, client)
    }

    unsafe fn sent(_: *mut c_void, id: &Id<K>, notes: &Notes, client: &impl Client) {
        // Of a recurrent network it is asked again.
        if let (HandleKind::DnnDropout, Some((HandleKind::DnnRnn, handle))) =
            (K::KIND, notes.handle)
        {
            client.set(HandleKind::DnnRnn, handle, DNN_DROPOUT, id.0);
        }
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn noted(id: &Id<K>, worker: &impl Worker, notes: &mut Notes) {
        if id.0 != 0 {
            Handle::<K>::noted(id, worker, notes);
        }
    }

    fn to_library(
        id: &Id<K>,
        (): &mut (),
        _: &Notes,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        if id.0 == 0 {
            return Ok(std::ptr::null_mut());
        }
        worker.raw(K::KIND, id.0)
    }

    fn reply(_: &Id<K>, (): &(), _: &Notes) {}
}

impl Carried for OutDropout {
    type Request = ();
    type Reply = ();
    type Slot = ();

    unsafe fn request(
        value: *mut c_void,
        notes: &mut Notes,
        client: &impl Client,
    ) -> Result<(), Fault> {
        let Some((kind, handle)) = notes.handle.filter(|_| !value.is_null()) else {
            return Ok(());
        };
        let id = Id::<DnnDropout>::new(client.setting(kind, handle, DNN_DROPOUT));
        // SAFETY: the application has room for a descriptor.
        unsafe { value.cast::<*mut c_void>().write_unaligned(id.to_c()) };
        Ok(())
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn to_library((): &(), (): &mut (), _: &Notes, _: &impl Worker) -> Result<*mut c_void, Fault> {
        Ok(std::ptr::null_mut())
    }

    fn reply((): &(), (): &(), _: &Notes) {}
}

impl<K: Named> Carried for Gone<K> {
    type Request = Id<K>;
    type Reply = ();
    type Slot = ();

    unsafe fn request(
        value: *mut c_void,
        _: &mut Notes,
        client: &impl Client,
    ) -> Result<Id<K>, Fault> {
        id(value, client)
    }

    unsafe fn sent(_: *mut c_void, id: &Id<K>, _: &Notes, client: &impl Client) {
        client.gone(K::KIND, id.0);
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn to_library(
        id: &Id<K>,
        (): &mut (),
        _: &Notes,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        worker.raw(K::KIND, id.0)
    }

    fn settled(id: &Id<K>, (): &(), _: &Notes, worker: &mut impl Worker) -> Result<(), Fault> {
        worker.unbind(K::KIND, id.0);
        Ok(())
    }

    fn reply(_: &Id<K>, (): &(), _: &Notes) {}
}

/// Where a library stores a handle that it creates.
#[derive(Debug)]
pub struct Raw(*mut c_void);

impl Default for Raw {
    fn default() -> Self {
        Self(std::ptr::null_mut())
    }
}

impl<K: Named> Carried for NewHandle<K> {
    type Request = Id<K>;
    type Reply = ();
    type Slot = Box<Raw>;

    unsafe fn request(
        value: *mut *mut c_void,
        notes: &mut Notes,
        client: &impl Client,
    ) -> Result<Id<K>, Fault> {
        if value.is_null() {
            return Err(Fault::Value);
        }
        let id = client.mint()?;
        notes.created = Some(Created { kind: K::KIND, id });
        Ok(Id::new(id))
    }

    unsafe fn sent(value: *mut *mut c_void, id: &Id<K>, _: &Notes, client: &impl Client) {
        client.created(K::KIND, id.0);
        // SAFETY: the application passed a place for a handle; `request` refused null.
        unsafe { value.write_unaligned(id.to_c()) };
    }

    unsafe fn deliver(_: *mut *mut c_void, (): (), _: &Notes) {}

    fn noted(id: &Id<K>, _: &impl Worker, notes: &mut Notes) {
        notes.created = Some(Created {
            kind: K::KIND,
            id: id.0,
        });
    }

    fn to_library(
        _: &Id<K>,
        slot: &mut Box<Raw>,
        _: &Notes,
        _: &impl Worker,
    ) -> Result<*mut *mut c_void, Fault> {
        Ok(&raw mut slot.0)
    }

    fn settled(
        id: &Id<K>,
        slot: &Box<Raw>,
        _: &Notes,
        worker: &mut impl Worker,
    ) -> Result<(), Fault> {
        worker.bind(K::KIND, id.0, slot.0)
    }

    fn reply(_: &Id<K>, _: &Box<Raw>, _: &Notes) {}
}

/// Types of backend descriptors whose completion may fail although each part is sound, because of what the
/// device or the library can do (cuDNN, "Backend Descriptor Types"): engine, engine configuration, engine
/// heuristics, execution plan, operation graph.
const MAY_NOT_EXIST: [u32; 5] = [2, 3, 4, 5, 15];

impl Carried for Finished {
    type Request = Id<DnnBackend>;
    type Reply = ();
    type Slot = ();

    unsafe fn request(
        value: *mut c_void,
        _: &mut Notes,
        client: &impl Client,
    ) -> Result<Id<DnnBackend>, Fault> {
        id(value, client)
    }

    fn waits(id: &Id<DnnBackend>, client: &impl Client) -> Option<bool> {
        let of = client.setting(HandleKind::DnnBackend, id.0, BACKEND_TYPE);
        Some(MAY_NOT_EXIST.contains(&of))
    }

    unsafe fn deliver(_: *mut c_void, (): (), _: &Notes) {}

    fn to_library(
        id: &Id<DnnBackend>,
        (): &mut (),
        _: &Notes,
        worker: &impl Worker,
    ) -> Result<*mut c_void, Fault> {
        worker.raw(HandleKind::DnnBackend, id.0)
    }

    fn reply(_: &Id<DnnBackend>, (): &(), _: &Notes) {}
}
