//! Values that libraries attach to a context: cudart keeps its per-context state this way, and asks for it at
//! nearly every call.
//!
//! A value has a key (an address that the library owns) and an optional destructor, called when the context is
//! destroyed or reset. The driver that owns the contexts must call [`ContextStorage::context_destroyed`].

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Called as `destructor(context, key, value)`.
pub type Destructor = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void);

/// The values of all contexts of this process.
#[derive(Debug)]
pub struct ContextStorage {
    // Read at nearly every runtime call, written once per context and library.
    values: RwLock<Values>,
}

/// By (context, key): addresses, never dereferenced here.
type Values = BTreeMap<(usize, usize), Value>;

#[derive(Debug, Clone, Copy)]
struct Value {
    value: usize,
    destructor: Option<Destructor>,
}

/// The storage behind the export tables of this process.
pub fn contexts() -> &'static ContextStorage {
    static CONTEXTS: ContextStorage = ContextStorage::new();
    &CONTEXTS
}

impl ContextStorage {
    /// No values.
    pub const fn new() -> Self {
        Self {
            values: RwLock::new(BTreeMap::new()),
        }
    }

    /// Sets the value of `key` in `context`; an earlier one is replaced, its destructor not called.
    ///
    /// # Safety
    ///
    /// `destructor` must be callable with these arguments until the value is deleted or the context destroyed.
    pub unsafe fn put(
        &self,
        context: *mut c_void,
        key: *mut c_void,
        value: *mut c_void,
        destructor: Option<Destructor>,
    ) {
        let value = Value {
            value: value.addr(),
            destructor,
        };
        self.write().insert((context.addr(), key.addr()), value);
    }

    /// The value of `key` in `context`.
    pub fn get(&self, context: *mut c_void, key: *mut c_void) -> Option<*mut c_void> {
        let values = self.read();
        let value = values.get(&(context.addr(), key.addr()))?;
        Some(value.value as *mut c_void)
    }

    /// Forgets the value of `key` in `context` without calling its destructor; whether there was one.
    pub fn delete(&self, context: *mut c_void, key: *mut c_void) -> bool {
        self.write().remove(&(context.addr(), key.addr())).is_some()
    }

    /// Forgets all values of `context` and calls their destructors. To be called once for a context that is
    /// destroyed or reset, without holding locks that an entry point takes: destructors may call the driver.
    #[expect(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "a handle is only a name here, handed on to the destructor"
    )]
    pub fn context_destroyed(&self, context: *mut c_void) {
        let id = context.addr();
        let dead: Vec<_> = self
            .write()
            .extract_if((id, 0)..=(id, usize::MAX), |_, _| true)
            .collect();
        for ((_, key), value) in dead {
            if let Some(destructor) = value.destructor {
                // SAFETY: `put`'s caller vouched for the destructor with these arguments, and the entry is
                // gone from the map, so that it is called once.
                unsafe { destructor(context, key as *mut c_void, value.value as *mut c_void) };
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Values> {
        self.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Values> {
        self.values.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ContextStorage {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn at(address: usize) -> *mut c_void {
        address as *mut c_void
    }

    fn put(storage: &ContextStorage, context: usize, key: usize, value: usize) {
        // SAFETY: no destructor.
        unsafe { storage.put(at(context), at(key), at(value), None) };
    }

    #[test]
    fn values_belong_to_a_context_and_a_key() {
        let storage = ContextStorage::new();
        put(&storage, 1, 10, 100);
        put(&storage, 1, 11, 101);
        put(&storage, 2, 10, 200);
        put(&storage, 1, 10, 110);
        assert_eq!(storage.get(at(1), at(10)), Some(at(110)));
        assert_eq!(storage.get(at(2), at(10)), Some(at(200)));
        assert_eq!(storage.get(at(2), at(11)), None);
        assert!(storage.delete(at(1), at(10)));
        assert!(!storage.delete(at(1), at(10)));
        assert_eq!(storage.get(at(1), at(10)), None);
    }

    #[test]
    fn destroying_a_context_runs_its_destructors_only() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static STORAGE: ContextStorage = ContextStorage::new();
        unsafe extern "C" fn destructor(
            context: *mut c_void,
            key: *mut c_void,
            value: *mut c_void,
        ) {
            // The entry is gone and no lock is held.
            assert_eq!(STORAGE.get(context, key), None);
            let sum = context.addr() + key.addr() + value.addr();
            CALLS.fetch_add(sum, Ordering::Relaxed);
        }
        for (context, key, value) in [(5, 0, 1000), (5, usize::MAX, 7), (6, 0, 9), (4, 3, 9)] {
            // SAFETY: the destructor takes any arguments.
            unsafe { STORAGE.put(at(context), at(key), at(value), Some(destructor)) };
        }
        put(&STORAGE, 5, 1, 1);
        STORAGE.delete(at(5), at(usize::MAX));
        STORAGE.context_destroyed(at(5));
        assert_eq!(CALLS.load(Ordering::Relaxed), 1005);
        STORAGE.context_destroyed(at(5));
        assert_eq!(CALLS.load(Ordering::Relaxed), 1005);
        assert_eq!(STORAGE.get(at(6), at(0)), Some(at(9)));
        assert_eq!(STORAGE.get(at(4), at(3)), Some(at(9)));
    }

    #[test]
    fn the_highest_addresses_are_no_special_case() {
        let storage = ContextStorage::new();
        put(&storage, usize::MAX, usize::MAX, 1);
        put(&storage, 1, usize::MAX, 2);
        storage.context_destroyed(at(usize::MAX));
        assert_eq!(storage.get(at(usize::MAX), at(usize::MAX)), None);
        assert_eq!(storage.get(at(1), at(usize::MAX)), Some(at(2)));
    }
}
