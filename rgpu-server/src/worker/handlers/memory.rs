//! Device memory: backing, copies, fills, physical memory.

use std::sync::Arc;

use cudarc::driver::sys;
use rgpu_proto::frame::Flags;
use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::limits::{INLINE_DATA, MAX_CHUNK, MAX_TRANSFER};
use rgpu_proto::msg::memory::{
    Back, CopyDevice, CopyIn, CopyOut, Element, Extent, Fill, PhysicalCreate, PhysicalMap,
    PhysicalRelease, Pitched, SetAccess, Unback, Unmap,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_transport::Place as SharedPlace;
use std::ffi::c_void;

use crate::worker::event::Event;
use crate::worker::host_func::Gate;
use crate::worker::session::{Answer, DONE, Failed, Handled, Session, enter_on_thread};
use crate::worker::staging::{Chunk, Pool};
use crate::worker::transfers::Sink;
use crate::worker::waits;
use crate::worker::wire_in::End;

/// Where a box of bytes lies.
enum Place {
    Host(*mut c_void),
    Device(Pitched),
}

impl Session {
    pub(super) fn back(&mut self, range: &Back) -> Handled {
        self.window.back(range.address, range.size)?;
        Ok(DONE)
    }

    /// Unmapping memory that work in flight uses is undefined (CUDA Driver API reference, `cuMemUnmap`), so
    /// this waits. Clients give memory back only under pressure.
    pub(super) fn unback(&mut self, range: &Unback) -> Handled {
        // SAFETY: a plain call in the current context.
        unsafe { self.driver.cuCtxSynchronize()? };
        self.window.unback(range.address, range.size)?;
        Ok(DONE)
    }

    pub(super) fn physical_create(&mut self, create: &PhysicalCreate) -> Handled {
        self.window.charge(create.size)?;
        let memory = match self.window.create(create.size) {
            Ok(memory) => memory,
            Err(status) => {
                self.window.refund(create.size);
                return Err(status.into());
            }
        };
        self.handles.bind(create.id, memory as *mut c_void)?;
        self.physical.insert(create.id.0, create.size);
        Ok(DONE)
    }

    pub(super) fn physical_release(&mut self, release: &PhysicalRelease) -> Handled {
        let memory = self.handles.unbind(release.id)? as u64;
        let size = self.physical.remove(&release.id.0).unwrap_or(0);
        // SAFETY: the memory was in the map and has just been taken out of it.
        unsafe { self.driver.cuMemRelease(memory)? };
        // Mappings may keep the memory alive; the client frees its lease by unmapping first, as is usual.
        self.window.refund(size);
        Ok(DONE)
    }

    pub(super) fn physical_map(&mut self, map: &PhysicalMap) -> Handled {
        self.window.check(map.address, map.size)?;
        let memory = self.handles.of(map.id)? as u64;
        // SAFETY: the range lies in the window and the memory is alive.
        unsafe {
            self.driver.cuMemMap(
                map.address,
                map.size as usize,
                map.offset as usize,
                memory,
                0,
            )?;
        }
        Ok(DONE)
    }

    pub(super) fn physical_unmap(&mut self, unmap: &Unmap) -> Handled {
        self.window.check(unmap.address, unmap.size)?;
        // SAFETY: the range lies in the window; the driver refuses one that is not mapped as a whole.
        unsafe { self.driver.cuMemUnmap(unmap.address, unmap.size as usize)? };
        Ok(DONE)
    }

    pub(super) fn set_access(&mut self, set: &SetAccess) -> Handled {
        self.window.check(set.address, set.size)?;
        self.window.allow(set.address, set.size, set.flags)?;
        Ok(DONE)
    }

    pub(super) fn fill(&mut self, fill: &Fill) -> Handled {
        let stream = self.stream(fill.stream)?;
        let (dst, value) = (fill.dst, fill.value);
        let (width, height, pitch) = (
            fill.width as usize,
            fill.height as usize,
            fill.pitch as usize,
        );
        let driver = &self.driver;
        // SAFETY: the stream comes from the map; the driver checks the range.
        unsafe {
            match (fill.element, height) {
                (Element::Byte, 1) => driver.cuMemsetD8Async(dst, value as u8, width, stream),
                (Element::Short, 1) => driver.cuMemsetD16Async(dst, value as u16, width, stream),
                (Element::Word, 1) => driver.cuMemsetD32Async(dst, value, width, stream),
                (Element::Byte, _) => {
                    driver.cuMemsetD2D8Async(dst, pitch, value as u8, width, height, stream)
                }
                (Element::Short, _) => {
                    driver.cuMemsetD2D16Async(dst, pitch, value as u16, width, height, stream)
                }
                (Element::Word, _) => {
                    driver.cuMemsetD2D32Async(dst, pitch, value, width, height, stream)
                }
            }?;
        }
        Ok(DONE)
    }

    pub(super) fn copy_device(&mut self, copy: &CopyDevice) -> Handled {
        let stream = self.stream(copy.stream)?;
        let bytes = copy.extent.bytes().ok_or(Status::ERROR_INVALID_VALUE)?;
        if is_linear(&copy.extent) {
            // SAFETY: the stream comes from the map; the driver checks the ranges.
            unsafe {
                self.driver.cuMemcpyDtoDAsync_v2(
                    copy.dst.address,
                    copy.src.address,
                    bytes as usize,
                    stream,
                )?;
            }
            return Ok(DONE);
        }
        self.copy_box(
            &Place::Device(copy.dst.clone()),
            &Place::Device(copy.src.clone()),
            &copy.extent,
            stream,
        )?;
        Ok(DONE)
    }

    /// Copies a box of bytes; a place on the host is packed.
    fn copy_box(
        &self,
        dst: &Place,
        src: &Place,
        extent: &Extent,
        stream: *mut c_void,
    ) -> Result<(), Status> {
        use sys::CUmemorytype_enum::{CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST};
        let mut copy = std::mem::MaybeUninit::<sys::CUDA_MEMCPY3D>::zeroed();
        let at = copy.as_mut_ptr();
        let rows = |place: &Pitched| match (extent.depth, place.pitch) {
            (1, _) | (_, 0) => extent.height as usize,
            _ => (place.slice / place.pitch) as usize,
        };
        // SAFETY: `at` is live and properly aligned; all fields without a zero item are written.
        let copy = unsafe {
            match src {
                Place::Host(host) => {
                    (*at).srcMemoryType = CU_MEMORYTYPE_HOST;
                    (*at).srcHost = *host;
                    (*at).srcPitch = extent.width as usize;
                    (*at).srcHeight = extent.height as usize;
                }
                Place::Device(place) => {
                    (*at).srcMemoryType = CU_MEMORYTYPE_DEVICE;
                    (*at).srcDevice = place.address;
                    (*at).srcPitch = place.pitch as usize;
                    (*at).srcHeight = rows(place);
                }
            }
            match dst {
                Place::Host(host) => {
                    (*at).dstMemoryType = CU_MEMORYTYPE_HOST;
                    (*at).dstHost = *host;
                    (*at).dstPitch = extent.width as usize;
                    (*at).dstHeight = extent.height as usize;
                }
                Place::Device(place) => {
                    (*at).dstMemoryType = CU_MEMORYTYPE_DEVICE;
                    (*at).dstDevice = place.address;
                    (*at).dstPitch = place.pitch as usize;
                    (*at).dstHeight = rows(place);
                }
            }
            (*at).WidthInBytes = extent.width as usize;
            (*at).Height = extent.height as usize;
            (*at).Depth = extent.depth as usize;
            copy.assume_init()
        };
        // SAFETY: the structure is complete; host places are staging buffers of enough bytes.
        unsafe {
            self.driver
                .cuMemcpy3DAsync_v2((&raw const copy).cast(), stream)
        }
    }

    /// Host bytes to the device.
    pub(super) fn copy_in(&mut self, body: &[u8]) -> Handled {
        let (copy, inline) = self.decode_front::<CopyIn>(body)?;
        let bytes = self.transfer_size(&copy.extent)?;
        if !self.frame.flags.has(Flags::BULK) {
            if inline.len() as u64 != bytes || inline.len() > INLINE_DATA {
                return Err(self.bulk("inline data of the wrong length").into());
            }
            return self.copy_in_inline(&copy, inline);
        }
        if !inline.is_empty() {
            return Err(self.bulk("both inline and bulk").into());
        }
        let sink = if is_linear(&copy.extent) {
            // An unknown stream is refused with the first piece.
            Sink::Linear {
                dst: copy.dst.address,
                stream: copy.stream,
                idle: self.stream(copy.stream).is_ok() && self.is_idle().unwrap_or(false),
            }
        } else {
            match self.staging(bytes) {
                Ok(staging) => Sink::Box { copy, staging },
                Err(status) => Sink::Nothing(status),
            }
        };
        self.await_bulk(bytes, sink)
    }

    /// Page-locked memory for a whole transfer.
    fn staging(&self, bytes: u64) -> Result<Chunk, Status> {
        self.room_to_stage(bytes)?;
        Chunk::allocate(&self.driver, bytes as usize)
    }

    pub(in crate::worker) fn bulk(&self, what: &'static str) -> End {
        End::Bulk {
            op: self.frame.op,
            what,
        }
    }

    pub(in crate::worker) fn transfer_size(&self, extent: &Extent) -> Result<u64, Failed> {
        match extent.bytes() {
            Some(bytes) if bytes <= MAX_TRANSFER => Ok(bytes),
            _ => Err(self.bulk("larger than any device").into()),
        }
    }

    fn copy_in_inline(&mut self, copy: &CopyIn, data: &[u8]) -> Handled {
        let stream = self.stream(copy.stream)?;
        if data.is_empty() {
            return Ok(DONE);
        }
        if is_linear(&copy.extent)
            && let Some(place) = self.window.host_sees(copy.dst.address, data.len() as u64)
            && self.is_idle()?
        {
            // SAFETY: memory that the client owns, which the driver lets the host touch and nothing uses now.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), place, data.len()) };
            return Ok(DONE);
        }
        let mut chunk = self.small.take(&self.driver)?;
        chunk.bytes_mut()[..data.len()].copy_from_slice(data);
        let issued = self.issue_in(&copy.dst, &copy.extent, &chunk, stream);
        match issued.and_then(|()| self.event(stream)) {
            Ok(event) => self.small.give_after(chunk, event),
            Err(status) => {
                self.small.give(chunk);
                return Err(status.into());
            }
        }
        Ok(DONE)
    }

    /// Issues the copy of a whole small transfer that lies packed at the front of `chunk`.
    fn issue_in(
        &self,
        dst: &Pitched,
        extent: &Extent,
        chunk: &Chunk,
        stream: *mut c_void,
    ) -> Result<(), Status> {
        if is_linear(extent) {
            // SAFETY: the chunk holds the bytes until the event after this copy; the driver checks the range.
            return unsafe {
                self.driver.cuMemcpyHtoDAsync_v2(
                    dst.address,
                    chunk.address(),
                    extent.width as usize,
                    stream,
                )
            };
        }
        self.copy_box(
            &Place::Device(dst.clone()),
            &Place::Host(chunk.address()),
            extent,
            stream,
        )
    }

    /// Issues the copy of a chunk of a larger transfer.
    pub(in crate::worker) fn copy_in_piece(
        &mut self,
        dst: u64,
        stream: Id<Stream>,
        chunk: Chunk,
        len: usize,
    ) -> Result<(), Status> {
        let issued = self.stream(stream).and_then(|stream| {
            // SAFETY: the chunk holds the bytes until the event after this copy; the driver checks the range.
            unsafe {
                self.driver
                    .cuMemcpyHtoDAsync_v2(dst, chunk.address(), len, stream)?;
            }
            self.event(stream)
        });
        match issued {
            Ok(event) => self.chunks_in.give_after(chunk, event),
            Err(status) => {
                self.chunks_in.give(chunk);
                return Err(status);
            }
        }
        Ok(())
    }

    /// Issues the copy of a box whose bytes have all arrived.
    pub(in crate::worker) fn copy_in_box(
        &mut self,
        copy: &CopyIn,
        staging: Chunk,
    ) -> Result<(), Status> {
        let stream = self.stream(copy.stream)?;
        let host = Place::Host(staging.address());
        self.copy_box(
            &Place::Device(copy.dst.clone()),
            &host,
            &copy.extent,
            stream,
        )?;
        let event = self.event(stream)?;
        self.free_after(staging, event)
    }

    fn free_after(&mut self, staging: Chunk, event: Event) -> Result<(), Status> {
        let (driver, context) = (Arc::clone(&self.driver), self.contexts.current()?.raw);
        self.tasks.run(move || {
            enter_on_thread(&driver, context);
            // A failed context has stopped using the buffer too.
            let _ = event.synchronize();
            staging.free(&driver);
        })
    }

    /// Device bytes to the host. Always answered.
    pub(super) fn copy_out(&mut self, copy: &CopyOut) -> Handled {
        let bytes = self.transfer_size(&copy.extent)?;
        self.issue_out(copy, bytes)
            .inspect_err(|_| self.output.drain(&self.writer))
    }

    fn issue_out(&mut self, copy: &CopyOut, bytes: u64) -> Handled {
        let stream = self.stream(copy.stream)?;
        let seen = self.window.host_sees(copy.src.address, bytes);
        if let Some(place) = seen.filter(|_| is_linear(&copy.extent)) {
            let place = InPlace {
                at: place,
                len: bytes as usize,
            };
            if bytes > INLINE_DATA as u64 {
                return self.send_in_place(place, stream);
            }
            if self.is_idle()? {
                self.deliveries
                    .settle(self.frame.seq, &self.output, &self.writer);
                self.reply(Status::SUCCESS, place.bytes())?;
                return Ok(Answer::Elsewhere);
            }
        }
        if bytes <= INLINE_DATA as u64 {
            let chunk = self.small.take(&self.driver)?;
            let event = match self.issue_out_whole(copy, &chunk, stream) {
                Ok(event) => event,
                Err(status) => {
                    self.small.give(chunk);
                    return Err(status.into());
                }
            };
            return self.answer_with(chunk, bytes as usize, event);
        }
        if is_linear(&copy.extent) {
            return self.copy_out_linear(copy, bytes, stream);
        }
        let staging = self.staging(bytes)?;
        let event = Arc::new(self.issue_out_whole(copy, &staging, stream)?);
        let finished = Arc::clone(&event);
        self.deliver(
            move |delivery| delivery.send_whole(staging, &event),
            finished,
        )
    }

    fn issue_out_whole(
        &self,
        copy: &CopyOut,
        chunk: &Chunk,
        stream: *mut c_void,
    ) -> Result<Event, Status> {
        let host = chunk.address();
        if copy.extent.bytes() == Some(0) {
            return self.event(stream);
        }
        if is_linear(&copy.extent) {
            // SAFETY: the chunk has room and stays until the event after this copy.
            unsafe {
                self.driver.cuMemcpyDtoHAsync_v2(
                    host,
                    copy.src.address,
                    copy.extent.width as usize,
                    stream,
                )?;
            }
        } else {
            self.copy_box(
                &Place::Host(host),
                &Place::Device(copy.src.clone()),
                &copy.extent,
                stream,
            )?;
        }
        self.event(stream)
    }

    /// Answers with the `len` bytes of `chunk` once `event` has happened.
    fn answer_with(&mut self, chunk: Chunk, len: usize, event: Event) -> Handled {
        let shortly = self.waits() && waits::happen_shortly(std::slice::from_ref(&event));
        if shortly {
            let status = event.synchronize();
            self.deliveries
                .settle(self.frame.seq, &self.output, &self.writer);
            let data = if status.is_ok() {
                &chunk.bytes()[..len]
            } else {
                &[]
            };
            let sent = self.reply(Status::of(status), data);
            self.small.give(chunk);
            sent?;
            return Ok(Answer::Elsewhere);
        }
        let pool = Arc::clone(&self.small);
        let event = Arc::new(event);
        let finished = Arc::clone(&event);
        self.deliver(
            move |delivery| {
                let status = event.synchronize();
                let data = if status.is_ok() {
                    &chunk.bytes()[..len]
                } else {
                    &[]
                };
                delivery.reply(status, data);
                pool.give(chunk);
            },
            finished,
        )
    }

    /// Sends device memory from where it lies once the stream is there, and holds the stream until that is done.
    fn send_in_place(&mut self, place: InPlace, stream: *mut c_void) -> Handled {
        let there = Arc::new(self.event(stream)?);
        let hold = Gate::hold(&self.driver, stream)?;
        let (finished, underway) = (Arc::clone(&there), self.in_place.begin());
        self.deliver(
            move |delivery| {
                let _until_then = (hold, underway);
                match there.synchronize() {
                    Ok(()) => delivery.send_packed(place.bytes()),
                    Err(status) => delivery.reply(Err(status), &[]),
                }
            },
            finished,
        )
    }

    /// Chunk by chunk, so that sending one overlaps copying the next.
    fn copy_out_linear(&mut self, copy: &CopyOut, bytes: u64, stream: *mut c_void) -> Handled {
        if let Some(done) = self.copy_out_through_slots(copy.src.address, bytes, stream) {
            return done;
        }
        let (send, receive) = std::sync::mpsc::channel::<Piece>();
        let pool = Arc::clone(&self.chunks_out);
        // The delivery is known as pending from before its first chunk until after its last.
        let finished = Arc::new(self.event(stream)?);
        let answer = self.deliver(
            move |delivery| delivery.send_pieces(receive.iter(), &pool),
            finished,
        )?;
        let mut done = 0;
        while done < bytes {
            let len = (bytes - done).min(MAX_CHUNK as u64);
            let piece = self.issue_piece(copy.src.address.wrapping_add(done), len as usize, stream);
            done += len;
            let last = done == bytes || piece.is_err();
            // The receiver lives until it has seen the last piece.
            let _ = send.send(Piece {
                result: piece,
                len: len as usize,
                last,
            });
            if last {
                break;
            }
        }
        Ok(answer)
    }

    fn issue_piece(
        &self,
        address: u64,
        len: usize,
        stream: *mut c_void,
    ) -> Result<(Filled, Event), Status> {
        let chunk = self.chunks_out.take(&self.driver)?;
        // SAFETY: the chunk has room and stays until the event after this copy; the driver checks the range.
        let issued = unsafe {
            self.driver
                .cuMemcpyDtoHAsync_v2(chunk.address(), address, len, stream)
        };
        match issued.and_then(|()| self.event(stream)) {
            Ok(event) => Ok((Filled::Chunk(chunk), event)),
            Err(status) => {
                self.chunks_out.give(chunk);
                Err(status)
            }
        }
    }

    /// Runs `send` on a thread that may wait. Waits that come later and find `finished` done wait for it too.
    pub(super) fn deliver(
        &mut self,
        send: impl FnOnce(&Delivery) + Send + 'static,
        finished: Arc<Event>,
    ) -> Handled {
        let context = self.contexts.current()?.raw;
        let delivery = Delivery {
            writer: Arc::clone(&self.writer),
            output: Arc::clone(&self.output),
            deliveries: Arc::clone(&self.deliveries),
            driver: Arc::clone(&self.driver),
            seq: self.frame.seq,
            op: self.frame.op,
        };
        let (deliveries, driver) = (Arc::clone(&self.deliveries), Arc::clone(&self.driver));
        let seq = self.frame.seq;
        deliveries.add(seq, finished);
        self.tasks.run(move || {
            enter_on_thread(&driver, context);
            send(&delivery);
            deliveries.done(seq);
        })?;
        Ok(Answer::Elsewhere)
    }
}

/// Device memory that the host may touch.
struct InPlace {
    at: *mut u8,
    len: usize,
}

// SAFETY: an address that any thread may read from.
unsafe impl Send for InPlace {}

impl InPlace {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the driver lets the host touch this memory; it stays mapped while a stream is held or the issuing
        // thread is here. Kernels that write to it meanwhile race with the copy in the client's program too.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

/// Where the device puts a piece on its way to the client.
pub(super) enum Filled {
    Chunk(Chunk),
    /// Memory that the client shares.
    Slot(SharedPlace),
}

impl Filled {
    pub(super) const fn address(&self) -> *mut c_void {
        match self {
            Self::Chunk(chunk) => chunk.address(),
            Self::Slot(place) => place.address().as_ptr().cast(),
        }
    }

    /// Gives it back unsent.
    pub(super) fn give_to(self, pool: &Pool) {
        if let Self::Chunk(chunk) = self {
            pool.give(chunk);
        }
    }
}

/// A piece on its way to the client, or why there is none.
pub(super) struct Piece {
    pub(super) result: Result<(Filled, Event), Status>,
    pub(super) len: usize,
    pub(super) last: bool,
}

/// Sends the data of one copy. A client that is gone is noticed by the session's reader, so that errors of
/// sending end here.
pub(super) struct Delivery {
    pub(super) writer: Arc<crate::worker::writer::Writer>,
    output: Arc<crate::worker::output::Output>,
    deliveries: Arc<waits::Deliveries>,
    pub(super) driver: Arc<crate::worker::driver::Driver>,
    seq: u64,
    op: Opcode,
}

impl Delivery {
    pub(super) fn reply(&self, status: Result<(), Status>, data: &[u8]) {
        self.settle();
        let _ = self
            .writer
            .reply(self.seq, self.op, Status::of(status), data);
    }

    fn reply_bulk(&self) {
        self.settle();
        let _ = self.writer.reply_bulk(self.seq, self.op, Status::SUCCESS);
    }

    /// What came before the copy goes out before it.
    fn settle(&self) {
        self.output.drain(&self.writer);
        self.deliveries.tell(&self.writer);
    }

    fn send_whole(&self, staging: Chunk, event: &Event) {
        let status = event.synchronize();
        if status.is_ok() {
            self.send_packed(staging.bytes());
        } else {
            self.reply(status, &[]);
        }
        staging.free(&self.driver);
    }

    fn send_packed(&self, bytes: &[u8]) {
        self.reply_bulk();
        let mut pieces = bytes.chunks(MAX_CHUNK).peekable();
        while let Some(piece) = pieces.next() {
            let _ = self.writer.data(self.seq, piece, pieces.peek().is_none());
        }
    }

    /// The answer goes out with the first piece: by then the copy's range is known to be good. A context that
    /// fails later ends the data early; the next call says why.
    pub(super) fn send_pieces(&self, pieces: impl Iterator<Item = Piece>, pool: &Pool) {
        let mut started = false;
        let mut failed = None;
        for Piece { result, len, last } in pieces {
            match result {
                Ok((filled, event)) => {
                    let status = event
                        .synchronize()
                        .and_then(|()| failed.map_or(Ok(()), Err));
                    if status.is_ok() && !started {
                        self.reply_bulk();
                        started = true;
                    }
                    match (status, filled) {
                        (Ok(()), Filled::Slot(place)) => {
                            let _ = self.writer.data_in(self.seq, place, last);
                        }
                        (Ok(()), Filled::Chunk(chunk)) => {
                            let _ = self.writer.data(self.seq, &chunk.bytes()[..len], last);
                            pool.give(chunk);
                        }
                        (Err(status), filled) => {
                            failed = Some(status);
                            filled.give_to(pool);
                        }
                    }
                }
                Err(status) => failed = Some(status),
            }
            if last {
                break;
            }
        }
        self.end_early(started, failed);
    }

    fn end_early(&self, started: bool, failed: Option<Status>) {
        let Some(status) = failed else { return };
        if started {
            self.writer.defer(self.op, status);
            let _ = self.writer.data(self.seq, &[], true);
        } else {
            self.reply(Err(status), &[]);
        }
    }
}

/// Whether an extent is one row.
const fn is_linear(extent: &Extent) -> bool {
    extent.height == 1 && extent.depth == 1
}
