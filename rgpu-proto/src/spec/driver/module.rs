//! Rows: modules and the linker. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: modules and the linker.
#[macro_export]
macro_rules! driver_module_rows { ($then:ident) => { $then! {
    0x0301 custom minted    cuModuleEnumerateFunctions(functions: NewHandle<Function>, num_functions: In<u32>, mod_: Handle<Module>);
    0x0302 custom minted    cuModuleGetFunction(hfunc: NewHandle<Function>, hmod: Handle<Module>, name: CStr);
    0x0303 local  image     cuModuleGetFunctionCount(count: Out<u32>, mod_: Handle<Module>);
    0x0304 custom known     cuModuleGetGlobal_v2(dptr: Out<u64>, bytes: Out<usize>, hmod: Handle<Module>, name: CStr);
    0x0305 local  constant  cuModuleGetLoadingMode(mode: Out<u32>);
    0x0306 custom loaded    cuModuleLoad(module: NewHandle<Module>, fname: CStr);
    0x0307 custom loaded    cuModuleLoadData(module: NewHandle<Module>, image: InPtr);
    0x0308 custom loaded    cuModuleLoadDataEx(module: NewHandle<Module>, image: InPtr, num_options: In<u32>, options: Out<u32>, option_values: OutPtr);
    0x0309 custom loaded    cuModuleLoadFatBinary(module: NewHandle<Module>, fat_cubin: InPtr);
    0x030a custom ended     cuModuleUnload(hmod: Handle<Module>);
    0x030b custom verdict   cuLinkAddData_v2(state: Handle<Link>, kind: In<u32>, data: OutPtr, size: In<usize>, name: CStr, num_options: In<u32>, options: Out<u32>, option_values: OutPtr);
    0x030c custom verdict   cuLinkAddFile_v2(state: Handle<Link>, kind: In<u32>, path: CStr, num_options: In<u32>, options: Out<u32>, option_values: OutPtr);
    0x030d custom verdict   cuLinkComplete(state: Handle<Link>, cubin_out: OutPtr, size_out: Out<usize>);
    0x030e custom minted    cuLinkCreate_v2(num_options: In<u32>, options: Out<u32>, option_values: OutPtr, state_out: NewHandle<Link>);
    0x030f custom ended     cuLinkDestroy(state: Handle<Link>);
    0x0310 absent absent    cuModuleGetSurfRef(p_surf_ref: OutPtr, hmod: Handle<Module>, name: CStr);
    0x0311 absent absent    cuModuleGetTexRef(p_tex_ref: OutPtr, hmod: Handle<Module>, name: CStr);
}};}
