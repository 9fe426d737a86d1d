//! Launches and host functions.

use std::ffi::c_void;

use rgpu_tests::loader::null;

use super::machine::{Diary, Kind, Machine, call};

/// What a host function gets.
struct Note {
    diary: Diary,
    stream: (usize, usize),
    value: u32,
    /// Page-locked memory to fill, and how much of it.
    fill: (usize, usize),
}

unsafe extern "C" fn write_down(note: *mut c_void) {
    // SAFETY: `host_function` made it, for one call.
    let note = unsafe { Box::from_raw(note.cast::<Note>()) };
    let (at, size) = note.fill;
    // SAFETY: a buffer that is live, and that nothing else uses until this has run.
    unsafe { std::ptr::write_bytes(at as *mut u8, note.value as u8, size) };
    note.diary
        .lock()
        .expect("diary")
        .push((note.stream, note.value));
}

/// Threads of a block by number; the last ones are none.
pub(crate) const BLOCKS: [u32; 8] = [32, 64, 1, 96, 256, 0, 1025, 4096];
/// Turns of the loop before a kernel's work.
const DELAYS: [u32; 4] = [0, 10, 2000, 40_000];

/// The parts of a launch.
struct Launch {
    function: *mut c_void,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    stream: *mut c_void,
}

impl Machine {
    fn launch(&self, launch: &Launch, params: *mut *mut c_void) -> u32 {
        let (grid, block) = (launch.grid, launch.block);
        call!(self, "cuLaunchKernel", launch.function => *mut c_void, grid[0] => u32, grid[1] => u32, grid[2] => u32,
            block[0] => u32, block[1] => u32, block[2] => u32, launch.shared => u32, launch.stream => *mut c_void,
            params => *mut *mut c_void, std::ptr::null_mut() => *mut *mut c_void)
    }

    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn mix(
        &mut self,
        function: u32,
        buffer: u32,
        factor: u32,
        block: u32,
        shape: u32,
        delay: u32,
        stream: u32,
        how: u32,
    ) {
        let target = self.buffer(Kind::Device, buffer);
        if !target.live || self.mixes.get(function as usize) == Some(&false) {
            // A kernel that is given a wrong address, or the parameters of another, kills the context.
            return;
        }
        let lane = self.lane(stream);
        self.acquire(Kind::Device, buffer, lane, how);
        let mut words = (target.size / 4) as u32;
        let threads = BLOCKS[block as usize % BLOCKS.len()];
        let mut launch = Launch {
            function: self.function(function),
            grid: [words.div_ceil(threads.max(1)).clamp(1, 64), 1, 1],
            block: [threads, 1, 1],
            shared: 0,
            stream: lane.stream,
        };
        match shape {
            1 => launch.grid[0] = 0,
            2 => launch.grid[1] = 65_536,
            3 => launch.grid[2] = 0,
            4 => launch.block[1] = 0,
            5 => launch.block[2] = 65,
            6 => launch.block[1] = 1024,
            7 => launch.shared = 1 << 20,
            8 => launch.shared = 49_152,
            9 => launch.shared = 49_153,
            10 => launch.grid[0] = u32::MAX,
            _ => {}
        }
        let (mut at, mut factor, mut delay) = (target.at, factor, DELAYS[delay as usize % 4]);
        let mut params = [
            (&raw mut at).cast::<c_void>(),
            (&raw mut words).cast(),
            (&raw mut factor).cast(),
            (&raw mut delay).cast(),
        ];
        let params = if shape == 11 {
            std::ptr::null_mut()
        } else {
            params.as_mut_ptr()
        };
        self.launch(&launch, params);
    }

