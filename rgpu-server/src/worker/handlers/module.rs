//! Modules, libraries, kernels, functions, variables.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Arc;

use rgpu_proto::handle::{Id, Library, Module};
use rgpu_proto::limits::MAX_MODULE;
use rgpu_proto::msg::module::{
    GetFunction, GetKernel, Global, KernelFunction, KernelInfo, LibraryGlobal, LibraryModule,
    LibraryUnload, Load, LoadAs, LoadState, Loaded, ModuleGlobal, ModuleUnload, Upload,
};
use rgpu_proto::status::Status;
use rgpu_proto::wire::to_bytes;

use crate::worker::driver::Driver;
use crate::worker::jit_log::JitLog;
use crate::worker::session::{Answer, DONE, Failed, Handled, Session, enter_on_thread};
use crate::worker::snapshot::Raw;
use crate::worker::transfers::Sink;
use crate::worker::wire_in::End;

/// Highest function attribute number asked for; CUDA 13.0 defines 0 to 15.
const LAST_FUNCTION_ATTRIBUTE: u32 = 20;

impl Session {
    pub(super) fn module_load(&mut self, body: &[u8]) -> Handled {
        let (load, inline) = self.decode_front::<Load>(body)?;
        if load.inline == inline.is_empty() || (load.inline && inline.len() as u64 != load.size) {
            return Err(End::Bulk {
                op: self.frame.op,
                what: "inline image of the wrong length",
            }
            .into());
        }
        if load.inline {
            self.keep(&load, inline)?;
            return self.load(&load, inline.to_vec());
        }
        match self.store.get(&load.hash) {
            Ok(Some(image)) => self.load(&load, image),
            // A client posts what the store held before: somebody has emptied it.
            Ok(None) if !self.waits() => Err(Status::ERROR_FILE_NOT_FOUND.into()),
            Ok(None) => Ok(Answer::Done(to_bytes(&loaded(
                LoadState::Needed,
                Vec::new(),
                String::new(),
            )))),
            Err(error) => Err(store_failed(&error)),
        }
    }

    pub(super) fn module_upload(&mut self, upload: Upload) -> Handled {
        let size = upload.load.size;
        if size > MAX_MODULE {
            return Err(self.bulk("larger than any module").into());
        }
        let sink = match self.room_to_stage(size) {
            Ok(()) => Sink::Image {
                load: upload.load,
                bytes: Vec::new(),
            },
            Err(status) => Sink::Nothing(status),
        };
        self.await_bulk(size, sink)
    }

    /// Loads an image whose bytes have all arrived.
    pub(in crate::worker) fn image_arrived(&mut self, load: &Load, image: Vec<u8>) -> Handled {
        self.keep(load, &image)?;
        self.load(load, image)
    }

