//! Rows: initialisation, errors, entry points, profiler. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: initialisation, errors, entry points, profiler.
#[macro_export]
macro_rules! driver_init_rows { ($then:ident) => { $then! {
    0x0001 local  snapshot  cuDriverGetVersion(driver_version: Out<i32>);
    0x0002 local  constant  cuGetErrorName(error: In<u32>, p_str: OutPtr);
    0x0003 local  constant  cuGetErrorString(error: In<u32>, p_str: OutPtr);
    0x0004 local  constant  cuGetExportTable(pp_export_table: OutPtr, p_export_table_id: InPtr);
    0x0005 local  constant  cuGetProcAddress(symbol: CStr, pfn: OutPtr, cuda_version: In<i32>, flags: In<u64>);
    0x0006 local  constant  cuGetProcAddress_v2(symbol: CStr, pfn: OutPtr, cuda_version: In<i32>, flags: In<u64>, symbol_status: Out<u32>);
    0x0007 custom connects  cuInit(flags: In<u32>);
    0x0008 local  constant  cuProfilerStart();
    0x0009 local  constant  cuProfilerStop();
    0x000a absent absent    cuCoredumpGetAttribute(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000b absent absent    cuCoredumpGetAttributeGlobal(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000c absent absent    cuCoredumpSetAttribute(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000d absent absent    cuCoredumpSetAttributeGlobal(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000e absent absent    cuLogsCurrent(iterator_out: Out<u32>, flags: In<u32>);
    0x000f absent absent    cuLogsDumpToFile(iterator: Out<u32>, path_to_file: CStr, flags: In<u32>);
    0x0010 absent absent    cuLogsDumpToMemory(iterator: Out<u32>, buffer: OutPtr, size: Out<usize>, flags: In<u32>);
    0x0011 absent absent    cuLogsRegisterCallback(callback_func: Callback, user_data: OutPtr, callback_out: OutPtr);
    0x0012 absent absent    cuLogsUnregisterCallback(callback: Opaque);
    0x0013 absent absent    cuProfilerInitialize(config_file: CStr, output_file: CStr, output_mode: In<u32>);
}};}