    #[expect(clippy::too_many_arguments, reason = "an operation's arguments")]
    pub(crate) fn pair(
        &mut self,
        function: u32,
        to: u32,
        from: u32,
        block: u32,
        delay: u32,
        stream: u32,
        how: u32,
    ) {
        let target = self.buffer(Kind::Device, to);
        let source = self.buffer(Kind::Device, from);
        let pairs = self.mixes.get(function as usize) == Some(&false);
        if !target.live || !source.live || to == from || !pairs {
            return;
        }
        let lane = self.lane(stream);
        self.acquire(Kind::Device, to, lane, how);
        self.acquire(Kind::Device, from, lane, how);
        let mut words = (target.size.min(source.size) / 4) as u32;
        let threads = BLOCKS[block as usize % BLOCKS.len()];
        let launch = Launch {
            function: self.function(function),
            grid: [words.div_ceil(threads.max(1)).clamp(1, 64), 1, 1],
            block: [threads, 1, 1],
            shared: 0,
            stream: lane.stream,
        };
        let (mut to, mut from, mut delay) = (target.at, source.at, DELAYS[delay as usize % 4]);
        let mut params = [
            (&raw mut to).cast::<c_void>(),
            (&raw mut from).cast(),
            (&raw mut words).cast(),
            (&raw mut delay).cast(),
        ];
        self.launch(&launch, params.as_mut_ptr());
    }

    pub(crate) fn host_function(&mut self, stream: u32, pinned: u32, value: u32, how: u32) {
        let lane = self.lane(stream);
        let target = self.buffer(Kind::Pinned, pinned);
        let fill = if target.live {
            self.acquire(Kind::Pinned, pinned, lane, how);
            (target.at as usize, target.size)
        } else {
            (std::ptr::NonNull::<u8>::dangling().as_ptr().addr(), 0)
        };
        let note = Box::into_raw(Box::new(Note {
            diary: self.diary.clone(),
            // The default stream has two names.
            stream: (lane.context.addr(), lane.stream.addr().max(1)),
            value,
            fill,
        }));
        let status = call!(self, "cuLaunchHostFunc", lane.stream => *mut c_void,
            write_down => unsafe extern "C" fn(*mut c_void), note.cast::<c_void>() => *mut c_void);
        if status != 0 {
            // SAFETY: made above, and nobody will call the function.
            drop(unsafe { Box::from_raw(note) });
        }
    }

    /// What host functions wrote down, in each stream's order: streams overtake each other as they like.
    pub(crate) fn read_diary(&self) {
        let mut notes = std::mem::take(&mut *self.diary.lock().expect("diary"));
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (stream, _) in &notes {
            if !order.contains(stream) {
                order.push(*stream);
            }
        }
        // Handles are a driver's own numbers, made one after another: their order is the same everywhere.
        notes.sort_by_key(|(stream, _)| *stream);
        order.sort_unstable();
        for stream in order {
            let values: Vec<u32> = notes
                .iter()
                .filter(|note| note.0 == stream)
                .map(|note| note.1)
                .collect();
            self.say(&format!("  host functions {values:?}"));
        }
    }

    /// A kernel that dies, by number. The error may come from any call from now on, and must have come by the next
    /// synchronisation; from then on every call returns it.
    pub(crate) fn die(&mut self, way: u32) {
        let name = [c"dies", c"wild"][way as usize % 2];
        let (mut module, mut function) = (null(), null());
        let image = std::ffi::CString::new(super::kernels::IMAGES[0]).expect("no NUL");
        call!(self, "cuModuleLoadData", &raw mut module => *mut *mut c_void, image.as_ptr() => *const std::ffi::c_char);
        call!(self, "cuModuleGetFunction", &raw mut function => *mut *mut c_void, module => *mut c_void,
            name.as_ptr() => *const std::ffi::c_char);
        let launch = Launch {
            function,
            grid: [1; 3],
            block: [1; 3],
            shared: 0,
            stream: null(),
        };
        self.launch(&launch, std::ptr::null_mut());
        call!(self, "cuCtxSynchronize");
        let (mut at, mut stream) = (0_u64, null());
        call!(self, "cuMemAlloc_v2", &raw mut at => *mut u64, 16 => usize);
        call!(self, "cuStreamCreate", &raw mut stream => *mut *mut c_void, 0 => u32);
        call!(self, "cuMemsetD8_v2", self.device[0].at => u64, 0 => u8, 1 => usize);
        call!(self, "cuCtxSynchronize");
    }
}
