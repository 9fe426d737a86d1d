//! Modules, libraries, kernels, functions.
//!
//! An image is named by its BLAKE3 hash. The client offers the hash; the server answers with a snapshot of
//! what the module holds, or asks for the bytes.

use crate::handle::{Function, Id, Kernel, Library, Module};
use crate::{choice, message};

choice! {
    /// What to load an image as.
    pub enum LoadAs {
        /// `cuModuleLoadData`.
        Module = 1,
        /// `cuLibraryLoadData`.
        Library = 2,
    }

    /// What became of a [`Load`].
    pub enum LoadState {
        /// Loaded; the snapshot follows.
        Loaded = 1,
        /// The server does not hold the image: upload it.
        Needed = 2,
    }
}

message! {
    /// Loads an image. The image's bytes follow in the body where they are at most
    /// [`crate::limits::INLINE_MODULE`] and `inline` says so. Answered with [`Loaded`].
    pub struct Load {
        /// What as.
        load_as: LoadAs,
        /// Id of the new module or library.
        id: u32,
        /// BLAKE3 of the image.
        hash: [u8; 32],
        /// Bytes of the image.
        size: u64,
        /// The bytes follow.
        inline: bool,
        /// `CUjit_option` numbers and values that are plain numbers.
        options: Vec<(u32, u64)>,
    }

    /// Answer to a [`Load`] or an [`Upload`], after the reply's head. A failed load has a status and a log.
    pub struct Loaded {
        /// What became of it.
        state: LoadState,
        /// Kernels; empty unless loaded.
        kernels: Vec<KernelInfo>,
        /// What the driver's compiler said.
        log: String,
    }

    /// The bytes of an image that was [`LoadState::Needed`], in DATA frames after this. Answered with [`Loaded`].
    pub struct Upload {
        /// The load they are for.
        load: Load,
    }

    /// What a client answers about a kernel without asking.
    pub struct KernelInfo {
        /// Name.
        name: String,
        /// Offset and size of each parameter in the parameter buffer (`cuKernelGetParamInfo`).
        params: Vec<(u32, u32)>,
        /// `cuFuncGetAttribute`: number and value of each attribute.
        attributes: Vec<(u32, i32)>,
    }

    /// `cuModuleGetFunction`. Posted: the client knows the names.
    pub struct GetFunction {
        /// The new id.
        id: Id<Function>,
        /// Of which module.
        module: Id<Module>,
        /// Its name.
        name: String,
    }

    /// `cuLibraryGetKernel`. Posted.
    pub struct GetKernel {
        /// The new id.
        id: Id<Kernel>,
        /// Of which library.
        library: Id<Library>,
        /// Its name.
        name: String,
    }

    /// `cuKernelGetFunction` in the frame's context. Posted.
    pub struct KernelFunction {
        /// The new id.
        id: Id<Function>,
        /// Of which kernel.
        kernel: Id<Kernel>,
    }

    /// `cuLibraryGetModule` in the frame's context. Posted.
    pub struct LibraryModule {
        /// The new id.
        id: Id<Module>,
        /// Of which library.
        library: Id<Library>,
    }

    /// `cuModuleGetGlobal_v2`. Answered with [`Global`].
    pub struct ModuleGlobal {
        /// Of which module.
        module: Id<Module>,
        /// Its name.
        name: String,
    }

    /// `cuLibraryGetGlobal` in the frame's context. Answered with [`Global`].
    pub struct LibraryGlobal {
        /// Of which library.
        library: Id<Library>,
        /// Its name.
        name: String,
    }

    /// A variable in device memory.
    pub struct Global {
        /// Device address.
        address: u64,
        /// Bytes.
        size: u64,
    }

    /// `cuModuleUnload`. Posted.
    pub struct ModuleUnload {
        /// Which.
        id: Id<Module>,
    }

    /// `cuLibraryUnload`. Posted.
    pub struct LibraryUnload {
        /// Which.
        id: Id<Library>,
    }
}
