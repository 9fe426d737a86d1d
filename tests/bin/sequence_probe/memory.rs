//! Device memory, page-locked memory, and what is done with both.

use std::ffi::c_void;

use rgpu_tests::loader::null;

use super::machine::{Buffer, Kind, Lane, Machine, NOWHERE, call, digest};

/// Bytes by number: none, small ones, and more than there is.
const SIZES: [usize; 10] = [
    0,
    4096,
    256,
    65_536,
    20_000,
    1 << 20,
    (1 << 20) + 12,
    usize::MAX,
    1 << 40,
    1 << 33,
];
/// Lengths of copies and fills.
const LENGTHS: [usize; 9] = [0, 256, 4, 4096, 100, 1, 65_536, 1 << 20, usize::MAX];

fn size(number: u32) -> usize {
    SIZES[number as usize % SIZES.len()]
}

/// An offset into a buffer by number; the last ones are at its end and past it.
fn offset(number: u32, buffer: Buffer) -> u64 {
    let size = buffer.size as u64;
    match number {
        0 => 0,
        1 => 4,
        2 => 128,
        3 => 13,
        4 => size.saturating_sub(4),
        // What lies right behind a buffer is a driver's affair; this far away there is nothing.
        5 | 6 => 1 << 43,
        _ => 2,
    }
}

/// Bytes that depend on their place and on `seed`.
fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// What `cuMemcpy2D` takes, laid out as in cuda.h.
#[repr(C)]
struct Copy2d {
    src_x: usize,
    src_y: usize,
    src_type: u32,
    src_host: *const c_void,
    src_device: u64,
    src_array: *mut c_void,
    src_pitch: usize,
    dst_x: usize,
    dst_y: usize,
    dst_type: u32,
    dst_host: *mut c_void,
    dst_device: u64,
    dst_array: *mut c_void,
    dst_pitch: usize,
    width: usize,
    height: usize,
}

impl Machine {
    /// The default stream of this context, in which calls act that name none.
    fn default_lane(&self) -> Lane {
        self.lane(0)
    }

    /// An address in a buffer.
    fn place(&self, buffer: u32, at: u32) -> u64 {
        let buffer = self.buffer(Kind::Device, buffer);
        match buffer.at {
            0 => 0,
            // Freed memory may still be there, and another's.
            _ if !buffer.live => NOWHERE,
            base => base.wrapping_add(offset(at, buffer)),
        }
    }

    /// The length of a copy that a host buffer of the probe's own can take part in.
    fn host_length(len: u32) -> usize {
        LENGTHS[len as usize % (LENGTHS.len() - 1)]
    }

    fn keep(&mut self, slot: u32, at: u64, size: usize, last: Option<Lane>) {
        // The new memory may lie where other memory was.
        for old in self.device.iter_mut().filter(|old| !old.live) {
            old.at = NOWHERE;
        }
        self.device[slot as usize] = Buffer {
            at,
            size,
            live: true,
            context: self.current(),
            last,
        };
    }

    /// New memory holds anything: it is filled before it is looked at.
    pub(crate) fn alloc(&mut self, slot: u32, number: u32) {
        let (mut at, size) = (0_u64, size(number));
        if call!(self, "cuMemAlloc_v2", &raw mut at => *mut u64, size => usize) == 0 {
            call!(self, "cuMemsetD8_v2", at => u64, 0x5a => u8, size => usize);
            let lane = self.default_lane();
            self.drop_old(slot);
            self.keep(slot, at, size, Some(lane));
        }
    }

    /// A slot's memory would be lost when another takes its place.
    fn drop_old(&mut self, slot: u32) {
        if self.device[slot as usize].live {
            self.free(slot);
        }
    }

    pub(crate) fn free(&mut self, argument: u32) {
        let at = self.buffer(Kind::Device, argument).at;
        // Freeing memory that work in a stream which waits for nothing still uses is a race.
        self.settle(Kind::Device, argument, 2);
        if call!(self, "cuMemFree_v2", at => u64) == 0
            && let Some(buffer) = self.device.get_mut(argument as usize)
        {
            buffer.live = false;
        }
    }

