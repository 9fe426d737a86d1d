//! Tables of handles.
//!
//! A handle is a number with a tag that makes it no valid address (`rgpu_proto::handle`): a stale or foreign
//! handle is not found, and is never followed as a pointer.

use std::collections::HashMap;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rgpu_proto::handle::{FIRST_MINTED, Id, Named};

use crate::status::{Result, Status};

/// Objects of type `T` by handles of kind `K`.
#[derive(Debug)]
pub(crate) struct Table<K, T> {
    objects: RwLock<HashMap<u32, Arc<T>>>,
    next: AtomicU32,
    kind: PhantomData<K>,
}

impl<K: Named, T> Table<K, T> {
    pub(crate) fn new() -> Self {
        Self {
            objects: RwLock::new(HashMap::new()),
            next: AtomicU32::new(FIRST_MINTED),
            kind: PhantomData,
        }
    }

    /// A fresh handle, for an object that must know its own.
    pub(crate) fn mint(&self) -> Id<K> {
        Id::new(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Enters an object under a minted handle.
    pub(crate) fn insert(&self, id: Id<K>, object: Arc<T>) {
        self.write().insert(id.0, object);
    }

    /// Enters an object under a fresh handle.
    pub(crate) fn add(&self, object: Arc<T>) -> *mut c_void {
        let id = self.mint();
        self.insert(id, object);
        id.to_c()
    }

    /// The object behind a handle.
    pub(crate) fn get(&self, handle: *mut c_void) -> Result<Arc<T>> {
        let id = Id::<K>::from_c(handle).ok_or(Status::ERROR_INVALID_HANDLE)?;
        let object = self.read().get(&id.0).cloned();
        object.ok_or(Status::ERROR_INVALID_HANDLE)
    }

    /// Takes the object out; its handle is never used again.
    pub(crate) fn remove(&self, handle: *mut c_void) -> Result<Arc<T>> {
        let id = Id::<K>::from_c(handle).ok_or(Status::ERROR_INVALID_HANDLE)?;
        let object = self.write().remove(&id.0);
        object.ok_or(Status::ERROR_INVALID_HANDLE)
    }

    /// Takes out every object that `gone` names.
    pub(crate) fn remove_where(&self, gone: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        self.write()
            .extract_if(|_, object| gone(object))
            .map(|(_, object)| object)
            .collect()
    }

    /// An object that `wanted` names.
    pub(crate) fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let objects = self.read();
        let mut objects = objects.values();
        objects.find(|object| wanted(object)).cloned()
    }

    /// Shows every object to `visit`.
    pub(crate) fn for_each(&self, visit: impl Fn(&T)) {
        self.all().iter().for_each(|object| visit(object));
    }

    /// Every object there is now.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.read().values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<u32, Arc<T>>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<u32, Arc<T>>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rgpu_proto::handle::{Event, Stream};

    use super::*;

    #[test]
    fn a_removed_or_foreign_handle_is_invalid() {
        let events = Table::<Event, u8>::new();
        let streams = Table::<Stream, u8>::new();
        let event = events.add(Arc::new(7));
        assert_eq!(*events.get(event).unwrap(), 7);
        assert!(streams.get(event).is_err());
        assert_eq!(*events.remove(event).unwrap(), 7);
        assert_eq!(events.get(event), Err(Status::ERROR_INVALID_HANDLE));
        assert_eq!(
            events.get(std::ptr::null_mut()),
            Err(Status::ERROR_INVALID_HANDLE)
        );
        assert_ne!(events.add(Arc::new(8)), event);
    }

    #[test]
    fn objects_leave_by_a_property() {
        let events = Table::<Event, u8>::new();
        let handles: Vec<_> = (0..4).map(|value| events.add(Arc::new(value))).collect();
        assert_eq!(events.remove_where(|value| value % 2 == 0).len(), 2);
        assert!(events.get(handles[0]).is_err());
        assert!(events.get(handles[1]).is_ok());
    }
}
