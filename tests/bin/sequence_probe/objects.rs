//! Streams, events, contexts, modules and functions.

use std::ffi::{CString, c_char, c_void};

use rgpu_tests::loader::null;
use rgpu_tests::op::Op;

use super::kernels::IMAGES;
use super::machine::{BOGUS, Machine, NOT_READY, Stream, call};

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

/// A handle of a slot, null, or what is none.
fn handle(slots: &[*mut c_void], argument: u32) -> *mut c_void {
    let at = argument as usize;
    slots
        .get(at)
        .copied()
        .unwrap_or(if at == slots.len() { null() } else { BOGUS })
}

/// Names by number, as `cuModuleGetFunction` and `cuModuleGetGlobal` are asked for them.
const FUNCTIONS: [&str; 4] = ["mix", "pair", "missing", ""];
const GLOBALS: [&str; 4] = ["counter", "total", "missing", ""];

fn name(names: [&str; 4], argument: u32) -> CString {
    CString::new(names[argument as usize % names.len()]).expect("no NUL")
}

impl Machine {
    pub(crate) fn event(&self, argument: u32) -> *mut c_void {
        match argument {
            5.. => self.stream(1),
            argument => handle(&self.events, argument),
        }
    }

    pub(crate) fn module(&self, argument: u32) -> *mut c_void {
        handle(&self.modules, argument)
    }

    pub(crate) fn function(&self, argument: u32) -> *mut c_void {
        handle(&self.functions, argument)
    }

    pub(crate) fn pool(&self, argument: u32) -> *mut c_void {
        handle(&self.pools, argument)
    }

    /// Calls whose answer depends on how far the device is: ready or not, either is right. Everything else counts.
    fn query(&self, name: &str, status: u32) {
        let status = if status == NOT_READY { 0 } else { status };
        self.note(name, status);
    }

    /// Makes the primary context current, loads the program, and makes one of most things, so that short sequences do
    /// something.
    pub(crate) fn prepare(&mut self) {
        let (mut device, mut context) = (0_i32, null());
        call!(self, "cuInit", 0 => u32);
        call!(self, "cuDeviceGet", &raw mut device => *mut i32, 0 => i32);
        call!(self, "cuDevicePrimaryCtxRetain", &raw mut context => *mut *mut c_void, device => i32);
        call!(self, "cuCtxSetCurrent", context => *mut c_void);
        (self.contexts[0], self.context_live[0]) = (context, true);
        let first = [
            Op::ModuleLoad { slot: 0, image: 0 },
            Op::FunctionGet {
                slot: 0,
                module: 0,
                name: 0,
            },
            Op::FunctionGet {
                slot: 1,
                module: 0,
                name: 1,
            },
            Op::StreamCreate {
                slot: 1,
                flags: 0,
                priority: 0,
            },
            Op::StreamCreate {
                slot: 2,
                flags: NON_BLOCKING,
                priority: 0,
            },
            Op::EventCreate { slot: 0, flags: 0 },
            Op::EventCreate { slot: 1, flags: 2 },
            Op::Alloc { slot: 0, size: 4 },
            Op::Alloc { slot: 1, size: 3 },
            Op::PinnedAlloc {
                slot: 0,
                size: 4,
                flags: 0,
            },
        ];
        for op in first {
            self.carry_out(op);
        }
    }

    pub(crate) fn stream_create(&mut self, slot: u32, flags: u32, priority: u32) {
        let priority = [0, -1, -5, 1, 100, -100, 7][priority as usize % 7];
        let mut stream = null();
        let status = call!(self, "cuStreamCreateWithPriority", &raw mut stream => *mut *mut c_void,
            flags => u32, priority => i32);
        if status == 0 {
            self.streams[slot as usize] = Some(Stream {
                handle: stream,
                blocking: flags & NON_BLOCKING == 0,
                context: self.current(),
            });
        }
    }