    pub(crate) fn alloc_async(&mut self, slot: u32, number: u32, stream: u32) {
        let (mut at, size, lane) = (0_u64, size(number), self.lane(stream));
        let status = call!(self, "cuMemAllocAsync", &raw mut at => *mut u64, size => usize, lane.stream => *mut c_void);
        if status == 0 {
            self.fill_new(slot, at, size, lane);
        }
    }

    fn fill_new(&mut self, slot: u32, at: u64, size: usize, lane: Lane) {
        call!(self, "cuMemsetD8Async", at => u64, 0xa5 => u8, size => usize, lane.stream => *mut c_void);
        self.drop_old(slot);
        self.keep(slot, at, size, Some(lane));
    }

    pub(crate) fn free_async(&mut self, argument: u32, stream: u32) {
        let (at, lane) = (self.buffer(Kind::Device, argument).at, self.lane(stream));
        self.acquire(Kind::Device, argument, lane, 0);
        if call!(self, "cuMemFreeAsync", at => u64, lane.stream => *mut c_void) == 0
            && let Some(buffer) = self.device.get_mut(argument as usize)
        {
            // When it is gone is the stream's affair, and using it till then has no defined result.
            *buffer = Buffer {
                at: NOWHERE,
                live: false,
                ..*buffer
            };
        }
    }

    pub(crate) fn pool_create(&mut self, slot: u32, most: u32) {
        /// `CUmemPoolProps` of a pool of this device's memory, laid out as in cuda.h.
        #[repr(C)]
        struct Props {
            alloc_type: u32,
            handle_types: u32,
            location_type: u32,
            location_id: i32,
            security: *mut c_void,
            max_size: usize,
            rest: [u8; 64],
        }
        let props = Props {
            alloc_type: u32::from(most != 9),
            handle_types: 0,
            location_type: 1,
            location_id: i32::from(most == 8),
            security: null(),
            max_size: [0, 0, 1 << 25, 0][most as usize % 4],
            rest: [0; 64],
        };
        let mut pool = null();
        let status = call!(self, "cuMemPoolCreate", &raw mut pool => *mut *mut c_void, &raw const props => *const Props);
        if status == 0 {
            self.pools[slot as usize] = pool;
        }
    }

    pub(crate) fn pool_destroy(&self, argument: u32) {
        call!(self, "cuMemPoolDestroy", self.pool(argument) => *mut c_void);
    }

    pub(crate) fn alloc_from(&mut self, slot: u32, number: u32, pool: u32, stream: u32) {
        let (mut at, size, lane) = (0_u64, size(number), self.lane(stream));
        let status = call!(self, "cuMemAllocFromPoolAsync", &raw mut at => *mut u64, size => usize,
            self.pool(pool) => *mut c_void, lane.stream => *mut c_void);
        if status == 0 {
            self.fill_new(slot, at, size, lane);
        }
    }

    pub(crate) fn pointer_look(&self, argument: u32, at: u32, what: u32) {
        /// CONTEXT, MEMORY_TYPE, IS_MANAGED, DEVICE_ORDINAL, RANGE_SIZE, MAPPED.
        const ATTRIBUTES: [u32; 6] = [1, 2, 8, 9, 12, 13];
        let (at, buffer) = (
            self.place(argument, at),
            self.buffer(Kind::Device, argument),
        );
        let (mut base, mut size, mut value) = (0_u64, 0_usize, 0_u64);
        match ATTRIBUTES.get(what as usize) {
            Some(attribute) => {
                call!(self, "cuPointerGetAttribute", (&raw mut value).cast() => *mut c_void, *attribute => u32, at => u64);
                let context = std::ptr::without_provenance_mut(value as usize);
                let shown = if *attribute == 1 {
                    self.context_name(context)
                } else {
                    value.to_string()
                };
                self.say(&format!("  {shown}"));
            }
            None => {
                call!(self, "cuMemGetAddressRange_v2", &raw mut base => *mut u64, &raw mut size => *mut usize, at => u64);
                self.say(&format!("  {} {size}", base != 0 && base == buffer.at));
            }
        }
    }

