//! Rows: libraries and their kernels. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: libraries and their kernels.
#[macro_export]
macro_rules! driver_library_rows { ($then:ident) => { $then! {
    0x0401 reply  known     cuKernelGetAttribute(pi: Out<i32>, attrib: In<u32>, kernel: Handle<Kernel>, dev: In<i32>);
    0x0402 custom minted    cuKernelGetFunction(p_func: NewHandle<Function>, kernel: Handle<Kernel>);
    0x0403 local  image     cuKernelGetLibrary(p_lib: NewHandle<Library>, kernel: Handle<Kernel>);
    0x0404 local  image     cuKernelGetName(name: OutPtr, hfunc: Handle<Kernel>);
    0x0405 local  image     cuKernelGetParamInfo(kernel: Handle<Kernel>, param_index: In<usize>, param_offset: Out<usize>, param_size: Out<usize>);
    0x0406 reply  judged    cuKernelSetAttribute(attrib: In<u32>, val: In<i32>, kernel: Handle<Kernel>, dev: In<i32>);
    0x0407 posted queued    cuKernelSetCacheConfig(kernel: Handle<Kernel>, config: In<u32>, dev: In<i32>);
    0x0408 custom minted    cuLibraryEnumerateKernels(kernels: NewHandle<Kernel>, num_kernels: In<u32>, lib: Handle<Library>);
    0x0409 custom known     cuLibraryGetGlobal(dptr: Out<u64>, bytes: Out<usize>, library: Handle<Library>, name: CStr);
    0x040a custom minted    cuLibraryGetKernel(p_kernel: NewHandle<Kernel>, library: Handle<Library>, name: CStr);
    0x040b local  image     cuLibraryGetKernelCount(count: Out<u32>, lib: Handle<Library>);
    0x040c custom minted    cuLibraryGetModule(p_mod: NewHandle<Module>, library: Handle<Library>);
    0x040d custom loaded    cuLibraryLoadData(library: NewHandle<Library>, code: InPtr, jit_options: Out<u32>, jit_options_values: OutPtr, num_jit_options: In<u32>, library_options: Out<u32>, library_option_values: OutPtr, num_library_options: In<u32>);
    0x040e custom loaded    cuLibraryLoadFromFile(library: NewHandle<Library>, file_name: CStr, jit_options: Out<u32>, jit_options_values: OutPtr, num_jit_options: In<u32>, library_options: Out<u32>, library_option_values: OutPtr, num_library_options: In<u32>);
    0x040f custom ended     cuLibraryUnload(library: Handle<Library>);
    0x0410 absent absent    cuLibraryGetManaged(dptr: Out<u64>, bytes: Out<usize>, library: Handle<Library>, name: CStr);
    0x0411 absent absent    cuLibraryGetUnifiedFunction(fptr: OutPtr, library: Handle<Library>, symbol: CStr);
}};}