    pub(crate) fn stream_query(&self, argument: u32) {
        type Entry = unsafe extern "C" fn(*mut c_void) -> u32;
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { self.cuda.function::<Entry>("cuStreamQuery") };
        // SAFETY: a handle, which the driver refuses where it is none.
        self.query("cuStreamQuery", unsafe { function(self.stream(argument)) });
    }

    pub(crate) fn event_query(&self, argument: u32) {
        type Entry = unsafe extern "C" fn(*mut c_void) -> u32;
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { self.cuda.function::<Entry>("cuEventQuery") };
        // SAFETY: a handle, which the driver refuses where it is none.
        self.query("cuEventQuery", unsafe { function(self.event(argument)) });
    }

    /// How long it took is the machine's affair, and so is whether it is over.
    pub(crate) fn event_elapsed(&self, start: u32, end: u32) {
        type Entry = unsafe extern "C" fn(*mut f32, *mut c_void, *mut c_void) -> u32;
        let mut milliseconds = 0.0;
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { self.cuda.function::<Entry>("cuEventElapsedTime") };
        let (start, end) = (self.event(start), self.event(end));
        // SAFETY: `milliseconds` is live; handles as above.
        let status = unsafe { function(&raw mut milliseconds, start, end) };
        self.query("cuEventElapsedTime", status);
    }

    pub(crate) fn stream_look(&self, argument: u32, what: u32) {
        let stream = self.stream(argument);
        let (mut number, mut context) = (0_u32, null());
        match what {
            0 => {
                call!(self, "cuStreamGetFlags", stream => *mut c_void, &raw mut number => *mut u32);
            }
            1 => {
                call!(self, "cuStreamGetPriority", stream => *mut c_void, (&raw mut number).cast() => *mut i32);
            }
            2 => {
                call!(self, "cuStreamGetCtx", stream => *mut c_void, &raw mut context => *mut *mut c_void);
            }
            3 => {
                call!(self, "cuStreamIsCapturing", stream => *mut c_void, &raw mut number => *mut u32);
            }
            _ => {
                call!(self, "cuStreamGetFlags", stream => *mut c_void, std::ptr::null_mut() => *mut u32);
            }
        }
        self.say(&format!(
            "  {} {}",
            number.cast_signed(),
            self.context_name(context)
        ));
    }

    pub(crate) fn event_create(&mut self, slot: u32, flags: u32) {
        // Events of other processes are not supported through a server.
        let flags = if flags & 4 != 0 { flags | 8 } else { flags };
        let mut event = null();
        if call!(self, "cuEventCreate", &raw mut event => *mut *mut c_void, flags => u32) == 0 {
            self.events[slot as usize] = event;
        }
    }

    pub(crate) fn context_create(&mut self, slot: u32, flags: u32) {
        if self.context_live[slot as usize] {
            self.context_destroy(slot);
        }
        let mut context = null();
        let status = call!(self, "cuCtxCreate_v2", &raw mut context => *mut *mut c_void, flags => u32, 0 => i32);
        if status == 0 {
            self.contexts[slot as usize] = context;
            self.context_live[slot as usize] = true;
        }
    }

    pub(crate) fn context(&self, argument: u32) -> *mut c_void {
        handle(&self.contexts, argument)
    }

    pub(crate) fn context_destroy(&mut self, argument: u32) {
        let context = self.context(argument);
        if argument == 0 {
            // The primary context is not to be destroyed; what a driver does then is its own affair.
            return;
        }
        if call!(self, "cuCtxDestroy_v2", context => *mut c_void) == 0 {
            self.context_gone(context);
        }
    }

    pub(crate) fn context_look(&self, what: u32) {
        let (mut number, mut size, mut context) = (0_u32, 0_usize, null());
        match what {
            0 => {
                call!(self, "cuCtxGetCurrent", &raw mut context => *mut *mut c_void);
            }
            1 => {
                call!(self, "cuCtxGetDevice", (&raw mut number).cast() => *mut i32);
            }
            2 => {
                call!(self, "cuCtxGetFlags", &raw mut number => *mut u32);
            }
            3 => {
                call!(self, "cuCtxGetApiVersion", self.current() => *mut c_void, &raw mut number => *mut u32);
            }
            what => {
                call!(self, "cuCtxGetLimit", &raw mut size => *mut usize, what - 4 => u32);
            }
        }
        self.say(&format!("  {number} {size} {}", self.context_name(context)));
    }