    pub(crate) fn pinned_alloc(&mut self, slot: u32, number: u32, flags: u32) {
        if self.pinned[slot as usize].live {
            self.pinned_free(slot, 2);
        }
        let (mut at, size) = (null(), size(number));
        // What a machine can give of its own memory is not the device's affair.
        let size = if size > 1 << 21 { 0 } else { size };
        let status = call!(self, "cuMemHostAlloc", &raw mut at => *mut *mut c_void, size => usize, flags => u32);
        if status == 0 {
            // SAFETY: new memory of this size.
            unsafe { std::ptr::write_bytes(at.cast::<u8>(), 0x3c, size) };
            self.pinned[slot as usize] = Buffer {
                at: at as u64,
                size,
                live: true,
                context: self.current(),
                last: None,
            };
        }
    }

    pub(crate) fn pinned_free(&mut self, argument: u32, how: u32) {
        self.settle(Kind::Pinned, argument, how);
        let at = self.buffer(Kind::Pinned, argument).at;
        if call!(self, "cuMemFreeHost", at as usize as *mut c_void => *mut c_void) == 0 {
            // Another buffer may have the address of one that was freed before.
            for buffer in self.pinned.iter_mut().filter(|buffer| buffer.at == at) {
                buffer.live = false;
            }
        }
    }

