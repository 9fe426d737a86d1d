//! The driver's linker.

use std::ffi::{CString, c_void};

use rgpu_proto::handle::{Id, Link as LinkHandle};
use rgpu_proto::limits::{LINK_PIECE, MAX_LINKS, MAX_MODULE};
use rgpu_proto::msg::link::{LinkAdd, LinkComplete, LinkCreate, LinkDestroy, LinkLog, Linked};
use rgpu_proto::status::Status;
use rgpu_proto::wire::to_bytes;

use crate::worker::jit_log::{self, JitLog};
use crate::worker::session::{Answer, DONE, Handled, Session};
use crate::worker::transfers::Sink;
use crate::worker::wire_in::End;

/// A link under way.
#[derive(Debug)]
pub(in crate::worker) struct Link {
    log: JitLog,
    /// Bytes of its inputs, which the driver holds.
    taken: u64,
    image: Option<Image>,
}

/// The image of a completed link; the driver's, until the link is destroyed.
#[derive(Debug, Clone, Copy)]
struct Image {
    at: *const u8,
    size: usize,
}

// SAFETY: the driver does not change the image, and any thread may read it.
unsafe impl Send for Image {}

impl Link {
    fn said(&self) -> LinkLog {
        LinkLog {
            info: self.log.info(),
            error: self.log.error(),
        }
    }
}

impl Session {
    pub(super) fn link_create(&mut self, create: &LinkCreate) -> Handled {
        if self.links.len() >= MAX_LINKS {
            return Err(Status::ERROR_OUT_OF_MEMORY.into());
        }
        let mut log = JitLog::new(&create.options);
        let (options, values, count) = log.options();
        let mut raw = std::ptr::null_mut();
        // SAFETY: the options match their values, and both stay where they are until the link is destroyed.
        unsafe {
            self.driver
                .cuLinkCreate_v2(count, options, values, &raw mut raw)?;
        }
        self.handles.bind(create.id, raw)?;
        let link = Link {
            log,
            taken: 0,
            image: None,
        };
        self.links.insert(create.id.0, link);
        Ok(DONE)
    }

    pub(super) fn link_add(&mut self, body: &[u8]) -> Handled {
        let (add, inline) = self.decode_front::<LinkAdd>(body)?;
        let expected = if add.inline { add.size } else { 0 };
        if add.size == 0 || add.size > MAX_MODULE || inline.len() as u64 != expected {
            return Err(End::Bulk {
                op: self.frame.op,
                what: "an input of the wrong length",
            }
            .into());
        }
        if add.inline {
            return self.link_input(&add, inline.to_vec());
        }
        let size = add.size;
        let sink = match self.room_to_stage(size) {
            Ok(()) => Sink::Link {
                add,
                bytes: Vec::new(),
            },
            Err(status) => Sink::Nothing(status),
        };
        self.await_bulk(size, sink)
    }

    /// Gives the driver an input whose bytes have all arrived.
    pub(in crate::worker) fn link_input(&mut self, add: &LinkAdd, mut input: Vec<u8>) -> Handled {
        let raw = self.handles.of(add.id)?;
        let taken: u64 = self.links.values().map(|link| link.taken).sum();
        let link = self.links.get_mut(&add.id.0);
        let link = link.ok_or(Status::ERROR_INVALID_HANDLE)?;
        if taken + add.size > MAX_MODULE {
            return Err(Status::ERROR_OUT_OF_MEMORY.into());
        }
        link.taken += add.size;
        let name = CString::new(add.name.as_str()).map_err(|_| Status::ERROR_INVALID_VALUE)?;
        let (mut numbers, mut values): (Vec<u32>, Vec<*mut c_void>) =
            jit_log::plain(&add.options).unzip();
        // Text ends with a NUL, whether the application counts it or not.
        input.push(0);
        // SAFETY: the link comes from the map; the input has more than `size` bytes and the driver copies it; the
        // options match their values.
        let added = unsafe {
            self.driver.cuLinkAddData_v2(
                raw,
                add.kind,
                input.as_mut_ptr().cast(),
                add.size as usize,
                if add.name.is_empty() {
                    std::ptr::null()
                } else {
                    name.as_ptr()
                },
                numbers.len() as u32,
                numbers.as_mut_ptr(),
                values.as_mut_ptr().cast(),
            )
        };
        let said = to_bytes(&link.said());
        self.reply(Status::of(added), &said)?;
        Ok(Answer::Elsewhere)
    }

    pub(super) fn link_complete(&mut self, complete: &LinkComplete) -> Handled {
        let raw = self.handles.of(complete.id)?;
        let link = self.links.get_mut(&complete.id.0);
        let link = link.ok_or(Status::ERROR_INVALID_HANDLE)?;
        let mut done = Ok(());
        if link.image.is_none() {
            let (mut at, mut size) = (std::ptr::null_mut::<c_void>(), 0_usize);
            // SAFETY: both are live; the link comes from the map.
            done = unsafe {
                self.driver
                    .cuLinkComplete(raw, (&raw mut at).cast(), &raw mut size)
            };
            if done.is_ok() && !at.is_null() {
                let at = at.cast::<u8>().cast_const();
                link.image = Some(Image { at, size });
            }
        }
        let image: &[u8] = match link.image {
            // SAFETY: the driver's buffer of this size, which lives as long as the link.
            Some(Image { at, size }) => unsafe { std::slice::from_raw_parts(at, size) },
            None => &[],
        };
        let from = usize::try_from(complete.from).unwrap_or(usize::MAX);
        let rest = image.get(from..).unwrap_or_default();
        let mut answer = to_bytes(&Linked {
            log: link.said(),
            size: image.len() as u64,
        });
        answer.extend_from_slice(&rest[..rest.len().min(LINK_PIECE)]);
        self.reply(Status::of(done), &answer)?;
        Ok(Answer::Elsewhere)
    }

    pub(super) fn link_destroy(&mut self, destroy: &LinkDestroy) -> Handled {
        let id: Id<LinkHandle> = destroy.id;
        let raw = self.handles.unbind(id)?;
        // SAFETY: the link was in the map and has just been taken out of it.
        let destroyed = unsafe { self.driver.cuLinkDestroy(raw) };
        // Only now may its logs go.
        self.links.remove(&id.0);
        destroyed?;
        Ok(DONE)
    }
}