    pub(crate) fn limit_set(&self, limit: u32, value: u32) {
        let value =
            [1024, 4096, 1 << 20, 1, 0, 1 << 24, 7, 64, 100, usize::MAX][value as usize % 10];
        call!(self, "cuCtxSetLimit", limit => u32, value => usize);
    }

    pub(crate) fn module_load(&mut self, slot: u32, image: u32) {
        let text = IMAGES
            .get(image as usize)
            .map(|text| CString::new(*text).expect("no NUL"));
        let image = text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        let mut module = null();
        let status = call!(self, "cuModuleLoadData", &raw mut module => *mut *mut c_void, image => *const c_char);
        if status == 0 {
            self.modules[slot as usize] = module;
        }
    }

    pub(crate) fn module_unload(&mut self, argument: u32) {
        // Nothing may run that the module holds.
        for context in (0..self.contexts.len()).filter(|at| self.context_live[*at]) {
            call!(self, "cuCtxPushCurrent_v2", self.contexts[context] => *mut c_void);
            call!(self, "cuCtxSynchronize");
            let mut popped = null();
            call!(self, "cuCtxPopCurrent_v2", &raw mut popped => *mut *mut c_void);
        }
        call!(self, "cuModuleUnload", self.module(argument) => *mut c_void);
    }

    pub(crate) fn function_get(&mut self, slot: u32, module: u32, wanted: u32) {
        let name = name(FUNCTIONS, wanted);
        let mut function = null();
        let status = call!(self, "cuModuleGetFunction", &raw mut function => *mut *mut c_void,
            self.module(module) => *mut c_void, name.as_ptr() => *const c_char);
        if status == 0 {
            self.functions[slot as usize] = function;
            self.mixes[slot as usize] = wanted.is_multiple_of(4);
        }
    }

    pub(crate) fn global_get(&self, module: u32, wanted: u32) {
        let name = name(GLOBALS, wanted);
        let (mut at, mut size) = (0_u64, 0_usize);
        let status = call!(self, "cuModuleGetGlobal_v2", &raw mut at => *mut u64, &raw mut size => *mut usize,
            self.module(module) => *mut c_void, name.as_ptr() => *const c_char);
        if status == 0 {
            let mut bytes = vec![0_u8; size];
            call!(self, "cuMemcpyDtoH_v2", bytes.as_mut_ptr().cast() => *mut c_void, at => u64, size => usize);
            self.say(&format!("  {bytes:?}"));
        }
    }

    pub(crate) fn function_look(&self, argument: u32, what: u32) {
        let mut value = 0_i32;
        call!(self, "cuFuncGetAttribute", &raw mut value => *mut i32, what => u32, self.function(argument) => *mut c_void);
        // Registers and bytes of local memory are the compiler's; the rest is the program's.
        self.say(&format!("  {value}"));
    }

    pub(crate) fn function_set(&self, argument: u32, attribute: u32, value: u32) {
        let attribute = [8, 9, 0, 1, 2, 3, 4, 10, 11, 99][attribute as usize % 10];
        let value = [0, 1024, 100, -1, 1 << 14, 1 << 17, 1 << 20, 33, 50, 101][value as usize % 10];
        call!(self, "cuFuncSetAttribute", self.function(argument) => *mut c_void, attribute => u32, value => i32);
    }

    pub(crate) fn occupancy(&self, argument: u32, block: i32, shared: u32) {
        let shared =
            [0, 1024, 40_000, 49_152, 49_153, 100_000, 1 << 20, 1, 2, 3][shared as usize % 10];
        let mut blocks = 0_i32;
        call!(self, "cuOccupancyMaxActiveBlocksPerMultiprocessor", &raw mut blocks => *mut i32,
            self.function(argument) => *mut c_void, block => i32, shared => usize);
        self.say(&format!("  {blocks}"));
    }
}