    pub(crate) fn pinned_fill(&mut self, argument: u32, value: u32, how: u32) {
        let buffer = self.buffer(Kind::Pinned, argument);
        if buffer.live {
            self.settle(Kind::Pinned, argument, how);
            let bytes = pattern(buffer.size, value);
            // SAFETY: live memory of this size, which nothing uses.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.at as *mut u8, bytes.len())
            };
        }
    }

    pub(crate) fn pinned_read(&mut self, argument: u32, how: u32) {
        let buffer = self.buffer(Kind::Pinned, argument);
        if buffer.live {
            self.settle(Kind::Pinned, argument, how);
            // SAFETY: live memory of this size, which nothing changes.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.at as *const u8, buffer.size) };
            self.say(&format!("  page-locked {:016x}", digest(bytes)));
        }
    }

    pub(crate) fn set(&mut self, argument: u32, at: u32, count: u32, value: u32, width: u32) {
        let (at, count) = (
            self.place(argument, at),
            LENGTHS[count as usize % LENGTHS.len()],
        );
        let lane = self.default_lane();
        self.acquire(Kind::Device, argument, lane, 0);
        match width % 3 {
            0 => call!(self, "cuMemsetD8_v2", at => u64, value as u8 => u8, count => usize),
            1 => {
                call!(self, "cuMemsetD16_v2", at => u64, (value * 257) as u16 => u16, count / 2 => usize)
            }
            _ => {
                call!(self, "cuMemsetD32_v2", at => u64, value.wrapping_mul(0x0101_0111) => u32, count / 4 => usize)
            }
        };
    }

    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn set_async(
        &mut self,
        argument: u32,
        at: u32,
        count: u32,
        value: u32,
        width: u32,
        stream: u32,
        how: u32,
    ) {
        let (at, count) = (
            self.place(argument, at),
            LENGTHS[count as usize % LENGTHS.len()],
        );
        let lane = self.lane(stream);
        self.acquire(Kind::Device, argument, lane, how);
        let stream = lane.stream;
        match width % 3 {
            0 => {
                call!(self, "cuMemsetD8Async", at => u64, value as u8 => u8, count => usize, stream => *mut c_void)
            }
            1 => {
                call!(self, "cuMemsetD16Async", at => u64, (value * 257) as u16 => u16, count / 2 => usize,
                stream => *mut c_void)
            }
            _ => {
                call!(self, "cuMemsetD32Async", at => u64, value.wrapping_mul(0x0101_0111) => u32, count / 4 => usize,
                stream => *mut c_void)
            }
        };
    }

    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn set_2d(
        &mut self,
        argument: u32,
        pitch: u32,
        width: u32,
        height: u32,
        value: u32,
        stream: u32,
        how: u32,
    ) {
        let pitch = [512, 256, 260, 1024, 0, 3, 100, 1 << 20, 1 << 40, 4096][pitch as usize % 10];
        let (at, width) = (
            self.place(argument, 0),
            LENGTHS[width as usize % LENGTHS.len()],
        );
        let height = [1, 2, 7, 3, 0, 1 << 20, 16, 100, 5, 1][height as usize % 10];
        let lane = self.lane(stream);
        self.acquire(Kind::Device, argument, lane, how);
        call!(self, "cuMemsetD2D8Async", at => u64, pitch => usize, value as u8 => u8, width => usize,
            height => usize, lane.stream => *mut c_void);
    }

    pub(crate) fn copy_in(&mut self, argument: u32, at: u32, len: u32, seed: u32) {
        let (at, bytes) = (
            self.place(argument, at),
            pattern(Self::host_length(len), seed),
        );
        let lane = self.default_lane();
        self.acquire(Kind::Device, argument, lane, 0);
        call!(self, "cuMemcpyHtoD_v2", at => u64, bytes.as_ptr().cast() => *const c_void, bytes.len() => usize);
    }

    /// The bytes are pageable: they have been taken when the call returns.
    pub(crate) fn copy_in_async(
        &mut self,
        argument: u32,
        at: u32,
        len: u32,
        seed: u32,
        stream: u32,
        how: u32,
    ) {
        let (at, bytes) = (
            self.place(argument, at),
            pattern(Self::host_length(len), seed),
        );
        let lane = self.lane(stream);
        self.acquire(Kind::Device, argument, lane, how);
        call!(self, "cuMemcpyHtoDAsync_v2", at => u64, bytes.as_ptr().cast() => *const c_void,
            bytes.len() => usize, lane.stream => *mut c_void);
    }

    pub(crate) fn copy_out(&mut self, argument: u32, at: u32, len: u32) {
        let (at, mut bytes) = (self.place(argument, at), vec![0_u8; Self::host_length(len)]);
        let lane = self.default_lane();
        self.acquire(Kind::Device, argument, lane, 1);
        call!(self, "cuMemcpyDtoH_v2", bytes.as_mut_ptr().cast() => *mut c_void, at => u64, bytes.len() => usize);
        self.say(&format!("  {:016x}", digest(&bytes)));
    }

    /// Into pageable memory: the bytes are there when the call returns.
    pub(crate) fn copy_out_async(
        &mut self,
        argument: u32,
        at: u32,
        len: u32,
        stream: u32,
        how: u32,
    ) {
        let (at, mut bytes) = (self.place(argument, at), vec![0_u8; Self::host_length(len)]);
        let lane = self.lane(stream);
        self.acquire(Kind::Device, argument, lane, how);
        call!(self, "cuMemcpyDtoHAsync_v2", bytes.as_mut_ptr().cast() => *mut c_void, at => u64,
            bytes.len() => usize, lane.stream => *mut c_void);
        self.say(&format!("  {:016x}", digest(&bytes)));
    }

    /// From page-locked memory to the device, or back.
    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn pinned_copy(
        &mut self,
        to_device: bool,
        buffer: u32,
        at: u32,
        len: u32,
        pinned: u32,
        stream: u32,
        how: u32,
    ) {
        let (at, host) = (self.place(buffer, at), self.buffer(Kind::Pinned, pinned));
        if !host.live {
            return;
        }
        let len = Self::host_length(len).min(host.size);
        let lane = self.lane(stream);
        self.acquire(Kind::Device, buffer, lane, how);
        self.acquire(Kind::Pinned, pinned, lane, how);
        let host = host.at as usize as *mut c_void;
        if to_device {
            call!(self, "cuMemcpyHtoDAsync_v2", at => u64, host => *const c_void, len => usize,
                lane.stream => *mut c_void);
        } else {
            call!(self, "cuMemcpyDtoHAsync_v2", host => *mut c_void, at => u64, len => usize,
                lane.stream => *mut c_void);
        }
    }

    pub(crate) fn copy(&mut self, to: u32, to_at: u32, from: u32, from_at: u32, len: u32) {
        if to == from {
            // Overlapping copies have no defined result.
            return;
        }
        let (to_place, from_place) = (self.place(to, to_at), self.place(from, from_at));
        let lane = self.default_lane();
        self.acquire(Kind::Device, to, lane, 0);
        self.acquire(Kind::Device, from, lane, 1);
        let len = LENGTHS[len as usize % LENGTHS.len()];
        call!(self, "cuMemcpyDtoD_v2", to_place => u64, from_place => u64, len => usize);
    }

    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn copy_async(
        &mut self,
        to: u32,
        to_at: u32,
        from: u32,
        from_at: u32,
        len: u32,
        stream: u32,
        how: u32,
    ) {
        if to == from {
            return;
        }
        let (to_place, from_place) = (self.place(to, to_at), self.place(from, from_at));
        let lane = self.lane(stream);
        self.acquire(Kind::Device, to, lane, how);
        self.acquire(Kind::Device, from, lane, how);
        let len = LENGTHS[len as usize % LENGTHS.len()];
        call!(self, "cuMemcpyDtoDAsync_v2", to_place => u64, from_place => u64, len => usize,
            lane.stream => *mut c_void);
    }

    /// Rows of 7 or fewer lines between two buffers, or a buffer and the probe's own memory.
    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn copy_2d(
        &mut self,
        to: u32,
        from: u32,
        way: u32,
        width: u32,
        height: u32,
        pitches: u32,
        stream: u32,
        how: u32,
    ) {
        const HOST: u32 = 1;
        const DEVICE: u32 = 2;
        let width = [64, 256, 1, 100, 16, 4, 300, 0, 4096][width as usize % 9];
        let height = [1, 2, 7, 3, 0, 5, 6, 4, 7, 7][height as usize % 10];
        let (src_pitch, dst_pitch) = [
            (512, 512),
            (300, 512),
            (512, 300),
            (4096, 4096),
            (1, 512),
            (512, 1),
            (0, 0),
        ][pitches as usize % 7];
        let mut host = pattern(4096 * 8, to * 7 + from);
        let (dst, src) = (self.place(to, 0), self.place(from, 0));
        if way % 3 == 2 && to == from {
            return;
        }
        let lane = self.lane(stream);
        if way % 3 != 1 {
            self.acquire(Kind::Device, to, lane, how);
        }
        if !way.is_multiple_of(3) {
            self.acquire(Kind::Device, from, lane, how);
        }
        let (src_type, dst_type) =
            [(HOST, DEVICE), (DEVICE, HOST), (DEVICE, DEVICE)][way as usize % 3];
        let copy = Copy2d {
            src_x: 0,
            src_y: 0,
            src_type,
            src_host: host.as_ptr().cast(),
            src_device: src,
            src_array: null(),
            src_pitch,
            dst_x: 0,
            dst_y: 0,
            dst_type,
            dst_host: host.as_mut_ptr().cast(),
            dst_device: dst,
            dst_array: null(),
            dst_pitch,
            width,
            height,
        };
        call!(self, "cuMemcpy2DAsync_v2", &raw const copy => *const Copy2d, lane.stream => *mut c_void);
        self.say(&format!("  {:016x}", digest(&host)));
    }

    pub(crate) fn write_value(
        &mut self,
        argument: u32,
        at: u32,
        value: u32,
        stream: u32,
        how: u32,
    ) {
        let (at, lane) = (self.place(argument, at), self.lane(stream));
        self.acquire(Kind::Device, argument, lane, how);
        call!(self, "cuStreamWriteValue32_v2", lane.stream => *mut c_void, at => u64, value => u32, 0 => u32);
        call!(self, "cuStreamWaitValue32_v2", lane.stream => *mut c_void, at => u64, value => u32, 1 => u32);
    }

    /// Everything that is live, once all is over.
    pub(crate) fn read_all(&mut self) {
        for slot in 0..self.device.len() as u32 {
            let buffer = self.buffer(Kind::Device, slot);
            if buffer.live {
                self.settle(Kind::Device, slot, 2);
                let mut bytes = vec![0_u8; buffer.size];
                call!(self, "cuMemcpyDtoH_v2", bytes.as_mut_ptr().cast() => *mut c_void, buffer.at => u64,
                    bytes.len() => usize);
                self.say(&format!("  device {slot} {:016x}", digest(&bytes)));
            }
        }
        for slot in 0..self.pinned.len() as u32 {
            self.pinned_read(slot, 2);
        }
    }
}
