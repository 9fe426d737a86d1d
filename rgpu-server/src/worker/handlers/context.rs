//! Contexts and the window.

use rgpu_proto::msg::{ContextCreate, ContextRef, Window, WindowAt};
use rgpu_proto::status::Status;
use rgpu_proto::wire;

use crate::worker::session::{Answer, DONE, Handled, Session};
use crate::worker::snapshot::Raw;

impl Session {
    /// The client says whether it could reserve the window; where not, another is proposed.
    pub(super) fn window_reserved(&mut self, window: &Window) -> Handled {
        if !window.reserved {
            self.window.move_elsewhere()?;
        }
        let at = WindowAt {
            base: self.window.base(),
            size: self.window.size(),
        };
        Ok(Answer::Done(wire::to_bytes(&at)))
    }

    pub(super) fn context_create(&mut self, create: &ContextCreate) -> Handled {
        let mut raw = std::ptr::null_mut();
        let device = self.device;
        // SAFETY: `raw` is live; null parameters mean a plain context.
        unsafe {
            self.driver
                .cuCtxCreate_v4(&raw mut raw, std::ptr::null_mut(), create.flags, device)
        }
        .or_else(|status| match status {
            // Drivers before 12.5.
            // SAFETY: as above.
            Status::ERROR_NOT_SUPPORTED => unsafe {
                self.driver
                    .cuCtxCreate_v2(&raw mut raw, create.flags, device)
            },
            status => Err(status),
        })?;
        self.contexts.add(create.id.0, Raw(raw))?;
        // Creating a context makes it current; the next frame says which one is.
        self.contexts.forget_current();
        Ok(DONE)
    }

    pub(super) fn context_destroy(&mut self, context: &ContextRef) -> Handled {
        self.unloads.wait();
        self.in_place.wait();
        let raw = self.contexts.remove(context.id.0)?;
        // SAFETY: the context was in the map and has just been taken out of it.
        unsafe { self.driver.cuCtxDestroy_v2(raw.0)? };
        Ok(DONE)
    }

    /// Frees all that the primary context holds. The client forgets its handles too; ids are never reused.
    pub(super) fn context_reset(&mut self, context: &ContextRef) -> Handled {
        self.unloads.wait();
        self.in_place.wait();
        let driver = &self.driver;
        self.window.unback_all()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the device is the session's; `raw` is live.
        unsafe {
            driver.cuDevicePrimaryCtxReset_v2(self.device)?;
            driver.cuDevicePrimaryCtxRetain(&raw mut raw, self.device)?;
            driver.cuCtxSetCurrent(raw)?;
        }
        self.contexts.renew(context.id.0, Raw(raw));
        self.renew_staging();
        Ok(DONE)
    }

    /// Answers when everything issued so far in this context is done.
    pub(super) fn context_synchronize(&mut self) -> Handled {
        let idle = self.is_idle()?;
        let streams = self.contexts.current()?.all_streams();
        if idle {
            // Makes the driver print what kernels printed. The context as a whole might still have to wait.
            // SAFETY: streams come from the map.
            let wait = |stream: &Raw| unsafe { self.driver.cuStreamSynchronize(stream.0) };
            return self.answer_now(streams.iter().try_for_each(wait));
        }
        let events = streams.iter().map(|stream| self.event(stream.0)).collect();
        self.answer_after(events)
    }
}