    /// Stores an image for later clients; bytes without their hash break the protocol.
    fn keep(&self, load: &Load, image: &[u8]) -> Result<(), Failed> {
        match self.store.put(&load.hash, image) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(End::Bulk {
                op: self.frame.op,
                what: "image does not have its hash",
            }
            .into()),
            Err(error) => {
                // The image is at hand; only later clients must bring it again.
                tracing::warn!(%error, "cannot keep a module image");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Loads an image and answers with what it holds, or with why it cannot be loaded.
    fn load(&mut self, load: &Load, mut image: Vec<u8>) -> Handled {
        // PTX text ends with a NUL.
        image.push(0);
        let mut log = JitLog::new(&load.options);
        let result = match load.load_as {
            LoadAs::Module => self.load_module(Id::new(load.id), &image, &mut log),
            LoadAs::Library => self.load_library(Id::new(load.id), &image, &mut log),
        };
        let (status, kernels) = match result {
            Ok(kernels) => (Status::SUCCESS, kernels),
            Err(status) => (status, Vec::new()),
        };
        if !self.waits() {
            return status.ok().map(|()| DONE).map_err(Failed::from);
        }
        self.output.drain(&self.writer);
        self.reply(
            status,
            &to_bytes(&loaded(LoadState::Loaded, kernels, log.error())),
        )?;
        Ok(Answer::Elsewhere)
    }

    fn load_module(
        &mut self,
        id: Id<Module>,
        image: &[u8],
        log: &mut JitLog,
    ) -> Result<Vec<KernelInfo>, Status> {
        let mut raw = std::ptr::null_mut();
        let (options, values, count) = log.options();
        // SAFETY: `raw` is live, the image is complete and NUL-terminated, the options match their values.
        unsafe {
            self.driver.cuModuleLoadDataEx(
                &raw mut raw,
                image.as_ptr().cast(),
                count,
                options,
                values,
            )?;
        }
        self.handles.bind(id, raw)?;
        functions(&self.driver, raw)
    }

    fn load_library(
        &mut self,
        id: Id<Library>,
        image: &[u8],
        log: &mut JitLog,
    ) -> Result<Vec<KernelInfo>, Status> {
        let mut raw = std::ptr::null_mut();
        let (options, values, count) = log.options();
        // SAFETY: as above; there are no library options.
        unsafe {
            self.driver.cuLibraryLoadData(
                &raw mut raw,
                image.as_ptr().cast(),
                options,
                values.cast(),
                count,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                0,
            )?;
        }
        self.handles.bind(id, raw)?;
        kernels(&self.driver, raw, self.device)
    }

    pub(super) fn module_function(&mut self, get: GetFunction) -> Handled {
        let module = self.handles.of(get.module)?;
        let name = c_name(get.name)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live; the module comes from the map.
        unsafe {
            self.driver
                .cuModuleGetFunction(&raw mut raw, module, name.as_ptr())?
        };
        self.handles.bind(get.id, raw)?;
        Ok(DONE)
    }

    pub(super) fn library_kernel(&mut self, get: GetKernel) -> Handled {
        let library = self.handles.of(get.library)?;
        let name = c_name(get.name)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live; the library comes from the map.
        unsafe {
            self.driver
                .cuLibraryGetKernel(&raw mut raw, library, name.as_ptr())?
        };
        self.handles.bind(get.id, raw)?;
        Ok(DONE)
    }

    pub(super) fn kernel_function(&mut self, get: &KernelFunction) -> Handled {
        let kernel = self.handles.of(get.kernel)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live; the kernel comes from the map.
        unsafe { self.driver.cuKernelGetFunction(&raw mut raw, kernel)? };
        self.handles.bind(get.id, raw)?;
        Ok(DONE)
    }

    pub(super) fn library_module(&mut self, get: &LibraryModule) -> Handled {
        let library = self.handles.of(get.library)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live; the library comes from the map.
        unsafe { self.driver.cuLibraryGetModule(&raw mut raw, library)? };
        self.handles.bind(get.id, raw)?;
        Ok(DONE)
    }

    pub(super) fn module_global(&mut self, get: ModuleGlobal) -> Handled {
        let module = self.handles.of(get.module)?;
        let name = c_name(get.name)?;
        let (mut address, mut size) = (0, 0_usize);
        // SAFETY: both are live; the module comes from the map.
        unsafe {
            self.driver.cuModuleGetGlobal_v2(
                &raw mut address,
                &raw mut size,
                module,
                name.as_ptr(),
            )?;
        }
        Ok(Answer::Done(to_bytes(&Global {
            address,
            size: size as u64,
        })))
    }

    pub(super) fn library_global(&mut self, get: LibraryGlobal) -> Handled {
        let library = self.handles.of(get.library)?;
        let name = c_name(get.name)?;
        let (mut address, mut size) = (0, 0_usize);
        // SAFETY: both are live; the library comes from the map.
        unsafe {
            self.driver.cuLibraryGetGlobal(
                &raw mut address,
                &raw mut size,
                library,
                name.as_ptr(),
            )?;
        }
        Ok(Answer::Done(to_bytes(&Global {
            address,
            size: size as u64,
        })))
    }

    pub(super) fn module_unload(&mut self, unload: &ModuleUnload) -> Handled {
        let raw = Raw(self.handles.unbind(unload.id)?);
        // SAFETY: the module was in the map and has just been taken out of it.
        self.unload(move |driver| unsafe { driver.cuModuleUnload(raw.get()) })
    }

    pub(super) fn library_unload(&mut self, unload: &LibraryUnload) -> Handled {
        let raw = Raw(self.handles.unbind(unload.id)?);
        // SAFETY: the library was in the map and has just been taken out of it.
        self.unload(move |driver| unsafe { driver.cuLibraryUnload(raw.get()) })
    }

    /// Unloading waits for the device, and the device for host functions, whose ends are told to this thread: while
    /// some are due, another thread unloads.
    fn unload(
        &mut self,
        unload: impl FnOnce(&Driver) -> Result<(), Status> + Send + 'static,
    ) -> Handled {
        if !self.host_funcs.any() {
            unload(&self.driver)?;
            return Ok(DONE);
        }
        let streams = self.contexts.current()?.all_streams();
        let events = streams.iter().map(|stream| self.event(stream.0));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        let context = self.contexts.current()?.raw;
        let (driver, writer) = (Arc::clone(&self.driver), Arc::clone(&self.writer));
        let (op, underway) = (self.frame.op, self.unloads.begin());
        self.tasks.run(move || {
            enter_on_thread(&driver, context);
            // The driver may lock out others while it waits: let there be nothing left to wait for. An error of the
            // device comes with the calls that meet it.
            for event in &events {
                let _ = event.synchronize();
            }
            drop(events);
            if let Err(status) = unload(&driver) {
                writer.defer(op, status);
            }
            drop(underway);
        })?;
        Ok(DONE)
    }
}

fn loaded(state: LoadState, kernels: Vec<KernelInfo>, log: String) -> Loaded {
    Loaded {
        state,
        kernels,
        log,
    }
}

fn store_failed(error: &std::io::Error) -> Failed {
    tracing::error!(%error, "the module store cannot be read");
    Failed::Status(Status::ERROR_OPERATING_SYSTEM)
}

fn c_name(name: String) -> Result<CString, Status> {
    CString::new(name).map_err(|_| Status::ERROR_INVALID_VALUE)
}

/// A name that belongs to the driver.
fn driver_text(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: the driver returned this pointer to a NUL-terminated name that lives as long as its kernel.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

/// Offsets and sizes of parameters, until the driver has no more.
fn params(
    mut of: impl FnMut(usize, &mut usize, &mut usize) -> Result<(), Status>,
) -> Vec<(u32, u32)> {
    let mut params = Vec::new();
    let (mut offset, mut size) = (0, 0);
    while of(params.len(), &mut offset, &mut size).is_ok() {
        params.push((offset as u32, size as u32));
    }
    params
}

fn attributes(mut of: impl FnMut(u32, &mut i32) -> Result<(), Status>) -> Vec<(u32, i32)> {
    (0..=LAST_FUNCTION_ATTRIBUTE)
        .filter_map(|attribute| {
            let mut value = 0;
            of(attribute, &mut value).ok().map(|()| (attribute, value))
        })
        .collect()
}

/// The functions of a module.
fn functions(driver: &Driver, module: *mut c_void) -> Result<Vec<KernelInfo>, Status> {
    let mut count = 0;
    // SAFETY: `count` is live; the module has just been loaded.
    unsafe { driver.cuModuleGetFunctionCount(&raw mut count, module)? };
    let mut raw = vec![std::ptr::null_mut(); count as usize];
    // SAFETY: there is room for `count` handles.
    unsafe { driver.cuModuleEnumerateFunctions(raw.as_mut_ptr(), count, module)? };
    raw.into_iter()
        .map(|function| {
            let mut name: *const c_char = std::ptr::null();
            // SAFETY: `name` is live; the function belongs to the module.
            unsafe { driver.cuFuncGetName((&raw mut name).cast(), function)? };
            Ok(KernelInfo {
                name: driver_text(name),
                // SAFETY: all pointers are live.
                params: params(|at, offset, size| unsafe {
                    driver.cuFuncGetParamInfo(function, at, offset, size)
                }),
                // SAFETY: `value` is live.
                attributes: attributes(|attribute, value| unsafe {
                    driver.cuFuncGetAttribute(value, attribute, function)
                }),
            })
        })
        .collect()
}

/// The kernels of a library.
fn kernels(driver: &Driver, library: *mut c_void, device: i32) -> Result<Vec<KernelInfo>, Status> {
    let mut count = 0;
    // SAFETY: `count` is live; the library has just been loaded.
    unsafe { driver.cuLibraryGetKernelCount(&raw mut count, library)? };
    let mut raw = vec![std::ptr::null_mut(); count as usize];
    // SAFETY: there is room for `count` handles.
    unsafe { driver.cuLibraryEnumerateKernels(raw.as_mut_ptr(), count, library)? };
    raw.into_iter()
        .map(|kernel| {
            let mut name: *const c_char = std::ptr::null();
            // SAFETY: `name` is live; the kernel belongs to the library.
            unsafe { driver.cuKernelGetName((&raw mut name).cast(), kernel)? };
            Ok(KernelInfo {
                name: driver_text(name),
                // SAFETY: all pointers are live.
                params: params(|at, offset, size| unsafe {
                    driver.cuKernelGetParamInfo(kernel, at, offset, size)
                }),
                // SAFETY: `value` is live.
                attributes: attributes(|attribute, value| unsafe {
                    driver.cuKernelGetAttribute(value, attribute, kernel, device)
                }),
            })
        })
        .collect()
}
