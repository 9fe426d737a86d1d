//! Which driver handle stands behind which of the client's ids.

use std::ffi::c_void;

use rgpu_proto::handle::{HandleKind, Id, Named};
use rgpu_proto::limits::MAX_HANDLES;
use rgpu_proto::status::Status;
use rustc_hash::FxHashMap;

/// The client's handles. An id that is not here is `CUDA_ERROR_INVALID_HANDLE`.
#[derive(Debug, Default)]
pub(super) struct Handles {
    // A client that makes its own ids collide slows its own worker down.
    map: FxHashMap<(HandleKind, u32), Raw>,
}

/// A driver's handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Raw(*mut c_void);

// SAFETY: a driver handle is an opaque word; the driver API may be called with it from any thread.
unsafe impl Send for Raw {}

impl Handles {
    /// Puts a driver handle behind an id that the client has just invented.
    ///
    /// # Errors
    /// An id in use, or too many handles.
    pub(super) fn bind<K: Named>(&mut self, id: Id<K>, raw: *mut c_void) -> Result<(), Status> {
        self.bind_kind(K::KIND, id.0, raw)
    }

    /// The same, by kind.
    pub(super) fn bind_kind(
        &mut self,
        kind: HandleKind,
        id: u32,
        raw: *mut c_void,
    ) -> Result<(), Status> {
        if self.map.len() >= MAX_HANDLES {
            return Err(Status::ERROR_OUT_OF_MEMORY);
        }
        match self.map.entry((kind, id)) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Status::ERROR_INVALID_HANDLE),
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(Raw(raw));
                Ok(())
            }
        }
    }

    /// The driver handle behind an id.
    pub(super) fn get(&self, kind: HandleKind, id: u32) -> Result<*mut c_void, Status> {
        self.map
            .get(&(kind, id))
            .map(|raw| raw.0)
            .ok_or(Status::ERROR_INVALID_HANDLE)
    }

    /// The same, by typed id.
    pub(super) fn of<K: Named>(&self, id: Id<K>) -> Result<*mut c_void, Status> {
        self.get(K::KIND, id.0)
    }

    /// Forgets an id whose handle is gone.
    pub(super) fn forget(&mut self, kind: HandleKind, id: u32) {
        self.map.remove(&(kind, id));
    }

    /// Forgets an id and returns its driver handle.
    pub(super) fn unbind<K: Named>(&mut self, id: Id<K>) -> Result<*mut c_void, Status> {
        self.map
            .remove(&(K::KIND, id.0))
            .map(|raw| raw.0)
            .ok_or(Status::ERROR_INVALID_HANDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rgpu_proto::handle::{Event, Stream};

    #[test]
    fn an_id_is_bound_once_and_found_by_kind() {
        let mut handles = Handles::default();
        let raw = 0x10 as *mut c_void;
        handles.bind(Id::<Stream>::new(20), raw).expect("bind");
        assert_eq!(
            handles.bind(Id::<Stream>::new(20), raw),
            Err(Status::ERROR_INVALID_HANDLE)
        );
        assert_eq!(handles.of(Id::<Stream>::new(20)), Ok(raw));
        assert_eq!(
            handles.of(Id::<Event>::new(20)),
            Err(Status::ERROR_INVALID_HANDLE)
        );
    }

    #[test]
    fn a_replayed_handle_is_gone() {
        let mut handles = Handles::default();
        handles
            .bind(Id::<Stream>::new(20), 0x10 as *mut c_void)
            .expect("bind");
        handles.unbind(Id::<Stream>::new(20)).expect("unbind");
        assert_eq!(
            handles.unbind(Id::<Stream>::new(20)),
            Err(Status::ERROR_INVALID_HANDLE)
        );
    }
}
