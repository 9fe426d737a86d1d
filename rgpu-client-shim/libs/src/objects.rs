//! The handles of a library that are alive, and what each was last given.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rgpu_proto::handle::HandleKind;
use rgpu_proto::kinds::SETTINGS;

/// The handles of this library.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    alive: Mutex<HashMap<(HandleKind, u32), [u32; SETTINGS]>>,
}

impl Objects {
    fn hold(&self) -> MutexGuard<'_, HashMap<(HandleKind, u32), [u32; SETTINGS]>> {
        // The map is valid between statements, whatever happened to the last holder.
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn exists(&self, kind: HandleKind, id: u32) -> bool {
        self.hold().contains_key(&(kind, id))
    }

    pub(crate) fn created(&self, kind: HandleKind, id: u32) {
        // A setting may have been given in the call that creates.
        self.hold().entry((kind, id)).or_default();
    }

    pub(crate) fn gone(&self, kind: HandleKind, id: u32) {
        self.hold().remove(&(kind, id));
    }

    pub(crate) fn setting(&self, kind: HandleKind, id: u32, number: u8) -> u32 {
        let settings = self.hold().get(&(kind, id)).copied().unwrap_or_default();
        settings.get(usize::from(number)).copied().unwrap_or(0)
    }

    pub(crate) fn set(&self, kind: HandleKind, id: u32, number: u8, value: u32) {
        let mut alive = self.hold();
        let settings = alive.entry((kind, id)).or_default();
        if let Some(setting) = settings.get_mut(usize::from(number)) {
            *setting = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_lives_as_long_as_its_handle() {
        let objects = Objects::default();
        objects.set(HandleKind::Blas, 20, 0, 1);
        objects.created(HandleKind::Blas, 20);
        assert_eq!(objects.setting(HandleKind::Blas, 20, 0), 1);
        assert_eq!(objects.setting(HandleKind::Dnn, 20, 0), 0);
        objects.gone(HandleKind::Blas, 20);
        assert!(!objects.exists(HandleKind::Blas, 20));
        assert_eq!(objects.setting(HandleKind::Blas, 20, 0), 0);
    }
}
